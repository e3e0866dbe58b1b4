//! The stage that every socket test plays on: a gateway on port 0 with a clock in the test's hand, an upstream that records
//! what reaches it, and a client that sends bytes exactly as they are written.
//!
//! Nothing sleeps to let something happen: whoever waits, waits for the thing itself, with a deadline.

mod client;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use portcullis::app::{self, Origin, Running};
use portcullis::clock::{Clock, Timestamp};

pub use client::{Answer, Client};
pub use upstream::{Seen, Upstream};

/// Where the tests' clock stands at the beginning: 2026-11-23T00:00:00Z.
pub const START: Timestamp = Timestamp::from_unix_seconds(1_795_392_000);

/// Nothing on a stage takes longer than this unless something is wrong.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// `acme` requires lists; its key `KEY` has the list 192.0.2.0/24, 2001:db8::/32 and 127.0.0.1.
pub const KEY: &str = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1";
/// A key of `acme` with an empty list.
pub const KEY_WITHOUT_LIST: &str = "acmebare.40395d07-a353-4881-853b-43efa41339a2";
/// A key of `open`, which does not require lists, with an empty list.
pub const KEY_OPEN: &str = "openbare.40395d07-a353-4881-853b-43efa41339a3";
/// A disabled key of `open`.
pub const KEY_DISABLED: &str = "disabled.40395d07-a353-4881-853b-43efa41339a4";
/// A key of `open` that expired before [`START`].
pub const KEY_EXPIRED: &str = "expiredk.40395d07-a353-4881-853b-43efa41339a5";

/// Organization `acme`.
pub const ACME: &str = "5f0000000000000000000001";
/// Organization `open`.
pub const OPEN: &str = "5f0000000000000000000002";

