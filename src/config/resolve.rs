//! Makes settings of a configuration as it was written: judges every value, fills in every default, names every fault.
//!
//! Never stops at the first fault and never skips a value that it does not like.
//! The defaults of the program are here, each in one place.

mod admin;
mod clients;
mod credentials;
mod digest;
mod feeds;
mod key_file;
mod listeners;
mod names;
mod receipts;
mod routes;
mod single_sign_on;
mod upstreams;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::document::{Document, Finding, Path, Step, path};
use super::raw;
use super::settings::{
    AccessLogSettings, AccessLogSink, AdminSettings, DirectorySource, Gateway, Limits, Outbound, Settings,
    TelemetrySettings, Timeouts,
};
use super::units;
use crate::access::id::Id;

/// The store where no directory is configured, beside the configuration.
const DEFAULT_STORE: &str = "portcullis.db";

/// What was found so far, and the folder that relative paths start from.
pub(super) struct Resolve<'a> {
    pub(super) folder: &'a FilePath,
    /// Asked for what it could not read.
    pub(super) document: &'a Document,
    pub(super) findings: Vec<Finding>,
    /// What the configuration names as its directory.
    pub(super) directory: Option<DirectorySource>,
    /// Organizations that are named, and where.
    pub(super) organizations: Vec<(Path, Id)>,
    /// The realm of Digest, and where it stands.
    pub(super) digest_realm: Option<(Path, String)>,
}

