//! Deadlines that cost a store: each connection has six of them, and one sweeper per worker looks at all of them.
//!
//! A timer of the runtime costs an insertion and a removal per request; a deadline here is a number in a cell. The sweeper
//! wakes the connections whose number has passed, and what they wait for then looks at the clock itself.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How often the sweeper looks: deadlines are late by at most this much.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// A worker's coarse clock, in milliseconds since the worker began.
#[derive(Debug)]
pub(super) struct Ticks {
    began: Instant,
    now: Cell<u64>,
}

impl Ticks {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), now: Cell::new(0) }
    }

    /// The time of the last tick or request.
    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    /// Sets the clock by a precise reading that somebody needed anyway.
    pub(super) fn set(&self, precise: Instant) {
        let since = precise.saturating_duration_since(self.began).as_millis();
        self.now.set(u64::try_from(since).unwrap_or(u64::MAX));
    }

    /// The deadline that is this far away.
    pub(super) fn after(&self, wait: Duration) -> u64 {
        self.now().saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A point in time, or never.
#[derive(Debug)]
pub(super) struct Deadline(Cell<u64>);

impl Deadline {
    fn never() -> Self {
        Self(Cell::new(u64::MAX))
    }

    pub(super) fn set(&self, at: u64) {
        self.0.set(at);
    }

    /// Starts waiting, unless that has begun already.
    pub(super) fn start(&self, at: u64) {
        if self.0.get() == u64::MAX {
            self.0.set(at);
        }
    }

    pub(super) fn clear(&self) {
        self.0.set(u64::MAX);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.get() != u64::MAX
    }

    pub(super) fn has_passed(&self, now: u64) -> bool {
        self.0.get() <= now
    }

    /// What is left of a wait that may last so long.
    pub(super) fn cap(&self, now: u64, wait: Duration) -> Duration {
        wait.min(Duration::from_millis(self.0.get().saturating_sub(now)))
    }

    /// Whether it passed longer ago than whoever waits for it needs to notice.
    pub(super) fn is_overdue(&self, now: u64) -> bool {
        self.0.get().saturating_add(1_000) <= now
    }
}

/// What one connection waits for.
#[derive(Debug)]
pub(super) struct Watch {
    /// PROXY header, TLS handshake, request head, or the next request of a kept connection.
    pub(super) head: Deadline,
    /// The client sending its body.
    pub(super) read: Deadline,
    /// The client reading its answer.
    pub(super) write: Deadline,
    /// The upstream: its answer, the next part of it, or its taking the request's body.
    pub(super) upstream: Deadline,
    /// The whole exchange with the upstream.
    pub(super) total: Deadline,
    /// Nobody has asked for anything: from then on buffers are a waste.
    pub(super) rest: Deadline,
    waker: RefCell<Option<Waker>>,
    /// Of the task that carries the request's body, where that is another one.
    body: RefCell<Option<Waker>>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            head: Deadline::never(),
            read: Deadline::never(),
            write: Deadline::never(),
            upstream: Deadline::never(),
            total: Deadline::never(),
            rest: Deadline::never(),
            waker: RefCell::new(None),
            body: RefCell::new(None),
        }
    }

    /// Keeps the task's waker. It hardly ever changes: a connection lives on one task.
    pub(super) fn register(&self, waker: &Waker) {
        keep(&self.waker, waker);
    }

    /// The same for the task that carries the request's body.
    pub(super) fn register_body(&self, waker: &Waker) {
        keep(&self.body, waker);
    }

    pub(super) fn forget_body(&self) {
        drop(self.body.take());
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
        self.wake_body();
    }

    pub(super) fn wake_body(&self) {
        if let Some(waker) = &*self.body.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Wakes the connection where one of its deadlines has passed.
    pub(super) fn sweep(&self, now: u64) {
        let all = [&self.head, &self.read, &self.write, &self.upstream, &self.total, &self.rest];
        if all.iter().any(|deadline| deadline.has_passed(now)) {
            self.wake();
        }
    }
}

fn keep(place: &RefCell<Option<Waker>>, waker: &Waker) {
    let mut held = place.borrow_mut();
    if !held.as_ref().is_some_and(|held| held.will_wake(waker)) {
        *held = Some(waker.clone());
    }
}
