//! An answer of HTTP/1.1 as bytes on a connection: where its head ends, what it says, and where its body ends (RFC 9112).
//!
//! Pure: bytes in, pieces out, however they were cut up on their way. Takes one reading of each answer and refuses whatever
//! another program could read otherwise (threats.md F2).

mod body;
mod head;

pub use body::{Decoder, Piece};
pub use head::{Head, read};

/// Most bytes of a head, or of trailers.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most fields of a head, or of trailers.
pub const MAX_FIELDS: usize = 100;

/// Why bytes are no answer that can be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum AnswerFault {
    /// Not HTTP.
    Malformed,
    /// A head or trailers over the limits.
    TooLarge,
    /// There are two readings of where it ends.
    Ambiguous(&'static str),
    /// The connection ended before the answer did.
    Early,
}

impl AnswerFault {
    /// What the operator is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "the upstream's answer is not HTTP as it should be",
            Self::TooLarge => "the head of the upstream's answer is over 64 KiB or 100 fields",
            Self::Ambiguous(why) => why,
            Self::Early => "the upstream's answer ended early",
        }
    }
}

#[cfg(test)]
mod tests;
