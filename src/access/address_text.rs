//! An address as text, on the stack.
//!
//! Says what `Display` says, never more: every request writes a handful of addresses, and the formatting machinery costs ten
//! times as much as their digits.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// Longest text of an address: IPv6 with an IPv4 tail.
const LONGEST: usize = 45;

/// The text of one address.
#[derive(Debug, Clone, Copy)]
pub struct AddressText {
    bytes: [u8; LONGEST],
    length: usize,
}

impl AddressText {
    /// Writes an address.
    pub fn of(address: IpAddr) -> Self {
        let mut text = Self { bytes: [0; LONGEST], length: 0 };
        match address {
            IpAddr::V4(v4) => {
                let [first, rest @ ..] = v4.octets();
                text.decimal(first);
                for octet in rest {
                    text.push(b'.');
                    text.decimal(octet);
                }
            }
            // Fails only where the text is longer than the longest one.
            IpAddr::V6(v6) => drop(write!(text, "{v6}")),
        }
        text
    }

    /// The text, which is ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn decimal(&mut self, octet: u8) {
        if octet >= 100 {
            self.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            self.push(b'0' + octet / 10 % 10);
        }
        self.push(b'0' + octet % 10);
    }
}

impl fmt::Write for AddressText {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.length + more.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(more.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: impl Into<IpAddr>) {
        let address = address.into();
        assert_eq!(AddressText::of(address).as_bytes(), address.to_string().as_bytes());
    }

    #[test]
    fn it_is_what_display_says() {
        for octet in 0..=255 {
            check([octet, 255 - octet, 0, octet]);
        }
        check([0xffff_u16; 8]);
        check([0; 8]);
        check([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        check([0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff]);
    }
}
