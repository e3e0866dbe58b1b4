//! A credential as lists and pages show it.

use super::words;
use crate::access::credential::{AccessListMode, Enforcement};
use crate::access::id::Id;
use crate::access::record::{CredentialName, CredentialRecord, OrganizationRecord};
use crate::access::usage::CredentialUse;
use crate::clock::Timestamp;
use crate::control::Credential;

/// A line of a list.
pub(super) struct Row {
    pub(super) organization: Id,
    pub(super) name: CredentialName,
    pub(super) called: String,
    /// Public key or client id.
    pub(super) key: String,
    pub(super) roles: String,
    pub(super) list: Tag,
    /// Anything out of the ordinary.
    pub(super) states: Vec<Tag>,
    pub(super) used: Option<Moment>,
    pub(super) denied: Option<Moment>,
}

/// A short remark with a tone.
pub(super) struct Tag {
    pub(super) says: String,
    pub(super) tone: &'static str,
}

/// When something was, and what.
pub(super) struct Moment {
    pub(super) ago: String,
    pub(super) at: String,
    /// From where, or why.
    pub(super) what: String,
}

impl Row {
    pub(super) fn new(one: Credential, organization: &OrganizationRecord, now: Timestamp) -> Self {
        let Credential { row, roles, usage, entries, .. } = one;
        let mut roles: Vec<&str> = roles.iter().map(words::called).collect();
        roles.sort_unstable();
        roles.dedup();
        Self {
            organization: organization.id,
            name: row.credential(),
            key: key(&row),
            roles: roles.join(", "),
            list: list(entries, organization.mode),
            states: states(&row, now),
            used: used(&usage, now),
            denied: denied(&usage, now),
            called: row.name,
        }
    }
}

/// Public key or client id.
pub(super) fn key(row: &CredentialRecord) -> String {
    row.public_key.clone().unwrap_or_else(|| row.credential().to_string())
}

/// What a list of so many entries means.
pub(super) fn list(entries: u64, mode: AccessListMode) -> Tag {
    let (says, tone) = match (entries, mode) {
        (0, AccessListMode::Required) => ("no list: refused".to_owned(), "bad"),
        (0, _) => ("no list: from anywhere".to_owned(), "warn"),
        (1, _) => ("1 entry".to_owned(), "good"),
        (many, _) => (format!("{many} entries"), "good"),
    };
    Tag { says, tone }
}

/// What is out of the ordinary with a credential.
pub(super) fn states(row: &CredentialRecord, now: Timestamp) -> Vec<Tag> {
    let mut states = Vec::new();
    let mut tell = |says: &str, tone| states.push(Tag { says: says.to_owned(), tone });
    if !row.enabled {
        tell("disabled", "bad");
    }
    match row.expires_at {
        at if at <= now => tell("expired", "bad"),
        at if at != Timestamp::NEVER => tell(&format!("ends {}", words::ago(at, now)), ""),
        _ => {}
    }
    if row.enforcement == Enforcement::Report {
        tell("list reports only", "warn");
    }
    states
}

/// Its last use.
pub(super) fn used(usage: &CredentialUse, now: Timestamp) -> Option<Moment> {
    let last = usage.last?;
    Some(Moment { ago: words::ago(last.at, now), at: last.at.to_string(), what: last.address.to_string() })
}

/// Its last denial.
pub(super) fn denied(usage: &CredentialUse, now: Timestamp) -> Option<Moment> {
    let last = usage.denial.as_ref()?;
    let from = last.address.map(|address| address.to_string()).unwrap_or_default();
    Some(Moment { ago: words::ago(last.at, now), at: last.at.to_string(), what: from })
}
