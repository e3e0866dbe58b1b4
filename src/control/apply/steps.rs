//! The single steps: what the calls of the API do, with ids and hashes that somebody else has chosen.

use std::sync::Arc;

use super::super::audit::{Event, EventType};
use super::super::change::Change;
use super::super::credentials::{self, KeyEdit, apply, check_description};
use super::super::feeds::check_allowed;
use super::super::network_sets::{self, NewNetworkSet};
use super::super::organizations::check_name;
use super::super::rights::Rights;
use super::super::{Fault, Guards, access_lists, api_keys, brought, projects, recent_use, service_accounts};
use crate::access::credential::CredentialKind;
use crate::access::digest_secret::DigestSecret;
use crate::access::id::Id;
use crate::access::record::{
    AccountRecord, ClientSecretRecord, CredentialName, CredentialRecord, EntryRecord, OrganizationRecord,
    ProjectRecord, SecretRecord,
};
use crate::config::settings::Feeds;
use crate::directory::difference::Action;
use crate::directory::model::{Account, ClientSecret, Credential, Organization};
use crate::problem::{Code, Refusal};

/// The attribute of a directory file that holds credentials of a kind.
pub(super) fn attribute(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::ApiKey => "api_keys",
        CredentialKind::ServiceAccount => "service_accounts",
    }
}

/// An id as a directory file spells it.
pub(super) fn named(kind: CredentialKind, id: Id) -> CredentialName {
    CredentialName { kind, id }
}

/// What a step is about, which `difference` took from this very organization.
fn found<T>(thing: Option<T>) -> Result<T, Fault> {
    thing.ok_or_else(|| Refusal::new(Code::InternalError, "A step is about what is not there.").into())
}

pub(super) fn project(
    change: &mut Change<'_>,
    rights: &Rights,
    row: &OrganizationRecord,
    (new, id): (&Organization, Id),
    action: Action,
) -> Result<(), Fault> {
    if action == Action::Delete {
        return projects::delete(change, rights, id);
    }
    let project = found(new.projects.iter().find(|one| one.id == id))?;
    let record =
        ProjectRecord { pk: 0, id, organization: row.id, name: project.name.to_string(), created_at: change.now() };
    projects::add(change, row, record).map(drop)
}

pub(super) fn network_set(
    change: &mut Change<'_>,
    (guards, feeds): (Guards, &Feeds),
    row: &OrganizationRecord,
    (new, name): (&Organization, &Arc<str>),
    action: Action,
) -> Result<(), Fault> {
    let held = change.rows().network_set(row.pk, name)?;
    let set = || found(new.network_sets.iter().find(|one| one.name == *name));
    match (action, held) {
        (Action::Delete, held) => network_sets::remove(change, &found(held)?),
        (_, Some(held)) => {
            let content = brought::content_of_known(set()?);
            check_allowed(change.rows(), feeds, Some(&held), &content.source)?;
            network_sets::replace(change, guards, row, held, content).map(drop)
        }
        (_, None) => {
            let new = NewNetworkSet { name: name.to_string(), content: brought::content(set()?) };
            check_allowed(change.rows(), feeds, None, &new.content.source)?;
            network_sets::add(change, row, new).map(drop)
        }
    }
}

fn wanted(new: &Organization, kind: CredentialKind, id: Id) -> Result<&Credential, Fault> {
    found(new.credentials.iter().find(|one| one.id == id && one.kind == kind))
}

