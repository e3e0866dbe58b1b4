//! Organizations and keys as a directory file spells them: attributes in their order, values as JSON, which YAML reads the same.
//!
//! Never leaves out anything that is decided by, and writes no secret: hashes alone, and HA1s where there are some.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::model::{Account, ClientSecret, Credential, Directory, Entry, NetworkSet, Organization};
use crate::access::certificate_name::CertificateName;
use crate::access::client_id::ClientId;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::digest_secret::DigestSecret;
use crate::access::role::Role;
use crate::access::target::Target;
use crate::clock::Timestamp;
use crate::config::feed_source::FeedSource;

/// Attributes in the order in which they are written.
pub(super) type Attributes = Vec<(&'static str, Value)>;

/// What a file can't say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a file can't name a role on project `{0}`, because `app:` begins a role of its own; rename the project")]
pub struct UnwritableRole(String);

/// A whole directory as one document, with list files read and organizations brought together: what the command line sends.
///
/// # Errors
/// An [`UnwritableRole`], which no directory that was read from files has.
pub fn document(directory: &Directory) -> Result<Value, UnwritableRole> {
    let whole = |of: &Organization| {
        let mut shown = object(organization(of));
        shown.insert("projects".into(), projects(of).collect());
        shown.insert("network_sets".into(), network_sets(of).collect());
        for (kind, title) in
            [(CredentialKind::ApiKey, "api_keys"), (CredentialKind::ServiceAccount, "service_accounts")]
        {
            let all = of.credentials.iter().filter(|one| one.kind == kind);
            let all = all.map(|one| with_list(of, one).map(Value::Object)).collect::<Result<Vec<_>, _>>()?;
            shown.insert(title.into(), all.into());
        }
        Ok(Value::Object(shown))
    };
    let organizations = directory.organizations.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"limits": {"entries_per_list": directory.entries_per_list}, "organizations": organizations}))
}

