//! What goes over the wire: Cloud Manager's shapes, with fields of ours added and none renamed.
//!
//! Never holds a secret but the one that is shown once, right after it was made.

mod accounts;
mod activity;
mod denials;
mod entries;
mod events;
mod explanation;
mod feeds;
mod keys;
mod named;
mod network_sets;
mod people;
mod rehearsal;
mod reporting;
mod sightings;
mod unlisted;
mod usage;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::access::credential::AccessListMode;
use crate::access::id::Id;
use crate::access::record::{OrganizationRecord, ProjectRecord};
use crate::clock::Timestamp;
use crate::control::Fault;
use crate::problem::{Code, Refusal};

pub(super) use accounts::{
    Account, AccountEntry, AccountGroup, AskedSecret, Certificate, ClientSecret, NewServiceAccount, ServiceAccountEdit,
    Token,
};
pub(super) use activity::Activity;
pub(super) use denials::Denied;
pub(super) use entries::{AskedEntry, Entry, EntryEdit, entries};
pub(super) use events::Event;
pub(super) use explanation::{AskedExplanation, Explanation, Read};
pub(super) use feeds::{HeldConfirmation, HeldList, Refresh};
pub(super) use keys::{ApiKeyEdit, AskedRole, Assigned, Key, NewApiKey, Secret, granted};
pub(super) use network_sets::{NetworkSet, NetworkSetContent, NewNetworkSet};
pub(super) use people::{
    AskedInvite, NewPassword, SessionShown, ShownInvite, ShownUser, SignIn, SignUp, Taken, UserEdit,
};
pub(super) use rehearsal::Rehearsal;
pub(super) use reporting::Reporting;
pub(super) use sightings::Seen;
pub(super) use unlisted::{Addition, Unlisted, additions};

/// What ids look like.
const ID: &str = "^[0-9a-fA-F]{24}$";

/// Names have no blank at an end.
const NAME: &str = r"^\S(.*\S)?$";

/// An address of something.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Link {
    /// What it is to the thing that names it: `self`, `next`, `previous` or the name of a part.
    rel: &'static str,
    /// Where it is.
    href: String,
}

pub(super) fn link(rel: &'static str, href: String) -> Vec<Link> {
    vec![Link { rel, href }]
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => segment.push(byte.into()),
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organization {
    /// 24 hexadecimal characters.
    id: String,
    /// For people.
    name: String,
    /// Never: what is deleted is gone.
    is_deleted: bool,
    /// When it was made.
    created: String,
    links: Vec<Link>,
}

impl Organization {
    pub(super) fn new(row: &OrganizationRecord, base: &str) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            is_deleted: false,
            created: row.created_at.to_string(),
            links: link("self", format!("{base}/orgs/{}", row.id)),
        }
    }
}

/// The switch and its like.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    /// Whether `apiAccessListMode` is `required`.
    api_access_list_required: bool,
    /// The switch that makes access lists mandatory.
    api_access_list_mode: Mode,
    /// Most hours that a secret of a service account may be made to last.
    max_service_account_secret_validity_in_hours: u32,
}

impl Settings {
    pub(super) fn new(row: &OrganizationRecord) -> Self {
        Self {
            api_access_list_required: row.mode == AccessListMode::Required,
            api_access_list_mode: Mode::from(row.mode),
            max_service_account_secret_validity_in_hours: row.secret_hours,
        }
    }
}

/// The positions of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// A credential without a list may be used from anywhere.
    Off,
    /// As `off`, and what `required` would refuse is recorded.
    Report,
    /// A credential without a list is refused.
    Required,
}

impl From<AccessListMode> for Mode {
    fn from(mode: AccessListMode) -> Self {
        match mode {
            AccessListMode::Off => Self::Off,
            AccessListMode::Report => Self::Report,
            AccessListMode::Required => Self::Required,
        }
    }
}

impl From<Mode> for AccessListMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::Report => Self::Report,
            Mode::Required => Self::Required,
        }
    }
}

/// What is changed of the settings; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SettingsEdit {
    /// `true` is the mode `required`, `false` is `off`.
    #[serde(default)]
    api_access_list_required: Option<bool>,
    /// The switch that makes access lists mandatory.
    #[serde(default)]
    api_access_list_mode: Option<Mode>,
    /// Most hours that a secret of a service account may be made to last, 8 to 8760. Those that are there stay as they are.
    #[serde(default)]
    pub(super) max_service_account_secret_validity_in_hours: Option<u32>,
    /// Entries that go on lists in the same step: all of it happens, or nothing.
    #[serde(default)]
    pub(super) access_list_additions: Vec<Addition>,
}

impl SettingsEdit {
    /// The position that is asked for.
    pub(super) fn mode(&self) -> Result<Option<AccessListMode>, Fault> {
        let named = self.api_access_list_mode.map(AccessListMode::from);
        let asked = self.api_access_list_required.map(|required| match (required, named) {
            // Both may be there, and say the same.
            (false, Some(AccessListMode::Report)) => AccessListMode::Report,
            (true, _) => AccessListMode::Required,
            (false, _) => AccessListMode::Off,
        });
        match (named, asked) {
            (Some(named), Some(asked)) if named != asked => {
                let wrong = "it contradicts `apiAccessListRequired`; send one of both";
                Err(Refusal::field(Code::InvalidAttribute, "apiAccessListMode", wrong).into())
            }
            (named, asked) => Ok(named.or(asked)),
        }
    }
}

/// A new organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewOrganization {
    /// 1 to 64 characters.
    #[schemars(length(min = 1, max = 64), regex(pattern = NAME), example = &"acme")]
    pub(super) name: String,
    /// The switch. `off` by default.
    #[serde(default)]
    pub(super) api_access_list_mode: Option<Mode>,
    /// A key that is made with it and owns it. A calling credential can't manage the new organization and has to ask for one,
    /// with an `accessList` where the new organization requires lists.
    #[serde(default)]
    pub(super) api_key: Option<NewApiKey>,
}

/// Another name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rename {
    /// 1 to 64 characters.
    #[schemars(length(min = 1, max = 64), regex(pattern = NAME), example = &"acme")]
    pub(super) name: String,
}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Project {
    /// 24 hexadecimal characters.
    id: String,
    /// Unique in its organization.
    name: String,
    /// Its organization.
    org_id: String,
    /// When it was made.
    created: String,
    links: Vec<Link>,
}

impl Project {
    pub(super) fn new(row: &ProjectRecord, base: &str) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            org_id: row.organization.to_string(),
            created: row.created_at.to_string(),
            links: link("self", format!("{base}/groups/{}", row.id)),
        }
    }
}

/// A new project.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewProject {
    /// 1 to 64 characters, unique in the organization.
    #[schemars(length(min = 1, max = 64), regex(pattern = NAME), example = &"billing")]
    pub(super) name: String,
    /// Its organization; only where the path names none.
    #[serde(default, deserialize_with = "an_id")]
    #[schemars(with = "Option<String>", regex(pattern = ID))]
    pub(super) org_id: Option<Id>,
}

fn shown_expiry(at: Timestamp) -> Option<String> {
    (at != Timestamp::NEVER).then(|| at.to_string())
}

fn an_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

fn a_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let parse = |text: String| {
        let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
        let wrong = || serde::de::Error::custom(format!("`{shown}` is not a time; write it like 2027-06-01T00:00:00Z"));
        super::query::parse_time(&text).ok_or_else(wrong)
    };
    text.map(parse).transpose()
}

/// Tells `null` from what is left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The same for times.
fn given_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    a_time(deserializer).map(Some)
}
