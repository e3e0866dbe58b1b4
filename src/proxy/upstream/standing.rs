//! Whether an endpoint is given requests: well by its health check, and not left alone because it failed several times in a row.
//!
//! After its time it is tried with one request at a time; the first that is answered brings it back, the first that fails sends
//! it away for twice as long. Each worker judges by what it has seen itself.

use std::cell::Cell;
use std::time::Duration;

use crate::config::settings::Ejection;

/// How one endpoint stands with one worker.
#[derive(Debug)]
pub(super) struct Standing {
    healthy: Cell<bool>,
    failures: Cell<u32>,
    /// Times in a row that it was left alone.
    ejections: Cell<u32>,
    /// Until when it is left alone; 0 where it is not.
    until: Cell<u64>,
    on_trial: Cell<bool>,
    last_failed: Cell<u64>,
}

impl Standing {
    pub(super) fn new() -> Self {
        Self {
            healthy: Cell::new(true),
            failures: Cell::new(0),
            ejections: Cell::new(0),
            until: Cell::new(0),
            on_trial: Cell::new(false),
            last_failed: Cell::new(0),
        }
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.healthy.set(healthy);
    }

    /// Whether a request may be given to it.
    #[inline]
    pub(super) fn is_in(&self, now: u64) -> bool {
        self.healthy.get() && (self.until.get() == 0 || self.until.get() <= now && !self.on_trial.get())
    }

    /// Whether a request may be given to it where no endpoint is in. One that has just failed elsewhere has nothing to lose;
    /// for others one at a time is enough to find out, as often as the first ejection lasts.
    pub(super) fn is_resort(&self, has_failed: bool, rules: Option<Ejection>, now: u64) -> bool {
        let pause = rules.map_or(0, |rules| millis(rules.first));
        let is_due = || !self.on_trial.get() && self.last_failed.get().saturating_add(pause) <= now;
        self.healthy.get() && (has_failed || is_due())
    }

    /// A request is given to it; whether that is a trial.
    #[inline]
    pub(super) fn begin(&self) -> bool {
        let is_trial = self.until.get() != 0;
        if is_trial {
            self.on_trial.set(true);
        }
        is_trial
    }

    /// The trial has ended, perhaps without telling anything.
    pub(super) fn end_trial(&self) {
        self.on_trial.set(false);
    }

    /// It has answered; whether that brings it back.
    #[inline]
    pub(super) fn succeeded(&self) -> bool {
        let was_out = self.until.get() != 0;
        if was_out || self.failures.get() != 0 {
            self.failures.set(0);
            self.ejections.set(0);
            self.until.set(0);
            self.on_trial.set(false);
        }
        was_out
    }

    /// It has failed. Says whether it is left alone from now on, where it was not before; `None` where nothing has changed.
    pub(super) fn failed(&self, rules: Ejection, now: u64) -> Option<bool> {
        self.last_failed.set(now);
        let failures = self.failures.get().saturating_add(1);
        self.failures.set(failures);
        let was_out = self.until.get() != 0;
        if failures < rules.failures && !self.on_trial.get() || was_out && self.until.get() > now {
            return None;
        }
        let wait = rules.first.saturating_mul(1 << self.ejections.get().min(16)).min(rules.longest);
        self.ejections.set(self.ejections.get().saturating_add(1));
        self.on_trial.set(false);
        self.until.set(now.saturating_add(millis(wait)).max(1));
        Some(!was_out)
    }

    /// Whether it is left alone, or was and has not come back.
    pub(super) fn is_out(&self) -> bool {
        self.until.get() != 0
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_after_failures_in_a_row_and_back_after_one_good_trial() {
        let rules = Ejection { failures: 3, first: Duration::from_millis(100), longest: Duration::from_millis(300) };
        let standing = Standing::new();
        for now in 0..2 {
            assert_eq!(standing.failed(rules, now), None);
        }
        assert!(!standing.succeeded(), "a good one in between starts the count anew");
        for now in 2..4 {
            assert_eq!(standing.failed(rules, now), None);
        }
        assert!(standing.is_in(4));
        assert_eq!(standing.failed(rules, 4), Some(true));
        // Requests that were under way meanwhile make it no worse.
        assert_eq!(standing.failed(rules, 5), None);
        assert!(!standing.is_in(103) && standing.is_in(104));
        for (now, wait) in [(104, 200), (304, 300), (604, 300)] {
            assert!(standing.begin() && !standing.is_in(now), "one at a time");
            assert_eq!(standing.failed(rules, now), Some(false), "still out");
            assert!(!standing.is_in(now + wait - 1) && standing.is_in(now + wait), "{now}");
        }
        // A trial that tells nothing lets the next one try.
        assert!(standing.begin());
        standing.end_trial();
        assert!(standing.is_in(904) && standing.begin());
        assert!(standing.succeeded() && standing.is_in(905) && !standing.is_out() && !standing.begin());
    }

    #[test]
    fn one_that_is_left_alone_is_the_last_resort() {
        let second = Duration::from_secs(1);
        let once = Ejection { failures: 1, first: second, longest: 8 * second };
        let rules = Some(once);
        let standing = Standing::new();
        standing.failed(once, 1);
        for now in [1_001, 3_001] {
            assert!(standing.begin());
            standing.failed(once, now);
        }
        assert!(!standing.is_in(4_500), "it is left alone for long by now");
        assert!(standing.is_resort(true, rules, 3_001) && !standing.is_resort(false, rules, 4_000));
        assert!(standing.is_resort(false, rules, 4_001));
        standing.begin();
        assert!(!standing.is_resort(false, rules, 4_001), "one at a time");
        standing.set_healthy(false);
        assert!(!standing.is_resort(true, rules, 9_000));
    }

    #[test]
    fn an_unwell_one_is_given_nothing() {
        let standing = Standing::new();
        standing.set_healthy(false);
        assert!(!standing.is_in(0));
        standing.set_healthy(true);
        assert!(standing.is_in(0));
    }
}
