//! A line of the access log as a request to be explained.
//!
//! The log holds no credential and no header: what was presented can't be judged again, and of the address only what was
//! derived. Whoever was proven is taken as proven.

use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;

use super::{Asked, Report, Source, head};
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::network::parse_address;
use crate::access::record::CredentialName;
use crate::clock::Timestamp;

/// What a line tells that an explanation needs; what else it holds is passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct Logged {
    time: String,
    method: String,
    #[serde(default)]
    host: String,
    path: String,
    outcome: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default, rename = "client.address")]
    client: Option<String>,
    #[serde(default, rename = "credential.id")]
    credential: Option<String>,
    #[serde(default, rename = "credential.type")]
    kind: Option<String>,
    #[serde(default, rename = "snapshot.revision")]
    revision: u64,
}

/// Why a line can't be explained.
#[derive(Debug, thiserror::Error)]
pub enum LoggedFault {
    /// It is none.
    #[error("it is no line of the access log: {0}")]
    NotALine(serde_json::Error),
    /// A field holds something that was never logged.
    #[error("`{0}` is nothing that the access log has there; take the line as it was written")]
    Field(&'static str),
    /// The address was the reason, and no header is logged.
    #[error(
        "no client address was derived for this request, and its headers are not logged; explain it by its peer and its \
         headers"
    )]
    NoAddress,
}

impl Logged {
    /// Reads a line.
    ///
    /// # Errors
    /// [`LoggedFault::NotALine`].
    pub fn read(line: serde_json::Value) -> Result<Self, LoggedFault> {
        serde_json::from_value(line).map_err(LoggedFault::NotALine)
    }

    /// The request, at the time when it came.
    ///
    /// # Errors
    /// A [`LoggedFault`].
    pub fn asked(&self) -> Result<Asked, LoggedFault> {
        let client = self.client.as_deref().ok_or(LoggedFault::NoAddress)?;
        let address = parse_address(client).map_err(|_| LoggedFault::Field("client.address"))?;
        let id = self.credential.as_deref().map(str::parse::<Id>).transpose();
        let id = id.map_err(|_| LoggedFault::Field("credential.id"))?;
        let kind = match self.kind.as_deref() {
            Some(kind) if kind == CredentialKind::ServiceAccount.as_str() => CredentialKind::ServiceAccount,
            _ => CredentialKind::ApiKey,
        };
        let at: jiff::Timestamp = self.time.parse().map_err(|_| LoggedFault::Field("time"))?;
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| LoggedFault::Field("method"))?;
        let mut headers = HeaderMap::new();
        if !self.host.is_empty() {
            let host = HeaderValue::from_str(&self.host).map_err(|_| LoggedFault::Field("host"))?;
            headers.insert(http::header::HOST, host);
        }
        Ok(Asked {
            from: Source::Client(address),
            head: head(method, self.path.parse().map_err(|_| LoggedFault::Field("path"))?, headers),
            credential: id.map(|id| CredentialName { kind, id }),
            at: Timestamp::from_unix_seconds(at.as_second()),
        })
    }

    /// Notes what became of the request then, where it is not what would become of it on `revision`.
    pub fn compare(&self, report: &mut Report, revision: u64) {
        let answered = self.code.as_deref().unwrap_or(&self.outcome);
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let then = format!("the log says {answered}{reason}, on revision {}", self.revision);
        if self.credential.is_none() && report.proof_was_asked {
            report.notes.push(format!("{then}; what it presented is not logged and could not be judged again"));
        } else if (self.outcome.as_str(), self.code.as_deref()) != (report.outcome, report.code) {
            report.notes.push(format!("{then}; this is what revision {revision} makes of it"));
        }
    }
}

#[cfg(test)]
mod tests;
