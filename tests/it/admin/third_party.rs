//! With SQLite's own shell and with strace: a file that others hold, write or damage, and a program that is killed at each
//! write of a change.

mod clients;
mod conformance;
mod crashes;

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use super::office::{OWNER, Office};
use crate::programs::{PORTCULLIS, output, program};
use crate::stage::wait_for;

#[test]
fn a_store_that_cannot_be_written_refuses_changes_and_leaves_traffic_alone() {
    let office = Office::open();
    let key = office.key("[]");
    // Somebody holds the file, as a backup that hangs would.
    let mut holder = crate::programs::Running::start(
        Command::new(program("sqlite3"))
            .arg(office.path("store.db"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped()),
    );
    let mut input = holder.child().stdin.take().unwrap();
    input.write_all(b"BEGIN IMMEDIATE;\nSELECT 'held';\n").unwrap();
    input.flush().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(holder.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "held");
    let list = format!("/apiKeys/{}/accessList", key.id);
    let refused = office.own("POST", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#);
    assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (503, Some("STORE_UNAVAILABLE")));
    assert_eq!(office.through(&key).0, 200);
    assert_eq!(office.own("GET", &list, "").json()["totalCount"], 0);
    drop(input);
    // The key has just been used from here.
    let meant = format!("{list}?force=true");
    wait_for("the file to be free", || office.own("POST", &meant, r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status == 200);
    assert_eq!(office.through(&key).0, 403);
}

/// A full disk, as the system tells it.
#[test]
fn a_full_disk_refuses_changes_and_imports_and_leaves_traffic_alone() {
    program("strace");
    let mut office = Office::open();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList?force=true", key.id);
    let organization = &office.organization;
    let lines = format!(
        "{{\"organization\":{{\"id\":\"{organization}\",\"name\":\"acme\",\"require_access_list\":false}}}}\n\
         {{\"api_key\":{{\"id\":\"5f0000000000000000000021\",\"secret_sha256\":\"{:064}\"}}}}\n",
        1
    );
    let import =
        |office: &Office| office.raw(OWNER, "POST", "/api/v1/import", &lines, "Content-Type: application/x-ndjson\r\n");
    let mut tracer = office.failing("pwrite64", "ENOSPC");
    let refused = [office.own("PUT", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#), import(&office)];
    for answer in refused {
        assert_eq!((answer.status, answer.json()["errorCode"].as_str()), (503, Some("STORE_UNAVAILABLE")));
    }
    assert_eq!(office.through(&key).0, 200);
    assert_eq!(office.own("GET", &list.replace("?force=true", ""), "").json()["totalCount"], 0);
    let _ = output(Command::new("kill").arg(tracer.child().id().to_string()));
    let _ = tracer.child().wait();
    // Nothing of it is left, and everything goes on.
    assert_eq!(sqlite(&office.path("store.db"), "PRAGMA integrity_check"), "ok");
    assert_eq!(office.own("PUT", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status, 200);
    assert_eq!(office.through(&key).0, 403);
    assert_eq!(import(&office).json()["apiKeys"]["added"], 1);
}

#[test]
fn what_others_wrote_is_enforced_with_the_next_change() {
    let office = Office::open();
    let key = office.key("[]");
    let sql =
        format!("UPDATE credential SET enabled = 0 WHERE id = '{}'; UPDATE revision SET number = number + 5;", key.id);
    let done = output(Command::new(program("sqlite3")).arg(office.path("store.db")).arg(sql));
    assert!(done.status.success(), "{done:?}");
    let other = office.key("[]");
    assert_eq!((office.through(&key).0, office.through(&other).0), (401, 200));
}

#[test]
fn a_damaged_or_newer_store_is_refused_at_start() {
    let office = Office::open();
    office.key("[]");
    let folder = office.close();
    let store = folder.path().join("store.db");
    let sql = |text: &str| {
        let done = output(Command::new(program("sqlite3")).arg(&store).arg(text));
        assert!(done.status.success(), "{done:?}");
    };
    let refused = || {
        let mut command = Command::new(PORTCULLIS);
        let done = output(command.args(["serve", "--config", "portcullis.yaml"]).current_dir(folder.path()));
        assert_eq!(done.status.code(), Some(78), "{done:?}");
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    sql("INSERT INTO migration VALUES (999, 'from the future', 'x', 0)");
    assert!(refused().contains("newer version (999"), "{}", refused());
    sql("DELETE FROM migration WHERE version = 999; UPDATE migration SET sha256 = 'x' WHERE version = 1");
    assert!(refused().contains("migration 1 of the store has another text"), "{}", refused());
    let good = std::fs::read(&store).unwrap();
    let mut damaged = good.clone();
    damaged[4096..].iter_mut().for_each(|byte| *byte = 0xa5);
    std::fs::write(&store, damaged).unwrap();
    assert!(refused().contains("the store is damaged"), "{}", refused());
    std::fs::write(&store, b"").unwrap();
    sql("CREATE TABLE mine (x)");
    assert!(refused().contains("is no store of Portcullis"), "{}", refused());
}

/// What SQLite's shell says.
fn sqlite(store: &Path, sql: &str) -> String {
    let done = output(Command::new(program("sqlite3")).arg(store).arg(sql));
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

#[test]
fn it_is_copied_while_it_changes() {
    let office = Office::open();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    for at in 0..5 {
        let body = format!("[{{\"cidrBlock\":\"10.{at}.0.0/16\"}}]");
        assert_eq!(office.own("PUT", &list, &body).status, 200);
        let copy = office.path(&format!("copy-{at}.db"));
        sqlite(&office.path("store.db"), &format!(".backup '{}'", copy.display()));
        assert_eq!(sqlite(&copy, "PRAGMA integrity_check"), "ok");
        assert_eq!(sqlite(&copy, "SELECT network FROM entry"), format!("10.{at}.0.0/16"));
    }
}

#[test]
fn wget_and_curl_manage_a_list() {
    let office = Office::open();
    let key = office.key("[]");
    let url =
        format!("http://{}/api/public/v1.0/orgs/{}/apiKeys/{}/accessList", office.admin(), office.organization, key.id);
    let ran = |command: &mut Command| -> Output { output(command) };
    let curl = ran(Command::new(program("curl"))
        .args(["-sS", "--fail-with-body", "-u", OWNER, "-H", "Content-Type: application/json"])
        .args(["-d", "[{\"ipAddress\":\"203.0.113.9\"}]", &url]));
    assert!(curl.status.success(), "{curl:?}");
    let (user, password) = OWNER.split_once(':').unwrap();
    let wget = ran(Command::new(program("wget")).args([
        "-q",
        "-O",
        "-",
        "--auth-no-challenge",
        &format!("--user={user}"),
        &format!("--password={password}"),
        &url,
    ]));
    assert!(String::from_utf8_lossy(&wget.stdout).contains("203.0.113.9/32"), "{wget:?}");
}

/// Clients of Cloud Manager speak Digest by MD5, on the admin API as on the gateway, with keys that were made here.
#[test]
fn digest_clients_manage_a_list_and_pass_the_gateway() {
    let office = Office::open_with(
        "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 2
  drain_timeout: 1s
  drain_idle: 10ms
  credentials: { digest: { realm: Portcullis, algorithms: [SHA-256, MD5] } }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\" }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
",
    );
    let key = office.key("[\"ORG_OWNER\"]");
    let admin =
        format!("http://{}/api/public/v1.0/orgs/{}/apiKeys/{}/accessList", office.admin(), office.organization, key.id);
    let gateway = format!("http://{}/", office.served.gateway());
    for (user, url) in [(OWNER, &admin), (&key.pair, &admin), (&key.pair, &gateway)] {
        let curl = output(Command::new(program("curl")).args(["-sS", "--fail-with-body", "--digest", "-u", user, url]));
        assert!(curl.status.success(), "{url}: {curl:?}");
        let (name, password) = user.split_once(':').unwrap();
        let wget = output(Command::new(program("wget")).args([
            "-q",
            "-O",
            "-",
            &format!("--user={name}"),
            &format!("--password={password}"),
            url,
        ]));
        assert!(wget.status.success(), "{url}: {wget:?}");
    }
    // The second private key has HA1s of its own; a deleted one opens nothing any more.
    let secrets = format!("/apiKeys/{}/secrets", key.id);
    let made = office.own("POST", &secrets, "").json();
    let second = format!("{}:{}", &key.pair[..8], made["secret"].as_str().unwrap());
    let status = |user: &str| {
        let curl = output(Command::new(program("curl")).args([
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--digest",
            "-u",
            user,
            &gateway,
        ]));
        String::from_utf8_lossy(&curl.stdout).into_owned()
    };
    assert_eq!((status(&key.pair), status(&second)), ("200".into(), "200".into()));
    assert_eq!(office.own("DELETE", &format!("{secrets}/{}", made["id"].as_str().unwrap()), "").status, 204);
    assert_eq!((status(&key.pair), status(&second)), ("200".into(), "401".into()));
    let office = office.reopen("TERM");
    let gateway = format!("http://{}/", office.served.gateway());
    let curl =
        output(Command::new(program("curl")).args(["-sS", "--fail-with-body", "--digest", "-u", &key.pair, &gateway]));
    assert!(curl.status.success(), "after a restart: {curl:?}");
}
