//! Whose turn it is to be asked: few at a time, fewer of one organization and of one host, and first of the organization that
//! has waited longest, so that nobody's slow source is anybody else's (threats.md S4).
//!
//! Asks nobody and reads nothing: it counts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::DueFeed;
use crate::access::id::Id;

/// Lists that are read at a time.
const AT_ONCE: usize = 8;
/// Of one organization, each from another host.
const OF_ORGANIZATION: usize = 2;
/// Of one host.
const OF_HOST: usize = 2;

/// A source that waits to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The store's number of the set.
    pub(super) set: i64,
    /// Whose it is.
    pub(super) organization: Id,
    /// Whom it is about, as [`DueFeed::host`] has it.
    pub(super) host: Arc<str>,
}

/// What is under way, and who was last.
#[derive(Debug, Default)]
pub struct Turns {
    under_way: Vec<Waiting>,
    /// The number of the last choice of each organization that waits.
    chosen: HashMap<Id, u64>,
    choices: u64,
}

impl Turns {
    /// Whether nothing more is begun until something ends.
    pub(super) fn are_taken(&self) -> bool {
        self.under_way.len() >= AT_ONCE
    }

    /// Those that are asked now, of all that wait, the longest first.
    pub(super) fn choose(&self, waiting: Vec<Waiting>) -> Vec<Waiting> {
        let (mut chosen, mut taken) = (self.chosen.clone(), self.under_way.clone());
        let (mut made, mut waiting) = (self.choices, waiting);
        let mut found = Vec::new();
        while taken.len() < AT_ONCE {
            let may = |one: &Waiting| {
                let of_organization = taken.iter().filter(|other| other.organization == one.organization);
                let of_host = taken.iter().filter(|other| other.host == one.host);
                of_organization.clone().count() < OF_ORGANIZATION
                    && of_host.count() < OF_HOST
                    && of_organization.clone().all(|other| other.host != one.host && other.set != one.set)
            };
            let all = waiting.iter().enumerate().filter(|(_, one)| may(one));
            let next = all.min_by_key(|(at, one)| (chosen.get(&one.organization).copied().unwrap_or(0), *at));
            let Some(at) = next.map(|(at, _)| at) else { break };
            let one = waiting.remove(at);
            made += 1;
            chosen.insert(one.organization, made);
            taken.push(one.clone());
            found.push(one);
        }
        found
    }

    /// One is asked from now on.
    pub(super) fn begin(&mut self, due: &DueFeed) {
        self.choices += 1;
        self.chosen.insert(due.organization, self.choices);
        self.under_way.push(Waiting { set: due.set, organization: due.organization, host: Arc::clone(&due.host) });
    }

    /// Forgets who does not wait any more.
    pub(super) fn keep(&mut self, waiting: &[Waiting]) {
        let those: HashSet<Id> = waiting.iter().map(|one| one.organization).collect();
        self.chosen.retain(|organization, _| those.contains(organization));
    }

    /// Something has come of one, or never will.
    pub fn end(&mut self, due: &DueFeed) {
        self.under_way.retain(|one| one.set != due.set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(set: i64, organization: u8, host: &str) -> Waiting {
        Waiting { set, organization: Id::from_bytes([organization; 12]), host: host.into() }
    }

    /// The sets that are chosen, which are under way from then on.
    fn chosen(turns: &mut Turns, waiting: &[Waiting]) -> Vec<i64> {
        turns.keep(waiting);
        let found = turns.choose(waiting.to_vec());
        for one in &found {
            turns.choices += 1;
            turns.chosen.insert(one.organization, turns.choices);
            turns.under_way.push(one.clone());
        }
        found.iter().map(|one| one.set).collect()
    }

    fn ended(turns: &mut Turns, set: i64) {
        turns.under_way.retain(|one| one.set != set);
    }

    #[test]
    fn s4_a_host_that_hangs_takes_one_place_of_an_organization_and_two_of_all() {
        let mut turns = Turns::default();
        let mut all: Vec<Waiting> = (0..20).map(|set| waiting(set, 1, "hangs")).collect();
        all.extend((20..40).map(|set| waiting(set, 2, "hangs")));
        all.extend((40..60).map(|set| waiting(set, 3, "hangs")));
        assert_eq!(chosen(&mut turns, &all), [0, 20]);
        // What is under way is not begun again, whoever wishes it.
        assert_eq!(chosen(&mut turns, &all), [0_i64; 0]);
        all.push(waiting(60, 1, "answers"));
        all.push(waiting(61, 1, "other"));
        all.push(waiting(62, 3, "third"));
        assert_eq!(chosen(&mut turns, &all), [62, 60]);
        ended(&mut turns, 0);
        // Of those that wait for it, the one that has had no turn for longest.
        assert_eq!(chosen(&mut turns, &all), [40, 61]);
        ended(&mut turns, 20);
        assert_eq!(chosen(&mut turns, &all), [20]);
    }

    #[test]
    fn s4_organizations_take_turns_however_many_sets_one_has() {
        let mut turns = Turns::default();
        let host = |set: i64| format!("host-{set}");
        let mut all: Vec<Waiting> = (0..100).map(|set| waiting(set, 1, &host(set))).collect();
        all.extend((100..109).map(|set| waiting(set, u8::try_from(set).unwrap(), &host(set))));
        // Eight organizations have a turn each before any has a second one.
        let first = chosen(&mut turns, &all);
        assert_eq!(first, [0, 100, 101, 102, 103, 104, 105, 106]);
        assert!(turns.are_taken());
        all.retain(|one| !first.contains(&one.set));
        ended(&mut turns, 0);
        assert_eq!(chosen(&mut turns, &all), [107]);
        ended(&mut turns, 107);
        all.retain(|one| one.set != 107);
        assert_eq!(chosen(&mut turns, &all), [108]);
        ended(&mut turns, 108);
        all.retain(|one| one.set != 108);
        assert_eq!(chosen(&mut turns, &all), [1]);
        assert_eq!(turns.chosen.len(), 1, "who does not wait is forgotten");
    }
}
