//! Backup and restore with SQLite's own shell, as the guide says: under load, and of an older copy over a newer store.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::admin::office::{OWNER, Office};
use crate::programs::{output, program};

fn sqlite(office: &Office, file: &str, command: &str) -> String {
    let done = output(Command::new(program("sqlite3")).arg(office.path(file)).arg(command));
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// The revision that the gateway decides by.
fn enforced(office: &Office) -> u64 {
    let answer = office.own("PATCH", "/settings", r#"{"apiAccessListMode":"off"}"#);
    answer.header("x-portcullis-revision").unwrap().parse().unwrap()
}

#[test]
fn a_copy_taken_under_load_is_whole_and_serves() {
    let office = Office::open();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for network in (1..=250).cycle() {
                let body = format!("[{{\"cidrBlock\":\"10.{network}.0.0/16\"}},{{\"cidrBlock\":\"127.0.0.0/8\"}}]");
                assert_eq!(office.own("PUT", &list, &body).status, 200);
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for copy in 0..5 {
            sqlite(&office, "store.db", &format!(".backup '{}'", office.path(&format!("copy{copy}.db")).display()));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for copy in 0..5 {
        let file = format!("copy{copy}.db");
        assert_eq!(sqlite(&office, &file, "PRAGMA integrity_check"), "ok");
        // Of each change both entries or none, with its revision.
        let count = "SELECT count(*), max(created_at) IS NOT NULL FROM entry";
        assert!(["0|0", "2|1"].contains(&sqlite(&office, &file, count).as_str()));
    }
    let pair = crate::admin::office::Key { id: key.id.clone(), pair: key.pair.clone() };
    let folder = office.close();
    std::fs::copy(folder.path().join("copy4.db"), folder.path().join("store.db")).unwrap();
    for beside in ["store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(beside));
    }
    let office = Office::again(folder);
    assert_eq!(office.through(&pair).0, 200);
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").json()["totalCount"], 1);
}

#[test]
fn an_older_copy_in_a_served_store_is_enforced_and_the_revision_goes_on() {
    let office = Office::open();
    let old = office.key("[]");
    sqlite(&office, "store.db", &format!(".backup '{}'", office.path("old.db").display()));
    let new = office.key("[]");
    assert_eq!(office.own("DELETE", &format!("/apiKeys/{}", old.id), "").status, 204);
    let before: u64 = sqlite(&office, "store.db", "SELECT number FROM revision").parse().unwrap();
    assert_eq!((office.through(&old).0, office.through(&new).0), (401, 200));
    sqlite(&office, "store.db", &format!(".restore '{}'", office.path("old.db").display()));
    office.key("[]");
    assert_eq!((office.through(&old).0, office.through(&new).0), (200, 401));
    let after = sqlite(&office, "store.db", "SELECT number FROM revision").parse::<u64>().unwrap();
    assert!(after > before, "{after} after {before}");
    assert!(enforced(&office) >= after);
}
