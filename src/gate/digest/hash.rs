//! The hashes of RFC 7616, and their hexadecimal form, which is what the next hash is made of. Never allocates.

use aws_lc_rs::digest::{Context, SHA256};
use md5::{Digest as _, Md5};

use crate::access::digest_secret::Algorithm;

const LONGEST: usize = 32;

/// Bytes of a hash.
pub(super) const fn length(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha256 => 32,
        Algorithm::Md5 => 16,
    }
}

/// A hash being made.
pub(super) enum Hash {
    Sha256(Context),
    Md5(Md5),
}

/// A hash.
pub(super) struct Hashed {
    bytes: [u8; LONGEST],
    length: usize,
}

/// A hash in lower-case hexadecimal digits.
pub(super) struct Hex {
    digits: [u8; 2 * LONGEST],
    length: usize,
}

impl Hash {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Context::new(&SHA256)),
            Algorithm::Md5 => Self::Md5(Md5::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(context) => context.update(bytes),
            Self::Md5(context) => context.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Hashed {
        match self {
            Self::Sha256(context) => Hashed::of(context.finish().as_ref()),
            Self::Md5(context) => Hashed::of(&context.finalize()),
        }
    }
}

impl Hashed {
    fn of(hash: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        // Both hashes are at most that long, so this never panics.
        bytes[..hash.len()].copy_from_slice(hash);
        Self { bytes, length: hash.len() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn hex(&self) -> Hex {
        Hex::of(self.bytes())
    }
}

impl Hex {
    /// Of up to 32 bytes; what is longer is cut.
    pub(super) fn of(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 2 * LONGEST];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(bytes) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        Self { digits, length: 2 * bytes.len().min(LONGEST) }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}
