//! `portcullis doctor`: all holds with the gateway, and each check fails with a target that does what it looks for.

mod naive;
mod third_party;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::programs::{PORTCULLIS, Running, free_port, output, serves};
use super::stage::sha256;

/// A key that may be used from here.
const INSIDE: &str = "d2a7c0e4b1f9836754021938475665748";
/// A key that may be used from 198.51.100.0/24 alone.
const OUTSIDE: &str = "c1f0a9d2b3e4857690817263544536271";
/// On the list of `OUTSIDE`.
const LISTED: &str = "198.51.100.7";

/// The program's own agent, and the files with the keys.
struct Practice {
    agent: SocketAddr,
    folder: TempDir,
    _running: Running,
}

impl Practice {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("inside"), format!("X-API-Key: {INSIDE}\n")).unwrap();
        fs::write(folder.path().join("outside"), format!("X-API-Key: {OUTSIDE}\n")).unwrap();
        let mut command = Command::new(PORTCULLIS);
        command.args(["doctor", "agent", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut running = Running::start(&mut command);
        let mut line = String::new();
        BufReader::new(running.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        let agent = line.trim().rsplit(' ').next().unwrap().parse().expect("the agent tells its address");
        Self { agent, folder, _running: running }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, port: u16, more: &[&str]) -> Command {
        let mut command = Command::new(PORTCULLIS);
        command.arg("doctor").arg(format!("http://127.0.0.1:{port}"));
        command.args(["--key-inside", &self.path("inside"), "--key", &self.path("outside")]);
        command.args(["--listed-address", LISTED, "--rate", "200"]).args(more);
        command
    }

    /// The exit code and the report.
    fn examine(&self, port: u16, more: &[&str]) -> (i32, Value) {
        let ran = output(self.command(port, more).args(["--output", "json"]));
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(!text.contains(INSIDE) && !text.contains(OUTSIDE), "{text}");
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        (ran.status.code().unwrap(), serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{told}")))
    }
}

/// The ids of all checks with this verdict.
fn with<'a>(report: &'a Value, verdict: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["verdict"] == verdict).map(|check| check["id"].as_str().unwrap()).collect()
}

fn gateway(practice: &Practice) -> (u16, Running) {
    let port = free_port();
    let key = |id: u8, key: &str, address: &str| {
        format!(
            "      - {{ id: 5f00000000000000000000{id}, secret_sha256: {}, access_list: [{address}] }}\n",
            sha256(key)
        )
    };
    let directory = format!(
        "organizations:\n  - id: 5f0000000000000000000001\n    name: acme\n    require_access_list: true\n    api_keys:\n{}{}",
        key(21, INSIDE, "127.0.0.1"),
        key(22, OUTSIDE, "198.51.100.0/24")
    );
    fs::write(practice.path("directory.yaml"), directory).unwrap();
    let text = format!(
        "gateway:\n  listen: [{{ address: \"127.0.0.1:{port}\" }}]\n  credentials: {{ headers: [x-api-key] }}\n  \
         routes: [{{ path: /, upstream: api }}]\n  upstreams: {{ api: {{ endpoints: [\"http://{}\"] }} }}\n\
         directory: {{ file: {} }}\ntelemetry: {{ listen: \"127.0.0.1:0\" }}\n",
        practice.agent,
        practice.path("directory.yaml")
    );
    fs::write(practice.path("portcullis.yaml"), text).unwrap();
    let mut command = Command::new(PORTCULLIS);
    command.args(["serve", "--config", &practice.path("portcullis.yaml")]);
    let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    serves(port, "/");
    (port, running)
}

#[test]
fn all_holds_with_the_gateway() {
    let practice = Practice::open();
    let (port, _running) = gateway(&practice);
    let identity = ["--identity-header", "X-Portcullis-Credential"];
    let (code, report) = practice.examine(port, &identity);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(with(&report, "not_applicable"), Vec::<&str>::new(), "{report:#}");

    let text = output(&mut practice.command(port, &identity));
    assert!(String::from_utf8_lossy(&text.stdout).contains("19 hold, 0 fail, 0 not made"), "{text:?}");
}

#[test]
fn each_check_fails_with_a_proxy_that_believes_everything() {
    let practice = Practice::open();
    let port = naive::start(practice.agent);
    let (code, report) = practice.examine(port, &["--identity-header", "X-Identity"]);
    assert_eq!(code, 2, "{report:#}");
    assert_eq!(with(&report, "fails").len(), report["checks"].as_array().unwrap().len(), "{report:#}");

    let junit = output(practice.command(port, &[]).args(["--output", "junit"]));
    assert_eq!(junit.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&junit.stdout).contains("failures=\"17\" skipped=\"2\""), "{junit:?}");
}

#[test]
fn whoever_examines_another_machine_proves_that_it_is_theirs() {
    let practice = Practice::open();
    let run = |more: &[&str]| {
        let mut command = Command::new(PORTCULLIS);
        command.arg("doctor").args(more);
        let ran = output(&mut command);
        (ran.status.code().unwrap(), String::from_utf8(ran.stderr).unwrap())
    };
    let inside = practice.path("inside");
    let (code, told) = run(&["https://192.0.2.1", "--key-inside", &inside]);
    assert!(code == 1 && told.contains("/.well-known/portcullis-doctor/") && told.contains("--token"), "{told}");
    let (code, told) = run(&["ftp://127.0.0.1", "--key-inside", &inside]);
    assert!(code == 64 && told.contains("http://127.0.0.1:8080"), "{told}");
    assert_eq!(run(&["http://127.0.0.1:1"]).0, 64);
    fs::write(Path::new(&inside), "secret-without-name").unwrap();
    let (code, told) = run(&["http://127.0.0.1:1", "--key-inside", &inside]);
    assert!(code == 1 && !told.contains("secret-without-name"), "{told}");
}
