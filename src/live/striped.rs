//! A map in parts that are locked by themselves, for counts that all workers share.
//!
//! The hash is keyed: nobody outside can tell which keys share a part, and so crowd one.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

/// Parts; many more than there are workers.
const PARTS: usize = 64;

/// The map.
#[derive(Debug)]
pub(super) struct Striped<K, V> {
    parts: Box<[Mutex<HashMap<K, V>>]>,
    hasher: RandomState,
}

impl<K, V> Default for Striped<K, V> {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl<K: Hash + Eq, V> Striped<K, V> {
    /// Works on the part that a key belongs to. Nothing in there may wait.
    pub(super) fn with<T>(&self, key: &K, work: impl FnOnce(&mut HashMap<K, V>) -> T) -> T {
        // The remainder is below the length, which is not zero.
        let part = &self.parts[self.hasher.hash_one(key) as usize % PARTS];
        work(&mut part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keys in all parts.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}
