//! What a store survives: restarts, a second process, being written by others, damage, and being taken away.

use std::process::Command;

use super::office::{OWNER, Office};
use crate::programs::{PORTCULLIS, output};

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

/// Whoever stops the program and copies the file has everything.
#[test]
fn a_store_that_was_closed_is_one_file() {
    let office = Office::open();
    let key = office.key("[]");
    assert_eq!(office.through(&key).0, 200);
    // A connection that is kept open holds nothing up.
    let mut kept = office.connect();
    kept.send(super::office::request(OWNER, "GET", "/api/v1/orgs", "", ""));
    let folder = office.close();
    for beside in ["store.db-wal", "store.db-shm"] {
        assert!(!folder.path().join(beside).exists(), "{beside} is left");
    }
    let alone = tempfile::tempdir().unwrap();
    for file in ["store.db", "portcullis.yaml"] {
        std::fs::copy(folder.path().join(file), alone.path().join(file)).unwrap();
    }
    let office = Office::again(alone);
    assert_eq!(office.through(&key).0, 200);
    let used = office.own("GET", &format!("/apiKeys/{}", key.id), "").json();
    assert!(used["lastUsed"].is_string(), "{used:#}");
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
