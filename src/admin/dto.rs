//! What goes over the wire: Cloud Manager's shapes, with fields of ours added and none renamed.
//!
//! Never holds a secret but the one that is shown once, right after it was made.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::access::credential::{AccessListMode, Enforcement};
use crate::access::id::Id;
use crate::access::network::{Network, parse_address};
use crate::clock::Timestamp;
use crate::control::{
    ApiKey, EntryRow, EventRow, Fault, GrantedRole, NewEntry, OrganizationRow, ProjectRow, Role, SecretRow,
};
use crate::problem::{Code, Refusal};

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
    pub(super) fn new(row: &OrganizationRow, base: &str) -> Self {
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
}

impl Settings {
    pub(super) fn new(row: &OrganizationRow) -> Self {
        Self {
            api_access_list_required: row.mode == AccessListMode::Required,
            api_access_list_mode: Mode::from(row.mode),
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
    pub(super) name: String,
    /// The switch. `off` by default.
    #[serde(default)]
    pub(super) api_access_list_mode: Option<Mode>,
    /// A key that is made with it. A credential of another organization can't manage the new one.
    #[serde(default)]
    pub(super) api_key: Option<NewApiKey>,
}

/// Another name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rename {
    /// 1 to 64 characters.
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
    pub(super) fn new(row: &ProjectRow, base: &str) -> Self {
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
    pub(super) name: String,
    /// Its organization; only where the path names none.
    #[serde(default, deserialize_with = "an_id")]
    #[schemars(with = "Option<String>")]
    pub(super) org_id: Option<Id>,
}

/// A role as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownRole {
    /// The organization that it is granted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<String>,
    /// The project that it is granted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<String>,
    /// Its name.
    role_name: String,
}

/// A role as it is granted: its name, or its name and what it is granted on.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum AskedRole {
    /// On the organization or project of the path.
    Name(String),
    /// As it is shown.
    #[serde(rename_all = "camelCase")]
    On {
        /// The project that it is granted on.
        group_id: Option<String>,
        /// The organization that it is granted on.
        org_id: Option<String>,
        /// Its name.
        role_name: String,
    },
}

impl<'de> Deserialize<'de> for AskedRole {
    /// Not `untagged`, whose errors name nothing.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct On {
            #[serde(default)]
            group_id: Option<String>,
            #[serde(default)]
            org_id: Option<String>,
            role_name: String,
        }
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(name) => Ok(Self::Name(name)),
            other => {
                let On { group_id, org_id, role_name } = On::deserialize(other).map_err(serde::de::Error::custom)?;
                Ok(Self::On { group_id, org_id, role_name })
            }
        }
    }
}

/// Roles as the control plane takes them.
pub(super) fn granted(roles: &[AskedRole]) -> Result<Vec<GrantedRole>, Fault> {
    let mut granted = Vec::with_capacity(roles.len());
    for (at, role) in roles.iter().enumerate() {
        granted.push(match role {
            AskedRole::Name(name) => GrantedRole { project: None, name: name.clone() },
            AskedRole::On { group_id: Some(_), org_id: Some(_), .. } => {
                let wrong = "a role is granted on an organization or on a project; send `orgId` or `groupId`";
                return Err(Refusal::field(Code::InvalidAttribute, format!("roles[{at}]"), wrong).into());
            }
            AskedRole::On { group_id, role_name, .. } => {
                let wrong = |fault: crate::access::id::IdFault| {
                    Refusal::field(Code::InvalidAttribute, format!("roles[{at}].groupId"), fault.to_string())
                };
                let project = group_id.as_deref().map(str::parse).transpose().map_err(wrong)?;
                GrantedRole { project, name: role_name.clone() }
            }
        });
    }
    Ok(granted)
}

