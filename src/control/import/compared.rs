//! What an import would add to a store, or everything that keeps it from being added. Reads, and writes nothing.

use std::sync::Arc;

use super::super::access_lists::check_comment;
use super::super::actor::{Actor, ActorKind};
use super::super::feeds::check_allowed;
use super::super::rights::Rights;
use super::super::service_accounts::{LONGEST_SECRET, check_subject};
use super::super::{Fault, Rules, brought, network_sets};
use super::{Conflict, Imported};
use crate::access::certificate_name::CertificateName;
use crate::access::credential::{CredentialKind, Fingerprint};
use crate::access::digest_secret::DigestSecret;
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{CredentialName, CredentialRecord, OrganizationRecord, TokenSubject};
use crate::access::role::Role;
use crate::access::target::Target;
use crate::clock::Timestamp;
use crate::config::settings::Feeds;
use crate::directory::bulk::Bulk;
use crate::directory::model::{Account, Credential, NetworkSet, Organization};
use crate::directory::sqlite::Rows;
use crate::directory::stored;

/// What is to be added.
pub(super) struct Plan {
    /// For each organization of the import, in its order.
    pub(super) organizations: Vec<Planned>,
    pub(super) imported: Imported,
}

/// What is to be added of one organization.
#[derive(Default)]
pub(super) struct Planned {
    /// `None` where it is new.
    pub(super) row: Option<OrganizationRecord>,
    /// Positions of new projects.
    pub(super) projects: Vec<usize>,
    /// Positions of new network sets.
    pub(super) network_sets: Vec<usize>,
    /// Positions of new keys and service accounts.
    pub(super) credentials: Vec<usize>,
}

struct Comparing<'r> {
    rows: Rows<'r>,
    rights: Rights,
    actor: &'r Actor,
    rules: &'r Rules,
    /// From where network sets may take their networks; `None`: whoever asks may say so.
    feeds: Option<&'r Feeds>,
    bulk: &'r Bulk,
    now: Timestamp,
    has_keys: bool,
    conflicts: Vec<Conflict>,
    imported: Imported,
}

/// Compares everything.
///
/// # Errors
/// The store can't be read, or the actor is nobody any more.
pub(super) fn plan(
    rows: Rows<'_>,
    actor: &Actor,
    (rules, feeds): (&Rules, Option<&Feeds>),
    bulk: &Bulk,
    now: Timestamp,
) -> Result<Result<Plan, Vec<Conflict>>, Fault> {
    let rights = Rights::of(rows, actor)?;
    rights.make_organizations()?;
    let has_keys = rows.has_credentials()?;
    let (conflicts, imported) = (Vec::new(), Imported::default());
    let mut comparing = Comparing { rows, rights, actor, rules, feeds, bulk, now, has_keys, conflicts, imported };
    let mut organizations = Vec::with_capacity(bulk.directory.organizations.len());
    for organization in &bulk.directory.organizations {
        organizations.push(comparing.organization(organization)?);
    }
    let Comparing { conflicts, imported, .. } = comparing;
    Ok(if conflicts.is_empty() { Ok(Plan { organizations, imported }) } else { Err(conflicts) })
}

