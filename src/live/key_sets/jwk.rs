//! JSON Web Keys (RFC 7517, 7518, 8037) as they are published, and the few of them that verify signatures.
//!
//! Never takes a symmetric key, whatever it says of itself: a published secret is none.

use std::hash::{BuildHasher as _, DefaultHasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use super::{Key, KeySetFault, MOST_KEYS, Shape};
use crate::config::settings::JwtAlgorithm;

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

pub(super) fn parse(document: &[u8]) -> Result<Vec<Key>, KeySetFault> {
    let Document { keys } =
        serde_json::from_slice(document).map_err(|fault| KeySetFault::NotAKeySet(fault.to_string()))?;
    if keys.len() > MOST_KEYS {
        return Err(KeySetFault::TooMany(keys.len()));
    }
    let all = keys.len();
    let mut usable = Vec::new();
    for (at, value) in keys.into_iter().enumerate() {
        let broken = |why: String| KeySetFault::BrokenKey { position: at + 1, why };
        // Compared within one process alone, and only with keys of the same publisher.
        let mark = std::hash::BuildHasherDefault::<DefaultHasher>::new().hash_one(value.to_string());
        let jwk = Jwk::deserialize(value).map_err(|fault| broken(fault.to_string()))?;
        usable.extend(key(jwk, mark).map_err(broken)?);
    }
    match usable.is_empty() {
        true => Err(KeySetFault::NoUsableKey(all)),
        false => Ok(usable),
    }
}

/// `None` for a key that is not for us.
fn key(jwk: Jwk, mark: u64) -> Result<Option<Key>, String> {
    let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.key_ops.as_deref().is_none_or(|operations| operations.iter().any(|name| name == "verify"));
    if !for_signatures {
        return Ok(None);
    }
    let only = match jwk.alg.as_deref() {
        None => None,
        Some(name) => match algorithm(name) {
            Some(algorithm) => Some(algorithm),
            None => return Ok(None),
        },
    };
    let (shape, decoding) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (member("n", jwk.n)?, member("e", jwk.e)?);
            // What the verifier would refuse each time is not taken at all.
            let significant = n.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &n[first..]);
            let bits = significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize);
            if !(2048..=8192).contains(&bits) {
                return Ok(None);
            }
            (Shape::Rsa, DecodingKey::from_rsa_raw_components(significant, &e))
        }
        ("EC", Some("P-256")) => (Shape::P256, point(jwk.x, jwk.y, 32)?),
        ("EC", Some("P-384")) => (Shape::P384, point(jwk.x, jwk.y, 48)?),
        ("OKP", Some("Ed25519")) => {
            let x = member("x", jwk.x)?;
            if x.len() != 32 {
                return Err(format!("`x` has {} bytes; an Ed25519 key has 32", x.len()));
            }
            (Shape::Ed25519, DecodingKey::from_ed_der(&x))
        }
        _ => return Ok(None),
    };
    Ok(Some(Key { id: jwk.kid.map(Into::into), shape, only, decoding, mark }))
}

fn point(x: Option<String>, y: Option<String>, length: usize) -> Result<DecodingKey, String> {
    let (x, y) = (member("x", x)?, member("y", y)?);
    if x.len() != length || y.len() != length {
        return Err(format!("`x` and `y` have {} and {} bytes; this curve's have {length}", x.len(), y.len()));
    }
    // SEC 1 §2.3.3, uncompressed.
    Ok(DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
}

fn member(name: &str, value: Option<String>) -> Result<Vec<u8>, String> {
    let value = value.ok_or_else(|| format!("`{name}` is missing"))?;
    URL_SAFE_NO_PAD.decode(value).map_err(|_| format!("`{name}` is not base64url without padding"))
}

fn algorithm(name: &str) -> Option<JwtAlgorithm> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}
