//! Reads configuration and directory, each with a digest that tells whether it is another one than before.
//!
//! Never publishes anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::agree;
use crate::access::id::Id;
use crate::access::snapshot::{Draft, Snapshot};
use crate::app::{Chain, Origin, memory};
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Settings};
use crate::config::{Examined, Named};
use crate::directory;
use crate::live::fingerprint;

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

/// The digest of a configuration's text and of the keys that it named when it was read, where all can be read.
pub(super) fn digest(path: &Path, settings: &Settings) -> Option<[u8; 32]> {
    let text = std::fs::read(path).ok()?;
    let read = |file: &PathBuf| Some(fingerprint::of_key(&Zeroizing::new(std::fs::read(file).ok()?)).0);
    let keys = key_files(settings).map(|(file, _)| read(file)).collect::<Option<Vec<_>>>()?;
    Some(combined(&text, keys.iter()))
}

/// The files of keys that a configuration names, and the SHA-256 of each as it was read.
pub(super) fn key_files(settings: &Settings) -> impl Iterator<Item = (&PathBuf, &[u8; 32])> {
    let digest = settings.gateway.credentials.digest.as_ref();
    let nonces = digest.and_then(|digest| digest.nonce_key.as_ref()).map(|key| (&key.file, &key.sha256));
    nonces.into_iter().chain(settings.gateway.receipt_keys.iter().map(|key| (&key.file, &key.sha256)))
}

/// Another key is another configuration, although its text is the same.
fn combined<'k>(text: &[u8], keys: impl Iterator<Item = &'k [u8; 32]>) -> [u8; 32] {
    let mut all = fingerprint::of_key(text).0.to_vec();
    all.extend(keys.flatten());
    fingerprint::of_key(&all).0
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
    let keys = examined.settings.iter().flat_map(key_files).map(|(_, sha256)| sha256);
    let digest = combined(&text, keys);
    (examined, digest)
}

/// What was found where a directory is kept.
pub(super) struct Found {
    pub(super) judged: Judged,
    /// Its organizations, where they can be told even if it is faulty.
    pub(super) organizations: Option<Vec<Id>>,
    /// The files that it was looked for in, also those that are missing.
    pub(super) files: Vec<PathBuf>,
}

/// Reads and compiles the directory.
pub(super) fn directory(source: &DirectorySource, revision: u64) -> Found {
    let begin = Instant::now();
    memory::prepare(source);
    let (directory, warnings, digest, files, place) = match source {
        DirectorySource::Demonstration => {
            let place = Place::file("the demonstration directory");
            (directory::demonstration(), Problems::default(), [0; 32], Vec::new(), place)
        }
        DirectorySource::Sqlite(path) => return stored(path, begin),
        DirectorySource::File(path) => {
            let directory::Examined { loaded, organizations, files } =
                directory::examine(path, &directory::LoadOptions::default());
            let loaded = match loaded {
                Ok(loaded) => loaded,
                Err(problems) => return Found { judged: Err(problems), organizations, files },
            };
            let place = Place::file(path.display().to_string());
            (loaded.directory, loaded.warnings, loaded.digest, files, place)
        }
    };
    let organizations = directory.organizations.iter().map(|one| one.id).collect();
    let compiled = directory.compile(revision).map_err(|fault| Problem::error(place, fault.to_string()).into());
    let judged = compiled.map(|snapshot| {
        let snapshot = Arc::new(snapshot);
        (Compiled { snapshot, digest, files: files.clone(), took: begin.elapsed() }, warnings)
    });
    Found { judged, organizations: Some(organizations), files }
}

/// What a store holds, without serving it.
fn stored(path: &Path, begin: Instant) -> Found {
    match directory::sqlite::look(path) {
        Ok(snapshot) => {
            let snapshot = Arc::new(snapshot.unwrap_or_else(|| Draft::new().finish(1)));
            let organizations = Some(snapshot.organizations().map(|one| one.id()).collect());
            let compiled = Compiled { snapshot, digest: [0; 32], files: Vec::new(), took: begin.elapsed() };
            Found { judged: Ok((compiled, Problems::default())), organizations, files: Vec::new() }
        }
        Err(fault) => {
            let problem = Problem::error(Place::file(path.display().to_string()), Chain(&fault).to_string());
            Found { judged: Err(problem.into()), organizations: None, files: Vec::new() }
        }
    }
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
