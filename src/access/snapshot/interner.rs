//! One shared value for equal values, such as the lists and grants of a million credentials.
//!
//! Never keeps alive for long what nobody else holds: it is swept as it grows.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::access::credential::Grants;
use crate::access::list::AccessList;

/// Hands out one shared value for equal values.
#[derive(Debug)]
pub(super) struct Interner<T> {
    held: HashTable<T>,
    hasher: RandomState,
    /// Size after the last sweep: the next one comes when it has doubled.
    swept: usize,
    pub(super) bytes: usize,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { held: HashTable::new(), hasher: RandomState::new(), swept: 0, bytes: 0 }
    }
}

/// A handle to something that equals may share.
pub(super) trait Handle: Clone + Eq + Hash {
    /// How many handles there are.
    fn holders(&self) -> usize;
    /// What is shared, in bytes, and the interner's slot.
    fn bytes(&self) -> usize;
}

impl Handle for AccessList {
    fn holders(&self) -> usize {
        AccessList::holders(self)
    }

    fn bytes(&self) -> usize {
        self.heap_bytes() + size_of::<Self>() * 3 / 2
    }
}

impl Handle for Arc<Grants> {
    fn holders(&self) -> usize {
        Arc::strong_count(self)
    }

    fn bytes(&self) -> usize {
        size_of::<Grants>() + self.roles.len() + self.projects.len() + size_of::<Self>() * 4
    }
}

impl<T: Handle> Interner<T> {
    pub(super) fn share(&mut self, value: T) -> T {
        let hash = self.hasher.hash_one(&value);
        if let Some(held) = self.held.find(hash, |held| *held == value) {
            return held.clone();
        }
        self.bytes += value.bytes();
        self.held.insert_unique(hash, value.clone(), |held| self.hasher.hash_one(held));
        value
    }

    /// Lets go of what nobody else holds, once enough has gathered for that to pay.
    pub(super) fn sweep(&mut self) {
        if self.held.len() < 2 * self.swept + 1_024 {
            return;
        }
        self.held.retain(|held| held.holders() > 1);
        self.swept = self.held.len();
        self.bytes = self.held.iter().map(Handle::bytes).sum();
    }
}
