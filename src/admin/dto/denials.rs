//! Refused requests.

use schemars::JsonSchema;
use serde::Serialize;

use crate::access::record::CredentialName;
use crate::clock::Timestamp;
use crate::telemetry::refusals::Refused;

/// A request that was refused, or would have been.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Denied {
    /// As the caller was told, and as the access log has it.
    request_id: String,
    /// When it came.
    created: String,
    /// Why.
    error_code: &'static str,
    /// Whether it was refused; what is set to report only passes.
    enforced: bool,
    /// Whether it had been let through, and was ended when it would have been refused.
    revoked: bool,
    /// Id of the API key or `clientId` of the service account.
    credential: String,
    /// The address that it was decided on.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<String>,
    /// `peer`, `proxy_protocol` or `header`: where that address was read from.
    client_source: &'static str,
    /// Where the connection came from.
    peer_address: String,
    /// The request.
    method: String,
    /// The host that it named.
    host: String,
    /// Without the query.
    path: String,
}

impl Denied {
    pub(in crate::admin) fn new(refused: &Refused) -> Self {
        let (kind, id) = refused.credential;
        let second = i64::try_from(refused.at / 1000).unwrap_or(i64::MAX);
        Self {
            request_id: refused.request_id.clone(),
            created: Timestamp::from_unix_seconds(second).to_string(),
            error_code: refused.code.as_str(),
            enforced: refused.enforced,
            revoked: refused.revoked,
            credential: CredentialName { kind, id }.to_string(),
            client_address: refused.client.map(|client| client.to_string()),
            client_source: refused.source.as_str(),
            peer_address: refused.peer.to_string(),
            method: refused.method.clone(),
            host: refused.host.clone(),
            path: refused.path.clone(),
        }
    }
}
