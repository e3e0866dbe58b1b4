//! What API keys and service accounts have alike: where they are found, their roles, and how they change and end.

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::organizations::check_name;
use super::rights::{GrantedRole, Rights, no_credential};
use super::{Actor, Control, Fault, roles};
use crate::access::credential::{CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::record::{CredentialName, CredentialRecord, CredentialSearch, Place, ProjectRecord, SecretRecord};
use crate::access::role::Role;
use crate::access::usage::CredentialUse;
use crate::clock::Timestamp;
use crate::directory::sqlite::{Rows, StoreFault};
use crate::problem::{Code, Refusal};

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 250;

/// An API key or service account as it is shown.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The credential.
    pub row: CredentialRecord,
    /// What it may do.
    pub roles: Vec<Role>,
    /// What proves it, without what is secret.
    pub secrets: Vec<SecretRecord>,
    /// How it was used, up to a few seconds ago.
    pub usage: CredentialUse,
    /// How many entries its list has.
    pub entries: u64,
}

/// What is to be changed of a key; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyEdit {
    /// Another description.
    pub description: Option<String>,
    /// All roles on the organization, or on the project by which it was asked.
    pub roles: Option<Vec<GrantedRole>>,
    /// Whether it works.
    pub enabled: Option<bool>,
    /// When it stops working; `Some(NEVER)` never.
    pub expires_at: Option<Timestamp>,
    /// Whether its list refuses.
    pub enforcement: Option<Enforcement>,
}

impl Control {
    /// One page of the credentials of a kind in an organization or project that a search finds, and how many it finds.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn credentials(
        self: &Arc<Self>,
        actor: &Actor,
        kind: CredentialKind,
        place: Place,
        search: CredentialSearch,
        page: (u64, u64),
    ) -> Result<(Vec<Credential>, u64), Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            rights.see_credentials_of(rows, place)?;
            let (found, total) = rows.credentials(kind, place, &search, page)?;
            Ok((found.into_iter().map(|row| whole(rows, row)).collect::<Result<_, _>>()?, total))
        })
        .await
    }
}

/// A credential with what belongs to it.
pub(super) fn whole(rows: Rows<'_>, row: CredentialRecord) -> Result<Credential, StoreFault> {
    let usage = rows.credential_use(row.pk)?;
    let entries = rows.count_entries(row.pk)?;
    Ok(Credential { roles: rows.roles(row.pk)?, secrets: rows.secrets(row.pk)?, usage, entries, row })
}

/// The credential at a place, where the actor may see it.
pub(super) fn find(rows: Rows<'_>, rights: &Rights, place: Place, name: CredentialName) -> Result<Credential, Fault> {
    match place {
        Place::Organization(organization) => drop(rights.see_organization(rows, organization)?),
        Place::Project(project) => drop(rights.see_project(rows, project)?),
    }
    let row = rows.credential(name)?.ok_or_else(|| no_credential(name))?;
    let key = whole(rows, row)?;
    let is_there = match place {
        Place::Organization(organization) => key.row.organization == organization,
        Place::Project(project) => key.roles.iter().any(|role| role.project() == Some(project)),
    };
    match is_there && rights.sees_key(&key.row, &key.roles) {
        true => Ok(key),
        false => Err(no_credential(name)),
    }
}

/// Deletes a credential.
pub(super) fn delete(
    change: &mut Change<'_>,
    rights: &Rights,
    organization: Id,
    name: CredentialName,
) -> Result<(), Fault> {
    let key = find(change.rows(), rights, Place::Organization(organization), name)?;
    rights.manage_key(change.rows(), &key.row, &key.roles)?;
    keep_an_owner(change, &key.row, &key.roles, &[])?;
    change.touch_credential(key.row.pk)?;
    change.store().remove_credential(key.row.pk)?;
    change.record(Event::on(EventType::KeyDeleted, &key.row).detail(&key.row.name))
}

/// Gives a credential of the organization roles on a project.
pub(super) fn assign(
    change: &mut Change<'_>,
    rights: &Rights,
    project: &ProjectRecord,
    name: CredentialName,
    roles: &[GrantedRole],
) -> Result<Credential, Fault> {
    let row = change.rows().credential(name)?;
    let row = row.filter(|row| row.organization == project.organization).ok_or_else(|| no_credential(name))?;
    let key = whole(change.rows(), row)?;
    if key.roles.is_empty() {
        // Whoever administers every project of a credential manages it: one that is nobody's yet is not for an administrator
        // of one project to take.
        rights.manage_key(change.rows(), &key.row, &key.roles)?;
    }
    let roles = roles::replaced(change, rights, Place::Project(project.id), &key, roles)?;
    apply(change, key, KeyEdit::default(), Some(roles))
}

/// Takes every role on a project from a credential.
pub(super) fn unassign(
    change: &mut Change<'_>,
    rights: &Rights,
    project: Id,
    name: CredentialName,
) -> Result<Credential, Fault> {
    rights.administer(change.rows(), project)?;
    let key = find(change.rows(), rights, Place::Project(project), name)?;
    let roles = roles::replaced(change, rights, Place::Project(project), &key, &[])?;
    apply(change, key, KeyEdit::default(), Some(roles))
}

