//! Events of the record of changes.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Link, link};
use crate::access::record::EventRecord;

/// Something that happened.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Event {
    /// 24 hexadecimal characters.
    id: String,
    /// What happened.
    event_type_name: String,
    /// When.
    created: String,
    /// The revision that the change made.
    revision: u64,
    /// In which organization.
    org_id: String,
    /// In which project.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<String>,
    /// `API_KEY`, `SERVICE_ACCOUNT`, `USER` or `SYSTEM`.
    actor_type: String,
    /// The key that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<String>,
    /// Its public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// Client id of the service account that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Id of the person who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Whoever did it, where it was no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_address: Option<String>,
    /// Id of what it was done to; the client id of a service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_id: Option<String>,
    /// Public key of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_public_key: Option<String>,
    /// The entry of a list that came, went or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    whitelist_entry: Option<String>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    links: Vec<Link>,
}

impl Event {
    pub(in crate::admin) fn new(row: EventRecord, base: &str) -> Self {
        let links = link("self", format!("{base}/orgs/{}/events/{}", row.organization, row.id));
        let by_key = row.actor_kind == "API_KEY";
        Self {
            id: row.id.to_string(),
            event_type_name: row.event,
            created: row.created_at.to_string(),
            revision: row.revision,
            org_id: row.organization.to_string(),
            group_id: row.project.map(|id| id.to_string()),
            client_id: row.actor_id.clone().filter(|_| row.actor_kind == "SERVICE_ACCOUNT"),
            user_id: row.actor_id.clone().filter(|_| row.actor_kind == "USER"),
            api_key_id: row.actor_id.filter(|_| by_key),
            public_key: by_key.then(|| row.actor_name.clone()),
            username: (!by_key).then_some(row.actor_name),
            actor_type: row.actor_kind,
            remote_address: row.remote_address,
            target_id: row.target,
            target_public_key: row.target_public_key,
            whitelist_entry: row.entry,
            detail: row.detail,
            links,
        }
    }
}
