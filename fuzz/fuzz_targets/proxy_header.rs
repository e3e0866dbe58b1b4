//! The PROXY protocol against a second parser, and the beginning of a header against the whole of it.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use portcullis::net::proxy_protocol::{Header, MAX_BYTES, parse};

#[derive(Debug, PartialEq)]
enum Seen {
    Complete(Option<SocketAddr>, usize),
    Incomplete,
    Refused,
}

fn v1(data: &[u8]) -> Seen {
    let Some(end) = data.windows(2).take(106).position(|pair| pair == b"\r\n") else {
        let lone = data.iter().take(107).any(|byte| *byte == b'\n');
        return if data.len() >= 107 || lone { Seen::Refused } else { Seen::Incomplete };
    };
    let Ok(line) = std::str::from_utf8(&data[..end]) else { return Seen::Refused };
    let words: Vec<&str> = line.split(' ').collect();
    let ["PROXY", family, source, destination, from, to] = words[..] else { return Seen::Refused };
    let (Ok(from_number), Ok(to_number)) = (from.parse::<u16>(), to.parse::<u16>()) else { return Seen::Refused };
    if from_number.to_string() != from || to_number.to_string() != to {
        return Seen::Refused;
    }
    let parsed: Option<(IpAddr, IpAddr)> = match family {
        "TCP4" => {
            source.parse::<Ipv4Addr>().ok().zip(destination.parse::<Ipv4Addr>().ok()).map(|(a, b)| (a.into(), b.into()))
        }
        "TCP6" => {
            source.parse::<Ipv6Addr>().ok().zip(destination.parse::<Ipv6Addr>().ok()).map(|(a, b)| (a.into(), b.into()))
        }
        _ => None,
    };
    match parsed {
        Some((source, _)) => Seen::Complete(Some((source, from_number).into()), end + 2),
        None => Seen::Refused,
    }
}

fn tlvs_fit(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        if rest.len() < 3 {
            return false;
        }
        let length = usize::from(rest[1]) * 256 + usize::from(rest[2]);
        if rest.len() < 3 + length {
            return false;
        }
        rest = &rest[3 + length..];
    }
    true
}

fn v2(data: &[u8]) -> Seen {
    if data.len() < 16 {
        return Seen::Incomplete;
    }
    let whole = 16 + usize::from(data[14]) * 256 + usize::from(data[15]);
    let local = data[12] == 0x20;
    let addresses = match (data[13], local) {
        (0x11, _) => 12,
        (0x21, _) => 36,
        (0x00, true) => 0,
        _ => return Seen::Refused,
    };
    if whole > MAX_BYTES || !(local || data[12] == 0x21) {
        return Seen::Refused;
    }
    if data.len() < whole {
        return Seen::Incomplete;
    }
    let Some((block, tlvs)) = data[16..whole].split_at_checked(addresses) else { return Seen::Refused };
    if !tlvs_fit(tlvs) {
        return Seen::Refused;
    }
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    let source = match (local, addresses) {
        (true, _) => None,
        (false, 12) => Some((IpAddr::from(<[u8; 4]>::try_from(&block[..4]).unwrap()), port(8)).into()),
        (false, _) => Some((IpAddr::from(<[u8; 16]>::try_from(&block[..16]).unwrap()), port(32)).into()),
    };
    Seen::Complete(source, whole)
}

fn naive(data: &[u8]) -> Seen {
    let signature = b"\r\n\r\n\x00\r\nQUIT\n";
    let common = data.len().min(12);
    let (like_v1, like_v2) = (data.len().min(6), common);
    if data[..like_v2] == signature[..like_v2] {
        if common < 12 { Seen::Incomplete } else { v2(data) }
    } else if data[..like_v1] == b"PROXY "[..like_v1] {
        if like_v1 < 6 { Seen::Incomplete } else { v1(data) }
    } else {
        Seen::Refused
    }
}

fn seen(data: &[u8]) -> Seen {
    match parse(data) {
        Ok(Header::Complete { source, consumed }) => Seen::Complete(source, consumed),
        Ok(Header::Incomplete) => Seen::Incomplete,
        Err(_) => Seen::Refused,
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = seen(data);
    assert_eq!(whole, naive(data));
    // Bytes come one by one: what was decided early stays decided.
    for length in 0..data.len().min(300) {
        match seen(&data[..length]) {
            Seen::Incomplete => {}
            early => assert_eq!(early, whole, "after {length} bytes"),
        }
    }
});
