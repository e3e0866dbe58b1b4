//! Which credential something is told of, where keys and accounts stand in one list.

use schemars::JsonSchema;
use serde::Serialize;

use crate::access::credential::CredentialKind;
use crate::access::record::CredentialRecord;

/// A credential of either kind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Named {
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
}

impl From<&CredentialRecord> for Named {
    fn from(row: &CredentialRecord) -> Self {
        let name = row.credential().to_string();
        let (api_key_id, client_id) = match row.kind {
            CredentialKind::ApiKey => (Some(name), None),
            CredentialKind::ServiceAccount => (None, Some(name)),
        };
        Self { api_key_id, client_id, public_key: row.public_key.clone(), name: row.name.clone() }
    }
}
