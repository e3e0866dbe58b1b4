//! Reads configuration and directory, each with a digest that tells whether it is another one than before.
//!
//! Never publishes anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};

use super::agree;
use crate::access::id::Id;
use crate::access::snapshot::Snapshot;
use crate::app::{Chain, Origin, key_refresh};
use crate::clock::Clock;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Settings};
use crate::config::{Examined, Named};
use crate::directory;
use crate::live::key_sets::KeySets;

/// Settings and what they were made from.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) settings: Settings,
    /// What the directory has to have.
    pub(super) named: Named,
    pub(super) digest: [u8; 32],
}

/// A snapshot and what it was made from.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) digest: [u8; 32],
    pub(super) files: Vec<PathBuf>,
    pub(super) took: Duration,
}

/// A directory with its warnings, or everything that refuses it.
pub(super) type Judged = Result<(Compiled, Problems), Problems>;

/// What problems of the configuration as a whole are reported with.
pub(super) fn named(origin: &Origin) -> Place {
    match origin {
        Origin::File(path) => Place::file(path.display().to_string()),
        Origin::Defaults => Place::file("the defaults"),
        Origin::Text(_) => Place::file("the demo"),
    }
}

/// Reads the configuration.
pub(super) fn configuration(origin: &Origin) -> Result<(Configuration, Problems), Problems> {
    let (examined, digest) = examined(origin);
    let Examined { settings, problems, named, .. } = examined;
    let (settings, warnings) = problems.unless_refused(settings)?;
    Ok((Configuration { settings, named, digest }, warnings))
}

/// Reads the configuration, good or not, with its digest.
pub(super) fn examined(origin: &Origin) -> (Examined, [u8; 32]) {
    let (text, examined) = match origin {
        Origin::File(path) => {
            // Read for the digest first: a change in between is found by the next look.
            let text = std::fs::read(path).unwrap_or_default();
            (text, crate::config::examine(Some(path), Override::from_environment()))
        }
        Origin::Defaults => (Vec::new(), crate::config::examine(None, Override::from_environment())),
        Origin::Text(text) => {
            (text.as_bytes().to_vec(), crate::config::examine_text("the demo", text, Path::new("."), Vec::new()))
        }
    };
    let mut digest = Context::new(&SHA256);
    digest.update(&text);
    // Another nonce key is another configuration, although its text is the same.
    let of_digest = examined.settings.as_ref().and_then(|settings| settings.gateway.credentials.digest.as_ref());
    if let Some(key) = of_digest.and_then(|of_digest| of_digest.nonce_key.as_ref()) {
        digest.update(&key.sha256);
    }
    let mut bytes = [0; 32];
    // SHA-256 is 32 bytes long, so this never panics.
    bytes.copy_from_slice(digest.finish().as_ref());
    (examined, bytes)
}

/// Reads and compiles the directory.
pub(super) fn directory(source: &DirectorySource, revision: u64) -> Judged {
    directory_with_organizations(source, revision).0
}

/// Reads and compiles the directory; with it its organizations, where they can be told even if it is faulty.
pub(super) fn directory_with_organizations(source: &DirectorySource, revision: u64) -> (Judged, Option<Vec<Id>>) {
    let begin = Instant::now();
    let (directory, warnings, digest, files, place) = match source {
        DirectorySource::Demonstration => {
            let place = Place::file("the demonstration directory");
            (directory::demonstration(), Problems::default(), [0; 32], Vec::new(), place)
        }
        DirectorySource::File(path) => {
            let directory::Examined { loaded, organizations } =
                directory::examine(path, &directory::LoadOptions::default());
            let loaded = match loaded {
                Ok(loaded) => loaded,
                Err(problems) => return (Err(problems), organizations),
            };
            let place = Place::file(path.display().to_string());
            (loaded.directory, loaded.warnings, loaded.digest, loaded.files_read, place)
        }
    };
    let organizations = directory.organizations.iter().map(|one| one.id).collect();
    let compiled = directory.compile(revision).map_err(|fault| Problem::error(place, fault.to_string()).into());
    let compiled = compiled
        .map(|snapshot| (Compiled { snapshot: Arc::new(snapshot), digest, files, took: begin.elapsed() }, warnings));
    (compiled, Some(organizations))
}

/// What the settings need besides themselves: key sets, and certificates that can be used.
pub(super) fn material(origin: &Origin, settings: &Settings, before: &KeySets) -> Result<KeySets, Problems> {
    let place = named(origin);
    let mut problems = agree::unusable_files(&place, settings);
    match key_refresh::load(&settings.gateway, before, &Clock::system()) {
        Ok(keys) if problems.is_empty() => return Ok(keys),
        Ok(_) => {}
        Err(faults) => {
            for fault in faults {
                problems.push(Problem::error(place.clone(), Chain(&fault).to_string()));
            }
        }
    }
    Err(problems)
}

/// Whether the organizations that the configuration names are there, and HA1s are for its realm.
pub(super) fn agreement(named: &Named, snapshot: &Snapshot) -> Result<(), Problems> {
    let known = snapshot.organizations().map(|organization| organization.id());
    let mut problems = agree::unknown_organizations(&named.organizations, known);
    problems.append(agree::foreign_realms(named, realms(snapshot)));
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// For what realms there are HA1s, and whose.
pub(super) fn realms(snapshot: &Snapshot) -> impl Iterator<Item = (Id, &str)> {
    snapshot
        .digest_users()
        .flat_map(|user| user.secrets().iter().map(|secret| (user.credential().id(), &*secret.realm)))
}
