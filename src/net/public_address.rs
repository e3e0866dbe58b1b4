//! Which addresses are on the internet: those that everybody can reach, and that are nobody's own network.
//!
//! What a host name that others choose may stand for (threats.md S1). Unknown means no: an address of no known kind is not
//! public.

use std::net::{IpAddr, Ipv4Addr};

/// IPv4 networks that are not (RFC 6890 and its registry), and one address of a provider at which machines are told secrets.
const SPECIAL_V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

/// Networks within 2000::/3 that are not: protocols' own with Teredo, documentation, and 6to4, which leads into IPv4.
const SPECIAL_V6: &[(u128, u8)] = &[
    (0x2001_0000_u128 << 96, 23),
    (0x2001_0db8_u128 << 96, 32),
    (0x2002_0000_u128 << 96, 16),
    (0x3fff_0000_u128 << 96, 20),
];

/// 64:ff9b::/96, behind which a translator reaches all of IPv4 (RFC 6052).
const TRANSLATED: u128 = 0x0064_ff9b_u128 << 64;

/// Whether an address is on the internet.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let bits = u32::from(address);
            let is_in = |(network, length): &([u8; 4], u8)| (bits ^ u32::from_be_bytes(*network)) >> (32 - length) == 0;
            !SPECIAL_V4.iter().any(is_in)
        }
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            if bits >> 32 == TRANSLATED {
                // The low half of it is exactly that.
                return is_public(IpAddr::V4(Ipv4Addr::from((bits & u128::from(u32::MAX)) as u32)));
            }
            let is_in = |(network, length): &(u128, u8)| (bits ^ network) >> (128 - length) == 0;
            bits >> 125 == 1 && !SPECIAL_V6.iter().any(is_in)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_what_is_somebodys_own_is_not_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::10.0.0.1",
            "::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "2002:7f00:1::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "168.63.129.15",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2001:200::1",
            "2600::1",
            "2a00::1",
            "3ffe::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
