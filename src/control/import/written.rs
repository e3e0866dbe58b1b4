//! Writes what was planned: rows in the order of the import, one event for each key and one for each organization.

use std::fmt::Write as _;

use aws_lc_rs::rand::fill;

use super::super::audit::{Event, EventType};
use super::super::commit::Change;
use super::super::organizations::event_of;
use super::super::service_accounts::LONGEST_SECRET;
use super::super::{Fault, NetworkSetEdit, NewNetworkSet, draw, network_sets, people};
use super::compared::{Plan, Planned};
use super::{Imported, Progress};
use crate::access::credential::AccessListMode;
use crate::access::id::Id;
use crate::access::record::{
    ClientSecretRecord, CredentialRecord, EntryRecord, OrganizationRecord, ProjectRecord, SecretRecord,
};
use crate::directory::bulk::Bulk;
use crate::directory::model::{Admits, ClientSecret, Credential, NetworkSet, Organization};
use crate::directory::sqlite::Inserter;
use crate::problem::{Code, Refusal};

/// What is shown of a private key that nobody here has ever seen.
const UNKNOWN: &str = "********-****-****-************";

/// Keys between two reports of progress.
const STEP: u64 = 1_000;

/// Writes all of it.
pub(super) fn write(
    change: &mut Change<'_>,
    bulk: &Bulk,
    plan: Plan,
    progress: Progress<'_>,
) -> Result<Imported, Fault> {
    let mut ids = Ids::draw(plan.imported.keys.added + plan.imported.accounts.added)?;
    let mut first = None;
    let mut written = 0;
    for (organization, planned) in bulk.directory.organizations.iter().zip(&plan.organizations) {
        let place = place(change, organization, planned)?;
        let mut inserter = change.store().inserter()?;
        let mut entries = 0;
        for at in &planned.credentials {
            let key = &organization.credentials[*at];
            let pk = add(change, &mut inserter, (organization, &place), key, ids.next()?)?;
            first.get_or_insert(pk);
            entries += key.access_list.len();
            written += 1;
            if written % STEP == 0 {
                progress(written);
            }
        }
        drop(inserter);
        let (projects, sets, keys) = (planned.projects.len(), planned.network_sets.len(), planned.credentials.len());
        if planned.row.is_none() || projects + sets + keys > 0 {
            let detail = format!("{projects} projects, {sets} network sets, {keys} credentials, {entries} entries");
            change.record(Event::new(EventType::Imported, organization.id).detail(detail))?;
        }
    }
    progress(written);
    if let Some(pk) = first {
        change.add_credentials_from(pk);
    }
    Ok(plan.imported)
}

/// What credentials of an organization refer to.
struct Place {
    organization: OrganizationRecord,
    /// The numbers of the network sets of the import, in its order.
    sets: Vec<i64>,
}

/// The organization, its projects and its network sets.
fn place(change: &mut Change<'_>, new: &Organization, planned: &Planned) -> Result<Place, Fault> {
    let row = match &planned.row {
        Some(row) => row.clone(),
        None => {
            let mut row = OrganizationRecord {
                pk: 0,
                id: new.id,
                name: new.name.to_string(),
                mode: new.mode,
                secret_hours: new.secret_hours.unwrap_or(LONGEST_SECRET),
                created_at: change.now(),
                revision: change.revision(),
            };
            row.pk = change.store().add_organization(&row)?;
            change.touch_organization(row.id);
            change.record(Event::new(EventType::OrgCreated, row.id).detail(row.name.clone()))?;
            if row.mode != AccessListMode::Off {
                change.record(Event::new(event_of(row.mode), row.id))?;
            }
            people::own_what_was_made(change, &row)?;
            row
        }
    };
    for at in &planned.projects {
        let project = &new.projects[*at];
        let record = ProjectRecord {
            pk: 0,
            id: project.id,
            organization: row.id,
            name: project.name.to_string(),
            created_at: change.now(),
        };
        change.store().add_project(row.pk, &record, change.revision())?;
        change.record(Event::new(EventType::GroupCreated, row.id).in_project(record.id).detail(record.name))?;
    }
    for at in &planned.network_sets {
        let set = &new.network_sets[*at];
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let content =
            NetworkSetEdit { networks: set.networks.clone(), owner: text(&set.owner), comment: text(&set.comment) };
        network_sets::add(change, &row, NewNetworkSet { name: set.name.to_string(), content })?;
    }
    let known = change.rows().network_sets(row.pk)?;
    let number = |set: &NetworkSet| known.iter().find(|one| one.name == set.name).map(|one| one.pk);
    let sets = new.network_sets.iter().map(|set| number(set).ok_or(Fault::Stopping)).collect::<Result<_, _>>()?;
    Ok(Place { organization: row, sets })
}

