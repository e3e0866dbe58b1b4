//! Credentials whose lists only report.

use schemars::JsonSchema;
use serde::Serialize;

use super::named::Named;
use super::sightings::Seen;
use crate::control;

/// A credential whose list only reports.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Reporting {
    #[serde(flatten)]
    named: Named,
    /// Entries of its list. An empty one refuses nothing.
    entry_count: usize,
    /// Requests that passed, of those that are remembered.
    request_count: u64,
    /// Since when nothing that passed would have been refused by its list as it is now; missing where nothing is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_since: Option<String>,
    /// How long that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_for_seconds: Option<i64>,
    /// The last that passed and would have been refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_would_be_refused: Option<Seen>,
}

impl From<&control::Reporting> for Reporting {
    fn from(one: &control::Reporting) -> Self {
        Self {
            named: Named::from(&one.row),
            entry_count: one.entries,
            request_count: one.requests,
            quiet_since: one.quiet_since.map(|at| at.to_string()),
            quiet_for_seconds: one.quiet_for,
            last_would_be_refused: one.refusal.as_ref().map(Seen::from),
        }
    }
}
