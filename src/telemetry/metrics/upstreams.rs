//! Counters of upstreams and their endpoints. Labels come from the configuration alone: a name that has many addresses is
//! one endpoint.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::proto::{Metric, MetricType};

use super::{Stripe, add, collect};

/// How an exchange with an endpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// With an answer, whatever its status is.
    Answered,
    /// Without one, or with none that can be passed on.
    Failed,
    /// Too late.
    TimedOut,
}

/// Why an upstream was given nothing more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overload {
    /// The queue had no place.
    QueueFull,
    /// Nobody was done in time.
    QueueTimeout,
    /// Every endpoint is out.
    CircuitOpen,
}

const EXCHANGES: [&str; 3] = ["answered", "failed", "timed_out"];
const OVERLOADS: [&str; 3] = ["queue_full", "queue_timeout", "circuit_open"];

/// The counters of one upstream in one worker.
#[derive(Debug, Default)]
pub struct UpstreamCounters {
    requests: AtomicU64,
    failures: AtomicU64,
    connections: AtomicU64,
    retries: AtomicU64,
    retries_refused: AtomicU64,
    queued: AtomicI64,
    overloads: [AtomicU64; 3],
    endpoints: Mutex<BTreeMap<Arc<str>, Arc<EndpointCounters>>>,
}

/// The counters of one endpoint in one worker.
#[derive(Debug, Default)]
pub struct EndpointCounters {
    exchanges: [AtomicU64; 3],
    connect_failures: AtomicU64,
    ejections: AtomicU64,
    out: AtomicI64,
}

impl UpstreamCounters {
    /// A request was sent to the upstream.
    pub fn request(&self) {
        add(&self.requests, 1);
    }

    /// A request got no valid answer from the upstream.
    pub fn failure(&self) {
        add(&self.failures, 1);
    }

    /// A connection to the upstream was opened.
    pub fn connection(&self) {
        add(&self.connections, 1);
    }

    /// A request was sent a second time.
    pub fn retry(&self) {
        add(&self.retries, 1);
    }

    /// A request could have been sent a second time, and the budget was spent.
    pub fn retry_refused(&self) {
        add(&self.retries_refused, 1);
    }

    /// A request waits for a connection, or does no longer.
    pub fn queued(&self, more: i64) {
        self.queued.store(self.queued.load(Relaxed) + more, Relaxed);
    }

    /// A request was refused on the upstream's behalf.
    pub fn overloaded(&self, why: Overload) {
        add(&self.overloads[why as usize], 1);
    }

    /// The counters of an endpoint. Looked up once per table, not per request.
    pub fn endpoint(&self, authority: &str) -> Arc<EndpointCounters> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(endpoints.entry(authority.into()).or_default())
    }
}

impl EndpointCounters {
    /// An exchange has ended.
    pub fn exchange(&self, how: Exchange) {
        add(&self.exchanges[how as usize], 1);
    }

    /// No connection could be had.
    pub fn connect_failed(&self) {
        add(&self.connect_failures, 1);
    }

    /// It is left alone for a while.
    pub fn ejected(&self) {
        add(&self.ejections, 1);
        self.out.store(self.out.load(Relaxed) + 1, Relaxed);
    }

    /// It takes part again.
    pub fn returned(&self) {
        self.out.store(self.out.load(Relaxed) - 1, Relaxed);
    }
}

/// The samples of a metric of upstreams; `None` where it is none.
pub(super) fn samples(name: &str, labels: &[&str], stripes: &[Arc<Stripe>]) -> Option<Vec<Metric>> {
    let count = |of: fn(&UpstreamCounters) -> &AtomicU64| {
        by_upstream(labels, stripes, MetricType::COUNTER, |counters| of(counters).load(Relaxed) as f64)
    };
    let by_endpoint = |kind, of: fn(&EndpointCounters) -> f64| by_endpoint(labels, stripes, kind, of);
    Some(match name {
        "portcullis_upstream_requests_total" => count(|counters| &counters.requests),
        "portcullis_upstream_failures_total" => count(|counters| &counters.failures),
        "portcullis_upstream_connections_total" => count(|counters| &counters.connections),
        "portcullis_upstream_retries_total" => count(|counters| &counters.retries),
        "portcullis_upstream_retries_refused_total" => count(|counters| &counters.retries_refused),
        "portcullis_upstream_queued" => {
            by_upstream(labels, stripes, MetricType::GAUGE, |counters| counters.queued.load(Relaxed) as f64)
        }
        "portcullis_upstream_overloads_total" => overloads(labels, stripes),
        "portcullis_upstream_endpoint_exchanges_total" => exchanges(labels, stripes),
        "portcullis_upstream_connect_failures_total" => {
            by_endpoint(MetricType::COUNTER, |counters| counters.connect_failures.load(Relaxed) as f64)
        }
        "portcullis_upstream_ejections_total" => {
            by_endpoint(MetricType::COUNTER, |counters| counters.ejections.load(Relaxed) as f64)
        }
        "portcullis_upstream_ejected" => by_endpoint(MetricType::GAUGE, |counters| counters.out.load(Relaxed) as f64),
        _ => return None,
    })
}