/// The SHA-256 of a key, as a directory file holds it.
pub fn sha256(key: &str) -> String {
    portcullis::live::fingerprint::of_key(key.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The directory that most tests use.
pub fn directory() -> String {
    let key = |key: &str| format!("public_key: {}, secret_sha256: {}", &key[..8], sha256(key));
    format!(
        "organizations:
  - id: {ACME}
    name: acme
    require_access_list: true
    projects: [{{ id: 5f0000000000000000000011, name: billing }}]
    api_keys:
      - id: 5f0000000000000000000021
        {}
        roles: [ORG_MEMBER, \"billing:GROUP_OWNER\"]
        access_list: [192.0.2.0/24, \"2001:db8::/32\", 127.0.0.1]
      - {{ id: 5f0000000000000000000022, {} }}
  - id: {OPEN}
    name: open
    require_access_list: false
    api_keys:
      - {{ id: 5f0000000000000000000023, {} }}
      - {{ id: 5f0000000000000000000024, {}, enabled: false }}
      - {{ id: 5f0000000000000000000025, {}, expires_at: 2026-01-01T00:00:00Z }}
",
        key(KEY).replace(", ", "\n        "),
        key(KEY_WITHOUT_LIST),
        key(KEY_OPEN),
        key(KEY_DISABLED),
        key(KEY_EXPIRED),
    )
}

/// What a test changes before the stage is set.
pub struct Setting {
    gateway: String,
    routes: String,
    directory: String,
    workers: usize,
    listen: String,
    directory_at: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Setting {
    /// One worker, header and Basic keys, no trusted proxy, everything to the recording upstream.
    pub fn new() -> Self {
        Self {
            gateway: String::new(),
            routes: "[{ path: /, upstream: api }]".into(),
            directory: directory(),
            workers: 1,
            listen: "{ address: \"127.0.0.1:0\" }".into(),
            directory_at: "directory.yaml".into(),
            files: Vec::new(),
        }
    }

    /// More lines of the `gateway:` section, without indentation.
    pub fn gateway(mut self, lines: &str) -> Self {
        for line in lines.lines() {
            self.gateway += &format!("  {line}\n");
        }
        self
    }

    /// The routes, as a YAML flow sequence. The upstream is called `api`.
    pub fn routes(mut self, routes: &str) -> Self {
        self.routes = routes.into();
        self
    }

    /// Another directory.
    pub fn directory(mut self, yaml: &str) -> Self {
        self.directory = yaml.into();
        self
    }

    /// More workers.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Another listener, as a YAML flow mapping.
    pub fn listen(mut self, listen: &str) -> Self {
        self.listen = listen.into();
        self
    }

    /// A file beside the configuration.
    pub fn file(mut self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.push((name.into(), text.as_ref().to_owned()));
        self
    }

    /// Where the directory is, in place of `directory.yaml`; the test writes it by [`Self::file`].
    pub fn directory_at(mut self, path: &str) -> Self {
        self.directory_at = path.into();
        self
    }

    /// Sets the stage with an upstream that answers 200 to everything.
    pub fn set(self) -> Stage {
        self.set_before(Upstream::start())
    }

    /// Sets the stage before this upstream.
    pub fn set_before(self, upstream: Upstream) -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let write = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is below the folder")).expect("the folder is ours");
            std::fs::write(path, text).expect("the folder is ours");
        };
        write("directory.yaml", self.directory.as_bytes());
        for (name, text) in &self.files {
            write(name, text);
        }
        let configuration = self.configuration(upstream.address());
        write("portcullis.yaml", configuration.as_bytes());
        let clock = Clock::manual(START);
        let prepared = app::prepare(Origin::File(folder.path().join("portcullis.yaml")))
            .unwrap_or_else(|problems| panic!("{}\n{configuration}", problems.render(false)));
        let running = app::start_with(prepared, clock.clone()).expect("the stage has its own ports");
        Stage { running: Some(running), folder, upstream, clock, configuration }
    }

    /// The configuration that the stage is set with.
    fn configuration(&self, upstream: SocketAddr) -> String {
        let upstreams = match self.gateway.contains("  upstreams:") {
            true => String::new(),
            false => format!("  upstreams: {{ api: {{ endpoints: [\"http://{upstream}\"] }} }}\n"),
        };
        format!(
            "gateway:
  listen: [{}]
  workers: {}
  drain_timeout: 2s
  drain_idle: 10ms
  routes: {}
{}{}directory: {{ file: {} }}
telemetry: {{ listen: \"127.0.0.1:0\", access_log: {{ to: file, file: access.log }} }}
",
            self.listen,
            self.workers,
            self.routes,
            upstreams,
            self.gateway.replace("UPSTREAM", &upstream.to_string()),
            self.directory_at,
        )
    }
}

/// A running gateway and its upstream.
pub struct Stage {
    running: Option<Running>,
    folder: tempfile::TempDir,
    /// What stands behind the gateway.
    pub upstream: Upstream,
    /// The data plane's clock.
    pub clock: Clock,
    configuration: String,
}

impl Stage {
    /// An ordinary stage.
    pub fn new() -> Self {
        Setting::new().set()
    }

    /// Where the gateway listens.
    pub fn gateway(&self) -> SocketAddr {
        self.running().gateway_addresses()[0]
    }

    /// Where probes and metrics are.
    pub fn telemetry(&self) -> SocketAddr {
        self.running().telemetry_address()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it is taken only when the stage is dropped")
    }

    /// A new connection to the gateway.
    pub fn connect(&self) -> Client {
        Client::connect(self.gateway())
    }

    /// Sends raw bytes on a connection of their own and reads one answer.
    pub fn send(&self, raw: impl AsRef<[u8]>) -> Answer {
        self.connect().send(raw)
    }

    /// `GET path` with these header lines, each `Name: value`.
    pub fn get(&self, path: &str, headers: &[&str]) -> Answer {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(format!("GET {path} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n"))
    }

    /// A path in the stage's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration's text.
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Puts another file in place by a rename.
    pub fn replace(&self, name: &str, text: impl AsRef<[u8]>) {
        let aside = self.path(&format!(".{}.next", name.replace('/', "-")));
        std::fs::write(&aside, text).expect("the folder is ours");
        std::fs::rename(aside, self.path(name)).expect("the folder is ours");
    }

    /// The body of a telemetry page.
    pub fn telemetry_page(&self, path: &str) -> Answer {
        Client::connect(self.telemetry()).send(format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"))
    }

    /// The value of a metric, labels included in the name as `/metrics` writes them; 0 where it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.telemetry_page("/metrics").text();
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        page.lines().find_map(value).unwrap_or(0.0)
    }

    /// The lines that the access log has by now.
    pub fn log(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path("access.log")).unwrap_or_default();
        // The last line may be half written.
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}")))
            .collect()
    }

    /// The access log as soon as it has this many lines.
    pub fn log_of(&self, lines: usize) -> Vec<serde_json::Value> {
        let mut log = Vec::new();
        wait_for("access-log lines", || {
            log = self.log();
            log.len() >= lines
        });
        log
    }

    /// Waits until the directory revision is at least this.
    pub fn wait_for_revision(&self, revision: f64) {
        wait_for("the revision", || self.metric("portcullis_snapshot_revision") >= revision);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// Waits for something to be so, looking often.
#[track_caller]
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