/// A secret of a key, as far as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    /// 24 hexadecimal characters.
    id: String,
    /// When it was made.
    created_at: String,
    /// The private key without what is secret.
    masked_secret_value: String,
    /// The private key: right after it was made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Secret {
    pub(super) fn new(row: &SecretRow, private_key: Option<String>) -> Self {
        Self {
            id: row.id.to_string(),
            created_at: row.created_at.to_string(),
            masked_secret_value: row.shown.clone(),
            secret: private_key,
        }
    }
}

/// An API key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    /// 24 hexadecimal characters.
    id: String,
    /// For people.
    desc: String,
    /// 8 lowercase letters; missing of an imported key.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// The private key right after it was made; masked ever after.
    private_key: String,
    /// What it may do.
    roles: Vec<ShownRole>,
    /// Whether it works.
    enabled: bool,
    /// When it stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Whether its list refuses or only reports.
    enforcement: Enforce,
    /// When it was made.
    created: String,
    /// Its private keys: one, or two while it is rotated.
    secrets: Vec<Secret>,
    links: Vec<Link>,
}

impl Key {
    pub(super) fn new(key: &ApiKey, private_key: Option<&str>, base: &str) -> Self {
        let ApiKey { row, roles, secrets } = key;
        let masked = || secrets.last().map_or_else(String::new, |secret| secret.shown.clone());
        let shown = |role: &Role| ShownRole {
            org_id: role.project().is_none().then(|| row.organization.to_string()),
            group_id: role.project().map(|id| id.to_string()),
            role_name: role.name().to_owned(),
        };
        Self {
            id: row.id.to_string(),
            desc: row.name.clone(),
            public_key: row.public_key.clone(),
            private_key: private_key.map_or_else(masked, str::to_owned),
            roles: roles.iter().map(shown).collect(),
            enabled: row.enabled,
            expires_at: shown_expiry(row.expires_at),
            enforcement: row.enforcement.into(),
            created: row.created_at.to_string(),
            secrets: secrets.iter().map(|secret| Secret::new(secret, None)).collect(),
            links: link("self", format!("{base}/orgs/{}/apiKeys/{}", row.organization, row.id)),
        }
    }
}

/// Whether a list refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Enforce {
    /// An address that is not on the list is refused.
    Enforce,
    /// It passes, and is recorded.
    Report,
}

impl From<Enforcement> for Enforce {
    fn from(enforcement: Enforcement) -> Self {
        match enforcement {
            Enforcement::Enforce => Self::Enforce,
            Enforcement::Report => Self::Report,
        }
    }
}

impl From<Enforce> for Enforcement {
    fn from(enforce: Enforce) -> Self {
        match enforce {
            Enforce::Enforce => Self::Enforce,
            Enforce::Report => Self::Report,
        }
    }
}

/// A new key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewApiKey {
    /// For people, 1 to 250 characters.
    pub(super) desc: String,
    /// What it may do here; nothing, where left out.
    #[serde(default)]
    pub(super) roles: Vec<AskedRole>,
    /// When it stops working; never, where left out.
    #[serde(default, deserialize_with = "a_time")]
    #[schemars(with = "Option<String>")]
    pub(super) expires_at: Option<Timestamp>,
    /// Whether its list refuses; it does, where left out.
    #[serde(default)]
    pub(super) enforcement: Option<Enforce>,
}

/// What is changed of a key; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ApiKeyEdit {
    /// For people, 1 to 250 characters.
    #[serde(default)]
    pub(super) desc: Option<String>,
    /// All its roles on the organization or project of the path.
    #[serde(default)]
    pub(super) roles: Option<Vec<AskedRole>>,
    /// Whether it works.
    #[serde(default)]
    pub(super) enabled: Option<bool>,
    /// When it stops working; `null` is never.
    #[serde(default, deserialize_with = "given_time")]
    #[schemars(with = "Option<String>")]
    pub(super) expires_at: Option<Option<Timestamp>>,
    /// Whether its list refuses.
    #[serde(default)]
    pub(super) enforcement: Option<Enforce>,
}

