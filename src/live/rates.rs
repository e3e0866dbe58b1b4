//! How fast each credential asks, for all workers together: the generic cell rate algorithm, one number a credential.
//!
//! Asked only where a rate limit is configured. Never grows beyond the credentials that have asked of late.

use std::time::{Duration, Instant};

use super::striped::Striped;
use crate::access::id::Id;
use crate::config::settings::RequestRate;

/// Credentials of one part after which it is looked through for those that have not asked for long.
const FIRST_SWEEP: usize = 256;

/// When each credential's requests are worked off, in microseconds since the table began.
#[derive(Debug)]
pub struct Rates {
    began: Instant,
    due: Striped<Id, i64>,
}

/// How a credential stands with its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Whether this request is within it.
    pub allowed: bool,
    /// Requests that could follow at once.
    pub remaining: u32,
    /// Until nothing is owed any more.
    pub reset: Duration,
    /// Until the next request is within it.
    pub retry_after: Duration,
}

impl Default for Rates {
    fn default() -> Self {
        Self { began: Instant::now(), due: Striped::default() }
    }
}

impl Rates {
    /// A request of a credential. One that is beyond the rate costs nothing.
    pub fn take(&self, credential: Id, rate: RequestRate, at: Instant) -> Allowance {
        let now = micros(at.saturating_duration_since(self.began));
        let each = (micros(rate.per) / i64::from(rate.requests.max(1))).max(1);
        let most = each.saturating_mul(i64::from(rate.burst));
        let (allowed, due) = self.due.with(&credential, |table| {
            // Where it would grow, it first lets go of who owes nothing.
            if table.len() == table.capacity() && table.len() >= FIRST_SWEEP && !table.contains_key(&credential) {
                table.retain(|_, due| *due > now);
            }
            let due = table.entry(credential).or_insert(now);
            let next = (*due).max(now) + each;
            let allowed = next - now <= most;
            if allowed {
                *due = next;
            }
            (allowed, *due)
        });
        let owed = (due - now).max(0);
        Allowance {
            allowed,
            remaining: u32::try_from((most - owed).max(0) / each).unwrap_or(u32::MAX),
            reset: Duration::from_micros(owed.unsigned_abs()),
            retry_after: Duration::from_micros((owed + each - most).max(0).unsigned_abs()),
        }
    }
}

fn micros(wait: Duration) -> i64 {
    i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        format!("{number:024x}").parse().unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rates = Rates::default();
        let rate = RequestRate { requests: 10, per: Duration::from_secs(1), burst: 3 };
        let at = |millis: u64| rates.began + Duration::from_millis(millis);
        let told: Vec<_> = (0..4).map(|_| rates.take(id(1), rate, at(0))).collect();
        assert_eq!(told.iter().map(|told| told.allowed).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(told.iter().map(|told| told.remaining).collect::<Vec<_>>(), [2, 1, 0, 0]);
        assert_eq!((told[3].retry_after, told[3].reset), (Duration::from_millis(100), Duration::from_millis(300)));
        assert!(rates.take(id(2), rate, at(0)).allowed, "another credential has its own");
        assert!(!rates.take(id(1), rate, at(99)).allowed && rates.take(id(1), rate, at(100)).allowed);
        assert_eq!((1..=20).filter(|step| rates.take(id(1), rate, at(100 + step * 50)).allowed).count(), 10);
        let rested = rates.take(id(1), rate, at(60_000));
        assert_eq!((rested.allowed, rested.remaining, rested.retry_after), (true, 2, Duration::ZERO));
    }

    #[test]
    fn who_has_not_asked_for_long_is_forgotten() {
        let rates = Rates::default();
        let rate = RequestRate { requests: 1, per: Duration::from_secs(1), burst: 1 };
        for number in 0..300 * FIRST_SWEEP {
            rates.take(id(number), rate, rates.began + Duration::from_secs(2 * number as u64));
        }
        assert!(rates.due.len() <= 64 * 2 * FIRST_SWEEP, "{}", rates.due.len());
    }
}
