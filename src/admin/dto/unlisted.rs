//! Credentials without a list, and the lists that they get when the switch is turned.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::named::Named;
use super::usage::{Remembered, Used};
use super::{AskedEntry, entries};
use crate::access::client_id::ClientId;
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::control::{Credential, Fault, NewEntry};
use crate::problem::{Code, Refusal};

/// A credential that works and has no list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Unlisted {
    #[serde(flatten)]
    named: Named,
    #[serde(flatten)]
    last: Used,
    #[serde(flatten)]
    usage: Remembered,
}

impl From<&Credential> for Unlisted {
    fn from(one: &Credential) -> Self {
        let (last, usage) = (Used::new(one.usage.last), (&one.usage).into());
        Self { named: Named::from(&one.row), last, usage }
    }
}

/// What goes on the list of a credential in the same step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct Addition {
    /// The id of an API key. Either this or `clientId`.
    #[serde(default)]
    api_key_id: Option<String>,
    /// The client id of a service account. Either this or `apiKeyId`.
    #[serde(default)]
    client_id: Option<String>,
    /// The entries.
    entries: Vec<AskedEntry>,
}

/// The additions as the control plane takes them.
pub(in crate::admin) fn additions(asked: Vec<Addition>) -> Result<Vec<(CredentialName, Vec<NewEntry>)>, Fault> {
    let mut known = HashSet::new();
    let read = |(at, one): (usize, Addition)| {
        let within = format!("accessListAdditions[{at}]");
        let wrong = |field: &str, wrong: String| {
            Fault::from(Refusal::field(Code::InvalidAttribute, format!("{within}.{field}"), wrong))
        };
        let name = match (&one.api_key_id, &one.client_id) {
            (Some(id), None) => {
                let fault = |_| wrong("apiKeyId", "an id is 24 hexadecimal characters".to_owned());
                CredentialName::api_key(id.parse::<Id>().map_err(fault)?)
            }
            (None, Some(id)) => {
                let client = id.parse::<ClientId>().map_err(|fault| wrong("clientId", fault.to_string()))?;
                CredentialName::service_account(client)
            }
            _ => return Err(wrong("apiKeyId", "name the credential by `apiKeyId` or by `clientId`".to_owned())),
        };
        // What each of them makes of a list is judged by itself: half of it would be judged for the whole.
        if !known.insert(name.to_string()) {
            return Err(wrong(
                "entries",
                "all entries of a credential belong together, and it is named before".to_owned(),
            ));
        }
        if one.entries.is_empty() {
            return Err(wrong("entries", "name at least one entry, or leave the credential out".to_owned()));
        }
        Ok((name, entries(&format!("{within}.entries"), one.entries)?))
    };
    asked.into_iter().enumerate().map(read).collect()
}
