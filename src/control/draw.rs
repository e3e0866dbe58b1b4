//! Ids and secrets, drawn from the system's random source.

use std::fmt::Write as _;

use aws_lc_rs::rand::fill;
use base64::Engine as _;

use super::Fault;
use crate::access::id::Id;
use crate::problem::{Code, Refusal};

/// A new id.
pub(super) fn id() -> Result<Id, Fault> {
    bytes().map(Id::from_bytes)
}

/// A new public key: 8 lowercase letters.
pub(super) fn public_key() -> Result<String, Fault> {
    let mut letters = String::with_capacity(8);
    while letters.len() < 8 {
        // 26 × 9 = 234: what is above would make some letters likelier than others.
        let drawn = bytes::<16>()?;
        let fair = drawn.iter().filter(|byte| **byte < 234).map(|byte| char::from(b'a' + byte % 26));
        letters.extend(fair.take(8 - letters.len()));
    }
    Ok(letters)
}

/// A new private key: a UUID of version 4 (RFC 9562 §5.4), 122 random bits.
pub(super) fn private_key() -> Result<String, Fault> {
    let mut drawn = bytes::<16>()?;
    drawn[6] = drawn[6] & 0x0f | 0x40;
    drawn[8] = drawn[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in drawn.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// A new token: a prefix and 256 random bits.
pub(super) fn token(prefix: &str) -> Result<String, Fault> {
    let drawn = bytes::<32>()?;
    Ok(format!("{prefix}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(drawn)))
}

/// What the secret of a service account begins with.
const CLIENT_SECRET: &str = "pcl_sa_sk_";

/// A new secret of a service account: a prefix and 240 random bits in 40 characters.
pub(super) fn client_secret() -> Result<String, Fault> {
    let drawn = bytes::<30>()?;
    Ok(format!("{CLIENT_SECRET}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(drawn)))
}

/// What may be shown of it: its last 4 characters.
pub(super) fn shown_client_secret(secret: &str) -> String {
    let tail = secret.char_indices().rev().nth(3).map_or("", |(at, _)| &secret[at..]);
    format!("{CLIENT_SECRET}…{tail}")
}

/// Whether a text has the form of a private key.
pub(super) fn is_private_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| if hyphen(at) { *byte == b'-' } else { digit(*byte) })
        && bytes[14] == b'4'
        && matches!(bytes[19], b'8' | b'9' | b'a' | b'b')
}

/// What may be shown of a private key: its last 12 characters.
pub(super) fn shown(private_key: &str) -> String {
    let tail = private_key.char_indices().rev().nth(11).map_or(private_key, |(at, _)| &private_key[at..]);
    format!("********-****-****-{tail}")
}

/// Random bytes.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    let failed = |_| Refusal::new(Code::InternalError, "The system gives no random numbers; nothing was changed.");
    fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_its_form() {
        for _ in 0..200 {
            let public = public_key().unwrap();
            assert!(public.len() == 8 && public.bytes().all(|byte| byte.is_ascii_lowercase()), "{public}");
            let private = private_key().unwrap();
            let bytes = private.as_bytes();
            assert_eq!((private.len(), bytes[14]), (36, b'4'), "{private}");
            assert!(matches!(bytes[19], b'8' | b'9' | b'a' | b'b'), "{private}");
            assert!(is_private_key(&private) && !is_private_key(&private.to_uppercase().replace('-', "A")));
            assert_eq!(shown(&private), format!("********-****-****-{}", &private[24..]));
        }
        assert_ne!(id().unwrap(), id().unwrap());
    }
}
