//! How the sources of network sets do, all of them together: which one it is, the API and the log say.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use prometheus::proto::{Metric, MetricType};

use super::Metrics;
use super::collect::{label, sample};
use crate::clock::{Clock, Timestamp};

/// Why a list was not had or not taken.
const REASONS: [&str; 5] = ["allowed", "fetch", "list", "limit", "guard"];

/// What is known of all sources.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    count: AtomicU64,
    held: AtomicU64,
    overdue: AtomicU64,
    /// Seconds since the Unix epoch; 0 where there is no source.
    oldest: AtomicI64,
    failures: [AtomicU64; REASONS.len()],
}

impl Metrics {
    /// How many sources there are, how many wait for a person, and how many have given nothing for too long; and since when
    /// the one has that is longest without.
    pub fn feeds_seen(&self, (count, held, overdue): (u64, u64, u64), oldest: Option<Timestamp>) {
        let feeds = &self.shared.feeds;
        feeds.count.store(count, Relaxed);
        feeds.held.store(held, Relaxed);
        feeds.overdue.store(overdue, Relaxed);
        feeds.oldest.store(oldest.map_or(0, Timestamp::unix_seconds), Relaxed);
    }

    /// A list was not had or not taken.
    pub fn feed_failed(&self, reason: &str) {
        if let Some(at) = REASONS.iter().position(|known| *known == reason) {
            self.shared.feeds.failures[at].fetch_add(1, Relaxed);
        }
    }
}

/// The samples of a metric of this file.
pub(super) fn samples(name: &str, labels: &[&str], feeds: &Feeds, clock: &Clock) -> Option<Vec<Metric>> {
    let load = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let value = match name {
        "portcullis_network_feeds" => load(&feeds.count),
        "portcullis_network_feeds_held" => load(&feeds.held),
        "portcullis_network_feeds_overdue" => load(&feeds.overdue),
        "portcullis_network_feed_age_seconds" => match feeds.oldest.load(Relaxed) {
            0 => 0.0,
            oldest => clock.now().unix_seconds().saturating_sub(oldest).max(0) as f64,
        },
        "portcullis_network_feed_failures_total" => {
            let one = |(reason, count): (&&str, &AtomicU64)| {
                let pairs = labels.iter().map(|name| label(name, reason)).collect();
                sample(MetricType::COUNTER, load(count), pairs)
            };
            return Some(REASONS.iter().zip(&feeds.failures).map(one).collect());
        }
        _ => return None,
    };
    Some(vec![sample(MetricType::GAUGE, value, Vec::new())])
}
