//! Requests to be explained, and explanations.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::a_time;
use crate::access::certificate_name::CertificateName;
use crate::access::client_id::ClientId;
use crate::access::network::parse_address;
use crate::access::record::CredentialName;
use crate::clock::Timestamp;
use crate::control::Fault;
use crate::gate::certificate::shown;
use crate::gate::explain::{self, Asked, Logged, Report, Source, Told};
use crate::problem::{Code, Refusal};

/// Header lines of one request.
const MOST_HEADERS: usize = 100;

/// A request to be explained: where it comes from, and what it says; or a line of the access log; or a receipt. Has no `Debug`: a header may
/// hold a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct AskedExplanation {
    /// A line of the gateway's access log, as it stands there. Nothing else goes with it.
    #[serde(default)]
    logged: Option<Map<String, Value>>,
    /// The `requestId` of a refusal of any gateway that has the same keys. Nothing else goes with it.
    #[serde(default)]
    receipt: Option<String>,
    /// The address that the connection comes from; the client address is derived from it and the headers.
    #[serde(default)]
    peer_address: Option<String>,
    /// URIs that the certificate of the peer names, where it shows one.
    #[serde(default)]
    peer_uris: Vec<Box<str>>,
    /// The SHA-256 of the certificate of the peer, where it shows one, in hexadecimal digits.
    #[serde(default)]
    peer_certificate: Option<String>,
    /// The client address itself, however it would be derived.
    #[serde(default)]
    client_address: Option<String>,
    /// `GET` where it is not said.
    #[serde(default)]
    method: Option<String>,
    /// The request target; `/` where it is not said.
    #[serde(default)]
    path: Option<String>,
    /// The host; where none is said, the request is one of HTTP/1.0 without.
    #[serde(default)]
    host: Option<String>,
    /// In the order of the wire, as often as each stands.
    #[serde(default)]
    headers: Vec<AskedHeader>,
    /// Id of an API key or `clientId` of a service account that is taken as proven, where its secret is not at hand.
    #[serde(default)]
    credential: Option<String>,
    /// The moment to decide at; now where it is not said.
    #[serde(default, deserialize_with = "a_time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    at: Option<Timestamp>,
}

/// A header line. Has no `Debug`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskedHeader {
    name: String,
    value: String,
}

/// What was read of it.
pub(in crate::admin) enum Read {
    Request(Asked),
    /// A line, and the request that it tells of.
    Line(Box<Logged>, Asked),
    Receipt(String),
}

fn wrong(field: impl Into<String>, wrong: impl Into<String>) -> Fault {
    Refusal::field(Code::InvalidAttribute, field, wrong).into()
}

fn address(field: &str, text: &str) -> Result<IpAddr, Fault> {
    parse_address(text).map_err(|fault| wrong(field, fault.to_string()))
}

/// An id of a key, or a client id.
fn credential(text: &str) -> Result<CredentialName, Fault> {
    match (text.parse(), text.parse::<ClientId>()) {
        (Ok(id), _) => Ok(CredentialName::api_key(id)),
        (_, Ok(client)) => Ok(CredentialName::service_account(client)),
        _ => Err(wrong("credential", "it is neither the id of an API key nor the `clientId` of a service account")),
    }
}

