//! Writes what was planned: rows in the order of the import, one event for each key and one for each organization.

use aws_lc_rs::rand::fill;

use super::super::audit::{Event, EventType};
use super::super::change::Change;
use super::super::{Fault, NewNetworkSet, brought, draw, network_sets, organizations, people, projects};
use super::compared::{Plan, Planned};
use super::{Imported, Progress};
use crate::access::credential::AccessListMode;
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, OrganizationRecord, ProjectRecord};
use crate::directory::bulk::Bulk;
use crate::directory::model::{Credential, Organization};
use crate::problem::{Code, Refusal};

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
        let mut entries = 0;
        for at in &planned.credentials {
            let key = &organization.credentials[*at];
            let pk = add(change, (organization, &place), key, &mut ids)?;
            first.get_or_insert(pk);
            entries += key.access_list.len();
            written += 1;
            if written % STEP == 0 {
                progress(written);
            }
        }
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

/// The organization, its projects and its network sets.
fn place(change: &mut Change<'_>, new: &Organization, planned: &Planned) -> Result<OrganizationRecord, Fault> {
    let row = match &planned.row {
        Some(row) => row.clone(),
        None => {
            let mut row = organizations::add_as(change, new.id, &new.name, new.mode)?;
            if let Some(hours) = new.secret_hours.filter(|hours| *hours != row.secret_hours) {
                organizations::limit_secrets(change, &mut row, hours)?;
                change.store().update_organization(&row)?;
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
        projects::add(change, &row, record)?;
    }
    for at in &planned.network_sets {
        let set = &new.network_sets[*at];
        let new = NewNetworkSet { name: set.name.to_string(), content: brought::content(set) };
        network_sets::add(change, &row, new)?;
    }
    Ok(row)
}

/// A credential with all that belongs to it.
fn add(
    change: &Change<'_>,
    (new, place): (&Organization, &OrganizationRecord),
    key: &Credential,
    ids: &mut Ids,
) -> Result<i64, Fault> {
    let (store, now) = (change.store(), change.now());
    let mut row = CredentialRecord {
        pk: 0,
        id: key.id,
        organization: new.id,
        kind: key.kind,
        name: brought::name_of(key).to_owned(),
        public_key: key.public_key.as_deref().map(str::to_owned),
        enabled: key.enabled,
        expires_at: key.expires_at,
        enforcement: key.enforcement,
        created_at: now,
        revision: change.revision(),
    };
    row.pk = store.add_credential(place.pk, &row)?;
    match &key.account {
        Some(account) => {
            store.put_account(row.pk, &brought::described(key, &account.about, ""))?;
            for one in &account.secrets {
                store.add_client_secret(row.pk, &brought::client_secret(one, now)?)?;
            }
        }
        None => {
            for at in 0..key.fingerprints.len() {
                store.add_secret(row.pk, &brought::private_key(key, at, now)?)?;
            }
        }
    }
    store.add_roles(row.pk, &key.roles)?;
    for entry in &key.access_list {
        store.put_entry(row.pk, &brought::entry(new, entry, now))?;
    }
    let mut record = |event: Event| -> Result<(), Fault> {
        Ok(store.add_event(&event.row(ids.next()?, change.by(), now, change.revision()))?)
    };
    let many = key.access_list.len();
    let detail = format!("{} ({many} {})", row.name, if many == 1 { "entry" } else { "entries" });
    record(Event::on(EventType::KeyCreated, &row).detail(detail))?;
    if new.mode != AccessListMode::Required && new.covers_a_family(&key.access_list) {
        record(Event::on(EventType::ListCoversEverything, &row))?;
    }
    Ok(row.pk)
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
