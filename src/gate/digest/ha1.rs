//! How HA1s are made (RFC 7616 §3.4.2), for whoever makes keys.
//!
//! Never keeps the private key.

use aws_lc_rs::digest::{SHA256, digest};
use md5::{Digest as _, Md5};

use crate::access::digest_secret::DigestSecret;

/// The HA1s of `user:realm:private key`, by both algorithms.
pub fn of(user: &str, realm: &str, private_key: &str) -> DigestSecret {
    let text = format!("{user}:{realm}:{private_key}");
    let mut sha256 = [0; 32];
    // SHA-256 is 32 bytes long, so this never panics.
    sha256.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    DigestSecret { realm: realm.into(), sha256: Some(sha256), md5: Some(Md5::digest(text.as_bytes()).into()) }
}
