//! Arguments that several commands take.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Fault;
use super::api::Api;
use crate::access::client_id::{ClientId, ClientIdFault};
use crate::access::id::Id;
use crate::access::network::{Network, parse_address};
use crate::clock::Timestamp;

/// An id. The message does not repeat the text: somebody may have written a key there.
pub(super) fn id(text: &str) -> Result<Id, String> {
    text.parse().map_err(|_| "an id is 24 hexadecimal characters; the `list` commands show them".to_owned())
}

/// The id of a service account.
pub(super) fn client(text: &str) -> Result<ClientId, String> {
    text.parse().map_err(|fault: ClientIdFault| format!("{fault}; `service-accounts list` shows them"))
}

/// How long a secret of a service account lasts.
pub(super) fn hours() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(8..=8760)
}

/// An instant, or midnight UTC of a day.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let instant = text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse()).ok();
    let wrong = || "a time is like 2027-06-01T12:00:00Z, or a day like 2027-06-01".to_owned();
    instant.map(|at| Timestamp::from_unix_seconds(at.as_second())).ok_or_else(wrong)
}

/// The same, or `never`.
pub(super) fn time_or_never(text: &str) -> Result<Timestamp, String> {
    match text {
        "never" => Ok(Timestamp::NEVER),
        text => time(text).map_err(|wrong| format!("{wrong}; or `never`")),
    }
}

/// A time as the API takes it; `null` is never.
pub(super) fn shown(at: Timestamp) -> Value {
    match at == Timestamp::NEVER {
        true => Value::Null,
        false => json!(at.to_string()),
    }
}

/// A network, or the network of one address.
pub(super) fn address_or_network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|fault: crate::access::network::NetworkFault| fault.to_string())
}

fn address(text: &str) -> Result<IpAddr, String> {
    parse_address(text).map_err(|fault| fault.to_string())
}

/// Names an organization.
#[derive(clap::Args)]
pub struct Organization {
    /// The organization [default: the profile's, or the only one that the caller sees].
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(super) org: Option<Id>,
}

impl Organization {
    /// Where its things of a kind are.
    pub(super) async fn path(&self, api: &Api, kind: &str) -> Result<String, Fault> {
        Ok(format!("/orgs/{}/{kind}", api.organization(self.org).await?))
    }
}

/// An organization, or one of its projects.
#[derive(clap::Args)]
pub struct Place {
    #[command(flatten)]
    pub(super) organization: Organization,
    /// The project, in place of the organization.
    #[arg(long, value_name = "ID", value_parser = id)]
    project: Option<Id>,
}

impl Place {
    /// Where its things of a kind are.
    pub(super) async fn path(&self, api: &Api, kind: &str) -> Result<String, Fault> {
        match self.project {
            Some(project) => Ok(format!("/groups/{project}/{kind}")),
            None => self.organization.path(api, kind).await,
        }
    }
}

/// Passes guards by.
#[derive(clap::Args)]
pub struct Force {
    /// Do it although a guard would refuse it; that is recorded.
    #[arg(long)]
    force: bool,
}

impl Force {
    /// The query that says so.
    pub(super) fn query(&self) -> &'static str {
        if self.force { "?force=true" } else { "" }
    }
}

/// Only looks at what would come of a change.
#[derive(clap::Args)]
pub struct DryRun {
    /// Change nothing, and tell whom it would refuse or let in, by what is recorded of the last 30 days; exit code 2 where it
    /// would refuse anybody, or a guard would refuse it.
    #[arg(long)]
    dry_run: bool,
}

impl DryRun {
    /// The query that says so.
    pub(super) fn query(&self) -> &'static str {
        if self.dry_run { "?dryRun=true" } else { "" }
    }
}

/// How a change is meant that guards watch.
#[derive(clap::Args)]
pub struct Meant {
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    only: DryRun,
}

impl Meant {
    /// The query that says so.
    pub(super) fn query(&self) -> &'static str {
        match (self.force.force, self.only.dry_run) {
            (true, true) => "?force=true&dryRun=true",
            (true, false) => self.force.query(),
            (false, _) => self.only.query(),
        }
    }
}

/// Positions of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// A key without a list may be used from anywhere.
    Off,
    /// As `off`, and what `required` would refuse is recorded.
    Report,
    /// A key without a list is refused.
    Required,
}

impl Mode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Required => "required",
        }
    }
}

/// Whether a list refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Enforcement {
    /// An address that is not on the list is refused.
    Enforce,
    /// It passes, and is recorded.
    Report,
}

impl Enforcement {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

/// Networks for an access list.
#[derive(clap::Args)]
pub struct Networks {
    /// An address; may be there several times.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    ip: Vec<IpAddr>,
    /// A network such as 203.0.113.0/24; may be there several times.
    #[arg(long, value_name = "NETWORK")]
    cidr: Vec<Network>,
    /// A network set of the organization, all of whose networks are meant; may be there several times.
    #[arg(long, value_name = "NAME")]
    set: Vec<String>,
    /// The address that the API sees this call come from.
    #[arg(long)]
    current_ip: bool,
    /// For people, on each of these entries.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

impl Networks {
    /// The entries, as the API takes them.
    pub(super) async fn entries(&self, api: &Api, expires_at: Option<Timestamp>) -> Result<Vec<Value>, Fault> {
        let mut entries: Vec<Value> = self.ip.iter().map(|ip| json!({"ipAddress": ip.to_string()})).collect();
        entries.extend(self.cidr.iter().map(|cidr| json!({"cidrBlock": cidr.to_string()})));
        entries.extend(self.set.iter().map(|name| json!({"set": name})));
        if self.current_ip {
            entries.push(json!({"ipAddress": api.current_address().await?}));
        }
        if entries.is_empty() && self.comment.is_some() {
            return Err(Fault::Usage(
                "`--comment` belongs to networks; name some by `--ip`, `--cidr` or `--set`".into(),
            ));
        }
        for entry in &mut entries {
            if let Some(comment) = &self.comment {
                entry["comment"] = json!(comment);
            }
            if let Some(at) = expires_at {
                entry["expiresAt"] = shown(at);
            }
        }
        Ok(entries)
    }

    /// The same, of which there has to be one.
    pub(super) async fn some(&self, api: &Api, expires_at: Option<Timestamp>) -> Result<Vec<Value>, Fault> {
        let entries = self.entries(api, expires_at).await?;
        match entries.is_empty() {
            true => Err(Fault::Usage("name a network: `--ip`, `--cidr`, `--set` or `--current-ip`".into())),
            false => Ok(entries),
        }
    }
}