fn each(stripes: &[Arc<Stripe>], mut take: impl FnMut(&Arc<str>, &UpstreamCounters)) {
    for stripe in stripes {
        for (name, counters) in stripe.upstreams.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            take(name, counters);
        }
    }
}

fn each_endpoint(stripes: &[Arc<Stripe>], mut take: impl FnMut(&Arc<str>, &Arc<str>, &EndpointCounters)) {
    each(stripes, |upstream, counters| {
        for (endpoint, counters) in counters.endpoints.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            take(upstream, endpoint, counters);
        }
    });
}

fn sample(kind: MetricType, value: f64, labels: &[&str], values: &[&str]) -> Metric {
    let pairs = labels.iter().zip(values).map(|(name, value)| collect::label(name, value)).collect();
    collect::sample(kind, value, pairs)
}

fn by_upstream(
    labels: &[&str],
    stripes: &[Arc<Stripe>],
    kind: MetricType,
    of: impl Fn(&UpstreamCounters) -> f64,
) -> Vec<Metric> {
    let mut sums: BTreeMap<Arc<str>, f64> = BTreeMap::new();
    each(stripes, |name, counters| *sums.entry(Arc::clone(name)).or_default() += of(counters));
    sums.iter().map(|(name, value)| sample(kind, *value, labels, &[name])).collect()
}

fn by_endpoint(
    labels: &[&str],
    stripes: &[Arc<Stripe>],
    kind: MetricType,
    of: impl Fn(&EndpointCounters) -> f64,
) -> Vec<Metric> {
    let mut sums: BTreeMap<(Arc<str>, Arc<str>), f64> = BTreeMap::new();
    each_endpoint(stripes, |upstream, endpoint, counters| {
        *sums.entry((Arc::clone(upstream), Arc::clone(endpoint))).or_default() += of(counters);
    });
    sums.iter().map(|((upstream, endpoint), value)| sample(kind, *value, labels, &[upstream, endpoint])).collect()
}

fn overloads(labels: &[&str], stripes: &[Arc<Stripe>]) -> Vec<Metric> {
    let mut sums: BTreeMap<Arc<str>, [u64; 3]> = BTreeMap::new();
    each(stripes, |name, counters| {
        let sum = sums.entry(Arc::clone(name)).or_default();
        sum.iter_mut().zip(&counters.overloads).for_each(|(sum, more)| *sum += more.load(Relaxed));
    });
    let of = |(name, counts): (&Arc<str>, &[u64; 3])| {
        let pairs = OVERLOADS.iter().zip(counts);
        let sample = |(word, count): (&&str, &u64)| sample(MetricType::COUNTER, *count as f64, labels, &[name, *word]);
        pairs.map(sample).collect::<Vec<_>>()
    };
    sums.iter().flat_map(of).collect()
}

fn exchanges(labels: &[&str], stripes: &[Arc<Stripe>]) -> Vec<Metric> {
    let mut sums: BTreeMap<(Arc<str>, Arc<str>), [u64; 3]> = BTreeMap::new();
    each_endpoint(stripes, |upstream, endpoint, counters| {
        let sum = sums.entry((Arc::clone(upstream), Arc::clone(endpoint))).or_default();
        sum.iter_mut().zip(&counters.exchanges).for_each(|(sum, more)| *sum += more.load(Relaxed));
    });
    let of = |((upstream, endpoint), counts): (&(Arc<str>, Arc<str>), &[u64; 3])| {
        let pairs = EXCHANGES.iter().zip(counts);
        let sample = |(word, count): (&&str, &u64)| {
            sample(MetricType::COUNTER, *count as f64, labels, &[upstream, endpoint, *word])
        };
        pairs.map(sample).collect::<Vec<_>>()
    };
    sums.iter().flat_map(of).collect()
}
