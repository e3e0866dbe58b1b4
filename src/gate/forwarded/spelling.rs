//! The spellings of an address that a forwarding header may use, and no others (decision.md §3.4).
//!
//! Never resolves names, never guesses: `2001:db8::1:443` without brackets is an address, not an address and a port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a port may be hidden as RFC 7239 §6.2 allows (`_port`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// Digits.
    Digits,
    /// Digits, or `_` and a name.
    DigitsOrHidden,
}

/// Reads `v4`, `v4:port`, `v6`, `[v6]` or `[v6]:port`. The result is canonical.
pub(super) fn address(text: &[u8], port: Port) -> Option<IpAddr> {
    // Longer than any spelling: not worth a look.
    if text.len() > 64 {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (literal, after) = rest.split_once(']')?;
        let address: Ipv6Addr = literal.parse().ok()?;
        let legal = after.is_empty() || after.strip_prefix(':').is_some_and(|text| is_port(text, port));
        return legal.then(|| IpAddr::V6(address).to_canonical());
    }
    // `std::net` refuses leading zeros, short forms, octal, hexadecimal and (in `IpAddr`) zone ids.
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (literal, after) = text.split_once(':')?;
    let address: Ipv4Addr = literal.parse().ok()?;
    is_port(after, port).then_some(IpAddr::V4(address))
}

fn is_port(text: &str, port: Port) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            port == Port::DigitsOrHidden && !name.is_empty() && name.bytes().all(legal)
        }
        None => {
            let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits && text.parse::<u16>().is_ok()
        }
    }
}
