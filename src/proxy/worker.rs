//! One thread of the data plane: its own runtime, sockets, pools, clock and lists.
//!
//! Shares with the others only the published value and counters that are summed elsewhere. Nothing in here is `Send`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::net::TcpListener;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::connection::{self, Doorway};
use super::context::{Context, Ending};
use super::local::LocalService;
use super::request_id::RequestIds;
use super::revoke::{self, Open, Revocation, Revoker};
use super::shared::Shared;
use super::upstream::{ClientTls, Upstreams};
use super::watch::{TICK, Ticks};
use super::{Drain, Phase};
use crate::clock::Clock;
use crate::gate::digest::Nonces;
use crate::gate::judge::Judge;
use crate::live::endpoints::Endpoints;
use crate::live::published::{Current, Published, Reader};
use crate::live::usage::Meter;
use crate::net::listener::{accept, take_waiting};
use crate::telemetry::access_log::Recorder;
use crate::telemetry::metrics::Stripe;

/// The published value as a worker's exchanges hold it: counted within the worker, so that no two cores write to one
/// counter on the way of a request.
pub(super) type Held = Rc<Arc<Current>>;

/// How often idle upstream connections are looked through.
const POOL_SWEEP: u32 = 20;
/// What WebSockets get for taking their close frame when the time for draining is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// What one worker is made from. Sent to its thread; the worker itself never leaves it.
#[derive(Debug)]
pub(super) struct Seed {
    pub(super) listeners: Vec<(std::net::TcpListener, Doorway)>,
    pub(super) published: Arc<Published>,
    pub(super) clock: Clock,
    pub(super) stripe: Arc<Stripe>,
    pub(super) recorder: Recorder,
    pub(super) meter: Meter,
    pub(super) client_tls: Arc<ClientTls>,
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) shared: Arc<Shared>,
    pub(super) nonces: Arc<Nonces>,
    pub(super) revocations: Option<Sender<Revocation>>,
    pub(super) local: Option<Arc<dyn LocalService>>,
    /// When it begins and how it ends.
    pub(super) phase: watch::Receiver<Phase>,
}

