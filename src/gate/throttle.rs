//! Failed attempts to prove a credential, counted by client address (IPv6: by /64), for all workers together (threats.md L8).
//!
//! Looking a key up costs less than asking here, so that header and Basic keys are always looked up, and good ones pass
//! whatever others behind the same address do: only a failure counts, and only a failure is answered differently. What is
//! expensive to verify (Digest, a token that is not remembered) is not verified for an address that is over its budget.
//! Nobody who has never failed is ever locked, waits or is looked up here.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use quick_cache::sync::Cache;

use crate::access::client_address::ClientAddress;
use crate::clock::Timestamp;
use crate::config::settings::FailureBudget;

/// Addresses that are remembered; those that fail seldom make room first.
const ROOM: usize = 65_536;

/// Milliseconds.
const SECOND: i64 = 1_000;

/// The counts.
pub struct Throttle {
    /// For each address the time at which its failures are worked off, in milliseconds.
    debts: Cache<IpAddr, Arc<AtomicI64>>,
    /// The latest such time of all: as long as it is past, nobody is over budget.
    latest: AtomicI64,
}

impl std::fmt::Debug for Throttle {
    /// Names nobody.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("addresses", &self.debts.len()).finish_non_exhaustive()
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self { debts: Cache::new(ROOM), latest: AtomicI64::new(i64::MIN) }
    }
}

impl Throttle {
    /// Counts a failure. Seconds until the next one would be within the budget, where this one is not.
    pub fn failed(&self, client: ClientAddress, budget: FailureBudget, now: Timestamp) -> Option<u32> {
        let (now, cost) = (millis(now), Cost::of(budget));
        let debt = match self.debts.get(&client.origin()) {
            Some(debt) => debt,
            None => {
                let debt = Arc::new(AtomicI64::new(now));
                self.debts.insert(client.origin(), Arc::clone(&debt));
                debt
            }
        };
        let step = |until: i64| Some((until.max(now) + cost.each).min(now + cost.most + cost.each));
        // The step always gives a value, so that both arms hold what was there before.
        let (Ok(before) | Err(before)) = debt.fetch_update(Relaxed, Relaxed, step);
        self.latest.fetch_max(before.max(now) + cost.each, Relaxed);
        cost.wait(before, now)
    }

    /// Seconds until a failure of this address would be within the budget, where it has spent it. Counts nothing.
    pub fn over(&self, client: ClientAddress, budget: FailureBudget, now: Timestamp) -> Option<u32> {
        let now = millis(now);
        if self.latest.load(Relaxed) <= now {
            return None;
        }
        let debt = self.debts.get(&client.origin())?;
        Cost::of(budget).wait(debt.load(Relaxed), now)
    }
}

/// What failures cost, in milliseconds.
#[derive(Clone, Copy)]
struct Cost {
    each: i64,
    most: i64,
}

impl Cost {
    fn of(budget: FailureBudget) -> Self {
        let each = SECOND * 60 / i64::from(budget.per_minute.max(1));
        Self { each, most: each * i64::from(budget.burst) }
    }

    /// Seconds until one more failure is within the budget of whoever owes until then; `None` where it is now.
    fn wait(self, until: i64, now: i64) -> Option<u32> {
        let over = until.max(now) + self.each - (now + self.most);
        (over > 0).then(|| u32::try_from(over.div_euclid(SECOND) + 1).unwrap_or(u32::MAX))
    }
}

fn millis(now: Timestamp) -> i64 {
    now.unix_seconds().saturating_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: FailureBudget = FailureBudget { burst: 3, per_minute: 30 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000 + second)
    }

    fn client(text: &str) -> ClientAddress {
        ClientAddress::new(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn l8_a_budget_is_spent_and_earned_back() {
        let throttle = Throttle::default();
        let one = client("192.0.2.1");
        assert!(throttle.over(one, BUDGET, at(0)).is_none());
        let told: Vec<_> = (0..5).map(|_| throttle.failed(one, BUDGET, at(0))).collect();
        assert_eq!(told[..3], [None; 3]);
        assert!(told[3].is_some_and(|seconds| seconds <= 3) && told[4].is_some());
        assert!(
            throttle.over(one, BUDGET, at(0)).is_some() && throttle.over(client("192.0.2.2"), BUDGET, at(0)).is_none()
        );
        // However many there were, one failure is earned in two seconds.
        let _ = (0..10_000).filter_map(|_| throttle.failed(one, BUDGET, at(0))).count();
        assert!(throttle.over(one, BUDGET, at(2)).is_some() && throttle.over(one, BUDGET, at(4)).is_none());
        assert_eq!(throttle.failed(one, BUDGET, at(4)), None);
        assert!(throttle.failed(one, BUDGET, at(4)).is_some());
        assert!(throttle.over(one, BUDGET, at(60)).is_none());
    }

    #[test]
    fn l8_ipv6_is_counted_by_64_and_mapped_ipv4_is_ipv4() {
        let throttle = Throttle::default();
        for last in 0..4 {
            throttle.failed(client(&format!("2001:db8::{last}")), BUDGET, at(0));
        }
        assert!(throttle.over(client("2001:db8::ffff:1"), BUDGET, at(0)).is_some());
        assert!(throttle.over(client("2001:db8:0:1::1"), BUDGET, at(0)).is_none());
        for _ in 0..4 {
            throttle.failed(client("::ffff:192.0.2.1"), BUDGET, at(0));
        }
        assert!(throttle.over(client("192.0.2.1"), BUDGET, at(0)).is_some());
    }

    #[test]
    fn l8_the_table_is_bounded_and_who_goes_on_failing_stays_in_it() {
        let throttle = Throttle::default();
        let busy = client("192.0.2.1");
        for number in 0..300_000_u32 {
            throttle.failed(ClientAddress::new(IpAddr::V4(number.to_be().into())), BUDGET, at(0));
            if number % 1_000 == 0 {
                throttle.failed(busy, BUDGET, at(0));
            }
        }
        assert!(throttle.debts.len() <= ROOM + ROOM / 8, "{}", throttle.debts.len());
        assert!(throttle.over(busy, BUDGET, at(0)).is_some());
    }
}
