//! Service accounts, their secrets and the entries of their lists, in the shapes that clients of Atlas know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::{Enforce, ShownRole};
use super::usage::{AccountEntryUsed, AccountUsed, Remembered};
use super::{AskedEntry, AskedRole, Link, NAME, a_time, given, given_time, link, segment, shown_expiry};
use crate::access::certificate_name::CertificateName;
use crate::access::network::Network;
use crate::access::record::{ClientSecretRecord, EntryRecord, Place, TokenRecord, TokenSubject};
use crate::access::role::Role;
use crate::access::usage::EntryUse;
use crate::control::{Fault, ServiceAccount};
use crate::problem::{Code, Refusal};

/// A service account.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Account {
    /// `pcl_sa_id_` and 24 hexadecimal characters.
    client_id: String,
    /// For people.
    name: String,
    /// For people.
    description: String,
    /// The names of its roles on the organization or project of the path.
    roles: Vec<String>,
    /// Its roles on projects; only where the path names the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_roles: Option<Vec<ShownRole>>,
    /// When it was made.
    created_at: String,
    /// Its secrets: one, or two while it is rotated.
    secrets: Vec<ClientSecret>,
    /// Whose foreign tokens speak for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Subject>,
    /// Which client certificates speak for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
    /// Whether it works.
    enabled: bool,
    /// When it stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Whether its list refuses or only reports.
    enforcement: Enforce,
    #[serde(flatten)]
    last: AccountUsed,
    #[serde(flatten)]
    usage: Remembered,
    links: Vec<Link>,
}

impl Account {
    /// As it is seen from a place; `secret` is one that was just made.
    pub(in crate::admin) fn new(
        account: &ServiceAccount,
        place: Place,
        secret: Option<ClientSecret>,
        base: &str,
    ) -> Self {
        let ServiceAccount { row, roles, about, secrets, usage, .. } = account;
        let project = match place {
            Place::Organization(_) => None,
            Place::Project(id) => Some(id),
        };
        let here = roles.iter().filter(|role| role.project() == project);
        let on_projects = roles.iter().filter(|role| role.project().is_some());
        let mut shown: Vec<ClientSecret> = secrets.iter().map(|row| ClientSecret::new(row, None)).collect();
        if let Some(new) = secret {
            shown.retain(|known| known.id != new.id);
            shown.push(new);
        }
        let client_id = row.credential().to_string();
        Self {
            links: link("self", format!("{base}/orgs/{}/serviceAccounts/{client_id}", row.organization)),
            client_id,
            name: row.name.clone(),
            description: about.description.clone(),
            roles: here.map(Role::name).map(str::to_owned).collect(),
            group_roles: project
                .is_none()
                .then(|| on_projects.map(|role| ShownRole::new(role, row.organization)).collect()),
            created_at: row.created_at.to_string(),
            secrets: shown,
            token: about.subject.clone().map(Subject::from),
            certificate: about.certificate.as_ref().map(Certificate::new),
            enabled: row.enabled,
            expires_at: shown_expiry(row.expires_at),
            enforcement: row.enforcement.into(),
            last: AccountUsed::new(usage.last),
            usage: usage.into(),
        }
    }
}

/// A token of a service account that works. Nobody is shown what makes it one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Token {
    /// Its `jti`, 32 hexadecimal characters.
    id: String,
    /// The secret that it was made from.
    secret_id: String,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<String>,
    /// When it ends.
    expires_at: String,
}

impl Token {
    pub(in crate::admin) fn new(token: &TokenRecord) -> Self {
        Self {
            id: token.id.to_string(),
            secret_id: token.secret.to_string(),
            issued_at: token.issued_at.map(|at| at.to_string()),
            expires_at: token.expires_at.to_string(),
        }
    }
}

/// A secret of a service account, as far as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct ClientSecret {
    /// 24 hexadecimal characters.
    id: String,
    /// When it was made.
    created_at: String,
    /// When it stops working.
    expires_at: String,
    /// When it was last exchanged for a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// The secret without what is secret.
    masked_secret_value: String,
    /// The secret: right after it was made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl ClientSecret {
    pub(in crate::admin) fn new(row: &ClientSecretRecord, secret: Option<String>) -> Self {
        Self {
            id: row.secret.id.to_string(),
            created_at: row.secret.created_at.to_string(),
            expires_at: row.expires_at.to_string(),
            last_used_at: row.last_used_at.map(|at| at.to_string()),
            masked_secret_value: row.secret.shown.clone(),
            secret,
        }
    }
}

/// Who a foreign token is about.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct Subject {
    /// Exact `iss`.
    issuer: String,
    /// Exact `sub`.
    subject: String,
}

impl From<TokenSubject> for Subject {
    fn from(TokenSubject { issuer, subject }: TokenSubject) -> Self {
        Self { issuer, subject }
    }
}

impl From<Subject> for TokenSubject {
    fn from(Subject { issuer, subject }: Subject) -> Self {
        Self { issuer, subject }
    }
}

