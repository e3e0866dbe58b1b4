//! Counters of the data plane and gauges of the directory, in Prometheus' text format.
//!
//! Each worker counts in a stripe of its own by plain loads and stores; the stripes are summed when somebody asks.

mod collect;
mod feeds;
mod upstreams;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Encoder, Registry, TextEncoder};

/// Metrics that can't be registered or encoded.
pub type MetricsFault = prometheus::Error;

pub use upstreams::{EndpointCounters, Exchange, Overload, UpstreamCounters};

use super::Outcome;
use crate::access::snapshot::Snapshot;
use crate::clock::Clock;
use crate::problem::Code;

/// Upper bounds of the duration histogram, in microseconds.
pub(crate) const BUCKETS_US: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

const OUTCOMES: usize = 4;
const CODES: usize = Code::ALL.len() + 1;

/// All metrics of one program.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    stripes: Mutex<Vec<Arc<Stripe>>>,
    directory: Directory,
    health: Mutex<BTreeMap<(String, String), bool>>,
    log_dropped: AtomicU64,
    key_refresh_failures: AtomicU64,
    configuration_reload_failures: AtomicU64,
    configuration_generation: AtomicU64,
    usage_written: AtomicU64,
    usage_write_failures: AtomicU64,
    feeds: feeds::Feeds,
}

/// Gauges of the directory.
#[derive(Debug, Default)]
struct Directory {
    revision: AtomicU64,
    credentials: AtomicU64,
    bytes: AtomicU64,
    applied_at: AtomicI64,
    apply_us: AtomicU64,
    reload_failures: AtomicU64,
    /// 1 while the newest state of the origin is the one that serves.
    current: AtomicU64,
}

/// The counters of one worker. Only its worker writes to them.
#[derive(Debug)]
pub struct Stripe {
    requests: [[AtomicU64; CODES]; OUTCOMES],
    durations: [AtomicU64; BUCKETS_US.len() + 1],
    duration_us: AtomicU64,
    connections: AtomicU64,
    open_connections: AtomicI64,
    resting_connections: AtomicI64,
    open_exchanges: AtomicI64,
    panics: AtomicU64,
    revoked: [AtomicU64; CODES],
    refused_connections: AtomicU64,
    over_limit: AtomicU64,
    throttled: AtomicU64,
    upstreams: Mutex<BTreeMap<Arc<str>, Arc<UpstreamCounters>>>,
}

/// A single writer adds without a locked instruction.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

impl Metrics {
    /// An empty set of metrics.
    ///
    /// # Errors
    /// Two metrics have one name, which a test would have found.
    pub fn new(clock: Clock) -> Result<Self, prometheus::Error> {
        let shared = Arc::new(Shared {
            clock,
            stripes: Mutex::default(),
            directory: Directory::default(),
            health: Mutex::default(),
            log_dropped: AtomicU64::new(0),
            key_refresh_failures: AtomicU64::new(0),
            configuration_reload_failures: AtomicU64::new(0),
            configuration_generation: AtomicU64::new(0),
            usage_written: AtomicU64::new(0),
            usage_write_failures: AtomicU64::new(0),
            feeds: feeds::Feeds::default(),
        });
        let registry = Registry::new();
        registry.register(Box::new(collect::DataPlane::new(Arc::clone(&shared))?))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self { registry, shared })
    }

    /// A stripe for one more worker.
    pub fn stripe(&self) -> Arc<Stripe> {
        let stripe = Arc::new(Stripe::default());
        self.shared.stripes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&stripe));
        stripe
    }

    /// The directory was compiled and published.
    pub fn snapshot_applied(&self, snapshot: &Snapshot, took: Duration) {
        let directory = &self.shared.directory;
        directory.revision.store(snapshot.revision(), Relaxed);
        directory.credentials.store(snapshot.len() as u64, Relaxed);
        directory.bytes.store(snapshot.bytes() as u64, Relaxed);
        directory.applied_at.store(self.shared.clock.now().unix_seconds(), Relaxed);
        directory.apply_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        directory.current.store(1, Relaxed);
    }

    /// A new state of the directory was refused; the last good one stays.
    pub fn directory_refused(&self) {
        self.shared.directory.reload_failures.fetch_add(1, Relaxed);
        self.shared.directory.current.store(0, Relaxed);
    }

    /// The origin is back at the state that serves.
    pub fn directory_unchanged(&self) {
        self.shared.directory.current.store(1, Relaxed);
    }

    /// New settings serve.
    pub fn configuration_applied(&self) {
        self.shared.configuration_generation.fetch_add(1, Relaxed);
    }

    /// New settings were refused; the last good ones stay.
    pub fn configuration_refused(&self) {
        self.shared.configuration_reload_failures.fetch_add(1, Relaxed);
    }

    /// A key set could not be fetched or read.
    pub fn key_refresh_failed(&self) {
        self.shared.key_refresh_failures.fetch_add(1, Relaxed);
    }

    /// What the endpoints with a health check were last found to be, by upstream and endpoint.
    pub fn endpoints_checked(&self, health: BTreeMap<(String, String), bool>) {
        *self.shared.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// Uses of credentials were written to the store.
    pub fn usage_written(&self, uses: u64) {
        self.shared.usage_written.fetch_add(uses, Relaxed);
    }

    /// Uses of credentials could not be written; they are kept for the next time.
    pub fn usage_refused(&self) {
        self.shared.usage_write_failures.fetch_add(1, Relaxed);
    }

    /// Access-log lines that found no room.
    pub fn log_dropped(&self, lines: u64) {
        self.shared.log_dropped.fetch_add(lines, Relaxed);
    }

    /// Everything in Prometheus' text format, and its media type.
    ///
    /// # Errors
    /// A metric that can't be encoded.
    pub fn encode(&self) -> Result<(Vec<u8>, &'static str), prometheus::Error> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok((text, prometheus::TEXT_FORMAT))
    }
}

