//! Nonces that need no memory: the second they were made in, eight random bytes, and a MAC over both, the algorithm and the
//! realm. Whoever has the key recognises its own.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::header::Text;
use crate::access::digest_secret::Algorithm;
use crate::clock::Timestamp;

/// Second and random bytes.
const BODY: usize = 16;
/// With the MAC.
const WHOLE: usize = BODY + 32;
/// Characters of it: no group of base64 is left half full.
const WRITTEN: usize = WHOLE / 3 * 4;

/// A nonce of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce {
    /// The second that it was made in.
    pub(super) issued: i64,
    /// Half of its MAC: one for each nonce, algorithm, realm and key.
    pub(super) id: u128,
}

/// A fresh nonce; `None` where no randomness can be had.
pub(super) fn issue(key: &hmac::Key, algorithm: Algorithm, realm: &str, now: Timestamp) -> Option<String> {
    let mut bytes = [0; WHOLE];
    bytes[..8].copy_from_slice(&now.unix_seconds().to_be_bytes());
    aws_lc_rs::rand::fill(&mut bytes[8..BODY]).ok()?;
    let mac = mac(key, algorithm, realm, &bytes[..BODY]);
    bytes[BODY..].copy_from_slice(mac.as_ref());
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// The nonce, where it is one of ours for this algorithm and realm.
pub(super) fn open(key: &hmac::Key, algorithm: Algorithm, realm: &str, text: &Text<'_>) -> Option<Nonce> {
    let mut written = [0; WRITTEN];
    let mut given = text.bytes();
    for place in &mut written {
        *place = given.next()?;
    }
    if given.next().is_some() {
        return None;
    }
    let mut bytes = [0; WHOLE];
    let length = URL_SAFE_NO_PAD.decode_slice(written, &mut bytes).ok()?;
    let (body, tag) = bytes.split_at(BODY);
    // In constant time.
    hmac::verify(key, &input(algorithm, realm, body), tag).ok().filter(|()| length == WHOLE)?;
    let (seconds, _) = body.as_chunks::<8>();
    let (halves, _) = tag.as_chunks::<16>();
    Some(Nonce { issued: i64::from_be_bytes(seconds[0]), id: u128::from_be_bytes(halves[0]) })
}

fn mac(key: &hmac::Key, algorithm: Algorithm, realm: &str, body: &[u8]) -> hmac::Tag {
    hmac::sign(key, &input(algorithm, realm, body))
}

/// What is signed: no realm has a NUL in it.
fn input(algorithm: Algorithm, realm: &str, body: &[u8]) -> smallvec::SmallVec<[u8; 192]> {
    let parts: [&[u8]; 6] =
        [b"portcullis nonce\0", algorithm.as_str().as_bytes(), b"\0", realm.as_bytes(), b"\0", body];
    parts.into_iter().flatten().copied().collect()
}
