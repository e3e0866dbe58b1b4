//! The `jti` of a token of our own: what it is revoked by.

use std::fmt;
use std::str::FromStr;

/// Sixteen random bytes, shown as 32 lowercase hexadecimal characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId(pub [u8; 16]);

/// A text that is no [`TokenId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token's `jti` is 32 hexadecimal characters")]
pub struct TokenIdFault;

impl FromStr for TokenId {
    type Err = TokenIdFault;

    fn from_str(text: &str) -> Result<Self, TokenIdFault> {
        let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.as_bytes().iter().all(digits) {
            return Err(TokenIdFault);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| TokenIdFault)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_and_display_are_inverse_and_there_is_one_spelling() {
        let text = "000102030405060708090a0b0c0d0eff";
        assert_eq!(text.parse::<TokenId>().unwrap().to_string(), text);
        for text in ["", "00", &text.to_uppercase(), &text.replace('0', "+"), &format!("{text}0")] {
            assert!(text.parse::<TokenId>().is_err(), "{text}");
        }
    }
}
