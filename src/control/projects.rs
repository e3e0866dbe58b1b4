//! Projects of organizations.

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::organizations::check_name;
use super::rights::Rights;
use super::{Actor, Committed, Control, Fault, draw};
use crate::access::id::Id;
use crate::access::record::{OrganizationRecord, ProjectRecord};
use crate::problem::{Code, Refusal};

impl Control {
    /// The projects that the actor may see: of one organization, or all.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn projects(
        self: &Arc<Self>,
        actor: &Actor,
        organization: Option<Id>,
    ) -> Result<Vec<ProjectRecord>, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            let organizations = match (organization, rights.organizations()) {
                (Some(id), _) => vec![rights.see_organization(rows, id)?.id],
                (None, Some(own)) => own,
                (None, None) => rows.organizations()?.into_iter().map(|row| row.id).collect(),
            };
            let mut projects = Vec::new();
            for id in organizations {
                projects.extend(rows.projects(id)?.into_iter().filter(|one| rights.see_project(rows, one.id).is_ok()));
            }
            Ok(projects)
        })
        .await
    }

    /// One project.
    ///
    /// # Errors
    /// `GROUP_NOT_FOUND`, also where the actor may not see it.
    pub async fn project(self: &Arc<Self>, actor: &Actor, id: Id) -> Result<ProjectRecord, Fault> {
        let actor = actor.clone();
        self.read(move |rows| Rights::of(rows, &actor)?.see_project(rows, id)).await
    }

    /// Makes a project.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn create_project(
        &self,
        actor: &Actor,
        organization: Id,
        name: String,
    ) -> Result<Committed<ProjectRecord>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let owner = rights.make_projects(change.rows(), organization)?;
            let row = ProjectRecord { pk: 0, id: draw::id()?, organization, name, created_at: change.now() };
            add(change, &owner, row)
        })
        .await
    }

    /// Deletes a project and every role on it.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn delete_project(&self, actor: &Actor, id: Id) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            delete(change, &rights, id)
        })
        .await
    }
}

/// Adds a project to an organization.
pub(super) fn add(
    change: &mut Change<'_>,
    owner: &OrganizationRecord,
    row: ProjectRecord,
) -> Result<ProjectRecord, Fault> {
    check_name("name", &row.name)?;
    if change.rows().has_project(owner.pk, &row.name)? {
        let detail = format!("Organization {} has a project `{}` already; choose another name.", owner.id, row.name);
        return Err(Refusal::new(Code::AlreadyExists, detail).with(&row.name).into());
    }
    change.store().add_project(owner.pk, &row, change.revision())?;
    change.record(Event::new(EventType::GroupCreated, owner.id).in_project(row.id).detail(&row.name))?;
    Ok(row)
}

/// Deletes a project and every role on it.
pub(super) fn delete(change: &mut Change<'_>, rights: &Rights, id: Id) -> Result<(), Fault> {
    let project = rights.own_project(change.rows(), id)?;
    for pk in change.rows().credentials_on(id)? {
        change.touch_credential(pk)?;
        let roles: Vec<_> = change.rows().roles(pk)?.into_iter().filter(|role| role.project() != Some(id)).collect();
        change.store().set_roles(pk, &roles)?;
    }
    change.store().remove_roles_of_users_on(id)?;
    change.store().remove_project(project.pk)?;
    change.record(Event::new(EventType::GroupDeleted, project.organization).in_project(id).detail(project.name))
}