/// One worker.
pub(super) struct Worker {
    pub(super) ticks: Rc<Ticks>,
    pub(super) wall: Clock,
    /// What is answered here and not by an upstream.
    pub(super) local: Option<Arc<dyn LocalService>>,
    pub(super) judge: Judge,
    pub(super) shared: Arc<Shared>,
    pub(super) stripe: Arc<Stripe>,
    pub(super) recorder: RefCell<Recorder>,
    pub(super) meter: Meter,
    pub(super) ids: RequestIds,
    pub(super) upstreams: Upstreams,
    /// Every open connection; the sweeper looks through them.
    pub(super) connections: RefCell<Slab<Rc<Context>>>,
    /// Every open stream of connections that have many; the sweeper looks through them too.
    pub(super) streams: RefCell<Slab<Rc<Context>>>,
    /// Every exchange, listed before it is judged.
    pub(super) exchanges: RefCell<Slab<Open>>,
    pub(super) revoker: Revoker,
    /// Told while draining whenever a connection ends.
    pub(super) emptier: Notify,
    reader: RefCell<Reader>,
    held: RefCell<Held>,
    draining: Cell<bool>,
    /// Draining, and what is idle has had its time.
    hurrying: Cell<bool>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// The published value, once per request.
    pub(super) fn current(&self) -> Held {
        let mut reader = self.reader.borrow_mut();
        let current = reader.current();
        let mut held = self.held.borrow_mut();
        if !Arc::ptr_eq(current, &held) {
            *held = Rc::new(Arc::clone(current));
        }
        Rc::clone(&held)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether what is idle closes by now.
    pub(super) fn is_hurrying(&self) -> bool {
        self.hurrying.get()
    }

    fn tick(&self) {
        self.ticks.set(Instant::now());
        let now = self.ticks.now();
        for (_, context) in &*self.connections.borrow() {
            context.watch.sweep(now);
        }
        for (_, context) in &*self.streams.borrow() {
            context.watch.sweep(now);
        }
        self.recorder.borrow_mut().flush();
        // An idle worker lets go of what has been replaced.
        self.revoker.tick(self.current().generation, self.wall.now());
    }
}

/// Runs a worker until it has drained.
pub(super) async fn run(seed: Seed) {
    let mut reader = Reader::new(seed.published);
    let held = Rc::new(Arc::clone(reader.current()));
    let worker = Rc::new(Worker {
        ticks: Rc::new(Ticks::new()),
        wall: seed.clock,
        local: seed.local,
        judge: Judge::sharing(seed.nonces).counting(Arc::clone(&seed.shared.throttle)),
        shared: seed.shared,
        upstreams: Upstreams::new(seed.client_tls, seed.endpoints, Arc::clone(&seed.stripe)),
        stripe: seed.stripe,
        recorder: RefCell::new(seed.recorder),
        meter: seed.meter,
        ids: RequestIds::new(),
        connections: RefCell::default(),
        streams: RefCell::default(),
        exchanges: RefCell::default(),
        revoker: Revoker::new(seed.revocations),
        emptier: Notify::new(),
        reader: RefCell::new(reader),
        held: RefCell::new(held),
        draining: Cell::new(false),
        hurrying: Cell::new(false),
    });
    let mut phase = seed.phase;
    let begun = phase.wait_for(|phase| !matches!(phase, Phase::Closed)).await.is_ok();
    let mut tasks = Vec::new();
    for (listener, doorway) in seed.listeners.into_iter().filter(|_| begun) {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                let (listener, doorway) = (Rc::new(listener), Rc::new(doorway));
                let listening = listen(Rc::clone(&worker), Rc::clone(&listener), Rc::clone(&doorway));
                tasks.push((tokio::task::spawn_local(listening), listener, doorway));
            }
            Err(fault) => tracing::error!(error = %fault, "a listening socket can't be watched"),
        }
    }
    let sweeper = tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    let revoker = tokio::task::spawn_local(revoke::run(Rc::clone(&worker)));

    // Where whoever may ask for it is gone, nobody needs the worker any more.
    let now = Drain::within(Duration::ZERO);
    let drain = match phase.wait_for(|phase| matches!(phase, Phase::Drain(_))).await.as_deref() {
        Ok(Phase::Drain(drain)) => *drain,
        _ => now,
    };
    worker.draining.set(true);
    for (task, listener, doorway) in tasks {
        task.abort();
        let _ = task.await;
        if !drain.succeeded
            && let Some(listener) = Rc::into_inner(listener)
        {
            accept_waiting(&worker, listener, &doorway);
        }
    }
    let finished = async {
        if tokio::time::timeout(drain.idle, emptied(&worker)).await.is_err() {
            worker.hurrying.set(true);
            emptied(&worker).await;
        }
    };
    if tokio::time::timeout(drain.deadline, finished).await.is_err() {
        // A WebSocket is told that this is the end; anything else is cut.
        for (_, context) in &*worker.connections.borrow() {
            context.end_soon(Ending::GoingAway);
        }
        let _ = tokio::time::timeout(FAREWELL, tunnels_told(&worker)).await;
    }
    sweeper.abort();
    revoker.abort();
    worker.recorder.borrow_mut().flush();
}

/// Waits until no connection is open.
async fn emptied(worker: &Worker) {
    let open: Vec<_> = worker.connections.borrow().iter().map(|(_, context)| Rc::clone(context)).collect();
    for context in open {
        context.watch.wake();
    }
    while !worker.connections.borrow().is_empty() {
        worker.emptier.notified().await;
    }
}

/// Waits until no tunnel is open.
async fn tunnels_told(worker: &Worker) {
    while worker.connections.borrow().iter().any(|(_, context)| context.is_tunnel()) {
        worker.emptier.notified().await;
    }
}

/// Serves whoever waits in the queue of a socket that closes.
fn accept_waiting(worker: &Rc<Worker>, listener: TcpListener, doorway: &Rc<Doorway>) {
    match take_waiting(listener) {
        Ok(waiting) => {
            for (stream, remote) in waiting {
                connection::serve(Rc::clone(worker), stream, remote, Rc::clone(doorway));
            }
        }
        Err(fault) => tracing::warn!(error = %fault, "connections that wait to be accepted are reset"),
    }
}

async fn listen(worker: Rc<Worker>, listener: Rc<TcpListener>, doorway: Rc<Doorway>) {
    loop {
        let (stream, remote) = accept(&listener).await;
        connection::serve(Rc::clone(&worker), stream, remote, Rc::clone(&doorway));
    }
}

async fn sweep(worker: Rc<Worker>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = 0_u32;
    loop {
        interval.tick().await;
        worker.tick();
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(POOL_SWEEP) {
            worker.upstreams.sweep(worker.ticks.now());
        }
    }
}
