//! The three parts of a JWT in compact form (RFC 7515 §7.1), decoded but not believed.
//!
//! Never reads a member twice: a repeated one is refused, since two readers could take different ones.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::access::id::Id;
use crate::access::token_id::TokenId;
use crate::clock::Timestamp;
use crate::config::settings::JwtAlgorithm;

/// The parts of a token.
pub(super) struct Parts<'t> {
    /// Header and payload as they were signed.
    pub signed: &'t str,
    pub signature: &'t str,
    header: &'t str,
    payload: &'t str,
}

/// What the header says.
pub(super) struct Header {
    /// `None` for what is not in [`JwtAlgorithm`], `none` and HMAC included.
    pub algorithm: Option<JwtAlgorithm>,
    pub kid: Option<String>,
    /// Whether it says that it is an access token (RFC 9068 §2.1).
    pub is_access_token: bool,
}

/// What the payload says.
pub(super) struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: Audience,
    pub expires_at: Timestamp,
    pub not_before: Option<Timestamp>,
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Whether it is this one and no other.
    pub fn is_only(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.len() == 1 && self.names(audience),
        }
    }

    pub fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

/// Exactly three parts, none of them empty.
pub(super) fn split(token: &str) -> Option<Parts<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let whole = !header.is_empty() && !payload.is_empty() && !signature.is_empty() && !payload.contains('.');
    whole.then_some(Parts { signed, signature, header, payload })
}

impl Parts<'_> {
    pub fn header(&self) -> Option<Header> {
        #[derive(Deserialize)]
        struct Raw<'h> {
            #[serde(borrow)]
            alg: Cow<'h, str>,
            kid: Option<String>,
            typ: Option<Cow<'h, str>>,
            // RFC 7515 §4.1.11: whoever does not know an extension that is marked critical has to refuse.
            crit: Option<IgnoredAny>,
        }
        let json = URL_SAFE_NO_PAD.decode(self.header).ok()?;
        let raw: Raw<'_> = serde_json::from_slice(&json).ok()?;
        let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&raw.alg);
        let is_access_token = raw.typ.is_some_and(|name| name.eq_ignore_ascii_case("at+jwt"));
        let algorithm = JwtAlgorithm::deserialize(name).ok();
        raw.crit.is_none().then_some(Header { algorithm, kid: raw.kid, is_access_token })
    }

    pub fn claims(&self) -> Option<Claims> {
        #[derive(Deserialize)]
        struct Raw {
            iss: String,
            sub: String,
            aud: Audience,
            exp: serde_json::Number,
            nbf: Option<serde_json::Number>,
        }
        let json = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        let raw: Raw = serde_json::from_slice(&json).ok()?;
        let not_before = match raw.nbf {
            Some(nbf) => Some(numeric_date(&nbf)?),
            None => None,
        };
        // A NUL would blur where the issuer ends and the subject begins.
        let plain = !raw.sub.is_empty() && !raw.sub.contains('\0');
        plain.then_some(Claims {
            iss: raw.iss,
            sub: raw.sub,
            aud: raw.aud,
            expires_at: numeric_date(&raw.exp)?,
            not_before,
        })
    }
}

/// What only the payload of a token of our own says.
pub(super) struct OwnClaims {
    pub id: TokenId,
    pub secret: Id,
}

impl Parts<'_> {
    pub fn own_claims(&self) -> Option<OwnClaims> {
        #[derive(Deserialize)]
        struct Raw<'p> {
            #[serde(borrow)]
            jti: Cow<'p, str>,
            #[serde(borrow)]
            secret_id: Cow<'p, str>,
        }
        let json = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        let raw: Raw<'_> = serde_json::from_slice(&json).ok()?;
        Some(OwnClaims { id: raw.jti.parse().ok()?, secret: raw.secret_id.parse().ok()? })
    }
}

/// What only the payload of an ID token says (OpenID Connect Core §2, §5.1).
pub(super) struct IdClaims {
    pub nonce: Option<String>,
    /// For whom it was issued, where there are several audiences.
    pub party: Option<String>,
    pub issued_at: Timestamp,
    pub email: Option<String>,
    /// Whether the issuer says that the address is theirs; what it does not say is no.
    pub is_verified: bool,
}

impl Parts<'_> {
    pub fn id_claims(&self) -> Option<IdClaims> {
        #[derive(Deserialize)]
        struct Raw {
            nonce: Option<String>,
            azp: Option<String>,
            iat: serde_json::Number,
            email: Option<String>,
            email_verified: Option<bool>,
        }
        let json = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        let raw: Raw = serde_json::from_slice(&json).ok()?;
        Some(IdClaims {
            nonce: raw.nonce,
            party: raw.azp,
            issued_at: numeric_date(&raw.iat)?,
            email: raw.email,
            is_verified: raw.email_verified == Some(true),
        })
    }
}

/// RFC 7519 §2: seconds, fractions allowed; they are cut off.
fn numeric_date(number: &serde_json::Number) -> Option<Timestamp> {
    let seconds = match number.as_i64() {
        Some(seconds) => seconds,
        None => {
            let seconds = number.as_f64().filter(|seconds| seconds.is_finite() && seconds.abs() < 1e15)?;
            #[allow(clippy::cast_possible_truncation, reason = "below 10¹⁵, checked above")]
            let whole = seconds.floor() as i64;
            whole
        }
    };
    Some(Timestamp::from_unix_seconds(seconds))
}
