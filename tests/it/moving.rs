//! `portcullis import --from`: what other programs keep, as a directory that decides the same. [`third_party`] asks them.

mod third_party;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::programs::{PORTCULLIS, output, package, succeed};
use crate::stage::{Setting, Stage};

/// Files of another program, as they are met.
pub fn fixture(name: &str) -> String {
    package().join("tests/it/moving").join(name).display().to_string()
}

/// Runs `import --from`; exit code and what was answered as JSON.
#[track_caller]
pub fn import(arguments: &[&str], to: &Path) -> (i32, Value) {
    let mut command = Command::new(PORTCULLIS);
    command.arg("import").arg("--from").args(arguments).arg("--to").arg(to).args(["--output", "json"]);
    let ran = output(&mut command);
    let told = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(&ran.stderr)));
    succeed(Command::new(PORTCULLIS).arg("check").arg(to));
    (ran.status.code().unwrap(), told)
}

/// A gateway on an imported directory, for which the client's address stands in `X-Forwarded-For`.
pub fn gateway(folder: &Path, header: &str) -> Stage {
    let directory = fs::read_to_string(folder.join("directory.yaml")).unwrap();
    let gateway = format!(
        "client_address: {{ trusted_proxies: [127.0.0.1] }}\ncredentials: {{ headers: [{header}] }}\n\
         limits: {{ failed_attempts: off }}"
    );
    Setting::new().directory(&directory).gateway(&gateway).set()
}

/// Whether the gateway lets a key in from an address.
pub fn lets_in(gateway: &Stage, header: &str, key: &str, address: &str) -> bool {
    let status = gateway.get("/", &[&format!("{header}: {key}"), &format!("X-Forwarded-For: {address}")]).status;
    assert!(matches!(status, 200 | 400 | 401 | 403), "{status}");
    status == 200
}

/// No file of the folder holds any of these.
#[track_caller]
pub fn holds_none(folder: &Path, secrets: &[&str]) {
    for file in fs::read_dir(folder).unwrap().flatten() {
        let text = fs::read_to_string(file.path()).unwrap();
        secrets.iter().for_each(|secret| assert!(!text.contains(secret), "{secret} is in {:?}", file.path()));
    }
}

/// Line and effect of what was told, configuration excepted.
pub fn lost(told: &Value) -> Vec<(u64, String)> {
    let all = told["withoutEqual"].as_array().unwrap().iter().filter(|one| one["effect"] != "configure");
    all.map(|one| (one["line"].as_u64().unwrap(), one["effect"].as_str().unwrap().to_owned())).collect()
}

/// What a table says of each key (a row) from each address (a column).
#[track_caller]
fn check_table(gateway: &Stage, header: &str, addresses: &[&str], rows: &[(&str, &str)]) {
    for (key, row) in rows {
        let decided: String =
            addresses.iter().map(|address| if lets_in(gateway, header, key, address) { '+' } else { '-' }).collect();
        assert_eq!(&decided, row, "{key} from {addresses:?}");
    }
}

const ADDRESSES: [&str; 8] = [
    "10.1.2.3",
    "10.200.0.1",
    "198.51.100.7",
    "198.51.100.200",
    "203.0.113.9",
    "192.0.2.1",
    "2001:db8::7",
    "2001:db9::1",
];

#[test]
fn a_dump_of_kong_decides_as_its_plugins_say() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("directory");
    let (code, told) = import(&["kong", &fixture("kong.yaml"), "--organization", "acme"], &to);
    assert_eq!(code, 2);
    let rows = [
        ("billing-5d1f0c2a7b9e4836a0c1d2e3f4a5b6c7", "--+---+-"),
        ("dashboards-0f1e2d3c4b5a69788796a5b4c3d2e1f0", "+++-+-++"),
        ("dashboards-second-77ab01cd23ef45670189abcd", "+++-+-++"),
        ("nightly-1a2b3c4d5e6f708192a3b4c5d6e7f809", "+-------"),
        ("legacy-aa11bb22cc33dd44ee55ff6677889900", "--------"),
        ("contractor-99887766554433221100ffeeddccbb", "--------"),
    ];
    let gateway = gateway(&to, "x-api-key");
    check_table(&gateway, "x-api-key", &ADDRESSES, &rows);
    holds_none(&to, &rows.map(|(key, _)| key));
    let expected = [
        (7, "missing"),
        (24, "missing"),
        (34, "disabled"),
        (63, "disabled"),
        (66, "leftOut"),
        (71, "disabled"),
        (79, "leftOut"),
    ];
    assert_eq!(lost(&told), expected.map(|(line, effect)| (line, effect.to_owned())), "{told:#}");
    assert_eq!(told["headers"], serde_json::json!(["x-api-key"]));
}

#[test]
fn a_file_of_apisix_decides_as_its_plugins_say() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("directory");
    let (code, told) = import(&["apisix", &fixture("apisix.yaml")], &to);
    assert_eq!(code, 2);
    let rows = [
        ("billing-5d1f0c2a7b9e4836a0c1d2e3f4a5b6c7", "--+---+-"),
        ("dashboards-0f1e2d3c4b5a69788796a5b4c3d2e1f0", "++------"),
        ("partner-1a2b3c4d5e6f708192a3b4c5d6e7f809", "----+---"),
        ("guest-aa11bb22cc33dd44ee55ff6677889900", "--------"),
    ];
    let gateway = gateway(&to, "apikey");
    check_table(&gateway, "apikey", &ADDRESSES, &rows);
    holds_none(&to, &rows.map(|(key, _)| key));
    let expected = [(8, "missing"), (10, "missing"), (37, "leftOut")];
    assert_eq!(lost(&told), expected.map(|(line, effect)| (line, effect.to_owned())), "{told:#}");
}

#[test]
fn nothing_is_written_over_a_directory_or_by_a_rehearsal() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let run = |more: &[&str]| {
        let mut command = Command::new(PORTCULLIS);
        command.args(["import", "--from", "kong", &fixture("kong.yaml"), "--to"]).arg(&to).args(more);
        let ran = output(&mut command);
        (ran.status.code().unwrap(), String::from_utf8(ran.stderr).unwrap())
    };
    assert_eq!(run(&["--dry-run"]).0, 2);
    assert!(!to.exists());
    fs::create_dir(&to).unwrap();
    fs::write(to.join("other.yml"), "organizations: []\n").unwrap();
    let (code, told) = run(&[]);
    assert!(code == 1 && told.contains("other.yml` is there already"), "{code}: {told}");
    assert!(!to.join("directory.yaml").exists());
    assert_eq!(run(&["--organization", ""]).0, 64);
    let usage = |arguments: &[&str]| output(Command::new(PORTCULLIS).arg("import").args(arguments)).status.code();
    assert_eq!(usage(&["--from", "kong", "a.yaml"]), Some(64), "there is no --to");
    assert_eq!(usage(&["--split", "a.yaml"]), Some(64));
    assert_eq!(usage(&["a.yaml", "b.yaml", "--store", "s.db"]), Some(64));
    fs::write(folder.path().join("strange.yaml"), "organizations: []\n").unwrap();
    let strange = folder.path().join("strange.yaml").display().to_string();
    let elsewhere = folder.path().join("elsewhere").display().to_string();
    assert_eq!(usage(&["--from", "apisix", &strange, "--to", &elsewhere]), Some(78));
}
