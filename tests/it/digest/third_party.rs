//! Clients of others: curl, wget, and Python's requests and httpx, each as it comes.

use std::process::Command;

use super::{ACTIVE, BOTH, directory};
use crate::programs::{output, program, succeed};
use crate::stage::{Setting, Stage};

const SHA256: &str = "credentials: { basic: off, digest: { realm: Portcullis } }";
const MD5: &str = "credentials: { basic: off, digest: { realm: Portcullis, algorithms: [MD5] } }";
const EITHER: &str = "credentials: { basic: off, digest: { realm: Portcullis, algorithms: [MD5, SHA-256] } }";

fn stage(gateway: &str) -> Stage {
    Setting::new().directory(&directory("Portcullis")).gateway(gateway).workers(2).set()
}

fn url(stage: &Stage) -> String {
    format!("http://{}/a/b%20c?x=1&y=%2F", stage.gateway())
}

/// What the log says of requests that were refused for another reason than that no credential came: none were.
fn only_asked_for_credentials(stage: &Stage, passed: usize) {
    let seen = stage.upstream.seen().len();
    assert_eq!(seen, passed);
    for line in stage.log_of(passed) {
        let code = line["code"].as_str().unwrap_or("CREDENTIALS_REQUIRED");
        assert_eq!(code, "CREDENTIALS_REQUIRED", "{line}");
    }
}

#[test]
fn curl() {
    for gateway in [SHA256, MD5, EITHER, BOTH] {
        let stage = stage(gateway);
        let user = format!("{}:{}", ACTIVE.0, ACTIVE.1);
        // Twice on one connection: the second request goes on with the first one's nonce.
        let mut command = Command::new(program("curl"));
        command.args([
            "-sS",
            "--max-time",
            "10",
            "--digest",
            "--user",
            &user,
            "-w",
            "%{http_code}\n",
            "-o",
            "/dev/null",
        ]);
        command.args([&url(&stage), "-o", "/dev/null", &url(&stage)]);
        assert_eq!(succeed(&mut command), "200\n200\n", "{gateway}");
        let mut post = Command::new(program("curl"));
        post.args(["-sS", "--max-time", "10", "--anyauth", "--user", &user, "-w", "%{http_code}", "-o", "/dev/null"]);
        post.args(["--data", "a=b", &url(&stage)]);
        assert_eq!(succeed(&mut post), "200", "{gateway}");
        only_asked_for_credentials(&stage, 3);
        assert!(stage.upstream.seen().iter().all(|seen| seen.header("authorization").is_none()));
        let wrong = format!("{}:wrong", ACTIVE.0);
        let mut command = Command::new(program("curl"));
        command.args([
            "-sS",
            "--max-time",
            "10",
            "--digest",
            "--user",
            &wrong,
            "-w",
            "%{http_code}",
            "-o",
            "/dev/null",
        ]);
        assert_eq!(succeed(command.arg(url(&stage))), "401", "{gateway}");
    }
}

/// It knows MD5 alone, and takes the last challenge that it can read.
#[test]
fn wget() {
    for (gateway, expected) in [(MD5, true), (EITHER, true), (SHA256, false)] {
        let stage = stage(gateway);
        let mut command = Command::new(program("wget"));
        command.args([
            "-q",
            "--tries=1",
            "--timeout=10",
            "-O",
            "/dev/null",
            "--user",
            ACTIVE.0,
            "--password",
            ACTIVE.1,
        ]);
        assert_eq!(output(command.arg(url(&stage))).status.success(), expected, "{gateway}");
        if expected {
            only_asked_for_credentials(&stage, 1);
        }
    }
}

fn python(stage: &Stage, script: &str) -> String {
    let mut command = Command::new(program("http-clients-python"));
    succeed(command.args(["-c", script, &url(stage), ACTIVE.0, ACTIVE.1]))
}

#[test]
fn requests() {
    let script = "
import sys, requests
from requests.auth import HTTPDigestAuth
url, user, key = sys.argv[1:]
session = requests.Session()
session.auth = HTTPDigestAuth(user, key)
print([session.get(url, timeout=10).status_code for _ in range(3)], session.post(url, data=b'x' * 70000, timeout=10).status_code)
print(requests.get(url, auth=HTTPDigestAuth(user, 'wrong'), timeout=10).status_code)
";
    for gateway in [SHA256, MD5, EITHER, BOTH] {
        let stage = stage(gateway);
        assert_eq!(python(&stage, script), "[200, 200, 200] 200\n401\n", "{gateway}");
    }
}

#[test]
fn httpx() {
    let script = "
import sys, httpx
url, user, key = sys.argv[1:]
client = httpx.Client(auth=httpx.DigestAuth(user, key))
print([client.get(url).status_code for _ in range(3)], client.post(url, content=b'x').status_code)
print(httpx.get(url, auth=httpx.DigestAuth(user, 'wrong')).status_code)
";
    for gateway in [SHA256, MD5, EITHER, BOTH] {
        let stage = stage(gateway);
        assert_eq!(python(&stage, script), "[200, 200, 200] 200\n401\n", "{gateway}");
    }
}

/// A nonce that has expired costs these clients a second round, and their user nothing.
#[test]
fn an_expired_nonce_is_renewed_by_itself() {
    let stage = stage(SHA256);
    let script = "
import sys, requests
from requests.auth import HTTPDigestAuth
url, user, key = sys.argv[1:]
session = requests.Session()
session.auth = HTTPDigestAuth(user, key)
print(session.get(url, timeout=10).status_code, flush=True)
sys.stdin.readline()
print(session.get(url, timeout=10).status_code, flush=True)
";
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let mut command = Command::new(program("http-clients-python"));
    command.args(["-c", script, &url(&stage), ACTIVE.0, ACTIVE.1]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = crate::programs::Running::start(&mut command);
    let mut to = running.child().stdin.take().unwrap();
    let mut lines = BufReader::new(running.child().stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "200");
    let now = crate::stage::START.unix_seconds();
    stage.clock.set(portcullis::clock::Timestamp::from_unix_seconds(now + 3_600));
    to.write_all(b"\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "200");
    let codes: Vec<String> = stage.log_of(4).iter().map(|line| line["status"].to_string()).collect();
    assert_eq!(codes, ["401", "200", "401", "200"]);
}
