//! threats.md H6: the program itself, with everything it writes: no secret stands in a log, a metric, an explanation, a finding
//! of `check`, or an answer.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::programs::{PORTCULLIS, Running, eventually, free_port, output, serves};
use crate::stage::{Client, KEY, KEY_DISABLED, KEY_EXPIRED, KEY_OPEN, Upstream, directory, sha256};

const UNKNOWN: &str = "unknownk.99995d07-a353-4881-853b-43efa4133999";
/// What could be the half of a key, a password typed into the wrong place, a token.
const STRAY: [&str; 4] = [
    "stray-secret-in-a-header-4711",
    "stray-secret-in-a-query-4712",
    "stray-secret-in-a-cookie-4713",
    "c3RyYXktc2VjcmV0LWluLWEtdG9rZW4tNDcxNA",
];

/// Everything that must not be found anywhere: whole keys, their secret halves, and other forms of them.
fn secrets() -> Vec<String> {
    let mut all: Vec<String> = STRAY.iter().map(|text| (*text).to_owned()).collect();
    for key in [KEY, KEY_OPEN, KEY_DISABLED, KEY_EXPIRED, UNKNOWN] {
        let (user, password) = key.split_once('.').unwrap();
        all.push(password.to_owned());
        all.push(STANDARD.encode(format!("{user}:{password}")));
        all.push(sha256(key));
        all.push(password.replace('-', "%2d"));
    }
    all
}

#[track_caller]
fn free_of_secrets(place: &str, text: &str) {
    let text = text.to_ascii_lowercase();
    for secret in secrets() {
        let line = text.lines().find(|line| line.contains(&secret.to_ascii_lowercase()));
        assert_eq!(line, None, "H6: {place} holds {secret}");
    }
}

