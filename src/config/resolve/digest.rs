//! `gateway.credentials.digest`.

use aws_lc_rs::hmac;

use super::key_file::{KeyFile, Purpose};
use super::{Resolve, step};
use crate::access::digest_secret::{Algorithm, REALM_FORM, is_realm};
use crate::config::document::Path;
use crate::config::raw::{self, Choice};
use crate::config::settings::{Digest, NonceKey};

const NONCE_KEY: Purpose = Purpose { name: "nonce key", power: "make nonces" };

impl Resolve<'_> {
    /// `None` where it is faulty, `Some(None)` where it is off.
    pub(super) fn digest(&mut self, at: &Path, raw: Option<&Choice<raw::Digest>>) -> Option<Option<Digest>> {
        let Some(Choice::On(raw)) = raw else { return Some(None) };
        let realm = raw.realm.0.as_str();
        if !is_realm(realm) {
            self.error(step(at, "realm"), format!("a realm is {REALM_FORM}"));
        }
        self.digest_realm = Some((step(at, "realm"), realm.to_owned()));
        let place = step(at, "algorithms");
        let mut algorithms: Vec<Algorithm> = Vec::new();
        for (index, one) in raw.algorithms.as_deref().unwrap_or(&[raw::DigestAlgorithm::Sha256]).iter().enumerate() {
            let algorithm = match one {
                raw::DigestAlgorithm::Sha256 => Algorithm::Sha256,
                raw::DigestAlgorithm::Md5 => Algorithm::Md5,
            };
            match algorithms.contains(&algorithm) {
                true => self.error(step(&place, index), format!("`{}` is listed twice; keep one", algorithm.as_str())),
                false => algorithms.push(algorithm),
            }
        }
        if algorithms.is_empty() && !self.lost(&place) {
            self.error(place, "`algorithms` is empty; leave it out for SHA-256, or write `digest: off`");
        }
        // Clients that take the first that they know get the better one.
        algorithms.sort_by_key(|algorithm| *algorithm != Algorithm::Sha256);
        let nonce_key = match &raw.nonce_key_file {
            None => None,
            Some(file) => Some(self.nonce_key(step(at, "nonce_key_file"), file)?),
        };
        Some(Some(Digest { realm: realm.to_owned(), algorithms, nonce_key }))
    }

    fn nonce_key(&mut self, at: Path, text: &str) -> Option<NonceKey> {
        let KeyFile { file, bytes, sha256 } = self.key_file(at, text, NONCE_KEY)?;
        Some(NonceKey { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), file, sha256 })
    }
}
