//! ID tokens (OpenID Connect Core §3.1.3.7): who signed in at a provider, for this client and in answer to this very question.
//!
//! Never asks the provider anything: its keys are given. An ID token is no credential; no request is decided by one.

use subtle::ConstantTimeEq as _;

use super::parts::split;
use super::{LONGEST_TOKEN, NOT_BEFORE_LEEWAY, TokenFault, pinned, signer, timely};
use crate::clock::Timestamp;
use crate::config::settings::JwtAlgorithm;
use crate::live::key_sets::KeySet;

/// What an ID token has to be.
#[derive(Debug, Clone, Copy)]
pub struct Awaited<'a> {
    /// Exact `iss`.
    pub issuer: &'a str,
    /// The client that it has to be for.
    pub client_id: &'a str,
    /// The algorithms that are taken.
    pub algorithms: &'a [JwtAlgorithm],
    /// What was sent along with the question.
    pub nonce: &'a str,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whom the provider means.
    pub subject: String,
    /// Their email address, where the token has it.
    pub email: Option<String>,
    /// Whether the provider says that the address is theirs.
    pub is_verified: bool,
}

/// Why an ID token proves nobody. For the operator alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum IdTokenFault {
    #[error(transparent)]
    Token(#[from] TokenFault),
    #[error("the token is an access token")]
    AccessToken,
    #[error("the token's `iat` is missing, or a claim of an ID token is broken")]
    Claims,
    #[error("the token is for other clients as well, and does not say that it was issued to this one (`azp`)")]
    Party,
    #[error("the token's `nonce` is not the one that was sent")]
    Nonce,
    #[error("the token says that it was issued in the future")]
    IssuedLater,
}

/// Who signed in, by an ID token.
///
/// # Errors
/// [`IdTokenFault`].
pub fn identify(token: &str, awaited: &Awaited<'_>, keys: &KeySet, now: Timestamp) -> Result<Identity, IdTokenFault> {
    if token.len() > LONGEST_TOKEN {
        return Err(TokenFault::TooLong.into());
    }
    let parts = split(token).ok_or(TokenFault::NotAJwt)?;
    let header = parts.header().ok_or(TokenFault::Header)?;
    let claims = parts.claims().ok_or(TokenFault::Claims)?;
    if claims.iss != awaited.issuer {
        return Err(TokenFault::Issuer.into());
    }
    if header.is_access_token {
        return Err(IdTokenFault::AccessToken);
    }
    if keys.is_stale(now) {
        return Err(TokenFault::StaleKeys.into());
    }
    signer(&parts, &header, pinned(&header, awaited.algorithms)?, keys)?;
    let own = parts.id_claims().ok_or(IdTokenFault::Claims)?;
    if !claims.aud.names(awaited.client_id) {
        return Err(TokenFault::Audience.into());
    }
    let is_its = own.party.as_deref().map(|party| party == awaited.client_id);
    if !is_its.unwrap_or(claims.aud.is_only(awaited.client_id)) {
        return Err(IdTokenFault::Party);
    }
    timely(&claims, now)?;
    if own.issued_at.unix_seconds() > now.unix_seconds().saturating_add(NOT_BEFORE_LEEWAY) {
        return Err(IdTokenFault::IssuedLater);
    }
    let nonce = own.nonce.unwrap_or_default();
    match nonce.as_bytes().ct_eq(awaited.nonce.as_bytes()).into() {
        true => Ok(Identity { subject: claims.sub, email: own.email, is_verified: own.is_verified }),
        false => Err(IdTokenFault::Nonce),
    }
}

#[cfg(test)]
mod tests;
