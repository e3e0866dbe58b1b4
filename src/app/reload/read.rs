//! Reads configuration and directory, each with a digest that tells whether it is another one than before.
//!
//! Never publishes anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agree;
use crate::access::id::Id;
use crate::access::snapshot::{Draft, Snapshot};
use crate::app::{Chain, Origin};
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Settings};
use crate::config::{Examined, NamedOrganization};
use crate::directory;

/// Settings and what they were made from.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) settings: Settings,
    /// What the directory has to have.
    pub(super) organizations: Vec<NamedOrganization>,
    pub(super) digest: [u8; 32],
}

/// A snapshot and what it was made from.
#[derive(Debug, Clone)]
pub(in crate::app) struct Compiled {
    pub(in crate::app) snapshot: Arc<Snapshot>,
    pub(in crate::app) digest: [u8; 32],
    pub(in crate::app) files: Vec<PathBuf>,
    pub(in crate::app) took: Duration,
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

/// The digest of a configuration's text, where it can be read.
pub(super) fn digest(path: &Path) -> Option<[u8; 32]> {
    std::fs::read(path).ok().map(|text| crate::live::fingerprint::of_key(&text).0)
}

/// Reads the configuration.
pub(super) fn configuration(origin: &Origin) -> Result<(Configuration, Problems), Problems> {
    let (examined, digest) = examined(origin);
    let Examined { settings, problems, organizations, .. } = examined;
    let (settings, warnings) = problems.unless_refused(settings)?;
    Ok((Configuration { settings, organizations, digest }, warnings))
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
    (examined, crate::live::fingerprint::of_key(&text).0)
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
        DirectorySource::Sqlite(path) => return stored(path, begin),
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

/// What a store holds, without serving it.
fn stored(path: &Path, begin: Instant) -> (Judged, Option<Vec<Id>>) {
    match directory::sqlite::look(path) {
        Ok(snapshot) => {
            let snapshot = Arc::new(snapshot.unwrap_or_else(|| Draft::new().finish(1)));
            let known = snapshot.organizations().map(|one| one.id()).collect();
            (
                Ok((
                    Compiled { snapshot, digest: [0; 32], files: Vec::new(), took: begin.elapsed() },
                    Problems::default(),
                )),
                Some(known),
            )
        }
        Err(fault) => {
            (Err(Problem::error(Place::file(path.display().to_string()), Chain(&fault).to_string()).into()), None)
        }
    }
}

/// Whether the organizations that the configuration names are there.
pub(super) fn agreement(named: &[NamedOrganization], snapshot: &Snapshot) -> Result<(), Problems> {
    let known = snapshot.organizations().map(|organization| organization.id());
    let problems = agree::unknown_organizations(named, known);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
