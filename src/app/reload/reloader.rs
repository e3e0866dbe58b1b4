//! Looks at the files again and publishes what has changed and is good.
//!
//! A good directory never waits for a faulty configuration, nor the other way round: a key that was taken away has to stop
//! working whatever else is wrong. Only what does not go together is refused together.

use std::path::PathBuf;
use std::sync::Arc;

use super::interest::Interest;
use super::read::{self, Compiled, Configuration};
use super::stamp::Stamp;
use super::{agree, tell, tell_applied};
use crate::app::Origin;
use crate::clock::Clock;
use crate::config::diagnostic::Problems;
use crate::config::settings::{AccessLogSink, DirectorySource, Settings};
use crate::live::key_sets::KeySets;
use crate::live::published::Published;
use crate::net::tls::files::{Authorities, Certificates, TlsFiles};
use crate::proxy::TlsInUse;
use crate::telemetry::metrics::Metrics;

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

/// What was looked at.
#[derive(Clone, Copy)]
enum What {
    Configuration,
    Directory,
    /// The files that the configuration that serves speaks TLS with.
    Tls,
}

/// What serves.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) configuration: Configuration,
    pub(super) directory: Compiled,
    pub(super) tls: TlsFiles,
}

/// A configuration with everything that it needs, judged and not yet published.
struct New {
    configuration: Configuration,
    keys: KeySets,
    authorities: Authorities,
    warnings: Problems,
}

/// What was read anew of the files that what serves speaks TLS with.
struct NewTls {
    certificates: Result<Certificates, Problems>,
    authorities: Result<Authorities, Problems>,
}

/// What was read: something new, nothing new, or what is wrong with it.
type Read<T> = Result<Option<T>, Problems>;

/// Looks at the files again and publishes what has changed.
pub(in crate::app) struct Reloader {
    origin: Origin,
    serving: Serving,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    clock: Clock,
    data_plane: Option<TlsInUse>,
    /// The problems told last, by `What`, so that one fault is told and counted once and not on every look.
    refused: [Option<String>; 3],
    /// What the last look wanted to read for something that it then refused: what is missing there may come.
    wanted: Vec<PathBuf>,
    /// What the file system said at the last look, where a change since would show.
    stamp: Option<Stamp>,
}

impl Reloader {
    pub(super) fn new(
        origin: Origin,
        serving: Serving,
        published: Arc<Published>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let refused = [None, None, None];
        let wanted = Vec::new();
        Self { origin, serving, published, metrics, clock, data_plane: None, refused, wanted, stamp: None }
    }

    /// Who speaks TLS with what is read here.
    pub(in crate::app) fn hand_tls_to(&mut self, data_plane: TlsInUse) {
        self.data_plane = Some(data_plane);
    }