impl AskedExplanation {
    pub(in crate::admin) fn read(self, now: Timestamp) -> Result<Read, Fault> {
        if let Some((field, what)) = match (&self.receipt, &self.logged) {
            (Some(_), _) => Some(("receipt", "a receipt")),
            (None, Some(_)) => Some(("logged", "a line")),
            (None, None) => None,
        } {
            let others = self.receipt.is_some() && self.logged.is_some()
                || self.peer_address.is_some()
                || !self.peer_uris.is_empty()
                || self.peer_certificate.is_some()
                || self.client_address.is_some()
                || self.method.is_some()
                || self.path.is_some()
                || self.host.is_some()
                || !self.headers.is_empty()
                || self.credential.is_some()
                || self.at.is_some();
            if others {
                return Err(wrong(field, format!("{what} tells the whole request; send nothing else with it")));
            }
        }
        if let Some(receipt) = self.receipt {
            return Ok(Read::Receipt(receipt));
        }
        if let Some(line) = self.logged {
            let logged = Logged::read(Value::Object(line)).map_err(|fault| wrong("logged", fault.to_string()))?;
            let request = logged.asked().map_err(|fault| wrong("logged", fault.to_string()))?;
            return Ok(Read::Line(Box::new(logged), request));
        }
        if self.peer_address.is_none() && !self.peer_uris.is_empty() {
            return Err(wrong("peerUris", "they are of the certificate of `peerAddress`; say that too"));
        }
        if self.peer_address.is_none() && self.peer_certificate.is_some() {
            return Err(wrong("peerCertificate", "it is the certificate of `peerAddress`; say that too"));
        }
        let hash = match self.peer_certificate.as_deref().map(CertificateName::sha256).transpose() {
            Ok(Some(CertificateName::Sha256(hash))) => Some(hash),
            Ok(_) => None,
            Err(fault) => return Err(wrong("peerCertificate", fault.to_string())),
        };
        let from = match (&self.peer_address, &self.client_address) {
            (Some(peer), None) => {
                let certificate = shown(self.peer_uris.into(), hash);
                Source::Peer { address: address("peerAddress", peer)?, certificate }
            }
            (None, Some(client)) => Source::Client(address("clientAddress", client)?),
            (None, None) => {
                let detail = "Say `peerAddress`, `clientAddress`, `logged` or `receipt`: where the request comes from.";
                return Err(Refusal::new(Code::MissingOneOfAttributes, detail).into());
            }
            (Some(_), Some(_)) => {
                return Err(wrong("clientAddress", "it is derived from `peerAddress`; say one of the two"));
            }
        };
        let method = self.method.as_deref().unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("method", "it is no method"))?;
        let target = self.path.as_deref().unwrap_or("/");
        let target = target.parse().map_err(|_| wrong("path", "it is no request target, such as `/v1/things`"))?;
        let mut headers = HeaderMap::new();
        if let Some(host) = &self.host {
            headers.insert("host", HeaderValue::from_str(host).map_err(|_| wrong("host", "it is no host"))?);
        }
        if self.headers.len() > MOST_HEADERS {
            return Err(wrong("headers", format!("there are at most {MOST_HEADERS}")));
        }
        for (at, AskedHeader { name, value }) in self.headers.iter().enumerate() {
            let name: HeaderName =
                name.parse().map_err(|_| wrong(format!("headers[{at}].name"), "it is no name of a header"))?;
            // The value stays out of the message: it may be a secret.
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| wrong(format!("headers[{at}].value"), "it can't stand in a header"))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(Read::Request(Asked {
            from,
            head: explain::head(method, target, headers),
            credential: self.credential.as_deref().map(credential).transpose()?,
            at: self.at.unwrap_or(now),
        }))
    }
}

/// A decision, step by step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Explanation {
    /// `allow`, `would_deny`, `deny` or `error`.
    outcome: &'static str,
    /// What a refusal would be answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The code of a refusal, or of what only reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The address that it was decided on.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<String>,
    /// `peer`, `header`, or `given` where the address was said and not derived.
    client_source: &'static str,
    /// Id of the API key or `clientId` of the service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    /// Its organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<String>,
    /// The entry that admits the address, or the one that comes nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    /// Where it would be forwarded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    /// Everything that was looked at, in order.
    steps: Vec<ExplainedStep>,
    /// What an operator can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    /// The command that does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// What may surprise.
    notes: Vec<String>,
    /// What a receipt says of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<OpenedReceipt>,
}

/// What a receipt says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OpenedReceipt {
    /// When the request came.
    created: String,
    /// The revision that it was decided on.
    revision: u64,
    /// What it was answered with.
    status: u16,
    /// Why it was refused.
    error_code: &'static str,
    /// What the caller was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Where the connection came from.
    peer_address: String,
}

impl From<Told> for OpenedReceipt {
    fn from(told: Told) -> Self {
        let Told { created, revision, status, code: error_code, reason, peer_address } = told;
        Self { created, revision, status, error_code, reason, peer_address }
    }
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
struct ExplainedStep {
    /// What was looked at.
    step: &'static str,
    /// What was found.
    found: String,
}

impl Explanation {
    pub(in crate::admin) fn new(report: Report) -> Self {
        Self {
            outcome: report.outcome,
            status: report.status,
            error_code: report.code,
            reason: report.reason,
            client_address: report.client_address,
            client_source: report.client_source,
            credential: report.looked_at.map(|name| name.to_string()),
            org_id: report.organization,
            entry: report.entry,
            upstream: report.upstream,
            steps: report.steps.into_iter().map(|line| ExplainedStep { step: line.step, found: line.found }).collect(),
            fix: report.fix,
            command: report.command,
            notes: report.notes,
            receipt: report.receipt.map(OpenedReceipt::from),
        }
    }
}
