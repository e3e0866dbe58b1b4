//! What is remembered of the requests of a credential.

use schemars::JsonSchema;
use serde::Serialize;

use crate::access::traffic::{Met, Sighting};

/// Requests of a credential that are alike.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Seen {
    /// The network that they came from: of one address, or, where there were too many, of several.
    cidr_block: String,
    /// The address, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    /// Whether the network stands for several addresses, and holds others besides.
    widened: bool,
    /// `allow`, `would_deny` where a refusal is only reported, or `deny`.
    outcome: &'static str,
    /// The code of the refusal, reported ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Host and path of the route, `admin API`, or `*` where there were too many; missing where none matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// The first of them.
    first_seen: String,
    /// The last of them.
    last_seen: String,
    /// How many.
    count: u64,
}

impl From<&Sighting> for Seen {
    fn from(seen: &Sighting) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            cidr_block: seen.network.to_string(),
            ip_address: seen.network.is_host().then(|| seen.network.address().to_string()),
            widened: !seen.network.is_host(),
            outcome: match seen.met {
                Met::Allow => "allow",
                Met::WouldDeny => "would_deny",
                Met::Deny => "deny",
            },
            code: some(&seen.code),
            route: some(&seen.route),
            first_seen: seen.first.to_string(),
            last_seen: seen.last.to_string(),
            count: seen.count,
        }
    }
}
