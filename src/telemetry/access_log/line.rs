//! One line: its fields, and JSON that nothing a client sends can break out of.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::access::address_text::AddressText;
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
    /// Where the last attempt went.
    pub endpoint: Option<&'a str>,
    /// How often it was tried; written where it is more than once.
    pub attempts: u32,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// It was let through, and ended when it would have been refused.
    pub revoked: bool,
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
    /// Each name stands here as it is written: copies of known length cost next to nothing.
    pub(super) fn write(&self, to: &mut Vec<u8>, stamp: &mut Stamp, query: bool) {
        to.extend_from_slice(br#"{"time":""#);
        stamp.write(to, self.time);
        to.extend_from_slice(br#"","request_id":"#);
        plain(to, self.request_id);
        to.extend_from_slice(br#","method":"#);
        string(to, self.method);
        to.extend_from_slice(br#","host":"#);
        string(to, self.host);
        to.extend_from_slice(br#","path":"#);
        string(to, self.path);
        if let Some(text) = self.query.filter(|_| query) {
            to.extend_from_slice(br#","query":"#);
            string(to, text);
        }
        to.extend_from_slice(br#","status":"#);
        number(to, u64::from(self.status));
        to.extend_from_slice(br#","outcome":"#);
        plain(to, self.outcome.as_str());
        if let Some(code) = self.outcome.code() {
            to.extend_from_slice(br#","code":"#);
            plain(to, code.as_str());
        }
        if let Some(reason) = self.reason {
            to.extend_from_slice(br#","reason":"#);
            string(to, reason);
        }
        to.extend_from_slice(br#","duration_us":"#);
        number(to, u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX));
        to.extend_from_slice(br#","peer.address":""#);
        to.extend_from_slice(AddressText::of(self.peer).as_bytes());
        to.push(b'"');
        if let Some(client) = self.client {
            to.extend_from_slice(br#","client.address":""#);
            to.extend_from_slice(AddressText::of(client).as_bytes());
            to.push(b'"');
        }
        to.extend_from_slice(br#","client.source":"#);
        plain(to, self.source.as_str());
        if let Some((kind, id)) = self.credential {
            to.extend_from_slice(br#","credential.type":"#);
            plain(to, kind.as_str());
            to.extend_from_slice(br#","credential.id":""#);
            to.extend_from_slice(&id.to_hex());
            to.push(b'"');
        }
        if let Some(id) = self.organization {
            to.extend_from_slice(br#","org.id":""#);
            to.extend_from_slice(&id.to_hex());
            to.push(b'"');
        }
        if let Some(entry) = self.entry {
            to.extend_from_slice(br#","list.entry":""#);
            to.extend_from_slice(AddressText::of(entry.address()).as_bytes());
            to.push(b'/');
            number(to, u64::from(entry.prefix_len()));
            to.push(b'"');
        }
        to.extend_from_slice(br#","snapshot.revision":"#);
        number(to, self.revision);
        if let Some(upstream) = self.upstream {
            to.extend_from_slice(br#","upstream":"#);
            string(to, upstream);
        }
        if let Some(endpoint) = self.endpoint {
            to.extend_from_slice(br#","upstream.endpoint":"#);
            string(to, endpoint);
            if self.attempts > 1 {
                to.extend_from_slice(br#","upstream.attempts":"#);
                number(to, u64::from(self.attempts));
            }
        }
        to.extend_from_slice(br#","bytes_in":"#);
        number(to, self.bytes_in);
        to.extend_from_slice(br#","bytes_out":"#);
        number(to, self.bytes_out);
        if self.revoked {
            to.extend_from_slice(br#","revoked":true"#);
        }
        to.extend_from_slice(b"}\n");
    }
}

fn number(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A value that holds nothing to escape.
fn plain(to: &mut Vec<u8>, value: &str) {
    to.push(b'"');
    to.extend_from_slice(value.as_bytes());
    to.push(b'"');
}

/// Bytes that stand for themselves.
const HARMLESS: [bool; 256] = {
    let mut harmless = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        harmless[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    harmless
};

/// A value that a client may have chosen (RFC 8259 §7; control characters, DEL and everything beyond ASCII as `\u`).
fn string(to: &mut Vec<u8>, value: &str) {
    if value.as_bytes().iter().all(|byte| HARMLESS[usize::from(*byte)]) {
        return plain(to, value);
    }
    to.push(b'"');
    for character in value.chars() {
        match character {
            '"' | '\\' => to.extend_from_slice(&[b'\\', character as u8]),
            ' '..='~' => to.push(character as u8),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    // Writing to a Vec can't fail.
                    drop(std::io::Write::write_fmt(to, format_args!("\\u{unit:04x}")));
                }
            }
        }
    }
    to.push(b'"');
}
