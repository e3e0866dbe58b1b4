//! The address that a decision is made on, always in canonical form.
//!
//! IPv4-mapped IPv6 *is* IPv4 (RFC 4291 §2.5.5.2); IPv4-compatible (`::10.0.0.5`), NAT64 and 6to4 forms stay plain IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A canonical client address. The only way in makes it canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Takes an address in any form.
    pub fn new(address: IpAddr) -> Self {
        // Not `to_ipv4()`, which would also turn `::1` into 0.0.0.1.
        Self(address.to_canonical())
    }

    /// The canonical address.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// Who is counted where something is counted by address: IPv6 by its /64, the least that whoever has one address has.
    pub fn origin(self) -> IpAddr {
        match self.0 {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        assert_eq!(ClientAddress::new(input.parse().unwrap()).to_string(), expected);
    }

    #[test]
    fn only_mapped_addresses_become_ipv4() {
        check("::ffff:10.0.0.5", "10.0.0.5");
        check("::1", "::1");
        check("::a00:5", "::a00:5");
        check("64:ff9b::a00:5", "64:ff9b::a00:5");
        check("2002:a00:5::", "2002:a00:5::");
        check("10.0.0.5", "10.0.0.5");
    }

    #[test]
    fn ipv6_is_counted_by_64() {
        let origin = |text: &str| ClientAddress::new(text.parse().unwrap()).origin().to_string();
        assert_eq!(origin("2001:db8:1:2:3::4"), "2001:db8:1:2::");
        assert_eq!([origin("192.0.2.1"), origin("::ffff:192.0.2.1")], ["192.0.2.1"; 2]);
    }
}
