//! Looks at the files again and publishes what has changed and is good.
//!
//! A good directory never waits for a faulty configuration, nor the other way round: a key that was taken away has to stop
//! working whatever else is wrong. Only what does not go together is refused together.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::{self, Compiled, Configuration};
use super::stamp::Stamp;
use super::{tell, tell_applied};
use crate::app::{Chain, Origin};
use crate::clock::Clock;
use crate::config::diagnostic::Problems;
use crate::config::settings::{AccessLogSink, DirectorySource, Settings};
use crate::live::key_sets::KeySets;
use crate::live::published::Published;
use crate::net::tls::TlsFault;
use crate::telemetry::metrics::Metrics;

/// Reads the certificates of the listeners again.
pub(in crate::app) type Certificates = Box<dyn Fn() -> Result<(), TlsFault> + Send>;

/// How much a look may spare itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Look {
    /// Files are read where the file system says that something is different.
    IfTouched,
    /// Somebody asked for it: everything is read.
    Thorough,
}

/// How a look went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Looked {
    /// All is as the files say, or refused and told.
    Done,
    /// A file changed while it was read: look again soon.
    Unsettled,
}

/// Where a change matters.
#[derive(Debug, Default)]
pub(in crate::app) struct Interest {
    /// Folders to watch.
    pub(in crate::app) folders: HashSet<PathBuf>,
    /// Names of files in any of them.
    names: HashSet<OsString>,
    /// Folders in which every file counts.
    whole: HashSet<PathBuf>,
    /// What changes all the time and says nothing.
    noise: Option<OsString>,
}

impl Interest {
    /// Whether an event at this path may matter: an access log beside the configuration changes all the time and does not.
    pub(in crate::app) fn concerns(&self, path: &Path) -> bool {
        if self.noise.is_some() && path.file_name() == self.noise.as_deref() {
            return false;
        }
        self.folders.contains(path)
            || path.parent().is_some_and(|folder| self.whole.contains(folder))
            // Kubernetes swaps a link of this name.
            || path.file_name().is_none_or(|name| name == "..data" || self.names.contains(name))
    }

