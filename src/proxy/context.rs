//! What the exchanges of one client connection share.
//!
//! Counts what is under way, so that the connection knows which deadline rules: the head's between exchanges, the others
//! within one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use http::uri::Authority;

use super::request_id::RequestId;
use super::stall::Stall;
use super::tunnel::Switched;
use super::watch::Watch;
use super::worker::Worker;
use crate::config::settings::Timeouts;
use crate::gate::forwarded::trust;
use crate::live::crowd::Member;
use crate::net::peer::Peer;
use crate::problem::Code;

/// How long a connection is idle before it rests. Building up again what it lets go of then takes some microseconds.
const REST_AFTER: Duration = Duration::from_secs(1);

/// Why what is open has to end, from outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The program stops, and the time for open exchanges is over.
    GoingAway,
    /// Nobody has said anything for too long, or the client does not move.
    Idle,
    /// It would be refused by now.
    Revoked(Code),
}

impl Ending {
    /// For the operator.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "the gateway stopped",
            Self::Idle => "neither side said anything for too long",
            Self::Revoked(_) => "it was let through and would be refused by now",
        }
    }

    /// Status and reason of a WebSocket's close frame (RFC 6455 §7.4.1).
    pub(super) const fn close(self) -> (u16, &'static str) {
        match self {
            Self::GoingAway => (1001, "the gateway stops"),
            Self::Idle => (1001, "idle"),
            Self::Revoked(code) => (1008, code.as_str()),
        }
    }
}

/// One client connection.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) worker: Rc<Worker>,
    pub(super) watch: Watch,
    pub(super) timeouts: Timeouts,
    peer: RefCell<Rc<Peer>>,
    exchanges: Cell<usize>,
    /// Bytes of a head have arrived, and not yet all of it.
    within_head: Cell<bool>,
    /// Nothing of the last request is still to be read: its body has come to its end, or there was none.
    whole: Cell<bool>,
    /// The client may still be sending what nobody reads: end politely, or it never sees its answer.
    linger: Cell<bool>,
    last_id: Cell<Option<RequestId>>,
    /// What the connection becomes when the answer that is being written is out. It holds this context in turn: the
    /// connection takes it out in any case.
    switched: RefCell<Option<Box<Switched>>>,
    ending: Cell<Option<Ending>>,
    tunnel: Cell<bool>,
    /// A refusal is going out because of a revocation.
    told: Cell<bool>,
    shape: Cell<Shape>,
    /// The head of the last exchange's answer is there.
    answered: Cell<bool>,
    stall: Stall,
    /// Its place in the count of its address.
    member: RefCell<Option<Member>>,
    /// The name that the client asked for, where it has shown a certificate.
    verified_for: RefCell<Option<Rc<str>>>,
}

/// What a context stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A connection that has one exchange at a time.
    Plain,
    /// A connection whose exchanges are streams, each with a context of its own.
    Multiplexed,
    /// One of these streams.
    Stream,
}

impl Context {
    pub(super) fn new(worker: Rc<Worker>, peer: impl Into<Rc<Peer>>, timeouts: Timeouts) -> Self {
        let watch = Watch::new();
        watch.head.set(worker.ticks.after(timeouts.header));
        Self {
            worker,
            watch,
            timeouts,
            peer: RefCell::new(peer.into()),
            exchanges: Cell::new(0),
            within_head: Cell::new(false),
            whole: Cell::new(true),
            linger: Cell::new(false),
            last_id: Cell::new(None),
            switched: RefCell::default(),
            ending: Cell::new(None),
            tunnel: Cell::new(false),
            shape: Cell::new(Shape::Plain),
            answered: Cell::new(false),
            stall: Stall::default(),
            member: RefCell::default(),
            verified_for: RefCell::default(),
            told: Cell::new(false),
        }
    }

    /// The context of one stream of this connection, which is multiplexed from now on.
    pub(super) fn stream(&self) -> Self {
        let stream = Self::new(Rc::clone(&self.worker), self.peer(), self.timeouts);
        // Its head is whole already.
        stream.watch.head.clear();
        stream.shape.set(Shape::Stream);
        stream.verified_for.borrow_mut().clone_from(&self.verified_for.borrow());
        stream
    }

    pub(super) fn set_verified_for(&self, name: Option<&str>) {
        *self.verified_for.borrow_mut() = name.map(Rc::from);
    }

    /// Whether the client was let in for another name than this host (RFC 9110 §15.5.20): another front may ask others there.
    pub(super) fn is_misdirected(&self, host: &str) -> bool {
        let verified = self.verified_for.borrow();
        let Some(name) = verified.as_deref() else { return false };
        let host = host.parse::<Authority>().ok();
        let host = host.as_ref().map(|host| host.host());
        !host.is_some_and(|host| host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(name))
    }

    /// From now on bytes of many exchanges come, and none of them tells where a head begins.
    pub(super) fn multiplex(&self) {
        self.shape.set(Shape::Multiplexed);
    }

    pub(super) fn is_stream(&self) -> bool {
        self.shape.get() == Shape::Stream
    }

    /// The head of the answer goes out.
    pub(super) fn answers(&self) {
        self.answered.set(true);
    }

    pub(super) fn has_answered(&self) -> bool {
        self.answered.get()
    }

    pub(super) fn peer(&self) -> Rc<Peer> {
        Rc::clone(&self.peer.borrow())
    }

    pub(super) fn set_peer(&self, peer: Peer) {
        *self.peer.borrow_mut() = Rc::new(peer);
    }

    /// Bytes have come from the client.
    #[inline]
    pub(super) fn has_read(&self) {
        if self.exchanges.get() == 0 && !self.within_head.get() && self.shape.get() == Shape::Plain {
            self.within_head.set(true);
            self.watch.head.set(self.worker.ticks.after(self.timeouts.header));
            self.watch.rest.clear();
        }
    }

