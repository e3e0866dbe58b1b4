//! Credentials whose lists only report, and since when nothing that they were used for would have been refused.
//!
//! Judged by what is recorded of each and by its list as it is now: whoever adds an entry need not wait again.

use std::sync::Arc;

use super::guards::admits;
use super::network_sets::{List, Sets};
use super::rights::Rights;
use super::{Actor, Control, Fault};
use crate::access::client_address::ClientAddress;
use crate::access::id::Id;
use crate::access::record::CredentialRecord;
use crate::access::traffic::{Met, Sighting, edges};
use crate::clock::Timestamp;
use crate::directory::sqlite::Rows;

/// A credential whose list only reports.
#[derive(Debug, Clone)]
pub struct Reporting {
    /// The credential.
    pub row: CredentialRecord,
    /// How many entries its list has.
    pub entries: usize,
    /// Since when nothing that passed would have been refused; `None` where nothing is recorded.
    pub quiet_since: Option<Timestamp>,
    /// How many seconds that is.
    pub quiet_for: Option<i64>,
    /// The last that passed and would have been refused.
    pub refusal: Option<Sighting>,
    /// Requests that passed, of those that are remembered.
    pub requests: u64,
}

impl Control {
    /// One page of the credentials of an organization whose lists only report, and how many there are.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn reporting(
        self: &Arc<Self>,
        actor: &Actor,
        organization: Id,
        page: (u64, u64),
    ) -> Result<(Vec<Reporting>, u64), Fault> {
        let (actor, now) = (actor.clone(), self.clock.now());
        self.read(move |rows| {
            let organization = Rights::of(rows, &actor)?.see_all_of(rows, organization)?;
            let recorded = rows.recorded_since()?;
            let (found, total) = rows.reporting(organization.pk, page)?;
            let told = found.into_iter().map(|row| of(rows, row, organization.pk, recorded, now));
            Ok((told.collect::<Result<_, Fault>>()?, total))
        })
        .await
    }
}

fn of(
    rows: Rows<'_>,
    row: CredentialRecord,
    organization: i64,
    recorded: Option<Timestamp>,
    now: Timestamp,
) -> Result<Reporting, Fault> {
    let entries = rows.entries(row.pk)?;
    let sets = Sets::of(rows, organization, &entries)?;
    let list = List::new(&entries, &sets);
    let passed: Vec<Sighting> = rows.traffic(row.pk, now)?.into_iter().filter(|seen| seen.met != Met::Deny).collect();
    let is_admitted = |seen: &Sighting| {
        let addresses = edges(seen.network, list.networks().map(|(network, _)| network));
        addresses.into_iter().all(|address| admits(list, ClientAddress::new(address), now))
    };
    let requests = passed.iter().map(|seen| seen.count).sum();
    let refusal = match list.is_empty() {
        true => None,
        false => passed.into_iter().find(|seen| !is_admitted(seen)),
    };
    let last = refusal.as_ref().map_or(row.created_at, |seen| seen.last.max(row.created_at));
    let quiet_since = recorded.map(|since| since.max(last));
    let quiet_for = quiet_since.map(|since| now.unix_seconds().saturating_sub(since.unix_seconds()).max(0));
    Ok(Reporting { row, entries: entries.len(), quiet_since, quiet_for, refusal, requests })
}