    /// Where a change may matter, by the present state of things.
    pub(in crate::app) fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        if let AccessLogSink::File(path) = &self.settings().access_log.sink {
            interest.noise(path);
        }
        self.sources().iter().chain(&self.wanted).for_each(|path| interest.path(path));
        if self.is_refused() {
            interest.everything();
        }
        interest
    }

    fn settings(&self) -> &Settings {
        &self.serving.configuration.settings
    }

    fn is_refused(&self) -> bool {
        self.refused.iter().any(Option::is_some)
    }

    /// Everything that configuration, directory and certificates were read from.
    fn sources(&self) -> Vec<PathBuf> {
        let mut paths = self.serving.directory.files.clone();
        if let Origin::File(path) = &self.origin {
            paths.push(path.clone());
        }
        paths.extend(named_by(self.settings()));
        paths
    }

    /// Reads everything again; publishes what is good and has changed, tells and counts what is faulty.
    pub(in crate::app) fn look(&mut self, look: Look) -> Looked {
        let stamp = Stamp::of(self.sources());
        // What was refused may have been missing a file that no stamp knows.
        if look == Look::IfTouched && !self.is_refused() && self.stamp.as_ref() == Some(&stamp) {
            return Looked::Done;
        }
        self.wanted.clear();
        let directory = self.new_directory();
        // Behind what may take seconds: it goes by the key sets of this moment.
        let configuration = self.new_configuration();
        let tls = self.new_tls();
        if !Stamp::of(self.sources()).agrees_with(&stamp) {
            // Somebody is writing: what was read may be half of it.
            self.stamp = None;
            return Looked::Unsettled;
        }
        self.stamp = stamp.is_settled(Clock::system().now()).then_some(stamp);
        self.judge(configuration, directory, tls);
        Looked::Done
    }

    /// The configuration with what it needs, where it is another one; `None` where it is the one that serves.
    fn new_configuration(&mut self) -> Read<New> {
        let Origin::File(path) = &self.origin else { return Ok(None) };
        // The text that serves is good; whether the files that it names still are is judged apart from it.
        if read::digest(path, self.settings()) == Some(self.serving.configuration.digest) {
            return Ok(None);
        }
        let (configuration, warnings) = read::configuration(&self.origin)?;
        let keys = &self.published.current().keys;
        let material = agree::material(&read::named(&self.origin), &configuration.settings, keys, &self.serving.tls);
        let (keys, tls) = material.inspect_err(|_| self.wanted.extend(named_by(&configuration.settings)))?;
        Ok(Some(New { configuration, keys, authorities: tls.authorities, warnings }))
    }

    /// The directory, where it is another one; `None` where it is the one that serves.
    fn new_directory(&mut self) -> Read<(Compiled, Problems)> {
        match &self.settings().directory {
            // A store tells of its changes itself.
            DirectorySource::Demonstration | DirectorySource::Sqlite(_) => Ok(None),
            source @ DirectorySource::File(_) => {
                let found = read::directory(source, self.serving.directory.snapshot.revision() + 1);
                let read = found.judged.inspect_err(|_| self.wanted.extend(found.files))?;
                Ok(Some(read).filter(|(new, _)| new.digest != self.serving.directory.digest))
            }
        }
    }

    /// The certificates and authorities of what serves: a configuration that is refused for other reasons does not keep
    /// them from being renewed.
    fn new_tls(&self) -> NewTls {
        let (place, settings, before) = (read::named(&self.origin), self.settings(), &self.serving.tls);
        NewTls {
            certificates: agree::certificates(&place, &settings.sockets, &before.certificates),
            authorities: agree::authorities(&place, &settings.gateway, &before.authorities),
        }
    }

    fn judge(&mut self, configuration: Read<New>, directory: Read<(Compiled, Problems)>, tls: NewTls) {
        let before = self.published.current();
        let (mut configuration, mut in_configuration) = apart(configuration);
        let (mut directory, mut in_directory) = apart(directory);
        let goes = |configuration: Option<&Configuration>, compiled: Option<&Compiled>| {
            let configuration = configuration.unwrap_or(&self.serving.configuration);
            // What is published may be newer than what was read here: a store changes by itself.
            let published = before.snapshot.as_ref().unwrap_or(&self.serving.directory.snapshot);
            let snapshot = compiled.map_or(published, |compiled| &compiled.snapshot);
            read::agreement(&configuration.named, snapshot)
        };
        let settings = configuration.as_ref().map(|new| &new.configuration);
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
        let (tls, in_tls) = self.combined(tls, configuration.as_ref());
        self.apply_tls(tls);
        self.apply(configuration, directory);
        self.settle(What::Configuration, in_configuration);
        self.settle(What::Directory, in_directory);
        self.settle(What::Tls, in_tls);
    }

    /// Certificates of the listeners that serve, and authorities of the upstreams that are about to: each as it was read, or
    /// as it serves where something in it can't be used.
    fn combined(&self, read: NewTls, configuration: Option<&New>) -> (TlsFiles, Option<Problems>) {
        let (mut tls, mut problems) = (self.serving.tls.clone(), Problems::default());
        match read.certificates {
            Ok(certificates) => tls.certificates = certificates,
            Err(found) => problems.append(found),
        }
        match (configuration, read.authorities) {
            (Some(new), _) => tls.authorities = new.authorities.clone(),
            (None, Ok(authorities)) => tls.authorities = authorities,
            (None, Err(found)) => problems.append(found),
        }
        (tls, Some(problems).filter(|problems| !problems.is_empty()))
    }

    fn apply_tls(&mut self, tls: TlsFiles) {
        let Some(data_plane) = &self.data_plane else { return };
        let news = !tls.is_same(&self.serving.tls);
        if news {
            data_plane.replace(&tls);
            tracing::info!("certificates applied");
        }
        self.serving.tls = tls;
    }

    /// Tells of problems once, and that there are none any more.
    fn settle(&mut self, what: What, problems: Option<Problems>) {
        let word = match what {
            What::Configuration => "configuration",
            What::Directory => "directory",
            What::Tls => "certificate",
        };
        let Some(problems) = problems else {
            if self.refused[what as usize].take().is_some() {
                if let What::Directory = what {
                    self.metrics.directory_unchanged();
                }
                tracing::info!("no fault in the {word} any more");
            }
            return;
        };
        let told = problems.to_string();
        if self.refused[what as usize].as_ref() == Some(&told) {
            return;
        }
        match what {
            What::Directory => self.metrics.directory_refused(),
            // Certificates belong to the configuration, and the same people have to look.
            What::Configuration | What::Tls => self.metrics.configuration_refused(),
        }
        tell(&problems, &format!("{word} refused: "));
        let revision = self.serving.directory.snapshot.revision();
        tracing::error!(problems = problems.len(), revision, "the last good {word} stays");
        self.refused[what as usize] = Some(told);
    }

    /// Publishes what is new, in one step.
    fn apply(&mut self, configuration: Option<New>, compiled: Option<(Compiled, Problems)>) {
        let settings = configuration.as_ref().map(|new| {
            let gateway = Arc::clone(&new.configuration.settings.gateway);
            (gateway, Arc::new(new.keys.clone()))
        });
        let snapshot = compiled.as_ref().map(|(new, _)| Arc::clone(&new.snapshot));
        if let Err(outdated) = self.published.publish(settings, snapshot) {
            tracing::warn!(at = %self.clock.now(), "{outdated}");
            return;
        }
        if let Some(new) = configuration {
            tell(&new.warnings, "");
            self.keep(new.configuration);
            self.metrics.configuration_applied();
            tracing::info!("configuration applied");
        }
        if let Some((new, warnings)) = compiled {
            tell(&warnings, "");
            self.metrics.snapshot_applied(&new.snapshot, new.took);
            tell_applied(&new);
            self.serving.directory = new;
        }
    }

    /// Remembers a configuration that serves now; what needs a restart stays as it serves.
    fn keep(&mut self, new: Configuration) {
        let old = self.settings();
        for (section, changed) in [
            ("gateway.listen, gateway.workers or gateway.drain_timeout", old.sockets != new.settings.sockets),
            ("directory", old.directory != new.settings.directory),
            ("admin", old.admin != new.settings.admin),
            ("telemetry.listen", old.telemetry != new.settings.telemetry),
            ("telemetry.access_log", old.access_log != new.settings.access_log),
        ] {
            if changed {
                tracing::warn!(section, "changed, and takes effect with a restart only");
            }
        }
        let settings = Settings { gateway: new.settings.gateway, ..old.clone() };
        self.serving.configuration = Configuration { settings, named: new.named, digest: new.digest };
    }
}

/// The files that a configuration names.
fn named_by(settings: &Settings) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let DirectorySource::File(path) = &settings.directory {
        paths.push(path.clone());
    }
    let listeners = settings.sockets.listen.iter().filter_map(|listen| listen.tls.as_ref());
    paths.extend(listeners.flat_map(|tls| tls.paths().cloned()));
    paths.extend(settings.gateway.upstreams.iter().flat_map(|upstream| upstream.tls.files.paths().cloned()));
    paths.extend(read::key_files(settings).map(|(file, _)| file.clone()));
    paths
}

/// What was read, and what is wrong.
fn apart<T>(read: Read<T>) -> (Option<T>, Option<Problems>) {
    match read {
        Ok(read) => (read, None),
        Err(problems) => (None, Some(problems)),
    }
}