impl Resolve<'_> {
    /// The settings where anything could be made of them; the findings say whether they may be used.
    pub(super) fn settings(&mut self, raw: &raw::Configuration) -> Option<Settings> {
        let sockets = self.sockets(&raw.gateway);
        let asked = |one: &raw::Listen| {
            one.proxy_protocol.is_none() && one.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
        };
        let nobody_asked = !raw.gateway.listen.iter().flatten().any(asked) && !self.lost(&path!["gateway", "listen"]);
        let no_certificate = nobody_asked.then_some(
            "no listener asks for one; set `tls: { client_ca: … }` of one without `proxy_protocol`, behind which no certificate \
             counts",
        );
        let client_address =
            self.client_address(path!["gateway", "client_address"], &raw.gateway.client_address, no_certificate);
        // A store makes tokens of its own.
        let makes_tokens = raw.directory.as_ref().is_none_or(|directory| directory.sqlite.is_some());
        let credentials = self.credentials(&raw.gateway.credentials, makes_tokens, no_certificate);
        let (upstreams, names) = self.upstreams(raw.gateway.upstreams.as_ref());
        let routes = self.routes(raw.gateway.routes.as_deref(), &names);
        let limits = self.limits(&raw.gateway.limits);
        let timeouts = self.timeouts(&raw.gateway.timeouts);
        let outbound = Outbound {
            forwarded: raw.gateway.outbound.forwarded,
            identity_headers: raw.gateway.outbound.identity_headers.unwrap_or(true),
            overrides: raw.gateway.outbound.overrides,
        };
        let receipt_keys = self.receipt_keys(&raw.gateway.receipts);
        let feeds = self.feeds(&raw.feeds, makes_tokens);
        let directory = self.directory(raw.directory.as_ref());
        self.directory.clone_from(&directory);
        let admin = self.admin(raw.admin.as_ref(), directory.as_ref(), sockets.as_ref());
        if raw.admin.as_ref().is_some_and(|admin| admin.tokens.on_gateway) {
            self.tokens_on_gateway(raw.gateway.routes.as_deref(), makes_tokens);
        }
        if raw.admin.as_ref().is_some_and(|admin| admin.single_sign_on.is_some()) && !makes_tokens {
            let message = "people are kept in a store; set `directory: { sqlite: … }`, or take `single_sign_on` out";
            self.error(path!["admin", "single_sign_on"], message);
        }
        let telemetry = self.telemetry(&raw.telemetry, &sockets, admin.as_ref().and_then(Option::as_ref));
        let access_log = self.access_log(&raw.telemetry.access_log);
        let gateway = Gateway {
            client_address: client_address?,
            credentials: credentials?,
            routes,
            upstreams,
            limits: limits?,
            timeouts: timeouts?,
            outbound,
            receipt_keys: receipt_keys?,
            feeds: feeds?,
        };
        Some(Settings {
            sockets: sockets?,
            gateway: Arc::new(gateway),
            directory: directory?,
            admin: admin?,
            telemetry: telemetry?,
            access_log: access_log?,
        })
    }

    fn limits(&mut self, raw: &raw::Limits) -> Option<Limits> {
        let at = path!["gateway", "limits"];
        let header = match &raw.max_header_bytes {
            None => Some(64 * 1024),
            Some(word) => self.parsed(step(&at, "max_header_bytes"), units::size(&word.0)).and_then(|bytes| {
                // hyper refuses a smaller buffer, and a larger one is a way to fill the memory.
                let fits = usize::try_from(bytes).ok().filter(|bytes| (8 * 1024..=16 * 1024 * 1024).contains(bytes));
                if fits.is_none() {
                    let message = format!("`{}` is not between 8KiB and 16MiB", word.0);
                    self.findings.push(Finding::error(step(&at, "max_header_bytes"), message));
                }
                fits
            }),
        };
        let body = match raw.max_body_bytes.as_ref().map(|word| word.0.as_str()) {
            None | Some("unlimited") => Some(None),
            Some(text) => {
                let size = units::size(text).map_err(|fault| format!("{fault}, or unlimited"));
                self.parsed(step(&at, "max_body_bytes"), size).map(Some)
            }
        };
        let clients = self.client_limits(raw);
        Some(Limits {
            max_header_bytes: header?,
            max_headers: raw.max_headers.unwrap_or(100) as usize,
            max_body_bytes: body?,
            max_connections: raw.max_connections.unwrap_or(16_384) as usize,
            max_streams: raw.max_streams.unwrap_or(100),
            clients: clients?,
        })
    }

    fn timeouts(&mut self, raw: &raw::Timeouts) -> Option<Timeouts> {
        let at = path!["gateway", "timeouts"];
        let header = self.duration(&at, "header", raw.header.as_ref(), 10);
        let body_idle = self.duration(&at, "body_idle", raw.body_idle.as_ref(), 60);
        let keep_alive = self.duration(&at, "keep_alive", raw.keep_alive.as_ref(), 75);
        let tunnel_idle = self.duration(&at, "tunnel_idle", raw.tunnel_idle.as_ref(), 3_600);
        let pace = self.pace(&at, raw);
        Some(Timeouts {
            header: header?,
            body_idle: body_idle?,
            keep_alive: keep_alive?,
            tunnel_idle: tunnel_idle?,
            pace: pace?,
        })
    }

    fn directory(&mut self, raw: Option<&raw::Directory>) -> Option<DirectorySource> {
        let Some(raw) = raw else {
            // Not where it is there and can't be read: that is a fault of its own.
            let unread = self.lost(&path!["directory"]);
            return (!unread).then(|| DirectorySource::Sqlite(self.folder.join(DEFAULT_STORE)));
        };
        let later = [("postgres", &raw.postgres), ("follow", &raw.follow)];
        for (kind, _) in later.iter().filter(|(_, given)| given.is_some()) {
            let message = format!(
                "a directory of kind `{kind}` is not in this version; use `file: directory.yaml` or `sqlite: portcullis.db`"
            );
            self.findings.push(Finding::error(path!["directory", *kind], message).at_key());
        }
        let demonstration = raw.demonstration == Some(true);
        match (&raw.file, &raw.sqlite, demonstration) {
            (Some(file), None, false) => self.file_name(path!["directory", "file"], file).map(DirectorySource::File),
            (None, Some(file), false) => {
                self.file_name(path!["directory", "sqlite"], file).map(DirectorySource::Sqlite)
            }
            (None, None, true) => Some(DirectorySource::Demonstration),
            (None, None, false) => {
                let kinds = ["file", "demonstration", "sqlite", "postgres", "follow"];
                let unread = kinds.iter().any(|key| self.lost(&path!["directory", *key]));
                if later.iter().all(|(_, given)| given.is_none()) && !unread {
                    let message =
                        "the directory names no source; write `file: directory.yaml` or `sqlite: portcullis.db`";
                    self.findings.push(Finding::error(path!["directory"], message).at_key());
                }
                None
            }
            (_, _, true) => {
                let message = "`demonstration: true` and another source exclude each other; keep one";
                self.findings.push(Finding::error(path!["directory", "demonstration"], message).at_key());
                None
            }
            (Some(_), Some(_), false) => {
                let message = "`file` and `sqlite` exclude each other; keep one";
                self.findings.push(Finding::error(path!["directory", "sqlite"], message).at_key());
                None
            }
        }
    }

    fn access_log(&mut self, raw: &raw::AccessLog) -> Option<AccessLogSettings> {
        let at = path!["telemetry", "access_log"];
        let sink = match (raw.to, &raw.file) {
            (None | Some(raw::Sink::Stdout), None) => Some(AccessLogSink::Stdout),
            (Some(raw::Sink::Off), None) => Some(AccessLogSink::Off),
            (None | Some(raw::Sink::File), Some(file)) => {
                self.file_name(step(&at, "file"), file).map(AccessLogSink::File)
            }
            (Some(raw::Sink::File), None) => {
                if !self.lost(&step(&at, "file")) {
                    self.error(step(&at, "to"), "`to: file` needs the name of a file in `file`");
                }
                None
            }
            (Some(_), Some(_)) => {
                self.error(step(&at, "file"), "`file` needs `to: file`; take one of both out");
                None
            }
        };
        Some(AccessLogSettings { sink: sink?, query: raw.query })
    }

    fn telemetry(
        &mut self,
        raw: &raw::Telemetry,
        sockets: &Option<super::settings::Sockets>,
        admin: Option<&AdminSettings>,
    ) -> Option<TelemetrySettings> {
        let at = path!["telemetry", "listen"];
        let text = raw.listen.as_ref().map_or("127.0.0.1:8082", |word| word.0.as_str());
        let listen = self.socket_address(at.clone(), text)?;
        let taken =
            sockets.iter().flat_map(|sockets| &sockets.listen).any(|one| listeners::collide(one.address, listen));
        if taken {
            self.error(at, format!("`{listen}` is an address of the gateway already; choose another port"));
        } else if admin.is_some_and(|admin| listeners::collide(admin.listen, listen)) {
            self.error(at, format!("`{listen}` is the address of the admin API already; choose another port"));
        }
        Some(TelemetrySettings { listen })
    }

    /// Whether what belongs at a path could not be read, so that its absence is no fault of its own.
    fn lost(&self, at: &Path) -> bool {
        self.document.lost(at)
    }

    /// Adds an error.
    fn error(&mut self, at: Path, message: impl Into<String>) {
        self.findings.push(Finding::error(at, message));
    }

    /// The value, or its fault as a finding.
    fn parsed<T, E: ToString>(&mut self, at: Path, result: Result<T, E>) -> Option<T> {
        result.map_err(|fault| self.error(at, fault.to_string())).ok()
    }

    fn duration(&mut self, around: &Path, key: &str, word: Option<&raw::Word>, seconds: u64) -> Option<Duration> {
        match word {
            None => Some(Duration::from_secs(seconds)),
            Some(word) => self.parsed(step(around, key), units::duration(&word.0)),
        }
    }

    /// A path as it is opened: relative ones start at the configuration's folder.
    fn file_name(&mut self, at: Path, text: &str) -> Option<PathBuf> {
        if text.trim().is_empty() {
            self.error(at, "the name of a file is missing");
            return None;
        }
        Some(self.folder.join(text))
    }

    /// A path of a file that can be read now.
    fn readable_file(&mut self, at: Path, text: &str) -> Option<PathBuf> {
        let file = self.file_name(at.clone(), text)?;
        let opened = std::fs::metadata(&file).and_then(|about| match about.is_dir() {
            true => Err(std::io::Error::other("it is a folder")),
            false => std::fs::File::open(&file).map(drop),
        });
        match opened {
            Ok(()) => Some(file),
            Err(fault) => {
                self.error(at, format!("file `{}` can't be read: {fault}", file.display()));
                None
            }
        }
    }
}

/// A path one step further.
fn step(around: &Path, next: impl Into<Step>) -> Path {
    let mut path = around.clone();
    path.push(next.into());
    path
}

#[cfg(test)]
mod tests;
