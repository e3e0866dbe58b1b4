//! The keys that tokens are signed with: made, published a day before they sign, and kept until their last token has ended.
//!
//! Private keys stay in the store and in this room. They are looked after whenever a token is made: where none is made, none
//! has to be rotated.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::change::Change;
use super::{Fault, draw};
use crate::access::id::Id;
use crate::clock::{Clock, Timestamp};
use crate::directory::sqlite::{self, Rows, SigningKeyRow};
use crate::live::own_issuer::OwnIssuer;
use crate::problem::{Code, Refusal};

/// Seconds that a token lives at most.
pub(super) const TOKEN_LIFE: i64 = 3600;

/// Seconds that a key signs, and that it is published before.
const KEY_LIFE: i64 = 30 * 24 * 3600;
const AHEAD: i64 = 24 * 3600;

/// A key that signs.
struct SigningKey {
    id: Id,
    pair: EcdsaKeyPair,
    signs_from: Timestamp,
}

/// Every key there is, in the order in which they sign.
pub(super) struct Signing {
    issuer: String,
    keys: Vec<SigningKey>,
}

/// A key that was stored can't be used.
fn broken(id: Id) -> Fault {
    tracing::error!(kid = %id, "a signing key in the store is broken; delete its row from `signing_key`");
    Refusal::new(Code::InternalError, "A signing key in the store is broken; nothing was changed.").into()
}

impl Signing {
    /// No key yet.
    pub(super) fn empty(issuer: String) -> Self {
        Self { issuer, keys: Vec::new() }
    }

    fn read(rows: Rows<'_>, issuer: &str) -> Result<Self, Fault> {
        let key = |row: SigningKeyRow| {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &row.pkcs8);
            Ok(SigningKey { id: row.id, pair: pair.map_err(|_| broken(row.id))?, signs_from: row.signs_from })
        };
        let keys = rows.signing_keys()?.into_iter().map(key).collect::<Result<_, Fault>>()?;
        Ok(Self { issuer: issuer.to_owned(), keys })
    }

    /// Exact `iss` and `aud` of tokens.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public halves, as RFC 7517 wants them.
    fn document(&self) -> String {
        let jwk = |key: &SigningKey| {
            // SEC 1 §2.3.3, uncompressed: 4, x, y.
            let (x, y) = key.pair.public_key().as_ref()[1..].split_at(32);
            json!({
                "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": key.id.to_string(),
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            })
        };
        json!({"keys": self.keys.iter().map(jwk).collect::<Vec<_>>()}).to_string()
    }

    fn published(&self, now: Timestamp) -> Result<OwnIssuer, Fault> {
        OwnIssuer::new(&self.issuer, self.document(), now).map_err(|fault| {
            tracing::error!(error = %fault, "the signing keys can't be published");
            Refusal::new(Code::InternalError, "The signing keys can't be published; nothing was changed.").into()
        })
    }

    /// A signed token with these claims.
    pub(super) fn sign(&self, claims: &Value, now: Timestamp) -> Result<String, Fault> {
        let failed = || Refusal::new(Code::InternalError, "No token could be signed; nothing was changed.");
        // Where the clock went back, the first one: it is published all the same.
        let signer = self.keys.iter().rev().find(|key| key.signs_from <= now).or(self.keys.first());
        let signer = signer.ok_or_else(failed)?;
        let header = json!({"alg": "ES256", "kid": signer.id.to_string(), "typ": "at+jwt"});
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(claims));
        let signature = signer.pair.sign(&SystemRandom::new(), message.as_bytes()).map_err(|_| failed())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

/// What has to be done with keys that begin to sign at these times, in order: whether one has to be made, signing from when;
/// and how many of the first have gone out of use.
fn due(signs_from: &[Timestamp], now: Timestamp) -> (Option<Timestamp>, usize) {
    let after = |at: Timestamp, seconds: i64| Timestamp::from_unix_seconds(at.unix_seconds().saturating_add(seconds));
    let next = match signs_from.last() {
        None => Some(now),
        Some(last) if after(*last, KEY_LIFE - AHEAD) <= now => Some(after(*last, KEY_LIFE).max(after(now, AHEAD))),
        Some(_) => None,
    };
    let successors = signs_from.iter().skip(1);
    (next, successors.take_while(|from| after(**from, TOKEN_LIFE) <= now).count())
}

/// Makes and removes keys where it is time to; what comes of it is used once the change is stored.
pub(super) fn tend(change: &mut Change<'_>) -> Result<(), Fault> {
    let rows = change.rows().signing_keys()?;
    let now = change.now();
    let (next, gone) = due(&rows.iter().map(|row| row.signs_from).collect::<Vec<_>>(), now);
    if let Some(signs_from) = next {
        let failed = |_| Refusal::new(Code::InternalError, "The system gives no random numbers; nothing was changed.");
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(failed)?;
        let key = SigningKeyRow { id: draw::id()?, pkcs8: pkcs8.as_ref().to_vec(), created_at: now, signs_from };
        change.store().add_signing_key(&key)?;
        tracing::info!(kid = %key.id, signs_from = %signs_from, "a key that signs tokens was made");
    }
    for row in &rows[..gone] {
        change.store().remove_signing_key(row.id)?;
        tracing::info!(kid = %row.id, "a key that signed tokens was removed; all of its tokens have ended");
    }
    if next.is_some() || gone > 0 {
        change.keep_aside();
    }
    let held = change.signing().keys.iter().map(|key| key.id);
    let is_held = held.eq(rows.iter().map(|row| row.id));
    if next.is_some() || gone > 0 || !is_held {
        let signing = Signing::read(change.rows(), change.signing().issuer())?;
        let published = signing.published(now)?;
        change.sign_with(signing, published);
    }
    Ok(())
}

/// What tokens of a store are verified with that another process may be serving; `None` where it has no key yet.
///
/// # Errors
/// A [`Fault`].
pub fn own_issuer(path: &Path, issuer: &str) -> Result<Option<OwnIssuer>, Fault> {
    let read = sqlite::read(path, |rows| Signing::read(rows, issuer))?;
    match read.filter(|signing| !signing.keys.is_empty()) {
        Some(signing) => signing.published(Clock::system().now()).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_published_before_it_signs_and_kept_until_its_last_token_has_ended() {
        let at = Timestamp::from_unix_seconds;
        assert_eq!(due(&[], at(5)), (Some(at(5)), 0));
        assert_eq!(due(&[at(0)], at(KEY_LIFE - AHEAD - 1)), (None, 0));
        assert_eq!(due(&[at(0)], at(KEY_LIFE - AHEAD)), (Some(at(KEY_LIFE)), 0));
        // Late, it is still published a day before.
        assert_eq!(due(&[at(0)], at(3 * KEY_LIFE)), (Some(at(3 * KEY_LIFE + AHEAD)), 0));
        let two = [at(0), at(KEY_LIFE)];
        assert_eq!(due(&two, at(KEY_LIFE + TOKEN_LIFE - 1)), (None, 0));
        assert_eq!(due(&two, at(KEY_LIFE + TOKEN_LIFE)), (None, 1));
    }
}
