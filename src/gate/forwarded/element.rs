//! The two notations of a forwarding header: comma-separated addresses, and RFC 7239 elements with their quoting.
//!
//! Both are split from the right, so that nothing a client wrote on the left, an open quote included, can change how the
//! elements of the proxies on the right are read. An element itself is then read strictly from its left.

use std::net::IpAddr;

use super::Notation;
use super::spelling::{self, Port};
use crate::access::decision::AddressFault;

/// `X-Forwarded-For`: addresses separated by commas.
pub(super) struct Comma;

/// `Forwarded`: elements of `;`-separated pairs, whose values may be quoted strings (RFC 7239 §4).
pub(super) struct Quoted;

impl Notation for Comma {
    fn split_last(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
        match memchr::memrchr(b',', line) {
            Some(comma) => (Some(&line[..comma]), &line[comma + 1..]),
            None => (None, line),
        }
    }

    fn address(element: &[u8]) -> Result<IpAddr, AddressFault> {
        let text = trim(element);
        if text.is_empty() {
            return Err(AddressFault::Empty);
        }
        spelling::address(text, Port::Digits).ok_or(AddressFault::NotAnAddress)
    }
}

impl Notation for Quoted {
    fn split_last(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
        let mut quoted = false;
        let mut at = line.len();
        while at > 0 {
            at -= 1;
            match line[at] {
                b',' if !quoted => return (Some(&line[..at]), &line[at + 1..]),
                // From the right, the first quote closes a string and the next one that is not escaped opens it.
                b'"' if !quoted => quoted = true,
                b'"' => {
                    let escapes = line[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                    quoted = escapes % 2 == 1;
                    at -= escapes;
                }
                _ => {}
            }
        }
        (None, line)
    }

    fn address(element: &[u8]) -> Result<IpAddr, AddressFault> {
        if trim(element).is_empty() {
            return Err(AddressFault::Empty);
        }
        forwarded_for(element).ok_or(AddressFault::NotAnAddress)
    }
}

/// The address in an element's one `for` parameter. `None` for an element that breaks the grammar anywhere, repeats the
/// parameter, has none, or hides the address (`unknown`, `_name`).
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = element;
    loop {
        rest = trim_start(rest);
        // RFC 7239 allows empty pairs: `for=192.0.2.1;;proto=http`.
        if rest.first().is_some_and(|byte| *byte != b';') {
            let name_end = rest.iter().position(|byte| !is_token(*byte))?;
            let (name, after) = rest.split_at(name_end);
            let after = after.strip_prefix(b"=").filter(|_| !name.is_empty())?;
            let (value, after) = value(after)?;
            if name.eq_ignore_ascii_case(b"for") {
                let first = found.is_none();
                found = Some(value.address().filter(|_| first)?);
            }
            rest = trim_start(after);
        }
        match rest {
            [] => return found,
            [b';', after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// A parameter's value.
enum Value<'e> {
    Plain(&'e [u8]),
    /// The inside of a quoted string that holds escapes.
    Escaped(&'e [u8]),
}

impl Value<'_> {
    fn address(&self) -> Option<IpAddr> {
        match self {
            Value::Plain(text) => spelling::address(text, Port::DigitsOrHidden),
            Value::Escaped(text) => {
                // An address has no need of escapes; it is unescaped all the same, in a buffer that any address fits.
                let mut plain = [0; 64];
                let mut length = 0;
                let mut bytes = text.iter();
                while let Some(byte) = bytes.next() {
                    let byte = if *byte == b'\\' { bytes.next()? } else { byte };
                    *plain.get_mut(length)? = *byte;
                    length += 1;
                }
                spelling::address(&plain[..length], Port::DigitsOrHidden)
            }
        }
    }
}

/// Splits a token or quoted string off the front.
fn value(text: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let Some(inside) = text.strip_prefix(b"\"") else {
        // RFC 7239 wants quotes around a value with `:`, `[` or `]`; proxies that leave them out can't be misread.
        let end = text.iter().position(|byte| !is_token(*byte) && !matches!(byte, b':' | b'[' | b']'));
        let (value, after) = text.split_at(end.unwrap_or(text.len()));
        return (!value.is_empty()).then_some((Value::Plain(value), after));
    };
    let mut escapes = false;
    let mut at = 0;
    loop {
        match inside.get(at)? {
            b'"' => {
                let (value, after) = (&inside[..at], &inside[at + 1..]);
                return Some((if escapes { Value::Escaped(value) } else { Value::Plain(value) }, after));
            }
            b'\\' => {
                escapes = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    &text[start.unwrap_or(text.len())..]
}

/// Without surrounding blanks (RFC 9110 §5.6.3: space and tab, nothing else).
fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let end = text.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
    &text[..end.map_or(0, |end| end + 1)]
}
