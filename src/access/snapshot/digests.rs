//! Users of Digest in copy-on-write shards of their own, so that credentials without HA1s pay nothing for those that have them.
//!
//! Found by the fingerprint of a user name; no look-up of a key or token ever comes here.

use std::sync::Arc;

use hashbrown::HashTable;

use super::{SHARDS, Seed, shard_of};
use crate::access::credential::Fingerprint;
use crate::access::digest_secret::{DigestHolder, DigestSecret};

type Shard = HashTable<Arc<DigestHolder>>;

/// All users of Digest of one snapshot. Without any it holds nothing at all.
#[derive(Clone, Default)]
pub(super) struct Digests {
    /// Empty until the first user comes.
    shards: Box<[Arc<Shard>]>,
    users: usize,
}

impl Digests {
    pub(super) fn find(&self, seed: Seed, name: &Fingerprint) -> Option<&DigestHolder> {
        let hash = seed.hash(name);
        let shard = self.shards.get(shard_of(hash))?;
        shard.find(hash, |held| held.name == *name).map(|holder| &**holder)
    }

    /// Adds a user, whose name nobody else has.
    pub(super) fn insert(&mut self, seed: Seed, holder: DigestHolder) {
        if self.shards.is_empty() {
            let empty = Arc::new(Shard::new());
            self.shards = (0..SHARDS).map(|_| Arc::clone(&empty)).collect();
        }
        let hash = seed.hash(&holder.name);
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        shard.insert_unique(hash, Arc::new(holder), |held| seed.hash(&held.name));
        self.users += 1;
    }

    pub(super) fn remove(&mut self, seed: Seed, name: &Fingerprint) {
        let hash = seed.hash(name);
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else { return };
        if let Ok(slot) = Arc::make_mut(shard).find_entry(hash, |held| held.name == *name) {
            slot.remove();
            self.users -= 1;
        }
        if self.users == 0 {
            self.shards = Box::default();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &DigestHolder> {
        self.shards.iter().flat_map(|shard| shard.iter()).map(|holder| &**holder)
    }

    pub(super) fn bytes(&self) -> usize {
        let slot = (size_of::<Arc<DigestHolder>>() + 1) * 3 / 2;
        let holder = size_of::<DigestHolder>() + size_of::<DigestSecret>() + 2 * size_of::<usize>();
        self.shards.len() * size_of::<Arc<Shard>>() + self.users * (slot + holder)
    }
}
