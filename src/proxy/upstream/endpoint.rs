//! One address of an upstream and the connections that wait for their next request.
//!
//! Last in, first out: a few connections stay warm and the rest grow old and are closed. What is in use is counted, so that
//! the least busy one can be chosen and none is given more than its connections.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::ClientTls;
use super::connect::{self, ConnectFault, Stream, Target};
use super::link::{Broken, Link, Own, Parted, Share, Shared, part};
use super::queue::Queue;
use super::standing::Standing;
use crate::config::settings::{self, Upstream, UpstreamTls};
use crate::proxy::body::Progress;
use crate::proxy::context::Context;
use crate::proxy::watch::Ticks;
use crate::telemetry::metrics::EndpointCounters;

/// Kept connections in a row that must have been good before one that has waited less than a tick is trusted blindly.
const TRUSTED_AFTER: u32 = 256;

/// One address of an upstream, as one worker sees it.
#[derive(Debug)]
pub(in crate::proxy) struct Endpoint {
    address: settings::Endpoint,
    /// `None` while the addresses of its name are not known.
    at: Option<SocketAddr>,
    /// As the log names it.
    shown: Box<str>,
    upstream: Arc<str>,
    tls: UpstreamTls,
    client_tls: Arc<ClientTls>,
    max_idle: usize,
    idle_ms: u64,
    idle: RefCell<Vec<Idle>>,
    /// The connections that streams are opened on, where HTTP/2 is spoken: more than one where the endpoint takes fewer streams
    /// on each than there are requests. The oldest are used first, so that the others grow old.
    shared: RefCell<Vec<Shared>>,
    /// Held by whoever makes such a connection: others wait for it rather than to make another one.
    opening: tokio::sync::Mutex<()>,
    /// Kept connections that were good when they were needed, since the last that was not.
    kept_well: Cell<u32>,
    in_use: Cell<usize>,
    pub(super) standing: Standing,
    pub(super) counters: Arc<EndpointCounters>,
    queue: Rc<Queue>,
}

#[derive(Debug)]
struct Idle {
    link: Box<Own>,
    since: u64,
}

/// One of the connections that an endpoint may have in use, whether it is there already or not.
#[derive(Debug)]
pub(in crate::proxy) struct Slot {
    endpoint: Rc<Endpoint>,
    is_trial: bool,
}

/// A connection taken out of the pool for one exchange. Dropping it closes the connection.
#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    pub(in crate::proxy) link: Link,
    slot: Slot,
    /// The coarse time at which it was put away; `None` for a fresh one. A shared one is as old as can be: it may be closed
    /// at any time.
    pub(in crate::proxy) idle_since: Option<u64>,
    ticks: Rc<Ticks>,
}

/// What endpoints of one upstream have from it.
#[derive(Debug)]
pub(super) struct Home<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) client_tls: &'a Arc<ClientTls>,
    pub(super) queue: &'a Rc<Queue>,
}

/// A connection that belongs to a tunnel, with what was read ahead of it; it never goes back to a pool.
#[derive(Debug)]
pub(in crate::proxy) struct UpstreamSide {
    pub(in crate::proxy) stream: Stream,
    pub(in crate::proxy) ahead: Bytes,
    /// Keeps the connection's place at its endpoint for as long as the tunnel lasts.
    _slot: Slot,
}

impl Endpoint {
    pub(super) fn new(
        address: settings::Endpoint,
        at: Option<SocketAddr>,
        home: &Home<'_>,
        counters: Arc<EndpointCounters>,
    ) -> Self {
        let shown = match (&at, &address) {
            (Some(at), _) => at.to_string().into(),
            (None, settings::Endpoint::Net { host, port, .. }) => format!("{host}:{port}").into(),
            (None, settings::Endpoint::Echo) => "echo:".into(),
        };
        Self {
            address,
            at,
            shown,
            upstream: Arc::clone(&home.upstream.name),
            tls: home.upstream.tls.clone(),
            client_tls: Arc::clone(home.client_tls),
            max_idle: home.upstream.pool_max_idle,
            idle_ms: u64::try_from(home.upstream.pool_idle_timeout.as_millis()).unwrap_or(u64::MAX),
            idle: RefCell::default(),
            shared: RefCell::default(),
            opening: tokio::sync::Mutex::default(),
            kept_well: Cell::new(0),
            in_use: Cell::new(0),
            standing: Standing::new(),
            counters,
            queue: Rc::clone(home.queue),
        }
    }

