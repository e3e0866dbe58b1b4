//! The worker's own way to the upstreams: per endpoint a pool that no other thread sees.
//!
//! Rebuilt when new settings are published; an endpoint that stays the same keeps its connections.

mod connect;
mod echo;
mod endpoint;
mod link;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::settings::{self, Gateway, UpstreamTls};
use crate::net::tls::files::Authorities;
use crate::net::tls::{self, ClientSide, TlsFault};
use crate::telemetry::metrics::{Stripe, UpstreamCounters};

pub(super) use echo::echo;
pub(super) use endpoint::{Endpoint, Lease};
pub(super) use link::SendFault;

/// Client-side TLS of all workers: reading the system's roots takes milliseconds, and all workers read the same.
#[derive(Debug, Default)]
pub(super) struct ClientTls {
    known: Mutex<Known>,
    /// Counts changes of what upstreams are verified by.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    authorities: Authorities,
    /// The system's roots, and files that settings name and nobody has handed over yet.
    found: HashMap<Option<std::path::PathBuf>, ClientSide>,
}

impl ClientTls {
    fn config(&self, settings: &UpstreamTls) -> Result<ClientSide, TlsFault> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let handed = settings.ca.as_ref().and_then(|path| known.authorities.of(path));
        if let Some(config) = handed.or_else(|| known.found.get(&settings.ca).cloned()) {
            return Ok(config);
        }
        let config = tls::client_config(settings)?;
        known.found.insert(settings.ca.clone(), Arc::clone(&config));
        Ok(config)
    }

    /// Takes over what was read. Connections that another state of a file has verified are not used again.
    pub(super) fn replace(&self, fresh: Authorities) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What was found by somebody who could not wait may be another state of its file.
        let changed = fresh.differs(&known.authorities) || known.found.keys().any(Option::is_some);
        known.found.retain(|path, _| path.is_none());
        known.authorities = fresh;
        if changed {
            // Behind the value: who sees the count finds the value.
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

/// A named backend as one worker sees it.
#[derive(Debug)]
pub(super) struct Upstream {
    name: Arc<str>,
    endpoints: Vec<Rc<Endpoint>>,
    next: Cell<usize>,
    pub(super) counters: Arc<UpstreamCounters>,
    pub(super) preserve_host: bool,
    pub(super) connect_timeout: Duration,
    pub(super) first_byte_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

impl Upstream {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Every endpoint once, beginning with the one whose turn it is.
    pub(super) fn turn(&self) -> impl Iterator<Item = &Rc<Endpoint>> {
        let first = self.next.get();
        self.next.set(if first + 1 >= self.endpoints.len() { 0 } else { first + 1 });
        self.endpoints.iter().cycle().skip(first).take(self.endpoints.len())
    }
}

/// All upstreams of the present settings.
#[derive(Debug)]
pub(super) struct Upstreams {
    tls: Arc<ClientTls>,
    stripe: Arc<Stripe>,
    table: RefCell<Table>,
}

#[derive(Debug, Default)]
struct Table {
    settings: Option<Arc<Gateway>>,
    /// The count of [`ClientTls`] that it was made at.
    changes: u64,
    upstreams: Vec<Rc<Upstream>>,
}

impl Upstreams {
    pub(super) fn new(tls: Arc<ClientTls>, stripe: Arc<Stripe>) -> Self {
        Self { tls, stripe, table: RefCell::default() }
    }

    /// The upstream at a position of these settings.
    pub(super) fn find(&self, settings: &Arc<Gateway>, position: usize) -> Option<Rc<Upstream>> {
        let mut table = self.table.borrow_mut();
        let changes = self.tls.changes();
        let is_same = |known: &Arc<Gateway>| Arc::ptr_eq(known, settings) && table.changes == changes;
        if !table.settings.as_ref().is_some_and(is_same) {
            *table = self.rebuild(&table, settings, changes);
        }
        table.upstreams.get(position).cloned()
    }

    fn rebuild(&self, old: &Table, settings: &Arc<Gateway>, changes: u64) -> Table {
        let endpoints = old.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        let known: Vec<_> = endpoints.filter(|endpoint| changes == old.changes || !endpoint.is_https()).collect();
        let upstreams = settings.upstreams.iter().map(|upstream| Rc::new(self.build(&known, upstream))).collect();
        Table { settings: Some(Arc::clone(settings)), changes, upstreams }
    }

    fn build(&self, known: &[&Rc<Endpoint>], upstream: &settings::Upstream) -> Upstream {
        let endpoint = |address: &settings::Endpoint| {
            let kept = known.iter().find(|known| known.is_same(address, upstream));
            match kept {
                Some(kept) => Rc::clone(kept),
                None => Rc::new(Endpoint::new(address.clone(), upstream, Arc::clone(&self.tls))),
            }
        };
        Upstream {
            name: Arc::clone(&upstream.name),
            endpoints: upstream.endpoints.iter().map(endpoint).collect(),
            next: Cell::new(0),
            counters: self.stripe.upstream(&upstream.name),
            preserve_host: upstream.preserve_host,
            connect_timeout: upstream.connect_timeout,
            first_byte_timeout: upstream.first_byte_timeout,
            idle_timeout: upstream.idle_timeout,
        }
    }

    /// Closes connections that nobody has used for long.
    pub(super) fn sweep(&self, now: u64) {
        for upstream in &self.table.borrow().upstreams {
            for endpoint in &upstream.endpoints {
                endpoint.sweep(now);
            }
        }
    }
}
