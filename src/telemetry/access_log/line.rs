//! One line: its fields, and JSON that nothing a client sends can break out of.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::network::Network;
use crate::telemetry::Outcome;

/// Where the client address was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSource {
    /// The TCP peer.
    Peer,
    /// The PROXY protocol header.
    ProxyProtocol,
    /// A forwarding header of a trusted proxy.
    Header,
}

impl ClientSource {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Header => "header",
        }
    }
}

/// What is logged of one request. Absent fields are left out of the line.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "docs/reference/access-log.md describes each field")]
pub struct Line<'a> {
    pub time: SystemTime,
    pub request_id: &'a str,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub status: u16,
    pub outcome: Outcome,
    /// What the operator is told and the client is not.
    pub reason: Option<&'a str>,
    pub duration: Duration,
    pub peer: IpAddr,
    pub client: Option<IpAddr>,
    pub source: ClientSource,
    pub credential: Option<(CredentialKind, Id)>,
    pub organization: Option<Id>,
    pub entry: Option<Network>,
    pub revision: u64,
    pub upstream: Option<&'a str>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// The second that was formatted last: hundreds of lines share it.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: u64,
    text: String,
}

impl Stamp {
    fn write(&mut self, to: &mut Vec<u8>, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != since.as_secs() || self.text.is_empty() {
            self.second = since.as_secs();
            let second = i64::try_from(self.second).unwrap_or(i64::MAX);
            let stamp = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            self.text = stamp.to_string();
            self.text.pop();
        }
        to.extend_from_slice(self.text.as_bytes());
        let millis = since.subsec_millis();
        let digit = |value: u32| b'0' + (value % 10) as u8;
        to.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
    }
}

impl Line<'_> {
    pub(super) fn write(&self, to: &mut Vec<u8>, stamp: &mut Stamp, query: bool) {
        to.extend_from_slice(b"{\"time\":\"");
        stamp.write(to, self.time);
        to.push(b'"');
        string(to, "request_id", self.request_id);
        string(to, "method", self.method);
        string(to, "host", self.host);
        string(to, "path", self.path);
        if let Some(text) = self.query.filter(|_| query) {
            string(to, "query", text);
        }
        number(to, "status", u64::from(self.status));
        plain(to, "outcome", self.outcome.as_str());
        if let Some(code) = self.outcome.code() {
            plain(to, "code", code.as_str());
        }
        if let Some(reason) = self.reason {
            string(to, "reason", reason);
        }
        number(to, "duration_us", u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX));
        address(to, "peer.address", self.peer);
        if let Some(client) = self.client {
            address(to, "client.address", client);
        }
        plain(to, "client.source", self.source.as_str());
        if let Some((kind, id)) = self.credential {
            plain(to, "credential.type", kind.as_str());
            hex(to, "credential.id", id);
        }
        if let Some(id) = self.organization {
            hex(to, "org.id", id);
        }
        if let Some(entry) = self.entry {
            address(to, "list.entry", entry.address());
            to.pop();
            to.push(b'/');
            to.extend_from_slice(itoa::Buffer::new().format(entry.prefix_len()).as_bytes());
            to.push(b'"');
        }
        number(to, "snapshot.revision", self.revision);
        if let Some(upstream) = self.upstream {
            string(to, "upstream", upstream);
        }
        number(to, "bytes_in", self.bytes_in);
        number(to, "bytes_out", self.bytes_out);
        to.extend_from_slice(b"}\n");
    }
}

fn name(to: &mut Vec<u8>, name: &str) {
    to.extend_from_slice(b",\"");
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b"\":");
}

fn number(to: &mut Vec<u8>, field: &str, value: u64) {
    name(to, field);
    to.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A value that holds nothing to escape.
fn plain(to: &mut Vec<u8>, field: &str, value: &str) {
    name(to, field);
    to.push(b'"');
    to.extend_from_slice(value.as_bytes());
    to.push(b'"');
}

fn hex(to: &mut Vec<u8>, field: &str, id: Id) {
    name(to, field);
    to.push(b'"');
    to.extend_from_slice(&id.to_hex());
    to.push(b'"');
}

fn address(to: &mut Vec<u8>, field: &str, address: IpAddr) {
    name(to, field);
    to.push(b'"');
    match address {
        IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    to.push(b'.');
                }
                to.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        // Writing to a Vec can't fail.
        IpAddr::V6(v6) => drop(std::io::Write::write_fmt(to, format_args!("{v6}"))),
    }
    to.push(b'"');
}

/// A value that a client may have chosen (RFC 8259 §7; control characters, DEL and everything beyond ASCII as `\u`).
fn string(to: &mut Vec<u8>, field: &str, value: &str) {
    name(to, field);
    to.push(b'"');
    let harmless = |byte: &u8| (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\';
    if value.as_bytes().iter().all(harmless) {
        to.extend_from_slice(value.as_bytes());
    } else {
        for character in value.chars() {
            match character {
                '"' | '\\' => to.extend_from_slice(&[b'\\', character as u8]),
                ' '..='~' => to.push(character as u8),
                _ => {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        drop(std::io::Write::write_fmt(to, format_args!("\\u{unit:04x}")));
                    }
                }
            }
        }
    }
    to.push(b'"');
}
