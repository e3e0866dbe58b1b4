//! Service accounts of organizations and projects, and the secrets that are exchanged for their tokens.

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::credentials::{self, Credential, KeyEdit, apply, check_description, check_expiry, find, keep_an_owner};
use super::organizations::{check_name, expect};
use super::rights::{GrantedRole, Rights, no_project};
use super::{Actor, Committed, Control, Fault, Guards, NewEntry, access_lists, draw, recent_use, roles};
use crate::access::certificate_name::CertificateName;
use crate::access::client_id::ClientId;
use crate::access::credential::{CredentialKind, Enforcement};
use crate::access::digest_secret::MOST_SECRETS;
use crate::access::id::Id;
use crate::access::record::{
    AccountRecord, ClientSecretRecord, CredentialName, CredentialRecord, CredentialSearch, LONGEST_SECRET_HOURS,
    OrganizationRecord, Place, SHORTEST_SECRET_HOURS, SecretRecord, TokenSubject,
};
use crate::access::role::Role;
use crate::access::usage::CredentialUse;
use crate::clock::Timestamp;
use crate::directory::sqlite::{Rows, StoreFault};
use crate::live::fingerprint;
use crate::problem::{Code, Refusal};

/// Fewest and most hours that a secret may be made to last.
const SHORTEST_SECRET: u32 = SHORTEST_SECRET_HOURS;
pub(super) const LONGEST_SECRET: u32 = LONGEST_SECRET_HOURS;

/// Seconds that the old secret works at most, once there is a new one.
const OVERLAP: i64 = 7 * 24 * 3600;

/// Longest issuer or subject of foreign tokens, in characters.
const LONGEST_SUBJECT: usize = 1024;

/// A service account as it is shown.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// The account.
    pub row: CredentialRecord,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Description, and who speaks for it.
    pub about: AccountRecord,
    /// What is exchanged for its tokens, without what is secret.
    pub secrets: Vec<ClientSecretRecord>,
    /// How it was used, up to a few seconds ago.
    pub usage: CredentialUse,
    /// How many entries its list has.
    pub entries: u64,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it may do.
    pub roles: Vec<GrantedRole>,
    /// Hours that its first secret lasts; `None`: it has none.
    pub secret_hours: Option<u32>,
    /// Whose foreign tokens speak for it.
    pub subject: Option<TokenSubject>,
    /// Which client certificates speak for it.
    pub certificate: Option<CertificateName>,
    /// When it stops working; [`Timestamp::NEVER`] where it does not.
    pub expires_at: Timestamp,
    /// Whether its list refuses.
    pub enforcement: Enforcement,
    /// Its first access list.
    pub entries: Vec<NewEntry>,
}

/// What is to be changed of an account; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountEdit {
    /// What it has in common with keys; the description is its name.
    pub common: KeyEdit,
    /// Another description.
    pub description: Option<String>,
    /// Other foreign tokens, or none.
    pub subject: Option<Option<TokenSubject>>,
    /// Other client certificates, or none.
    pub certificate: Option<Option<CertificateName>>,
}

/// A secret that was just made. Has no `Debug`.
#[derive(Clone)]
pub struct NewClientSecret {
    /// Its row.
    pub row: ClientSecretRecord,
    /// The secret, shown this once.
    pub secret: String,
}

