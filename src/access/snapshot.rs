//! The compiled, immutable, versioned form of the directory that requests are decided on.
//!
//! Credentials live in 1 024 copy-on-write shards keyed by fingerprint; organizations in chunks of 256. A change copies the
//! one shard or chunk that it touches, and a published snapshot is never altered. HA1s lie in a table of their own. Made only by a [`Draft`].

mod digests;
mod draft;
mod interner;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::credential::{Credential, Fingerprint, Organization};
use super::digest_secret::DigestHolder;
use super::id::Id;
use super::token_id::TokenId;
use crate::clock::Timestamp;
use digests::Digests;

pub use super::target::Target;
pub use draft::{
    Adding, Before, CredentialSpec, Delta, Draft, DraftFault, EntrySpec, NetworkSetSpec, OrganizationSpec, Revoked,
};

const SHARDS: usize = 1_024;
const CHUNK: usize = 256;

/// One revision of the directory, ready to decide on.
#[derive(Clone)]
pub struct Snapshot {
    revision: u64,
    seed: Seed,
    shards: Box<[Arc<Shard>]>,
    digests: Digests,
    organizations: Vec<Arc<Vec<Arc<Organization>>>>,
    /// Tokens of our own that were revoked before their end, with that end.
    revoked: Arc<HashMap<TokenId, Timestamp>>,
    credentials: usize,
    bytes: usize,
}

/// Slots of one part of the key space; a credential has a record in one slot for each of its keys.
type Shard = HashTable<Arc<Credential>>;

/// What fingerprints are hashed with: drawn anew for each draft. Fingerprints are uniform as long as they are hashes of keys;
/// whoever can write made-up ones into a directory must not be able to crowd one slot with them.
#[derive(Debug, Clone, Copy)]
struct Seed([u64; 4]);

impl Seed {
    fn random() -> Self {
        Self(std::array::from_fn(|_| RandomState::new().hash_one(0)))
    }

    /// Two folded multiplications over all 32 bytes.
    #[inline]
    fn hash(&self, fingerprint: &Fingerprint) -> u64 {
        let fold = |one: u64, other: u64| {
            let product = u128::from(one) * u128::from(other);
            // Both halves of the product, each cut to 64 bits on purpose.
            product as u64 ^ (product >> 64) as u64
        };
        let (words, _) = fingerprint.0.as_chunks::<8>();
        let word = |at: usize| u64::from_le_bytes(words[at]) ^ self.0[at];
        fold(word(0), word(1)).rotate_left(29) ^ fold(word(2), word(3))
    }
}

/// The table takes its position from the low bits and its tag from the high ones: the shard takes others.
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl Snapshot {
    /// The directory revision that it was compiled from; later is greater.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Number of credentials.
    pub fn len(&self) -> usize {
        self.credentials
    }

    /// Whether it has no credential at all.
    pub fn is_empty(&self) -> bool {
        self.credentials == 0
    }

    /// Approximate resident size in bytes, lists and indexes included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The credential that one key or token subject stands for.
    ///
    /// Not in constant time on purpose: a fingerprint is the SHA-256 of a high-entropy key, and nobody who learns how many of
    /// its bytes agree can choose the next ones without inverting the hash.
    #[inline]
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<&Arc<Credential>> {
        let hash = self.seed.hash(fingerprint);
        self.shards[shard_of(hash)].find(hash, |held| held.fingerprint == *fingerprint)
    }

    /// The user of Digest with this name, by `live::fingerprint::of_digest_user`.
    pub fn find_digest_user(&self, name: &Fingerprint) -> Option<&DigestHolder> {
        self.digests.find(self.seed, name)
    }

    /// All users of Digest, in no particular order. A scan: not for the way of a request.
    pub fn digest_users(&self) -> impl Iterator<Item = &DigestHolder> {
        self.digests.iter()
    }

    /// Whether a token of our own was revoked.
    pub fn is_revoked(&self, token: &TokenId) -> bool {
        self.revoked.contains_key(token)
    }

    /// The organization that a credential belongs to.
    pub fn organization_of(&self, credential: &Credential) -> &Arc<Organization> {
        let at = credential.organization as usize;
        &self.organizations[at / CHUNK][at % CHUNK]
    }

    /// All organizations.
    pub fn organizations(&self) -> impl Iterator<Item = &Arc<Organization>> {
        self.organizations.iter().flat_map(|chunk| chunk.iter()).filter(|one| !one.gone)
    }

    /// All credentials, each once, in no particular order. A scan: not for the way of a request.
    pub fn credentials(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.shards.iter().flat_map(|shard| shard.iter()).filter(|credential| {
            let others = credential.others.as_deref().unwrap_or_default();
            others.iter().all(|other| credential.fingerprint.0 < other.0)
        })
    }

    /// The credential with this id. A scan: not for the way of a request.
    pub fn find_by_id(&self, id: Id) -> Option<&Arc<Credential>> {
        self.shards.iter().flat_map(|shard| shard.iter()).find(|credential| credential.id == id)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
