//! How much each organization's credentials ask, what becomes of it and how long it takes, in steps of ten seconds over the
//! last hour.
//!
//! A worker counts in a table of its own and hands it over with its tick, so that no request waits for anybody. Kept in memory
//! and bounded; what proves no credential belongs to no organization and is not here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Outcome;
use super::metrics::BUCKETS_US;
use crate::access::id::Id;

/// Seconds of one step.
pub const STEP: u64 = 10;

/// Steps that are remembered: an hour.
pub const STEPS: usize = 360;

/// Organizations of which any are remembered.
const ORGANIZATIONS: usize = 256;

/// What a worker counts at most between two ticks: organizations and steps.
const ROOM: usize = 1024;

/// What happened within one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Let through.
    pub allowed: u64,
    /// Let through though a rule that is set to report would have refused it.
    pub reported: u64,
    /// Refused.
    pub denied: u64,
    /// Failed otherwise.
    pub failed: u64,
    /// How many took how long, by [`BUCKETS_US`] and beyond.
    durations: [u32; BUCKETS_US.len() + 1],
}

impl Tally {
    fn count(&mut self, outcome: Outcome, duration: Duration) {
        let of = match outcome {
            Outcome::Allow => &mut self.allowed,
            Outcome::WouldDeny(_) => &mut self.reported,
            Outcome::Deny(_) => &mut self.denied,
            Outcome::Error(_) => &mut self.failed,
        };
        *of += 1;
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = &mut self.durations[BUCKETS_US.partition_point(|bound| *bound < us)];
        *bucket = bucket.saturating_add(1);
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.allowed += other.allowed;
        self.reported += other.reported;
        self.denied += other.denied;
        self.failed += other.failed;
        for (own, more) in self.durations.iter_mut().zip(other.durations) {
            *own = own.saturating_add(more);
        }
    }

    /// All requests.
    pub fn requests(&self) -> u64 {
        self.allowed + self.reported + self.denied + self.failed
    }

    /// The time within which this part of the requests was done, between the bounds that are counted by; `None` without any.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let all: u64 = self.durations.iter().map(|count| u64::from(*count)).sum();
        if all == 0 {
            return None;
        }
        let wanted = part.clamp(0.0, 1.0) * all as f64;
        let mut before = 0.0;
        for (at, count) in self.durations.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = f64::from(*count);
            if before + count >= wanted {
                let least = at.checked_sub(1).map_or(0, |at| BUCKETS_US[at]) as f64;
                // What is beyond the last bound took at least that long.
                let most = BUCKETS_US.get(at).map_or(least, |bound| *bound as f64);
                let us = least + (most - least) * ((wanted - before) / count).clamp(0.0, 1.0);
                return Some(Duration::from_secs_f64(us / 1e6));
            }
            before += count;
        }
        None
    }
}

/// The steps of one organization that anything happened in, oldest first, each by its number since 1970.
type Steps = VecDeque<(u64, Tally)>;

/// What is remembered.
#[derive(Debug, Default)]
pub struct Activity(Mutex<HashMap<Id, Steps>>);

impl Activity {
    /// What happened to an organization's requests in the hour until now: one tally a step, oldest first, and when the first
    /// step began, in seconds since 1970.
    pub fn of(&self, organization: Id, now: u64) -> (u64, Vec<Tally>) {
        let first = (now / STEP).saturating_sub(STEPS as u64 - 1);
        let mut tallies = vec![Tally::default(); STEPS];
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (step, tally) in held.get(&organization).into_iter().flatten() {
            let at = step.checked_sub(first).and_then(|at| usize::try_from(at).ok());
            if let Some(place) = at.and_then(|at| tallies.get_mut(at)) {
                place.add(tally);
            }
        }
        (first * STEP, tallies)
    }
}

fn put(held: &mut HashMap<Id, Steps>, organization: Id, step: u64, tally: &Tally) {
    if held.len() >= ORGANIZATIONS && !held.contains_key(&organization) {
        // The one that was quiet for longest makes room.
        let last = |steps: &Steps| steps.back().map_or(0, |(step, _)| *step);
        let quiet = held.iter().min_by_key(|(_, steps)| last(steps)).map(|(id, _)| *id);
        quiet.and_then(|id| held.remove(&id));
    }
    let steps = held.entry(organization).or_default();
    let at = steps.partition_point(|(known, _)| *known < step);
    match steps.get_mut(at).filter(|(known, _)| *known == step) {
        Some((_, known)) => known.add(tally),
        None => steps.insert(at, (step, tally.clone())),
    }
    let newest = steps.back().map_or(0, |(step, _)| *step);
    while steps.front().is_some_and(|(step, _)| step + (STEPS as u64) <= newest) {
        steps.pop_front();
    }
}

