//! The PROXY protocol, versions 1 and 2, on listeners that have it on.
//!
//! Stricter than the specification asks: only TCP sources and `LOCAL` pass, every TLV must be well-formed, and the header is
//! bounded. A connection whose header is refused is closed; its bytes are never taken for HTTP (threats.md C10, C11).

use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};

/// Longest header that is waited for: version 1 has 107 bytes, version 2 here has addresses and a few hundred bytes of TLVs.
pub const MAX_BYTES: usize = 4 * 1024;

const SIGNATURE_V2: &[u8; 12] = b"\r\n\r\n\x00\r\nQUIT\n";
const PREFIX_V1: &[u8; 6] = b"PROXY ";

/// What the first bytes of a connection hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// A whole header; `consumed` bytes belong to it and all others to the stream.
    Complete {
        /// The source that it names; `None` for `LOCAL`, where the TCP peer speaks for itself.
        source: Option<SocketAddr>,
        /// Its length.
        consumed: usize,
    },
    /// The beginning of one.
    Incomplete,
}

/// Why a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The bytes are no PROXY header, or a malformed one.
    #[error(
        "the connection does not begin with a well-formed PROXY protocol header; its peer must send one on this listener"
    )]
    Malformed,
    /// More bytes than are waited for.
    #[error("the PROXY protocol header is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Neither TCP over IP nor `LOCAL`.
    #[error("the PROXY protocol header names no TCP source (UNKNOWN, UNSPEC, UNIX or UDP)")]
    NotTcp,
    /// A TLV whose length leaves the header.
    #[error("the PROXY protocol header has a TLV that does not fit")]
    BadTlv,
}

/// Reads a header from the first bytes of a connection.
///
/// # Errors
/// [`HeaderFault`] as soon as the bytes can't become an acceptable header.
pub fn parse(bytes: &[u8]) -> Result<Header, HeaderFault> {
    if let Some(rest) = bytes.strip_prefix(SIGNATURE_V2) {
        return parse_v2(bytes, rest);
    }
    if bytes.starts_with(PREFIX_V1) {
        return parse_v1(bytes);
    }
    match SIGNATURE_V2.starts_with(bytes) || PREFIX_V1.starts_with(bytes) {
        true => Ok(Header::Incomplete),
        false => Err(HeaderFault::Malformed),
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Header, HeaderFault> {
    // The specification's longest line, its CRLF included.
    const LONGEST: usize = 107;
    let window = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return match bytes.len() >= LONGEST {
            true => Err(HeaderFault::TooLong),
            false => Ok(Header::Incomplete),
        };
    };
    let line = &window[..=end];
    if line.starts_with(b"PROXY UNKNOWN") {
        return Err(HeaderFault::NotTcp);
    }
    if !is_strict_v1(line) {
        return Err(HeaderFault::Malformed);
    }
    complete(line, 0)
}

/// The library's number parser takes `+80` and leading zeros; a second reading of the line must not be possible.
fn is_strict_v1(line: &[u8]) -> bool {
    let Some(fields) = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok()) else {
        return false;
    };
    let fields: Vec<&str> = fields.split(' ').collect();
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port.to_string() == text);
    matches!(fields[..], ["PROXY", "TCP4" | "TCP6", _, _, from, to] if is_port(from) && is_port(to))
}

fn parse_v2(bytes: &[u8], rest: &[u8]) -> Result<Header, HeaderFault> {
    let Some(&[command, family, high, low]) = rest.first_chunk::<4>() else {
        return Ok(Header::Incomplete);
    };
    let length = SIGNATURE_V2.len() + 4 + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_BYTES {
        return Err(HeaderFault::TooLong);
    }
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderFault::Malformed),
    };
    let addresses = match family {
        0x11 => 12,
        0x21 => 36,
        // A LOCAL header may leave the family open; its addresses mean nothing (§2.2 of the specification).
        0x00 if local => 0,
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Err(HeaderFault::NotTcp),
        _ => return Err(HeaderFault::Malformed),
    };
    match bytes.get(..length) {
        Some(header) => complete(header, SIGNATURE_V2.len() + 4 + addresses),
        None => Ok(Header::Incomplete),
    }
}

/// Reads a header of which every byte is here. `tlvs` is where a version 2 header's TLVs begin.
fn complete(header: &[u8], tlvs: usize) -> Result<Header, HeaderFault> {
    let (parsed, consumed) = match ProxyHeader::parse(header, ParseConfig::default()) {
        Ok(parsed) => parsed,
        Err(Error::BufferTooShort | Error::Invalid | _) => return Err(HeaderFault::Malformed),
    };
    let behind = match tlvs {
        0 => Some(&[][..]),
        at => header.get(at..),
    };
    let behind = behind.filter(|_| consumed == header.len()).ok_or(HeaderFault::Malformed)?;
    if !fit(behind) {
        return Err(HeaderFault::BadTlv);
    }
    let source = match parsed.proxied_address() {
        None => None,
        Some(address) if address.protocol == Protocol::Stream => Some(address.source),
        Some(_) => return Err(HeaderFault::NotTcp),
    };
    Ok(Header::Complete { source, consumed })
}

/// Whether TLVs end where the header ends. What they say is not looked at: a name in a certificate that is no UTF-8 is no reason
/// to turn its holder away.
fn fit(mut rest: &[u8]) -> bool {
    while let [_, high, low, tail @ ..] = rest {
        let Some(next) = tail.get(usize::from(u16::from_be_bytes([*high, *low]))..) else { return false };
        rest = next;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;