impl Control {
    /// One page of the service accounts of an organization or project that a search finds, and how many there are.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn service_accounts(
        self: &Arc<Self>,
        actor: &Actor,
        place: Place,
        search: CredentialSearch,
        page: (u64, u64),
    ) -> Result<(Vec<ServiceAccount>, u64), Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            rights.see_credentials_of(rows, place)?;
            let (accounts, total) = rows.credentials(CredentialKind::ServiceAccount, place, &search, page)?;
            let accounts = accounts.into_iter().map(|row| whole(rows, row)).collect::<Result<_, _>>()?;
            Ok((accounts, total))
        })
        .await
    }

    /// One service account.
    ///
    /// # Errors
    /// `SERVICE_ACCOUNT_NOT_FOUND`, also where it is not at this place or the actor may not see it.
    pub async fn service_account(
        self: &Arc<Self>,
        actor: &Actor,
        place: Place,
        client: ClientId,
    ) -> Result<ServiceAccount, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let found = find(rows, &Rights::of(rows, &actor)?, place, CredentialName::service_account(client))?;
            Ok(with_account(rows, found)?)
        })
        .await
    }

    /// Makes a service account.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn create_service_account(
        &self,
        actor: &Actor,
        place: Place,
        new: NewAccount,
    ) -> Result<Committed<(ServiceAccount, Option<NewClientSecret>)>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let (organization, project) = match place {
                Place::Organization(id) => (rights.own(change.rows(), id)?, None),
                Place::Project(id) => {
                    let project = rights.administer(change.rows(), id)?;
                    let owner = change.rows().organization(project.organization)?;
                    (owner.ok_or_else(|| no_project(id))?, Some(id))
                }
            };
            create(change, &organization, new, project)
        })
        .await
    }

    /// Changes a service account.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn edit_service_account(
        &self,
        actor: &Actor,
        guards: Guards,
        (place, client): (Place, ClientId),
        edit: AccountEdit,
        expected: Option<u64>,
    ) -> Result<Committed<ServiceAccount>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let key = find(change.rows(), &rights, place, CredentialName::service_account(client))?;
            expect(expected, key.row.revision)?;
            let roles = match &edit.common.roles {
                Some(granted) => Some(roles::replaced(change, &rights, place, &key, granted)?),
                None => None,
            };
            // Whoever may change roles on a project may do no more than that with an account that is not theirs alone.
            let roles_alone = KeyEdit { roles: edit.common.roles.clone(), ..KeyEdit::default() };
            if edit != (AccountEdit { common: roles_alone, ..AccountEdit::default() }) {
                rights.manage_key(change.rows(), &key.row, &key.roles)?;
            }
            recent_use::enforcement(change, guards, &key.row, edit.common.enforcement)?;
            let key = apply(change, key, edit.common, roles)?;
            let key = describe(change, key, edit.description, (edit.subject, edit.certificate))?;
            Ok(with_account(change.rows(), key)?)
        })
        .await
    }

    /// Deletes a service account; its tokens prove nothing from then on.
    ///
    /// # Errors
    /// `CANNOT_DELETE_LAST_OWNER`, or another [`Fault`].
    pub async fn delete_service_account(
        &self,
        actor: &Actor,
        organization: Id,
        client: ClientId,
    ) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            credentials::delete(change, &rights, organization, CredentialName::service_account(client))
        })
        .await
    }

    /// Gives a service account of the organization roles on a project.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn assign_service_account(
        &self,
        actor: &Actor,
        project: Id,
        client: ClientId,
        roles: Vec<GrantedRole>,
    ) -> Result<Committed<ServiceAccount>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let place = rights.administer(change.rows(), project)?;
            let name = CredentialName::service_account(client);
            let key = credentials::assign(change, &rights, &place, name, &roles)?;
            Ok(with_account(change.rows(), key)?)
        })
        .await
    }

    /// Takes every role on a project from a service account.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn unassign_service_account(
        &self,
        actor: &Actor,
        project: Id,
        client: ClientId,
    ) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            credentials::unassign(change, &rights, project, CredentialName::service_account(client)).map(drop)
        })
        .await
    }

    /// Gives a service account another secret; the one that it has ends within seven days.
    ///
    /// # Errors
    /// `LIMIT_REACHED` where it has two, or another [`Fault`].
    pub async fn add_client_secret(
        &self,
        actor: &Actor,
        place: Place,
        client: ClientId,
        hours: u32,
    ) -> Result<Committed<NewClientSecret>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let key = find(change.rows(), &rights, place, CredentialName::service_account(client))?;
            rights.manage_key(change.rows(), &key.row, &key.roles)?;
            if key.secrets.len() >= MOST_SECRETS {
                let detail = format!("Service account {client} has {MOST_SECRETS} secrets; delete the old one first.");
                return Err(Refusal::new(Code::LimitReached, detail).with(MOST_SECRETS).into());
            }
            let organization = change.rows().organization(key.row.organization)?;
            let most = organization.map_or(LONGEST_SECRET, |row| row.secret_hours);
            check_hours(HOURS, hours, most)?;
            change.touch_credential(key.row.pk)?;
            let overlap = Timestamp::from_unix_seconds(change.now().unix_seconds().saturating_add(OVERLAP));
            change.store().cap_client_secrets(key.row.pk, overlap)?;
            let made = add_secret(change, &key.row, hours)?;
            finish(change, key.row, (EventType::SecretAdded, made.row.secret.shown.clone()))?;
            Ok(made)
        })
        .await
    }

    /// Takes a secret from a service account; its tokens prove nothing from then on.
    ///
    /// # Errors
    /// `CANNOT_DELETE_LAST_OWNER`, or another [`Fault`].
    pub async fn delete_client_secret(
        &self,
        actor: &Actor,
        place: Place,
        client: ClientId,
        secret: Id,
    ) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let key = find(change.rows(), &rights, place, CredentialName::service_account(client))?;
            rights.manage_key(change.rows(), &key.row, &key.roles)?;
            let found = key.secrets.iter().find(|one| one.id == secret);
            let shown = found.map(|one| one.shown.clone()).ok_or_else(|| {
                let detail = format!("Service account {client} has no secret {secret}.");
                Refusal::new(Code::SecretNotFound, detail).with(secret)
            })?;
            change.touch_credential(key.row.pk)?;
            change.store().remove_secret(key.row.pk, secret)?;
            let left = change.rows().client_secrets(key.row.pk)?;
            let works = left.iter().any(|one| one.expires_at > change.now());
            if !works && !change.rows().account(key.row.pk)?.is_spoken_for() {
                // It can do nothing any more: where it was the last owner, nobody can.
                keep_an_owner(change, &key.row, &key.roles, &[])?;
            }
            finish(change, key.row, (EventType::SecretDeleted, shown))
        })
        .await
    }
}

