//! `/orgs`, and the switch under `/orgs/{orgId}/settings`.

use schemars::SchemaGenerator;
use serde_json::json;

use super::answer::Answer;
use super::api_keys::new_key;
use super::call::Call;
use super::dto::{Key, NewOrganization, Organization, Rename, Settings, SettingsEdit, additions};
use super::operation::{DRY_RUN, GUARDED, Operation, PAGED, Verb};
use crate::access::credential::AccessListMode;
use crate::access::record::OrganizationRecord;
use crate::control::{self, Fault, OrganizationEdit};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/orgs",
        id: "listOrganizations",
        summary: "The organizations that the caller may see.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Organization>>),
        handler: |call| Box::pin(list(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs",
        id: "createOrganization",
        summary: "Makes an organization, and the key `apiKey` that owns it; a calling credential has to ask for one.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewOrganization>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<Organization>),
        handler: |call| Box::pin(create(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}",
        id: "getOrganization",
        summary: "One organization.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Organization>),
        handler: |call| Box::pin(show(call)),
    },
    Operation {
        method: Verb::Patch,
        path: "/orgs/{orgId}",
        id: "renameOrganization",
        summary: "Renames an organization.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<Rename>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Organization>),
        handler: |call| Box::pin(rename(call)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}",
        id: "deleteOrganization",
        summary: "Deletes an organization without projects, and its credentials with it.",
        query: &[DRY_RUN],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/settings",
        id: "getOrganizationSettings",
        summary: "The switch that makes access lists mandatory, and how long secrets may last.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Settings>),
        handler: |call| Box::pin(settings(call)),
    },
    Operation {
        method: Verb::Patch,
        path: "/orgs/{orgId}/settings",
        id: "updateOrganizationSettings",
        summary: "Turns the switch, with the entries that lists lack for it, or changes how long secrets may last.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<SettingsEdit>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Settings>),
        handler: |call| Box::pin(turn(call)),
    },
];

async fn list(call: Call) -> Result<Answer, Fault> {
    let rows = call.control.organizations(&call.actor).await?;
    let (skip, most) = call.page();
    let total = rows.len() as u64;
    let shown = |row| Organization::new(row, &call.base);
    let skipped = rows.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
    Ok(Answer::page(skipped.take(usize::try_from(most).unwrap_or(usize::MAX)).map(shown).collect(), total))
}

async fn create(call: Call) -> Result<Answer, Fault> {
    let asked: NewOrganization = call.json()?;
    let key = asked.api_key.map(|key| new_key("apiKey.", key)).transpose()?;
    let mode = asked.api_access_list_mode.map_or(AccessListMode::Off, AccessListMode::from);
    let new = control::NewOrganization { name: asked.name, mode, key };
    let made = call.control.create_organization(&call.actor, new).await?;
    let (row, key) = made.value;
    let mut body = json!(Organization::new(&row, &call.base));
    if let Some(made) = key {
        body["apiKey"] = json!(Key::new(&made.key, Some(&made.private_key), &call.base));
    }
    Ok(Answer::of(body).version(row.revision).revision(made.revision))
}

async fn show(call: Call) -> Result<Answer, Fault> {
    let row = call.control.organization(&call.actor, call.id("orgId")?).await?;
    Ok(Answer::of(Organization::new(&row, &call.base)).version(row.revision))
}

async fn rename(call: Call) -> Result<Answer, Fault> {
    let asked: Rename = call.json()?;
    let edit = OrganizationEdit { name: Some(asked.name), ..OrganizationEdit::default() };
    let edited = edit_organization(&call, edit).await?;
    Ok(Answer::of(Organization::new(&edited.value, &call.base)).version(edited.value.revision).made(&edited))
}

async fn delete(call: Call) -> Result<Answer, Fault> {
    let gone = call.control.delete_organization(&call.actor, call.id("orgId")?).await?;
    Ok(Answer::empty().made(&gone))
}

async fn settings(call: Call) -> Result<Answer, Fault> {
    let row = call.control.organization(&call.actor, call.id("orgId")?).await?;
    Ok(Answer::of(Settings::new(&row)).version(row.revision))
}

async fn turn(call: Call) -> Result<Answer, Fault> {
    let asked: SettingsEdit = call.json()?;
    let edit = OrganizationEdit {
        name: None,
        mode: asked.mode()?,
        secret_hours: asked.max_service_account_secret_validity_in_hours,
    };
    let (id, expected, lists) = (call.id("orgId")?, call.if_match()?, additions(asked.access_list_additions)?);
    let edited = call.control.edit_with_lists(&call.actor, call.guards(), id, (edit, lists), expected).await?;
    Ok(Answer::of(Settings::new(&edited.value)).version(edited.value.revision).made(&edited))
}

async fn edit_organization(
    call: &Call,
    edit: OrganizationEdit,
) -> Result<control::Committed<OrganizationRecord>, Fault> {
    let (id, expected) = (call.id("orgId")?, call.if_match()?);
    call.control.edit_organization(&call.actor, call.guards(), id, edit, expected).await
}
