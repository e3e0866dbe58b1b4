//! Roles of keys: by their names, and as a request would have them.

use super::Fault;
use super::change::Change;
use super::credentials::Credential;
use super::rights::{GrantedRole, Rights};
use crate::access::id::Id;
use crate::access::record::Place;
use crate::access::role::Role;
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

/// All roles of a key after those of a place were replaced; the actor has to be one who may grant and take each of them.
pub(super) fn replaced(
    change: &Change<'_>,
    rights: &Rights,
    place: Place,
    key: &Credential,
    granted: &[GrantedRole],
) -> Result<Vec<Role>, Fault> {
    let project = match place {
        Place::Organization(_) => None,
        Place::Project(id) => Some(id),
    };
    let new = parsed(change.rows(), key.row.organization, project, granted)?;
    let is_here = |role: &&Role| role.project() == project;
    let differs = |role: &&Role| new.contains(role) != key.roles.contains(role);
    let changed: Vec<Role> = key.roles.iter().filter(is_here).chain(&new).filter(differs).cloned().collect();
    if !changed.is_empty() {
        rights.grant(key.row.organization, Some(key.row.id), &changed)?;
    }
    let elsewhere = key.roles.iter().filter(|role| role.project() != project).cloned();
    let mut roles: Vec<Role> = elsewhere.chain(new).collect();
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

/// Roles by their names. `project` is the one by which they are granted where no other is named.
pub(super) fn parsed(
    rows: Rows<'_>,
    organization: Id,
    project: Option<Id>,
    granted: &[GrantedRole],
) -> Result<Vec<Role>, Fault> {
    let mut roles = Vec::with_capacity(granted.len());
    for (at, GrantedRole { organization: meant, project: named, name }) in granted.iter().enumerate() {
        let on = named.or(project);
        let wrong = |wrong: String| Refusal::field(Code::InvalidAttribute, format!("roles[{at}]"), wrong);
        if let Some(id) = meant.filter(|id| *id != organization || project.is_some()) {
            let told = match project {
                Some(project) => format!("a role on organization {id} is not granted on project {project}"),
                None => format!("a role on organization {id} is granted by that one's path, not by {organization}'s"),
            };
            return Err(wrong(told).into());
        }
        if let Some(id) = on {
            let known = rows.project(id)?.is_some_and(|found| found.organization == organization);
            if !known {
                return Err(wrong(format!("the organization has no project {id}")).into());
            }
        }
        let role = match on {
            Some(id) => Role::on_project(id, name),
            None => Role::on_organization(name),
        };
        let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
        let known = match on {
            Some(_) => "GROUP_OWNER, GROUP_USER_ADMIN, GROUP_READ_ONLY",
            None => "ORG_OWNER, ORG_GROUP_CREATOR, ORG_MEMBER, ORG_READ_ONLY, GATEWAY, app:NAME",
        };
        roles.push(role.ok_or_else(|| wrong(format!("role `{shown}` is unknown here; known are {known}")))?);
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}