/// Where one worker counts.
#[derive(Debug)]
pub struct Counting {
    shared: Arc<Activity>,
    counted: HashMap<(Id, u64), Tally>,
}

impl Counting {
    /// For one more worker.
    pub fn new(shared: Arc<Activity>) -> Self {
        Self { shared, counted: HashMap::new() }
    }

    /// A request of an organization's credential ended at this time, and took so long.
    pub fn count(&mut self, organization: Id, outcome: Outcome, ended: SystemTime, took: Duration) {
        let step = ended.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / STEP;
        let key = (organization, step);
        if self.counted.len() < ROOM || self.counted.contains_key(&key) {
            self.counted.entry(key).or_default().count(outcome, took);
        }
    }

    /// Hands over what was counted; where somebody else does so at this moment, it waits for the next tick.
    pub fn hand_over(&mut self) {
        if self.counted.is_empty() {
            return;
        }
        let mut held = match self.shared.0.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        for ((organization, step), tally) in self.counted.drain() {
            put(&mut held, organization, step, &tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn id(number: usize) -> Id {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Id::from_bytes(bytes)
    }

    fn second(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn what_workers_count_is_one_hour_in_steps() {
        let activity = Arc::new(Activity::default());
        let mut workers = [Counting::new(Arc::clone(&activity)), Counting::new(Arc::clone(&activity))];
        let denied = Outcome::Deny(Code::IpAddressNotOnAccessList);
        let reported = Outcome::WouldDeny(Code::OrgRequiresAccessList);
        for (worker, outcome, at) in [(0, Outcome::Allow, 99_995), (1, Outcome::Allow, 99_999), (0, denied, 100_000)] {
            workers[worker].count(id(1), outcome, second(at), Duration::from_millis(1));
        }
        workers[1].count(id(2), reported, second(100_000), Duration::from_millis(1));
        workers[1].count(id(1), Outcome::Error(Code::UpstreamTimeout), second(50), Duration::from_millis(1));
        workers.iter_mut().for_each(Counting::hand_over);
        let (first, tallies) = activity.of(id(1), 100_004);
        assert_eq!((first, tallies.len()), (96_410, STEPS));
        let last: Vec<_> = tallies.iter().rev().take(3).map(|one| (one.allowed, one.denied, one.requests())).collect();
        assert_eq!(last, [(0, 1, 1), (2, 0, 2), (0, 0, 0)]);
        // What is older than an hour is gone.
        assert_eq!(tallies.iter().map(|one| one.failed).sum::<u64>(), 0);
        assert_eq!(activity.of(id(2), 100_004).1[STEPS - 1].reported, 1);
        assert_eq!(activity.of(id(1), 500_000).1.iter().map(Tally::requests).sum::<u64>(), 0);
    }

    #[test]
    fn the_memory_is_bounded() {
        let activity = Arc::new(Activity::default());
        let mut worker = Counting::new(Arc::clone(&activity));
        for organization in 0..ROOM + 10 {
            worker.count(id(organization), Outcome::Allow, second(organization as u64 * 10), Duration::ZERO);
        }
        assert_eq!(worker.counted.len(), ROOM);
        worker.hand_over();
        assert!(worker.counted.is_empty());
        for step in 0..2 * STEPS as u64 {
            worker.count(id(0), Outcome::Allow, second(step * STEP), Duration::ZERO);
        }
        worker.hand_over();
        let held = activity.0.lock().unwrap();
        assert_eq!((held.len(), held[&id(0)].len()), (ORGANIZATIONS, STEPS));
    }

    #[test]
    fn a_quantile_lies_between_the_bounds() {
        let mut tally = Tally::default();
        assert_eq!(tally.quantile(0.5), None);
        for ms in [1, 1, 1, 40] {
            tally.count(Outcome::Allow, Duration::from_millis(ms));
        }
        let (half, most) = (tally.quantile(0.5).unwrap(), tally.quantile(0.99).unwrap());
        assert!(half > Duration::from_micros(500) && half <= Duration::from_millis(1), "{half:?}");
        assert!(most > Duration::from_millis(25) && most <= Duration::from_millis(50), "{most:?}");
        tally = Tally::default();
        tally.count(Outcome::Allow, Duration::from_secs(100));
        assert_eq!(tally.quantile(0.5), Some(Duration::from_secs(10)));
    }
}
