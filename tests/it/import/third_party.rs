//! Restore with SQLite's own shell, as the guide says, of an older copy over a newer store that is served.

use std::process::Command;

use crate::admin::office::Office;
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
