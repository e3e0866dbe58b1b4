//! A served store with an owner's key, and calls of its admin API.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::programs::{PORTCULLIS, Running, program};
use crate::served::Served;
use crate::stage::{Answer, Client, wait_for};

/// The key that the store is begun with, as Basic takes it.
pub const OWNER: &str = "ownerkey:40395d07-a353-4881-853b-43efa41339a1";

/// What the office serves by.
pub const CONFIGURATION: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 2
  drain_timeout: 1s
  drain_idle: 10ms
  limits: { failed_attempts: off }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\", entries_per_list: 5, api_keys_per_organization: 6, service_accounts_per_organization: 3 }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
";

/// A running program with a store.
pub struct Office {
    pub served: Served,
    folder: tempfile::TempDir,
    admin: SocketAddr,
    /// Id of the first organization.
    pub organization: String,
}

/// A key that was made.
pub struct Key {
    pub id: String,
    /// As Basic takes it.
    pub pair: String,
}

impl Key {
    /// Of an answer that shows it.
    #[track_caller]
    pub fn of(shown: &Value) -> Self {
        let text = |name: &str| shown[name].as_str().unwrap_or_else(|| panic!("{shown:#}")).to_owned();
        Self { id: text("id"), pair: format!("{}:{}", text("publicKey"), text("privateKey")) }
    }

    /// The header line that a caller of the gateway sends.
    pub fn header(&self) -> String {
        format!("X-API-Key: {}", self.pair.replacen(':', ".", 1))
    }
}

impl Office {
    /// A new store.
    pub fn open() -> Self {
        Self::open_with(CONFIGURATION)
    }

    /// A new store behind another configuration.
    pub fn open_with(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("portcullis.yaml"), configuration).unwrap();
        Self::serve(folder)
    }

    fn serve(folder: tempfile::TempDir) -> Self {
        Self::serve_by(folder, &[("PORTCULLIS_BOOTSTRAP_ORG", "acme"), ("PORTCULLIS_BOOTSTRAP_API_KEY", OWNER)])
    }

    /// A new store that nobody has signed up to yet, behind another configuration.
    pub fn begun_by_nobody(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("portcullis.yaml"), configuration).unwrap();
        Self::serve_by(folder, &[])
    }

    /// A store that was closed.
    pub fn again(folder: tempfile::TempDir) -> Self {
        Self::serve_by(folder, &[])
    }

    /// A new store that is begun by other variables.
    pub fn open_by(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("portcullis.yaml"), CONFIGURATION).unwrap();
        Self::serve_by(folder, variables)
    }

    fn serve_by(folder: tempfile::TempDir, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PORTCULLIS);
        command.args(["serve", "--config", "portcullis.yaml"]).current_dir(folder.path());
        command.envs(variables.iter().copied());
        let served = Served::watch(&mut command);
        let address = |served: &Served| -> Option<SocketAddr> {
            let log = served.log();
            let line = log.iter().find(|line| line["message"] == "the admin API is served")?;
            line["address"].as_str()?.parse().ok()
        };
        wait_for("the admin API", || address(&served).is_some() || served.log_has(Value::is_string));
        let admin = address(&served).unwrap_or_else(|| panic!("{:#?}", served.log()));
        let mut office = Self { served, folder, admin, organization: String::new() };
        let organizations = office.call(OWNER, "GET", "/orgs", "");
        office.organization = organizations.json()["results"][0]["id"].as_str().unwrap_or_default().to_owned();
        office
    }

    /// Ends the program by a signal, and starts it again on the same store.
    pub fn reopen(mut self, signal: &str) -> Self {
        self.served.signal(signal);
        self.served.ended();
        Self::serve(self.folder)
    }

    /// Ends the program and leaves its files.
    pub fn close(mut self) -> tempfile::TempDir {
        self.served.signal("TERM");
        self.served.ended();
        self.folder
    }

    /// Where the admin API is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The thread that makes changes gets SIGKILL at its n-th call of these kinds. Returns when strace is attached.
    pub fn injected(&mut self, calls: &str, at: usize) -> Running {
        self.traced(calls, &["-e", &format!("inject={calls}:signal=KILL:when={at}")]).0
    }

    /// Each call of these kinds fails for the thread that makes changes. Returns when strace is attached.
    pub fn failing(&mut self, calls: &str, error: &str) -> Running {
        self.traced(calls, &["-e", &format!("inject={calls}:error={error}")]).0
    }

    /// The calls of these kinds that the thread of changes makes from now on, until the tracer is ended.
    pub fn counted(&mut self, calls: &str) -> (Running, JoinHandle<String>) {
        self.traced(calls, &[])
    }

    fn traced(&mut self, calls: &str, inject: &[&str]) -> (Running, JoinHandle<String>) {
        let process = self.served.id();
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
        let is_control = |task: &std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "control")
        };
        let task = tasks.into_iter().find(is_control).unwrap().file_name().into_string().unwrap();
        let mut command = Command::new(program("strace"));
        command.args(["-p", &task, "-e", &format!("trace={calls}")]).args(inject);
        let mut tracer = Running::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let mut told = BufReader::new(tracer.child().stderr.take().unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        assert!(line.contains("attached"), "{line}");
        // Whoever writes to a pipe that nobody reads is killed for it.
        let told = std::thread::spawn(move || {
            let mut calls = String::new();
            // What can't be read is not counted.
            let _ = told.read_to_string(&mut calls);
            calls
        });
        (tracer, told)
    }

    /// Starts again after the program was killed.
    pub fn revived(mut self) -> Self {
        self.served.ended();
        Self::serve(self.folder)
    }

    /// A file of the office.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection to the admin API.
    pub fn connect(&self) -> Client {
        Client::connect(self.admin)
    }

    /// `METHOD /api/v1PATH` with a JSON body, by a key.
    pub fn call(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        self.connect().send(request(key, method, &format!("/api/v1{path}"), body, ""))
    }

    /// By the owner, below the organization.
    pub fn own(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call(OWNER, method, &format!("/orgs/{}{path}", self.organization), body)
    }

    /// Any path, with more header lines.
    pub fn raw(&self, key: &str, method: &str, path: &str, body: &str, headers: &str) -> Answer {
        self.connect().send(request(key, method, path, body, headers))
    }

    /// A new key of the organization with these roles.
    #[track_caller]
    pub fn key(&self, roles: &str) -> Key {
        let made = self.own("POST", "/apiKeys", &format!("{{\"desc\":\"a key\",\"roles\":{roles}}}"));
        assert_eq!(made.status, 200, "{}", made.text());
        Key::of(&made.json())
    }

    /// What the gateway answers to a key.
    pub fn through(&self, key: &Key) -> (u16, String) {
        self.served.get("/", &[&key.header()]).outcome()
    }
}

/// The bytes of a call.
pub fn request(key: &str, method: &str, path: &str, body: &str, headers: &str) -> String {
    use base64::Engine as _;
    let authorization = match key {
        "" => String::new(),
        key => format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(key)),
    };
    let body_headers = match body {
        "" => String::new(),
        body if headers.contains("Content-Type") => format!("Content-Length: {}\r\n", body.len()),
        body => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: admin.example.com\r\n{authorization}{body_headers}{headers}\r\n{body}")
}
