//! What a store survives: restarts, a second process, being written by others, damage, and being taken away.

use std::process::Command;

use super::office::{OWNER, Office};
use crate::programs::{PORTCULLIS, output};
use crate::stage::wait_for;

#[test]
fn a_restart_enforces_what_was_answered() {
    let office = Office::open();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status, 200);
    let before = office.own("GET", &list, "").json();
    let office = office.reopen("KILL");
    assert_eq!(office.through(&key), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    assert_eq!(office.own("GET", &list, "").json()["results"][0]["created"], before["results"][0]["created"]);
    let office = office.reopen("TERM");
    assert_eq!(office.through(&key).0, 403);
    // It was begun once only.
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").json()["totalCount"], 1);
}

#[test]
fn one_process_serves_a_store() {
    let office = Office::open();
    let mut command = Command::new(PORTCULLIS);
    command.args(["serve", "--config", "portcullis.yaml"]).current_dir(office.folder());
    let second = output(&mut command);
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(78), "{told}");
    assert!(told.contains("is served by another process"), "{told}");
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").status, 200);
}

#[test]
fn a_store_that_cannot_be_written_refuses_changes_and_leaves_traffic_alone() {
    let office = Office::open();
    let key = office.key("[]");
    // Somebody holds the file, as a backup that hangs would.
    let mut holder = crate::programs::Running::start(
        Command::new(crate::programs::program("sqlite3"))
            .arg(office.path("store.db"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped()),
    );
    use std::io::{BufRead as _, Write as _};
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
    wait_for("the file to be free", || office.own("POST", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status == 200);
    assert_eq!(office.through(&key).0, 403);
}

#[test]
fn what_others_wrote_is_enforced_with_the_next_change() {
    let office = Office::open();
    let key = office.key("[]");
    let sql =
        format!("UPDATE credential SET enabled = 0 WHERE id = '{}'; UPDATE revision SET number = number + 5;", key.id);
    let done = output(Command::new(crate::programs::program("sqlite3")).arg(office.path("store.db")).arg(sql));
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
        let done = output(Command::new(crate::programs::program("sqlite3")).arg(&store).arg(text));
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
