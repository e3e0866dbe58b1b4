//! How credentials and entries were used.

use schemars::JsonSchema;
use serde::Serialize;

use crate::access::usage::{CredentialUse, EntryUse, LastDenial, LastUse};

/// The use of an entry of an API key's list. Nothing but a count of 0 until it was used.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct EntryUsed {
    /// Requests that it admitted, up to a few seconds ago.
    count: u64,
    #[serde(flatten)]
    last: Used,
}

impl EntryUsed {
    pub(in crate::admin) fn new(used: Option<&EntryUse>) -> Self {
        Self { count: used.map_or(0, |used| used.count), last: Used::new(used.map(|used| used.last)) }
    }
}

/// The use of an entry of a service account's list. Nothing but a count of 0 until it was used.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct AccountEntryUsed {
    /// Requests that it admitted, up to a few seconds ago.
    request_count: u64,
    #[serde(flatten)]
    last: AccountUsed,
}

impl AccountEntryUsed {
    pub(in crate::admin) fn new(used: Option<&EntryUse>) -> Self {
        Self { request_count: used.map_or(0, |used| used.count), last: AccountUsed::new(used.map(|used| used.last)) }
    }
}

/// The last use, as clients of service accounts know it; missing until there was one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct AccountUsed {
    /// When it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// From where it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_address: Option<String>,
}

impl AccountUsed {
    pub(in crate::admin) fn new(last: Option<LastUse>) -> Self {
        Self {
            last_used_at: last.map(|last| last.at.to_string()),
            last_used_address: last.map(|last| last.address.to_string()),
        }
    }
}

/// The last use; missing until there was one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Used {
    /// When it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
    /// From where it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_address: Option<String>,
}

impl Used {
    pub(in crate::admin) fn new(last: Option<LastUse>) -> Self {
        Self {
            last_used: last.map(|last| last.at.to_string()),
            last_used_address: last.map(|last| last.address.to_string()),
        }
    }
}

/// A request that was refused, or would have been.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Denied {
    /// The code of the refusal.
    code: String,
    /// From where it came, where that could be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// When.
    time: String,
    /// `deny`, or `would_deny` where the refusal is only reported.
    outcome: &'static str,
}

impl From<&LastDenial> for Denied {
    fn from(denial: &LastDenial) -> Self {
        Self {
            code: denial.code.clone(),
            address: denial.address.map(|address| address.to_string()),
            time: denial.at.to_string(),
            outcome: if denial.enforced { "deny" } else { "would_deny" },
        }
    }
}

/// An address that a credential was used from.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct RecentAddress {
    /// The address.
    address: String,
    /// When it was last used from there.
    last_used: String,
}

/// What else is remembered of the use of a credential, up to a few seconds ago.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Remembered {
    /// The last request that was refused, or would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_denial: Option<Denied>,
    /// The last 16 addresses that it was used from, newest first.
    recent_addresses: Vec<RecentAddress>,
}

impl From<&CredentialUse> for Remembered {
    fn from(used: &CredentialUse) -> Self {
        let recent =
            |used: &LastUse| RecentAddress { address: used.address.to_string(), last_used: used.at.to_string() };
        Self {
            last_denial: used.denial.as_ref().map(Denied::from),
            recent_addresses: used.recent.iter().map(recent).collect(),
        }
    }
}
