//! An address as text, on the stack.
//!
//! Says what `Display` says, never more: every request writes a handful of addresses, and the formatting machinery costs ten
//! times as much as their digits.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// Longest text of an address: IPv6 with an IPv4 tail.
const LONGEST: usize = 45;

/// Each octet's digits with a dot behind them, and how many bytes that is: four are copied, whatever is in use of them.
const OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut octet = 0_u8;
    loop {
        let (hundreds, tens, ones) = (b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10);
        octets[octet as usize] = match octet {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            _ => ([hundreds, tens, ones, b'.'], 4),
        };
        if octet == u8::MAX {
            break octets;
        }
        octet += 1;
    }
};

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
                for octet in v4.octets() {
                    text.decimal(octet);
                }
                text.length -= 1;
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

    /// The octet and a dot.
    fn decimal(&mut self, octet: u8) {
        let (digits, length) = OCTETS[usize::from(octet)];
        if let Some(room) = self.bytes.get_mut(self.length..self.length + 4) {
            room.copy_from_slice(&digits);
            self.length += usize::from(length);
        }
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