    /// Whether its connections may serve this address of this upstream.
    pub(super) fn is_same(&self, address: &settings::Endpoint, at: Option<SocketAddr>, upstream: &Upstream) -> bool {
        self.address == *address
            && self.at == at
            && self.upstream == upstream.name
            && self.tls == upstream.tls
            && self.max_idle == upstream.pool_max_idle
            && u128::from(self.idle_ms) == upstream.pool_idle_timeout.as_millis()
    }

    pub(in crate::proxy) fn is_echo(&self) -> bool {
        self.address == settings::Endpoint::Echo
    }

    fn speaks_http2(&self) -> bool {
        matches!(self.address, settings::Endpoint::Net { http2: true, .. })
    }

    /// A stream on a connection that takes one more, if there is one.
    fn share(&self, ticks: &Rc<Ticks>) -> Option<Rc<Share>> {
        let mut held = self.shared.borrow_mut();
        held.retain(Shared::is_open);
        held.iter().find(|shared| shared.has_room()).map(|shared| shared.share(ticks))
    }

    pub(super) fn is_https(&self) -> bool {
        matches!(self.address, settings::Endpoint::Net { https: true, .. })
    }

    /// Where requests went, for the log.
    pub(in crate::proxy) fn shown(&self) -> &str {
        &self.shown
    }

    /// What `Host` says where the request's own is not kept.
    pub(in crate::proxy) fn authority(&self) -> Option<&HeaderValue> {
        match &self.address {
            settings::Endpoint::Net { authority, .. } => Some(authority),
            settings::Endpoint::Echo => None,
        }
    }

    /// Connections in use.
    #[inline]
    pub(super) fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// Takes one of the connections that it may have; whether it may is the caller's affair.
    #[inline]
    pub(super) fn slot(self: &Rc<Self>) -> Slot {
        self.in_use.set(self.in_use.get() + 1);
        Slot { endpoint: Rc::clone(self), is_trial: self.standing.begin() }
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

    pub(super) fn sweep(&self, now: u64) {
        // Oldest first: the front of the stack has waited longest.
        let mut idle = self.idle.borrow_mut();
        let stale = idle.iter().take_while(|idle| idle.since.saturating_add(self.idle_ms) <= now).count();
        idle.drain(..stale);
        let is_stale = |since: u64| since.saturating_add(self.idle_ms) <= now;
        self.shared.borrow_mut().retain(|shared| shared.is_open() && !shared.idle_since().is_some_and(is_stale));
    }

    fn put(&self, link: Box<Own>, now: u64) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.max_idle {
            idle.push(Idle { link, since: now });
        }
    }
}

impl Slot {
    pub(in crate::proxy) fn endpoint(&self) -> &Rc<Endpoint> {
        &self.endpoint
    }

    /// A waiting connection that is still good, the one used last; the slot comes back where there is none.
    pub(in crate::proxy) fn take(self, ticks: &Rc<Ticks>, cx: &mut task::Context<'_>) -> Result<Lease, Self> {
        let endpoint = &self.endpoint;
        if endpoint.speaks_http2() {
            return match endpoint.share(ticks) {
                Some(share) => {
                    let link = Link::Shared(share);
                    Ok(Lease { link, slot: self, idle_since: Some(0), ticks: Rc::clone(ticks) })
                }
                None => Err(self),
            };
        }
        loop {
            let Some(Idle { mut link, since }) = endpoint.idle.borrow_mut().pop() else { break };
            let is_young = since.saturating_add(endpoint.idle_ms) > ticks.now();
            // Polled once more: an upstream that has closed it, or sent what nobody asked for, shows now (threats.md F2).
            let is_clean = link.is_clean(cx);
            if !is_clean {
                endpoint.kept_well.set(0);
            }
            if is_young && is_clean {
                return Ok(Lease {
                    link: Link::Own(link),
                    slot: self,
                    idle_since: Some(since),
                    ticks: Rc::clone(ticks),
                });
            }
        }
        Err(self)
    }

