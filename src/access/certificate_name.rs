//! What of a client certificate speaks for a service account: one of its URIs, or the certificate itself.
//!
//! Compared byte for byte: nothing is normalised, so that no two spellings mean the same account.

use std::fmt;
use std::str::FromStr;

/// Longest URI, in bytes.
pub const LONGEST_URI: usize = 1024;

/// What a certificate has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// This URI among its subject alternative names (RFC 5280 §4.2.1.6), such as a SPIFFE id.
    SanUri(Box<str>),
    /// This SHA-256, of the whole certificate in DER.
    Sha256([u8; 32]),
}

/// Why a text is no name of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateNameFault {
    /// Not a URI.
    #[error("`{0}` is no URI of at most 1024 characters; write it like spiffe://mesh/ns/edge/sa/proxy")]
    Uri(String),
    /// Not a hash.
    #[error(
        "this is not 64 hexadecimal characters; `openssl x509 -noout -fingerprint -sha256` shows them, with colons"
    )]
    Sha256,
}

impl CertificateName {
    /// A URI with its scheme (RFC 3986 §3), as a certificate can have it.
    ///
    /// # Errors
    /// [`CertificateNameFault::Uri`].
    pub fn san_uri(text: &str) -> Result<Self, CertificateNameFault> {
        match is_uri(text) {
            true => Ok(Self::SanUri(text.into())),
            false => Err(CertificateNameFault::Uri(text.escape_default().to_string())),
        }
    }

    /// A SHA-256 in hexadecimal digits of either case, with or without a colon between two bytes.
    ///
    /// # Errors
    /// [`CertificateNameFault::Sha256`].
    pub fn sha256(text: &str) -> Result<Self, CertificateNameFault> {
        let width = if text.len() == 95 { 3 } else { 2 };
        if text.len() + width - 2 != 32 * width || !text.is_ascii() {
            return Err(CertificateNameFault::Sha256);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(width)) {
            let digit = |at: u8| char::from(at).to_digit(16).ok_or(CertificateNameFault::Sha256);
            // Two digits are less than 256.
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
            if pair.get(2).is_some_and(|colon| *colon != b':') {
                return Err(CertificateNameFault::Sha256);
            }
        }
        Ok(Self::Sha256(bytes))
    }
}

impl CertificateName {
    /// The URI, where it is one.
    pub fn as_san_uri(&self) -> Option<&str> {
        match self {
            Self::SanUri(uri) => Some(uri),
            Self::Sha256(_) => None,
        }
    }

    /// The hash in 64 hexadecimal characters, where it is one.
    pub fn as_sha256(&self) -> Option<String> {
        match self {
            Self::SanUri(_) => None,
            Self::Sha256(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

/// Whether this is a URI with a scheme.
fn is_uri(text: &str) -> bool {
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let of_scheme = |at: u8| at.is_ascii_alphanumeric() || b"+-.".contains(&at);
    let legal = |at: u8| at.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&at);
    let escaped = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|at| at.is_ascii_hexdigit());
    text.len() <= LONGEST_URI
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(of_scheme)
        && !rest.is_empty()
        && rest.bytes().all(legal)
        && rest.split('%').skip(1).all(escaped)
}

const URI: &str = "uri:";
const SHA256: &str = "sha256:";

impl fmt::Display for CertificateName {
    /// `uri:` and the URI, or `sha256:` and 64 hexadecimal characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SanUri(uri) => write!(f, "{URI}{uri}"),
            Self::Sha256(_) => write!(f, "{SHA256}{}", self.as_sha256().unwrap_or_default()),
        }
    }
}

impl FromStr for CertificateName {
    type Err = CertificateNameFault;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text.strip_prefix(URI), text.strip_prefix(SHA256)) {
            (Some(uri), _) => Self::san_uri(uri),
            (_, Some(hash)) => Self::sha256(hash),
            _ => Err(CertificateNameFault::Uri(text.escape_default().to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_as_they_are() {
        for good in ["spiffe://mesh/ns/a/sa/b", "URN:x", "a+b-c.1:%41", "https://a/?b#c"] {
            assert_eq!(CertificateName::san_uri(good), Ok(CertificateName::SanUri(good.into())), "{good}");
        }
        let long = format!("a:{}", "b".repeat(LONGEST_URI));
        for bad in ["", "a", ":", "a:", "1a:b", "a b:c", "a:b c", "a:%4", "a:%4g", "a:é", "a:b\n", "a:\"", &long] {
            assert!(CertificateName::san_uri(bad).is_err(), "{bad:?}");
        }
        assert!(CertificateName::san_uri(&long[..LONGEST_URI]).is_ok());
    }

    #[test]
    fn hashes_are_taken_in_either_spelling() {
        let bytes = std::array::from_fn(|at| at as u8 * 8);
        let plain: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let upper: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for good in [plain.clone(), plain.to_uppercase(), upper.join(":")] {
            assert_eq!(CertificateName::sha256(&good), Ok(CertificateName::Sha256(bytes)), "{good}");
        }
        let (short, long) = (&plain[1..], format!("{plain}0"));
        let (other, cut) = (upper.join("-"), upper.join(":")[1..].to_owned());
        let (foreign, wide) = ("g".repeat(64), "é".repeat(32));
        for bad in ["", short, &long, &other, &cut, &foreign, &wide, &plain.replace("08", "+8")] {
            assert_eq!(CertificateName::sha256(bad), Err(CertificateNameFault::Sha256), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for name in [CertificateName::SanUri("spiffe://mesh/a".into()), CertificateName::Sha256([0xa5; 32])] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        for bad in ["", "spiffe://mesh/a", "uri:", "uri:a", "sha256:00", "SHA256:"] {
            assert!(bad.parse::<CertificateName>().is_err(), "{bad}");
        }
    }
}
