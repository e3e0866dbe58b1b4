//! API keys of organizations and projects, and their secrets.

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::commit::Change;
use super::organizations::expect;
use super::rights::{GrantedRole, Rights, no_key};
use super::{Actor, Committed, Control, Fault, NewEntry, access_lists, draw, roles};
use crate::access::credential::{CredentialKind, Enforcement};
use crate::access::digest_secret::MOST_SECRETS;
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, OrganizationRecord, Place, SecretRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::directory::sqlite::{Rows, StoreFault};
use crate::live::fingerprint;
use crate::problem::{Code, Refusal};

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 250;

/// An API key as it is shown.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The key.
    pub row: CredentialRecord,
    /// What it may do.
    pub roles: Vec<Role>,
    /// What proves it, without what is secret.
    pub secrets: Vec<SecretRecord>,
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// For people.
    pub description: String,
    /// What it may do.
    pub roles: Vec<GrantedRole>,
    /// When it stops working; [`Timestamp::NEVER`] where it does not.
    pub expires_at: Timestamp,
    /// Whether its list refuses.
    pub enforcement: Enforcement,
    /// Its first access list.
    pub entries: Vec<NewEntry>,
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

/// A key that was just made, with the secret that is shown this once. Has no `Debug`.
#[derive(Clone)]
pub struct ShownOnce {
    /// The key.
    pub key: ApiKey,
    /// Its private key.
    pub private_key: String,
}

/// A secret that was just made. Has no `Debug`.
#[derive(Clone)]
pub struct NewSecret {
    /// Its row.
    pub row: SecretRecord,
    /// The private key, shown this once.
    pub private_key: String,
}

impl Control {
    /// One page of the keys of an organization or project, and how many there are.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn api_keys(
        self: &Arc<Self>,
        actor: &Actor,
        place: Place,
        (skip, most): (u64, u64),
    ) -> Result<(Vec<ApiKey>, u64), Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            match place {
                Place::Organization(id) => drop(rights.see_all_of(rows, id)?),
                Place::Project(id) => drop(rights.see_project(rows, id)?),
            }
            let (keys, total) = rows.api_keys(place, skip, most)?;
            let keys = keys.into_iter().map(|row| whole(rows, row)).collect::<Result<_, _>>()?;
            Ok((keys, total))
        })
        .await
    }

    /// One key.
    ///
    /// # Errors
    /// `API_KEY_NOT_FOUND`, also where it is not at this place or the actor may not see it.
    pub async fn api_key(self: &Arc<Self>, actor: &Actor, place: Place, id: Id) -> Result<ApiKey, Fault> {
        let actor = actor.clone();
        self.read(move |rows| find(rows, &Rights::of(rows, &actor)?, place, id)).await
    }

    /// Makes a key.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn create_api_key(
        &self,
        actor: &Actor,
        place: Place,
        new: NewKey,
    ) -> Result<Committed<ShownOnce>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let (organization, project) = match place {
                Place::Organization(id) => (rights.own(change.rows(), id)?, None),
                Place::Project(id) => {
                    let project = rights.administer(change.rows(), id)?;
                    let owner = change.rows().organization(project.organization)?;
                    (owner.ok_or_else(|| super::rights::no_project(id))?, Some(id))
                }
            };
            create(change, &organization, new, project)
        })
        .await
    }

    /// Changes a key.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn edit_api_key(
        &self,
        actor: &Actor,
        place: Place,
        id: Id,
        edit: KeyEdit,
        expected: Option<u64>,
    ) -> Result<Committed<ApiKey>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let key = find(change.rows(), &rights, place, id)?;
            expect(expected, key.row.revision)?;
            let roles = match &edit.roles {
                Some(granted) => Some(roles::replaced(change, &rights, place, &key, granted)?),
                None => None,
            };
            // Whoever may change roles on a project may do no more than that with a key that is not theirs alone.
            if edit != (KeyEdit { roles: edit.roles.clone(), ..KeyEdit::default() }) {
                rights.manage_key(change.rows(), &key.row, &key.roles)?;
            }
            apply(change, key, edit, roles)
        })
        .await
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// `CANNOT_DELETE_LAST_OWNER`, or another [`Fault`].
    pub async fn delete_api_key(&self, actor: &Actor, organization: Id, id: Id) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let key = find(change.rows(), &rights, Place::Organization(organization), id)?;
            rights.manage_key(change.rows(), &key.row, &key.roles)?;
            keep_an_owner(change, &key, &[])?;
            change.touch_credential(key.row.pk)?;
            change.store().remove_credential(key.row.pk)?;
            change.record(Event::on(EventType::KeyDeleted, &key.row).detail(&key.row.name))
        })
        .await
    }

    /// Gives a key of the organization roles on a project.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn assign_api_key(
        &self,
        actor: &Actor,
        project: Id,
        id: Id,
        roles: Vec<GrantedRole>,
    ) -> Result<Committed<ApiKey>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let place = rights.administer(change.rows(), project)?;
            let row = change.rows().credential(CredentialKind::ApiKey, id)?;
            let row = row.filter(|row| row.organization == place.organization).ok_or_else(|| no_key(id))?;
            let key = whole(change.rows(), row)?;
            let roles = roles::replaced(change, &rights, Place::Project(project), &key, &roles)?;
            apply(change, key, KeyEdit::default(), Some(roles))
        })
        .await
    }

    /// Takes every role on a project from a key.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn unassign_api_key(&self, actor: &Actor, project: Id, id: Id) -> Result<Committed<ApiKey>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            rights.administer(change.rows(), project)?;
            let key = find(change.rows(), &rights, Place::Project(project), id)?;
            let roles = roles::replaced(change, &rights, Place::Project(project), &key, &[])?;
            apply(change, key, KeyEdit::default(), Some(roles))
        })
        .await
    }

    /// Gives a key a second private key, so that it can be rotated without a gap.
    ///
    /// # Errors
    /// `LIMIT_REACHED` where it has two, or another [`Fault`].
    pub async fn add_api_key_secret(&self, actor: &Actor, place: Place, id: Id) -> Result<Committed<NewSecret>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let mut key = find(change.rows(), &rights, place, id)?;
            rights.manage_key(change.rows(), &key.row, &key.roles)?;
            if key.secrets.len() >= MOST_SECRETS {
                let detail = format!("API key {id} has {MOST_SECRETS} private keys; delete the old one first.");
                return Err(Refusal::new(Code::LimitReached, detail).with(MOST_SECRETS).into());
            }
            change.touch_credential(key.row.pk)?;
            let secret = add_secret(change, &key.row)?;
            key.row.revision = change.revision();
            change.store().update_credential(&key.row)?;
            change.record(Event::on(EventType::SecretAdded, &key.row).detail(&secret.row.shown))?;
            Ok(secret)
        })
        .await
    }

    /// Takes a private key from a key; the last one stays.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn delete_api_key_secret(
        &self,
        actor: &Actor,
        place: Place,
        id: Id,
        secret: Id,
    ) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let mut key = find(change.rows(), &rights, place, id)?;
            rights.manage_key(change.rows(), &key.row, &key.roles)?;
            let found = key.secrets.iter().find(|one| one.id == secret);
            let shown = found.map(|one| one.shown.clone()).ok_or_else(|| {
                Refusal::new(Code::SecretNotFound, format!("API key {id} has no private key {secret}.")).with(secret)
            })?;
            if key.secrets.len() == 1 {
                let detail = "It is the key's only private key. Add another one first, or delete or disable the key.";
                return Err(Refusal::new(Code::InvalidAttribute, detail).with(secret).into());
            }
            change.touch_credential(key.row.pk)?;
            change.store().remove_secret(key.row.pk, secret)?;
            key.row.revision = change.revision();
            change.store().update_credential(&key.row)?;
            change.record(Event::on(EventType::SecretDeleted, &key.row).detail(shown))
        })
        .await
    }
}

