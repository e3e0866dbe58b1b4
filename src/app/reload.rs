//! Configuration and directory, from their files to what is published: at start, and again whenever they change.
//!
//! Both are read and judged together, because routes and issuers name organizations. What is faulty is refused whole and the
//! last good state stays; nothing is ever applied in part.

mod agree;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Origin, key_refresh};
use crate::access::snapshot::Snapshot;
use crate::clock::Clock;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Settings};
use crate::directory;
use crate::live::key_sets::{KeySets, RefreshWish};
use crate::live::published::Published;
use crate::telemetry::metrics::Metrics;

/// A configuration and a directory that have been read, judged and compiled, and that nobody serves yet.
#[derive(Debug)]
pub struct Prepared {
    origin: Origin,
    configuration: Configuration,
    directory: Compiled,
    keys: KeySets,
    wish: RefreshWish,
    warnings: Problems,
}

/// Settings and what they were made from.
#[derive(Debug, Clone)]
struct Configuration {
    settings: Settings,
    digest: [u8; 32],
}

/// A snapshot and what it was made from.
#[derive(Debug, Clone)]
struct Compiled {
    snapshot: Arc<Snapshot>,
    digest: [u8; 32],
    files: Vec<PathBuf>,
    took: Duration,
}

/// Reads and judges everything that serving needs.
///
/// # Errors
/// Every problem of the configuration, or else of the directory.
pub fn prepare(origin: Origin) -> Result<Prepared, Problems> {
    let (configuration, mut warnings) = read_configuration(&origin)?;
    let (directory, more) = read_directory(&configuration.settings.directory, 1)?;
    warnings.append(more);
    agree::check(&origin, &configuration.settings, &directory.snapshot)?;
    let wish = RefreshWish::default();
    let keys = read_keys(&origin, &configuration.settings, &KeySets::new(wish.clone()))?;
    Ok(Prepared { origin, configuration, directory, keys, wish, warnings })
}

fn named(origin: &Origin) -> Place {
    match origin {
        Origin::File(path) => Place::file(path.display().to_string()),
        Origin::Defaults => Place::file("the defaults"),
        Origin::Text(_) => Place::file("the demo"),
    }
}

fn read_configuration(origin: &Origin) -> Result<(Configuration, Problems), Problems> {
    let overrides = || Override::among(std::env::vars());
    let (text, loaded) = match origin {
        Origin::File(path) => {
            // Read for the digest first: a change in between is found by the next look.
            let text = std::fs::read(path).unwrap_or_default();
            (text, crate::config::load(Some(path), overrides())?)
        }
        Origin::Defaults => (Vec::new(), crate::config::load(None, overrides())?),
        Origin::Text(text) => {
            (text.as_bytes().to_vec(), crate::config::parse("the demo", text, Path::new("."), Vec::new())?)
        }
    };
    let (settings, warnings) = loaded;
    let digest = crate::live::fingerprint::of_key(&text).0;
    Ok((Configuration { settings, digest }, warnings))
}

fn read_directory(source: &DirectorySource, revision: u64) -> Result<(Compiled, Problems), Problems> {
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

fn read_keys(origin: &Origin, settings: &Settings, before: &KeySets) -> Result<KeySets, Problems> {
    key_refresh::load(&settings.gateway, before, &Clock::system()).map_err(|faults| {
        let mut problems = Problems::default();
        for fault in faults {
            problems.push(Problem::error(named(origin), super::Chain(&fault).to_string()));
        }
        problems
    })
}

impl Prepared {
    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.configuration.settings
    }

    /// What somebody should look at.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    pub(super) fn wish(&self) -> &RefreshWish {
        &self.wish
    }

    /// Publishes it, and hands over what keeps it current.
    pub(super) fn publish(self, metrics: Arc<Metrics>, clock: Clock) -> std::io::Result<(Arc<Published>, Reloader)> {
        for warning in self.warnings.iter() {
            tracing::warn!(place = %warning.place, "{}", warning.message);
        }
        let gateway = Arc::clone(&self.configuration.settings.gateway);
        let published = Published::new(gateway, Arc::new(self.keys))?;
        // Nothing was published before, so that nothing is newer.
        let _ = published.publish_snapshot(Arc::clone(&self.directory.snapshot));
        metrics.configuration_applied();
        metrics.snapshot_applied(&self.directory.snapshot, self.directory.took);
        tell_applied(&self.directory);
        let reloader = Reloader {
            origin: self.origin,
            configuration: self.configuration,
            directory: self.directory,
            published: Arc::clone(&published),
            metrics,
            clock,
            refused: [None, None],
        };
        Ok((published, reloader))
    }
}

fn tell_applied(directory: &Compiled) {
    let snapshot = &directory.snapshot;
    tracing::info!(
        revision = snapshot.revision(),
        credentials = snapshot.len(),
        bytes = snapshot.bytes(),
        seconds = directory.took.as_secs_f64(),
        "directory applied"
    );
}

