//! One cell: what was seen of one credential since it was last looked at.
//!
//! Holds one entry and one address without a block of memory of its own, as nearly every credential has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::access::client_address::ClientAddress;
use crate::access::network::Network;
use crate::access::target::Target;
use crate::access::traffic::{self, MOST_SIGHTINGS, Met, RouteName, Sighting};
use crate::access::usage::{EntryUse, LastUse, MOST_ADDRESSES};
use crate::clock::Timestamp;
use crate::problem::Code;

/// Entries that are looked through one by one; more of them are hashed.
const FEW: usize = 8;

/// A request that was refused, or would have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DenialSeen {
    /// With which code.
    pub code: Code,
    /// From where, where that could be told.
    pub address: Option<ClientAddress>,
    /// When.
    pub at: Timestamp,
    /// Whether it was refused.
    pub enforced: bool,
}

/// An entry as a decision names it. The name of a set is shared by all workers; counting one more use must not write to it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named<'s> {
    Network(Network),
    Set(&'s Arc<str>),
}

impl Named<'_> {
    fn is(self, known: &Target) -> bool {
        match (self, known) {
            (Self::Network(one), Target::Network(other)) => one == *other,
            (Self::Set(one), Target::Set(other)) => Arc::ptr_eq(one, other) || one == other,
            _ => false,
        }
    }

    fn owned(self) -> Target {
        match self {
            Self::Network(network) => Target::Network(network),
            Self::Set(name) => Target::Set(Arc::clone(name)),
        }
    }
}

/// What was seen of one credential.
#[derive(Debug, Default)]
pub struct Seen {
    /// Newest first, each address once.
    recent: SmallVec<[LastUse; 1]>,
    few: SmallVec<[(Target, EntryUse); 1]>,
    more: Option<HashMap<Target, EntryUse>>,
    denial: Option<DenialSeen>,
    traffic: Vec<Sighting>,
    uses: u64,
}

impl Seen {
    /// Requests that passed.
    pub fn uses(&self) -> u64 {
        self.uses
    }

    /// The last uses from up to [`MOST_ADDRESSES`] addresses, newest first.
    pub fn recent(&self) -> &[LastUse] {
        &self.recent
    }

    /// The entries that admitted something, and how often.
    pub fn entries(&self) -> impl Iterator<Item = (&Target, &EntryUse)> {
        self.few.iter().map(|(entry, used)| (entry, used)).chain(self.more.iter().flat_map(|more| more.iter()))
    }

    /// The last denial.
    pub fn denial(&self) -> Option<DenialSeen> {
        self.denial
    }

    /// The requests, those that are alike together.
    pub fn traffic(&self) -> &[Sighting] {
        &self.traffic
    }

    /// Forgets an entry that is there no more; one of the same name begins anew.
    pub fn forget(&mut self, gone: &Target) {
        self.few.retain(|(entry, _)| entry != gone);
        if let Some(more) = &mut self.more {
            more.remove(gone);
        }
    }

    pub(super) fn used(&mut self, entry: Option<Named<'_>>, used: LastUse) {
        self.uses += 1;
        self.remember(used);
        let Some(entry) = entry else { return };
        match self.few.iter_mut().find(|(known, _)| entry.is(known)) {
            Some((_, known)) => *known = EntryUse { count: known.count + 1, last: used },
            None => self.add(entry.owned(), EntryUse { count: 1, last: used }),
        }
    }

    pub(super) fn denied(&mut self, denial: DenialSeen) {
        self.denial = Some(denial);
    }

    pub(super) fn met(&mut self, met: Met, code: &'static str, route: RouteName<'_>, used: LastUse) {
        let network = Network::host(used.address.ip());
        let is_it =
            |one: &&mut Sighting| one.network == network && one.met == met && one.code == code && route.is(&one.route);
        if let Some(known) = self.traffic.iter_mut().find(is_it) {
            known.count += 1;
            (known.first, known.last) = (known.first.min(used.at), known.last.max(used.at));
            return;
        }
        let (first, last) = (used.at, used.at);
        self.see(Sighting { network, met, code: code.into(), route: route.text(), first, last, count: 1 });
    }

    fn see(&mut self, new: Sighting) {
        traffic::add(&mut self.traffic, new);
        if self.traffic.len() > MOST_SIGHTINGS {
            traffic::bound(&mut self.traffic);
        }
    }

    /// Adds what was seen elsewhere.
    pub(super) fn merge(&mut self, other: Self) {
        self.uses += other.uses;
        // Of two uses in one second what was drained later counts as later: sorting is stable.
        for used in std::mem::replace(&mut self.recent, other.recent) {
            match self.recent.iter_mut().find(|known| known.address == used.address) {
                Some(known) => known.at = known.at.max(used.at),
                None => self.recent.push(used),
            }
        }
        self.recent.sort_by_key(|used| std::cmp::Reverse(used.at));
        self.recent.truncate(MOST_ADDRESSES);
        let more = other.more.into_iter().flat_map(|more| more.into_iter());
        for (entry, used) in other.few.into_iter().chain(more) {
            self.add(entry, used);
        }
        other.traffic.into_iter().for_each(|one| self.see(one));
        if let Some(denial) = other.denial
            && self.denial.is_none_or(|known| known.at <= denial.at)
        {
            self.denial = Some(denial);
        }
    }

    /// The newest address comes first; nearly always it is there already.
    fn remember(&mut self, used: LastUse) {
        match self.recent.iter().position(|known| known.address == used.address) {
            Some(at) => self.recent[..=at].rotate_right(1),
            None => {
                self.recent.truncate(MOST_ADDRESSES - 1);
                self.recent.insert(0, used);
            }
        }
        self.recent[0] = used;
    }

    fn add(&mut self, entry: Target, more: EntryUse) {
        let place = self.few.iter().position(|(known, _)| *known == entry);
        let known = match place {
            Some(at) => &mut self.few[at].1,
            None if self.few.len() < FEW => return self.few.push((entry, more)),
            None => match self.more.get_or_insert_default().entry(entry) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => {
                    free.insert(more);
                    return;
                }
            },
        };
        known.count += more.count;
        if known.last.at <= more.last.at {
            known.last = more.last;
        }
    }
}
