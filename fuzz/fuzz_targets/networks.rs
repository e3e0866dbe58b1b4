//! The parser of networks against arithmetic, and compiled lists against a scan over all entries.
//!
//! Input: a text up to the first line feed, then entries of six bytes and addresses of four.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use portcullis::access::client_address::ClientAddress;
use portcullis::access::list::{AccessList, NetworkEntry};
use portcullis::access::network::{Network, Networks};
use portcullis::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_seconds(1000);

/// An address as a number and the width of its family.
fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

/// First address, length and width of a network text.
fn naive(text: &str) -> Option<(u128, u32, u32)> {
    let (address, prefix) = match text.find('/') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (mut bits, mut width) = number(address);
    let mut length = match prefix {
        None => width,
        Some(prefix) => (0..=width).find(|length| length.to_string() == prefix)?,
    };
    let host_bits = if length == 0 { bits } else { bits & !(u128::MAX << (width - length)) };
    if host_bits != 0 && length < width {
        return None;
    }
    // Mapped addresses are IPv4, where the prefix leaves no doubt.
    if width == 128 && length >= 96 && bits >> 32 == 0xffff {
        (bits, width, length) = (bits & 0xffff_ffff, 32, length - 96);
    }
    Some((bits, length, width))
}

fn covers(network: Network, address: IpAddr) -> bool {
    let ((first, width), (bits, other)) = (number(network.address()), number(address));
    let shift = width - u32::from(network.prefix_len());
    width == other && (shift == 128 || first >> shift == bits >> shift)
}

/// Few distinct addresses, so that networks nest and collide.
fn address(bytes: &[u8]) -> IpAddr {
    match bytes[0] & 1 {
        0 => IpAddr::V4(Ipv4Addr::new(bytes[1] | 0xf0, bytes[2], 0xff, bytes[3])),
        _ => IpAddr::V6(Ipv6Addr::new(
            u16::from(bytes[1]) | 0xff00,
            0,
            0,
            0,
            0,
            0,
            u16::from(bytes[2]),
            u16::from(bytes[3]),
        )),
    }
}

/// The address before or after this one, where there is one in its family.
fn beside(address: IpAddr, after: bool) -> Option<IpAddr> {
    let (bits, width) = number(address);
    let bits = if after { bits.checked_add(1)? } else { bits.checked_sub(1)? };
    match width {
        32 => u32::try_from(bits).ok().map(|bits| IpAddr::V4(bits.into())),
        _ => Some(IpAddr::V6(bits.into())),
    }
}

fuzz_target!(|data: &[u8]| {
    let (text, rest) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    if let Ok(text) = std::str::from_utf8(text) {
        let parsed = text.parse::<Network>().ok();
        let parts = parsed.map(|network| {
            let (first, width) = number(network.address());
            (first, u32::from(network.prefix_len()), width)
        });
        assert_eq!(parts, naive(text), "{text}");
        if let Some(network) = parsed {
            assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            assert!(network.contains(network.address()) && network.contains(network.last()));
        }
    }

    let Some((count, rest)) = rest.split_first() else { return };
    let count = usize::from(count % 32).min(rest.len() / 6);
    let (entries, addresses) = rest.split_at(count * 6);
    let entries: Vec<NetworkEntry> = entries
        .chunks(6)
        .map(|bytes| {
            let address = address(bytes);
            let width = if address.is_ipv4() { 33 } else { 129 };
            let network = Network::truncated(address, bytes[4] % width).unwrap();
            let expires_at = match bytes[5] % 4 {
                0 => Timestamp::from_unix_seconds(999),
                1 => NOW,
                2 => Timestamp::from_unix_seconds(1001),
                _ => Timestamp::NEVER,
            };
            NetworkEntry { network, expires_at }
        })
        .collect();
    let list = AccessList::compile(entries.clone(), []);
    let set: Networks = entries.iter().map(|entry| entry.network).collect();
    assert_eq!(list.is_empty(), entries.is_empty());
    // Where an entry ends, and one beyond: what is cut off or joined too much shows there.
    let ends = entries.iter().flat_map(|entry| {
        let (first, last) = (entry.network.address(), entry.network.last());
        [Some(first), Some(last), beside(first, false), beside(last, true)].into_iter().flatten()
    });
    for address in addresses.chunks_exact(4).map(address).chain(ends) {
        let covering = entries.iter().filter(|entry| covers(entry.network, address));
        assert_eq!(set.contains(address), covering.clone().next().is_some(), "{address} in {entries:?}");
        let best = covering
            .filter(|entry| NOW < entry.expires_at)
            .max_by_key(|entry| (entry.network.prefix_len(), entry.expires_at));
        let admitted = list.admits(ClientAddress::new(address), NOW, &[]);
        let seen = admitted.map(|admitted| (admitted.network, admitted.expires_at));
        assert_eq!(seen, best.map(|entry| (entry.network, entry.expires_at)), "{address} in {entries:?}");
    }
});
