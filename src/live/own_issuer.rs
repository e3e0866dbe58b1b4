//! What tokens of our own are verified with: the name of their issuer and the public halves of its keys.
//!
//! Never holds a private key: those stay in the store, with whoever signs.

use crate::clock::Timestamp;

use super::key_sets::{KeySet, KeySetFault};

/// The issuer of our own tokens.
#[derive(Debug, Clone)]
pub struct OwnIssuer {
    issuer: Box<str>,
    keys: KeySet,
    document: Box<str>,
}

impl OwnIssuer {
    /// An issuer by its name and its JWK set.
    ///
    /// # Errors
    /// The document is no usable key set.
    pub fn new(issuer: &str, document: String, now: Timestamp) -> Result<Self, KeySetFault> {
        Ok(Self { issuer: issuer.into(), keys: KeySet::parse(document.as_bytes(), now)?, document: document.into() })
    }

    /// Exact `iss` and `aud` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its keys. They are never stale: whoever publishes them signs with them.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Its keys, as everybody may read them.
    pub fn document(&self) -> &str {
        &self.document
    }
}
