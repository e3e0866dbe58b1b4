//! One address of an upstream and the connections that wait for their next request.
//!
//! Last in, first out: a few connections stay warm and the rest grow old and are closed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use http::HeaderValue;

use super::ClientTls;
use super::connect::{self, ConnectFault, Resolved};
use super::link::Link;
use crate::config::settings::{self, Upstream, UpstreamTls};
use crate::proxy::body::Progress;
use crate::proxy::watch::Ticks;

/// Kept connections in a row that must have been good before one that has waited less than a tick is trusted blindly.
const TRUSTED_AFTER: u32 = 256;

/// One address of an upstream, as one worker sees it.
#[derive(Debug)]
pub(in crate::proxy) struct Endpoint {
    address: settings::Endpoint,
    upstream: Arc<str>,
    tls: UpstreamTls,
    client_tls: Arc<ClientTls>,
    max_idle: usize,
    idle_ms: u64,
    resolved: RefCell<Option<Resolved>>,
    idle: RefCell<Vec<Idle>>,
    /// Kept connections that were good when they were needed, since the last that was not.
    kept_well: Cell<u32>,
}

#[derive(Debug)]
struct Idle {
    link: Box<Link>,
    since: u64,
}

/// A connection taken out of the pool for one exchange. Dropping it closes the connection.
#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    pub(in crate::proxy) link: Box<Link>,
    endpoint: Rc<Endpoint>,
    /// The coarse time at which it was put away; `None` for a fresh one.
    pub(in crate::proxy) idle_since: Option<u64>,
    ticks: Rc<Ticks>,
}

impl Endpoint {
    pub(super) fn new(address: settings::Endpoint, upstream: &Upstream, client_tls: Arc<ClientTls>) -> Self {
        Self {
            address,
            upstream: Arc::clone(&upstream.name),
            tls: upstream.tls.clone(),
            client_tls,
            max_idle: upstream.pool_max_idle,
            idle_ms: u64::try_from(upstream.pool_idle_timeout.as_millis()).unwrap_or(u64::MAX),
            resolved: RefCell::default(),
            idle: RefCell::default(),
            kept_well: Cell::new(0),
        }
    }

    /// Whether its connections may serve this address of this upstream.
    pub(super) fn is_same(&self, address: &settings::Endpoint, upstream: &Upstream) -> bool {
        self.address == *address
            && self.upstream == upstream.name
            && self.tls == upstream.tls
            && self.max_idle == upstream.pool_max_idle
            && u128::from(self.idle_ms) == upstream.pool_idle_timeout.as_millis()
    }

    pub(in crate::proxy) fn is_echo(&self) -> bool {
        self.address == settings::Endpoint::Echo
    }

    pub(super) fn is_https(&self) -> bool {
        matches!(self.address, settings::Endpoint::Net { https: true, .. })
    }

    /// What `Host` says where the request's own is not kept.
    pub(in crate::proxy) fn authority(&self) -> Option<&HeaderValue> {
        match &self.address {
            settings::Endpoint::Net { authority, .. } => Some(authority),
            settings::Endpoint::Echo => None,
        }
    }

    /// A waiting connection that is still good, the one used last.
    pub(in crate::proxy) fn take(self: &Rc<Self>, ticks: &Rc<Ticks>, cx: &mut task::Context<'_>) -> Option<Lease> {
        loop {
            let Idle { mut link, since } = self.idle.borrow_mut().pop()?;
            let is_young = since.saturating_add(self.idle_ms) > ticks.now();
            // Polled once more: an upstream that has closed it, or sent what nobody asked for, shows now (threats.md F2).
            let is_clean = link.is_clean(cx);
            if !is_clean {
                self.kept_well.set(0);
            }
            if is_young && is_clean {
                return Some(Lease {
                    link,
                    endpoint: Rc::clone(self),
                    idle_since: Some(since),
                    ticks: Rc::clone(ticks),
                });
            }
        }
    }

    /// Whether this endpoint may close a kept connection at any moment, as far as is known: one that has kept its connections
    /// for long is believed to go on doing so.
    pub(in crate::proxy) fn is_fickle(&self) -> bool {
        self.kept_well.get() < TRUSTED_AFTER
    }

    /// A kept connection brought an answer, or was closed when it should have.
    pub(in crate::proxy) fn kept(&self, well: bool) {
        self.kept_well.set(if well { self.kept_well.get().saturating_add(1) } else { 0 });
    }

    /// A fresh connection.
    pub(in crate::proxy) async fn connect(self: &Rc<Self>, ticks: &Rc<Ticks>) -> Result<Lease, ConnectFault> {
        let settings::Endpoint::Net { https, host, port, .. } = &self.address else {
            return Err(ConnectFault::NotNet);
        };
        let tls = match https {
            true => Some((self.client_tls.config(&self.tls)?, crate::net::tls::server_name(&self.tls, host)?)),
            false => None,
        };
        let stream = connect::open(host, *port, tls, &self.resolved, ticks).await?;
        let link = Link::open(stream).await.map_err(ConnectFault::Handshake)?;
        Ok(Lease { link: Box::new(link), endpoint: Rc::clone(self), idle_since: None, ticks: Rc::clone(ticks) })
    }

    pub(super) fn sweep(&self, now: u64) {
        // Oldest first: the front of the stack has waited longest.
        let mut idle = self.idle.borrow_mut();
        let stale = idle.iter().take_while(|idle| idle.since.saturating_add(self.idle_ms) <= now).count();
        idle.drain(..stale);
    }

    fn put(&self, link: Box<Link>, now: u64) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.max_idle {
            idle.push(Idle { link, since: now });
        }
    }
}

impl Lease {
    /// Drives the connection; `Ready` once it has ended.
    pub(in crate::proxy) fn poll_drive(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        self.link.poll_drive(cx)
    }

    /// Back into the pool, where the exchange left it in a state to be used again.
    pub(in crate::proxy) fn give_back(self) {
        let Self { mut link, endpoint, ticks, .. } = self;
        if link.is_reusable() {
            endpoint.put(link, ticks.now());
        }
    }

    /// Lets the connection run on by itself until its exchange is over; it is not used again.
    pub(in crate::proxy) fn detach(self, progress: Rc<Progress>, patience: Duration) {
        self.link.detach(progress, patience);
    }
}
