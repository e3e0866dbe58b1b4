//! Configuration and directory, from their files to what is published: at start, and again whenever they change.
//!
//! Both are judged together, because routes and issuers name organizations and HA1s are made for a realm. What is faulty is refused whole and the last
//! good state stays; nothing is ever applied in part.

pub mod agree;
mod read;
mod reloader;
mod stamp;

use std::sync::Arc;

use super::Origin;
use crate::clock::Clock;
use crate::config::Examined;
use crate::config::diagnostic::{Problem, Problems, Severity};
use crate::config::settings::Settings;
use crate::live::key_sets::{KeySets, RefreshWish};
use crate::live::published::Published;
use crate::telemetry::metrics::Metrics;
use read::{Compiled, Configuration};
pub(super) use reloader::{Interest, Look, Looked, Reloader};

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

/// Reads and judges everything that serving needs.
///
/// # Errors
/// Every problem of the configuration, of the directory that it names and of its other files.
pub fn prepare(origin: Origin) -> Result<Prepared, Problems> {
    let (examined, digest) = read::examined(&origin);
    let Examined { settings, mut problems, directory, named } = examined;
    let wish = RefreshWish::default();
    let keys = settings.as_ref().and_then(|settings| {
        let material = read::material(&origin, settings, &KeySets::new(wish.clone()));
        material.map_err(|found| problems.append(found)).ok()
    });
    let compiled = directory.and_then(|source| {
        let (compiled, known) = read::directory_with_organizations(&source, 1);
        if let Some(known) = known {
            problems.append(agree::unknown_organizations(&named.organizations, known));
        }
        let (compiled, found) = apart(compiled);
        problems.append(found);
        if let Some(compiled) = &compiled {
            problems.append(agree::foreign_realms(&named, read::realms(&compiled.snapshot)));
        }
        compiled
    });
    let whole = settings.zip(keys).zip(compiled);
    let (((settings, keys), directory), warnings) = problems.unless_refused(whole)?;
    let configuration = Configuration { settings, named, digest };
    Ok(Prepared { origin, configuration, directory, keys, wish, warnings })
}

/// The value where there is one, and what was found, whether or not it refuses the value.
fn apart<T>(read: Result<(T, Problems), Problems>) -> (Option<T>, Problems) {
    match read {
        Ok((value, warnings)) => (Some(value), warnings),
        Err(problems) => (None, problems),
    }
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
        tell(&self.warnings, "");
        let gateway = Arc::clone(&self.configuration.settings.gateway);
        let published = Published::new(gateway, Arc::new(self.keys))?;
        // Nothing was published before, so that nothing is newer.
        let _ = published.publish_snapshot(Arc::clone(&self.directory.snapshot));
        metrics.configuration_applied();
        metrics.snapshot_applied(&self.directory.snapshot, self.directory.took);
        tell_applied(&self.directory);
        let reloader =
            Reloader::new(self.origin, self.configuration, self.directory, Arc::clone(&published), metrics, clock);
        Ok((published, reloader))
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
