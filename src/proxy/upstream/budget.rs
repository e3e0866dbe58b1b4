//! How many requests may be sent a second time: a share of those that come, and a reserve for the moment when an endpoint dies.
//!
//! An upstream in trouble fails many requests at once; without a bound, sending each of them again would double its work.

use std::cell::Cell;

use crate::config::settings::Retries;

/// Hundredths of a request.
const WHOLE: u32 = 100;

/// What one worker may send again to one upstream.
#[derive(Debug)]
pub(super) struct Budget(Cell<u32>);

impl Budget {
    /// Full, as long as nothing has happened.
    pub(super) fn new(rules: Option<Retries>) -> Self {
        Self(Cell::new(rules.map_or(0, most)))
    }

    /// A request has come.
    #[inline]
    pub(super) fn earn(&self, rules: Retries) {
        self.0.set(self.0.get().saturating_add(rules.percent).min(most(rules)));
    }

    /// Whether one may be sent again; then it counts as sent.
    pub(super) fn spend(&self) -> bool {
        let left = self.0.get().checked_sub(WHOLE);
        self.0.set(left.unwrap_or(self.0.get()));
        left.is_some()
    }
}

fn most(rules: Retries) -> u32 {
    rules.reserve.saturating_mul(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_earned_by_requests() {
        let rules = Retries { percent: 20, reserve: 2 };
        let budget = Budget::new(Some(rules));
        budget.earn(rules);
        assert_eq!([budget.spend(), budget.spend(), budget.spend()], [true, true, false], "no more than the reserve");
        (0..4).for_each(|_| budget.earn(rules));
        assert!(!budget.spend());
        budget.earn(rules);
        assert!(budget.spend() && !budget.spend());
        assert!(!Budget::new(None).spend());
    }
}
