//! Where network sets take their networks from by themselves, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::feed::{Held, NetworkFeed};
use crate::clock::Timestamp;
use crate::control::HeldCounts;

/// What came of a source.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Refresh {
    /// `new`, `fresh`, `failing`, `overdue` (no good list for three times as long as it should) or `held`.
    state: &'static str,
    /// Since when: since a list waits for a person, or else since the last good list, or since the set has its source.
    since: String,
    /// When it last gave what the set holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_good: Option<String>,
    /// When it is asked next.
    due: String,
    /// It is being asked, and nothing has come of that yet.
    asked: bool,
    /// How often it has failed since the last good list.
    failures: u32,
    /// Why it failed the last time. The set stays what it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl Refresh {
    pub(super) fn of(feed: &NetworkFeed, now: Timestamp) -> Self {
        let (state, since) = feed.state(now);
        Self {
            state: state.as_str(),
            since: since.to_string(),
            last_good: feed.good_at.map(|at| at.to_string()),
            due: feed.due_at.to_string(),
            asked: feed.is_asked,
            failures: feed.failed(),
            fault: feed.fault.clone(),
        }
    }
}

/// A list that waits for a person.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct HeldList {
    /// What it is confirmed by: another list has another one.
    id: String,
    /// Since when it waits.
    since: String,
    /// What of it is too much.
    reason: String,
    /// How many networks would come.
    networks_added: u64,
    /// How many networks would go.
    networks_removed: u64,
    /// Addresses that would come, in hundredths of those that the set holds of the family; left out where it holds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_added: Option<u64>,
    /// Addresses that would go, in hundredths.
    percent_removed: u64,
    /// All that the set would hold.
    networks: Vec<String>,
}

impl HeldList {
    pub(super) fn of(held: &Held, counts: HeldCounts) -> Self {
        Self {
            id: held.id(),
            since: held.since.to_string(),
            reason: held.why.clone(),
            networks_added: counts.networks_added,
            networks_removed: counts.networks_removed,
            percent_added: counts.percent_added,
            percent_removed: counts.percent_removed,
            networks: held.networks.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The list that a person has looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct HeldConfirmation {
    /// `id` of `held`.
    pub(in crate::admin) id: String,
}