impl Default for Stripe {
    fn default() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            requests: std::array::from_fn(|_| std::array::from_fn(zero)),
            durations: std::array::from_fn(zero),
            duration_us: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open_connections: AtomicI64::new(0),
            resting_connections: AtomicI64::new(0),
            open_exchanges: AtomicI64::new(0),
            panics: AtomicU64::new(0),
            revoked: std::array::from_fn(zero),
            refused_connections: AtomicU64::new(0),
            over_limit: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            upstreams: Mutex::default(),
        }
    }
}

impl Stripe {
    /// One request has left through the door.
    pub fn request(&self, outcome: Outcome, duration: Duration) {
        let row = match outcome {
            Outcome::Allow => 0,
            Outcome::WouldDeny(_) => 1,
            Outcome::Deny(_) => 2,
            Outcome::Error(_) => 3,
        };
        let column = outcome.code().map_or(0, |code| code as usize + 1);
        add(&self.requests[row][column], 1);
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        add(&self.durations[BUCKETS_US.partition_point(|bound| *bound < us)], 1);
        add(&self.duration_us, us);
    }

    /// A connection was accepted.
    pub fn connection_opened(&self) {
        add(&self.connections, 1);
        self.open_connections.store(self.open_connections.load(Relaxed) + 1, Relaxed);
    }

    /// A connection has ended.
    pub fn connection_closed(&self) {
        self.open_connections.store(self.open_connections.load(Relaxed) - 1, Relaxed);
    }

    /// A connection waits for its next request without buffers.
    #[inline]
    pub fn connection_rests(&self) {
        self.resting_connections.store(self.resting_connections.load(Relaxed) + 1, Relaxed);
    }

    /// It rests no more.
    #[inline]
    pub fn connection_rested(&self) {
        self.resting_connections.store(self.resting_connections.load(Relaxed) - 1, Relaxed);
    }

    /// A connection was closed before its first request: no place, no TLS, no PROXY header.
    pub fn connection_refused(&self) {
        add(&self.refused_connections, 1);
    }

    /// A connection was closed because there are as many as may be, of its address or in all.
    pub fn connection_over_limit(&self) {
        add(&self.over_limit, 1);
    }

    /// An attempt to prove a credential failed, like too many before it from its address.
    pub fn throttled(&self) {
        add(&self.throttled, 1);
    }

    /// An exchange has begun.
    pub fn exchange_opened(&self) {
        self.open_exchanges.store(self.open_exchanges.load(Relaxed) + 1, Relaxed);
    }

    /// An exchange has ended.
    pub fn exchange_closed(&self) {
        self.open_exchanges.store(self.open_exchanges.load(Relaxed) - 1, Relaxed);
    }

    /// An exchange panicked and ended alone.
    pub fn panicked(&self) {
        add(&self.panics, 1);
    }

    /// An open exchange was ended because it would have been refused by then.
    pub fn revoked(&self, code: Code) {
        add(&self.revoked[code as usize + 1], 1);
    }

    /// The counters of an upstream. Looked up once per pool, not per request.
    pub fn upstream(&self, name: &Arc<str>) -> Arc<UpstreamCounters> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(upstreams.entry(Arc::clone(name)).or_default())
    }
}

#[cfg(test)]
mod tests;
