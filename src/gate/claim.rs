//! What a request presents as its credential, before anything is verified.
//!
//! Reads only configured headers and enabled schemes, by their exact names; everything else belongs to the upstream. Never
//! takes the first of two: a carrier that stands twice, or two carriers that differ, is refused (decision.md §2, §5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::access::credential::Fingerprint;
use crate::config::settings::Credentials;
use crate::live::fingerprint;

/// Fewest characters of a key in a header.
pub const SHORTEST_KEY: usize = 16;

/// Most characters of a key.
pub const LONGEST_KEY: usize = 512;

/// What a request presents. Has no `Debug`: it borrows secrets.
#[derive(Clone, Copy)]
pub enum Claim<'h> {
    /// No carrier.
    Absent,
    /// A whole key in one of the configured headers: 16 to 512 visible ASCII characters.
    HeaderKey(&'h [u8]),
    /// `Authorization: Basic`, decoded: the fingerprint of `user.password`, which is the same key's.
    Basic(Fingerprint),
    /// `Authorization: Bearer`: characters that a token may have, nothing more is known.
    Bearer(&'h str),
    /// `Authorization: Digest`: what follows the word, of which nothing is known yet.
    Digest(&'h [u8]),
    /// A carrier that does not parse; the text is for the operator.
    Malformed(&'static str),
    /// A carrier twice, or two that differ; the text is for the operator.
    Ambiguous(&'static str),
}

impl Claim<'_> {
    /// The carrier, in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Absent => "none",
            Self::HeaderKey(_) => "header key",
            Self::Basic(_) => "Basic",
            Self::Bearer(_) => "Bearer",
            Self::Digest(_) => "Digest",
            Self::Malformed(_) => "malformed",
            Self::Ambiguous(_) => "ambiguous",
        }
    }

    /// Whether both are the very same credential.
    fn agrees(&self, other: &Claim<'_>) -> bool {
        match (self, other) {
            (Self::HeaderKey(one), Claim::HeaderKey(two)) => one == two,
            // Key headers are read before `Authorization`.
            (Self::HeaderKey(key), Claim::Basic(fingerprint)) => fingerprint::of_key(key) == *fingerprint,
            _ => false,
        }
    }
}

/// Reads the claim of a request. Allocates nothing.
pub fn read<'h>(headers: &'h HeaderMap, credentials: &Credentials) -> Claim<'h> {
    let mut claim = Claim::Absent;
    for name in &credentials.headers {
        let mut lines = headers.get_all(name).iter();
        let Some(line) = lines.next() else { continue };
        if lines.next().is_some() {
            return Claim::Ambiguous("a key header stands twice");
        }
        claim = match merged(claim, header_key(line)) {
            Ok(claim) => claim,
            Err(refused) => return refused,
        };
    }
    if !(credentials.basic || credentials.bearer || credentials.digest.is_some()) {
        return claim;
    }
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return claim };
    let presented = authorization(line, credentials);
    if let Some(second) = lines.next() {
        let mut all = [line, second].into_iter().chain(lines);
        return match all.any(|line| authorization(line, credentials).is_some()) {
            true => Claim::Ambiguous("the Authorization header stands twice"),
            false => claim,
        };
    }
    match presented {
        None => claim,
        Some(presented) => merged(claim, presented).unwrap_or_else(|refused| refused),
    }
}

/// One claim of two. `Err` is what refuses the request.
fn merged<'h>(known: Claim<'h>, next: Claim<'h>) -> Result<Claim<'h>, Claim<'h>> {
    match (&known, &next) {
        (_, Claim::Malformed(_) | Claim::Ambiguous(_)) => Err(next),
        (Claim::Absent, _) => Ok(next),
        _ if known.agrees(&next) => Ok(known),
        _ => Err(Claim::Ambiguous("two headers carry different credentials")),
    }
}

fn header_key(line: &HeaderValue) -> Claim<'_> {
    let key = line.as_bytes();
    if !(SHORTEST_KEY..=LONGEST_KEY).contains(&key.len()) {
        return Claim::Malformed("a key has 16 to 512 characters");
    }
    match key.iter().all(u8::is_ascii_graphic) {
        true => Claim::HeaderKey(key),
        false => Claim::Malformed("a key has visible ASCII characters only, without blanks"),
    }
}

/// The claim of an `Authorization` line; `None` where its scheme is not ours to read.
fn authorization<'h>(line: &'h HeaderValue, credentials: &Credentials) -> Option<Claim<'h>> {
    let line = line.as_bytes();
    let scheme_end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (scheme, rest) = line.split_at(scheme_end);
    // RFC 9110 §11.4: one or more spaces between the scheme, in any case, and what it takes.
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let token = &rest[blanks..];
    if credentials.basic && scheme.eq_ignore_ascii_case(b"basic") {
        return Some(basic(token));
    }
    if credentials.bearer && scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(bearer(token));
    }
    if credentials.digest.is_some() && scheme.eq_ignore_ascii_case(b"digest") {
        return Some(Claim::Digest(token));
    }
    None
}

/// RFC 7617, with the alphabet, padding and trailing bits that RFC 4648 §4 wants and no others.
fn basic(token: &[u8]) -> Claim<'_> {
    const MALFORMED: Claim<'_> =
        Claim::Malformed("what follows `Basic` is not the base64 of a visible ASCII `user:password`");
    // Three bytes to spare: the decoder wants room for whole groups.
    let mut key = [0; LONGEST_KEY + 3];
    let Ok(length) = STANDARD.decode_slice(token, &mut key) else {
        return MALFORMED;
    };
    let key = &mut key[..length];
    let Some(colon) = memchr::memchr(b':', key).filter(|_| key.iter().all(u8::is_ascii_graphic)) else {
        return MALFORMED;
    };
    key[colon] = b'.';
    Claim::Basic(fingerprint::of_key(key))
}

/// RFC 6750 §2.1: the characters of `token68`.
fn bearer(token: &[u8]) -> Claim<'_> {
    let body = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    match std::str::from_utf8(token) {
        Ok(text) if body > 0 && token[..body].iter().all(legal) => Claim::Bearer(text),
        _ => Claim::Malformed("what follows `Bearer` is not a token"),
    }
}

#[cfg(test)]
mod tests;