/// Attributes as one object.
pub(super) fn object(attributes: Attributes) -> Map<String, Value> {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A credential with its list.
///
/// # Errors
/// An [`UnwritableRole`].
pub(super) fn with_list(of: &Organization, one: &Credential) -> Result<Map<String, Value>, UnwritableRole> {
    let mut shown = object(credential(of, one)?);
    if !one.access_list.is_empty() {
        // A document that names something twice is refused, and list files may have brought it twice.
        let entries = of.list(one).into_iter().map(|(target, one)| match target {
            // Nothing more than a network.
            Target::Network(network) if one.comment.is_none() && one.expires_at == Timestamp::NEVER => {
                Value::from(network.to_string())
            }
            _ => entry(of, one),
        });
        shown.insert("access_list".into(), entries.collect());
    }
    Ok(shown)
}

/// An organization without its projects, network sets and credentials.
pub(super) fn organization(of: &Organization) -> Attributes {
    let mode = match of.mode {
        AccessListMode::Off => json!(false),
        AccessListMode::Report => json!("report"),
        AccessListMode::Required => json!(true),
    };
    let hours = of.secret_hours.map(|hours| ("max_service_account_secret_validity_in_hours", json!(hours)));
    let all = [("id", json!(of.id.to_string())), ("name", json!(&*of.name)), ("require_access_list", mode)];
    all.into_iter().chain(hours).collect()
}

/// The projects of an organization.
pub(super) fn projects(of: &Organization) -> impl Iterator<Item = Value> {
    of.projects.iter().map(|project| json!({"id": project.id.to_string(), "name": &*project.name}))
}

/// The network sets of an organization.
pub(super) fn network_sets(of: &Organization) -> impl Iterator<Item = Value> {
    of.network_sets.iter().map(|NetworkSet { name, networks, owner, comment, source }| {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        let mut shown = json!({"name": &**name, "networks": networks});
        if let Some(owner) = owner {
            shown["owner"] = json!(owner);
        }
        if let Some(comment) = comment {
            shown["comment"] = json!(comment);
        }
        if let Some(source) = source {
            shown["source"] = json!(FeedSource::of(source));
        }
        shown
    })
}

/// An API key or a service account; its list is apart, because it may be long.
///
/// # Errors
/// An [`UnwritableRole`].
pub(super) fn credential(of: &Organization, one: &Credential) -> Result<Attributes, UnwritableRole> {
    match one.kind {
        CredentialKind::ApiKey => api_key(of, one),
        CredentialKind::ServiceAccount => service_account(of, one),
    }
}

fn api_key(of: &Organization, key: &Credential) -> Result<Attributes, UnwritableRole> {
    let hashes: Vec<String> = key.fingerprints.iter().map(|fingerprint| hex(&fingerprint.0)).collect();
    let mut attributes = vec![("id", json!(key.id.to_string())), ("description", json!(key.name))];
    attributes.extend(key.public_key.as_ref().map(|public_key| ("public_key", json!(public_key))));
    attributes.push(("secret_sha256", json!(hashes)));
    if !key.digest.is_empty() {
        let digests = key.digest.iter().zip(&key.digest_of).enumerate();
        let digests: Vec<Value> = digests.map(|(at, (one, of))| digest(one, (*of != at).then_some(*of))).collect();
        attributes.push(("digest", json!(digests)));
    }
    common(of, key, &mut attributes)?;
    Ok(attributes)
}

fn certificate(name: &CertificateName) -> Value {
    match name.as_san_uri() {
        Some(uri) => json!({ "san_uri": uri }),
        None => json!({ "sha256": name.as_sha256() }),
    }
}

fn service_account(of: &Organization, account: &Credential) -> Result<Attributes, UnwritableRole> {
    let mut attributes = vec![("client_id", json!(ClientId(account.id).to_string())), ("name", json!(account.name))];
    if let Some(Account { about, secrets }) = &account.account {
        attributes.push(("description", json!(about.description)));
        let token = about.subject.as_ref();
        attributes.extend(token.map(|token| ("token", json!({"issuer": token.issuer, "subject": token.subject}))));
        attributes.extend(about.certificate.as_ref().map(|name| ("certificate", certificate(name))));
        if !secrets.is_empty() {
            attributes.push(("secrets", secrets.iter().map(client_secret).collect()));
        }
    }
    common(of, account, &mut attributes)?;
    Ok(attributes)
}

fn client_secret(secret: &ClientSecret) -> Value {
    let mut shown = json!({"sha256": hex(&secret.sha256.0), "expires_at": secret.expires_at.to_string()});
    if let Some(id) = secret.id {
        shown["id"] = json!(id.to_string());
    }
    shown
}

/// What keys and accounts have alike.
fn common(of: &Organization, key: &Credential, attributes: &mut Attributes) -> Result<(), UnwritableRole> {
    if !key.enabled {
        attributes.push(("enabled", json!(false)));
    }
    if key.expires_at != Timestamp::NEVER {
        attributes.push(("expires_at", json!(key.expires_at.to_string())));
    }
    if key.enforcement == Enforcement::Report {
        attributes.push(("enforcement", json!("report")));
    }
    if !key.roles.is_empty() {
        let roles = key.roles.iter().map(|one| role(of, one)).collect::<Result<Vec<_>, _>>()?;
        attributes.push(("roles", json!(roles)));
    }
    Ok(())
}

/// An entry of a list.
pub(super) fn entry(of: &Organization, entry: &Entry) -> Value {
    let mut shown = match of.target(entry) {
        Target::Network(network) => json!({"cidr": network.to_string()}),
        Target::Set(name) => json!({"set": &*name}),
    };
    if let Some(comment) = &entry.comment {
        shown["comment"] = json!(comment);
    }
    if entry.expires_at != Timestamp::NEVER {
        shown["expires_at"] = json!(entry.expires_at.to_string());
    }
    shown
}

/// HA1s, with the number of the secret that they are of where their position does not say it.
fn digest(digest: &DigestSecret, of: Option<usize>) -> Value {
    let mut shown = json!({"realm": &*digest.realm});
    if let Some(sha256) = &digest.sha256 {
        shown["sha256"] = json!(hex(sha256));
    }
    if let Some(md5) = &digest.md5 {
        shown["md5"] = json!(hex(md5));
    }
    if let Some(of) = of {
        shown["secret"] = json!(of + 1);
    }
    shown
}

/// A role as a file spells it: those on a project with the project's name.
fn role(of: &Organization, role: &Role) -> Result<String, UnwritableRole> {
    let Some(id) = role.project() else { return Ok(role.name().to_owned()) };
    let project = of.projects.iter().find(|project| project.id == id);
    let name = project.map_or_else(|| id.to_string(), |project| project.name.to_string());
    match project.is_none() || name == "app" || name.starts_with("app:") {
        // It would be read as another role, or as none.
        true => Err(UnwritableRole(name)),
        false => Ok(format!("{name}:{}", role.name())),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
