//! The derivation of the client address against a reading that splits everything first.
//!
//! Input: one byte of choices, then the header's lines, parted by line feeds.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::access::decision::NoTrace;
use portcullis::access::network::{Network, Networks};
use portcullis::config::settings::{AddressHeader, ClientAddressRule};
use portcullis::gate::forwarded::{MOST_BYTES, MOST_HOPS, derive};
use portcullis::net::peer::Peer;

fn is_trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 10,
        IpAddr::V6(v6) => v6.segments()[..3] == [0x2001, 0xdb8, 0xf],
    }
}

fn is_port(text: &str, hidden: bool) -> bool {
    if hidden && text.len() > 1 && text.starts_with('_') {
        return text[1..].chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    }
    !text.is_empty()
        && text.len() <= 5
        && text.chars().all(|c| c.is_ascii_digit())
        && text.parse::<u32>().unwrap() < 65536
}

fn address(text: &[u8], hidden: bool) -> Option<IpAddr> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let mut found = text.parse::<IpAddr>().ok();
    for (at, _) in text.match_indices(']') {
        if let Some(inside) = text[..at].strip_prefix('[')
            && let Ok(v6) = inside.parse::<Ipv6Addr>()
            && (text.len() == at + 1 || text[at + 1..].starts_with(':') && is_port(&text[at + 2..], hidden))
        {
            found = Some(IpAddr::V6(v6));
        }
    }
    if let [host, port] = text.split(':').collect::<Vec<_>>()[..]
        && is_port(port, hidden)
    {
        found = host.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4);
    }
    // Nobody writes an address in more characters.
    found.filter(|_| text.len() <= 64).map(|address| address.to_canonical())
}

fn trim(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    while text.last().is_some_and(|byte| b" \t".contains(byte)) {
        text.pop();
    }
    while text.first().is_some_and(|byte| b" \t".contains(byte)) {
        text.remove(0);
    }
    text
}

/// The end of scanning a text from its left: whether it ends outside quotes. A backslash means nothing there, and no element
/// that somebody wrote has one.
fn is_balanced(text: &[u8]) -> bool {
    let (mut quoted, mut at) = (false, 0);
    while at < text.len() {
        match text[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b'\\' => return false,
            _ => {}
        }
        at += 1;
    }
    !quoted && at == text.len()
}

/// Elements of a `Forwarded` line, last first: each is the shortest balanced text after a comma.
fn elements(line: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = Vec::new();
    let mut rest = line.to_vec();
    loop {
        let commas: Vec<usize> = (0..rest.len()).rev().filter(|at| rest[*at] == b',').collect();
        match commas.into_iter().find(|at| is_balanced(&rest[at + 1..])) {
            Some(at) => {
                elements.push(rest[at + 1..].to_vec());
                rest.truncate(at);
            }
            None => {
                elements.push(rest);
                return elements;
            }
        }
    }
}

/// The pairs of an element, or `None` where it breaks the grammar.
fn pairs(element: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut parts = vec![Vec::new()];
    let (mut quoted, mut escaped) = (false, false);
    for byte in element {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push(Vec::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(*byte);
    }
    if quoted || escaped {
        return None;
    }
    let token = |text: &[u8], more: &[u8]| {
        let legal =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte) || more.contains(byte);
        !text.is_empty() && text.iter().all(legal)
    };
    let mut pairs = Vec::new();
    for part in parts.iter().map(|part| trim(part)).filter(|part| !part.is_empty()) {
        let equals = part.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&part[..equals], &part[equals + 1..]);
        if !token(name, b"") {
            return None;
        }
        let value = if value.first() == Some(&b'"') {
            // One quoted string: the only quote that is not escaped is the last byte.
            let mut plain = Vec::new();
            let mut at = 1;
            while value.get(at).is_some_and(|byte| *byte != b'"') {
                at += usize::from(value[at] == b'\\');
                plain.push(*value.get(at)?);
                at += 1;
            }
            if at + 1 != value.len() {
                return None;
            }
            plain
        } else {
            token(value, b":[]").then(|| value.to_vec())?
        };
        pairs.push((String::from_utf8(name.to_vec()).unwrap().to_lowercase(), value));
    }
    Some(pairs)
}

fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let named: Vec<_> = pairs(element)?.into_iter().filter(|(name, _)| name == "for").collect();
    match &named[..] {
        [(_, value)] => address(value, true),
        _ => None,
    }
}

/// The verified hops, client first; `Some(None)` where the peer is the client, `None` where nobody is.
fn naive(lines: &[Vec<u8>], header: u8, hops: Option<usize>) -> Option<Option<Vec<IpAddr>>> {
    if header == 2 {
        let [line] = lines else { return None };
        return address(&trim(line), false).map(|address| Some(vec![address]));
    }
    if lines.is_empty() {
        return Some(None);
    }
    if lines.iter().map(Vec::len).sum::<usize>() > MOST_BYTES {
        return None;
    }
    let all: Vec<Option<IpAddr>> = match header {
        0 => {
            let joined = lines.join(&b","[..]);
            let mut all: Vec<_> = joined.split(|byte| *byte == b',').map(|hop| address(&trim(hop), false)).collect();
            all.reverse();
            all
        }
        _ => lines.iter().rev().flat_map(|line| elements(line)).map(|element| forwarded_for(&element)).collect(),
    };
    let mut chain = Vec::new();
    for hop in all.iter().take(MOST_HOPS) {
        let hop = (*hop)?;
        chain.insert(0, hop);
        if !is_trusted(hop) || hops == Some(chain.len()) {
            return Some(Some(chain));
        }
    }
    (all.len() == 1).then_some(Some(chain))
}

fuzz_target!(|data: &[u8]| {
    let Some((choices, rest)) = data.split_first() else { return };
    let (header, hops, trusted_peer) = (choices % 3, usize::from(choices / 3 % 4), choices & 0x80 == 0);
    let kind = match header {
        0 => AddressHeader::XForwardedFor,
        1 => AddressHeader::Forwarded,
        _ => AddressHeader::Single(HeaderName::from_static("cf-connecting-ip")),
    };
    let name = ["x-forwarded-for", "forwarded", "cf-connecting-ip"][usize::from(header)];
    let mut headers = HeaderMap::new();
    let mut lines = Vec::new();
    for line in rest.split(|byte| *byte == b'\n').filter(|_| !rest.is_empty()) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(HeaderName::from_static(name), value);
        lines.push(line.to_vec());
    }
    let trusted: Networks =
        ["10.0.0.0/8", "2001:db8:f::/48"].iter().map(|text| text.parse::<Network>().unwrap()).collect();
    let rule = ClientAddressRule {
        trusted_proxies: trusted,
        certified_proxies: Vec::new(),
        header: kind,
        hops: NonZeroUsize::new(hops),
    };
    let peer: IpAddr = if trusted_peer { "10.9.9.9" } else { "192.0.2.1" }.parse().unwrap();
    let derived = derive(&Peer::tcp((peer, 1).into(), (peer, 2).into()), &rule, &headers, &mut NoTrace);

    assert_eq!(derived.peer_trusted, trusted_peer);
    let expected =
        if trusted_peer { naive(&lines, header, NonZeroUsize::new(hops).map(NonZeroUsize::get)) } else { Some(None) };
    match expected {
        None => assert!(derived.client.is_err(), "{derived:?}"),
        Some(chain) => {
            let client = chain.as_ref().map_or(peer, |chain| chain[0]);
            assert_eq!(derived.client.map(|client| client.ip()), Ok(client));
            assert_eq!(derived.chain.to_vec(), chain.unwrap_or_default());
        }
    }
});
