//! Credentials whose lists only report.

use schemars::JsonSchema;
use serde::Serialize;

use super::sightings::Seen;
use crate::access::credential::CredentialKind;
use crate::control;

/// A credential whose list only reports.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Reporting {
    /// The id of an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<String>,
    /// The client id of a service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The part of a key that is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// A key's description or an account's name.
    name: String,
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
        let name = one.row.credential().to_string();
        let (api_key_id, client_id) = match one.row.kind {
            CredentialKind::ApiKey => (Some(name), None),
            CredentialKind::ServiceAccount => (None, Some(name)),
        };
        Self {
            api_key_id,
            client_id,
            public_key: one.row.public_key.clone(),
            name: one.row.name.clone(),
            entry_count: one.entries,
            request_count: one.requests,
            quiet_since: one.quiet_since.map(|at| at.to_string()),
            quiet_for_seconds: one.quiet_for,
            last_would_be_refused: one.refusal.as_ref().map(Seen::from),
        }
    }
}
