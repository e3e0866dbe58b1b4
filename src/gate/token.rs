//! JWTs (RFC 7519, 8725), foreign ones and our own: from a bearer token to the subject that it proves.
//!
//! The issuer is found by the unverified `iss` and then verified with that issuer's keys alone; algorithms are those that
//! the settings pin, the key's kind has to match, and `none` and HMAC do not exist here. `exp` is mandatory and has no
//! leeway; `nbf` has [`NOT_BEFORE_LEEWAY`], for a clock that runs behind the issuer's. Time is given, never asked for.
//! Whether a token of our own was revoked is no question here: the decision asks its snapshot.

mod id_token;
mod own;
mod parts;

use std::cell::RefCell;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, crypto};
use quick_cache::unsync::Cache;

use crate::access::credential::Fingerprint;
use crate::access::decision::Proof;
use crate::access::token_id::TokenId;
use crate::clock::Timestamp;
use crate::config::settings::{Gateway, Issuer, JwtAlgorithm};
use crate::live::fingerprint;
use crate::live::key_sets::{Key, KeySet, KeySets};
use crate::live::own_issuer::OwnIssuer;
use crate::live::published::Current;

use parts::{Claims, Header, Parts};

/// Longest token that is looked at, bytes.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// How far an issuer's clock may be ahead of ours, seconds.
pub const NOT_BEFORE_LEEWAY: i64 = 10;

/// Verified tokens that one worker remembers.
const REMEMBERED: usize = 4096;

/// What a verified token proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Of issuer and subject, or of account and secret: what the service account is found by.
    pub fingerprint: Fingerprint,
    /// Whose token it is.
    pub origin: Origin,
    /// Mark of its issuer, which other settings find it by.
    issuer: u64,
    /// Mark of the key that its signature was verified by.
    key: u64,
    /// The algorithm that it was verified by.
    algorithm: JwtAlgorithm,
    /// When the token ends. From this second on it proves nothing.
    pub expires_at: Timestamp,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// That of the issuer at this position in the settings.
    Foreign(usize),
    /// Our own, which is revoked by this.
    Own(TokenId),
}

/// Why a token proves nothing. For the operator; the client hears the same of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
#[error("{}", self.as_str())]
pub enum TokenFault {
    TooLong,
    NotAJwt,
    Header,
    Claims,
    OwnClaims,
    Issuer,
    Algorithm,
    NoKeys,
    StaleKeys,
    UnknownKey,
    Signature,
    Audience,
    Expired,
    NotYetValid,
    Throttled,
}

impl TokenFault {
    /// The message, for a denial's reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "the token is longer than 16 KiB",
            Self::NotAJwt => "the token is not a JWT in compact form",
            Self::Header => "the token's header is broken, or demands extensions that are not known",
            Self::Claims => "the token's claims are broken, or `iss`, `sub`, `aud` or `exp` is missing",
            Self::OwnClaims => "the token says that it is our own and has not the form of one",
            Self::Issuer => "the token's issuer is not configured",
            Self::Algorithm => "the token's algorithm is not one that is pinned for its issuer",
            Self::NoKeys => "no keys of the token's issuer are loaded",
            Self::StaleKeys => "the keys of the token's issuer were last fetched more than 24 hours ago",
            Self::UnknownKey => "the issuer has no key of the token's `kid` that suits its algorithm",
            Self::Signature => "the token's signature is not the issuer's",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Throttled => "not verified: too many failed attempts from this address",
        }
    }
}

/// A token that was verified, and under which keys.
#[derive(Clone, Copy)]
struct Verified {
    subject: Subject,
    generation: u64,
}

/// One worker's verifier, which remembers what it has verified.
pub struct Tokens {
    remembered: RefCell<Remembered>,
}

struct Remembered {
    /// Issuers, audiences and algorithms that the entries were verified by. Other settings: nothing is remembered.
    settings: Option<Arc<Gateway>>,
    tokens: Cache<[u8; 32], Verified>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { remembered: RefCell::new(Remembered { settings: None, tokens: Cache::new(REMEMBERED) }) }
    }
}