/// A key with all that belongs to it.
fn add(
    change: &Change<'_>,
    inserter: &mut Inserter<'_>,
    (new, place): (&Organization, &Place),
    key: &Credential,
    event: Id,
) -> Result<i64, Fault> {
    let row = CredentialRecord {
        pk: 0,
        id: key.id,
        organization: new.id,
        kind: key.kind,
        name: key.name.to_string(),
        public_key: key.public_key.as_deref().map(str::to_owned),
        enabled: key.enabled,
        expires_at: key.expires_at,
        enforcement: key.enforcement,
        created_at: change.now(),
        revision: change.revision(),
    };
    let pk = inserter.credential(place.organization.pk, &row)?;
    if let Some(account) = &key.account {
        let secrets = account.secrets.iter().map(|one| client_secret(change, one)).collect::<Result<Vec<_>, _>>()?;
        inserter.account(pk, &account.about, &secrets)?;
    }
    let secrets = if key.account.is_none() { key.fingerprints.as_slice() } else { &[] };
    for (at, fingerprint) in secrets.iter().enumerate() {
        let secret = SecretRecord {
            id: secret_id(at)?,
            fingerprint: *fingerprint,
            digest: key.digest_of(at).cloned(),
            shown: UNKNOWN.to_owned(),
            created_at: change.now(),
        };
        inserter.secret(pk, &secret)?;
    }
    for role in &key.roles {
        inserter.role(pk, role)?;
    }
    for entry in &key.access_list {
        let set = match entry.target {
            Admits::Network(_) => None,
            // A position in this very list, all of which is there by now.
            Admits::Set(at) => Some(place.sets[at as usize]),
        };
        let record = EntryRecord {
            target: new.target(entry),
            comment: entry.comment.as_deref().map(str::to_owned),
            expires_at: entry.expires_at,
            created_at: change.now(),
        };
        inserter.entry(pk, &record, set)?;
    }
    let mut detail = row.name.clone();
    // Writing into a String never fails.
    let _ = write!(detail, "{}({} entries)", if detail.is_empty() { "" } else { " " }, key.access_list.len());
    let event_row = Event::on(EventType::KeyCreated, &row).detail(detail);
    inserter.event(&event_row.row(event, change.actor(), change.now(), change.revision()))?;
    Ok(pk)
}

fn client_secret(change: &Change<'_>, one: &ClientSecret) -> Result<ClientSecretRecord, Fault> {
    let secret = SecretRecord {
        id: one.id.map_or_else(draw::id, Ok)?,
        fingerprint: one.sha256,
        digest: None,
        shown: draw::shown_client_secret("****"),
        created_at: change.now(),
    };
    Ok(ClientSecretRecord { secret, expires_at: one.expires_at, last_used_at: None })
}

/// Secrets of one second are in the order of their ids: the first byte says which came first.
fn secret_id(at: usize) -> Result<Id, Fault> {
    let mut bytes = *draw::id()?.as_bytes();
    bytes[0] = bytes[0] >> 1 | if at == 0 { 0 } else { 0x80 };
    Ok(Id::from_bytes(bytes))
}

/// Ids in ascending order, so that the index of events grows at its end. As random as those that are drawn one by one.
struct Ids(std::vec::IntoIter<[u8; 12]>);

impl Ids {
    fn draw(count: u64) -> Result<Self, Fault> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut bytes = vec![0; count.saturating_mul(12)];
        let failed = |_| Refusal::new(Code::InternalError, "The system gives no random numbers; nothing was changed.");
        fill(&mut bytes).map_err(failed)?;
        let (ids, _) = bytes.as_chunks::<12>();
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        Ok(Self(ids.into_iter()))
    }

    fn next(&mut self) -> Result<Id, Fault> {
        match self.0.next() {
            Some(bytes) => Ok(Id::from_bytes(bytes)),
            None => draw::id(),
        }
    }
}
