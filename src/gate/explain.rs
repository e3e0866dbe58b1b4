//! One request, judged by the code that judges traffic, and told step by step.
//!
//! Opens nothing, forwards nothing and counts no use. What it tells comes from the trace of the judge itself, so that it can't
//! differ from what decides traffic; a secret is in none of it.

mod logged;
mod receipt;
mod recording;
mod report;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Uri, Version};

use super::forwarded::{Trust, trust};
use super::judge::Judge;
use super::sanity;
use crate::access::decision::{Permit, Supposed};
use crate::access::network::Networks;
use crate::access::record::CredentialName;
use crate::clock::Timestamp;
use crate::config::settings::{AddressHeader, ClientAddressRule, Gateway};
use crate::live::published::Current;
use crate::net::peer::{Certificate, Peer, PeerVia};
use recording::Recording;
use report::Passed;

pub use logged::{Logged, LoggedFault};
pub use receipt::explain_receipt;
pub use recording::Line;
pub use report::{Report, Told};

/// A request to be explained.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Where it comes from.
    pub from: Source,
    /// What it says; see [`head`].
    pub head: Parts,
    /// A credential that is taken as proven, whatever the request presents.
    pub credential: Option<CredentialName>,
    /// The moment to decide at.
    pub at: Timestamp,
}

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From this peer: the client address is derived, as from any peer.
    Peer {
        /// Its address.
        address: IpAddr,
        /// The certificate that it shows.
        certificate: Certificate,
    },
    /// From this client address, however it was derived.
    Client(IpAddr),
}

/// The head of a request. Where nothing names a host it is one of HTTP/1.0, which need not.
pub fn head(method: Method, target: Uri, headers: HeaderMap) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    if !headers.contains_key(HOST) && target.authority().is_none() {
        head.version = Version::HTTP_10;
    }
    (head.method, head.uri, head.headers) = (method, target, headers);
    head
}

/// Judges the request and tells how.
pub fn explain(current: &Current, asked: &Asked) -> Report {
    let Asked { from, head, credential, at } = asked;
    let (address, certificate, current) = match from {
        Source::Peer { address, certificate } => (*address, certificate.clone(), Cow::Borrowed(current)),
        Source::Client(address) => (*address, Certificate::default(), Cow::Owned(without_proxies(current))),
    };
    let settings = &current.settings;
    let mut recording = Recording::new(matches!(from, Source::Client(_)));
    if let Err(insane) = sanity::check(head, has_body(&head.headers), settings.outbound) {
        return Report::insane(insane, recording, address);
    }
    let port_zero = (IpAddr::from([0, 0, 0, 0]), 0).into();
    let peer = Peer { address, port: 0, via: PeerVia::Tcp, tls: false, local: port_zero, certificate };
    let judge = Judge::new();
    let mut report = match *credential {
        None => {
            let verdict = judge.judge(&current, &peer, head, *at, &mut recording);
            Report::new(&verdict, of_permit, recording, settings)
        }
        Some(name) => {
            let verdict = judge.suppose(&current, &peer, head, name.id, *at, &mut recording);
            let mut report = Report::new(&verdict, of_supposed, recording, settings);
            report.notes.push(format!("credential {name} was taken as proven; no secret was checked"));
            report
        }
    };
    let own_key = settings.credentials.digest.as_ref().is_some_and(|digest| digest.nonce_key.is_none());
    if own_key && report.steps.iter().any(|line| line.step == "claim" && line.found == "Digest") {
        report.notes.push(
            "nonces of a running gateway can't be judged here, since `gateway.credentials.digest.nonce_key_file` is not \
             set and its key is its own"
                .to_owned(),
        );
    }
    let is_pair =
        |text: &str| text.split_once(':').is_some_and(|(public, private)| !public.is_empty() && private.len() == 36);
    let pair = settings.credentials.headers.iter().find(|name| {
        let mut values = head.headers.get_all(*name).iter();
        values.any(|value| value.to_str().is_ok_and(is_pair))
    });
    if let Some(name) = pair.filter(|_| report.code == Some("INVALID_CREDENTIALS")) {
        report.notes.push(format!(
            "`{name}` holds `publicKey:privateKey`, the form of HTTP Basic; in a header it is `publicKey.privateKey`"
        ));
    }
    let name = report::header_name(settings);
    if report.client_source == "peer" && head.headers.contains_key(name) {
        report.notes.push(match trust(&peer, &settings.client_address) {
            Trust::Uncertified(uri) => format!(
                "`{name}` was not read, since {address} is trusted only with a certificate that names {uri}; if it shows another \
                 URI, say it here and in `gateway.client_address.trusted_proxies`"
            ),
            _ => format!(
                "`{name}` was not read, since {address} is no trusted proxy; if it is yours, add it to \
                 `gateway.client_address.trusted_proxies`"
            ),
        });
    }
    report
}

/// Whether a body would come with such headers (RFC 9112 §6.3).
fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get_all(CONTENT_LENGTH).iter().any(|value| value.as_bytes() != b"0");
    length || headers.contains_key(TRANSFER_ENCODING)
}

/// The same, where every peer is the client itself.
fn without_proxies(current: &Current) -> Current {
    let rule = ClientAddressRule {
        trusted_proxies: Networks::default(),
        certified_proxies: Vec::new(),
        header: AddressHeader::XForwardedFor,
        hops: None,
    };
    let settings = Gateway { client_address: rule, ..Gateway::clone(&current.settings) };
    Current { settings: Arc::new(settings), ..current.clone() }
}

fn of_permit<'p>(permit: &'p Permit<'_>) -> Passed<'p, 'p> {
    Passed { grant: permit.grant(), upstream: permit.route().upstream, would_deny: permit.would_deny() }
}

fn of_supposed<'p>(permit: &'p Supposed<'_>) -> Passed<'p, 'p> {
    Passed { grant: permit.grant(), upstream: permit.route().upstream, would_deny: permit.would_deny() }
}
