//! Digest authentication (RFC 7616): from the parameters of an `Authorization` line to a proof, and the challenges that ask
//! for one.
//!
//! A nonce is ours by its MAC, so that nothing is kept of those that nobody uses; what is kept of the others is bounded. Never
//! sees a private key: responses are computed from HA1s. An unknown user costs the same operations as a known one.

pub mod ha1;
mod hash;
pub mod header;
mod nonce;
mod window;

use aws_lc_rs::hmac;
use http::Version;
use http::request::Parts;
use subtle::{Choice, ConstantTimeEq};

use super::trace::{DigestStep, Trace};
use crate::access::decision::Proof;
use crate::access::digest_secret::{Algorithm, MOST_SECRETS};
use crate::access::snapshot::Snapshot;
use crate::clock::Timestamp;
use crate::config::settings::Digest;
use crate::live::fingerprint;
use hash::Hash;
use header::{Presented, Text};
use window::Windows;

/// How long a nonce can be used, in seconds.
pub const LIFE: i64 = 60;

/// Stands in for an HA1 that is not there, so that looking for it costs the same. Everybody can compute a response from it:
/// what equals that is refused all the same.
const DUMMY: [u8; 32] = [0x5a; 32];

/// What the workers of a gateway share of Digest: the process's own key, and the counts of nonces in use.
pub struct Nonces {
    /// Without randomness there is none, and then no nonce is ours.
    own: Option<hmac::Key>,
    windows: Windows,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

impl Nonces {
    /// Of a process that started now. Nonces of an earlier second are stale: nobody knows what became of them.
    pub fn new(started: Timestamp) -> Self {
        let mut bytes = [0; 32];
        let own = aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        Self { own, windows: Windows::new(started.unix_seconds().saturating_sub(1)) }
    }

    fn key<'k>(&'k self, settings: &'k Digest) -> Option<&'k hmac::Key> {
        settings.nonce_key.as_ref().map(|key| &key.key).or(self.own.as_ref())
    }

    /// One `WWW-Authenticate` value for each algorithm that is on, with a fresh nonce each.
    pub fn challenges(&self, settings: &Digest, now: Timestamp, stale: bool) -> impl Iterator<Item = String> {
        let stale = if stale { ", stale=true" } else { "" };
        settings.algorithms.iter().filter_map(move |algorithm| {
            let nonce = nonce::issue(self.key(settings)?, *algorithm, &settings.realm, now)?;
            let (realm, algorithm) = (&settings.realm, algorithm.as_str());
            Some(format!("Digest realm=\"{realm}\", qop=\"auth\", algorithm={algorithm}, nonce=\"{nonce}\"{stale}"))
        })
    }

