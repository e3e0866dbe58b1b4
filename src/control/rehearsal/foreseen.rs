//! Looks through what is recorded of the credentials that a change touches, and decides each of it twice.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::rights::Rights;
use super::super::{Actor, Fault};
use super::{Fate, Foreseen, Group, MOST_TOLD, Prospect};
use crate::access::client_address::ClientAddress;
use crate::access::credential::{AccessListMode, Credential, CredentialKind, Fingerprint};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::CredentialRecord;
use crate::access::route::{Route, RouteTable};
use crate::access::snapshot::Snapshot;
use crate::access::traffic::{Met, Sighting};
use crate::clock::Timestamp;
use crate::directory::sqlite::Rows;
use crate::gate::caller::everything;
use crate::gate::foresight::{Turn, Way, Who, addresses, foresee, turn};
use crate::live::fingerprint;

/// What would come of a rehearsed change.
pub(super) fn of(
    prospect: Prospect,
    actor: &Actor,
    routes: &RouteTable,
    patience: Duration,
) -> Result<Foreseen, Fault> {
    let end = Instant::now() + patience;
    let Prospect { now, before, after, touched, guarded, view } = prospect;
    let rows = view.rows();
    let recorded_since = rows.recorded_since()?;
    let (guarded, guards) = guarded;
    let revision = before.revision();
    let mut foreseen = Foreseen { revision, guarded, guards, recorded_since, ..Foreseen::default() };
    let Some(after) = after else { return Ok(foreseen) };
    let rights = Rights::of(rows, actor)?;
    let mut credentials: BTreeSet<i64> = touched.credentials.into_iter().collect();
    for id in touched.organizations {
        let Some(row) = rows.organization(id)? else { continue };
        if mode(&before, id) != mode(&after, id) {
            credentials.extend(rows.credentials_of(row.pk)?);
            continue;
        }
        for (_, name) in touched.network_sets.iter().filter(|(of, _)| *of == id) {
            if let Some(set) = rows.network_set(row.pk, name)? {
                credentials.extend(rows.credentials_of_set(set.pk, u64::MAX >> 1)?);
            }
        }
    }
    let admin = everything();
    let looking = Looking { rows, rights, before: &before, after: &after, routes, admin: &admin, now, end };
    let all = credentials.len();
    for (done, pk) in credentials.into_iter().enumerate() {
        if !looking.look(pk, &mut foreseen)? {
            foreseen.unread = (all - done) as u64;
            break;
        }
    }
    for group in [&mut foreseen.refused, &mut foreseen.allowed, &mut foreseen.reported] {
        group.keep_last();
    }
    Ok(foreseen)
}

fn mode(snapshot: &Snapshot, id: Id) -> Option<AccessListMode> {
    snapshot.organizations().find(|one| one.id() == id).map(|one| one.mode())
}

/// What is looked at, and by what.
struct Looking<'a> {
    rows: Rows<'a>,
    rights: Rights,
    before: &'a Snapshot,
    after: &'a Snapshot,
    routes: &'a RouteTable,
    admin: &'a Route,
    now: Timestamp,
    end: Instant,
}

