//! The public keys of foreign issuers, parsed and ready: one set per issuer, found by the issuer's name.
//!
//! Never fetches and never holds a secret. Sets are found by the issuer's exact name, not by its position, so that a reload
//! that reorders issuers can't pair one with another's keys.

mod jwk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::config::settings::JwtAlgorithm;

/// A set that was fetched longer ago is not used.
pub const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Most keys of one set.
pub const MOST_KEYS: usize = 128;

/// Why a document is no usable key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum KeySetFault {
    #[error("the document is not a JWK set (RFC 7517 §5): {0}")]
    NotAKeySet(String),
    #[error("key {position} of the set is broken: {why}")]
    BrokenKey { position: usize, why: String },
    #[error("none of the {0} keys of the set can verify signatures; RSA from 2048 bits, P-256, P-384 and Ed25519 can")]
    NoUsableKey(usize),
    #[error("the set has {0} keys; at most {MOST_KEYS} are taken")]
    TooMany(usize),
}

/// The shape of a key, which fixes the algorithms that it can be used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// One public key.
#[derive(Clone)]
pub struct Key {
    id: Option<Box<str>>,
    shape: Shape,
    /// The one algorithm that its publisher pins it to.
    only: Option<JwtAlgorithm>,
    decoding: DecodingKey,
    /// Of everything that was published of it.
    mark: u64,
}

impl Key {
    /// Whether signatures of the algorithm may be verified with it.
    pub fn suits(&self, algorithm: JwtAlgorithm) -> bool {
        use JwtAlgorithm as A;
        let shape = match algorithm {
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512 => Shape::Rsa,
            A::ES256 => Shape::P256,
            A::ES384 => Shape::P384,
            A::EdDSA => Shape::Ed25519,
        };
        shape == self.shape && self.only.is_none_or(|only| only == algorithm)
    }

    /// Tells it from every other key, the next one under its id included.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// What verifies.
    pub fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

/// One issuer's keys.
#[derive(Clone)]
pub struct KeySet {
    keys: Arc<[Key]>,
    fetched_at: Timestamp,
    generation: u64,
}

impl KeySet {
    /// Parses a JWK set. Keys of other kinds, other uses and insufficient size are left out.
    ///
    /// # Errors
    /// [`KeySetFault`] where nothing usable is left, or a usable kind of key is broken.
    pub fn parse(document: &[u8], fetched_at: Timestamp) -> Result<Self, KeySetFault> {
        let keys = jwk::parse(document)?;
        // The first bytes of the document's SHA-256: the same keys stay the same generation, fetched however often.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document);
        let generation = digest.as_ref().iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte));
        Ok(Self { keys: keys.into(), fetched_at, generation })
    }

    /// The keys that a token may be verified with: those of its `kid` that suit its algorithm. A token without `kid` gets
    /// one only where a single key suits.
    pub fn candidates(&self, id: Option<&str>, algorithm: JwtAlgorithm) -> impl Iterator<Item = &Key> {
        let suits = move |key: &&Key| key.suits(algorithm) && (id.is_none() || key.id.as_deref() == id);
        let usable = id.is_some() || self.keys.iter().filter(suits).count() == 1;
        self.keys.iter().filter(move |key| usable && suits(key))
    }

    /// Whether any key has this id.
    pub fn knows(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Whether the key with this mark is still one of them.
    pub fn holds(&self, mark: u64) -> bool {
        self.keys.iter().any(|key| key.mark == mark)
    }

    /// When it was fetched, or last found unchanged.
    pub fn fetched_at(&self) -> Timestamp {
        self.fetched_at
    }

    /// Changes whenever the document changes: what was verified under another generation is verified again.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it is too old to be used.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let age = now.unix_seconds().saturating_sub(self.fetched_at.unix_seconds());
        u64::try_from(age).is_ok_and(|age| age > STALE_AFTER.as_secs())
    }

    /// Number of usable keys; at least one.
    #[allow(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet").field("keys", &self.keys.len()).field("fetched_at", &self.fetched_at).finish()
    }
}

/// The sets of all issuers that have one: part of the published value.
#[derive(Debug, Clone, Default)]
pub struct KeySets {
    sets: HashMap<Box<str>, KeySet>,
    wish: RefreshWish,
}

impl KeySets {
    /// No keys at all: every foreign token is refused.
    pub fn new(wish: RefreshWish) -> Self {
        Self { sets: HashMap::new(), wish }
    }

    /// The set of an issuer.
    pub fn of(&self, issuer: &str) -> Option<&KeySet> {
        self.sets.get(issuer)
    }

    /// Puts an issuer's set in place.
    pub fn insert(&mut self, issuer: &str, set: KeySet) {
        self.sets.insert(issuer.into(), set);
    }

    /// Drops the sets of issuers that are not named. Says whether there were any.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) -> bool {
        let before = self.sets.len();
        self.sets.retain(|issuer, _| keep(issuer));
        before != self.sets.len()
    }

    /// Asks for fresh sets soon: a token named a key that nobody knows. Cheap, and never waits.
    pub fn wish_for_refresh(&self) {
        self.wish.0.notify_one();
    }
}

/// How the data path asks the job that refreshes key sets to hurry. The job decides how often it listens.
#[derive(Debug, Clone, Default)]
pub struct RefreshWish(Arc<Notify>);

impl RefreshWish {
    /// Waits until somebody wishes; a wish from before the call counts.
    pub async fn made(&self) {
        self.0.notified().await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