    /// Proves what follows the word `Digest` in a line.
    pub(super) fn prove<'s, T: Trace>(
        &self,
        parameters: &[u8],
        settings: &Digest,
        snapshot: &Snapshot,
        head: &Parts,
        now: Timestamp,
        trace: &mut T,
    ) -> Proof<'s> {
        match header::parse(parameters) {
            Ok(presented) => self.verify(&presented, settings, snapshot, head, now, trace),
            Err(fault) => Proof::Malformed(fault),
        }
    }

    fn verify<'s, T: Trace>(
        &self,
        presented: &Presented<'_>,
        settings: &Digest,
        snapshot: &Snapshot,
        head: &Parts,
        now: Timestamp,
        trace: &mut T,
    ) -> Proof<'s> {
        let known = |one: &&Algorithm| match &presented.algorithm {
            Some(name) => name.eq_ignore_ascii_case(one.as_str()),
            // RFC 7616 §3.4: that is what its absence means.
            None => **one == Algorithm::Md5,
        };
        let Some(algorithm) = settings.algorithms.iter().find(known).copied() else {
            return Proof::Refused("the Digest algorithm is not on; see `gateway.credentials.digest.algorithms`");
        };
        if !presented.qop.is(&[b"auth"]) {
            return Proof::Refused("the Digest qop is not `auth`, the only one that is offered");
        }
        if !presented.realm.is(&[settings.realm.as_bytes()]) {
            return Proof::Refused("the Digest realm is not the gateway's");
        }
        let opened = self.key(settings).and_then(|key| nonce::open(key, algorithm, &settings.realm, &presented.nonce));
        let Some(nonce) = opened else {
            return Proof::Refused("the Digest nonce is not this gateway's, or of another algorithm, realm or key");
        };
        trace.digest(DigestStep::Nonce { issued: Timestamp::from_unix_seconds(nonce.issued) });
        let age = now.unix_seconds().saturating_sub(nonce.issued);
        // From the future: the clocks of two gateways differ by that much.
        if !(-LIFE..LIFE).contains(&age) {
            return Proof::Stale("the Digest nonce has expired");
        }
        let Some(target) = target(head).filter(|target| presented.uri.is(target)) else {
            return Proof::Refused("the Digest uri is not the target of the request, byte for byte");
        };

        let holder = snapshot.find_digest_user(&fingerprint::of_digest_user(presented.username.parts()));
        let expected = Expected { presented, algorithm, ha2: ha2(algorithm, head, &target) };
        let (mut matches, mut found) = (Choice::from(0), false);
        for at in 0..MOST_SECRETS {
            let secret = holder.and_then(|holder| holder.secrets().get(at));
            let ha1 = secret.filter(|secret| *secret.realm == settings.realm).and_then(|one| one.ha1(algorithm));
            trace.digest(DigestStep::Compared);
            let equal = expected.compare(ha1.unwrap_or(&DUMMY[..hash::length(algorithm)]));
            matches |= equal & Choice::from(u8::from(ha1.is_some()));
            found |= ha1.is_some();
        }
        let Some(credential) = holder.map(|holder| holder.credential()) else {
            return Proof::Refused(
                "no key with HA1s has this Digest user name; HA1s are made by `portcullis hash --digest`",
            );
        };
        if !found {
            return Proof::Refused("the key has no HA1 for this Digest algorithm; `portcullis hash --digest` makes it");
        }
        if !bool::from(matches) {
            return Proof::Refused("the Digest response is wrong");
        }
        // Whether its count was used before tells only whoever may use the key: a key that is off is refused like a wrong one.
        let is_active = credential.enabled() && credential.expires_at() > now;
        if is_active && !self.windows.take(nonce, presented.count, now) {
            return Proof::Stale("the Digest nonce count was used before, or lies too far back");
        }
        match credential.fingerprints().next() {
            Some(fingerprint) => Proof::Response(*fingerprint),
            None => Proof::Refused("the key has no secret"),
        }
    }
}

/// The request target as it was received, in parts; `None` where there is no path in it (CONNECT).
fn target(head: &Parts) -> Option<[&[u8]; 4]> {
    let path = head.uri.path_and_query()?.as_str().as_bytes();
    match (head.uri.scheme_str(), head.uri.authority()) {
        // In HTTP/2 the authority is a field of its own.
        (Some(scheme), Some(authority)) if head.version < Version::HTTP_2 => {
            Some([scheme.as_bytes(), b"://", authority.as_str().as_bytes(), path])
        }
        _ => Some([path, b"", b"", b""]),
    }
}

fn ha2(algorithm: Algorithm, head: &Parts, target: &[&[u8]; 4]) -> hash::Hex {
    let mut hash = Hash::new(algorithm);
    hash.update(head.method.as_str().as_bytes());
    hash.update(b":");
    target.iter().for_each(|part| hash.update(part));
    hash.finish().hex()
}

/// Everything of a response but the HA1.
struct Expected<'p> {
    presented: &'p Presented<'p>,
    algorithm: Algorithm,
    ha2: hash::Hex,
}

impl Expected<'_> {
    /// Whether the response is that of this HA1 (RFC 7616 §3.4.1), in time that does not tell how much of it is.
    fn compare(&self, ha1: &[u8]) -> Choice {
        let presented = self.presented;
        let mut hash = Hash::new(self.algorithm);
        hash.update(hash::Hex::of(ha1).as_bytes());
        for part in [&presented.nonce, &presented.nc, &presented.cnonce] {
            hash.update(b":");
            part.parts().for_each(|part| hash.update(part));
        }
        hash.update(b":auth:");
        hash.update(self.ha2.as_bytes());
        hash.finish().bytes().ct_eq(presented.response.as_slice())
    }
}

impl Text<'_> {
    fn eq_ignore_ascii_case(&self, other: &str) -> bool {
        self.bytes().map(|byte| byte.to_ascii_lowercase()).eq(other.bytes().map(|byte| byte.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests;