/// Requests that carry secrets in every place, right, wrong and broken.
fn battery() -> Vec<String> {
    let mut requests = Vec::new();
    let request = |target: &str, lines: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n{lines}\r\n")
    };
    for key in [KEY, KEY_OPEN, KEY_DISABLED, KEY_EXPIRED, UNKNOWN] {
        let (user, password) = key.split_once('.').unwrap();
        let basic = STANDARD.encode(format!("{user}:{password}"));
        for lines in [
            format!("X-API-Key: {key}\r\n"),
            format!("X-API-Key: {key}\r\nX-API-Key: {key}\r\n"),
            format!("X-API-Key: {key}\r\nX-API-Key: {UNKNOWN}\r\n"),
            format!("X-API-Key: {key} {key}\r\n"),
            format!("X-API-Key: {key}{}\r\n", "x".repeat(600)),
            format!("X-API-Key: {key}\0\r\n"),
            format!("X-API-Key: {key}\r\n folded\r\n"),
            format!("X_Api_Key: {key}\r\n"),
            format!("{key}: x\r\n"),
            format!("{key} {key}: x\r\n"),
            format!("Authorization: Basic {basic}\r\n"),
            format!("Authorization: Basic {basic}!\r\n"),
            format!("Authorization: {key}\r\n"),
            format!("Authorization: Bearer {key}\r\n"),
            format!("Authorization: Digest {key}\r\n"),
            format!("Authorization: Digest username=\"{key}\", realm=\"{password}\"\r\n"),
            format!(
                "Authorization: Digest username=\"{password}\", realm=\"Portcullis\", nonce=\"{password}\", uri=\"{key}\", \
                 algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"{key}\", response=\"{}\"\r\n",
                sha256(key)
            ),
            format!("X-API-Key: {key}\r\nX-Forwarded-For: {password}\r\n"),
            format!("Cookie: key={key}; {}\r\nX-Other: {}\r\n", STRAY[2], STRAY[0]),
            format!("Authorization: Bearer {}.{}.{}\r\n", STRAY[3], STRAY[3], STRAY[3]),
            format!("Content-Length: {key}\r\nX-API-Key: {key}\r\n"),
            format!("Transfer-Encoding: {key}\r\nX-API-Key: {key}\r\n"),
        ] {
            for target in ["/", "/public", "/down", "/none/../public"] {
                requests.push(request(&format!("{target}?api_key={key}&{}", STRAY[1]), &lines));
            }
        }
        requests.push(format!("{key} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        requests.push(format!("{key}\r\n\r\n"));
        requests.push(format!("GET / HTTP/1.1\r\nHost: {user}:{password}@api.example.com\r\n\r\n"));
        requests.push(format!("GET http://{user}:{password}@a/ HTTP/1.1\r\nHost: a\r\n\r\n"));
        requests.push(format!("GET /#{key} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"));
    }
    requests
}

/// An upstream that answers, one that does not, and the program's own log at its most talkative.
fn configuration(folder: &Path, upstream: SocketAddr, gateway: u16, telemetry: u16) {
    std::fs::write(folder.join("directory.yaml"), directory()).unwrap();
    let text = format!(
        "gateway:
  listen: [{{ address: \"127.0.0.1:{gateway}\" }}]
  workers: 1
  client_address: {{ trusted_proxies: [127.0.0.1] }}
  credentials: {{ digest: {{ realm: Portcullis }}, issuers: [{{ issuer: i, audience: a, jwks_url: \"http://127.0.0.1:1/keys\", organizations: [5f0000000000000000000001] }}] }}
  routes:
    - {{ path: /, upstream: api }}
    - {{ path: /public, access: public, upstream: api }}
    - {{ path: /down, upstream: down }}
  upstreams: {{ api: {{ endpoints: [\"http://{upstream}\"] }}, down: {{ endpoints: [\"http://127.0.0.1:1\"] }} }}
directory: {{ file: directory.yaml }}
telemetry: {{ listen: \"127.0.0.1:{telemetry}\", access_log: {{ to: stdout }} }}
"
    );
    std::fs::write(folder.join("portcullis.yaml"), text).unwrap();
}

#[test]
fn h6_nothing_that_is_written_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let (gateway, telemetry) = (free_port(), free_port());
    configuration(folder.path(), upstream.address(), gateway, telemetry);
    let log = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
    let (mut access, mut program) = (String::new(), String::new());
    let requests = battery();
    {
        let mut command = Command::new(PORTCULLIS);
        command.args(["serve", "--log-level", "trace", "--config"]).arg(folder.path().join("portcullis.yaml"));
        // The logs lie elsewhere, so that writing them is no change of the watched folder.
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        command.stdout(log("logs/access")).stderr(log("logs/program"));
        let _running = Running::start(&mut command);
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        serves(telemetry, "/readyz");
        let mut statuses = std::collections::BTreeSet::new();
        for request in &requests {
            let answer = Client::connect(address(gateway)).send(request);
            statuses.insert(answer.status);
            let headers: Vec<String> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            free_of_secrets("an answer", &format!("{}\n{}", headers.join("\n"), answer.text()));
        }
        assert!(statuses.is_superset(&[200, 400, 401, 403, 502].into()), "{statuses:?}");
        let page =
            Client::connect(address(telemetry)).send("GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        assert_eq!(page.status, 200);
        free_of_secrets("/metrics", &page.text());
        // A directory that is refused: the log names its problems.
        let broken = directory().replace(&sha256(KEY_OPEN), &sha256(KEY));
        std::fs::write(folder.path().join("directory.yaml"), broken).unwrap();
        eventually("both logs", Duration::from_secs(20), || {
            access = std::fs::read_to_string(folder.path().join("logs/access")).unwrap();
            program = std::fs::read_to_string(folder.path().join("logs/program")).unwrap();
            let whole = access.lines().count() >= requests.len() && program.contains("stays");
            whole.then_some(()).ok_or_else(|| format!("{} lines", access.lines().count()))
        });
    }
    free_of_secrets("the access log", &access);
    free_of_secrets("the program's log", &program);
    // What is the upstream's, it gets: the query, and a foreign cookie. A key of ours in a header, it does not.
    for seen in upstream.seen() {
        let own = seen.headers.iter().filter(|(name, _)| name == "x-api-key" || name == "x_api_key");
        assert_eq!(own.count(), 0, "{seen:?}");
    }
}

#[test]
fn h6_explain_and_check_and_hash_hold_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    configuration(folder.path(), SocketAddr::from(([127, 0, 0, 1], 1)), 0, 0);
    let file = folder.path().join("portcullis.yaml");
    let run = |arguments: &[&str], input: &str| {
        let mut child = Command::new(PORTCULLIS)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that reads nothing has closed its end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let config = file.to_str().unwrap();
    for key in [KEY, KEY_OPEN, KEY_DISABLED, KEY_EXPIRED, UNKNOWN] {
        let (user, password) = key.split_once('.').unwrap();
        let basic = format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let broken = format!("{basic}!");
        let (header, bearer) = (format!("X-API-Key: {key} {key}"), format!("Authorization: Bearer {key}"));
        let control = format!("X-API-Key: {key}\u{1}");
        for form in ["text", "json"] {
            for lines in [
                &["--key", key][..],
                &["-H", &basic],
                &["-H", &broken],
                &["-H", &header],
                &["-H", &bearer],
                &["-H", &control],
            ] {
                let arguments =
                    [&["explain", "--config", config, "--peer", "192.0.2.1", "--output", form][..], lines].concat();
                let said = run(&arguments, "");
                assert!(!said.is_empty());
                free_of_secrets(&format!("explain {}", lines[0]), &said);
            }
            let read = ["explain", "--config", config, "--peer", "192.0.2.1", "--output", form, "--key", "-"];
            free_of_secrets("explain --key -", &run(&read, &format!("{key}\n")));
        }
        // A command line that is wrong is repeated by many programs.
        free_of_secrets(
            "wrong usage",
            &run(&["explain", "--config", config, "--peer", "192.0.2.1", "--header", key], ""),
        );
        free_of_secrets("wrong usage", &run(&["explain", "--config", config, "--peer", "x", "--key", key], ""));
        free_of_secrets(
            "wrong usage",
            &run(
                &[
                    "explain",
                    "--config",
                    config,
                    "--peer",
                    "::1",
                    "--key",
                    key,
                    "--credential",
                    "5f0000000000000000000021",
                ],
                "",
            ),
        );
        free_of_secrets("wrong usage", &run(&["hash", key], ""));
    }
    // Every line of the directory is shown by a fault of its own; the hash beside it is blotted out.
    let faulty = [
        directory().replace("secret_sha256: ", "secret_sha256: x"),
        directory().replace(&sha256(KEY_OPEN), &sha256(KEY)),
        directory().replace(&sha256(KEY), KEY),
        directory().replace(&sha256(KEY), &sha256(KEY)[1..]),
        directory().replace("id: 5f00000000000000000000", "id: 5f0000000000000000000"),
        directory().replace("secret_sha256", "secret_sha512"),
        directory().replace("secret_sha256", "secret"),
        directory().replace("public_key: ", "public_key: X"),
        directory().replace("enabled: false", "enabled: perhaps"),
        directory().replace("2026-01-01T00:00:00Z", "tomorrow"),
        directory().replace("secret_sha256: ", "secret_sha256: ["),
        directory().replace("      - {", "     - {"),
    ];
    for (at, text) in faulty.iter().enumerate() {
        std::fs::write(folder.path().join("directory.yaml"), text).unwrap();
        for form in ["text", "json"] {
            let output = output(Command::new(PORTCULLIS).args(["check", "--output", form, config]));
            assert_eq!(output.status.code(), Some(78), "fault {at} in {form}");
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            free_of_secrets(&format!("check, fault {at}, in {form}"), &said);
        }
    }
}
