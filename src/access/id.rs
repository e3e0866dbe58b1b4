//! The 24-hex-character identifier of organizations, projects and credentials.
//!
//! Never makes ids up: whoever creates a thing draws its id from a random source.

use std::fmt;
use std::str::FromStr;

/// Twelve bytes, shown as 24 lowercase hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 12]);

/// A text that is no [`Id`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("id `{0}` is not 24 hexadecimal characters such as 5f0000000000000000000001")]
pub struct IdFault(String);

impl Id {
    /// From its raw bytes.
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The 24 characters, without allocating.
    pub fn to_hex(self) -> [u8; 24] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 24];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }
}

impl FromStr for Id {
    type Err = IdFault;

    fn from_str(text: &str) -> Result<Self, IdFault> {
        let fault = || IdFault(text.chars().take(64).collect());
        let bytes = text.as_bytes();
        if bytes.len() != 24 {
            return Err(fault());
        }
        let mut id = [0; 12];
        for (byte, pair) in id.iter_mut().zip(bytes.chunks_exact(2)) {
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(fault());
            };
            *byte = high << 4 | low;
        }
        Ok(Self(id))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_and_display_are_inverse() {
        let text = "5f00000000000000000000ab";
        let id: Id = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(&id.to_hex(), text.as_bytes());
        assert_eq!("5F00000000000000000000AB".parse::<Id>().unwrap(), id);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5f", "5f00000000000000000000ag", "5f00000000000000000000abc", "5f0000000000000000000é1"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
