//! Client-side TLS of all workers, shared because each of them would read the same.
//!
//! Counts its changes, so that connections which another authority has verified are not used again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::settings::{UpstreamFiles, UpstreamTls};
use crate::net::tls::files::Authorities;
use crate::net::tls::{self, ClientSide, TlsFault};

/// Client-side TLS of all workers: reading the system's roots takes milliseconds, and all workers read the same.
#[derive(Debug, Default)]
pub(in crate::proxy) struct ClientTls {
    known: Mutex<Known>,
    /// Counts changes of what upstreams are verified by.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    authorities: Authorities,
    /// The system's roots, and files that settings name and nobody has handed over yet.
    found: HashMap<UpstreamFiles, ClientSide>,
}

impl ClientTls {
    pub(in crate::proxy) fn config(&self, settings: &UpstreamTls) -> Result<ClientSide, TlsFault> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let files = &settings.files;
        if let Some(config) = known.authorities.of(files).or_else(|| known.found.get(files).cloned()) {
            return Ok(config);
        }
        let (_, config) = tls::client_side(files)?;
        known.found.insert(files.clone(), Arc::clone(&config));
        Ok(config)
    }

    /// Takes over what was read. Connections that another state of a file has verified are not used again.
    pub(in crate::proxy) fn replace(&self, fresh: Authorities) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What was found by somebody who could not wait may be another state of its file.
        let changed = fresh.differs(&known.authorities) || known.found.keys().any(|files| !files.is_empty());
        known.found.retain(|files, _| files.is_empty());
        known.authorities = fresh;
        if changed {
            // Behind the value: who sees the count finds the value.
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}
