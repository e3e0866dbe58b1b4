//! A client certificate as a claim: what a peer has shown, joined with what its request carries (decision.md §5).
//!
//! A certificate that names no credential is no claim: where a mesh encrypts, everybody shows one. Names are hashed once, at
//! the handshake; of a request they are looked up alone.

use std::sync::Arc;

use super::again::Proven;
use crate::access::credential::{Credential, Fingerprint};
use crate::access::decision::Proof;
use crate::live::fingerprint;
use crate::live::published::Current;
use crate::net::peer::{Certificate, Peer};

/// What counts of a certificate with these URIs and this SHA-256.
pub fn shown(san_uris: Box<[Box<str>]>, sha256: Option<[u8; 32]>) -> Certificate {
    let uris = san_uris.iter().map(|uri| fingerprint::of_certificate_uri(uri));
    let names: Box<[Fingerprint]> = uris.chain(sha256.map(|hash| fingerprint::of_certificate(&hash))).collect();
    Certificate { san_uris, names }
}

/// What a request proves by itself, and by the certificate of its peer.
pub(super) fn joined<'s>(peer: &Peer, current: &'s Current, carried: (Proof<'s>, Proven)) -> (Proof<'s>, Proven) {
    if !current.settings.credentials.client_certificates {
        return carried;
    }
    let Some(snapshot) = &current.snapshot else { return carried };
    let ambiguous = |why| (Proof::Ambiguous(why), Proven::Nothing);
    let mut named: Option<(Fingerprint, &Arc<Credential>)> = None;
    for name in peer.certificate_names() {
        match (snapshot.find(name), named) {
            (Some(found), Some((_, first))) if found.id() != first.id() => {
                return ambiguous("the client certificate names two service accounts");
            }
            (Some(found), None) => named = Some((*name, found)),
            _ => {}
        }
    }
    let Some((name, credential)) = named else { return carried };
    let other = match carried.0 {
        Proof::Absent => return (Proof::Certificate(name), Proven::Certificate(name)),
        Proof::Key(other)
        | Proof::Response(other)
        | Proof::Certificate(other)
        | Proof::Token { fingerprint: other, .. }
        | Proof::Subject { fingerprint: other, .. } => other,
        // It is refused as it is.
        Proof::Malformed(_) | Proof::Ambiguous(_) | Proof::Refused(_) | Proof::Stale(_) => return carried,
    };
    match snapshot.find(&other) {
        Some(other) if other.id() != credential.id() => {
            ambiguous("the request carries another credential than its client certificate names")
        }
        // An unknown one is refused as it is.
        _ => carried,
    }
}

#[cfg(test)]
mod tests;
