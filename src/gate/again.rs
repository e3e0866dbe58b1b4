//! Deciding once more what was let through: after a change, or when something has expired (threats.md L6).
//!
//! Reads no header again: what a request proved is kept as what its credential is found by, with no secret in it. The answer
//! is `access::decision::authorize`'s own.

use super::token::{self, Subject};
use crate::access::client_address::ClientAddress;
use crate::access::credential::Fingerprint;
use crate::access::decision::{Grant, NoTrace, Proof, Question, Reason, authorize};
use crate::clock::Timestamp;
use crate::live::published::Current;

/// By what a key came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A header of its own.
    Header,
    /// `Authorization: Basic`.
    Basic,
}

/// What a request proved of itself.
#[derive(Debug, Clone, Copy)]
pub enum Proven {
    /// Nothing, or nothing that holds.
    Nothing,
    /// A whole key.
    Key(Fingerprint, Carrier),
    /// A Digest response.
    Response(Fingerprint),
    /// A token.
    Token(Subject),
    /// A client certificate that names a service account.
    Certificate(Fingerprint),
}

/// On what a request was judged.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    /// Whether it was a CORS preflight.
    pub preflight: bool,
    /// What it proved.
    pub proven: Proven,
}

/// What is kept of a request that was let through, for as long as it is open.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    client: ClientAddress,
    ground: Ground,
}

/// What is asked for, as the route table is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'h> {
    /// Host, perhaps with a port.
    pub host: &'h str,
    /// Method.
    pub method: &'h str,
    /// Raw path without the query.
    pub path: &'h str,
}

impl Standing {
    /// Keeps what was judged of a request.
    pub fn new(client: ClientAddress, ground: Ground) -> Self {
        Self { client, ground }
    }

    /// Until when a request that was let through on this ground is let through, as far as time alone is concerned.
    pub fn until(&self, grant: &Grant<'_>) -> Timestamp {
        let token = match &self.ground.proven {
            Proven::Token(subject) => subject.expires_at,
            _ => Timestamp::NEVER,
        };
        match grant {
            Grant::Credential { credential, entry, .. } => {
                let entry = entry.map_or(Timestamp::NEVER, |entry| entry.expires_at);
                token.min(entry).min(credential.expires_at())
            }
            Grant::Public => Timestamp::NEVER,
        }
    }

    /// Decides once more, on what is published now. Returns until when that holds.
    ///
    /// # Errors
    /// Why the request would be refused now.
    pub fn decide(&self, current: &Current, asked: Asked<'_>, now: Timestamp) -> Result<Timestamp, Reason> {
        // What has been published is never taken back.
        let Some(snapshot) = &current.snapshot else { return Ok(Timestamp::NEVER) };
        let settings = &current.settings;
        let route = settings.routes.find(asked.host, asked.method, asked.path);
        let proof = self.proof(current, now);
        let preflight = self.ground.preflight;
        let question = Question { snapshot, client: Ok(self.client), route, preflight, proof, now };
        match authorize(&question, &mut NoTrace) {
            Ok(permit) => Ok(self.until(permit.grant())),
            Err(denial) => Err(denial.reason),
        }
    }

    fn proof<'s>(&self, current: &'s Current, now: Timestamp) -> Proof<'s> {
        let credentials = &current.settings.credentials;
        match &self.ground.proven {
            Proven::Nothing => Proof::Absent,
            Proven::Key(_, Carrier::Header) if credentials.headers.is_empty() => OFF,
            Proven::Key(_, Carrier::Basic) if !credentials.basic => OFF,
            Proven::Key(fingerprint, _) => Proof::Key(*fingerprint),
            Proven::Response(_) if credentials.digest.is_none() => OFF,
            Proven::Response(fingerprint) => Proof::Response(*fingerprint),
            Proven::Certificate(_) if !credentials.client_certificates => OFF,
            Proven::Certificate(fingerprint) => Proof::Certificate(*fingerprint),
            Proven::Token(_) if !credentials.bearer => OFF,
            Proven::Token(subject) => match token::prove_again(subject, current, now) {
                Ok(proof) => proof,
                Err(fault) => Proof::Refused(fault.as_str()),
            },
        }
    }
}

const OFF: Proof<'static> = Proof::Refused("the carrier of the credential is off now");

#[cfg(test)]
mod tests;
