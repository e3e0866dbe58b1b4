//! The real program under `serve`, for what only a process has: signals, exit codes, its own log.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use crate::programs::{PORTCULLIS, Running, output};
use crate::stage::{Answer, Client, wait_for};

/// A running program. Its log is read all the while.
pub struct Served {
    running: Running,
    log: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Served {
    /// Starts `serve --config FILE` in a folder, and returns when requests are decided.
    #[track_caller]
    pub fn start(folder: &Path, config: &str) -> Self {
        let served = Self::open(folder, config);
        let has_directory = |line: &serde_json::Value| line["revision"].is_number();
        wait_for("the directory", || served.log_has(has_directory) || served.log_has(serde_json::Value::is_string));
        assert!(served.log_has(has_directory), "{:#?}", served.log());
        served
    }

    /// Starts `serve --config FILE` in a folder, and returns when the gateway and the probes listen.
    #[track_caller]
    pub fn open(folder: &Path, config: &str) -> Self {
        let mut command = Command::new(PORTCULLIS);
        command.args(["serve", "--config", config]).current_dir(folder);
        Self::watch(&mut command)
    }

    /// Starts a command of the program and reads its log.
    #[track_caller]
    pub fn watch(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running::start(command);
        let lines = BufReader::new(running.child().stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(serde_json::Value::String(line));
                record.lock().unwrap().push(line);
            }
        });
        let served = Self { running, log };
        wait_for("the program listens", || served.addresses().len() >= 2 || served.log_has(|line| line.is_string()));
        assert!(served.addresses().len() >= 2, "{:#?}", served.log());
        served
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.log().iter().filter_map(|line| line["address"].as_str()?.parse().ok()).collect()
    }

    /// Where the gateway listens.
    pub fn gateway(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// `GET path` at the gateway with these header lines.
    pub fn get(&self, path: &str, headers: &[&str]) -> Answer {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let raw = format!("GET {path} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n{lines}\r\n");
        Client::connect(self.gateway()).send(raw)
    }

    /// `GET path` at the telemetry listener.
    pub fn telemetry(&self, path: &str) -> Answer {
        let raw = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        Client::connect(*self.addresses().last().unwrap()).send(raw)
    }

    /// The value of a metric, as `/metrics` writes it; 0 where it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.telemetry("/metrics").text();
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        page.lines().find_map(value).unwrap_or(0.0)
    }

    /// The log's lines so far.
    pub fn log(&self) -> Vec<serde_json::Value> {
        self.log.lock().unwrap().clone()
    }

    /// Whether the log has such a line.
    pub fn log_has(&self, is_it: impl Fn(&serde_json::Value) -> bool) -> bool {
        self.log().iter().any(is_it)
    }

    /// The process.
    pub fn id(&mut self) -> u32 {
        self.running.child().id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&mut self, name: &str) {
        let sent = output(Command::new("kill").args(["-s", name, &self.running.child().id().to_string()]));
        assert!(sent.status.success(), "{sent:?}");
    }

    /// Waits for the end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the program ends", || {
            status = self.running.child().try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}