/// Roles for a key that is there already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Assignment {
    /// All its roles on the project.
    pub(super) roles: Vec<AskedRole>,
}

/// An entry of an access list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// The network that it admits.
    cidr_block: String,
    /// The address, where it is a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// When it stops admitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it was made.
    created: String,
    links: Vec<Link>,
}

impl Entry {
    pub(super) fn new(row: &EntryRow, list: &str) -> Self {
        let network = row.network;
        let address = network.is_host().then(|| network.address().to_string());
        let name = address.clone().unwrap_or_else(|| network.to_string().replace('/', "%2F"));
        Self {
            cidr_block: network.to_string(),
            ip_address: address,
            comment: row.comment.clone(),
            expires_at: shown_expiry(row.expires_at),
            created: row.created_at.to_string(),
            links: link("self", format!("{list}/{name}")),
        }
    }
}

/// A new entry: an address or a network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AskedEntry {
    /// An IPv4 or IPv6 address. Either this or `cidrBlock`.
    #[serde(default)]
    ip_address: Option<String>,
    /// A network without host bits. Either this or `ipAddress`.
    #[serde(default)]
    cidr_block: Option<String>,
    /// For people, up to 250 characters.
    #[serde(default)]
    comment: Option<String>,
    /// When it stops admitting; never, where left out.
    #[serde(default, deserialize_with = "a_time")]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Timestamp>,
}

/// New entries as the control plane takes them.
pub(super) fn entries(asked: Vec<AskedEntry>) -> Result<Vec<NewEntry>, Fault> {
    let mut entries = Vec::with_capacity(asked.len());
    for (at, one) in asked.into_iter().enumerate() {
        let wrong = |field: &str, wrong: String| {
            Fault::from(Refusal::field(Code::InvalidAttribute, format!("[{at}].{field}"), wrong))
        };
        let network = match (&one.ip_address, &one.cidr_block) {
            (Some(address), None) => match parse_address(address) {
                Ok(address) => Network::host(address),
                Err(fault) => return Err(wrong("ipAddress", fault.to_string())),
            },
            (None, Some(network)) => match network.parse::<Network>() {
                Ok(network) => network,
                Err(fault) => return Err(wrong("cidrBlock", fault.to_string())),
            },
            (Some(_), Some(_)) => {
                let detail = format!("Entry {at} has `ipAddress` and `cidrBlock`; send one of both.");
                return Err(Refusal::new(Code::BadAccessListAddRequest, detail).with(at).into());
            }
            (None, None) => {
                let detail = format!("Entry {at} has neither `ipAddress` nor `cidrBlock`; send one of both.");
                let refusal = Refusal::new(Code::MissingOneOfAttributes, detail).with("ipAddress").with("cidrBlock");
                return Err(refusal.into());
            }
        };
        let expires_at = one.expires_at.unwrap_or(Timestamp::NEVER);
        entries.push(NewEntry { network, comment: one.comment, expires_at });
    }
    Ok(entries)
}

/// What is changed of an entry; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryEdit {
    /// For people, up to 250 characters; `null` is none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub(super) comment: Option<Option<String>>,
    /// When it stops admitting; `null` is never.
    #[serde(default, deserialize_with = "given_time")]
    #[schemars(with = "Option<String>")]
    pub(super) expires_at: Option<Option<Timestamp>>,
}

/// Something that happened.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
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
    /// Whoever did it, where it was no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_address: Option<String>,
    /// Id of what it was done to.
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
    pub(super) fn new(row: EventRow, base: &str) -> Self {
        let links = link("self", format!("{base}/orgs/{}/events/{}", row.organization, row.id));
        let by_key = row.actor_kind == "API_KEY";
        Self {
            id: row.id.to_string(),
            event_type_name: row.event,
            created: row.created_at.to_string(),
            revision: row.revision,
            org_id: row.organization.to_string(),
            group_id: row.project.map(|id| id.to_string()),
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
        super::call::parse_time(&text).ok_or_else(wrong)
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
