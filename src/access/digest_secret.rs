//! What Digest authentication (RFC 7616) is proven against: HA1s, kept apart from the record that every request reads.
//!
//! An HA1 is as good as a password for its realm. Never shows one: nothing here has a `Debug` that tells, or a `Display`.

use std::fmt;
use std::sync::Arc;

use super::credential::{Credential, Fingerprint};

/// Most secrets that one credential has: the present one, and the next one while it is being replaced.
pub const MOST_SECRETS: usize = 2;

/// A hash of RFC 7616.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `SHA-256`.
    Sha256,
    /// `MD5`, for clients that know no other.
    Md5,
}

impl Algorithm {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }
}

/// What a realm is made of, in a message.
pub const REALM_FORM: &str = "1 to 128 visible ASCII characters without quotes, backslashes and colons";

/// Whether a text can be a realm: it stands in a header between quotes, and in an HA1 between colons.
pub fn is_realm(text: &str) -> bool {
    let legal = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b':');
    (1..=128).contains(&text.len()) && text.bytes().all(legal)
}

/// The HA1s of one private key: hashes of `user:realm:private key`.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestSecret {
    /// The realm that they were made for.
    pub realm: Arc<str>,
    /// By SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// By MD5.
    pub md5: Option<[u8; 16]>,
}

impl DigestSecret {
    /// The HA1 by this algorithm, where there is one.
    pub fn ha1(&self, algorithm: Algorithm) -> Option<&[u8]> {
        match algorithm {
            Algorithm::Sha256 => self.sha256.as_ref().map(<[u8; 32]>::as_slice),
            Algorithm::Md5 => self.md5.as_ref().map(<[u8; 16]>::as_slice),
        }
    }
}

impl fmt::Debug for DigestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestSecret(…)")
    }
}

/// The user that a credential is in Digest, to be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestUser {
    /// Of the user name, which is the public key: `live::fingerprint::of_digest_user`.
    pub name: Fingerprint,
    /// One secret, or [`MOST_SECRETS`] while one is being replaced.
    pub secrets: Vec<DigestSecret>,
}

/// A compiled user of Digest.
pub struct DigestHolder {
    pub(super) name: Fingerprint,
    pub(super) credential: Arc<Credential>,
    pub(super) secrets: Box<[DigestSecret]>,
}

impl DigestHolder {
    /// Whose secrets they are.
    pub fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// One, or [`MOST_SECRETS`].
    pub fn secrets(&self) -> &[DigestSecret] {
        &self.secrets
    }
}

impl fmt::Debug for DigestHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestHolder").field("credential", &self.credential).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_stand_between_quotes_and_colons() {
        for text in ["P", "Portcullis of acme, Inc.", "!#$%&'()*+,-./", &"x".repeat(128)] {
            assert!(is_realm(text), "{text}");
        }
        for text in ["", "a\"b", "a\\b", "a:b", "a\tb", "\u{e4}", "a\u{7f}", &"x".repeat(129)] {
            assert!(!is_realm(text), "{text:?}");
        }
    }

    #[test]
    fn algorithms_have_the_names_of_the_registry() {
        assert_eq!([Algorithm::Sha256, Algorithm::Md5].map(Algorithm::as_str), ["SHA-256", "MD5"]);
    }
}
