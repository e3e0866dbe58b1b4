//! From the stripes to Prometheus' model, once per scrape.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::{BUCKETS_US, CODES, OUTCOMES, Shared, Stripe, feeds, upstreams};
use crate::problem::Code;
use crate::telemetry::logging;

/// Name, type, labels and meaning of every metric of our own. `docs/reference/metrics.md` is compared with it.
pub(super) const METRICS: &[(&str, MetricType, &[&str], &str)] = &[
    ("portcullis_requests_total", MetricType::COUNTER, &["outcome", "code"], "Requests by what became of them."),
    (
        "portcullis_request_duration_seconds",
        MetricType::HISTOGRAM,
        &[],
        "Time from the request's head to the end of its answer.",
    ),
    ("portcullis_connections_total", MetricType::COUNTER, &[], "Client connections accepted."),
    (
        "portcullis_connections_refused_total",
        MetricType::COUNTER,
        &[],
        "Client connections closed before their first request: no place, no TLS or no PROXY header.",
    ),
    (
        "portcullis_connections_over_limit_total",
        MetricType::COUNTER,
        &[],
        "Of these, those that found as many open as may be, of their address or in all.",
    ),
    (
        "portcullis_auth_throttled_total",
        MetricType::COUNTER,
        &[],
        "Failed attempts to prove a credential that were answered as too many.",
    ),
    ("portcullis_open_connections", MetricType::GAUGE, &[], "Client connections open now."),
    (
        "portcullis_resting_connections",
        MetricType::GAUGE,
        &[],
        "Client connections of HTTP/1.1 that wait for their next request, and hold no buffers meanwhile.",
    ),
    ("portcullis_open_exchanges", MetricType::GAUGE, &[], "Requests under way now."),
    (
        "portcullis_revoked_exchanges_total",
        MetricType::COUNTER,
        &["reason"],
        "Open requests, streams and WebSockets that were ended because they would have been refused by then.",
    ),
    ("portcullis_panics_total", MetricType::COUNTER, &[], "Requests that ended by a fault of the gateway itself."),
    ("portcullis_upstream_requests_total", MetricType::COUNTER, &["upstream"], "Requests sent to an upstream."),
    (
        "portcullis_upstream_failures_total",
        MetricType::COUNTER,
        &["upstream"],
        "Requests that got no valid answer from an upstream.",
    ),
    ("portcullis_upstream_connections_total", MetricType::COUNTER, &["upstream"], "Connections opened to an upstream."),
    (
        "portcullis_upstream_retries_total",
        MetricType::COUNTER,
        &["upstream"],
        "Requests sent to an upstream a second time.",
    ),
    (
        "portcullis_upstream_retries_refused_total",
        MetricType::COUNTER,
        &["upstream"],
        "Requests that could have been sent a second time, had the budget not been spent.",
    ),
    ("portcullis_upstream_queued", MetricType::GAUGE, &["upstream"], "Requests that wait for a connection now."),
    (
        "portcullis_upstream_overloads_total",
        MetricType::COUNTER,
        &["upstream", "reason"],
        "Requests refused because the queue was full, nobody was done in time, or every endpoint was out.",
    ),
    (
        "portcullis_upstream_endpoint_exchanges_total",
        MetricType::COUNTER,
        &["upstream", "endpoint", "outcome"],
        "Exchanges with an endpoint by how they ended.",
    ),
    (
        "portcullis_upstream_connect_failures_total",
        MetricType::COUNTER,
        &["upstream", "endpoint"],
        "Connections to an endpoint that could not be had.",
    ),
    (
        "portcullis_upstream_ejections_total",
        MetricType::COUNTER,
        &["upstream", "endpoint"],
        "Times that a worker began to leave an endpoint alone.",
    ),
    (
        "portcullis_upstream_ejected",
        MetricType::GAUGE,
        &["upstream", "endpoint"],
        "Workers that leave an address of the endpoint alone now.",
    ),
    (
        "portcullis_upstream_endpoint_healthy",
        MetricType::GAUGE,
        &["upstream", "endpoint"],
        "1 while the health check finds an address of the endpoint well.",
    ),
    (
        "portcullis_snapshot_revision",
        MetricType::GAUGE,
        &[],
        "Revision of the directory that requests are decided on; 0 before the first.",
    ),
    ("portcullis_snapshot_age_seconds", MetricType::GAUGE, &[], "Time since that revision was applied."),
    ("portcullis_snapshot_credentials", MetricType::GAUGE, &[], "Credentials in the snapshot."),
    ("portcullis_snapshot_bytes", MetricType::GAUGE, &[], "Approximate resident size of the snapshot."),
    ("portcullis_snapshot_apply_seconds", MetricType::GAUGE, &[], "Time that reading and compiling the snapshot took."),
    (
        "portcullis_directory_reload_failures_total",
        MetricType::COUNTER,
        &[],
        "New states of the directory that were refused.",
    ),
    (
        "portcullis_directory_current",
        MetricType::GAUGE,
        &[],
        "1 while the newest state of the directory's origin is the one that serves.",
    ),
    (
        "portcullis_configuration_applied_total",
        MetricType::COUNTER,
        &[],
        "Configurations put to work, the first one included.",
    ),
    (
        "portcullis_configuration_reload_failures_total",
        MetricType::COUNTER,
        &[],
        "New configurations, and new states of certificates or CA files of the present one, that were refused.",
    ),
    (
        "portcullis_key_refresh_failures_total",
        MetricType::COUNTER,
        &[],
        "Key sets of token issuers that could not be fetched or read.",
    ),
    (
        "portcullis_usage_written_total",
        MetricType::COUNTER,
        &[],
        "Permitted requests of credentials whose use was written to the store.",
    ),
    (
        "portcullis_usage_write_failures_total",
        MetricType::COUNTER,
        &[],
        "Times that the use of credentials could not be written; it is kept for the next time.",
    ),
    (
        "portcullis_network_feeds",
        MetricType::GAUGE,
        &[],
        "Network sets of the store that take their networks from a source.",
    ),
    (
        "portcullis_network_feeds_held",
        MetricType::GAUGE,
        &[],
        "Of these, those with a list that waits for a person, because too much would change by it.",
    ),
    (
        "portcullis_network_feeds_overdue",
        MetricType::GAUGE,
        &[],
        "Of these, those that have had no good list for three times as long as they should, and five minutes.",
    ),
    (
        "portcullis_network_feed_age_seconds",
        MetricType::GAUGE,
        &[],
        "Time since the last good list of the network set that has been without one for the longest.",
    ),
    (
        "portcullis_network_feed_failures_total",
        MetricType::COUNTER,
        &["reason"],
        "Lists of sources of network sets that were not had or not taken; the sets stayed what they were.",
    ),
    ("portcullis_log_dropped_total", MetricType::COUNTER, &[], "Access-log lines that found no room."),
    (
        "portcullis_program_log_dropped_total",
        MetricType::COUNTER,
        &[],
        "Lines of the program's own log that found no room.",
    ),
];

