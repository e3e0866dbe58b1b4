//! API keys of organizations and projects, and their secrets.

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::credentials::{
    Credential, KeyEdit, apply, assign, check_description, check_expiry, delete, find, projects_of, unassign,
};
use super::organizations::expect;
use super::rights::{GrantedRole, Rights};
use super::{Actor, Committed, Control, Fault, Guards, NewEntry, access_lists, draw, recent_use, roles};
use crate::access::credential::{CredentialKind, Enforcement};
use crate::access::digest_secret::MOST_SECRETS;
use crate::access::id::Id;
use crate::access::record::{CredentialName, CredentialRecord, OrganizationRecord, Place, SecretRecord};
use crate::access::usage::CredentialUse;
use crate::clock::Timestamp;
use crate::live::fingerprint;
use crate::problem::{Code, Refusal};

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

/// A key that was just made, with the secret that is shown this once. Has no `Debug`.
#[derive(Clone)]
pub struct ShownOnce {
    /// The key.
    pub key: Credential,
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
    /// One key.
    ///
    /// # Errors
    /// `API_KEY_NOT_FOUND`, also where it is not at this place or the actor may not see it.
    pub async fn api_key(self: &Arc<Self>, actor: &Actor, place: Place, id: Id) -> Result<Credential, Fault> {
        let actor = actor.clone();
        self.read(move |rows| find(rows, &Rights::of(rows, &actor)?, place, CredentialName::api_key(id))).await
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
        guards: Guards,
        (place, id): (Place, Id),
        edit: KeyEdit,
        expected: Option<u64>,
    ) -> Result<Committed<Credential>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let key = find(change.rows(), &rights, place, CredentialName::api_key(id))?;
            expect(expected, key.row.revision)?;
            let roles = match &edit.roles {
                Some(granted) => Some(roles::replaced(change, &rights, place, &key, granted)?),
                None => None,
            };
            // Whoever may change roles on a project may do no more than that with a key that is not theirs alone.
            if edit != (KeyEdit { roles: edit.roles.clone(), ..KeyEdit::default() }) {
                rights.manage_key(change.rows(), &key.row, &key.roles)?;
            }
            recent_use::enforcement(change, guards, &key.row, edit.enforcement)?;
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
            delete(change, &rights, organization, CredentialName::api_key(id))
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
    ) -> Result<Committed<Credential>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let place = rights.administer(change.rows(), project)?;
            assign(change, &rights, &place, CredentialName::api_key(id), &roles)
        })
        .await
    }

    /// Takes every role on a project from a key.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn unassign_api_key(&self, actor: &Actor, project: Id, id: Id) -> Result<Committed<Credential>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            unassign(change, &rights, project, CredentialName::api_key(id))
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
            let mut key = find(change.rows(), &rights, place, CredentialName::api_key(id))?;
            rights.manage_key(change.rows(), &key.row, &key.roles)?;
            if key.secrets.len() >= MOST_SECRETS {
                let detail = format!("API key {id} has {MOST_SECRETS} private keys; delete the old one first.");
                return Err(Refusal::new(Code::LimitReached, detail).with(MOST_SECRETS).into());
            }
            change.touch_credential(key.row.pk)?;
            let secret = add_secret(change, &key.row)?;
            key.row.revision = change.revision();
            change.store().revise_credential(&key.row)?;
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
            let mut key = find(change.rows(), &rights, place, CredentialName::api_key(id))?;
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
            change.store().revise_credential(&key.row)?;
            change.record(Event::on(EventType::SecretDeleted, &key.row).detail(shown))
        })
        .await
    }
}

/// Refuses where an organization has as many keys as it may.
pub(super) fn expect_room(change: &Change<'_>, organization: &OrganizationRecord) -> Result<(), Fault> {
    let most = change.limits().api_keys_per_organization;
    if change.rows().count_credentials(organization.pk, CredentialKind::ApiKey)? >= most {
        let detail = format!("Organization {} has {most} API keys, as many as are allowed.", organization.id);
        return Err(Refusal::new(Code::LimitReached, detail).with(most).into());
    }
    Ok(())
}

/// Makes a key of an organization, with its first private key.
pub(super) fn create(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    new: NewKey,
    project: Option<Id>,
) -> Result<ShownOnce, Fault> {
    expect_room(change, organization)?;
    check_description("desc", &new.description)?;
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
    let entries = change.rows().count_entries(row.pk)?;
    let key = Credential { row, roles, secrets: vec![secret.row], usage: CredentialUse::default(), entries };
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