    /// A fresh connection.
    pub(in crate::proxy) async fn connect(self, ticks: &Rc<Ticks>) -> Result<Lease, ConnectFault> {
        let endpoint = Rc::clone(&self.endpoint);
        let settings::Endpoint::Net { https, http2, host, port, .. } = &endpoint.address else {
            return Err(ConnectFault::NotNet);
        };
        let tls = match https {
            true => {
                let name = crate::net::tls::server_name(&endpoint.tls, host)?;
                Some((endpoint.client_tls.config(&endpoint.tls)?, name))
            }
            false => None,
        };
        let target = endpoint.at.map_or(Target::Name(host, *port), Target::Address);
        let ticks = Rc::clone(ticks);
        if !http2 {
            let stream = connect::open(target, tls, false).await?;
            let link = Own::new(stream);
            return Ok(Lease { link: Link::Own(Box::new(link)), slot: self, idle_since: None, ticks });
        }
        let _alone = endpoint.opening.lock().await;
        let share = match endpoint.share(&ticks) {
            Some(share) => share,
            None => {
                let stream = connect::open(target, tls, true).await?;
                let shared = Shared::open(stream).await?;
                let share = shared.share(&ticks);
                endpoint.shared.borrow_mut().push(shared);
                share
            }
        };
        Ok(Lease { link: Link::Shared(share), slot: self, idle_since: None, ticks })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self.standing.is_out() {
            self.counters.returned();
        }
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        self.endpoint.in_use.set(self.endpoint.in_use.get().saturating_sub(1));
        if self.is_trial {
            self.endpoint.standing.end_trial();
        }
        self.endpoint.queue.call();
    }
}

impl Lease {
    /// Closes the connection; what it may have used stays taken.
    pub(in crate::proxy) fn close(self) -> Slot {
        self.slot
    }

    /// Back into the pool, where the exchange left it in a state to be used again.
    fn give_back(self) {
        let Self { link, slot, ticks, .. } = self;
        if let Link::Own(mut own) = link
            && own.is_reusable()
        {
            own.rest();
            slot.endpoint.put(own, ticks.now());
        }
    }

    /// Hands the connection over to a tunnel, after a 101; `None` where it is not this exchange's own.
    pub(in crate::proxy) fn into_tunnel(self) -> Option<UpstreamSide> {
        let Self { link, slot, .. } = self;
        let Link::Own(own) = link else { return None };
        let (stream, ahead) = own.into_stream();
        Some(UpstreamSide { stream, ahead, _slot: slot })
    }

    /// The answer's body, where all of the request is on its way.
    pub(in crate::proxy) fn into_body(self, stream: Option<Incoming>) -> AnswerBody {
        match stream {
            Some(incoming) => AnswerBody::Stream(incoming, self),
            None => AnswerBody::Own(self),
        }
    }

    /// The answer's body, where the request is still being sent: a connection that is the exchange's own goes on with that by
    /// itself, for as long as the exchange may, and is not used again. One that many share does so anyway.
    pub(in crate::proxy) fn part(
        self,
        stream: Option<Incoming>,
        context: Rc<Context>,
        progress: Rc<Progress>,
        patience: Duration,
    ) -> AnswerBody {
        match self.link {
            Link::Own(own) => AnswerBody::Parted(part(*own, self.slot, context, progress, patience)),
            Link::Shared(_) => self.into_body(stream),
        }
    }
}

/// The body of an answer, as it comes from an upstream, and what it comes on. Dropped before its end it closes that.
#[derive(Debug)]
pub(in crate::proxy) enum AnswerBody {
    /// On a connection that the exchange has for itself.
    Own(Lease),
    /// The same, while a task still sends the request.
    Parted(Rc<Parted>),
    /// On a stream.
    Stream(Incoming, Lease),
    /// Nothing is left of it.
    Over,
}

impl AnswerBody {
    /// The next piece of it.
    pub(in crate::proxy) fn poll_frame(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self {
            Self::Own(lease) => match &mut lease.link {
                Link::Own(own) => own.poll_body(cx),
                Link::Shared(_) => Poll::Ready(None),
            },
            Self::Parted(parted) => parted.poll_body(cx),
            Self::Stream(incoming, _) => {
                Pin::new(incoming).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|_| Broken)))
            }
            Self::Over => Poll::Ready(None),
        }
    }

    /// Whether nothing of it is to come.
    pub(in crate::proxy) fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(Lease { link: Link::Own(own), .. }) => own.is_over(),
            Self::Parted(parted) => parted.is_over(),
            Self::Stream(incoming, _) => incoming.is_end_stream(),
            Self::Own(_) | Self::Over => true,
        }
    }

    /// How much of it is to come.
    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(Lease { link: Link::Own(own), .. }) => own.size_hint(),
            Self::Parted(parted) => parted.size_hint(),
            Self::Stream(incoming, _) => incoming.size_hint(),
            Self::Own(_) | Self::Over => SizeHint::with_exact(0),
        }
    }

    /// It has been read to its end: what it came on goes back into its pool.
    pub(in crate::proxy) fn give_back(&mut self) {
        if let Self::Own(lease) | Self::Stream(_, lease) = std::mem::replace(self, Self::Over) {
            lease.give_back();
        }
    }

    /// Closes what it comes on.
    pub(in crate::proxy) fn close(&mut self) {
        *self = Self::Over;
    }
}

/// The address that stands where a name could.
pub(in crate::proxy) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}
