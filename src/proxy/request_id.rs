//! Request ids: 128 bits, unique without asking anybody.
//!
//! Not secret: who sees one can guess the worker's next.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

/// 32 lower-case hexadecimal characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId([u8; 32]);

/// One worker's source of ids: a random prefix, and a counter that is stirred so that neighbours look different.
#[derive(Debug)]
pub(super) struct RequestIds {
    prefix: u64,
    next: Cell<u64>,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        // The keys of a `RandomState` come from the system's random source.
        let random = || RandomState::new().build_hasher().finish();
        Self { prefix: random(), next: Cell::new(random()) }
    }

    pub(super) fn next(&self) -> RequestId {
        let count = self.next.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.next.set(count);
        // The finalizer of SplitMix64 is a bijection: no id repeats within 2^64 requests of a worker.
        let mut mixed = count;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let mut text = [0; 32];
        hex(self.prefix, &mut text[..16]);
        hex(mixed, &mut text[16..]);
        RequestId(text)
    }
}

fn hex(value: u64, to: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in to.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

impl RequestId {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn as_str(&self) -> &str {
        // Made of hexadecimal digits alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_hexadecimal() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            for id in [one.next(), other.next()] {
                assert!(id.as_str().len() == 32 && id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
                assert!(seen.insert(id.as_str().to_owned()));
            }
        }
    }
}
