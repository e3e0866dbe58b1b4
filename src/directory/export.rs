//! A store as a directory file: everything that is decided by, and what people call it.
//!
//! Never leaves anything out that is enforced: what a file can't hold refuses the export.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::sqlite::{self, Rows, StoreFault};
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::record::{
    CredentialName, CredentialRecord, EntryRecord, NetworkSetRecord, ProjectRecord, SecretRecord, TokenSubject,
};
use crate::access::role::Role;
use crate::access::target::Target;
use crate::clock::Timestamp;

/// Why a store can't be written as a file.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum ExportFault {
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error(
        "service account `{0}` has neither a secret nor foreign tokens, and a file can't hold such a one; delete it, or give it a secret"
    )]
    ServiceAccount(CredentialName),
    #[error("a file can't name a role on project `{0}`, because `app:` begins a role of its own")]
    Project(String),
}

/// The text of the file; `None` where there is no store.
///
/// # Errors
/// An [`ExportFault`].
pub fn export(path: &Path) -> Result<Option<String>, ExportFault> {
    sqlite::read(path, |rows| {
        let organizations = rows.organizations()?;
        let mut text = String::from(if organizations.is_empty() { "organizations: []\n" } else { "organizations:\n" });
        for organization in organizations {
            let mode = match organization.mode {
                AccessListMode::Off => json!(false),
                AccessListMode::Report => json!("report"),
                AccessListMode::Required => json!(true),
            };
            line(&mut text, "  - id", &json!(organization.id.to_string()));
            line(&mut text, "    name", &json!(organization.name));
            line(&mut text, "    require_access_list", &mode);
            let projects = rows.projects(organization.id)?;
            for (at, project) in projects.iter().enumerate() {
                text.push_str(if at == 0 { "    projects:\n" } else { "" });
                line(&mut text, "      -", &json!({"id": project.id.to_string(), "name": project.name}));
            }
            for (at, set) in rows.network_sets(organization.pk)?.iter().enumerate() {
                text.push_str(if at == 0 { "    network_sets:\n" } else { "" });
                line(&mut text, "      -", &network_set(set));
            }
            let mut credentials = Vec::new();
            for pk in rows.credentials_of(organization.pk)? {
                credentials.extend(rows.credential_by_pk(pk)?);
            }
            let is_key = |row: &&CredentialRecord| row.kind == CredentialKind::ApiKey;
            for (at, row) in credentials.iter().filter(is_key).enumerate() {
                text.push_str(if at == 0 { "    api_keys:\n" } else { "" });
                api_key(&mut text, rows, row)?;
                common(&mut text, rows, &projects, row)?;
            }
            for (at, row) in credentials.iter().filter(|row| !is_key(row)).enumerate() {
                text.push_str(if at == 0 { "    service_accounts:\n" } else { "" });
                service_account(&mut text, rows, row)?;
                common(&mut text, rows, &projects, row)?;
            }
        }
        Ok(text)
    })
}

fn api_key(text: &mut String, rows: Rows<'_>, row: &CredentialRecord) -> Result<(), ExportFault> {
    let secrets = rows.secrets(row.pk)?;
    let hashes: Vec<String> = secrets.iter().map(|secret| hex(&secret.fingerprint.0)).collect();
    let digests: Vec<Value> = secrets.iter().filter_map(digest).collect();
    line(text, "      - id", &json!(row.id.to_string()));
    line(text, "        description", &json!(row.name));
    if let Some(public_key) = &row.public_key {
        line(text, "        public_key", &json!(public_key));
    }
    line(text, "        secret_sha256", &json!(hashes));
    if !digests.is_empty() {
        line(text, "        digest", &json!(digests));
    }
    Ok(())
}

