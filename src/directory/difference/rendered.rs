//! A directory as one JSON document of the file format, with list files read and organizations brought together: what the
//! command line sends.
//!
//! Never holds a secret, only hashes and HA1s, which are as good as passwords for their realm: it goes where a key goes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::model::{Account, Credential, Directory, Organization};
use super::credentials::list;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::digest_secret::DigestSecret;
use crate::access::record::{CredentialName, TokenSubject};
use crate::access::role::Role;
use crate::access::target::Target;
use crate::clock::Timestamp;

/// What the format can't say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a file can't name a role on project `{0}`, because `app:` begins a role of its own; rename the project")]
pub struct Unspeakable(String);

/// The document.
///
/// # Errors
/// [`Unspeakable`], which no directory that was read from files is.
pub fn rendered(directory: &Directory) -> Result<Value, Unspeakable> {
    let organizations = directory.organizations.iter().map(organization).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"limits": {"entries_per_list": directory.entries_per_list}, "organizations": organizations}))
}

fn organization(of: &Organization) -> Result<Value, Unspeakable> {
    let mode = match of.mode {
        AccessListMode::Off => json!(false),
        AccessListMode::Report => json!("report"),
        AccessListMode::Required => json!(true),
    };
    let projects = of.projects.iter().map(|one| json!({"id": one.id.to_string(), "name": &*one.name}));
    let sets = of.network_sets.iter().map(|set| {
        let networks: Vec<String> = set.networks.iter().map(ToString::to_string).collect();
        json!({"name": &*set.name, "networks": networks, "owner": set.owner, "comment": set.comment})
    });
    let of_kind = |kind: CredentialKind| {
        let all = of.credentials.iter().filter(move |one| one.kind == kind);
        all.map(|one| credential(of, one)).collect::<Result<Vec<_>, _>>()
    };
    Ok(json!({
        "id": of.id.to_string(),
        "name": &*of.name,
        "require_access_list": mode,
        "projects": projects.collect::<Vec<_>>(),
        "network_sets": sets.collect::<Vec<_>>(),
        "api_keys": of_kind(CredentialKind::ApiKey)?,
        "service_accounts": of_kind(CredentialKind::ServiceAccount)?,
    }))
}

fn credential(of: &Organization, one: &Credential) -> Result<Value, Unspeakable> {
    let entries = list(of, one).into_iter().map(|(target, entry)| {
        let mut shown = match &target {
            Target::Network(network) => json!({"cidr": network.to_string()}),
            Target::Set(name) => json!({"set": &**name}),
        };
        shown["comment"] = json!(entry.comment);
        shown["expires_at"] = moment(entry.expires_at);
        shown
    });
    let mut shown = json!({
        "enabled": one.enabled,
        "expires_at": moment(one.expires_at),
        "enforcement": if one.enforcement == Enforcement::Report { "report" } else { "enforce" },
        "roles": one.roles.iter().map(|held| role(of, held)).collect::<Result<Vec<_>, _>>()?,
        "access_list": entries.collect::<Vec<_>>(),
    });
    match &one.account {
        Some(account) => about(&mut shown, one, account),
        None => {
            let hashes: Vec<String> = one.fingerprints.iter().map(|fingerprint| hex(&fingerprint.0)).collect();
            shown["id"] = json!(one.id.to_string());
            shown["description"] = json!(one.name);
            shown["public_key"] = json!(one.public_key);
            shown["secret_sha256"] = json!(hashes);
            if !one.digest.is_empty() {
                shown["digest"] = json!(one.digest.iter().map(digest).collect::<Vec<_>>());
            }
        }
    }
    Ok(shown)
}

fn about(shown: &mut Value, one: &Credential, account: &Account) {
    shown["client_id"] = json!(CredentialName { kind: one.kind, id: one.id }.to_string());
    shown["name"] = json!(one.name);
    shown["description"] = json!(account.about.description);
    if let Some(TokenSubject { issuer, subject }) = &account.about.subject {
        shown["token"] = json!({"issuer": issuer, "subject": subject});
    }
    let secrets = account.secrets.iter().map(|secret| {
        json!({
            "id": secret.id.map(|id| id.to_string()),
            "sha256": hex(&secret.sha256.0),
            "expires_at": secret.expires_at.to_string(),
        })
    });
    shown["secrets"] = json!(secrets.collect::<Vec<_>>());
}

fn moment(at: Timestamp) -> Value {
    if at == Timestamp::NEVER { Value::Null } else { json!(at.to_string()) }
}

fn digest(of: &DigestSecret) -> Value {
    let hashes = (of.sha256.map(|one| hex(&one)), of.md5.map(|one| hex(&one)));
    json!({"realm": &*of.realm, "sha256": hashes.0, "md5": hashes.1})
}

fn role(of: &Organization, role: &Role) -> Result<String, Unspeakable> {
    let Some(id) = role.project() else { return Ok(role.name().to_owned()) };
    let project = of.projects.iter().find(|project| project.id == id);
    let name = project.map_or_else(|| id.to_string(), |project| project.name.to_string());
    match project.is_none() || name == "app" || name.starts_with("app:") {
        true => Err(Unspeakable(name)),
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