/// Sums the stripes.
pub(super) struct DataPlane {
    shared: Arc<Shared>,
    descriptions: Vec<Desc>,
}

impl DataPlane {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, prometheus::Error> {
        let describe = |(name, _, labels, help): &(&str, MetricType, &[&str], &str)| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new((*name).to_owned(), (*help).to_owned(), labels, std::collections::HashMap::new())
        };
        let descriptions = METRICS.iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { shared, descriptions })
    }
}

impl Collector for DataPlane {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stripes = self.shared.stripes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        METRICS
            .iter()
            .map(|(name, kind, labels, help)| {
                let mut family = MetricFamily::default();
                family.set_name((*name).to_owned());
                family.set_help((*help).to_owned());
                family.set_field_type(*kind);
                family.set_metric(self.samples(name, *kind, labels, &stripes));
                family
            })
            .collect()
    }
}

impl DataPlane {
    fn samples(&self, name: &str, kind: MetricType, labels: &[&str], stripes: &[Arc<Stripe>]) -> Vec<Metric> {
        let shared = &self.shared;
        let directory = &shared.directory;
        let sum =
            |of: fn(&Stripe) -> &AtomicU64| stripes.iter().map(|stripe| of(stripe).load(Relaxed)).sum::<u64>() as f64;
        let level =
            |of: fn(&Stripe) -> &AtomicI64| stripes.iter().map(|stripe| of(stripe).load(Relaxed)).sum::<i64>() as f64;
        let load = |counter: &AtomicU64| counter.load(Relaxed) as f64;
        let value = match name {
            "portcullis_requests_total" => return requests(labels, stripes),
            "portcullis_request_duration_seconds" => return vec![durations(stripes)],
            "portcullis_upstream_endpoint_healthy" => return self.health(labels),
            "portcullis_revoked_exchanges_total" => return revoked(labels, stripes),
            "portcullis_connections_total" => sum(|stripe| &stripe.connections),
            "portcullis_connections_refused_total" => sum(|stripe| &stripe.refused_connections),
            "portcullis_connections_over_limit_total" => sum(|stripe| &stripe.over_limit),
            "portcullis_auth_throttled_total" => sum(|stripe| &stripe.throttled),
            "portcullis_open_connections" => level(|stripe| &stripe.open_connections),
            "portcullis_resting_connections" => level(|stripe| &stripe.resting_connections),
            "portcullis_open_exchanges" => level(|stripe| &stripe.open_exchanges),
            "portcullis_panics_total" => sum(|stripe| &stripe.panics),
            "portcullis_snapshot_revision" => load(&directory.revision),
            "portcullis_snapshot_age_seconds" => {
                let applied = directory.applied_at.load(Relaxed);
                let age = shared.clock.now().unix_seconds().saturating_sub(applied).max(0);
                if load(&directory.revision) == 0.0 { 0.0 } else { age as f64 }
            }
            "portcullis_snapshot_credentials" => load(&directory.credentials),
            "portcullis_snapshot_bytes" => load(&directory.bytes),
            "portcullis_snapshot_apply_seconds" => load(&directory.apply_us) / 1e6,
            "portcullis_directory_reload_failures_total" => load(&directory.reload_failures),
            "portcullis_directory_current" => load(&directory.current),
            "portcullis_configuration_applied_total" => load(&shared.configuration_generation),
            "portcullis_configuration_reload_failures_total" => load(&shared.configuration_reload_failures),
            "portcullis_key_refresh_failures_total" => load(&shared.key_refresh_failures),
            "portcullis_log_dropped_total" => load(&shared.log_dropped),
            "portcullis_program_log_dropped_total" => logging::dropped() as f64,
            "portcullis_usage_written_total" => load(&shared.usage_written),
            "portcullis_usage_write_failures_total" => load(&shared.usage_write_failures),
            // A name without a value would be a metric that lies; a test asks for every one.
            _ => {
                let of_feeds = feeds::samples(name, labels, &shared.feeds, &shared.clock);
                return of_feeds.or_else(|| upstreams::samples(name, labels, stripes)).unwrap_or_default();
            }
        };
        vec![sample(kind, value, Vec::new())]
    }

