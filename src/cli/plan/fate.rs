//! What becomes of requests that are alike, where some of them may fare otherwise than others.
//!
//! A network that was recorded in place of its addresses, and a credential that was seen on too many routes, stand for requests
//! that nobody can tell apart any more: where they passed the worst that may become of one of them counts, else the best.

use std::net::{IpAddr, Ipv4Addr};

use super::proposal::Proposal;
use super::tally::{Key, Way};
use crate::access::route::RouteMatch;
use crate::access::traffic::edges;
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
