//! Named sets of networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeldList, Link, Refresh, link, segment};
use crate::access::network::Network;
use crate::clock::Timestamp;
use crate::config::feed_source::FeedSource;
use crate::control::{self, Fault, NetworkSetEdit, SourceEdit};
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
    /// Where it takes its networks from by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<FeedSource>,
    /// What came of its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<Refresh>,
    /// A list of its source that waits for a person: too much of the set would change by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldList>,
    /// How many access lists refer to it.
    access_list_count: u64,
    /// When it was made.
    created: String,
    links: Vec<Link>,
}

impl NetworkSet {
    pub(in crate::admin) fn new(set: &control::NetworkSet, base: &str, now: Timestamp) -> Self {
        let row = &set.row;
        Self {
            name: row.name.to_string(),
            org_id: row.organization.to_string(),
            networks: row.networks.iter().map(ToString::to_string).collect(),
            owner: row.owner.clone(),
            comment: row.comment.clone(),
            source: set.feed.as_ref().map(|feed| FeedSource::of(&feed.source)),
            refresh: set.feed.as_ref().map(|feed| Refresh::of(feed, now)),
            held: set.held().map(|(held, counts)| HeldList::of(held, counts)),
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
    /// Addresses and networks without host bits. One that holds none admits nobody. May be left out where there is a source.
    #[serde(default)]
    networks: Option<Vec<String>>,
    /// Who answers for it, for people, up to 250 characters.
    #[serde(default)]
    owner: Option<String>,
    /// For people, up to 250 characters.
    #[serde(default)]
    comment: Option<String>,
    /// Where it is to take its networks from by itself.
    #[serde(default)]
    source: Option<FeedSource>,
}

impl NewNetworkSet {
    pub(in crate::admin) fn parsed(self) -> Result<control::NewNetworkSet, Fault> {
        let Self { name, networks, owner, comment, source } = self;
        let content = edit(networks, (owner, comment), source)?;
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
    /// Addresses and networks without host bits. Left out where there is a source, those that it holds stay.
    #[serde(default)]
    networks: Option<Vec<String>>,
    /// Who answers for it, for people, up to 250 characters.
    #[serde(default)]
    owner: Option<String>,
    /// For people, up to 250 characters.
    #[serde(default)]
    comment: Option<String>,
    /// Where it is to take its networks from by itself.
    #[serde(default)]
    source: Option<FeedSource>,
}

impl NetworkSetContent {
    /// `own` is the name in the path.
    pub(in crate::admin) fn parsed(self, own: &str) -> Result<NetworkSetEdit, Fault> {
        if self.name.is_some_and(|name| name != own) {
            let wrong = "it is another one than in the path, and sets keep their names";
            return Err(Refusal::field(Code::InvalidAttribute, "name", wrong).into());
        }
        edit(self.networks, (self.owner, self.comment), self.source)
    }
}

fn edit(
    networks: Option<Vec<String>>,
    (owner, comment): (Option<String>, Option<String>),
    source: Option<FeedSource>,
) -> Result<NetworkSetEdit, Fault> {
    if networks.is_none() && source.is_none() {
        let wrong = "missing field `networks`; a set without a `source` has to say what it holds";
        return Err(Refusal::field(Code::InvalidAttribute, "networks", wrong).into());
    }
    let networks = networks.as_deref().map(parsed).transpose()?;
    let source = source.map(FeedSource::parsed).transpose()?;
    Ok(NetworkSetEdit { networks, owner, comment, source: SourceEdit::Becomes(source) })
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
