//! A store as a directory file: everything that is decided by, and what people call it.
//!
//! Never leaves anything out that is enforced: what a file can't hold refuses the export.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::model::{Credential, Organization};
use super::resolve::ENTRIES_PER_LIST;
use super::sqlite::{self, StoreFault};
use super::stored;
use super::written::{self, UnwritableRole};
use crate::access::credential::CredentialKind;
use crate::access::record::CredentialName;

/// Why a store can't be written as a file.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum ExportFault {
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error(
        "service account `{0}` has neither a secret nor foreign tokens or a certificate, and a file can't hold such a one; delete it, or give it a secret"
    )]
    ServiceAccount(CredentialName),
    #[error(transparent)]
    Role(#[from] UnwritableRole),
}

/// The text of the file; `None` where there is no store.
///
/// # Errors
/// An [`ExportFault`].
pub fn export(path: &Path) -> Result<Option<String>, ExportFault> {
    sqlite::read(path, |rows| {
        let organizations = rows.organizations()?;
        let mut text = String::new();
        let longest = rows.longest_list()?;
        if longest > ENTRIES_PER_LIST {
            line(&mut text, "limits", &json!({"entries_per_list": longest}));
        }
        text.push_str(if organizations.is_empty() { "organizations: []\n" } else { "organizations:\n" });
        for row in organizations {
            let organization = stored::organization(rows, &row)?;
            attributes(&mut text, "  - ", "    ", written::organization(&organization));
            for (at, project) in written::projects(&organization).enumerate() {
                text.push_str(if at == 0 { "    projects:\n" } else { "" });
                item(&mut text, "      - ", &project);
            }
            for (at, set) in written::network_sets(&organization).enumerate() {
                text.push_str(if at == 0 { "    network_sets:\n" } else { "" });
                item(&mut text, "      - ", &set);
            }
            let mut credentials = Vec::new();
            for pk in rows.credentials_of(row.pk)? {
                credentials.extend(rows.credential_by_pk(pk)?);
            }
            for (kind, title) in [
                (CredentialKind::ApiKey, "    api_keys:\n"),
                (CredentialKind::ServiceAccount, "    service_accounts:\n"),
            ] {
                for (at, row) in credentials.iter().filter(|row| row.kind == kind).enumerate() {
                    text.push_str(if at == 0 { title } else { "" });
                    credential(&mut text, &organization, &stored::credential(rows, &organization, row)?)?;
                }
            }
        }
        Ok(text)
    })
}

fn credential(text: &mut String, of: &Organization, one: &Credential) -> Result<(), ExportFault> {
    if one.account.as_ref().is_some_and(|account| !account.about.is_spoken_for() && account.secrets.is_empty()) {
        return Err(ExportFault::ServiceAccount(CredentialName { kind: one.kind, id: one.id }));
    }
    attributes(text, "      - ", "        ", written::credential(of, one)?);
    if !one.access_list.is_empty() {
        text.push_str("        access_list:\n");
    }
    for entry in &one.access_list {
        item(text, "          - ", &written::entry(of, entry));
    }
    Ok(())
}

/// One attribute a line; the first of them begins the element of a list.
pub(super) fn attributes(text: &mut String, first: &str, further: &str, all: written::Attributes) {
    for (at, (name, value)) in all.into_iter().enumerate() {
        text.push_str(if at == 0 { first } else { further });
        line(text, name, &value);
    }
}

/// One attribute.
pub(super) fn line(text: &mut String, name: &str, value: &Value) {
    // Writing into a String never fails.
    let _ = writeln!(text, "{name}: {value}");
}

fn item(text: &mut String, dash: &str, value: &Value) {
    // Writing into a String never fails.
    let _ = writeln!(text, "{dash}{value}");
}