fn service_account(text: &mut String, rows: Rows<'_>, row: &CredentialRecord) -> Result<(), ExportFault> {
    let about = rows.account(row.pk)?;
    let secrets = rows.client_secrets(row.pk)?;
    if about.subject.is_none() && secrets.is_empty() {
        return Err(ExportFault::ServiceAccount(row.credential()));
    }
    line(text, "      - client_id", &json!(row.credential().to_string()));
    line(text, "        name", &json!(row.name));
    line(text, "        description", &json!(about.description));
    if let Some(TokenSubject { issuer, subject }) = &about.subject {
        line(text, "        token", &json!({"issuer": issuer, "subject": subject}));
    }
    for (at, one) in secrets.iter().enumerate() {
        text.push_str(if at == 0 { "        secrets:\n" } else { "" });
        let shown = json!({
            "id": one.secret.id.to_string(),
            "sha256": hex(&one.secret.fingerprint.0),
            "expires_at": one.expires_at.to_string(),
        });
        line(text, "          -", &shown);
    }
    Ok(())
}

/// What keys and accounts have alike.
fn common(
    text: &mut String,
    rows: Rows<'_>,
    projects: &[ProjectRecord],
    row: &CredentialRecord,
) -> Result<(), ExportFault> {
    let roles = rows.roles(row.pk)?.iter().map(|one| role(projects, one)).collect::<Result<Vec<_>, _>>()?;
    let entries = rows.entries(row.pk)?;
    if !row.enabled {
        line(text, "        enabled", &json!(false));
    }
    if row.expires_at != Timestamp::NEVER {
        line(text, "        expires_at", &json!(row.expires_at.to_string()));
    }
    if row.enforcement == Enforcement::Report {
        line(text, "        enforcement", &json!("report"));
    }
    if !roles.is_empty() {
        line(text, "        roles", &json!(roles));
    }
    if !entries.is_empty() {
        text.push_str("        access_list:\n");
    }
    for one in &entries {
        line(text, "          -", &entry(one));
    }
    Ok(())
}

/// A value as JSON, which YAML reads the same.
fn line(text: &mut String, name: &str, value: &Value) {
    let colon = if name.ends_with('-') { "" } else { ":" };
    // Writing into a String never fails.
    let _ = writeln!(text, "{name}{colon} {value}");
}

fn digest(secret: &SecretRecord) -> Option<Value> {
    let digest = secret.digest.as_ref()?;
    let mut shown = json!({"realm": &*digest.realm});
    if let Some(sha256) = &digest.sha256 {
        shown["sha256"] = json!(hex(sha256));
    }
    if let Some(md5) = &digest.md5 {
        shown["md5"] = json!(hex(md5));
    }
    Some(shown)
}

/// A role as a file spells it: those on a project with the project's name.
fn role(projects: &[ProjectRecord], role: &Role) -> Result<String, ExportFault> {
    let Some(id) = role.project() else { return Ok(role.name().to_owned()) };
    let project = projects.iter().find(|project| project.id == id);
    let name = project.map_or_else(|| id.to_string(), |project| project.name.clone());
    match project.is_none() || name == "app" || name.starts_with("app:") {
        // It would be read as another role, or as none.
        true => Err(ExportFault::Project(name)),
        false => Ok(format!("{name}:{}", role.name())),
    }
}

fn network_set(row: &NetworkSetRecord) -> Value {
    let networks: Vec<String> = row.networks.iter().map(ToString::to_string).collect();
    let mut shown = json!({"name": &*row.name, "networks": networks});
    if let Some(owner) = &row.owner {
        shown["owner"] = json!(owner);
    }
    if let Some(comment) = &row.comment {
        shown["comment"] = json!(comment);
    }
    shown
}

fn entry(row: &EntryRecord) -> Value {
    let mut shown = match &row.target {
        Target::Network(network) => json!({"cidr": network.to_string()}),
        Target::Set(name) => json!({"set": &**name}),
    };
    if let Some(comment) = &row.comment {
        shown["comment"] = json!(comment);
    }
    if row.expires_at != Timestamp::NEVER {
        shown["expires_at"] = json!(row.expires_at.to_string());
    }
    shown
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