/// A key with what belongs to it.
pub(super) fn whole(rows: Rows<'_>, row: CredentialRecord) -> Result<ApiKey, StoreFault> {
    Ok(ApiKey { roles: rows.roles(row.pk)?, secrets: rows.secrets(row.pk)?, row })
}

/// The key at a place, where the actor may see it.
pub(super) fn find(rows: Rows<'_>, rights: &Rights, place: Place, id: Id) -> Result<ApiKey, Fault> {
    match place {
        Place::Organization(organization) => drop(rights.see_organization(rows, organization)?),
        Place::Project(project) => drop(rights.see_project(rows, project)?),
    }
    let row = rows.credential(CredentialKind::ApiKey, id)?.ok_or_else(|| no_key(id))?;
    let key = whole(rows, row)?;
    let is_there = match place {
        Place::Organization(organization) => key.row.organization == organization,
        Place::Project(project) => key.roles.iter().any(|role| role.project() == Some(project)),
    };
    match is_there && rights.sees_key(&key.row, &key.roles) {
        true => Ok(key),
        false => Err(no_key(id)),
    }
}

/// Makes a key of an organization, with its first private key.
pub(super) fn create(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    new: NewKey,
    project: Option<Id>,
) -> Result<ShownOnce, Fault> {
    let most = change.limits().api_keys_per_organization;
    if change.rows().count_credentials(organization.pk, CredentialKind::ApiKey)? >= most {
        let detail = format!("Organization {} has {most} API keys, as many as are allowed.", organization.id);
        return Err(Refusal::new(Code::LimitReached, detail).with(most).into());
    }
    check_description(&new.description)?;
    check_expiry(new.expires_at, change.now())?;
    let roles = roles::parsed(change.rows(), organization.id, project, &new.roles)?;
    // An organization that comes into being with this key has no owner yet who could grant anything.
    if organization.revision != change.revision() {
        Rights::of(change.rows(), change.actor())?.grant(organization.id, None, &roles)?;
    }
    let mut row = CredentialRecord {
        pk: 0,
        id: draw::id()?,
        organization: organization.id,
        kind: CredentialKind::ApiKey,
        name: new.description,
        public_key: Some(draw::public_key()?),
        enabled: true,
        expires_at: new.expires_at,
        enforcement: new.enforcement,
        created_at: change.now(),
        revision: change.revision(),
    };
    row.pk = change.store().add_credential(organization.pk, &row)?;
    change.touch_credential(row.pk)?;
    change.store().set_roles(row.pk, &roles)?;
    let secret = add_secret(change, &row)?;
    change.record(Event::on(EventType::KeyCreated, &row).detail(&row.name))?;
    for project in projects_of(&roles) {
        change.record(Event::on(EventType::KeyAddedToGroup, &row).in_project(project))?;
    }
    let row = access_lists::begin(change, organization, row, new.entries)?;
    let key = ApiKey { row, roles, secrets: vec![secret.row] };
    Ok(ShownOnce { key, private_key: secret.private_key })
}