impl Looking<'_> {
    /// Adds what would become of the recorded requests of a credential; `false` where there is no time for it.
    fn look(&self, pk: i64, foreseen: &mut Foreseen) -> Result<bool, Fault> {
        if Instant::now() >= self.end {
            return Ok(false);
        }
        let seen = self.rows.traffic(pk, self.now)?;
        if seen.is_empty() {
            return Ok(true);
        }
        let Some(row) = self.rows.credential_by_pk(pk)? else { return Ok(true) };
        if !self.rights.owns(row.organization) && !self.rights.sees_key(&row, &self.rows.roles(pk)?) {
            return Ok(true);
        }
        let Some((now_is, would_be)) = self.both(&row)? else { return Ok(true) };
        let networks = match seen.iter().all(|one| one.network.is_host()) {
            true => Vec::new(),
            false => networks(self.before, now_is.1)
                .chain(would_be.iter().flat_map(|one| networks(self.after, one.1)))
                .collect(),
        };
        let who = [now_is.0, would_be.map_or(Who::Unknown, |one| one.0)];
        let row = Arc::new(row);
        let mut fates: [Vec<Fate>; 3] = Default::default();
        for one in &seen {
            let turn = self.turn(one, who, &networks);
            // A network in a long list has very many edges.
            if Instant::now() >= self.end {
                return Ok(false);
            }
            let Some(turn) = turn else { continue };
            let (group, code) = match turn {
                Turn::Refused(code) => (0, Some(code)),
                Turn::Allowed(would) => (1, would),
                Turn::Reported(code) => (2, Some(code)),
            };
            let fate = Fate {
                credential: Arc::clone(&row),
                network: one.network,
                route: Arc::clone(&one.route),
                code,
                count: one.count,
                first: one.first,
                last: one.last,
            };
            add(&mut fates[group], fate);
        }
        foreseen.credentials += 1;
        foreseen.requests += seen.iter().map(|one| one.count).sum::<u64>();
        for (group, fates) in
            [&mut foreseen.refused, &mut foreseen.allowed, &mut foreseen.reported].into_iter().zip(fates)
        {
            group.take(fates);
        }
        Ok(true)
    }

    /// The credential as it is and as it would be. Which of its secrets a request was proven by is not recorded: as long as one
    /// stays, it was that.
    fn both(&self, row: &CredentialRecord) -> Result<Option<(Held<'_>, Option<Held<'_>>)>, Fault> {
        let print = match row.kind {
            CredentialKind::ServiceAccount => Some(fingerprint::of_client(row.id)),
            CredentialKind::ApiKey => self.rows.secrets(row.pk)?.first().map(|secret| secret.fingerprint),
        };
        let Some(print) = print else { return Ok(None) };
        let Some(is) = self.before.find(&print) else { return Ok(None) };
        let held = |print: &Fingerprint| {
            let found = self.after.find(print).filter(|one| one.id() == row.id)?;
            Some(Held(Who::Credential(*print), found))
        };
        Ok(Some((Held(Who::Credential(print), is), is.fingerprints().find_map(held))))
    }

    /// How requests that are alike fare otherwise; what is said is worth nothing once the time is over.
    fn turn(&self, seen: &Sighting, [is, would_be]: [Who; 2], networks: &[Network]) -> Option<Turn> {
        let way = Way::recorded(&seen.route, self.routes, self.admin);
        let in_time = |_: &IpAddr| Instant::now() < self.end;
        let all =
            addresses(seen.network, networks.iter().copied()).into_iter().take_while(in_time).flat_map(|address| {
                let client = ClientAddress::new(address);
                way.matches().map(move |route| {
                    let before = foresee(self.before, is, client, route, self.now);
                    (before, foresee(self.after, would_be, client, route, self.now))
                })
            });
        turn(seen.met != Met::Deny, all)
    }
}

/// A credential of a snapshot, and what finds it there.
struct Held<'s>(Who, &'s Arc<Credential>);

/// The networks that the list of a credential names, by itself or by sets.
fn networks<'s>(snapshot: &'s Snapshot, credential: &'s Credential) -> impl Iterator<Item = Network> + 's {
    let sets = snapshot.organization_of(credential).sets();
    let of_sets = credential.list().set_entries().iter().filter_map(|entry| sets.get(entry.set as usize));
    let of_sets = of_sets.flat_map(|set| set.networks.entries());
    credential.list().entries().chain(of_sets).map(|entry| entry.network)
}

/// Adds to what is told of a credential: what was recorded apart and fares alike is one.
fn add(fates: &mut Vec<Fate>, new: Fate) {
    let is_like = |one: &&mut Fate| one.network == new.network && one.route == new.route && one.code == new.code;
    match fates.iter_mut().find(is_like) {
        Some(one) => {
            one.count += new.count;
            (one.first, one.last) = (one.first.min(new.first), one.last.max(new.last));
        }
        None => fates.push(new),
    }
}

impl Group {
    fn take(&mut self, fates: Vec<Fate>) {
        self.credentials += u64::from(!fates.is_empty());
        self.total += fates.len() as u64;
        self.requests += fates.iter().map(|one| one.count).sum::<u64>();
        self.fates.extend(fates);
        if self.fates.len() >= 2 * MOST_TOLD {
            self.keep_last();
        }
    }

    fn keep_last(&mut self) {
        self.fates.sort_by_key(|one| (Reverse(one.last), one.credential.pk, one.network));
        self.fates.truncate(MOST_TOLD);
    }
}