/// Which client certificates speak for a service account: one of the two.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct Certificate {
    /// Those with exactly this URI among their subject alternative names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 1024))]
    san_uri: Option<String>,
    /// The one with this SHA-256, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 95))]
    sha256: Option<String>,
}

impl Certificate {
    fn new(name: &CertificateName) -> Self {
        Self { san_uri: name.as_san_uri().map(str::to_owned), sha256: name.as_sha256() }
    }

    /// What it says.
    pub(in crate::admin) fn read(self) -> Result<CertificateName, Fault> {
        let (field, name) = match (&self.san_uri, &self.sha256) {
            (Some(uri), None) => ("certificate.sanUri", CertificateName::san_uri(uri)),
            (None, Some(hash)) => ("certificate.sha256", CertificateName::sha256(hash)),
            _ => {
                let wrong = "a certificate is named by `sanUri` or by `sha256`; say one of them";
                return Err(Refusal::field(Code::InvalidAttribute, "certificate", wrong).into());
            }
        };
        name.map_err(|fault| Refusal::field(Code::InvalidAttribute, field, fault.to_string()).into())
    }
}

/// A project that a service account has a role on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct AccountGroup {
    /// The project.
    pub(in crate::admin) group_id: String,
    /// The names of its roles there.
    pub(in crate::admin) roles: Vec<String>,
}

/// A new service account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct NewServiceAccount {
    /// For people, 1 to 64 characters.
    #[schemars(length(min = 1, max = 64), regex(pattern = NAME))]
    pub(in crate::admin) name: String,
    /// For people, 1 to 250 characters; the name, where left out.
    #[serde(default)]
    #[schemars(length(min = 1, max = 250))]
    pub(in crate::admin) description: Option<String>,
    /// What it may do here; nothing, where left out.
    #[serde(default)]
    pub(in crate::admin) roles: Vec<AskedRole>,
    /// How long its first secret lasts, 8 to 8760 hours. Left out, it gets none, and has to have `token` or `certificate`.
    #[serde(default)]
    #[schemars(range(min = 8, max = 8760))]
    pub(in crate::admin) secret_expires_after_hours: Option<u32>,
    /// Whose foreign tokens speak for it; nobody's, where left out.
    #[serde(default)]
    pub(in crate::admin) token: Option<Subject>,
    /// Which client certificates speak for it; none, where left out.
    #[serde(default)]
    pub(in crate::admin) certificate: Option<Certificate>,
    /// When it stops working; never, where left out.
    #[serde(default, deserialize_with = "a_time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(in crate::admin) expires_at: Option<crate::clock::Timestamp>,
    /// Whether its list refuses; it does, where left out.
    #[serde(default)]
    pub(in crate::admin) enforcement: Option<Enforce>,
    /// Its first access list; empty, where left out.
    #[serde(default)]
    pub(in crate::admin) access_list: Vec<AskedEntry>,
}

/// What is changed of a service account; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct ServiceAccountEdit {
    /// For people, 1 to 64 characters.
    #[serde(default)]
    pub(in crate::admin) name: Option<String>,
    /// For people, 1 to 250 characters.
    #[serde(default)]
    #[schemars(length(min = 1, max = 250))]
    pub(in crate::admin) description: Option<String>,
    /// All its roles on the organization or project of the path.
    #[serde(default)]
    pub(in crate::admin) roles: Option<Vec<AskedRole>>,
    /// Whose foreign tokens speak for it; `null` is nobody's.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Subject>")]
    pub(in crate::admin) token: Option<Option<Subject>>,
    /// Which client certificates speak for it; `null` is none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Certificate>")]
    pub(in crate::admin) certificate: Option<Option<Certificate>>,
    /// Whether it works.
    #[serde(default)]
    pub(in crate::admin) enabled: Option<bool>,
    /// When it stops working; `null` is never.
    #[serde(default, deserialize_with = "given_time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(in crate::admin) expires_at: Option<Option<crate::clock::Timestamp>>,
    /// Whether its list refuses.
    #[serde(default)]
    pub(in crate::admin) enforcement: Option<Enforce>,
}

/// Another secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct AskedSecret {
    /// How long it lasts, 8 to 8760 hours; the organization's `maxServiceAccountSecretValidityInHours` may allow less.
    #[schemars(range(min = 8, max = 8760))]
    pub(in crate::admin) secret_expires_after_hours: u32,
}

/// An entry of the access list of a service account.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct AccountEntry {
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
    created_at: String,
    /// What somebody should know of it: that it admits everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    #[serde(flatten)]
    usage: AccountEntryUsed,
    links: Vec<Link>,
}

impl AccountEntry {
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
            created_at: row.created_at.to_string(),
            warning: network.and_then(super::entries::warning),
            usage: AccountEntryUsed::new(used),
            links: link("self", format!("{list}/{name}")),
        }
    }
}
