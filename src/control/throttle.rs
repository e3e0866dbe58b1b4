//! How often an address or an email may try to sign in. The table is bounded; the oldest count makes room.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

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

/// Counts attempts.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<Who, (Timestamp, u32)>>);

impl Throttle {
    /// Counts an attempt, and refuses it where there were too many. Whatever is refused is not counted again.
    pub(super) fn count(&self, address: Option<IpAddr>, email: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let whose = [
            address.map(|address| (Who::Address(network(address)), PER_ADDRESS)),
            email.map(|email| (Who::Email(email.to_lowercase()), PER_EMAIL)),
        ];
        let whose: Vec<(Who, u32)> = whose.into_iter().flatten().collect();
        let ends = |(begun, _): &(Timestamp, u32)| begun.unix_seconds().saturating_add(WINDOW);
        for (who, most) in &whose {
            let Some(count) = counts.get(who) else { continue };
            let left = ends(count) - now.unix_seconds();
            if count.1 >= *most && left > 0 {
                let detail = format!("Too many attempts to sign in; try again in {left} seconds.");
                let retry_after = u32::try_from(left).ok();
                return Err(Refusal { retry_after, ..Refusal::new(Code::RateLimited, detail).with(left) });
            }
        }
        for (who, _) in whose {
            if counts.len() >= ROOM && !counts.contains_key(&who) {
                counts.retain(|_, count| ends(count) > now.unix_seconds());
            }
            if counts.len() >= ROOM && !counts.contains_key(&who) {
                let oldest = counts.iter().min_by_key(|(_, (begun, _))| *begun).map(|(who, _)| who.clone());
                oldest.and_then(|who| counts.remove(&who));
            }
            let count = counts.entry(who).or_insert((now, 0));
            if ends(count) <= now.unix_seconds() {
                *count = (now, 0);
            }
            count.1 += 1;
        }
        Ok(())
    }

    /// Whoever signed in may be wrong again as often as before.
    pub(super) fn forgive(&self, email: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&Who::Email(email.to_lowercase()));
    }

    /// How many attempts of an email are counted.
    pub(super) fn attempts(&self, email: &str) -> u32 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&Who::Email(email.to_lowercase())).map_or(0, |(_, count)| *count)
    }
}

/// Whoever has one IPv6 address has its /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
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
    fn the_table_is_bounded() {
        let throttle = Throttle::default();
        for at in 0..ROOM + 100 {
            throttle.count(None, Some(&at.to_string()), NOW).unwrap();
        }
        assert_eq!(throttle.0.lock().unwrap().len(), ROOM);
    }
}
