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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::settings::{self, Gateway, UpstreamTls};
use crate::net::tls::{self, ClientSide, TlsFault};
use crate::telemetry::metrics::{Stripe, UpstreamCounters};

pub(super) use echo::echo;
pub(super) use endpoint::{Endpoint, Lease};
pub(super) use link::SendFault;

/// Client-side TLS of all workers: reading the system's roots takes milliseconds, and all workers read the same.
#[derive(Debug, Default)]
pub(super) struct ClientTls(Mutex<HashMap<Option<std::path::PathBuf>, ClientSide>>);

impl ClientTls {
    fn config(&self, settings: &UpstreamTls) -> Result<ClientSide, TlsFault> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = known.get(&settings.ca) {
            return Ok(Arc::clone(config));
        }
        let config = tls::client_config(settings)?;
        known.insert(settings.ca.clone(), Arc::clone(&config));
        Ok(config)
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
    upstreams: Vec<Rc<Upstream>>,
}

impl Upstreams {
    pub(super) fn new(tls: Arc<ClientTls>, stripe: Arc<Stripe>) -> Self {
        Self { tls, stripe, table: RefCell::default() }
    }

    /// The upstream at a position of these settings.
    pub(super) fn find(&self, settings: &Arc<Gateway>, position: usize) -> Option<Rc<Upstream>> {
        let mut table = self.table.borrow_mut();
        if !table.settings.as_ref().is_some_and(|known| Arc::ptr_eq(known, settings)) {
            *table = self.rebuild(&table, settings);
        }
        table.upstreams.get(position).cloned()
    }

    fn rebuild(&self, old: &Table, settings: &Arc<Gateway>) -> Table {
        let known: Vec<&Rc<Endpoint>> = old.upstreams.iter().flat_map(|upstream| &upstream.endpoints).collect();
        let upstreams = settings.upstreams.iter().map(|upstream| Rc::new(self.build(&known, upstream))).collect();
        Table { settings: Some(Arc::clone(settings)), upstreams }
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
