//! Rows of access lists.

use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{expiry, expiry_column, parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::record::EntryRecord;
use crate::access::target::Target;

const SELECT: &str = "SELECT network, comment, expires_at, created_at FROM entry";

fn row(row: &Row<'_>) -> rusqlite::Result<EntryRecord> {
    Ok(EntryRecord {
        target: parsed(row, 0)?,
        comment: row.get(1)?,
        expires_at: expiry(row, 2)?,
        created_at: time(row, 3)?,
    })
}

impl Rows<'_> {
    /// How many entries the list of a credential has.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn count_entries(&self, credential: i64) -> Result<u64, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT count(*) FROM entry WHERE credential = ?")?;
        Ok(statement.query_row([credential], |row| row.get(0))?)
    }

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

    /// Entries of the longest list of all, or networks of the largest set.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn longest_list(&self) -> Result<usize, StoreFault> {
        let longest = "SELECT coalesce(max(length), 0) FROM (
            SELECT count(*) AS length FROM entry GROUP BY credential
            UNION ALL SELECT count(*) FROM network_set_network GROUP BY network_set)";
        Ok(self.0.query_row(longest, [], |row| row.get(0))?)
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

    /// The entry for exactly this network or set.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn entry(&self, credential: i64, target: &Target) -> Result<Option<EntryRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT} WHERE credential = ? AND network = ?"))?;
        Ok(statement.query_row(params![credential, target.to_string()], row).optional()?)
    }
}

impl Rows<'_> {
    /// The numbers of the credentials of an organization whose lists have a network of their own that is wide enough to be
    /// one of those that cover at least half of everything together: of n networks that do, one is at least an n-th of that,
    /// and a list has 100 000 at most.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credentials_with_wide_lists(&self, organization: i64) -> Result<Vec<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT entry.credential FROM entry JOIN credential ON credential.pk = entry.credential
             WHERE credential.organization = ? AND network_set IS NULL
               AND CAST(substr(network, instr(network, '/') + 1) AS INTEGER) <= 17",
        )?;
        let rows = statement.query_map([organization], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

impl Rows<'_> {
    /// The same of those whose lists refer to a network set.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn wide_lists_of_set(&self, set: i64) -> Result<Vec<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT wide.credential FROM entry AS wide JOIN entry AS used ON used.credential = wide.credential
             WHERE used.network_set = ? AND wide.network_set IS NULL
               AND CAST(substr(wide.network, instr(wide.network, '/') + 1) AS INTEGER) <= 17",
        )?;
        let rows = statement.query_map([set], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

impl Change<'_> {
    /// Adds an entry, or writes comment and expiry of the one that is there. A set has to be one of the organization.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn put_entry(&self, credential: i64, entry: &EntryRecord) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO entry (credential, network, comment, expires_at, created_at, network_set) VALUES (?1, ?2, ?3, ?4, ?5,
               (SELECT pk FROM network_set WHERE name = ?6 AND organization =
                 (SELECT organization FROM credential WHERE pk = ?1)))
             ON CONFLICT (credential, network) DO UPDATE SET comment = excluded.comment, expires_at = excluded.expires_at",
        )?;
        statement.execute(params![
            credential,
            entry.target.to_string(),
            entry.comment,
            expiry_column(entry.expires_at),
            entry.created_at.unix_seconds(),
            entry.target.set().map(|name| &**name)
        ])?;
        Ok(())
    }

    /// Removes an entry; tells whether it was there.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_entry(&self, credential: i64, target: &Target) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached("DELETE FROM entry WHERE credential = ? AND network = ?")?;
        Ok(statement.execute(params![credential, target.to_string()])? > 0)
    }
}