/// What was looked at and refused.
#[derive(Clone, Copy)]
enum What {
    Configuration,
    Directory,
}

/// Looks at the files again and publishes what has changed.
pub(super) struct Reloader {
    origin: Origin,
    configuration: Configuration,
    directory: Compiled,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// The problems told last, by `What`, so that one fault is told and counted once and not on every look.
    refused: [Option<String>; 2],
}

impl Reloader {
    /// Folders in which a change may matter.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let parent = |path: &Path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut folders: Vec<PathBuf> = self.directory.files.iter().map(|file| parent(file)).collect();
        if let Origin::File(path) = &self.origin {
            folders.push(parent(path));
        }
        if let DirectorySource::File(path) = &self.configuration.settings.directory {
            folders.push(parent(path));
            if path.is_dir() {
                folders.push(path.clone());
            }
        }
        folders.sort_unstable();
        folders.dedup();
        folders
    }

    /// Reads everything again; publishes what is good and has changed, tells and counts what is faulty.
    pub(super) fn look(&mut self) {
        let configuration = match &self.origin {
            Origin::File(_) => self.judged(What::Configuration, read_configuration(&self.origin)),
            Origin::Defaults | Origin::Text(_) => None,
        };
        let configuration = configuration.filter(|new| new.digest != self.configuration.digest);
        let source = &self.configuration.settings.directory;
        let read = match source {
            DirectorySource::Demonstration => None,
            DirectorySource::File(_) => {
                let next = self.directory.snapshot.revision() + 1;
                self.judged(What::Directory, read_directory(source, next))
            }
        };
        let directory = read.filter(|new| new.digest != self.directory.digest);
        if configuration.is_none() && directory.is_none() {
            return;
        }
        let settings = configuration.as_ref().map_or(&self.configuration.settings, |new| &new.settings);
        let snapshot = directory.as_ref().map_or(&self.directory.snapshot, |new| &new.snapshot);
        let agreed = agree::check(&self.origin, settings, snapshot);
        let before = self.published.current();
        let keys = agreed.and_then(|()| read_keys(&self.origin, settings, &before.keys));
        let keys = match keys {
            Ok(keys) => keys,
            Err(problems) => {
                let what = if directory.is_some() { What::Directory } else { What::Configuration };
                self.refuse(what, &problems);
                return;
            }
        };
        if let Some(new) = configuration {
            self.apply_configuration(new, keys);
        }
        if let Some(new) = directory {
            self.apply_directory(new);
        }
    }

    /// The value, where there are no problems; otherwise they are told.
    fn judged<T>(&mut self, what: What, read: Result<(T, Problems), Problems>) -> Option<T> {
        match read {
            Ok((value, _)) => {
                if self.refused[what as usize].take().is_some()
                    && let What::Directory = what
                {
                    self.metrics.directory_unchanged();
                }
                Some(value)
            }
            Err(problems) => {
                self.refuse(what, &problems);
                None
            }
        }
    }

    fn refuse(&mut self, what: What, problems: &Problems) {
        let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        if self.refused[what as usize].as_ref() == Some(&told) {
            return;
        }
        let word = match what {
            What::Configuration => {
                self.metrics.configuration_refused();
                "configuration"
            }
            What::Directory => {
                self.metrics.directory_refused();
                "directory"
            }
        };
        for problem in problems.iter() {
            tracing::error!(place = %problem.place, help = problem.help.as_deref(), "{word} refused: {}", problem.message);
        }
        tracing::error!(
            problems = problems.len(),
            revision = self.directory.snapshot.revision(),
            "the last good {word} stays"
        );
        self.refused[what as usize] = Some(told);
    }

    fn apply_configuration(&mut self, new: Configuration, keys: KeySets) {
        let old = &self.configuration.settings;
        for (section, changed) in [
            ("gateway.listen, gateway.workers or gateway.drain_timeout", old.sockets != new.settings.sockets),
            ("directory", old.directory != new.settings.directory),
            ("telemetry.listen", old.telemetry != new.settings.telemetry),
            ("telemetry.access_log", old.access_log != new.settings.access_log),
        ] {
            if changed {
                tracing::warn!(section, "changed, and takes effect with a restart only");
            }
        }
        self.published.publish_settings(Arc::clone(&new.settings.gateway), Arc::new(keys));
        self.metrics.configuration_applied();
        tracing::info!("configuration applied");
        // What needs a restart stays as it serves.
        let settings = Settings { gateway: new.settings.gateway, ..old.clone() };
        self.configuration = Configuration { settings, digest: new.digest };
    }

    fn apply_directory(&mut self, new: Compiled) {
        match self.published.publish_snapshot(Arc::clone(&new.snapshot)) {
            Ok(()) => {
                self.metrics.snapshot_applied(&new.snapshot, new.took);
                tell_applied(&new);
                self.directory = new;
            }
            Err(outdated) => tracing::warn!(at = %self.clock.now(), "{outdated}"),
        }
    }
}
