//! Header names that some server takes for the same name.
//!
//! Many servers hand `X_Api_Key`, `X.Api.Key` and `X-Api-Key` to the application as one variable (CVE-2025-64484), and some
//! do so for every other character that a name may have.

/// What a byte of a name is told apart by.
pub fn folded(byte: u8) -> u8 {
    match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'-',
    }
}

/// Whether two names are one in some spelling.
pub fn is_same(one: &str, other: &str) -> bool {
    // Nearly all that are, are so to the byte, which is seen at once.
    one.len() == other.len() && (one == other || is_same_start(one, other))
}

/// Whether a name begins like this in some spelling.
pub fn is_same_start(name: &str, start: &str) -> bool {
    name.len() >= start.len() && name.bytes().zip(start.bytes()).all(|(one, other)| folded(one) == folded(other))
}
