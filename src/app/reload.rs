//! Configuration and directory, from their files to what is published: at start, and again whenever they change.
//!
//! Both are judged together, because routes and issuers name organizations and HA1s are made for a realm. What is faulty is refused whole and the last
//! good state stays; nothing is ever applied in part.

pub mod agree;
mod interest;
mod read;
mod reloader;
mod stamp;

use std::sync::Arc;

use super::{Origin, store};
use crate::clock::Clock;
use crate::config::diagnostic::{Problem, Problems, Severity};
use crate::config::settings::{DirectorySource, Settings};
use crate::config::{Examined, Named};
use crate::control;
use crate::live::key_sets::{KeySets, RefreshWish};
use crate::live::published::Published;
use crate::net::tls::files::TlsFiles;
use crate::telemetry::metrics::Metrics;
pub(super) use interest::Interest;
pub(in crate::app) use read::Compiled;
use read::Configuration;
use reloader::Serving;
pub(super) use reloader::{Look, Looked, Reloader};

/// A configuration that has been read and judged with all that it names, but for the directory, which may take long.
#[derive(Debug)]
pub struct Outlined {
    origin: Origin,
    configuration: Configuration,
    keys: KeySets,
    tls: TlsFiles,
    wish: RefreshWish,
    warnings: Problems,
}

/// A configuration and a directory that have been read, judged and compiled, and that nobody serves yet.
#[derive(Debug)]
pub struct Prepared {
    outlined: Outlined,
    directory: FirstDirectory,
}

/// The directory that a start begins with.
#[derive(Debug)]
pub(super) struct FirstDirectory {
    compiled: Compiled,
    warnings: Problems,
    /// The store that it comes from, where it comes from one.
    pub(super) store: Option<control::Opened>,
}

/// Reads and judges everything that listening needs. Where that is faulty the directory is read all the same, so that one
/// run names every problem.
///
/// # Errors
/// Every problem of the configuration and of its other files; with them, those of the directory.
pub fn outline(origin: Origin) -> Result<Outlined, Problems> {
    let (examined, digest) = read::examined(&origin);
    let Examined { settings, mut problems, directory, named } = examined;
    let wish = RefreshWish::default();
    let material = settings.as_ref().and_then(|settings| {
        let keys = KeySets::new(wish.clone());
        let material = agree::material(&read::named(&origin), settings, &keys, &TlsFiles::default());
        material.map_err(|found| problems.append(found)).ok()
    });
    match problems.unless_refused(settings.zip(material)) {
        Ok(((settings, (keys, tls)), warnings)) => {
            let configuration = Configuration { settings, named, digest };
            Ok(Outlined { origin, configuration, keys, tls, wish, warnings })
        }
        Err(mut problems) => {
            if let Some(source) = directory {
                problems.append(judged_directory(&source, &named).1);
            }
            Err(problems)
        }
    }
}

/// Reads and judges everything that serving needs.
///
/// # Errors
/// Every problem of the configuration, of the directory that it names and of its other files.
pub fn prepare(origin: Origin) -> Result<Prepared, Problems> {
    let outlined = outline(origin)?;
    let directory = outlined.read_directory(&Clock::system())?;
    Ok(Prepared { outlined, directory })
}

/// The directory where it can be used, and what was found, also where it goes with the configuration.
fn judged_directory(source: &DirectorySource, named: &Named) -> (Option<Compiled>, Problems) {
    let found = read::directory(source, 1);
    let unknown = |known| agree::unknown_organizations(&named.organizations, known);
    let mut problems = found.organizations.map(unknown).unwrap_or_default();
    let (compiled, found) = match found.judged {
        Ok((compiled, warnings)) => (Some(compiled), warnings),
        Err(problems) => (None, problems),
    };
    problems.append(found);
    if let Some(compiled) = &compiled {
        problems.append(agree::foreign_realms(named, read::realms(&compiled.snapshot)));
    }
    (compiled, problems)
}

impl Outlined {
    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.configuration.settings
    }

    /// Keeps the key sets of foreign issuers current.
    pub(super) fn wish(&self) -> &RefreshWish {
        &self.wish
    }

    /// The certificates and authorities that were read.
    pub(super) fn tls(&self) -> &TlsFiles {
        &self.tls
    }

    /// Reads and compiles the directory, which takes as long as it is large. A store is made where there is none, and is
    /// this process's alone from here on.
    ///
    /// # Errors
    /// Every problem of the directory, after the warnings of the configuration.
    pub(super) fn read_directory(&self, clock: &Clock) -> Result<FirstDirectory, Problems> {
        let named = &self.configuration.named;
        let (first, found) = match &self.settings().directory {
            DirectorySource::Sqlite(path) => match store::open(path, self.settings(), clock) {
                Ok((compiled, store)) => {
                    let found = read::agreement(named, &compiled.snapshot).err().unwrap_or_default();
                    (Some(FirstDirectory { compiled, warnings: Problems::default(), store: Some(store) }), found)
                }
                Err(problems) => (None, problems),
            },
            source => {
                let (compiled, found) = judged_directory(source, named);
                (
                    compiled.map(|compiled| FirstDirectory { compiled, warnings: Problems::default(), store: None }),
                    found,
                )
            }
        };
        match found.unless_refused(first) {
            Ok((first, warnings)) => Ok(FirstDirectory { warnings, ..first }),
            Err(found) => {
                let mut problems = self.warnings.clone();
                problems.append(found);
                Err(problems)
            }
        }
    }

    /// Publishes the settings without a directory: nothing is allowed yet.
    pub(super) fn publish(&self, metrics: &Metrics) -> std::io::Result<Arc<Published>> {
        tell(&self.warnings, "");
        let gateway = Arc::clone(&self.configuration.settings.gateway);
        let published = Published::new(gateway, Arc::new(self.keys.clone()))?;
        metrics.configuration_applied();
        Ok(published)
    }

    /// Publishes the first directory, and hands over what keeps everything current.
    pub(super) fn complete(
        self,
        directory: Compiled,
        warnings: &Problems,
        published: &Arc<Published>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Reloader {
        tell(warnings, "");
        // Nothing was published before, so that nothing is newer.
        let _ = published.publish_snapshot(Arc::clone(&directory.snapshot));
        metrics.snapshot_applied(&directory.snapshot, directory.took);
        tell_applied(&directory);
        let serving = Serving { configuration: self.configuration, directory, tls: self.tls };
        Reloader::new(self.origin, serving, Arc::clone(published), metrics, clock)
    }
}

impl FirstDirectory {
    /// What is published, what somebody should look at, and the store.
    pub(super) fn into_parts(self) -> (Compiled, Problems, Option<control::Opened>) {
        (self.compiled, self.warnings, self.store)
    }
}

impl Prepared {
    /// The settings.
    pub fn settings(&self) -> &Settings {
        self.outlined.settings()
    }

    /// Its two halves.
    pub(super) fn into_parts(self) -> (Outlined, FirstDirectory) {
        (self.outlined, self.directory)
    }
}

/// One log line a problem.
fn tell(problems: &Problems, before: &str) {
    for Problem { severity, place, message, help, .. } in problems.iter() {
        let help = help.as_deref();
        match severity {
            Severity::Error => tracing::error!(%place, help, "{before}{message}"),
            Severity::Warning => tracing::warn!(%place, help, "{message}"),
        }
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