impl Comparing<'_> {
    fn conflict(&mut self, id: Id, message: impl Into<String>) {
        self.conflicts.push(Conflict { id, network_set: None, message: message.into() });
    }

    /// A conflict of one network set of an organization.
    fn conflict_of_set(&mut self, id: Id, set: &NetworkSet, message: String) {
        self.conflicts.push(Conflict { id, network_set: Some(Arc::clone(&set.name)), message });
    }

    /// What a single call would be refused for is a conflict.
    fn expect<T>(&mut self, id: Id, about: impl FnOnce() -> String, checked: Result<T, Fault>) -> Result<(), Fault> {
        match checked {
            Ok(_) => Ok(()),
            Err(Fault::Refused(refusal)) => {
                self.conflict(id, about() + refusal.detail.trim_end_matches('.'));
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn organization(&mut self, new: &Organization) -> Result<Planned, Fault> {
        let row = self.rows.organization(new.id)?;
        self.imported.organizations.tell(row.is_none());
        match &row {
            Some(row) => match self.rights.own(self.rows, new.id) {
                Ok(_) => self.settings(new, row),
                // Not even whether the rest agrees is for the caller to know.
                Err(Fault::Refused(refusal)) => {
                    self.conflict(new.id, refusal.detail);
                    return Ok(Planned::default());
                }
                Err(fault) => return Err(fault),
            },
            None => {
                self.imported.comes("organization", new.id, &new.name);
                if matches!(self.actor.kind, ActorKind::Credential { .. }) {
                    self.expect(new.id, String::new, brought::expect_manager(new, self.now))?;
                }
            }
        }
        let there = row.as_ref().map(|row| stored::organization(self.rows, row)).transpose()?;
        let projects = self.projects(new, row.as_ref())?;
        let network_sets = self.network_sets(new, there.as_ref())?;
        let (mut credentials, mut keys) = (Vec::new(), 0);
        for (at, key) in new.credentials.iter().enumerate() {
            let is_new = self.credential(new, there.as_ref(), key)?;
            let (count, kind) = match key.kind {
                CredentialKind::ApiKey => (&mut self.imported.keys, "api_key"),
                CredentialKind::ServiceAccount => (&mut self.imported.accounts, "service_account"),
            };
            count.tell(is_new);
            key.access_list.iter().for_each(|_| self.imported.entries.tell(is_new));
            if is_new {
                credentials.push(at);
                keys += u64::from(key.kind == CredentialKind::ApiKey);
                self.imported.comes(kind, key.id, &key.name);
            }
        }
        let accounts = credentials.len() as u64 - keys;
        let limits = self.rules.limits;
        self.limit(new.id, row.as_ref(), CredentialKind::ApiKey, (keys, limits.api_keys_per_organization))?;
        let most = limits.service_accounts_per_organization;
        self.limit(new.id, row.as_ref(), CredentialKind::ServiceAccount, (accounts, most))?;
        Ok(Planned { row, projects, network_sets, credentials })
    }

    fn limit(
        &mut self,
        organization: Id,
        row: Option<&OrganizationRecord>,
        kind: CredentialKind,
        (added, most): (u64, u64),
    ) -> Result<(), Fault> {
        let held = row.map_or(Ok(0), |row| self.rows.count_credentials(row.pk, kind))?;
        if added > 0 && held.saturating_add(added) > most {
            let (what, key) = match kind {
                CredentialKind::ApiKey => ("API keys", "api_keys_per_organization"),
                CredentialKind::ServiceAccount => ("service accounts", "service_accounts_per_organization"),
            };
            let would = held + added;
            let message = format!(
                "organization {organization} would have {would} {what}, more than the {most} that `admin.{key}` allows"
            );
            self.conflict(organization, message);
        }
        Ok(())
    }

    fn settings(&mut self, new: &Organization, row: &OrganizationRecord) {
        let different = [
            ("name", row.name != *new.name),
            ("require_access_list", row.mode != new.mode),
            (
                "max_service_account_secret_validity_in_hours",
                new.secret_hours.is_some_and(|hours| hours != row.secret_hours),
            ),
        ];
        if let Some(names) = named(&different) {
            self.conflict(new.id, format!("organization {} is there with another {names}; {WAY_OUT}", new.id));
        }
    }

    fn projects(&mut self, new: &Organization, row: Option<&OrganizationRecord>) -> Result<Vec<usize>, Fault> {
        let mut added = Vec::new();
        for (at, project) in new.projects.iter().enumerate() {
            let found = self.rows.project(project.id)?;
            self.imported.projects.tell(found.is_none());
            match found {
                Some(found) if found.organization == new.id && found.name == *project.name => {}
                Some(found) if found.organization == new.id => {
                    self.conflict(project.id, format!("project {} is there with another name; {WAY_OUT}", project.id));
                }
                Some(_) => self.conflict(project.id, format!("id {} is taken; give the project its own", project.id)),
                None => {
                    if row.map_or(Ok(false), |row| self.rows.has_project(row.pk, &project.name))? {
                        let message =
                            format!("the organization has a project `{}` under another id; {WAY_OUT}", project.name);
                        self.conflict(project.id, message);
                    }
                    added.push(at);
                    self.imported.comes("project", project.id, &project.name);
                }
            }
        }
        Ok(added)
    }

    fn network_sets(&mut self, new: &Organization, there: Option<&Organization>) -> Result<Vec<usize>, Fault> {
        let mut added = Vec::new();
        let known = there.map_or(&[][..], |there| &there.network_sets);
        for (at, set) in new.network_sets.iter().enumerate() {
            let found = known.iter().find(|one| one.name == set.name);
            self.imported.network_sets.tell(found.is_none());
            match found {
                Some(found) => {
                    // What a source has given since, no file knows.
                    let is_fed = set.source.is_some() && found.source == set.source;
                    let different = [
                        ("networks", !is_fed && sorted_networks(found) != sorted_networks(set)),
                        ("owner", found.owner != set.owner),
                        ("comment", found.comment != set.comment),
                        ("source", found.source != set.source),
                    ];
                    if let Some(names) = named(&different) {
                        let message = format!("network set `{}` is there with another {names}; {WAY_OUT}", set.name);
                        self.conflict_of_set(new.id, set, message);
                    }
                }
                None => {
                    let (has, most) = (set.networks.len(), self.rules.limits.entries_per_list);
                    if has > most {
                        let message = format!(
                            "network set `{}` has {has} networks, more than the {most} that `admin.entries_per_list` allows",
                            set.name
                        );
                        self.conflict_of_set(new.id, set, message);
                    }
                    let content = brought::content(set);
                    let allowed =
                        self.feeds.map_or(Ok(()), |feeds| check_allowed(self.rows, feeds, None, &content.source));
                    for checked in [allowed, network_sets::check_content(content).map(drop)] {
                        match checked {
                            Err(Fault::Refused(refusal)) => {
                                let why = refusal.detail.trim_end_matches('.');
                                self.conflict_of_set(new.id, set, format!("network set `{}`: {why}", set.name));
                            }
                            other => other?,
                        }
                    }
                    added.push(at);
                    self.imported.comes("network_set", new.id, &set.name);
                }
            }
        }
        let (would, most) = ((known.len() + added.len()) as u64, self.rules.limits.network_sets_per_organization);
        if !added.is_empty() && would > most {
            let message = format!(
                "organization {} would have {would} network sets, more than the {most} that are allowed",
                new.id
            );
            self.conflict(new.id, message);
        }
        Ok(added)
    }

    /// Whether a credential is new.
    fn credential(&mut self, of: &Organization, place: Option<&Organization>, new: &Credential) -> Result<bool, Fault> {
        // Nothing of a key has to be looked for in a store that has none.
        if self.has_keys {
            if let Some((place, row)) = place.zip(self.found(of, new)?) {
                self.compare((of, place), new, &row)?;
                return Ok(false);
            }
            if self.rows.has_credential(new.id)? {
                self.conflict(new.id, format!("id {} is taken; give it its own", new.id));
                return Ok(false);
            }
            self.taken(new)?;
        }
        self.agrees(of, place, new)?;
        Ok(true)
    }

    /// The credential of this organization that is meant, where it is there.
    fn found(&self, of: &Organization, new: &Credential) -> Result<Option<CredentialRecord>, Fault> {
        let is_of_it = |row: &CredentialRecord| row.organization == of.id;
        if !self.bulk.is_drawn(new.id) {
            return Ok(self.rows.credential(CredentialName { kind: new.kind, id: new.id })?.filter(is_of_it));
        }
        for secret in &new.fingerprints {
            let pk = self.rows.credential_by_secret(secret)?;
            // In another organization it is not the key that is meant, but one with the same secret.
            if let Some(row) = pk.map_or(Ok(None), |pk| self.rows.credential_by_pk(pk))?.filter(is_of_it) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// What another credential has, no new one may have. Whose it is, is for nobody to learn who does not own it.
    fn taken(&mut self, new: &Credential) -> Result<(), Fault> {
        if let Some(public_key) = new.public_key.as_deref()
            && self.rows.has_public_key(public_key)?
        {
            self.conflict(new.id, format!("public key `{public_key}` is another key's; give each its own"));
        }
        for secret in secrets(new) {
            if self.rows.credential_by_secret(&secret)?.is_some() {
                self.conflict(new.id, "its secret is another credential's already; make a new one");
            }
        }
        if let Some(subject) = new.account.as_ref().and_then(|account| account.about.subject.as_ref())
            && self.rows.has_subject(subject)?
        {
            self.conflict(new.id, "the issuer and subject of its `token` are another service account's already");
        }
        if let Some(certificate) = new.account.as_ref().and_then(certificate)
            && self.rows.has_certificate(certificate)?
        {
            self.conflict(new.id, "its `certificate` is another service account's already");
        }
        Ok(())
    }

    /// Holds a new credential to what the calls are held to that make one.
    fn agrees(&mut self, of: &Organization, place: Option<&Organization>, new: &Credential) -> Result<(), Fault> {
        let (has, most) = (new.access_list.len(), self.rules.limits.entries_per_list);
        if has > most {
            let message =
                format!("the list has {has} entries, more than the {most} that `admin.entries_per_list` allows");
            self.conflict(new.id, message);
        }
        for entry in &new.access_list {
            self.expect(new.id, || format!("entry {}: ", of.target(entry)), check_comment(entry.comment.as_deref()))?;
        }
        if let Some(realm) = &self.rules.digest_realm
            && new.digest.iter().any(|digest| *digest.realm != **realm)
        {
            let message = format!("its HA1s are of another realm than `{realm}`, which is configured; make them anew");
            self.conflict(new.id, message);
        }
        let Some(account) = &new.account else { return Ok(()) };
        self.expect(new.id, String::new, check_subject(account.about.subject.as_ref()))?;
        // Whoever may write the store may bring back what was exported before the limit was.
        if !matches!(self.actor.kind, ActorKind::System(_)) {
            let hours = place.unwrap_or(of).secret_hours.unwrap_or(LONGEST_SECRET);
            let ends = account.secrets.iter().map(|one| one.expires_at);
            self.expect(new.id, String::new, brought::check_ends(ends, hours, self.now))?;
        }
        Ok(())
    }

    fn compare(
        &mut self,
        (of, place): (&Organization, &Organization),
        new: &Credential,
        row: &CredentialRecord,
    ) -> Result<(), Fault> {
        let there = stored::credential(self.rows, place, row)?;
        let accounts = (there.account.as_ref(), new.account.as_ref());
        // What a file leaves out is as it is.
        let is_another = |there: &str, new: &str| !new.is_empty() && there != new;
        let described =
            |(there, new): (&Account, &Account)| is_another(&there.about.description, &new.about.description);
        let different = [
            (if new.account.is_none() { "description" } else { "name" }, is_another(&there.name, &new.name)),
            ("description", accounts.0.zip(accounts.1).is_some_and(described)),
            ("token", accounts.0.map(subject) != accounts.1.map(subject)),
            ("certificate", accounts.0.map(certificate) != accounts.1.map(certificate)),
            ("secrets", client_secrets(&there) != client_secrets(new)),
            ("public_key", there.public_key != new.public_key),
            ("secret_sha256", new.account.is_none() && sorted(&there.fingerprints) != sorted(&new.fingerprints)),
            ("digest", digests(&there) != digests(new)),
            ("enabled", there.enabled != new.enabled),
            ("expires_at", there.expires_at != new.expires_at),
            ("enforcement", there.enforcement != new.enforcement),
            ("roles", roles(&there) != roles(new)),
            ("access_list", entries(place, &there) != entries(of, new)),
        ];
        if let Some(names) = named(&different) {
            let what = if new.account.is_none() { "API key" } else { "service account" };
            self.conflict(new.id, format!("{what} {} is there with another {names}; {WAY_OUT}", row.credential()));
        }
        Ok(())
    }
}

/// What to do about something that is there and different.
const WAY_OUT: &str = "an import changes nothing that is there: leave it out, or make it the same";

/// The names of what is different.
fn named(different: &[(&str, bool)]) -> Option<String> {
    let names: Vec<String> =
        different.iter().filter(|(_, differs)| *differs).map(|(name, _)| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn certificate(account: &Account) -> Option<&CertificateName> {
    account.about.certificate.as_ref()
}

fn subject(account: &Account) -> Option<&TokenSubject> {
    account.about.subject.as_ref()
}

/// The secrets of a service account: what is exchanged, and until when.
fn client_secrets(of: &Credential) -> Vec<([u8; 32], Timestamp)> {
    let secrets = of.account.iter().flat_map(|account| &account.secrets);
    let mut all: Vec<_> = secrets.map(|one| (one.sha256.0, one.expires_at)).collect();
    all.sort_unstable();
    all
}

/// What no other credential may have.
fn secrets(of: &Credential) -> Vec<Fingerprint> {
    match &of.account {
        None => of.fingerprints.clone(),
        Some(account) => account.secrets.iter().map(|one| one.sha256).collect(),
    }
}

fn sorted_networks(set: &NetworkSet) -> Vec<Network> {
    let mut networks = set.networks.clone();
    networks.sort_unstable();
    networks.dedup();
    networks
}

fn sorted(fingerprints: &[Fingerprint]) -> Vec<[u8; 32]> {
    let mut bytes: Vec<[u8; 32]> = fingerprints.iter().map(|one| one.0).collect();
    bytes.sort_unstable();
    bytes
}

/// HA1s, each with the secret that it is of.
fn digests(of: &Credential) -> Vec<(Option<[u8; 32]>, &DigestSecret)> {
    let secret = |at: usize| of.fingerprints.get(at).map(|one| one.0);
    let mut all: Vec<_> = of.digests().map(|(at, digest)| (secret(at), digest)).collect();
    all.sort_unstable_by_key(|(secret, _)| *secret);
    all
}

fn roles(of: &Credential) -> Vec<&Role> {
    let mut roles: Vec<&Role> = of.roles.iter().collect();
    roles.sort_unstable();
    roles
}

fn entries<'c>(of: &Organization, one: &'c Credential) -> Vec<(Target, Timestamp, Option<&'c str>)> {
    let list = of.list(one).into_iter();
    list.map(|(target, entry)| (target, entry.expires_at, entry.comment.as_deref())).collect()
}