    fn health(&self, labels: &[&str]) -> Vec<Metric> {
        let health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |((upstream, endpoint), healthy): (&(String, String), &bool)| {
            let pairs = labels.iter().zip([upstream, endpoint]).map(|(name, value)| label(name, value)).collect();
            sample(MetricType::GAUGE, f64::from(u8::from(*healthy)), pairs)
        };
        health.iter().map(one).collect()
    }
}

pub(super) fn sample(kind: MetricType, value: f64, labels: Vec<LabelPair>) -> Metric {
    let mut metric = Metric::from_label(labels);
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

pub(super) fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// A code without requests is left out, except for the plain allowed ones.
fn requests(labels: &[&str], stripes: &[Arc<Stripe>]) -> Vec<Metric> {
    const WORDS: [&str; OUTCOMES] = ["allow", "would_deny", "deny", "error"];
    let mut samples = Vec::new();
    for (row, word) in WORDS.iter().enumerate() {
        for column in 0..CODES {
            let count: u64 = stripes.iter().map(|stripe| stripe.requests[row][column].load(Relaxed)).sum();
            if count > 0 || (row, column) == (0, 0) {
                let code = column.checked_sub(1).map_or("OK", |at| Code::ALL[at].as_str());
                let pairs = labels.iter().zip([*word, code]).map(|(name, value)| label(name, value)).collect();
                samples.push(sample(MetricType::COUNTER, count as f64, pairs));
            }
        }
    }
    samples
}

/// By error code. One that can't be missed stands for nothing having happened yet.
fn revoked(labels: &[&str], stripes: &[Arc<Stripe>]) -> Vec<Metric> {
    let count = |at: usize| stripes.iter().map(|stripe| stripe.revoked[at + 1].load(Relaxed)).sum::<u64>();
    let codes = Code::ALL.iter().enumerate().map(|(at, code)| (code, count(at)));
    codes
        .filter(|(code, count)| *count > 0 || **code == Code::IpAddressNotOnAccessList)
        .map(|(code, count)| {
            let pairs = labels.iter().map(|name| label(name, code.as_str())).collect();
            sample(MetricType::COUNTER, count as f64, pairs)
        })
        .collect()
}

fn durations(stripes: &[Arc<Stripe>]) -> Metric {
    let mut histogram = Histogram::default();
    let mut count = 0;
    let mut buckets = Vec::with_capacity(BUCKETS_US.len());
    for (at, bound) in BUCKETS_US.iter().enumerate() {
        count += stripes.iter().map(|stripe| stripe.durations[at].load(Relaxed)).sum::<u64>();
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound as f64 / 1e6);
        bucket.set_cumulative_count(count);
        buckets.push(bucket);
    }
    count += stripes.iter().map(|stripe| stripe.durations[BUCKETS_US.len()].load(Relaxed)).sum::<u64>();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(count);
    histogram.set_sample_sum(stripes.iter().map(|stripe| stripe.duration_us.load(Relaxed)).sum::<u64>() as f64 / 1e6);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    metric
}
