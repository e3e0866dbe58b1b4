//! What is taken from a message and what is put into it on its way through (RFC 9110 §7.6.1, decision.md §3.7 and §5).
//!
//! Everything a client could say in our name is deleted first, in any spelling; then ours is set. Nothing that stands in
//! `Connection` can remove what is set here.

mod names;
mod outbound;

use http::header::{CONNECTION, HeaderName, TE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

pub(super) use names::Names;
pub(super) use outbound::{Identity, Outbound, prepare};

use crate::access::route::Route;
use crate::gate::sanity::asks_upgrade;

/// Removes what belongs to one connection alone, and whatever `Connection` names besides.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    let stale: smallvec::SmallVec<[HeaderName; 4]> =
        headers.keys().filter(|name| names::is_hop_by_hop(name.as_str())).cloned().collect();
    for name in stale {
        headers.remove(name);
    }
}

/// Removes `Connection`, and what it names.
///
/// `Host` and `Content-Length` stay even where they are named: a client must not be able to unframe a message.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    if let Some(named) = connection_names(headers) {
        for name in named {
            if !matches!(name.as_str(), "host" | "content-length" | "content-type") {
                headers.remove(name);
            }
        }
        headers.remove(CONNECTION);
    }
}

/// The field names in all `Connection` lines; `None` where there is no such line.
fn connection_names(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    if !headers.contains_key(CONNECTION) {
        return None;
    }
    let lines = headers.get_all(CONNECTION).iter();
    let tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let plain = |token: &[u8]| !token.eq_ignore_ascii_case(b"close") && !token.eq_ignore_ascii_case(b"keep-alive");
    Some(
        tokens
            .map(<[u8]>::trim_ascii)
            .filter(|token| plain(token))
            .filter_map(|token| HeaderName::from_bytes(token).ok())
            .collect(),
    )
}

/// Whether the client takes trailers (RFC 9110 §10.1.4). Read before the hop-by-hop fields are gone.
fn takes_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|line| {
        line.as_bytes().split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

/// Says to the upstream that trailers are taken.
fn announce_trailers(headers: &mut HeaderMap) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONNECTION, HeaderValue::from_static("te"));
}

/// Cleans an upstream's answer for the client.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// The protocol that the client asks for and the route allows: the first such one, and no other is told to the upstream.
/// Read before the hop-by-hop fields are gone.
pub(super) fn wanted_upgrade(head: &Parts, route: &Route) -> Option<HeaderValue> {
    if !asks_upgrade(&head.headers) || head.version != Version::HTTP_11 || !has_token(&head.headers, "upgrade") {
        return None;
    }
    let lines = head.headers.get_all(UPGRADE).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let protocol = names.map(<[u8]>::trim_ascii).find_map(|name| route.upgrade(name))?;
    // RFC 6455 §4.1.
    if protocol == "websocket" && head.method != Method::GET {
        return None;
    }
    HeaderValue::from_str(protocol).ok()
}

/// Says in our own words what the connection becomes.
pub(super) fn announce_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.remove(TE);
    headers.insert(UPGRADE, protocol);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Whether an answer switches to this protocol and to no other.
pub(super) fn agrees_upgrade(headers: &HeaderMap, asked: &HeaderValue) -> bool {
    let mut lines = headers.get_all(UPGRADE).iter();
    let (first, second) = (lines.next(), lines.next());
    second.is_none()
        && first.is_some_and(|first| first.as_bytes().eq_ignore_ascii_case(asked.as_bytes()))
        && has_token(headers, "upgrade")
}

/// Whether `Connection` holds this token.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let lines = headers.get_all(CONNECTION).iter();
    let mut tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    tokens.any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests;
