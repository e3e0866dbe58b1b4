//! From an empty file to the present tables, forward only; each step is remembered with its checksum.
//!
//! A step that has landed is never edited: a store that took another text of it is refused.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreFault;
use crate::clock::Timestamp;

/// The steps in their order; version n is the n-th, counted from 1.
const STEPS: &[(&str, &str)] = &[
    ("directory", include_str!("migrations/0001_directory.sql")),
    ("digest", include_str!("migrations/0002_digest.sql")),
    ("people", include_str!("migrations/0005_people.sql")),
    ("service_accounts", include_str!("migrations/0006_service_accounts.sql")),
    ("usage", include_str!("migrations/0008_usage.sql")),
    ("tokens", include_str!("migrations/0009_tokens.sql")),
    ("network_sets", include_str!("migrations/0010_network_sets.sql")),
    ("invite_sender", include_str!("migrations/0011_invite_sender.sql")),
    ("credential_names", include_str!("migrations/0012_credential_names.sql")),
    ("receipt_key", include_str!("migrations/0013_receipt_key.sql")),
    ("certificates", include_str!("migrations/0014_certificates.sql")),
    ("traffic", include_str!("migrations/0015_traffic.sql")),
    ("search", include_str!("migrations/0016_search.sql")),
    ("feeds", include_str!("migrations/0017_feeds.sql")),
    ("secret_order", include_str!("migrations/0018_secret_order.sql")),
    ("feed_told", include_str!("migrations/0019_feed_told.sql")),
    ("token_issued", include_str!("migrations/0020_token_issued.sql")),
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS migration (
    version    INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    sha256     TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT";

/// Brings a store to the present version, all steps in one transaction.
///
/// # Errors
/// [`StoreFault::Newer`], [`StoreFault::Altered`], or what SQLite says.
pub(super) fn run(connection: &mut Connection, now: Timestamp) -> Result<(), StoreFault> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(LEDGER)?;
    let newest: usize =
        transaction.query_row("SELECT coalesce(max(version), 0) FROM migration", [], |row| row.get(0))?;
    if newest > STEPS.len() {
        return Err(StoreFault::Newer { found: newest, known: STEPS.len() });
    }
    for (version, (name, text)) in (1..).zip(STEPS) {
        let checksum = hex(digest(&SHA256, text.as_bytes()).as_ref());
        let applied: Option<String> = transaction
            .query_row("SELECT sha256 FROM migration WHERE version = ?", [version], |row| row.get(0))
            .optional()?;
        match applied {
            Some(applied) if applied == checksum => {}
            Some(_) => return Err(StoreFault::Altered(version)),
            None => {
                transaction.execute_batch(text)?;
                transaction.execute(
                    "INSERT INTO migration (version, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
                    params![version, name, checksum, now.unix_seconds()],
                )?;
            }
        }
    }
    Ok(transaction.commit()?)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
