//! Configuration and directory, from their files to what is published: at start, and again whenever they change.
//!
//! Both are judged together, because routes and issuers name organizations. What is faulty is refused whole and the last
//! good state stays; nothing is ever applied in part.

pub mod agree;
mod read;
mod reloader;
mod stamp;

use std::sync::Arc;

use super::Origin;
use crate::clock::Clock;
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
/// Every problem of the configuration; where it has none, every problem of the directory and of the files that the
/// configuration names.
pub fn prepare(origin: Origin) -> Result<Prepared, Problems> {
    let (configuration, mut warnings) = read::configuration(&origin)?;
    let wish = RefreshWish::default();
    let material = read::material(&origin, &configuration.settings, &KeySets::new(wish.clone()));
    let compiled = read::directory(&configuration.settings.directory, 1).and_then(|(compiled, more)| {
        read::agreement(&origin, &configuration.settings, &compiled.snapshot)?;
        Ok((compiled, more))
    });
    match (material, compiled) {
        (Ok(keys), Ok((directory, more))) => {
            warnings.append(more);
            Ok(Prepared { origin, configuration, directory, keys, wish, warnings })
        }
        (material, compiled) => {
            let mut problems = material.err().unwrap_or_default();
            problems.append(compiled.err().unwrap_or_default());
            Err(problems)
        }
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
