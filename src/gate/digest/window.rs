//! Which counts of which nonces were used: a window of 64 per nonce, shared by all workers, bounded whatever anybody does.
//!
//! Only a request that was verified comes here, so that nobody fills it without a key. Where one with a key does, the oldest
//! nonces are forgotten *and stale from then on*: clients fetch a new one and try again; nothing is ever accepted twice.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use super::LIFE;
use super::nonce::Nonce;
use crate::clock::Timestamp;

/// Parts that are locked by themselves.
const STRIPES: usize = 64;

/// Most nonces in use: 8 000 a second for as long as they live, in some 30 MB.
const MOST: usize = 1 << 19;

/// All nonces in use.
pub(super) struct Windows {
    stripes: Box<[Mutex<Stripe>]>,
    /// Nobody can tell which stripe a nonce belongs to, and so crowd one.
    hasher: RandomState,
    most: usize,
}

/// By the second that they were made in, so that the oldest go together.
struct Stripe {
    seconds: BTreeMap<i64, HashMap<u128, Window>>,
    nonces: usize,
    /// What was made in this second or before may have been used and forgotten: it is stale.
    forgotten: i64,
}

/// The counts of one nonce.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    highest: u32,
    /// Bit n: `highest - n` was used.
    used: u64,
}

impl Window {
    /// Uses a count; whether it was unused and not too far back.
    pub(super) fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.used = self.used.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let Some(bit) = 1_u64.checked_shl(self.highest - count).filter(|bit| self.used & bit == 0) else {
            return false;
        };
        self.used |= bit;
        true
    }
}

impl Windows {
    /// Nothing is known of what was made in the second `forgotten` or before.
    pub(super) fn new(forgotten: i64) -> Self {
        Self::with_most(forgotten, MOST)
    }

    pub(super) fn with_most(forgotten: i64, most: usize) -> Self {
        let stripe = || Mutex::new(Stripe { seconds: BTreeMap::new(), nonces: 0, forgotten });
        Self { stripes: (0..STRIPES).map(|_| stripe()).collect(), hasher: RandomState::new(), most: most / STRIPES }
    }

    /// Uses a count of a nonce; whether that may be.
    pub(super) fn take(&self, nonce: Nonce, count: u32, now: Timestamp) -> bool {
        // Cut on purpose: any stripe will do.
        let stripe = &self.stripes[self.hasher.hash_one(nonce.id) as usize % STRIPES];
        // A panic in between leaves a count used or unused, and a map whole.
        let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        stripe.forget_until(now.unix_seconds().saturating_sub(LIFE));
        if nonce.issued <= stripe.forgotten {
            return false;
        }
        if let Some(window) = stripe.seconds.get_mut(&nonce.issued).and_then(|nonces| nonces.get_mut(&nonce.id)) {
            return window.take(count);
        }
        while stripe.nonces >= self.most && stripe.forget_oldest() {}
        // Its own second may have been forgotten just now: then this is its first use and its last.
        let mut window = Window::default();
        let fresh = window.take(count);
        stripe.seconds.entry(nonce.issued).or_default().insert(nonce.id, window);
        stripe.nonces += 1;
        fresh
    }

    #[cfg(test)]
    pub(super) fn nonces(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner).nonces).sum()
    }
}

impl Stripe {
    /// Lets go of everything that was made in this second or before.
    fn forget_until(&mut self, second: i64) {
        while self.seconds.first_key_value().is_some_and(|(oldest, _)| *oldest <= second) {
            self.forget_oldest();
        }
    }

    /// Lets go of the oldest second; whether there was one.
    fn forget_oldest(&mut self) -> bool {
        let Some((second, nonces)) = self.seconds.pop_first() else { return false };
        self.nonces -= nonces.len();
        self.forgotten = self.forgotten.max(second);
        true
    }
}
