//! Entries of access lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::usage::EntryUsed;
use super::{Link, a_time, given, given_time, link, segment, shown_expiry};
use crate::access::network::{Network, parse_address};
use crate::access::record::EntryRecord;
use crate::access::target::Target;
use crate::access::usage::EntryUse;
use crate::clock::Timestamp;
use crate::control::{Fault, NewEntry};
use crate::problem::{Code, Refusal};

/// An entry of an access list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Entry {
    /// The network that it admits; absent of a reference to a network set.
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr_block: Option<String>,
    /// The address, where it is a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    /// The network set all of whose networks it admits.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// When it stops admitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it was made.
    created: String,
    /// What somebody should know of it: that it admits everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    #[serde(flatten)]
    usage: EntryUsed,
    links: Vec<Link>,
}

impl Entry {
    pub(in crate::admin) fn new(row: &EntryRecord, used: Option<&EntryUse>, list: &str) -> Self {
        let network = row.target.network();
        let address = network.filter(Network::is_host).map(|network| network.address().to_string());
        let name = address.clone().unwrap_or_else(|| segment(&row.target.to_string()));
        Self {
            cidr_block: network.map(|network| network.to_string()),
            ip_address: address,
            set: row.target.set().map(|name| name.to_string()),
            comment: row.comment.clone(),
            expires_at: shown_expiry(row.expires_at),
            created: row.created_at.to_string(),
            warning: network.and_then(warning),
            usage: EntryUsed::new(used),
            links: link("self", format!("{list}/{name}")),
        }
    }
}

/// What is said of a network that admits everybody.
pub(super) fn warning(network: Network) -> Option<&'static str> {
    let family =
        if network.address().is_ipv4() { "It admits every IPv4 address." } else { "It admits every IPv6 address." };
    network.covers_family().then_some(family)
}

/// A new entry: an address, a network or a network set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct AskedEntry {
    /// An IPv4 or IPv6 address. Either this, or `cidrBlock`, or `set`.
    #[serde(default)]
    #[schemars(length(min = 2, max = 45), example = &"203.0.113.9")]
    ip_address: Option<String>,
    /// A network without host bits. Either this, or `ipAddress`, or `set`.
    #[serde(default)]
    #[schemars(length(min = 4, max = 49))]
    cidr_block: Option<String>,
    /// The name of a network set of the organization. Either this, or `ipAddress`, or `cidrBlock`.
    #[serde(default)]
    set: Option<String>,
    /// For people, up to 250 characters.
    #[serde(default)]
    #[schemars(length(max = 250))]
    comment: Option<String>,
    /// When it stops admitting; never, where left out.
    #[serde(default, deserialize_with = "a_time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    expires_at: Option<Timestamp>,
}

/// New entries as the control plane takes them. `within` is the attribute that holds them, where they are not the body.
pub(in crate::admin) fn entries(within: &str, asked: Vec<AskedEntry>) -> Result<Vec<NewEntry>, Fault> {
    let mut entries = Vec::with_capacity(asked.len());
    for (at, one) in asked.into_iter().enumerate() {
        let wrong = |field: &str, wrong: String| {
            Fault::from(Refusal::field(Code::InvalidAttribute, format!("{within}[{at}].{field}"), wrong))
        };
        let target = match (&one.ip_address, &one.cidr_block, &one.set) {
            (Some(address), None, None) => match parse_address(address) {
                Ok(address) => Target::Network(Network::host(address)),
                Err(fault) => return Err(wrong("ipAddress", fault.to_string())),
            },
            (None, Some(network), None) => match network.parse::<Network>() {
                Ok(network) => Target::Network(network),
                Err(fault) => return Err(wrong("cidrBlock", fault.to_string())),
            },
            (None, None, Some(name)) => Target::Set(name.as_str().into()),
            (Some(_), Some(_), None) => {
                let detail = format!("Entry {at} has `ipAddress` and `cidrBlock`; send one of both.");
                return Err(Refusal::new(Code::BadAccessListAddRequest, detail).with(at).into());
            }
            (_, _, Some(_)) => {
                let detail = format!("Entry {at} has `set` and a network; send one of both.");
                return Err(Refusal::new(Code::BadAccessListAddRequest, detail).with(at).into());
            }
            (None, None, None) => {
                let detail = format!("Entry {at} has none of `ipAddress`, `cidrBlock` and `set`; send one of them.");
                let refusal = Refusal::new(Code::MissingOneOfAttributes, detail).with("ipAddress").with("cidrBlock");
                return Err(refusal.with("set").into());
            }
        };
        let expires_at = one.expires_at.unwrap_or(Timestamp::NEVER);
        entries.push(NewEntry { target, comment: one.comment, expires_at });
    }
    Ok(entries)
}

/// What is changed of an entry; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct EntryEdit {
    /// For people, up to 250 characters; `null` is none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>", length(max = 250))]
    pub(in crate::admin) comment: Option<Option<String>>,
    /// When it stops admitting; `null` is never.
    #[serde(default, deserialize_with = "given_time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(in crate::admin) expires_at: Option<Option<Timestamp>>,
}