/// Writes what is different, and records each difference.
pub(super) fn apply(
    change: &mut Change<'_>,
    mut key: Credential,
    edit: KeyEdit,
    roles: Option<Vec<Role>>,
) -> Result<Credential, Fault> {
    let before = (key.row.clone(), key.roles.clone());
    let row = &mut key.row;
    if let Some(name) = edit.description {
        match row.kind {
            CredentialKind::ApiKey => check_description("desc", &name)?,
            CredentialKind::ServiceAccount => check_name("name", &name)?,
        }
        row.name = name;
    }
    if let Some(expires_at) = edit.expires_at.filter(|at| *at != row.expires_at) {
        check_expiry(expires_at, change.now())?;
        row.expires_at = expires_at;
    }
    row.enabled = edit.enabled.unwrap_or(row.enabled);
    row.enforcement = edit.enforcement.unwrap_or(row.enforcement);
    key.roles = roles.unwrap_or(key.roles);
    if (&key.row, &key.roles) == (&before.0, &before.1) {
        return Ok(key);
    }
    // One that ends is an owner no more some day, when nobody asks any guard.
    let stays = key.row.enabled && key.row.expires_at >= before.0.expires_at;
    let kept: &[Role] = if stays { &key.roles } else { &[] };
    keep_an_owner(change, &before.0, &before.1, kept)?;
    change.touch_credential(key.row.pk)?;
    let (old, row) = (&before.0, &key.row);
    let differences = [
        (old.name != row.name, EventType::KeyDescriptionChanged),
        (old.enabled && !row.enabled, EventType::KeyDisabled),
        (!old.enabled && row.enabled, EventType::KeyEnabled),
        (old.expires_at != row.expires_at, EventType::KeyExpiryChanged),
        (old.enforcement != row.enforcement, EventType::KeyEnforcementChanged),
    ];
    for (_, kind) in differences.into_iter().filter(|(differs, _)| *differs) {
        let event = Event::on(kind, row);
        change.record(match kind {
            // Whoever takes it back later has to know which way it went.
            EventType::KeyEnforcementChanged => event.detail(row.enforcement.as_str()),
            _ => event,
        })?;
    }
    record_roles(change, &key, &before.1)?;
    key.row.revision = change.revision();
    change.store().update_credential(&key.row)?;
    if key.roles != before.1 {
        change.store().set_roles(key.row.pk, &key.roles)?;
    }
    Ok(key)
}

fn record_roles(change: &mut Change<'_>, key: &Credential, before: &[Role]) -> Result<(), Fault> {
    let (old, new) = (projects_of(before), projects_of(&key.roles));
    for project in new.iter().filter(|one| !old.contains(one)) {
        change.record(Event::on(EventType::KeyAddedToGroup, &key.row).in_project(*project))?;
    }
    for project in old.iter().filter(|one| !new.contains(one)) {
        change.record(Event::on(EventType::KeyRemovedFromGroup, &key.row).in_project(*project))?;
    }
    let kept = |roles: &[Role]| -> Vec<Role> {
        let stays = |role: &&Role| role.project().is_none_or(|id| old.contains(&id) && new.contains(&id));
        roles.iter().filter(stays).cloned().collect()
    };
    match kept(before) == kept(&key.roles) {
        true => Ok(()),
        false => change.record(Event::on(EventType::KeyRolesChanged, &key.row)),
    }
}

pub(super) fn projects_of(roles: &[Role]) -> Vec<Id> {
    let mut projects: Vec<Id> = roles.iter().filter_map(Role::project).collect();
    projects.sort_unstable();
    projects.dedup();
    projects
}

/// Refuses where nobody could manage the organization any more.
pub(super) fn keep_an_owner(
    change: &Change<'_>,
    row: &CredentialRecord,
    roles: &[Role],
    kept: &[Role],
) -> Result<(), Fault> {
    let owner = Role::Organization("ORG_OWNER");
    if !row.enabled || !roles.contains(&owner) || kept.contains(&owner) {
        return Ok(());
    }
    let rows = change.rows();
    let other = rows.has_other_owner(row.organization, row.pk, change.now())?;
    match other || rows.has_owner_besides(row.organization, 0)? {
        true => Ok(()),
        false => {
            let detail = format!("Organization {} would have no owner left; make another one first.", row.organization);
            Err(Refusal::new(Code::CannotDeleteLastOwner, detail).with(row.organization).into())
        }
    }
}

pub(super) fn check_description(field: &str, text: &str) -> Result<(), Fault> {
    let length = text.chars().count();
    match (1..=LONGEST_DESCRIPTION).contains(&length) && !text.chars().any(char::is_control) {
        true => Ok(()),
        false => {
            let wrong = format!("a description has 1 to {LONGEST_DESCRIPTION} characters and no control characters");
            Err(Refusal::field(Code::InvalidAttribute, field, wrong).into())
        }
    }
}

/// Refuses a time that has passed: nobody means "never again" by it.
pub(super) fn check_expiry(at: Timestamp, now: Timestamp) -> Result<(), Fault> {
    match at > now {
        true => Ok(()),
        false => Err(Refusal::field(Code::InvalidAttribute, "expiresAt", format!("{at} has passed")).into()),
    }
}
