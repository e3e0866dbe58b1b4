//! The entries of one address family, sorted so that one binary search finds the narrowest that covers an address.

use crate::clock::Timestamp;

/// First address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Node<T> {
    pub(super) start: T,
    pub(super) prefix_len: u8,
}

/// Entries, and what goes with them where they nest or expire.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Family<T> {
    /// In (start, prefix length) order.
    pub(super) nodes: Box<[Node<T>]>,
    /// The next broader entry that covers each one; `NONE` for the broadest. Empty where nothing nests.
    parents: Box<[u32]>,
    /// Empty where nothing expires.
    expires_at: Box<[Timestamp]>,
}

/// An entry that covers an address and has not expired.
pub(super) struct Found<T> {
    pub(super) node: Node<T>,
    pub(super) expires_at: Timestamp,
}

const NONE: u32 = u32::MAX;

/// Unsigned integers of an address family's width.
pub(super) trait Bits: Copy + Ord {
    /// Whether the network holds the address.
    fn covers(node: &Node<Self>, address: Self) -> bool;
}

impl Bits for u32 {
    #[inline]
    fn covers(node: &Node<Self>, address: Self) -> bool {
        (node.start ^ address).leading_zeros() >= u32::from(node.prefix_len)
    }
}

impl Bits for u128 {
    #[inline]
    fn covers(node: &Node<Self>, address: Self) -> bool {
        (node.start ^ address).leading_zeros() >= u32::from(node.prefix_len)
    }
}

/// Lists up to this long are counted through, which is quicker than searching: no branch depends on the address.
const SHORT: usize = 16;

/// Position of the last entry that starts at or before the address, if there is one.
#[inline]
fn predecessor<T: Bits>(nodes: &[Node<T>], address: T) -> Option<usize> {
    let before = match nodes.len() <= SHORT {
        true => nodes.iter().map(|node| usize::from(node.start <= address)).sum(),
        false => nodes.partition_point(|node| node.start <= address),
    };
    usize::checked_sub(before, 1)
}

/// The entry that covers the address, where none nests in another.
#[inline]
pub(super) fn covering<T: Bits>(nodes: &[Node<T>], address: T) -> Option<usize> {
    predecessor(nodes, address).filter(|at| T::covers(&nodes[*at], address))
}

impl<T: Bits> Family<T> {
    /// Sorts entries and links each to the next broader one.
    pub(super) fn compile(mut entries: Vec<(Node<T>, Timestamp)>) -> Self {
        // Of equal networks the one that lasts longest comes first and stays.
        entries.sort_unstable_by_key(|(node, expires_at)| (*node, std::cmp::Reverse(*expires_at)));
        entries.dedup_by_key(|(node, _)| *node);
        let mut parents: Vec<u32> = Vec::with_capacity(entries.len());
        let mut open: Vec<u32> = Vec::new();
        for (at, (node, _)) in entries.iter().enumerate() {
            while open.last().is_some_and(|above| !T::covers(&entries[*above as usize].0, node.start)) {
                open.pop();
            }
            parents.push(open.last().copied().unwrap_or(NONE));
            // Lists are bounded to far fewer entries than 2^32 (decision.md §4).
            open.push(at as u32);
        }
        if parents.iter().all(|parent| *parent == NONE) {
            parents.clear();
        }
        let expires = entries.iter().any(|(_, expires_at)| *expires_at != Timestamp::NEVER);
        let expires_at = if expires { entries.iter().map(|(_, at)| *at).collect() } else { Box::default() };
        let nodes = entries.into_iter().map(|(node, _)| node).collect();
        Family { nodes, parents: parents.into(), expires_at }
    }

    /// Whether nothing nests and nothing expires.
    pub(super) fn is_plain(&self) -> bool {
        self.parents.is_empty() && self.expires_at.is_empty()
    }

    /// The narrowest unexpired entry that covers the address.
    pub(super) fn narrowest(&self, address: T, now: Timestamp) -> Option<Found<T>> {
        let nodes = &self.nodes;
        let mut at = predecessor(nodes, address)?;
        loop {
            let expires_at = self.expires_at(at);
            if T::covers(&nodes[at], address) && now < expires_at {
                return Some(Found { node: nodes[at], expires_at });
            }
            at = match self.parents.get(at) {
                Some(&parent) if parent != NONE => parent as usize,
                _ => return None,
            };
        }
    }
}

impl<T> Family<T> {
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.parents) + size_of_val(&*self.expires_at)
    }

    pub(super) fn expires_at(&self, at: usize) -> Timestamp {
        self.expires_at.get(at).copied().unwrap_or(Timestamp::NEVER)
    }
}
