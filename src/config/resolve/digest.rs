//! `gateway.credentials.digest`. Never repeats a byte of the nonce key.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;

use super::{Resolve, step};
use crate::access::digest_secret::{Algorithm, REALM_FORM, is_realm};
use crate::config::document::{Finding, Path};
use crate::config::raw::{self, Choice};
use crate::config::settings::{Digest, NonceKey};

/// Fewest bytes of a nonce key: as many as the hash has.
const SHORTEST_KEY: usize = 32;

/// Most bytes of a nonce key; more is another file.
const LONGEST_KEY: u64 = 4096;

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
        let file = self.readable_file(at.clone(), text)?;
        let (bytes, mode) = match read(&file) {
            Ok(read) => read,
            Err(fault) => {
                self.error(at, format!("file `{}` can't be read: {fault}", file.display()));
                return None;
            }
        };
        let name = file.display();
        if bytes.len() < SHORTEST_KEY || bytes.len() as u64 > LONGEST_KEY {
            let message = format!(
                "file `{name}` is no nonce key: it has {} bytes, and a key has {SHORTEST_KEY} to {LONGEST_KEY} random ones; \
                 `head -c 32 /dev/urandom` makes them",
                bytes.len()
            );
            self.error(at, message);
            return None;
        }
        if mode & 0o004 != 0 {
            let message = format!(
                "everybody on this machine can read `{name}`, and whoever has it can make nonces; `chmod 600` it"
            );
            self.findings.push(Finding::warning(at, message));
        }
        let mut sha256 = [0; 32];
        // SHA-256 is 32 bytes long, so this never panics.
        sha256.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        Some(NonceKey { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), file, sha256 })
    }
}

/// The bytes of a file, one more than a key may have at most, and its mode.
fn read(file: &PathBuf) -> std::io::Result<(Vec<u8>, u32)> {
    let file = File::open(file)?;
    let mode = file.metadata()?.mode();
    let mut bytes = Vec::new();
    file.take(LONGEST_KEY + 1).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}