    fn file(&mut self, path: &Path) {
        self.folders.insert(folder_of(path));
        self.names.extend(path.file_name().map(OsString::from));
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// What was looked at.
#[derive(Clone, Copy)]
enum What {
    Configuration,
    Directory,
}

/// Looks at the files again and publishes what has changed.
pub(in crate::app) struct Reloader {
    origin: Origin,
    configuration: Configuration,
    directory: Compiled,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    clock: Clock,
    certificates: Option<Certificates>,
    /// The problems told last, by `What`, so that one fault is told and counted once and not on every look.
    refused: [Option<String>; 2],
    /// What the file system said at the last look, where a change since would show.
    stamp: Option<Stamp>,
    certificate_stamp: Stamp,
}

impl Reloader {
    pub(super) fn new(
        origin: Origin,
        configuration: Configuration,
        directory: Compiled,
        published: Arc<Published>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let mut new = Self {
            origin,
            configuration,
            directory,
            published,
            metrics,
            clock,
            certificates: None,
            refused: [None, None],
            stamp: None,
            certificate_stamp: Stamp::default(),
        };
        new.certificate_stamp = Stamp::of(new.certificate_files());
        new
    }

    /// Has certificates read again too.
    pub(in crate::app) fn set_certificates(&mut self, certificates: Certificates) {
        self.certificates = Some(certificates);
    }

    /// Where a change may matter, by the present state of things.
    pub(in crate::app) fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        if let AccessLogSink::File(path) = &self.configuration.settings.access_log.sink {
            interest.noise = path.file_name().map(OsString::from);
        }
        let sources = self.sources();
        for path in sources.iter().cloned().chain(self.certificate_files()) {
            interest.file(&path);
            // A link may lead to another folder, where the file itself changes.
            if let Ok(real) = path.canonicalize() {
                interest.file(&real);
            }
            if path.is_dir() {
                interest.folders.insert(path.clone());
                interest.whole.insert(path);
            }
        }
        if self.is_refused() {
            // What is missing may be a file whose name is not known yet.
            interest.whole.clone_from(&interest.folders);
        }
        interest
    }

    fn is_refused(&self) -> bool {
        self.refused.iter().any(Option::is_some)
    }

    /// Everything that configuration and directory were read from.
    fn sources(&self) -> Vec<PathBuf> {
        let mut paths = self.directory.files.clone();
        if let Origin::File(path) = &self.origin {
            paths.push(path.clone());
        }
        if let DirectorySource::File(path) = &self.configuration.settings.directory {
            paths.push(path.clone());
        }
        let digest = self.configuration.settings.gateway.credentials.digest.as_ref();
        paths.extend(digest.and_then(|digest| digest.nonce_key.as_ref()).map(|key| key.file.clone()));
        paths
    }

    fn certificate_files(&self) -> Vec<PathBuf> {
        let listeners = self.configuration.settings.sockets.listen.iter().filter_map(|listen| listen.tls.as_ref());
        listeners.flat_map(|tls| [tls.certificate.clone(), tls.private_key.clone()]).collect()
    }

    /// Reads everything again; publishes what is good and has changed, tells and counts what is faulty.
    pub(in crate::app) fn look(&mut self, look: Look) -> Looked {
        self.look_at_certificates(look);
        let stamp = Stamp::of(self.sources());
        // What was refused may have been missing a file that no stamp knows.
        if look == Look::IfTouched && !self.is_refused() && self.stamp.as_ref() == Some(&stamp) {
            return Looked::Done;
        }
        let configuration = self.new_configuration();
        let directory = self.new_directory();
        if !Stamp::of(self.sources()).agrees_with(&stamp) {
            // Somebody is writing: what was read may be half of it.
            self.stamp = None;
            return Looked::Unsettled;
        }
        self.stamp = stamp.is_settled(Clock::system().now()).then_some(stamp);
        self.judge(configuration, directory);
        Looked::Done
    }

    fn look_at_certificates(&mut self, look: Look) {
        let Some(reload) = &self.certificates else { return };
        let stamp = Stamp::of(self.certificate_files());
        if look == Look::IfTouched && stamp == self.certificate_stamp {
            return;
        }
        match reload() {
            Ok(()) if stamp != self.certificate_stamp => tracing::info!("certificates read again"),
            Ok(()) => {}
            Err(fault) => {
                tracing::error!(error = %Chain(&fault), "certificates refused; the last good ones stay");
            }
        }
        self.certificate_stamp = stamp;
    }

    /// The configuration, where it is another one; `None` where it is the one that serves.
    fn new_configuration(&self) -> Result<Option<(Configuration, Problems)>, Problems> {
        match &self.origin {
            Origin::File(_) => read::configuration(&self.origin)
                .map(|read| Some(read).filter(|(new, _)| new.digest != self.configuration.digest)),
            Origin::Defaults | Origin::Text(_) => Ok(None),
        }
    }

    /// The directory, where it is another one; `None` where it is the one that serves.
    fn new_directory(&self) -> Result<Option<(Compiled, Problems)>, Problems> {
        match &self.configuration.settings.directory {
            DirectorySource::Demonstration => Ok(None),
            source @ DirectorySource::File(_) => read::directory(source, self.directory.snapshot.revision() + 1)
                .map(|read| Some(read).filter(|(new, _)| new.digest != self.directory.digest)),
        }
    }

    fn judge(
        &mut self,
        configuration: Result<Option<(Configuration, Problems)>, Problems>,
        directory: Result<Option<(Compiled, Problems)>, Problems>,
    ) {
        let before = self.published.current();
        let with_keys = configuration.and_then(|read| match read {
            None => Ok(None),
            Some((new, warnings)) => {
                let keys = read::material(&self.origin, &new.settings, &before.keys)?;
                Ok(Some((new, keys, warnings)))
            }
        });
        let (mut configuration, mut in_configuration) = apart(with_keys);
        let (mut directory, mut in_directory) = apart(directory);
        let goes = |configuration: Option<&Configuration>, compiled: Option<&Compiled>| {
            let configuration = configuration.unwrap_or(&self.configuration);
            let compiled = compiled.unwrap_or(&self.directory);
            read::agreement(&configuration.named, &compiled.snapshot)
        };
        let settings = configuration.as_ref().map(|(new, ..)| new);
        let compiled = directory.as_ref().map(|(new, _)| new);
        if let Err(problems) = goes(settings, compiled) {
            // What goes with the state that serves is taken by itself.
            let directory_alone = goes(None, compiled).is_ok();
            let configuration_alone = goes(settings, None).is_ok();
            if directory_alone || !configuration_alone {
                in_configuration = in_configuration.or(configuration.take().map(|_| problems.clone()));
            }
            if !directory_alone {
                in_directory = in_directory.or(directory.take().map(|_| problems));
            }
        }
        self.apply(configuration, directory);
        self.settle(What::Configuration, in_configuration);
        self.settle(What::Directory, in_directory);
    }

    /// Tells of problems once, and that there are none any more.
    fn settle(&mut self, what: What, problems: Option<Problems>) {
        let Some(problems) = problems else {
            if self.refused[what as usize].take().is_some()
                && let What::Directory = what
            {
                self.metrics.directory_unchanged();
            }
            return;
        };
        let told = problems.to_string();
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
        tell(&problems, &format!("{word} refused: "));
        let revision = self.directory.snapshot.revision();
        tracing::error!(problems = problems.len(), revision, "the last good {word} stays");
        self.refused[what as usize] = Some(told);
    }

    /// Publishes what is new, in one step.
    fn apply(&mut self, settings: Option<(Configuration, KeySets, Problems)>, compiled: Option<(Compiled, Problems)>) {
        let gateway = settings.as_ref().map(|(new, ..)| Arc::clone(&new.settings.gateway));
        let snapshot = compiled.as_ref().map(|(new, _)| Arc::clone(&new.snapshot));
        let keys = settings.as_ref().map(|(_, keys, _)| Arc::new(keys.clone()));
        if let Err(outdated) = self.published.publish(gateway.zip(keys), snapshot) {
            tracing::warn!(at = %self.clock.now(), "{outdated}");
            return;
        }
        if let Some((new, _, warnings)) = settings {
            tell(&warnings, "");
            self.keep(new);
            self.metrics.configuration_applied();
            tracing::info!("configuration applied");
        }
        if let Some((new, warnings)) = compiled {
            tell(&warnings, "");
            self.metrics.snapshot_applied(&new.snapshot, new.took);
            tell_applied(&new);
            self.directory = new;
        }
    }

    /// Remembers a configuration that serves now; what needs a restart stays as it serves.
    fn keep(&mut self, new: Configuration) {
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
        let settings = Settings { gateway: new.settings.gateway, ..old.clone() };
        self.configuration = Configuration { settings, named: new.named, digest: new.digest };
    }
}

/// What was read, and what is wrong.
fn apart<T>(read: Result<Option<T>, Problems>) -> (Option<T>, Option<Problems>) {
    match read {
        Ok(read) => (read, None),
        Err(problems) => (None, Some(problems)),
    }
}