impl Tokens {
    /// Verifies a token where it `may`, or remembers that it was verified. A remembered one has its end checked again, and is forgotten
    /// as soon as the issuer's keys are others.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub fn verify(
        &self,
        token: &str,
        settings: &Arc<Gateway>,
        (keys, own): (&KeySets, Option<&OwnIssuer>),
        now: Timestamp,
        may: impl FnOnce() -> bool,
    ) -> Result<Subject, TokenFault> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenFault::TooLong);
        }
        let mut hash = [0; 32];
        // SHA-256 is 32 bytes long, so this never panics.
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());

        // Nothing below borrows it a second time: verifying calls nothing of ours that could come back here.
        let mut remembered = self.remembered.borrow_mut();
        if remembered.settings.as_ref().is_none_or(|known| !Arc::ptr_eq(known, settings)) {
            remembered.settings = Some(Arc::clone(settings));
            remembered.tokens.clear();
        }
        let issuers = &settings.credentials.issuers;
        if let Some(Verified { subject, generation }) = remembered.tokens.get(&hash).copied() {
            let set = match subject.origin {
                // Settings are the same, so the position is still the same issuer's.
                Origin::Foreign(at) => usable(keys, &issuers[at].issuer, now)?,
                Origin::Own(_) => own.ok_or(TokenFault::Issuer)?.keys(),
            };
            if subject.expires_at <= now {
                remembered.tokens.remove(&hash);
                return Err(TokenFault::Expired);
            }
            if set.generation() == generation {
                return Ok(subject);
            }
            remembered.tokens.remove(&hash);
        }
        if !may() {
            return Err(TokenFault::Throttled);
        }
        let verified = verify(token, issuers, (keys, own), now)?;
        remembered.tokens.insert(hash, verified);
        Ok(verified.subject)
    }

    /// How many tokens are remembered.
    pub fn remembered(&self) -> usize {
        self.remembered.borrow().tokens.len()
    }
}

/// What a token proves by now that was verified as this subject before: its issuer, its key and its time are looked at again.
///
/// # Errors
/// [`TokenFault`].
pub(super) fn prove_again<'s>(
    subject: &Subject,
    current: &'s Current,
    now: Timestamp,
) -> Result<Proof<'s>, TokenFault> {
    let fingerprint = subject.fingerprint;
    let (set, proof) = match subject.origin {
        Origin::Own(id) => {
            let own = current.own.as_deref().filter(|own| mark(own.issuer(), own.issuer()) == subject.issuer);
            (own.ok_or(TokenFault::Issuer)?.keys(), Proof::Token { fingerprint, id })
        }
        Origin::Foreign(_) => {
            let mut issuers = current.settings.credentials.issuers.iter();
            let is_its = |issuer: &&Issuer| mark(&issuer.issuer, &issuer.audience) == subject.issuer;
            let issuer = issuers.find(is_its).ok_or(TokenFault::Issuer)?;
            if !issuer.algorithms.contains(&subject.algorithm) {
                return Err(TokenFault::Algorithm);
            }
            let proof = Proof::Subject { fingerprint, organizations: &issuer.organizations };
            (usable(&current.keys, &issuer.issuer, now)?, proof)
        }
    };
    if subject.expires_at <= now {
        return Err(TokenFault::Expired);
    }
    if set.holds(subject.key) { Ok(proof) } else { Err(TokenFault::UnknownKey) }
}

/// Tells an issuer from every other, and from itself with another audience. Compared within one process alone.
fn mark(issuer: &str, audience: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one((issuer, audience))
}

/// The issuer's set, where there is one that may be used.
fn usable<'k>(keys: &'k KeySets, issuer: &str, now: Timestamp) -> Result<&'k KeySet, TokenFault> {
    let set = keys.of(issuer).ok_or(TokenFault::NoKeys)?;
    match set.is_stale(now) {
        true => Err(TokenFault::StaleKeys),
        false => Ok(set),
    }
}

