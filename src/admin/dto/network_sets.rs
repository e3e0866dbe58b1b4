//! Named sets of networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Link, link, segment};
use crate::access::network::Network;
use crate::control::{self, Fault, NetworkSetEdit};
use crate::problem::{Code, Refusal};

/// A network set of an organization.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct NetworkSet {
    /// Unique in the organization; what entries refer to it by.
    name: String,
    /// Its organization.
    org_id: String,
    /// What it holds, in order.
    networks: Vec<String>,
    /// Who answers for it, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// How many access lists refer to it.
    access_list_count: u64,
    /// When it was made.
    created: String,
    links: Vec<Link>,
}

impl NetworkSet {
    pub(in crate::admin) fn new(set: &control::NetworkSet, base: &str) -> Self {
        let row = &set.row;
        Self {
            name: row.name.to_string(),
            org_id: row.organization.to_string(),
            networks: row.networks.iter().map(ToString::to_string).collect(),
            owner: row.owner.clone(),
            comment: row.comment.clone(),
            access_list_count: set.lists,
            created: row.created_at.to_string(),
            links: link("self", format!("{base}/orgs/{}/networkSets/{}", row.organization, segment(&row.name))),
        }
    }
}

/// A new network set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct NewNetworkSet {
    /// 1 to 64 characters, unique in the organization. It stays.
    pub(in crate::admin) name: String,
    /// Addresses and networks without host bits. One that holds none admits nobody.
    networks: Vec<String>,
    /// Who answers for it, for people, up to 250 characters.
    #[serde(default)]
    owner: Option<String>,
    /// For people, up to 250 characters.
    #[serde(default)]
    comment: Option<String>,
}

impl NewNetworkSet {
    pub(in crate::admin) fn parsed(self) -> Result<control::NewNetworkSet, Fault> {
        let Self { name, networks, owner, comment } = self;
        let content = NetworkSetEdit { networks: parsed(&networks)?, owner, comment };
        Ok(control::NewNetworkSet { name, content })
    }
}

/// What a network set is to be. What is left out is gone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct NetworkSetContent {
    /// The name that it has; sets keep theirs.
    #[serde(default)]
    name: Option<String>,
    /// Addresses and networks without host bits.
    networks: Vec<String>,
    /// Who answers for it, for people, up to 250 characters.
    #[serde(default)]
    owner: Option<String>,
    /// For people, up to 250 characters.
    #[serde(default)]
    comment: Option<String>,
}

impl NetworkSetContent {
    /// `own` is the name in the path.
    pub(in crate::admin) fn parsed(self, own: &str) -> Result<NetworkSetEdit, Fault> {
        if self.name.is_some_and(|name| name != own) {
            let wrong = "it is another one than in the path, and sets keep their names";
            return Err(Refusal::field(Code::InvalidAttribute, "name", wrong).into());
        }
        Ok(NetworkSetEdit { networks: parsed(&self.networks)?, owner: self.owner, comment: self.comment })
    }
}

fn parsed(networks: &[String]) -> Result<Vec<Network>, Fault> {
    let mut parsed = Vec::with_capacity(networks.len());
    for (at, text) in networks.iter().enumerate() {
        let wrong = |fault: crate::access::network::NetworkFault| {
            Refusal::field(Code::InvalidAttribute, format!("networks[{at}]"), fault.to_string())
        };
        parsed.push(text.parse().map_err(wrong)?);
    }
    Ok(parsed)
}
