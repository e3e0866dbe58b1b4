//! Open client connections by address (IPv6: by /64), for all workers together.
//!
//! Touched when a connection begins and ends, and only where there is a limit; never on the way of a request.

use std::net::IpAddr;
use std::sync::Arc;

use super::striped::Striped;
use crate::access::client_address::ClientAddress;

/// The count.
#[derive(Debug, Default)]
pub struct Crowd(Striped<IpAddr, u32>);

/// One counted connection; dropping it takes it out of the count.
#[derive(Debug)]
pub struct Member {
    crowd: Arc<Crowd>,
    origin: IpAddr,
}

impl Crowd {
    /// Counts one more connection of an address, unless it has as many as it may.
    pub fn join(self: &Arc<Self>, address: IpAddr, most: u32) -> Option<Member> {
        let origin = ClientAddress::new(address).origin();
        let has_joined = self.0.with(&origin, |counts| {
            let count = counts.entry(origin).or_insert(0);
            let has_room = *count < most;
            *count += u32::from(has_room);
            has_room
        });
        has_joined.then(|| Member { crowd: Arc::clone(self), origin })
    }

    /// Addresses that have connections.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody has any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.0.with(&self.origin, |counts| {
            if let Some(count) = counts.get_mut(&self.origin) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.remove(&self.origin);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_by_address_and_nothing_is_left_behind() {
        let crowd = Arc::new(Crowd::default());
        let at = |text: &str| crowd.join(text.parse().unwrap(), 2);
        let members = [at("192.0.2.1"), at("::ffff:192.0.2.1"), at("2001:db8::1"), at("2001:db8::2")];
        assert!(members.iter().all(Option::is_some));
        assert!(at("192.0.2.1").is_none() && at("2001:db8::3").is_none());
        let other = at("2001:db8:0:1::1");
        assert!(other.is_some());
        drop(members);
        assert!(at("192.0.2.1").is_some());
        drop(other);
        assert!(crowd.is_empty(), "{}", crowd.len());
    }
}
