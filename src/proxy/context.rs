//! What the exchanges of one client connection share.
//!
//! Counts what is under way, so that the connection knows which deadline rules: the head's between exchanges, the others
//! within one.

use std::cell::Cell;
use std::rc::Rc;

use super::request_id::RequestId;
use super::watch::Watch;
use super::worker::Worker;
use crate::config::settings::Timeouts;
use crate::net::peer::Peer;

/// One client connection.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) worker: Rc<Worker>,
    pub(super) watch: Watch,
    pub(super) timeouts: Timeouts,
    peer: Cell<Peer>,
    exchanges: Cell<usize>,
    /// Bytes of a head have arrived, and not yet all of it.
    within_head: Cell<bool>,
    /// The client may still be sending what nobody reads: end politely, or it never sees its answer.
    linger: Cell<bool>,
    last_id: Cell<Option<RequestId>>,
}

impl Context {
    pub(super) fn new(worker: Rc<Worker>, peer: Peer, timeouts: Timeouts) -> Self {
        let watch = Watch::new();
        watch.head.set(worker.ticks.after(timeouts.header));
        Self {
            worker,
            watch,
            timeouts,
            peer: Cell::new(peer),
            exchanges: Cell::new(0),
            within_head: Cell::new(false),
            linger: Cell::new(false),
            last_id: Cell::new(None),
        }
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer.get()
    }

    pub(super) fn set_peer(&self, peer: Peer) {
        self.peer.set(peer);
    }

    /// Bytes have come from the client.
    #[inline]
    pub(super) fn has_read(&self) {
        if self.exchanges.get() == 0 && !self.within_head.get() {
            self.within_head.set(true);
            self.watch.head.set(self.worker.ticks.after(self.timeouts.header));
        }
    }

    /// A head is whole.
    pub(super) fn begin(&self, id: RequestId) {
        self.exchanges.set(self.exchanges.get() + 1);
        self.within_head.set(false);
        self.last_id.set(Some(id));
        self.watch.head.clear();
    }

    /// A body is on its way: what comes belongs to it, and not to the next head, even when its answer is over.
    pub(super) fn carry(&self) {
        self.exchanges.set(self.exchanges.get() + 1);
    }

    /// The body is over.
    pub(super) fn put_down(&self) {
        self.exchanges.set(self.exchanges.get().saturating_sub(1));
        if self.exchanges.get() == 0 {
            self.watch.head.set(self.worker.ticks.after(self.timeouts.keep_alive));
        }
    }

    /// An exchange has ended.
    pub(super) fn end(&self) {
        self.watch.read.clear();
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