fn verify(
    token: &str,
    issuers: &[Issuer],
    (keys, own): (&KeySets, Option<&OwnIssuer>),
    now: Timestamp,
) -> Result<Verified, TokenFault> {
    let parts = parts::split(token).ok_or(TokenFault::NotAJwt)?;
    let header = parts.header().ok_or(TokenFault::Header)?;
    let claims = parts.claims().ok_or(TokenFault::Claims)?;
    if let Some(own) = own.filter(|own| own.issuer() == claims.iss) {
        return own::verify(&parts, &header, &claims, own, now);
    }

    let at = issuers.iter().position(|issuer| *issuer.issuer == *claims.iss).ok_or(TokenFault::Issuer)?;
    let issuer = &issuers[at];
    let algorithm = pinned(&header, &issuer.algorithms)?;
    let set = usable(keys, &issuer.issuer, now)?;
    let signed = signer(&parts, &header, algorithm, set).inspect_err(|fault| {
        if *fault == TokenFault::UnknownKey && header.kid.as_deref().is_some_and(|kid| !set.knows(kid)) {
            keys.wish_for_refresh();
        }
    });
    let key = signed?.mark();
    if !claims.aud.names(&issuer.audience) {
        return Err(TokenFault::Audience);
    }
    timely(&claims, now)?;
    let subject = Subject {
        fingerprint: fingerprint::of_subject(&claims.iss, &claims.sub),
        origin: Origin::Foreign(at),
        issuer: mark(&issuer.issuer, &issuer.audience),
        key,
        algorithm,
        expires_at: claims.expires_at,
    };
    Ok(Verified { subject, generation: set.generation() })
}

/// The algorithm of a token, which has to be one that is pinned.
fn pinned(header: &Header, algorithms: &[JwtAlgorithm]) -> Result<JwtAlgorithm, TokenFault> {
    header.algorithm.filter(|algorithm| algorithms.contains(algorithm)).ok_or(TokenFault::Algorithm)
}

/// The key of a set that a token was signed by.
fn signer<'k>(
    parts: &Parts<'_>,
    header: &Header,
    algorithm: JwtAlgorithm,
    set: &'k KeySet,
) -> Result<&'k Key, TokenFault> {
    let mut candidates = set.candidates(header.kid.as_deref(), algorithm).peekable();
    if candidates.peek().is_none() {
        return Err(TokenFault::UnknownKey);
    }
    let signed = candidates.find(|key| {
        let verified = crypto::verify(parts.signature, parts.signed.as_bytes(), key.decoding(), named(algorithm));
        verified.unwrap_or(false)
    });
    signed.ok_or(TokenFault::Signature)
}

/// Refuses a token before and after its time.
fn timely(claims: &Claims, now: Timestamp) -> Result<(), TokenFault> {
    if claims.expires_at <= now {
        return Err(TokenFault::Expired);
    }
    let begun = now.unix_seconds().saturating_add(NOT_BEFORE_LEEWAY);
    match claims.not_before.is_some_and(|not_before| not_before.unix_seconds() > begun) {
        true => Err(TokenFault::NotYetValid),
        false => Ok(()),
    }
}

fn named(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::RS256 => Algorithm::RS256,
        JwtAlgorithm::RS384 => Algorithm::RS384,
        JwtAlgorithm::RS512 => Algorithm::RS512,
        JwtAlgorithm::PS256 => Algorithm::PS256,
        JwtAlgorithm::PS384 => Algorithm::PS384,
        JwtAlgorithm::PS512 => Algorithm::PS512,
        JwtAlgorithm::ES256 => Algorithm::ES256,
        JwtAlgorithm::ES384 => Algorithm::ES384,
        JwtAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

pub use id_token::{Awaited, IdTokenFault, Identity, identify};
pub use own::unproven_id;

#[cfg(test)]
mod tests;
