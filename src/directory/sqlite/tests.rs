//! What a store keeps, refuses and survives.

use rusqlite::{Connection, StatementStatus, params};

use super::Store;
use crate::clock::Timestamp;

/// Planning a statement costs many times what running it does; SQLite left alone does it for each value that might be better
/// served by another index.
#[track_caller]
fn is_planned_once(connection: &Connection, sql: &str) {
    let mut statement = connection.prepare_cached(sql).unwrap();
    for number in 0..3 {
        let _found = statement.exists(params![number, format!("10.0.{number}.0/24")]).unwrap();
    }
    assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
}

#[test]
fn statements_are_planned_once_whatever_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db"), Timestamp::from_unix_seconds(1_795_392_000)).unwrap();
    let reader = store.reader().unwrap();
    for connection in [&store.connection, &reader.0] {
        for sql in [
            "SELECT 1 FROM credential JOIN organization ON organization.pk = organization WHERE credential.pk = ? AND kind = ?",
            "SELECT 1 FROM entry WHERE credential = ? AND network = ? ORDER BY created_at, network",
            "SELECT 1 FROM secret LEFT JOIN ha1 ON ha1.credential = secret.credential WHERE secret.credential = ? AND id = ?",
            "SELECT 1 FROM recent_address WHERE credential = ? AND address <> ? ORDER BY place",
        ] {
            is_planned_once(connection, sql);
        }
    }
}
