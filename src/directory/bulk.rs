//! Organizations and keys that are to be added to a store, many at once: read from a directory file or a table, or received
//! line by line, and judged whole by the same `directory::resolve` as a directory that is served.
//!
//! Never holds a key, only hashes; knows where everything stood, for whatever is found wrong with it later.

mod lines;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;

use super::model::{Credential, Directory, NetworkSet, Organization};
use super::resolve::{Judged, Places, resolve};
use super::source::{Reader, SourceFile};
use super::written::UnwritableRole;
use super::{LoadOptions, raw};
use crate::access::id::Id;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::feed_source::FeedSource;

pub use lines::{ReceiveFault, receive};
pub use table::{HashKey, HashedKey, Table, is_table};

/// Entries of one list, and networks of one set: the store's own limit is asked later.
const MOST_ENTRIES: u32 = 100_000;

/// What is to be added.
pub struct Bulk {
    /// Organizations with their keys.
    pub directory: Directory,
    files: Vec<SourceFile>,
    places: Places,
    drawn: HashSet<Id>,
}

impl std::fmt::Debug for Bulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulk").field("organizations", &self.directory.organizations.len()).finish_non_exhaustive()
    }
}

/// Reads a directory file: YAML or JSON, a `.gz` of it, or a folder of them.
///
/// # Errors
/// Every fault of every file.
pub fn load(path: &Path) -> Result<(Bulk, Problems), Problems> {
    let mut reader = Reader::new(LoadOptions::default().largest);
    let (files, problems) = reader.files(path);
    let judged = resolve(&files, &mut reader, problems);
    Bulk::judged(judged, files, HashSet::new())
}

impl Bulk {
    /// What is left when something was judged, or every problem of it.
    fn judged(judged: Judged, files: Vec<SourceFile>, drawn: HashSet<Id>) -> Result<(Self, Problems), Problems> {
        let Judged { mut directory, mut problems, places, .. } = judged;
        for organization in &mut directory.organizations {
            organization.keep_one_of_each();
        }
        let bulk = Self { directory, files, places, drawn };
        if !problems.has_errors() {
            problems.append(bulk.unstorable());
        }
        problems.unless_refused(Some(bulk))
    }

    /// What a store of this version has no place for.
    fn unstorable(&self) -> Problems {
        let mut problems = Problems::default();
        for organization in &self.directory.organizations {
            for credential in &organization.credentials {
                if let Some(message) = unstorable(credential) {
                    problems.push(self.problem(credential.id, message));
                }
            }
        }
        problems
    }

    /// Whether an id was drawn because the file names none: the thing may be there already under another.
    pub fn is_drawn(&self, id: Id) -> bool {
        self.drawn.contains(&id)
    }

    /// Something that is wrong with a thing, with its place.
    pub fn problem(&self, id: Id, message: impl Into<String>) -> Problem {
        let place = self.places.of(id, &self.files);
        let place = place.unwrap_or_else(|| match self.files.first() {
            Some(file) => Place::file(std::sync::Arc::clone(file.document.name())),
            None => Place::file("the import"),
        });
        Problem::error(place, message)
    }

    /// Something that is wrong with a network set of an organization, with its place.
    pub fn problem_of_set(&self, organization: Id, name: &str, message: impl Into<String>) -> Problem {
        match self.places.of_set(organization, name, &self.files) {
            Some(place) => Problem::error(place, message),
            None => self.problem(organization, message),
        }
    }

    /// The line that carries an organization to another process; the lines of its keys follow it.
    pub fn line_of_organization(&self, organization: &Organization) -> String {
        lines::of_organization(organization)
    }

    /// The line that carries a key or a service account.
    ///
    /// # Errors
    /// An [`UnwritableRole`].
    pub fn line_of_credential(&self, organization: &Organization, key: &Credential) -> Result<String, UnwritableRole> {
        lines::of_credential(organization, key, self.is_drawn(key.id))
    }

    /// Every organization, each before its keys. The n-th of them is in the n-th line.
    pub fn in_order(&self) -> impl Iterator<Item = Id> {
        let all = self.directory.organizations.iter();
        all.flat_map(|one| std::iter::once(one.id).chain(one.credentials.iter().map(|key| key.id)))
    }

    /// Number of keys and service accounts.
    pub fn credentials(&self) -> u64 {
        self.directory.organizations.iter().map(|one| one.credentials.len() as u64).sum()
    }
}

fn unstorable(credential: &Credential) -> Option<&'static str> {
    let secrets = credential.fingerprints.len();
    let is_whole =
        |digest: &crate::access::digest_secret::DigestSecret| digest.sha256.is_some() && digest.md5.is_some();
    if credential.digest_of.iter().any(|of| *of >= secrets) {
        return Some("there are more HA1s than secrets; leave out those of the secret that is gone");
    }
    if !credential.digest.iter().all(is_whole) {
        return Some("a store keeps both HA1s of a secret; `portcullis hash --digest` makes them");
    }
    None
}

/// An organization of a store or of an API, as the table's rows mean it.
fn known(organization: &Organization) -> raw::Organization {
    use crate::access::credential::AccessListMode;
    let projects = organization.projects.iter();
    raw::Organization {
        id: organization.id.to_string(),
        name: Some(organization.name.to_string()),
        require_access_list: Some(match organization.mode {
            AccessListMode::Off => raw::Switch::Off,
            AccessListMode::Report => raw::Switch::Report,
            AccessListMode::Required => raw::Switch::Required,
        }),
        max_service_account_secret_validity_in_hours: organization.secret_hours,
        projects: projects
            .map(|project| raw::Project { id: project.id.to_string(), name: project.name.to_string() })
            .collect(),
        network_sets: organization.network_sets.iter().map(network_set).collect(),
        api_keys: Vec::new(),
        service_accounts: Vec::new(),
    }
}

fn network_set(set: &NetworkSet) -> raw::NetworkSet {
    raw::NetworkSet {
        name: set.name.to_string(),
        networks: Some(set.networks.iter().map(|network| raw::NetworkText(Ok(*network))).collect()),
        from: None,
        source: set.source.as_ref().map(FeedSource::of),
        owner: set.owner.as_deref().map(str::to_owned),
        comment: set.comment.as_deref().map(str::to_owned),
    }
}