pub(super) fn create_credential(
    change: &mut Change<'_>,
    rights: &Rights,
    organization: &OrganizationRecord,
    (of, kind, id): (&Organization, CredentialKind, Id),
) -> Result<(), Fault> {
    let new = wanted(of, kind, id)?;
    let name = match (kind, brought::name_of(new)) {
        (CredentialKind::ServiceAccount, name) => {
            service_accounts::expect_room(change, organization)?;
            check_name("name", name)?;
            name
        }
        (CredentialKind::ApiKey, name) => {
            api_keys::expect_room(change, organization)?;
            check_description("description", name)?;
            name
        }
    };
    // An organization that comes into being with it has nobody yet who could grant anything.
    if organization.revision != change.revision() {
        rights.grant(organization.id, None, &new.roles)?;
    }
    let mut row = CredentialRecord {
        pk: 0,
        id,
        organization: organization.id,
        kind,
        name: name.to_owned(),
        public_key: new.public_key.as_deref().map(str::to_owned),
        enabled: new.enabled,
        expires_at: new.expires_at,
        enforcement: new.enforcement,
        created_at: change.now(),
        revision: change.revision(),
    };
    row.pk = change.store().add_credential(organization.pk, &row)?;
    change.touch_credential(row.pk)?;
    change.store().set_roles(row.pk, &new.roles)?;
    if let Some(account) = &new.account {
        service_accounts::check_subject(account.about.subject.as_ref())?;
        change.store().put_account(row.pk, &brought::described(new, &account.about, ""))?;
    }
    secrets(change, &row, new)?;
    change.record(Event::on(EventType::KeyCreated, &row).detail(&row.name))?;
    for project in credentials::projects_of(&new.roles) {
        change.record(Event::on(EventType::KeyAddedToGroup, &row).in_project(project))?;
    }
    let entries = access_list(change, of, new);
    access_lists::begin_with(change, organization, row, entries).map(drop)
}

pub(super) fn update_credential(
    change: &mut Change<'_>,
    rights: &Rights,
    (guards, organization): (Guards, &OrganizationRecord),
    (of, kind, id): (&Organization, CredentialKind, Id),
) -> Result<(), Fault> {
    let new = wanted(of, kind, id)?;
    let before = found(change.rows().credential(named(kind, id))?)?;
    let key = credentials::whole(change.rows(), before.clone())?;
    let differs = |role: &&crate::access::role::Role| new.roles.contains(role) != key.roles.contains(role);
    let changed: Vec<_> = key.roles.iter().chain(&new.roles).filter(differs).cloned().collect();
    if !changed.is_empty() {
        rights.grant(organization.id, Some(id), &changed)?;
    }
    let mut roles = new.roles.clone();
    roles.sort_unstable();
    let roles = (!changed.is_empty()).then_some(roles);
    let edit = KeyEdit {
        description: (!new.name.is_empty()).then(|| new.name.to_string()),
        roles: None,
        enabled: Some(new.enabled),
        expires_at: Some(new.expires_at),
        enforcement: Some(new.enforcement),
    };
    let key = apply(change, key, edit, roles)?;
    let key = match &new.account {
        Some(account) => {
            let description = change.rows().account(key.row.pk)?.description;
            let AccountRecord { description, subject, certificate } =
                brought::described(new, &account.about, &description);
            service_accounts::describe(change, key, Some(description), (Some(subject), Some(certificate)))?
        }
        None => key,
    };
    let mut row = key.row;
    if secrets(change, &row, new)? {
        row.revision = change.revision();
        change.store().revise_credential(&row)?;
    }
    let entries = access_list(change, of, new);
    access_lists::make(change, guards, organization, row, entries)?;
    recent_use::enforcement(change, guards, &before, Some(new.enforcement))
}

fn access_list(change: &Change<'_>, of: &Organization, new: &Credential) -> Vec<EntryRecord> {
    of.list(new).into_values().map(|one| brought::entry(of, one, change.now())).collect()
}

/// Makes the secrets those of the file; tells whether any differed.
fn secrets(change: &mut Change<'_>, row: &CredentialRecord, new: &Credential) -> Result<bool, Fault> {
    match &new.account {
        Some(account) => client_secrets(change, row, account),
        None => key_secrets(change, row, new),
    }
}

