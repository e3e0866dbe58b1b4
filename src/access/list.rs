//! One credential's access list, compiled: which entry admits an address, and which came nearest.
//!
//! Entries are sorted by (address, prefix length). Networks nest or are disjoint, so the last entry that starts at or before
//! an address is inside every entry that covers the address: the narrowest one is found by one binary search and a walk up
//! the parents (`docs/decisions/0002-matcher-by-predecessor.md`). Never merges or widens what was written.

mod family;

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use super::client_address::ClientAddress;
use super::credential::NetworkSet;
use super::network::{Network, Parts};
use crate::clock::Timestamp;
use family::{Family, Found, Node};

/// A compiled list: a handle to entries that equal lists share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccessList(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    /// What nearly every list is: IPv4 entries, eight bytes each, none within another, none that expires. One block of
    /// memory, because what a decision costs among a million credentials is the blocks that it touches.
    Plain(Arc<[Node<u32>]>),
    Full(Arc<Full>),
}

/// A list with anything else in it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Full {
    v4: Family<u32>,
    v6: Family<u128>,
    sets: Box<[SetEntry]>,
}

/// A reference to the organization's set at this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetEntry {
    /// Position in `Organization::sets`.
    pub set: u32,
    /// When the reference stops admitting.
    pub expires_at: Timestamp,
}

/// An entry that names a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkEntry {
    /// What it admits.
    pub network: Network,
    /// When it stops admitting.
    pub expires_at: Timestamp,
}

/// The entry that admits an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The narrowest network that has not expired.
    pub network: Network,
    /// When the entry stops admitting.
    pub expires_at: Timestamp,
    /// The organization's set that holds it, where the entry refers to one.
    pub set: Option<u32>,
}

/// An entry that did not admit an address, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nearest {
    /// The entry's network.
    pub network: Network,
    /// Set where it covers the address but had expired by then.
    pub expired_at: Option<Timestamp>,
    /// The set that holds it, where it comes from one.
    pub set: Option<u32>,
}

impl AccessList {
    /// Compiles a list. Of two entries with the same network the one that lasts longer stays.
    pub fn compile(
        networks: impl IntoIterator<Item = NetworkEntry>,
        sets: impl IntoIterator<Item = SetEntry>,
    ) -> AccessList {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for NetworkEntry { network, expires_at } in networks {
            match network.parts() {
                Parts::V4 { start, prefix_len } => v4.push((Node { start, prefix_len }, expires_at)),
                Parts::V6 { start, prefix_len } => v6.push((Node { start, prefix_len }, expires_at)),
            }
        }
        let mut sets: Vec<SetEntry> = sets.into_iter().collect();
        sets.sort_unstable();
        let (v4, v6) = (Family::compile(v4), Family::compile(v6));
        AccessList(match v4.is_plain() && v6.nodes.is_empty() && sets.is_empty() {
            true => Form::Plain(v4.nodes.into()),
            false => Form::Full(Arc::new(Full { v4, v6, sets: sets.into() })),
        })
    }

