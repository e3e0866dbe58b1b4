//! Rows of access lists.

use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{expiry, expiry_column, parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::network::Network;
use crate::access::record::EntryRecord;

const SELECT: &str = "SELECT network, comment, expires_at, created_at FROM entry";

fn row(row: &Row<'_>) -> rusqlite::Result<EntryRecord> {
    Ok(EntryRecord {
        network: parsed(row, 0)?,
        comment: row.get(1)?,
        expires_at: expiry(row, 2)?,
        created_at: time(row, 3)?,
    })
}

impl Rows<'_> {
    /// A credential's list, oldest entry first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn entries(&self, credential: i64) -> Result<Vec<EntryRecord>, StoreFault> {
        let mut statement =
            self.0.prepare_cached(&format!("{SELECT} WHERE credential = ? ORDER BY created_at, network"))?;
        let rows = statement.query_map([credential], row)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// One page of it, and how many entries there are in all.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn entries_page(&self, credential: i64, skip: u64, most: u64) -> Result<(Vec<EntryRecord>, u64), StoreFault> {
        let mut statement = self
            .0
            .prepare_cached(&format!("{SELECT} WHERE credential = ? ORDER BY created_at, network LIMIT ? OFFSET ?"))?;
        let rows = statement.query_map(params![credential, most, skip], row)?.collect::<Result<_, _>>()?;
        let mut count = self.0.prepare_cached("SELECT count(*) FROM entry WHERE credential = ?")?;
        Ok((rows, count.query_row([credential], |row| row.get(0))?))
    }

    /// The entry for exactly this network.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn entry(&self, credential: i64, network: Network) -> Result<Option<EntryRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT} WHERE credential = ? AND network = ?"))?;
        Ok(statement.query_row(params![credential, network.to_string()], row).optional()?)
    }
}

impl Rows<'_> {
    /// The numbers of the credentials of an organization whose lists have a network that is wide enough to be one of those
    /// that cover everything together: of n networks that do, one is at least an n-th of it, and a list has 100 000 at most.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credentials_with_wide_lists(&self, organization: i64) -> Result<Vec<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT entry.credential FROM entry JOIN credential ON credential.pk = entry.credential
             WHERE credential.organization = ? AND CAST(substr(network, instr(network, '/') + 1) AS INTEGER) <= 17",
        )?;
        let rows = statement.query_map([organization], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

impl Change<'_> {
    /// Adds an entry, or writes comment and expiry of the one with its network.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn put_entry(&self, credential: i64, entry: &EntryRecord) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO entry (credential, network, comment, expires_at, created_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (credential, network) DO UPDATE SET comment = excluded.comment, expires_at = excluded.expires_at",
        )?;
        statement.execute(params![
            credential,
            entry.network.to_string(),
            entry.comment,
            expiry_column(entry.expires_at),
            entry.created_at.unix_seconds()
        ])?;
        Ok(())
    }

    /// Removes an entry; tells whether it was there.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_entry(&self, credential: i64, network: Network) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached("DELETE FROM entry WHERE credential = ? AND network = ?")?;
        Ok(statement.execute(params![credential, network.to_string()])? > 0)
    }
}
