//! Sets of addresses as sorted disjoint ranges: union, intersection, difference, and back to networks.
//!
//! Never widens and never approximates; slow enough to stay away from requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::access::network::Network;

/// A set of IPv4 and IPv6 addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Addresses {
    /// Every address there is.
    pub(super) fn all() -> Self {
        Self { v4: vec![(0, u128::from(u32::MAX))], v6: vec![(0, u128::MAX)] }
    }

    /// All addresses of some networks.
    pub(super) fn of(networks: impl Iterator<Item = Network>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match (network.address(), network.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits().into(), last.to_bits().into())),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        Self { v4: joined(v4), v6: joined(v6) }
    }

    /// What is in this set and not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        Self { v4: difference(&self.v4, &other.v4), v6: difference(&self.v6, &other.v6) }
    }

    /// What is in both sets.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.without(&self.without(other))
    }

    /// What is in either set.
    pub(super) fn or(&self, other: &Self) -> Self {
        let all = |a: &[(u128, u128)], b: &[(u128, u128)]| joined(a.iter().chain(b).copied().collect());
        Self { v4: all(&self.v4, &other.v4), v6: all(&self.v6, &other.v6) }
    }

    /// Whether there is no address in it.
    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// How many addresses there are of IPv4 and of IPv6, about.
    pub(super) fn sizes(&self) -> [f64; 2] {
        let size = |ranges: &[(u128, u128)]| ranges.iter().map(|(first, last)| (last - first) as f64 + 1.0).sum();
        [size(&self.v4), size(&self.v6)]
    }

    /// How many of some networks are in this set with more than half of their addresses.
    pub(super) fn count_within(&self, networks: &[Network]) -> usize {
        let is_most = |ranges: &[(u128, u128)], first: u128, last: u128| {
            let size = |first: u128, last: u128| (last - first) as f64 + 1.0;
            let from = ranges.partition_point(|(_, end)| *end < first);
            let common = ranges[from..].iter().take_while(|(begin, _)| *begin <= last);
            let common: f64 = common.map(|(begin, end)| size(first.max(*begin), last.min(*end))).sum();
            common > size(first, last) / 2.0
        };
        let is_within = |network: &&Network| match (network.address(), network.last()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => is_most(&self.v4, first.to_bits().into(), last.to_bits().into()),
            (IpAddr::V6(first), IpAddr::V6(last)) => is_most(&self.v6, first.to_bits(), last.to_bits()),
            _ => false,
        };
        networks.iter().filter(is_within).count()
    }

    /// The fewest networks that hold exactly this set.
    pub(super) fn networks(&self) -> Vec<Network> {
        let v4 = self.v4.iter().flat_map(|range| blocks(*range, 32));
        let v6 = self.v6.iter().flat_map(|range| blocks(*range, 128));
        v4.chain(v6).collect()
    }
}

fn joined(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

fn difference(from: &[(u128, u128)], away: &[(u128, u128)]) -> Vec<(u128, u128)> {
    let mut left = Vec::new();
    let mut at = 0;
    for &(first, last) in from {
        let mut start = Some(first);
        while at < away.len() && away[at].1 < first {
            at += 1;
        }
        for &(gone, end) in away[at..].iter().take_while(|(gone, _)| *gone <= last) {
            let Some(from) = start else {
                break;
            };
            if gone > from {
                left.push((from, gone - 1));
            }
            start = end.checked_add(1).map(|next| next.max(from)).filter(|next| *next <= last);
        }
        if let Some(start) = start {
            left.push((start, last));
        }
    }
    left
}

/// The fewest blocks of an address space of so many bits that make up a range.
fn blocks((mut first, last): (u128, u128), bits: u32) -> Vec<Network> {
    let mut blocks = Vec::new();
    loop {
        let left = last - first;
        let aligned = first.trailing_zeros().min(bits);
        // The largest power of two that begins here and does not go beyond the end.
        let fits = left.checked_add(1).map_or(128, u128::ilog2);
        let size = aligned.min(fits);
        let address = match u32::try_from(first).ok().filter(|_| bits == 32) {
            Some(address) => IpAddr::V4(Ipv4Addr::from_bits(address)),
            None => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        let prefix = u8::try_from(bits - size).unwrap_or(0);
        blocks.extend(Network::truncated(address, prefix));
        let next = 1_u128.checked_shl(size).and_then(|step| first.checked_add(step));
        match next.filter(|next| *next <= last) {
            Some(next) => first = next,
            None => return blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(texts: &[&str]) -> Addresses {
        Addresses::of(texts.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn differences_are_exact() {
        let cases: [(&[&str], &[&str], &[&str]); 7] = [
            (&["10.0.0.0/8"], &["10.0.0.0/8"], &[]),
            (&["10.0.0.0/24"], &["10.0.0.0/25"], &["10.0.0.128/25"]),
            (&["10.0.0.0/30"], &["10.0.0.1"], &["10.0.0.0/32", "10.0.0.2/31"]),
            (&["10.0.0.0/25", "10.0.0.128/25"], &[], &["10.0.0.0/24"]),
            (&["0.0.0.0/0"], &["128.0.0.0/1"], &["0.0.0.0/1"]),
            (&["::/0"], &["::/1", "8000::/2"], &["c000::/2"]),
            (&["10.0.0.0/8", "2001:db8::/32"], &["::/0"], &["10.0.0.0/8"]),
        ];
        for (from, away, left) in cases {
            let shown: Vec<String> = of(from).without(&of(away)).networks().iter().map(ToString::to_string).collect();
            assert_eq!(shown, left, "{from:?} without {away:?}");
        }
        let all: Vec<String> = Addresses::all().networks().iter().map(ToString::to_string).collect();
        assert_eq!(all, ["0.0.0.0/0", "::/0"]);
    }

    proptest! {
        #[test]
        fn difference_is_that_of_the_members(
            from in prop::collection::vec((any::<u8>(), 24_u8..=32), 0..6),
            away in prop::collection::vec((any::<u8>(), 24_u8..=32), 0..6),
        ) {
            let networks = |list: &[(u8, u8)]| list.iter().filter_map(|(last, prefix)| Network::truncated([10, 0, 0, *last].into(), *prefix)).collect::<Vec<_>>();
            let (from, away) = (networks(&from), networks(&away));
            let left = Addresses::of(from.iter().copied()).without(&Addresses::of(away.iter().copied())).networks();
            let of = |list: &[Network]| Addresses::of(list.iter().copied());
            let both = of(&from).and(&of(&away)).networks();
            let either = of(&from).or(&of(&away)).networks();
            for last in 0..=255_u8 {
                let address = [10, 0, 0, last].into();
                let within = |list: &[Network]| list.iter().any(|network| network.contains(address));
                prop_assert_eq!(within(&left), within(&from) && !within(&away));
                prop_assert_eq!(within(&both), within(&from) && within(&away));
                prop_assert_eq!(within(&either), within(&from) || within(&away));
            }
        }
    }
}
