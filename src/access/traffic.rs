//! What is remembered of the requests of one credential: from where, what became of them, on which route, how often and when.
//!
//! Never takes part in a decision. Bounded whoever sends what: where a credential was used from too many addresses, those that
//! lie next to each other become a network, which says of itself that it is one.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::network::Network;
use super::route::{HostPattern, Route};
use crate::clock::Timestamp;

/// Networks, those of one address included, that are remembered of one credential.
pub const MOST_NETWORKS: usize = 64;

/// Sightings that are remembered of one credential: distinct networks, outcomes and routes.
pub const MOST_SIGHTINGS: usize = 256;

/// Networks for which room is made where there are too many.
const ROOM_NETWORKS: usize = 16;

/// Seconds after which what was not seen again is forgotten: 30 days.
pub const REMEMBERED: i64 = 30 * 24 * 3600;

/// What stands for the route where a credential was seen on too many of them.
pub const ANY_ROUTE: &str = "*";

/// What stands for the route of a call of the admin API.
pub const ADMIN_API: &str = "admin API";

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Met {
    /// It passed.
    Allow,
    /// It passed, and would not have, had it not been set to report.
    WouldDeny,
    /// It was refused.
    Deny,
}

/// Requests that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// From where. More than one address only where there were too many of them.
    pub network: Network,
    /// What was decided.
    pub met: Met,
    /// The code of the refusal, the one that is only reported included; empty where there was none.
    pub code: Cow<'static, str>,
    /// Host and path of the route as the configuration has them, [`ANY_ROUTE`] or [`ADMIN_API`]; empty where no route matched.
    pub route: Arc<str>,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many.
    pub count: u64,
}

impl Sighting {
    /// Whether all is the same but times and count.
    pub fn is_like(&self, other: &Self) -> bool {
        self.network == other.network && self.met == other.met && self.code == other.code && self.route == other.route
    }

    fn add(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count += other.count;
    }
}

/// A route as a sighting names it, before there is a text of it.
#[derive(Debug, Clone, Copy)]
pub enum RouteName<'r> {
    /// No route matched, or none that all readings of the path agree on.
    None,
    /// This one.
    Of(&'r Route),
    /// A word of its own.
    Word(&'static str),
}

impl RouteName<'_> {
    /// Whether this is its text.
    pub fn is(self, text: &str) -> bool {
        match self {
            Self::None => text.is_empty(),
            Self::Word(word) => text == word,
            Self::Of(route) => {
                let rest = match &route.host {
                    None => Some(text),
                    Some(HostPattern::Exact(name)) => text.strip_prefix(&**name),
                    Some(HostPattern::Below(suffix)) => {
                        text.strip_prefix('*').and_then(|rest| rest.strip_prefix(&**suffix))
                    }
                };
                rest == Some(&*route.path)
            }
        }
    }

    /// Its text.
    pub fn text(self) -> Arc<str> {
        match self {
            Self::None => "".into(),
            Self::Word(word) => word.into(),
            Self::Of(Route { host: Some(host), path, .. }) => format!("{host}{path}").into(),
            Self::Of(route) => (*route.path).into(),
        }
    }
}

/// Adds a sighting to those that are known, without a bound: see [`bound`].
pub fn add(known: &mut Vec<Sighting>, mut new: Sighting) {
    // What lies in a network that stands for many is told as that.
    if let Some(wide) = known.iter().map(|one| one.network).find(|wide| !wide.is_host() && covers(*wide, new.network)) {
        new.network = wide;
    }
    match known.iter_mut().find(|one| one.is_like(&new)) {
        Some(one) => one.add(&new),
        None => known.push(new),
    }
}

/// Keeps what is known within its bounds: addresses become networks, and only then routes one. What was counted stays counted.
///
/// Makes some room besides, so that whoever comes from another address each time does not have it done for each.
pub fn bound(known: &mut Vec<Sighting>) {
    let mut most = match count(known) > MOST_NETWORKS {
        true => MOST_NETWORKS - ROOM_NETWORKS,
        false => MOST_NETWORKS,
    };
    let kept = if known.len() > MOST_SIGHTINGS { MOST_SIGHTINGS / 2 } else { MOST_SIGHTINGS };
    loop {
        let networks = widened(known.iter().map(|one| one.network), most);
        let is_over = known.len() > kept;
        let several = known.iter().any(|one| one.route != known[0].route);
        if let Some(networks) = networks {
            retell(known, |one| {
                let wide = networks.iter().find(|wide| covers(**wide, one.network));
                one.network = wide.copied().unwrap_or(one.network);
            });
        } else if is_over && several {
            let any: Arc<str> = ANY_ROUTE.into();
            retell(known, |one| one.route = Arc::clone(&any));
        } else if is_over && most > 2 {
            // Two families are never one network.
            most /= 2;
        } else {
            return;
        }
    }
}

/// How many networks there are.
fn count(known: &[Sighting]) -> usize {
    let mut all: Vec<Network> = known.iter().map(|one| one.network).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

/// Tells all of it otherwise; what is alike by that becomes one.
fn retell(known: &mut Vec<Sighting>, mut tell: impl FnMut(&mut Sighting)) {
    for mut one in std::mem::take(known) {
        tell(&mut one);
        match known.iter_mut().find(|other| other.is_like(&one)) {
            Some(other) => other.add(&one),
            None => known.push(one),
        }
    }
}

/// So many networks at most that hold all of these; `None` where they are not more. Joined first are those that are nearest to
/// each other, a /64 of IPv6 counting as one address of IPv4.
fn widened(networks: impl Iterator<Item = Network>, most: usize) -> Option<Vec<Network>> {
    let mut all: Vec<Network> = networks.collect();
    all.sort_unstable();
    all.dedup();
    if all.len() <= most {
        return None;
    }
    while all.len() > most {
        let pairs = all.windows(2).filter_map(|pair| joined(pair[0], pair[1]));
        let Some(joined) = pairs.min_by_key(|joined| width(*joined)) else { break };
        all.retain(|one| !covers(joined, *one));
        let place = all.partition_point(|one| *one < joined);
        all.insert(place, joined);
    }
    Some(all)
}

/// Whether all of a network lies in another one, or is it.
pub fn covers(wide: Network, narrow: Network) -> bool {
    wide.prefix_len() <= narrow.prefix_len() && wide.contains(narrow.address())
}

/// The narrowest network that holds both; `None` where they are of two families.
fn joined(one: Network, other: Network) -> Option<Network> {
    let same = match (one.address(), other.address()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return None,
    };
    let prefix = u8::try_from(same).unwrap_or(u8::MAX).min(one.prefix_len()).min(other.prefix_len());
    Network::truncated(one.address(), prefix)
}

/// How wide a network is, in bits: those of IPv6 within a /64 are nobody else's.
fn width(network: Network) -> u8 {
    match network.address() {
        IpAddr::V4(_) => 2 * (32 - network.prefix_len()),
        IpAddr::V6(_) => 64_u8.saturating_sub(network.prefix_len()),
    }
}

/// The addresses of a network at which a list of these networks may begin or cease to admit: where it admits all of them it
/// admits the whole network.
pub fn edges(network: Network, list: impl Iterator<Item = Network>) -> Vec<IpAddr> {
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
mod tests;