    /// Whether nobody ever put an entry on it. An expired entry is still an entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Plain(nodes) => nodes.is_empty(),
            // A list with nothing in it is plain.
            Form::Full(_) => false,
        }
    }

    /// The narrowest unexpired entry that covers the address. `sets` are those of the credential's organization.
    /// A dangling reference admits nothing.
    #[inline]
    pub fn admits(&self, client: ClientAddress, now: Timestamp, sets: &[Arc<NetworkSet>]) -> Option<Admitted> {
        match (&self.0, client.ip()) {
            (Form::Plain(nodes), IpAddr::V4(address)) => {
                let Node { start, prefix_len } = nodes[family::covering(nodes, address.to_bits())?];
                let network = Network::from_v4(start, prefix_len);
                Some(Admitted { network, expires_at: Timestamp::NEVER, set: None })
            }
            (Form::Plain(_), IpAddr::V6(_)) => None,
            (Form::Full(full), _) => full.admits(client, now, sets),
        }
    }

    /// The entry that came nearest to admitting the address: one that covers it but has expired, else the one of its family
    /// that shares the longest prefix with it. For explanations; not for the way of a request.
    pub fn nearest(&self, client: ClientAddress, now: Timestamp, sets: &[Arc<NetworkSet>]) -> Option<Nearest> {
        let closeness = |entry: &NetworkEntry| {
            let covers = entry.network.contains(client.ip());
            let expired_at = (covers && entry.expires_at <= now).then_some(entry.expires_at);
            (covers, shared_bits(entry.network, client.ip()), entry.network.prefix_len(), expired_at)
        };
        let own = self.entries().map(|entry| (entry, None));
        let from_sets = self.set_entries().iter().flat_map(|reference| {
            let set = sets.get(reference.set as usize);
            let expires_at = reference.expires_at;
            set.into_iter().flat_map(move |set| set.networks.entries()).map(move |entry| {
                let entry = NetworkEntry { expires_at: entry.expires_at.min(expires_at), ..entry };
                (entry, Some(reference.set))
            })
        });
        own.chain(from_sets)
            .filter(|(entry, _)| entry.network.address().is_ipv4() == client.ip().is_ipv4())
            .max_by_key(|(entry, _)| closeness(entry))
            .map(|(entry, set)| Nearest { network: entry.network, expired_at: closeness(&entry).3, set })
    }

    /// Its own network entries, in address order, IPv4 first.
    pub fn entries(&self) -> impl Iterator<Item = NetworkEntry> + '_ {
        let (v4, full) = match &self.0 {
            Form::Plain(nodes) => (&nodes[..], None),
            Form::Full(full) => (&full.v4.nodes[..], Some(&**full)),
        };
        let v4 = v4.iter().enumerate().map(move |(at, node)| NetworkEntry {
            network: Network::from_v4(node.start, node.prefix_len),
            expires_at: full.map_or(Timestamp::NEVER, |full| full.v4.expires_at(at)),
        });
        let v6 = full.into_iter().flat_map(|full| {
            full.v6.nodes.iter().enumerate().map(|(at, node)| NetworkEntry {
                network: Network::from_v6(node.start, node.prefix_len),
                expires_at: full.v6.expires_at(at),
            })
        });
        v4.chain(v6)
    }

    /// Its references to network sets.
    pub fn set_entries(&self) -> &[SetEntry] {
        match &self.0 {
            Form::Plain(_) => &[],
            Form::Full(full) => &full.sets,
        }
    }

    /// What its entries keep on the heap, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        match &self.0 {
            Form::Plain(nodes) => counts + size_of_val(&**nodes),
            Form::Full(full) => {
                counts + size_of::<Full>() + full.v4.heap_bytes() + full.v6.heap_bytes() + size_of_val(&*full.sets)
            }
        }
    }

    /// How many handles share its entries.
    pub(super) fn holders(&self) -> usize {
        match &self.0 {
            Form::Plain(nodes) => Arc::strong_count(nodes),
            Form::Full(full) => Arc::strong_count(full),
        }
    }
}

impl Default for AccessList {
    fn default() -> Self {
        Self(Form::Plain(Arc::default()))
    }
}

impl Full {
    fn admits(&self, client: ClientAddress, now: Timestamp, sets: &[Arc<NetworkSet>]) -> Option<Admitted> {
        let mut best = self.own(client, now);
        for entry in self.sets.iter().filter(|entry| now < entry.expires_at) {
            // A set refers to no other sets.
            let held = sets.get(entry.set as usize).and_then(|set| set.networks.admits(client, now, &[]));
            if let Some(held) = held
                && best.is_none_or(|best| held.network.prefix_len() > best.network.prefix_len())
            {
                let expires_at = held.expires_at.min(entry.expires_at);
                best = Some(Admitted { expires_at, set: Some(entry.set), ..held });
            }
        }
        best
    }

    fn own(&self, client: ClientAddress, now: Timestamp) -> Option<Admitted> {
        let (network, expires_at) = match client.ip() {
            IpAddr::V4(address) => {
                let Found { node, expires_at } = self.v4.narrowest(address.to_bits(), now)?;
                (Network::from_v4(node.start, node.prefix_len), expires_at)
            }
            IpAddr::V6(address) => {
                let Found { node, expires_at } = self.v6.narrowest(address.to_bits(), now)?;
                (Network::from_v6(node.start, node.prefix_len), expires_at)
            }
        };
        Some(Admitted { network, expires_at, set: None })
    }
}

impl Hash for NetworkEntry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.network.hash(state);
        self.expires_at.hash(state);
    }
}

/// How many leading bits the network's fixed part shares with the address.
fn shared_bits(network: Network, address: IpAddr) -> u32 {
    let shared = match (network.address(), address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
        _ => 0,
    };
    shared.min(u32::from(network.prefix_len()))
}

#[cfg(test)]
mod tests;
