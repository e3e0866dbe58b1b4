//! Tokens of our own: ES256, by a key that is named, of the form that the token endpoint makes (RFC 9068).

use jsonwebtoken::{Algorithm, crypto};

use super::parts::{Claims, Header, Parts, split};
use super::{LONGEST_TOKEN, Origin, Subject, TokenFault, Verified, mark};
use crate::access::client_id::ClientId;
use crate::access::token_id::TokenId;
use crate::clock::Timestamp;
use crate::config::settings::JwtAlgorithm;
use crate::live::fingerprint;
use crate::live::own_issuer::OwnIssuer;

/// Verifies a token that says that it is our own.
pub(super) fn verify(
    parts: &Parts<'_>,
    header: &Header,
    claims: &Claims,
    own: &OwnIssuer,
    now: Timestamp,
) -> Result<Verified, TokenFault> {
    if header.algorithm != Some(JwtAlgorithm::ES256) {
        return Err(TokenFault::Algorithm);
    }
    let kid = header.kid.as_deref().filter(|_| header.is_access_token).ok_or(TokenFault::OwnClaims)?;
    let mut known = own.keys().candidates(Some(kid), JwtAlgorithm::ES256).peekable();
    if known.peek().is_none() {
        return Err(TokenFault::UnknownKey);
    }
    let signed = known.find(|key| {
        crypto::verify(parts.signature, parts.signed.as_bytes(), key.decoding(), Algorithm::ES256).unwrap_or(false)
    });
    let key = signed.ok_or(TokenFault::Signature)?.mark();
    if !claims.aud.names(own.issuer()) {
        return Err(TokenFault::Audience);
    }
    if claims.expires_at <= now {
        return Err(TokenFault::Expired);
    }
    let ClientId(client) = claims.sub.parse().map_err(|_| TokenFault::OwnClaims)?;
    let own_claims = parts.own_claims().ok_or(TokenFault::OwnClaims)?;
    let subject = Subject {
        fingerprint: fingerprint::of_client_secret(client, own_claims.secret),
        origin: Origin::Own(own_claims.id),
        issuer: mark(own.issuer(), own.issuer()),
        key,
        algorithm: JwtAlgorithm::ES256,
        expires_at: claims.expires_at,
    };
    Ok(Verified { subject, generation: own.keys().generation() })
}

/// What a token says that it is revoked by, whoever made it: it proves nothing.
pub fn unproven_id(token: &str) -> Option<TokenId> {
    let token = (token.len() <= LONGEST_TOKEN).then_some(token)?;
    split(token)?.own_claims().map(|claims| claims.id)
}

#[cfg(test)]
mod tests;
