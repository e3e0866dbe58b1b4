//! What is remembered of the use of credentials and entries. Written aside from all changes, and never read by a decision.

use std::net::IpAddr;

use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::client_address::ClientAddress;
use crate::access::id::Id;
use crate::access::usage::{CredentialUse, EntryUse, LastDenial, LastUse, MOST_ADDRESSES};
use crate::clock::Timestamp;
use crate::live::usage::Seen;

/// A use, of two columns: when, and from where.
fn last_use(row: &Row<'_>, at: usize) -> rusqlite::Result<LastUse> {
    let address: IpAddr = parsed(row, at + 1)?;
    Ok(LastUse { at: time(row, at)?, address: ClientAddress::new(address) })
}

/// A denial, of four columns.
fn denial(row: &Row<'_>, at: usize) -> rusqlite::Result<LastDenial> {
    let address =
        row.get_ref(at + 2)?.as_str_or_null()?.is_some().then(|| parsed::<IpAddr>(row, at + 2)).transpose()?;
    Ok(LastDenial {
        at: time(row, at)?,
        code: row.get(at + 1)?,
        address: address.map(ClientAddress::new),
        enforced: row.get(at + 3)?,
    })
}

impl Rows<'_> {
    /// How a credential was used, as far as it has been written.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credential_use(&self, credential: i64) -> Result<CredentialUse, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT last_used, last_used_address, denied_at, denied_code, denied_address, denied_enforced
             FROM credential_use WHERE credential = ?",
        )?;
        let found = statement.query_row([credential], |row| {
            let last = row.get::<_, Option<i64>>(0)?.map(|_| last_use(row, 0)).transpose()?;
            let denial = row.get::<_, Option<i64>>(2)?.map(|_| denial(row, 2)).transpose()?;
            Ok(CredentialUse { last, denial, recent: Vec::new() })
        });
        let Some(mut used) = found.optional()? else { return Ok(CredentialUse::default()) };
        let mut statement = self
            .0
            .prepare_cached("SELECT last_used, address FROM recent_address WHERE credential = ? ORDER BY place DESC")?;
        used.recent = statement.query_map([credential], |row| last_use(row, 0))?.collect::<Result<_, _>>()?;
        Ok(used)
    }

    /// The credentials of an organization that work, have no list and were used since then, each with the addresses.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn unlisted_in_use(
        &self,
        organization: i64,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<(Id, ClientAddress)>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT credential.id, address FROM credential JOIN recent_address ON recent_address.credential = credential.pk
             WHERE organization = ?1 AND enabled AND coalesce(expires_at > ?3, 1) AND last_used > ?2
               AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.credential = credential.pk)",
        )?;
        let in_use = |row: &Row<'_>| Ok((parsed(row, 0)?, ClientAddress::new(parsed::<IpAddr>(row, 1)?)));
        let about = params![organization, since.unix_seconds(), now.unix_seconds()];
        let rows = statement.query_map(about, in_use)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// How an entry was used, by what it is named.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn entry_use(&self, credential: i64, entry: &str) -> Result<Option<EntryUse>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT count, last_used, last_used_address FROM entry_use WHERE credential = ? AND network = ?",
        )?;
        let used = |row: &Row<'_>| Ok(EntryUse { count: row.get(0)?, last: last_use(row, 1)? });
        Ok(statement.query_row(params![credential, entry], used).optional()?)
    }
}

impl Change<'_> {
    /// Adds what was seen of a credential. Nothing happens where it, or an entry, is gone.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_use(&self, credential: Id, seen: &Seen) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT pk FROM credential WHERE id = ?")?;
        let pk: Option<i64> = statement.query_row([credential.to_string()], |row| row.get(0)).optional()?;
        let Some(pk) = pk else { return Ok(()) };
        let last = seen.recent().first();
        let denial = seen.denial();
        let mut statement = self.0.prepare_cached(
            "UPDATE credential_use SET
                 last_used = coalesce(?2, last_used), last_used_address = coalesce(?3, last_used_address),
                 denied_at = coalesce(?4, denied_at), denied_code = coalesce(?5, denied_code),
                 denied_address = iif(?4 IS NULL, denied_address, ?6), denied_enforced = coalesce(?7, denied_enforced)
             WHERE credential = ?1",
        )?;
        statement.execute(params![
            pk,
            last.map(|used| used.at.unix_seconds()),
            last.map(|used| used.address.to_string()),
            denial.map(|denial| denial.at.unix_seconds()),
            denial.map(|denial| denial.code.as_str()),
            denial.and_then(|denial| denial.address).map(|address| address.to_string()),
            denial.map(|denial| denial.enforced),
        ])?;
        self.add_addresses(pk, seen.recent())?;
        self.add_traffic(pk, seen.traffic())?;
        let mut statement = self.0.prepare_cached(
            "INSERT INTO entry_use SELECT credential, network, ?3, ?4, ?5 FROM entry WHERE credential = ?1 AND network = ?2
             ON CONFLICT (credential, network) DO UPDATE SET count = count + excluded.count,
                 last_used = excluded.last_used, last_used_address = excluded.last_used_address",
        )?;
        for (entry, used) in seen.entries() {
            let LastUse { at, address } = used.last;
            let (entry, address) = (entry.to_string(), address.to_string());
            statement.execute(params![pk, entry, used.count, at.unix_seconds(), address])?;
        }
        Ok(())
    }

    fn add_addresses(&self, credential: i64, recent: &[LastUse]) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO recent_address VALUES (?1, ?2, ?3,
                 (SELECT coalesce(max(place), 0) + 1 FROM recent_address WHERE credential = ?1))
             ON CONFLICT (credential, address) DO UPDATE SET last_used = excluded.last_used, place = excluded.place",
        )?;
        for used in recent.iter().rev() {
            statement.execute(params![credential, used.address.to_string(), used.at.unix_seconds()])?;
        }
        let mut statement = self.0.prepare_cached(
            "DELETE FROM recent_address WHERE credential = ?1 AND address NOT IN (
                 SELECT address FROM recent_address WHERE credential = ?1 ORDER BY place DESC LIMIT ?2)",
        )?;
        statement.execute(params![credential, MOST_ADDRESSES])?;
        Ok(())
    }
}
