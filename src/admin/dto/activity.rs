//! Requests over time.

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::telemetry::activity::{STEP, Tally};

/// Requests of an organization's credentials over the last hour.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Activity {
    /// Seconds from one sample to the next.
    interval_seconds: u64,
    /// Oldest first, those without any request left out.
    samples: Vec<Sample>,
}

/// The requests of one step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Sample {
    /// When the step began.
    created: String,
    /// Let through.
    allowed: u64,
    /// Let through though a rule that is set to report would have refused it.
    would_deny: u64,
    /// Refused.
    denied: u64,
    /// Failed otherwise.
    failed: u64,
    /// Milliseconds within which half of them were done.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    /// Milliseconds within which 99 of 100 were done.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
}

impl Activity {
    pub(in crate::admin) fn new(begins: u64, tallies: &[Tally]) -> Self {
        let steps = (begins..).step_by(STEP as usize).zip(tallies);
        let sample = |(second, tally): (u64, &Tally)| Sample {
            created: Timestamp::from_unix_seconds(i64::try_from(second).unwrap_or(i64::MAX)).to_string(),
            allowed: tally.allowed,
            would_deny: tally.reported,
            denied: tally.denied,
            failed: tally.failed,
            p50_ms: tally.quantile(0.5).map(|took| took.as_secs_f64() * 1e3),
            p99_ms: tally.quantile(0.99).map(|took| took.as_secs_f64() * 1e3),
        };
        let samples = steps.filter(|(_, tally)| tally.requests() > 0).map(sample).collect();
        Self { interval_seconds: STEP, samples }
    }
}
