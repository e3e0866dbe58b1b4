//! How often an address, an email or a client may try. The tables are bounded; the oldest count makes room.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::access::client_address::ClientAddress;
use crate::clock::Timestamp;
use crate::problem::{Code, Refusal};

/// Seconds that a count lives from its first attempt on.
const WINDOW: i64 = 300;

/// Attempts within a window, from one address (IPv6: one /64) and for one email.
const PER_ADDRESS: u32 = 30;
pub(super) const PER_EMAIL: u32 = 10;

/// Counts kept at most.
const ROOM: usize = 8192;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Address(IpAddr),
    Email(String),
}

/// Counts attempts of anything that can be told apart.
#[derive(Debug)]
pub(super) struct Counts<K> {
    /// Seconds that a count lives from its first attempt on.
    window: i64,
    counts: Mutex<HashMap<K, (Timestamp, u32)>>,
}

impl<K: Clone + Eq + Hash> Counts<K> {
    pub(super) fn new(window: i64) -> Self {
        Self { window, counts: Mutex::default() }
    }

    /// Counts an attempt for each of these, or none where one has as many as it may: then the seconds until it may again.
    pub(super) fn count(&self, whose: &[(K, u32)], now: Timestamp) -> Result<(), i64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = |(begun, _): &(Timestamp, u32)| begun.unix_seconds().saturating_add(self.window);
        for (who, most) in whose {
            let Some(count) = counts.get(who) else { continue };
            let left = ends(count) - now.unix_seconds();
            // A clock that went back shuts nobody out for longer than a window.
            if count.1 >= *most && (1..=self.window).contains(&left) {
                return Err(left);
            }
        }
        for (who, _) in whose {
            if counts.len() >= ROOM && !counts.contains_key(who) {
                counts.retain(|_, count| ends(count) > now.unix_seconds());
            }
            if counts.len() >= ROOM && !counts.contains_key(who) {
                let oldest = counts.iter().min_by_key(|(_, (begun, _))| *begun).map(|(who, _)| who.clone());
                oldest.and_then(|who| counts.remove(&who));
            }
            let count = counts.entry(who.clone()).or_insert((now, 0));
            if ends(count) <= now.unix_seconds() || count.0 > now {
                *count = (now, 0);
            }
            count.1 += 1;
        }
        Ok(())
    }

    fn forget(&self, who: &K) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(who);
    }

    fn attempts(&self, who: &K) -> u32 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(who).map_or(0, |(_, count)| *count)
    }
}

/// Counts attempts to sign in.
#[derive(Debug)]
pub(super) struct Throttle(Counts<Who>);

impl Default for Throttle {
    fn default() -> Self {
        Self(Counts::new(WINDOW))
    }
}

impl Throttle {
    /// Counts an attempt, and refuses it where there were too many. Whatever is refused is not counted again.
    pub(super) fn count(&self, address: Option<IpAddr>, email: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        let whose = [
            address.map(|address| (Who::Address(ClientAddress::new(address).origin()), PER_ADDRESS)),
            email.map(|email| (Who::Email(email.to_lowercase()), PER_EMAIL)),
        ];
        let whose: Vec<(Who, u32)> = whose.into_iter().flatten().collect();
        self.0.count(&whose, now).map_err(|left| {
            let detail = format!("Too many attempts to sign in; try again in {left} seconds.");
            let retry_after = u32::try_from(left).ok();
            Refusal { retry_after, ..Refusal::new(Code::RateLimited, detail).with(left) }
        })
    }

    /// Whoever signed in may be wrong again as often as before.
    pub(super) fn forgive(&self, email: &str) {
        self.0.forget(&Who::Email(email.to_lowercase()));
    }

    /// How many attempts of an email are counted.
    pub(super) fn attempts(&self, email: &str) -> u32 {
        self.0.attempts(&Who::Email(email.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    #[test]
    fn an_email_and_a_network_have_their_counts() {
        let throttle = Throttle::default();
        for at in 0..PER_EMAIL {
            let address = format!("192.0.2.{at}").parse().unwrap();
            throttle.count(Some(address), Some("A@b"), NOW).unwrap();
        }
        let refused = throttle.count(None, Some("a@B"), NOW).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(300)));
        throttle.count(None, Some("a@b"), Timestamp::from_unix_seconds(1_000_300)).unwrap();
        for at in 0..PER_ADDRESS {
            let address = format!("2001:db8::{at:x}").parse().unwrap();
            throttle.count(Some(address), Some(&format!("{at}@b")), NOW).unwrap();
        }
        assert!(throttle.count(Some("2001:db8::ffff:0:0:1".parse().unwrap()), Some("x@b"), NOW).is_err());
        throttle.count(Some("2001:db8:0:1::1".parse().unwrap()), Some("x@b"), NOW).unwrap();
    }

    #[test]
    fn a_clock_that_went_back_shuts_nobody_out() {
        let counts = Counts::new(60);
        counts.count(&[((), 1)], NOW).unwrap();
        assert_eq!(counts.count(&[((), 1)], NOW), Err(60));
        let before = Timestamp::from_unix_seconds(NOW.unix_seconds() - 3600);
        counts.count(&[((), 1)], before).unwrap();
        assert_eq!(counts.count(&[((), 1)], before), Err(60));
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::default();
        for at in 0..ROOM + 100 {
            throttle.count(None, Some(&at.to_string()), NOW).unwrap();
        }
        assert_eq!(throttle.0.counts.lock().unwrap().len(), ROOM);
    }
}