/// What a request calls the hours that a secret lasts.
const HOURS: &str = "secretExpiresAfterHours";

/// Refuses a life of secrets that is too short or too long.
pub(super) fn check_hours(field: &str, hours: u32, most: u32) -> Result<(), Fault> {
    match (SHORTEST_SECRET..=most).contains(&hours) {
        true => Ok(()),
        false => {
            let wrong = format!("`{hours}` is not between {SHORTEST_SECRET} and {most}");
            Err(Refusal::field(Code::InvalidAttribute, field, wrong).into())
        }
    }
}

fn whole(rows: Rows<'_>, row: CredentialRecord) -> Result<ServiceAccount, StoreFault> {
    with_account(rows, credentials::whole(rows, row)?)
}

fn with_account(rows: Rows<'_>, key: Credential) -> Result<ServiceAccount, StoreFault> {
    let Credential { row, roles, usage, entries, .. } = key;
    Ok(ServiceAccount {
        about: rows.account(row.pk)?,
        secrets: rows.client_secrets(row.pk)?,
        row,
        roles,
        usage,
        entries,
    })
}

/// Refuses where an organization has as many accounts as it may.
pub(super) fn expect_room(change: &Change<'_>, organization: &OrganizationRecord) -> Result<(), Fault> {
    let most = change.limits().service_accounts_per_organization;
    if change.rows().count_credentials(organization.pk, CredentialKind::ServiceAccount)? >= most {
        let detail = format!("Organization {} has {most} service accounts, as many as are allowed.", organization.id);
        return Err(Refusal::new(Code::LimitReached, detail).with(most).into());
    }
    Ok(())
}

pub(super) fn create(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    new: NewAccount,
    project: Option<Id>,
) -> Result<(ServiceAccount, Option<NewClientSecret>), Fault> {
    expect_room(change, organization)?;
    check_name("name", &new.name)?;
    check_description("description", &new.description)?;
    check_expiry(new.expires_at, change.now())?;
    check_subject(new.subject.as_ref())?;
    if let Some(hours) = new.secret_hours {
        check_hours(HOURS, hours, organization.secret_hours)?;
    }
    let roles = roles::parsed(change.rows(), organization.id, project, &new.roles)?;
    Rights::of(change.rows(), change.actor())?.grant(organization.id, None, &roles)?;
    let mut row = CredentialRecord {
        pk: 0,
        id: draw::id()?,
        organization: organization.id,
        kind: CredentialKind::ServiceAccount,
        name: new.name,
        public_key: None,
        enabled: true,
        expires_at: new.expires_at,
        enforcement: new.enforcement,
        created_at: change.now(),
        revision: change.revision(),
    };
    row.pk = change.store().add_credential(organization.pk, &row)?;
    change.touch_credential(row.pk)?;
    change.store().set_roles(row.pk, &roles)?;
    let about = AccountRecord { description: new.description, subject: new.subject, certificate: new.certificate };
    change.store().put_account(row.pk, &about)?;
    let secret = new.secret_hours.map(|hours| add_secret(change, &row, hours)).transpose()?;
    change.record(Event::on(EventType::KeyCreated, &row).detail(&row.name))?;
    for project in credentials::projects_of(&roles) {
        change.record(Event::on(EventType::KeyAddedToGroup, &row).in_project(project))?;
    }
    let row = access_lists::begin(change, organization, row, new.entries)?;
    Ok((whole(change.rows(), row)?, secret))
}

