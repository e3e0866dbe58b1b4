//! What becomes of requests that are alike, where some of them may fare otherwise than others.
//!
//! A network that was recorded in place of its addresses, and a credential that was seen on too many routes, stand for requests
//! that nobody can tell apart any more: where they passed the worst that may become of one of them counts, else the best.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::proposal::Proposal;
use super::tally::{Key, Way};
use crate::access::network::Network;
use crate::access::route::RouteMatch;
use crate::access::traffic::covers;
use crate::gate::foresight::Passing;
use crate::problem::Code;

/// What becomes of the requests of a row, where one of an address on a route is decided so.
pub(super) fn of(
    key: &Key,
    proposal: &Proposal,
    decide: impl Fn(IpAddr, RouteMatch<'_>) -> Result<Passing, Code>,
) -> Result<Passing, Code> {
    let addresses = match key.address {
        // None decides.
        None => vec![Ipv4Addr::UNSPECIFIED.into()],
        Some(network) if network.is_host() => vec![network.address()],
        Some(network) => {
            edges(network, key.credential(proposal).into_iter().flat_map(|named| proposal.networks(named)))
        }
    };
    let all = addresses.iter().flat_map(|address| {
        let any = key.route == Way::Any;
        let routes = any.then(|| proposal.settings.routes.iter().map(RouteMatch::Matched)).into_iter().flatten();
        routes.chain((!any).then(|| key.route.of(proposal))).map(|route| decide(*address, route))
    });
    let rank = |fate: &Result<Passing, Code>| match fate {
        Ok(None) => 0,
        Ok(Some(_)) => 1,
        Err(_) => 2,
    };
    let told = if key.passed { all.max_by_key(rank) } else { all.min_by_key(rank) };
    // Without any route there is none.
    told.unwrap_or(Err(Code::RouteNotFound))
}

/// The addresses of a network at which a list of these networks may begin or cease to admit.
fn edges(network: Network, list: impl Iterator<Item = Network>) -> Vec<IpAddr> {
    let mut edges = vec![network.address(), network.last()];
    for one in list.filter(|one| covers(network, *one)) {
        edges.extend([one.address(), one.last()]);
        edges.extend(beside(one.address(), false));
        edges.extend(beside(one.last(), true));
    }
    edges.retain(|address| network.contains(*address));
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// The address before or after another one.
fn beside(address: IpAddr, after: bool) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let other = if after { bits.checked_add(1) } else { bits.checked_sub(1) };
            other.map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let other = if after { bits.checked_add(1) } else { bits.checked_sub(1) };
            other.map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_edges_tell_whether_all_of_a_network_is_admitted(
            at in any::<u8>(), length in 0_u8..=8, list in prop::collection::vec((any::<u8>(), 0_u8..=8), 0..5),
        ) {
            let network = |at: u8, length: u8| Network::truncated([10, 0, 0, at].into(), 24 + length).unwrap();
            let (wide, list) = (network(at, length), list.into_iter().map(|(at, of)| network(at, of)).collect::<Vec<_>>());
            let is_admitted = |address: IpAddr| list.iter().any(|one| one.contains(address));
            let all = (0..=255).map(|at| IpAddr::from([10, 0, 0, at])).filter(|address| wide.contains(*address));
            let told: Vec<bool> = edges(wide, list.iter().copied()).into_iter().map(is_admitted).collect();
            let real: Vec<bool> = all.map(is_admitted).collect();
            for is in [true, false] {
                prop_assert_eq!(told.contains(&is), real.contains(&is));
            }
        }
    }
}
