//! `/groups`, which is what Cloud Manager calls projects.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::{NewProject, Project};
use super::operation::{DRY_RUN, Operation, PAGED, Verb};
use crate::access::id::Id;
use crate::access::record::ProjectRecord;
use crate::control::Fault;
use crate::problem::{Code, Refusal};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/groups",
        id: "listProjects",
        summary: "The projects that the caller may see.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Project>>),
        handler: |call| Box::pin(list(call, false)),
    },
    Operation {
        method: Verb::Post,
        path: "/groups",
        id: "createProject",
        summary: "Makes a project in the organization that `orgId` names.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewProject>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<Project>),
        handler: |call| Box::pin(create(call, false)),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}",
        id: "getProject",
        summary: "One project.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Project>),
        handler: |call| Box::pin(show(call)),
    },
    Operation {
        method: Verb::Delete,
        path: "/groups/{groupId}",
        id: "deleteProject",
        summary: "Deletes a project, and every role on it.",
        query: &[DRY_RUN],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/groups",
        id: "listOrganizationProjects",
        summary: "The projects of an organization that the caller may see.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Project>>),
        handler: |call| Box::pin(list(call, true)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/groups",
        id: "createOrganizationProject",
        summary: "Makes a project in an organization.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewProject>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<Project>),
        handler: |call| Box::pin(create(call, true)),
    },
];

async fn list(call: Call, of_one: bool) -> Result<Answer, Fault> {
    let organization = if of_one { Some(call.id("orgId")?) } else { None };
    let rows = call.control.projects(&call.actor, organization).await?;
    let (skip, most) = call.page();
    let total = rows.len() as u64;
    let shown = |row: &ProjectRecord| Project::new(row, &call.base);
    let skipped = rows.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
    Ok(Answer::page(skipped.take(usize::try_from(most).unwrap_or(usize::MAX)).map(shown).collect(), total))
}

async fn create(call: Call, of_one: bool) -> Result<Answer, Fault> {
    let asked: NewProject = call.json()?;
    let organization: Id = match (of_one, asked.org_id) {
        (true, None) => call.id("orgId")?,
        (true, Some(id)) if id == call.id("orgId")? => id,
        (true, Some(_)) => {
            return Err(Refusal::field(Code::InvalidAttribute, "orgId", "it is another one than in the path").into());
        }
        (false, Some(id)) => id,
        (false, None) => {
            let detail = "`orgId` is missing: a project is part of an organization.";
            return Err(Refusal::new(Code::MissingOneOfAttributes, detail).with("orgId").into());
        }
    };
    let made = call.control.create_project(&call.actor, organization, asked.name).await?;
    Ok(Answer::of(Project::new(&made.value, &call.base)).revision(made.revision))
}

async fn show(call: Call) -> Result<Answer, Fault> {
    let row = call.control.project(&call.actor, call.id("groupId")?).await?;
    Ok(Answer::of(Project::new(&row, &call.base)))
}

async fn delete(call: Call) -> Result<Answer, Fault> {
    let gone = call.control.delete_project(&call.actor, call.id("groupId")?).await?;
    Ok(Answer::empty().made(&gone))
}
