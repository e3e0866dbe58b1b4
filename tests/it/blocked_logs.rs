//! threats.md L14: logs that nobody reads. Each request is answered, since nothing else would ever wake whoever waited.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::{PORTCULLIS, Running, free_port, succeed};
use crate::stage::{Client, KEY_OPEN, directory, wait_for};

/// A program whose standard output and standard error are pipes that nobody reads.
struct Unread {
    running: Running,
    gateway: SocketAddr,
    /// Where each connection is closed, and leaves a line in the program's own log.
    distrustful: SocketAddr,
    telemetry: SocketAddr,
}

impl Unread {
    fn start(folder: &Path, access_log: &str) -> Self {
        let [gateway, distrustful, telemetry] =
            [free_port(), free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        std::fs::write(folder.join("directory.yaml"), directory()).unwrap();
        let configuration = format!(
            "gateway:
  listen:
    - {{ address: \"{gateway}\" }}
    - {{ address: \"{distrustful}\", proxy_protocol: {{ trusted: [192.0.2.1] }} }}
  workers: 1
  drain_timeout: 1s
  drain_idle: 10ms
directory: {{ file: directory.yaml }}
telemetry: {{ listen: \"{telemetry}\", access_log: {access_log} }}
"
        );
        std::fs::write(folder.join("portcullis.yaml"), configuration).unwrap();
        let mut command = Command::new(PORTCULLIS);
        command.args(["serve", "--config", "portcullis.yaml", "--log-level", "debug"]).current_dir(folder);
        // The pipes belong to the child's handle, which lives as long as this.
        let running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let served = Self { running, gateway, distrustful, telemetry };
        wait_for("the program is ready", || {
            std::net::TcpStream::connect(telemetry).is_ok() && served.telemetry("/readyz").starts_with("HTTP/1.1 200")
        });
        served
    }

    fn telemetry(&self, path: &str) -> String {
        let mut client = Client::connect(self.telemetry);
        client.write(format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"));
        client.rest()
    }

    fn metric(&self, name: &str) -> f64 {
        let page = self.telemetry("/metrics");
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        page.lines().find_map(value).unwrap_or(0.0)
    }

    /// Has this many requests answered on one connection.
    fn ask(&self, requests: usize) {
        // Long enough that a few thousand lines are more than what is kept for a late reader.
        let path = "/x".repeat(500);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY_OPEN}\r\n\r\n");
        let mut client = Client::connect(self.gateway);
        for _ in 0..requests {
            assert_eq!(client.send(&request).status, 200);
        }
    }

    /// Tells it to stop, and has it end in order.
    fn stop(mut self) {
        succeed(Command::new("kill").args(["-s", "TERM", &self.running.child().id().to_string()]));
        let mut status = None;
        wait_for("the program ends", || {
            status = self.running.child().try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
    }
}

#[test]
fn l14_traffic_goes_on_where_nobody_reads_either_log() {
    let folder = tempfile::tempdir().unwrap();
    let served = Unread::start(folder.path(), "{ to: stdout }");
    wait_for("lines of the access log are dropped", || {
        served.ask(200);
        served.metric("portcullis_log_dropped_total") > 0.0
    });
    wait_for("lines of the program's log are dropped", || {
        for _ in 0..200 {
            assert_eq!(Client::connect(served.distrustful).rest(), "");
        }
        served.metric("portcullis_program_log_dropped_total") > 0.0
    });
    served.ask(200);
    served.stop();
}

#[test]
fn l14_traffic_goes_on_where_the_file_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("access.log");
    succeed(Command::new("mkfifo").arg(&pipe));
    // Open for reading, so that it can be opened for writing; and never read.
    let unread = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let served = Unread::start(folder.path(), "{ to: file, file: access.log }");
    wait_for("lines are dropped", || {
        served.ask(200);
        served.metric("portcullis_log_dropped_total") > 0.0
    });
    served.ask(200);
    served.stop();
    drop(unread);
}
