//! API keys, their roles and their private keys.

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::usage::{Remembered, Used};
use super::{AskedEntry, ID, Link, a_time, given_time, link, shown_expiry};
use crate::access::credential::Enforcement;
use crate::access::id::Id;
use crate::access::record::SecretRecord;
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::config::strict::Strict;
use crate::control::{Credential, Fault, GrantedRole};
use crate::problem::{Code, Refusal};

/// A role as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct ShownRole {
    /// The organization that it is granted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<String>,
    /// The project that it is granted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<String>,
    /// Its name.
    role_name: String,
}

impl ShownRole {
    pub(super) fn new(role: &Role, organization: Id) -> Self {
        Self {
            org_id: role.project().is_none().then(|| organization.to_string()),
            group_id: role.project().map(|id| id.to_string()),
            role_name: role.name().to_owned(),
        }
    }
}

/// A role as it is granted: its name, or its name and what it is granted on.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) enum AskedRole {
    /// On the organization or project of the path.
    Name(#[schemars(regex(pattern = ROLES))] String),
    /// As it is shown.
    #[serde(rename_all = "camelCase")]
    On {
        /// The project that it is granted on.
        #[schemars(regex(pattern = ID))]
        group_id: Option<String>,
        /// The organization that it is granted on.
        #[schemars(regex(pattern = ID))]
        org_id: Option<String>,
        /// Its name.
        #[schemars(regex(pattern = ROLES))]
        role_name: String,
    },
}

/// What roles are called; which of them fit depends on the place.
const ROLES: &str = "^(ORG_OWNER|ORG_GROUP_CREATOR|ORG_MEMBER|ORG_READ_ONLY|GATEWAY|GROUP_OWNER|GROUP_USER_ADMIN|\
GROUP_READ_ONLY|app:[A-Za-z0-9_.-]{1,64})$";

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
                let On { group_id, org_id, role_name } =
                    On::deserialize(Strict(other)).map_err(serde::de::Error::custom)?;
                Ok(Self::On { group_id, org_id, role_name })
            }
        }
    }
}

/// Roles as the control plane takes them.
pub(in crate::admin) fn granted(roles: &[AskedRole]) -> Result<Vec<GrantedRole>, Fault> {
    let mut granted = Vec::with_capacity(roles.len());
    for (at, role) in roles.iter().enumerate() {
        granted.push(match role {
            AskedRole::Name(name) => GrantedRole { organization: None, project: None, name: name.clone() },
            AskedRole::On { group_id: Some(_), org_id: Some(_), .. } => {
                let wrong = "a role is granted on an organization or on a project; send `orgId` or `groupId`";
                return Err(Refusal::field(Code::InvalidAttribute, format!("roles[{at}]"), wrong).into());
            }
            AskedRole::On { group_id, org_id, role_name } => {
                let id = |name: &str, text: &Option<String>| {
                    let parsed = text.as_deref().map(str::parse).transpose();
                    parsed.map_err(|fault: crate::access::id::IdFault| {
                        Refusal::field(Code::InvalidAttribute, format!("roles[{at}].{name}"), fault.to_string())
                    })
                };
                let (organization, project) = (id("orgId", org_id)?, id("groupId", group_id)?);
                GrantedRole { organization, project, name: role_name.clone() }
            }
        });
    }
    Ok(granted)
}

/// A secret of a key, as far as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Secret {
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
    pub(in crate::admin) fn new(row: &SecretRecord, private_key: Option<String>) -> Self {
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
pub(in crate::admin) struct Key {
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
    #[serde(flatten)]
    last: Used,
    #[serde(flatten)]
    usage: Remembered,
    links: Vec<Link>,
}

impl Key {
    pub(in crate::admin) fn new(key: &Credential, private_key: Option<&str>, base: &str) -> Self {
        let Credential { row, roles, secrets, usage, .. } = key;
        let masked = || secrets.last().map_or_else(String::new, |secret| secret.shown.clone());
        let shown = |role: &Role| ShownRole::new(role, row.organization);
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
            last: Used::new(usage.last),
            usage: usage.into(),
            links: link("self", format!("{base}/orgs/{}/apiKeys/{}", row.organization, row.id)),
        }
    }
}

/// Whether a list refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::admin) enum Enforce {
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
pub(in crate::admin) struct NewApiKey {
    /// For people, 1 to 250 characters.
    #[schemars(length(min = 1, max = 250), example = &"nightly export")]
    pub(in crate::admin) desc: String,
    /// What it may do here; nothing, where left out.
    #[serde(default)]
    pub(in crate::admin) roles: Vec<AskedRole>,
    /// When it stops working; never, where left out.
    #[serde(default, deserialize_with = "a_time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(in crate::admin) expires_at: Option<Timestamp>,
    /// Whether its list refuses; it does, where left out.
    #[serde(default)]
    pub(in crate::admin) enforcement: Option<Enforce>,
    /// Its first access list; empty, where left out.
    #[serde(default)]
    pub(in crate::admin) access_list: Vec<AskedEntry>,
}

/// What is changed of a key; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct ApiKeyEdit {
    /// For people, 1 to 250 characters.
    #[serde(default)]
    #[schemars(length(min = 1, max = 250))]
    pub(in crate::admin) desc: Option<String>,
    /// All its roles on the organization or project of the path.
    #[serde(default)]
    pub(in crate::admin) roles: Option<Vec<AskedRole>>,
    /// Whether it works.
    #[serde(default)]
    pub(in crate::admin) enabled: Option<bool>,
    /// When it stops working; `null` is never.
    #[serde(default, deserialize_with = "given_time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(in crate::admin) expires_at: Option<Option<Timestamp>>,
    /// Whether its list refuses.
    #[serde(default)]
    pub(in crate::admin) enforcement: Option<Enforce>,
}

/// Roles for a key that is there already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct Assignment {
    /// All its roles on the project.
    pub(in crate::admin) roles: Vec<AskedRole>,
}

/// Roles on a project for the credential of the path.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::admin) enum Assigned {
    /// As Cloud Manager wants it.
    List(Vec<Assignment>),
    /// Simply.
    One(Assignment),
}

/// By hand: what serde makes of `untagged` has forgotten by then that an object is due, and reads one from a list.
impl<'de> Deserialize<'de> for Assigned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Assigned;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with `roles`, or a list of such objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Assigned, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Assigned::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, attributes: A) -> Result<Assigned, A::Error> {
                Assignment::deserialize(MapAccessDeserializer::new(attributes)).map(Assigned::One)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