    /// Nothing is under way: after a while the connection may rest.
    pub(super) fn idles(&self) {
        if self.shape.get() == Shape::Plain && !self.tunnel.get() {
            self.watch.rest.set(self.worker.ticks.after(REST_AFTER));
        }
    }

    /// All of the request has been read.
    #[inline]
    pub(super) fn has_whole_request(&self) {
        self.whole.set(true);
    }

    /// Whether what has been read of this connection is exactly the requests that were answered, and the answers are out.
    /// Where that is not known for sure, it is not so: what came next would be taken for another request.
    pub(super) fn may_rest(&self) -> bool {
        self.exchanges.get() == 0
            && !self.within_head.get()
            && self.whole.get()
            && !self.linger.get()
            && !self.watch.write.is_set()
            && self.shape.get() == Shape::Plain
    }

    /// Whether the client's address may have one more connection. Those of trusted proxies are many clients'.
    pub(super) fn joins_crowd(&self) -> bool {
        let settings = &self.worker.current().settings;
        let peer = self.peer();
        let address = peer.address;
        let Some(most) = settings.limits.clients.connections_per_address else { return true };
        if trust(&peer, &settings.client_address).is_trusted() {
            return true;
        }
        match self.worker.shared.crowd.join(address, most) {
            Some(member) => {
                *self.member.borrow_mut() = Some(member);
                true
            }
            None => false,
        }
    }

    /// The handshake has told who the peer is: a proxy that is trusted by its certificate counts no more.
    pub(super) fn leaves_crowd(&self) {
        let is_trusted = trust(&self.peer(), &self.worker.current().settings.client_address).is_trusted();
        if is_trusted {
            *self.member.borrow_mut() = None;
        }
    }

    /// The client does not take what is sent to it, for now.
    #[cold]
    pub(super) fn stalls(&self) {
        let now = self.worker.ticks.now();
        let mut wait = self.timeouts.body_idle;
        if let Some(pace) = self.timeouts.pace {
            wait = wait.min(Duration::from_millis(self.stall.begin(&pace, now)));
        }
        self.watch.write.start(self.worker.ticks.after(wait));
    }

    /// The client has taken so many bytes.
    #[inline]
    pub(super) fn takes(&self, bytes: usize) {
        self.watch.write.clear();
        if self.stall.has_begun() {
            self.stall.end(bytes as u64, self.worker.ticks.now());
        }
    }

    /// A head is whole.
    pub(super) fn begin(&self, id: RequestId) {
        if self.revoked().is_some() {
            // The exchange before it ended all the same; this one is decided anew.
            self.ending.set(None);
            self.told.set(false);
        }
        self.carry();
        self.whole.set(false);
        self.within_head.set(false);
        self.watch.rest.clear();
        self.last_id.set(Some(id));
        self.watch.head.clear();
    }

    /// A body is on its way: what comes belongs to it, and not to the next head, even when its answer is over.
    pub(super) fn carry(&self) {
        if self.exchanges.get() == 0 {
            self.stall.forget();
        }
        self.exchanges.set(self.exchanges.get() + 1);
    }

    /// The body is over.
    pub(super) fn put_down(&self) {
        self.exchanges.set(self.exchanges.get().saturating_sub(1));
        if self.exchanges.get() > 0 {
            return;
        }
        match self.is_stream() {
            // Its task may have waited for that alone.
            true => self.watch.wake(),
            false => {
                self.watch.head.set(self.worker.ticks.after(self.timeouts.keep_alive));
                self.idles();
            }
        }
    }

    /// An exchange has ended, but for a body that may still be on its way.
    pub(super) fn end(&self) {
        if self.exchanges.get() <= 1 {
            self.watch.read.clear();
        }
        self.watch.upstream.clear();
        self.watch.total.clear();
        self.put_down();
    }

    pub(super) fn is_between_exchanges(&self) -> bool {
        self.exchanges.get() == 0
    }

    pub(super) fn is_within_head(&self) -> bool {
        self.within_head.get()
    }

    /// The protocol changes with the end of the present answer.
    pub(super) fn switch(&self, switched: Switched) {
        *self.switched.borrow_mut() = Some(Box::new(switched));
    }

    pub(super) fn take_switched(&self) -> Option<Box<Switched>> {
        let switched = self.switched.borrow_mut().take();
        self.tunnel.set(switched.is_some());
        switched
    }

    /// Whether the connection has switched protocols.
    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.get()
    }

    /// Has what is open ended, if there is a way to end it politely.
    pub(super) fn end_soon(&self, ending: Ending) {
        self.ending.set(Some(ending));
        self.watch.wake();
    }

    /// The code by which what is open would be refused now.
    pub(super) fn revoked(&self) -> Option<Code> {
        match self.ending.get() {
            Some(Ending::Revoked(code)) => Some(code),
            _ => None,
        }
    }

    /// The client is being told of a revocation, since no answer had begun.
    pub(super) fn tell(&self) {
        self.told.set(true);
    }

    /// Whether an answer is on its way that must not go on, and whose reader need not be waited for.
    pub(super) fn must_cut(&self) -> bool {
        self.revoked().is_some() && !self.told.get() && self.exchanges.get() > 0
    }

    /// Whether whatever carries its body lets go of it.
    pub(super) fn is_broken_off(&self) -> bool {
        self.must_cut() || self.ending() == Some(Ending::Idle)
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending.get()
    }

    pub(super) fn last_id(&self) -> Option<RequestId> {
        self.last_id.get()
    }

    pub(super) fn linger(&self) {
        self.linger.set(true);
    }

    pub(super) fn lingers(&self) -> bool {
        self.linger.get()
    }
}