pub(super) fn add_secret(change: &Change<'_>, key: &CredentialRecord) -> Result<NewSecret, Fault> {
    let private_key = draw::private_key()?;
    let public_key = key.public_key.as_deref().unwrap_or_default();
    let row = SecretRecord {
        id: draw::id()?,
        fingerprint: fingerprint::of_key(format!("{public_key}.{private_key}").as_bytes()),
        digest: change.digest_of(public_key, &private_key),
        shown: draw::shown(&private_key),
        created_at: change.now(),
    };
    change.store().add_secret(key.pk, &row)?;
    Ok(NewSecret { row, private_key })
}

/// Writes what is different, and records each difference.
fn apply(change: &mut Change<'_>, mut key: ApiKey, edit: KeyEdit, roles: Option<Vec<Role>>) -> Result<ApiKey, Fault> {
    let before = (key.row.clone(), key.roles.clone());
    let row = &mut key.row;
    if let Some(description) = edit.description {
        check_description(&description)?;
        row.name = description;
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
    let kept: &[Role] = if key.row.enabled { &key.roles } else { &[] };
    keep_an_owner(change, &ApiKey { roles: before.1.clone(), row: before.0.clone(), secrets: Vec::new() }, kept)?;
    change.touch_credential(key.row.pk)?;
    let (old, row) = (&before.0, &key.row);
    let differences = [
        (old.name != row.name, EventType::KeyDescriptionChanged),
        (old.enabled && !row.enabled, EventType::KeyDisabled),
        (!old.enabled && row.enabled, EventType::KeyEnabled),
        (old.expires_at != row.expires_at, EventType::KeyExpiryChanged),
        (old.enforcement != row.enforcement, EventType::KeyEnforcementChanged),
    ];
    for (_, event) in differences.into_iter().filter(|(differs, _)| *differs) {
        change.record(Event::on(event, row))?;
    }
    record_roles(change, &key, &before.1)?;
    key.row.revision = change.revision();
    change.store().update_credential(&key.row)?;
    if key.roles != before.1 {
        change.store().set_roles(key.row.pk, &key.roles)?;
    }
    Ok(key)
}

fn record_roles(change: &mut Change<'_>, key: &ApiKey, before: &[Role]) -> Result<(), Fault> {
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

fn projects_of(roles: &[Role]) -> Vec<Id> {
    let mut projects: Vec<Id> = roles.iter().filter_map(Role::project).collect();
    projects.sort_unstable();
    projects.dedup();
    projects
}

/// Refuses where nobody could manage the organization any more.
fn keep_an_owner(change: &Change<'_>, key: &ApiKey, kept: &[Role]) -> Result<(), Fault> {
    let owner = Role::Organization("ORG_OWNER");
    if !key.row.enabled || !key.roles.contains(&owner) || kept.contains(&owner) {
        return Ok(());
    }
    let rows = change.rows();
    let other = rows.has_other_owner(key.row.organization, key.row.pk, change.now())?;
    match other || rows.has_owner_besides(key.row.organization, 0)? {
        true => Ok(()),
        false => {
            let detail =
                format!("Organization {} would have no owner left; make another one first.", key.row.organization);
            Err(Refusal::new(Code::CannotDeleteLastOwner, detail).with(key.row.organization).into())
        }
    }
}

fn check_description(text: &str) -> Result<(), Fault> {
    let length = text.chars().count();
    match (1..=LONGEST_DESCRIPTION).contains(&length) && !text.chars().any(char::is_control) {
        true => Ok(()),
        false => {
            let wrong = format!("a description has 1 to {LONGEST_DESCRIPTION} characters and no control characters");
            Err(Refusal::field(Code::InvalidAttribute, "desc", wrong).into())
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