pub(super) fn add_secret(
    change: &Change<'_>,
    account: &CredentialRecord,
    hours: u32,
) -> Result<NewClientSecret, Fault> {
    let secret = draw::client_secret()?;
    let life = i64::from(hours) * 3600;
    let row = ClientSecretRecord {
        secret: SecretRecord {
            id: draw::id()?,
            fingerprint: fingerprint::of_key(secret.as_bytes()),
            digest: None,
            shown: draw::shown_client_secret(&secret),
            created_at: change.now(),
        },
        expires_at: Timestamp::from_unix_seconds(change.now().unix_seconds().saturating_add(life)),
        last_used_at: None,
    };
    change.store().add_client_secret(account.pk, &row)?;
    Ok(NewClientSecret { row, secret })
}

/// Writes another description or other speakers, and records it.
pub(super) fn describe(
    change: &mut Change<'_>,
    key: Credential,
    description: Option<String>,
    (subject, certificate): (Option<Option<TokenSubject>>, Option<Option<CertificateName>>),
) -> Result<Credential, Fault> {
    let before = change.rows().account(key.row.pk)?;
    let after = AccountRecord {
        description: description.unwrap_or_else(|| before.description.clone()),
        subject: subject.unwrap_or_else(|| before.subject.clone()),
        certificate: certificate.unwrap_or_else(|| before.certificate.clone()),
    };
    if after == before {
        return Ok(key);
    }
    check_description("description", &after.description)?;
    check_subject(after.subject.as_ref())?;
    change.touch_credential(key.row.pk)?;
    change.store().put_account(key.row.pk, &after)?;
    if after.description != before.description {
        change.record(Event::on(EventType::KeyDescriptionChanged, &key.row))?;
    }
    if after.subject != before.subject {
        change.record(Event::on(EventType::SubjectChanged, &key.row))?;
    }
    if after.certificate != before.certificate {
        let told = after.certificate.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        change.record(Event::on(EventType::CertificateChanged, &key.row).detail(told))?;
    }
    if before.is_spoken_for() && !after.is_spoken_for() {
        let works = change.rows().client_secrets(key.row.pk)?.iter().any(|one| one.expires_at > change.now());
        if !works {
            keep_an_owner(change, &key.row, &key.roles, &[])?;
        }
    }
    let mut row = key.row;
    row.revision = change.revision();
    change.store().revise_credential(&row)?;
    Ok(Credential { row, ..key })
}

/// The last words of a change of an account's secrets.
fn finish(
    change: &mut Change<'_>,
    mut row: CredentialRecord,
    (event, detail): (EventType, String),
) -> Result<(), Fault> {
    row.revision = change.revision();
    change.store().revise_credential(&row)?;
    change.record(Event::on(event, &row).detail(detail))
}

pub(super) fn check_subject(subject: Option<&TokenSubject>) -> Result<(), Fault> {
    let Some(TokenSubject { issuer, subject }) = subject else { return Ok(()) };
    for (field, text) in [("token.issuer", issuer), ("token.subject", subject)] {
        let length = text.chars().count();
        if !(1..=LONGEST_SUBJECT).contains(&length) || text.chars().any(char::is_control) {
            let wrong = format!(
                "1 to {LONGEST_SUBJECT} characters, none of them a control character; write it exactly as tokens carry it"
            );
            return Err(Refusal::field(Code::InvalidAttribute, field, wrong).into());
        }
    }
    Ok(())
}
