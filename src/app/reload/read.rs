//! Reads configuration and directory, each with a digest that tells whether it is another one than before.
//!
//! Never publishes anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agree;
use crate::access::snapshot::Snapshot;
use crate::app::{Chain, Origin, key_refresh};
use crate::clock::Clock;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Settings};
use crate::directory;
use crate::live::key_sets::KeySets;

/// Settings and what they were made from.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) settings: Settings,
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
    let (text, loaded) = match origin {
        Origin::File(path) => {
            // Read for the digest first: a change in between is found by the next look.
            let text = std::fs::read(path).unwrap_or_default();
            (text, crate::config::load(Some(path), Override::from_environment())?)
        }
        Origin::Defaults => (Vec::new(), crate::config::load(None, Override::from_environment())?),
        Origin::Text(text) => {
            (text.as_bytes().to_vec(), crate::config::parse("the demo", text, Path::new("."), Vec::new())?)
        }
    };
    let (settings, warnings) = loaded;
    let digest = crate::live::fingerprint::of_key(&text).0;
    Ok((Configuration { settings, digest }, warnings))
}

/// Reads and compiles the directory.
pub(super) fn directory(source: &DirectorySource, revision: u64) -> Result<(Compiled, Problems), Problems> {
    let begin = Instant::now();
    let (directory, warnings, digest, files, place) = match source {
        DirectorySource::Demonstration => {
            let place = Place::file("the demonstration directory");
            (directory::demonstration(), Problems::default(), [0; 32], Vec::new(), place)
        }
        DirectorySource::File(path) => {
            let loaded = directory::load(path, &directory::LoadOptions::default())?;
            let place = Place::file(path.display().to_string());
            (loaded.directory, loaded.warnings, loaded.digest, loaded.files_read, place)
        }
    };
    let compiled = directory.compile(revision);
    let snapshot = Arc::new(compiled.map_err(|fault| Problems::from(Problem::error(place, fault.to_string())))?);
    Ok((Compiled { snapshot, digest, files, took: begin.elapsed() }, warnings))
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

/// Whether the organizations that the settings name are there.
pub(super) fn agreement(origin: &Origin, settings: &Settings, snapshot: &Snapshot) -> Result<(), Problems> {
    let known = snapshot.organizations().map(|organization| organization.id());
    let problems = agree::unknown_organizations(&named(origin), &settings.gateway, known);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
