//! The smallest lists that admit what was seen, and no more than a dense neighbourhood beyond it.
//!
//! Addresses become a network only where it is densely used: at least half of an IPv4 network, at most a /24; several addresses
//! of an IPv6 /64, and many such of a /48. Whatever a network admits beyond what was seen is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::bail;

use super::proposal::Proposal;
use crate::access::credential::Enforcement;
use crate::access::network::Network;
use crate::clock::Timestamp;
use crate::directory::model::{Admits, Entry};

/// Shortest prefix of a network of IPv4 that is proposed.
const WIDEST_V4: u32 = 24;
/// Shortest prefix of a network of IPv6 that is proposed.
const WIDEST_V6: u32 = 48;
/// Addresses of a network of IPv4 below which nothing is called dense.
const FEW_V4: usize = 4;
/// Addresses of a /64 that make it one.
const DENSE_64: usize = 4;
/// Such /64 of a /48 that make it one.
const DENSE_48: usize = 16;

/// An entry that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addition {
    pub(super) network: Network,
    /// Addresses of it that were seen; `None` where that was not recorded.
    pub(super) seen: Option<usize>,
}

impl Addition {
    /// How many addresses it admits, where it admits more than were seen.
    pub(super) fn widened(&self) -> Option<String> {
        let bits = if self.network.address().is_ipv4() { 32 } else { 128 } - u32::from(self.network.prefix_len());
        let is_exact = bits < 64 && self.seen.is_some_and(|seen| 1_u64 << bits == seen as u64);
        (!is_exact).then(|| if bits < 64 { (1_u64 << bits).to_string() } else { format!("2^{bits}") })
    }
}

/// The list of what was seen.
///
/// # Errors
/// A network that was recorded is wider than any that is proposed.
pub(super) fn smallest(seen: impl IntoIterator<Item = Network>) -> anyhow::Result<Vec<Addition>> {
    let (mut v4, mut v6): (BTreeMap<u32, Vec<u32>>, BTreeMap<u64, Vec<u128>>) = Default::default();
    let (hosts, wide): (Vec<Network>, Vec<Network>) = seen.into_iter().partition(Network::is_host);
    for network in &wide {
        if u32::from(network.prefix_len()) < if network.address().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 } {
            bail!(
                "a credential was used from so many addresses that they are recorded as {network}, which is wider than any \
                 network that is proposed; put networks on its list yourself first, or propose by logs"
            );
        }
    }
    for address in hosts.iter().map(Network::address).filter(|address| !wide.iter().any(|one| one.contains(*address))) {
        match address {
            IpAddr::V4(address) => v4.entry(address.to_bits() >> (32 - WIDEST_V4)).or_default().push(address.to_bits()),
            IpAddr::V6(address) => v6.entry((address.to_bits() >> 64) as u64).or_default().push(address.to_bits()),
        }
    }
    let mut list = Vec::new();
    for mut seen in v4.into_values() {
        seen.sort_unstable();
        seen.dedup();
        halve(&seen, WIDEST_V4, &mut list);
    }
    let mut dense: BTreeMap<u64, Vec<(u64, usize)>> = BTreeMap::new();
    for (network, mut seen) in v6 {
        seen.sort_unstable();
        seen.dedup();
        match seen.len() >= DENSE_64 {
            true => dense.entry(network >> 16).or_default().push((network, seen.len())),
            false => list.extend(seen.into_iter().map(|one| host(Ipv6Addr::from_bits(one).into()))),
        }
    }
    for (site, networks) in dense {
        if networks.len() >= DENSE_48 {
            let seen = networks.iter().map(|(_, seen)| seen).sum();
            list.extend(network(Ipv6Addr::from_bits(u128::from(site) << 80).into(), 48, seen));
            continue;
        }
        for (at, seen) in networks {
            list.extend(network(Ipv6Addr::from_bits(u128::from(at) << 64).into(), 64, seen));
        }
    }
    list.extend(wide.into_iter().map(|network| Addition { network, seen: None }));
    list.sort_by_key(|one| one.network);
    list.dedup();
    Ok(list)
}

/// The widest dense networks of sorted addresses that share a prefix of this length.
fn halve(seen: &[u32], prefix: u32, list: &mut Vec<Addition>) {
    let Some(first) = seen.first() else { return };
    let size = 1_usize << (32 - prefix);
    let is_dense = seen.len() == size || seen.len() >= FEW_V4 && seen.len() * 2 >= size;
    if is_dense {
        let address = IpAddr::V4(Ipv4Addr::from_bits(*first));
        list.extend(network(address, prefix as u8, seen.len()));
        return;
    }
    let bit = 1 << (31 - prefix);
    let (low, high) = seen.split_at(seen.partition_point(|address| address & bit == 0));
    halve(low, prefix + 1, list);
    halve(high, prefix + 1, list);
}

fn host(address: IpAddr) -> Addition {
    Addition { network: Network::host(address), seen: Some(1) }
}

fn network(address: IpAddr, prefix: u8, seen: usize) -> Option<Addition> {
    Network::truncated(address, prefix).map(|network| Addition { network, seen: Some(seen) })
}

/// Puts the entries on the list of the credential at this position. A list that is new only reports, until somebody has it
/// refuse.
pub(super) fn put(
    proposal: &mut Proposal,
    credential: u32,
    additions: &[Addition],
    requests: u64,
    last: Timestamp,
) -> anyhow::Result<()> {
    let Some(named) = proposal.names.at(credential) else { return Ok(()) };
    let most = proposal.directory.entries_per_list;
    let one = &mut proposal.directory.organizations[named.place.0].credentials[named.place.1];
    if one.access_list.is_empty() {
        one.enforcement = Enforcement::Report;
    }
    if one.access_list.len() + additions.len() > most {
        bail!(
            "credential {} was used from so many addresses that its list would have {} entries, and {most} are allowed; \
             raise `limits.entries_per_list`, or put networks on its list yourself first",
            named.name,
            one.access_list.len() + additions.len()
        );
    }
    let comment = format!("proposed: one of the places of {requests} requests, the last at {last}");
    one.access_list.extend(additions.iter().map(|addition| Entry {
        target: Admits::Network(addition.network),
        expires_at: Timestamp::NEVER,
        comment: Some(comment.as_str().into()),
    }));
    Ok(())
}

#[cfg(test)]
mod tests;
