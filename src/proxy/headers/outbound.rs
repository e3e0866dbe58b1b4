//! The request's head as the upstream gets it.
//!
//! All values that are made here share one allocation.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderName};
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::names::{Names, Owner};
use super::{announce_trailers, remove_named_by_connection, takes_trailers};
use crate::access::address_text::AddressText;
use crate::access::client_address::ClientAddress;
use crate::access::credential::{Credential, Organization};
use crate::config::settings::Gateway;
use crate::gate::forwarded::Derived;
use crate::net::peer::Peer;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const ORG: HeaderName = HeaderName::from_static("x-portcullis-org");
const PROJECTS: HeaderName = HeaderName::from_static("x-portcullis-projects");
const CREDENTIAL: HeaderName = HeaderName::from_static("x-portcullis-credential");
const CREDENTIAL_TYPE: HeaderName = HeaderName::from_static("x-portcullis-credential-type");
const ROLES: HeaderName = HeaderName::from_static("x-portcullis-roles");
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-portcullis-client-address");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-portcullis-request-id");

/// Who calls, where a credential was proven.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) credential: &'a Credential,
    pub(crate) organization: &'a Organization,
}

/// What the head is made by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outbound<'a> {
    pub(crate) settings: &'a Gateway,
    pub(crate) peer: &'a Peer,
    pub(crate) derived: &'a Derived,
    pub(crate) client: ClientAddress,
    pub(crate) identity: Option<Identity<'a>>,
    pub(crate) request_id: &'a [u8],
}

/// A value that can't stand in a header. Names in a directory are checked when it is compiled, so that this is a fault of the
/// gateway; the request must not go on without its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identity header's value is not visible text")]
pub(crate) struct ValueFault;

/// Makes the head of the outbound request from the client's.
///
/// # Errors
/// [`ValueFault`].
pub(crate) fn prepare(headers: &mut HeaderMap, facts: &Outbound<'_>) -> Result<(), ValueFault> {
    let trailers = takes_trailers(headers);
    // The fixed names among them are found by their owner.
    remove_named_by_connection(headers);
    remove_foreign(headers, facts);
    if trailers {
        announce_trailers(headers);
    }
    set_ours(headers, facts)
}

/// Removes credentials, and what only we or a trusted proxy may say.
fn remove_foreign(headers: &mut HeaderMap, facts: &Outbound<'_>) {
    let names = Names::of(facts.settings);
    let forward = facts.settings.credentials.forward;
    let stale = |name: &&HeaderName| match names.owner(name.as_str()) {
        Owner::Client => false,
        Owner::HopByHop => true,
        // All lines of this one are replaced by ours whatever they say.
        Owner::Ours => **name != X_FORWARDED_FOR,
        Owner::Credential => !forward,
        Owner::Proxy => !facts.derived.peer_trusted,
        Owner::Override => !facts.settings.outbound.overrides,
    };
    let stale: SmallVec<[HeaderName; 8]> = headers.keys().filter(stale).cloned().collect();
    for name in stale {
        headers.remove(name);
    }
    if !forward && headers.get_all(AUTHORIZATION).iter().any(|value| is_carrier(value, facts.settings)) {
        headers.remove(AUTHORIZATION);
    }
}

/// Whether an `Authorization` line is of a scheme that is on. Any other belongs to the upstream.
fn is_carrier(value: &HeaderValue, settings: &Gateway) -> bool {
    let bytes = value.as_bytes().trim_ascii_start();
    let scheme = bytes.split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
    settings.credentials.basic && scheme.eq_ignore_ascii_case(b"basic")
        || settings.credentials.bearer && scheme.eq_ignore_ascii_case(b"bearer")
        || settings.credentials.digest.is_some() && scheme.eq_ignore_ascii_case(b"digest")
}

/// Cuts values off one buffer.
struct Values(BytesMut);

impl Values {
    fn cut(&mut self, write: impl FnOnce(&mut BytesMut)) -> Result<HeaderValue, ValueFault> {
        write(&mut self.0);
        let value: Bytes = self.0.split().freeze();
        HeaderValue::from_maybe_shared(value).map_err(|_| ValueFault)
    }
}

fn set_ours(headers: &mut HeaderMap, facts: &Outbound<'_>) -> Result<(), ValueFault> {
    let settings = facts.settings;
    let hops = facts.derived.chain.len() + 1;
    let grants = facts
        .identity
        .map_or(0, |who| who.credential.grants().roles.len() + who.credential.grants().projects.len() + 2 * 24);
    let mut values = Values(BytesMut::with_capacity(hops * 48 + grants + 160));

    headers.insert(X_FORWARDED_FOR, values.cut(|to| chain(to, facts))?);
    headers.entry(X_FORWARDED_PROTO).or_insert_with(|| HeaderValue::from_static(protocol(facts.peer)));
    let host = headers.get(HOST).cloned();
    if let Some(host) = &host {
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    if settings.outbound.forwarded {
        headers.insert(FORWARDED, values.cut(|to| forwarded(to, facts, host.as_ref()))?);
    }
    if settings.outbound.identity_headers {
        let text = |to: &mut BytesMut, text: &str| to.extend_from_slice(text.as_bytes());
        if let Some(who) = facts.identity {
            let (credential, grants) = (who.credential, who.credential.grants());
            headers.insert(ORG, values.cut(|to| to.extend_from_slice(&who.organization.id().to_hex()))?);
            headers.insert(PROJECTS, values.cut(|to| text(to, &grants.projects))?);
            headers.insert(CREDENTIAL, values.cut(|to| to.extend_from_slice(&credential.id().to_hex()))?);
            headers.insert(CREDENTIAL_TYPE, HeaderValue::from_static(credential.kind().as_str()));
            headers.insert(ROLES, values.cut(|to| text(to, &grants.roles))?);
        }
        headers.insert(CLIENT_ADDRESS, values.cut(|to| address(to, facts.client.ip()))?);
        headers.insert(REQUEST_ID, values.cut(|to| to.extend_from_slice(facts.request_id))?);
    }
    Ok(())
}

fn protocol(peer: &Peer) -> &'static str {
    if peer.tls { "https" } else { "http" }
}

fn address(to: &mut BytesMut, address: IpAddr) {
    to.extend_from_slice(AddressText::of(address).as_bytes());
}

/// The verified chain and the peer, in wire order.
fn chain(to: &mut BytesMut, facts: &Outbound<'_>) {
    for hop in &facts.derived.chain {
        address(to, *hop);
        to.extend_from_slice(b", ");
    }
    address(to, facts.peer.address);
}

/// RFC 7239: `for` of every hop, `proto` and `host` with the last of them, which is the one that we saw.
fn forwarded(to: &mut BytesMut, facts: &Outbound<'_>, host: Option<&HeaderValue>) {
    let node = |to: &mut BytesMut, hop: IpAddr| {
        let (before, after): (&[u8], &[u8]) = match hop {
            IpAddr::V4(_) => (b"for=", b""),
            IpAddr::V6(_) => (b"for=\"[", b"]\""),
        };
        to.extend_from_slice(before);
        address(to, hop);
        to.extend_from_slice(after);
    };
    for hop in &facts.derived.chain {
        node(to, *hop);
        to.extend_from_slice(b", ");
    }
    node(to, facts.peer.address);
    if let Some(host) = host {
        // A host has passed `sanity` and holds neither quotes nor backslashes.
        to.extend_from_slice(b";host=\"");
        to.extend_from_slice(host.as_bytes());
        to.extend_from_slice(b"\"");
    }
    to.extend_from_slice(b";proto=");
    to.extend_from_slice(protocol(facts.peer).as_bytes());
}