fn key_secrets(change: &mut Change<'_>, row: &CredentialRecord, new: &Credential) -> Result<bool, Fault> {
    let whole = |one: &DigestSecret| one.sha256.is_some() && one.md5.is_some();
    if !new.digest.iter().all(whole) || new.digests().any(|(of, _)| of >= new.fingerprints.len()) {
        let wrong =
            "a store keeps both HA1s of a secret, and none without a secret; `portcullis hash --digest` makes them";
        return Err(Refusal::field(Code::InvalidAttribute, "digest", wrong).into());
    }
    if let Some(realm) = change.digest_realm()
        && new.digest.iter().any(|one| *one.realm != *realm)
    {
        let wrong = format!("its HA1s are of another realm than `{realm}`, which is configured; make them anew");
        return Err(Refusal::field(Code::InvalidAttribute, "digest", wrong).into());
    }
    let held = change.rows().secrets(row.pk)?;
    let stays = |one: &SecretRecord| {
        let at = new.fingerprints.iter().position(|fingerprint| fingerprint.0 == one.fingerprint.0);
        at.is_some_and(|at| new.digest_of(at) == one.digest.as_ref())
    };
    let (kept, gone): (Vec<SecretRecord>, Vec<SecretRecord>) = held.into_iter().partition(stays);
    let comes = |fingerprint: &crate::access::credential::Fingerprint| {
        !kept.iter().any(|one| one.fingerprint.0 == fingerprint.0)
    };
    let coming: Vec<usize> = (0..new.fingerprints.len()).filter(|at| comes(&new.fingerprints[*at])).collect();
    if gone.is_empty() && coming.is_empty() {
        return Ok(false);
    }
    change.touch_credential(row.pk)?;
    for secret in &gone {
        change.store().remove_secret(row.pk, secret.id)?;
        change.record(Event::on(EventType::SecretDeleted, row).detail(secret.shown.clone()))?;
    }
    for at in coming {
        let secret = brought::private_key(new, at, change.now())?;
        change.store().add_secret(row.pk, &secret)?;
        if row.revision != change.revision() || !gone.is_empty() {
            change.record(Event::on(EventType::SecretAdded, row).detail(secret.shown))?;
        }
    }
    Ok(true)
}

fn client_secrets(change: &mut Change<'_>, row: &CredentialRecord, account: &Account) -> Result<bool, Fault> {
    let new = &account.secrets;
    let held = change.rows().client_secrets(row.pk)?;
    let is = |one: &ClientSecret, other: &ClientSecretRecord| {
        one.sha256.0 == other.secret.fingerprint.0
            && one.expires_at == other.expires_at
            && one.id.is_none_or(|id| id == other.secret.id)
    };
    let gone: Vec<&ClientSecretRecord> = held.iter().filter(|other| !new.iter().any(|one| is(one, other))).collect();
    let coming: Vec<_> = new.iter().filter(|one| !held.iter().any(|other| is(one, other))).collect();
    if gone.is_empty() && coming.is_empty() {
        return Ok(false);
    }
    let hours = change.rows().organization(row.organization)?.map_or(0, |organization| organization.secret_hours);
    brought::check_ends(coming.iter().map(|one| one.expires_at), hours, change.now())?;
    change.touch_credential(row.pk)?;
    for one in gone {
        change.store().remove_secret(row.pk, one.secret.id)?;
        change.record(Event::on(EventType::SecretDeleted, row).detail(one.secret.shown.clone()))?;
    }
    for one in coming {
        let record = brought::client_secret(one, change.now())?;
        change.store().add_client_secret(row.pk, &record)?;
        change.record(Event::on(EventType::SecretAdded, row).detail(record.secret.shown))?;
    }
    if !account.about.is_spoken_for() && !new.iter().any(|one| one.expires_at > change.now()) {
        // It can do nothing any more: where it was the last owner, nobody can.
        let key = credentials::whole(change.rows(), row.clone())?;
        credentials::keep_an_owner(change, &key.row, &key.roles, &[])?;
    }
    Ok(true)
}
