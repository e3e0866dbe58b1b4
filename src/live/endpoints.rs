//! What is known of the endpoints of upstreams apart from any request: the addresses behind their names, and whether they
//! are well.
//!
//! One job of the process finds it out, every worker reads it. Never looked at on the way of a request but for a count of
//! changes; who sees it change builds its own table anew.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::settings::Endpoint;

/// An endpoint of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// Name of the upstream.
    pub upstream: Arc<str>,
    /// As configured.
    pub endpoint: Endpoint,
}

/// One address of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub at: SocketAddr,
    /// Whether it is well, as far as anybody has asked.
    pub healthy: bool,
}

/// What is known of all endpoints.
#[derive(Debug, Default)]
pub struct Endpoints {
    known: Mutex<HashMap<Place, Arc<[Address]>>>,
    changes: AtomicU64,
}

impl Endpoints {
    /// How often anything has changed; whoever sees another count than before looks again.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The addresses of an endpoint, where they are known.
    pub fn of(&self, place: &Place) -> Option<Arc<[Address]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// Tells the addresses of an endpoint. None at all is no news: the ones known before stay.
    pub fn tell(&self, place: &Place, addresses: &[Address]) {
        if addresses.is_empty() {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(place).is_some_and(|known| known[..] == *addresses) {
            return;
        }
        known.insert(place.clone(), addresses.into());
        // Behind the value: who sees the count finds the value.
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Forgets the endpoints that are not among these.
    pub fn retain(&self, is_there: impl Fn(&Place) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        known.retain(|place, _| is_there(place));
        if known.len() != before {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
