//! Rows of network sets, and which lists refer to them.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::network::Network;
use crate::access::record::NetworkSetRecord;

const SELECT: &str = "SELECT network_set.pk, organization.id, network_set.name, owner, comment, network_set.created_at, network_set.revision
    FROM network_set JOIN organization ON organization.pk = network_set.organization WHERE network_set.organization = ?";

/// All of a set but its networks.
fn row(row: &Row<'_>) -> rusqlite::Result<NetworkSetRecord> {
    Ok(NetworkSetRecord {
        pk: row.get(0)?,
        organization: parsed(row, 1)?,
        name: row.get_ref(2)?.as_str()?.into(),
        owner: row.get(3)?,
        comment: row.get(4)?,
        networks: Vec::new(),
        created_at: time(row, 5)?,
        revision: row.get(6)?,
    })
}

impl Rows<'_> {
    /// The set of an organization with this name.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn network_set(&self, organization: i64, name: &str) -> Result<Option<NetworkSetRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT} AND network_set.name = ?"))?;
        let found = statement.query_row(params![organization, name], row).optional()?;
        found.map(|set| self.with_networks(set)).transpose()
    }

    /// All sets of an organization, by name.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn network_sets(&self, organization: i64) -> Result<Vec<NetworkSetRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT} ORDER BY network_set.name"))?;
        let sets: Vec<NetworkSetRecord> = statement.query_map([organization], row)?.collect::<Result<_, _>>()?;
        sets.into_iter().map(|set| self.with_networks(set)).collect()
    }

    fn with_networks(&self, mut set: NetworkSetRecord) -> Result<NetworkSetRecord, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT network FROM network_set_network WHERE network_set = ?")?;
        set.networks = statement.query_map([set.pk], |row| parsed(row, 0))?.collect::<Result<_, _>>()?;
        set.networks.sort_unstable();
        Ok(set)
    }

    /// How many sets an organization has.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn count_network_sets(&self, organization: i64) -> Result<u64, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT count(*) FROM network_set WHERE organization = ?")?;
        Ok(statement.query_row([organization], |row| row.get(0))?)
    }

    /// How many lists refer to a set.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn count_lists_of_set(&self, set: i64) -> Result<u64, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT count(*) FROM entry WHERE network_set = ?")?;
        Ok(statement.query_row([set], |row| row.get(0))?)
    }

    /// The numbers of up to so many credentials whose lists refer to a set.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credentials_of_set(&self, set: i64, most: u64) -> Result<Vec<i64>, StoreFault> {
        let mut statement =
            self.0.prepare_cached("SELECT credential FROM entry WHERE network_set = ? ORDER BY credential LIMIT ?")?;
        let rows = statement.query_map(params![set, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The numbers of the credentials of an organization whose lists refer to any set.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credentials_with_sets(&self, organization: i64) -> Result<Vec<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT credential FROM entry JOIN network_set ON network_set.pk = entry.network_set
             WHERE organization = ?",
        )?;
        let rows = statement.query_map([organization], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

impl Change<'_> {
    /// Adds a set to the organization with this number, and returns its own.
    ///
    /// # Errors
    /// [`StoreFault::Taken`] where the organization has one with this name.
    pub fn add_network_set(&self, organization: i64, new: &NetworkSetRecord) -> Result<i64, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO network_set (organization, name, owner, comment, created_at, revision) VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        let name: &str = &new.name;
        let pk = statement.insert(params![
            organization,
            name,
            new.owner,
            new.comment,
            new.created_at.unix_seconds(),
            new.revision
        ])?;
        self.write_networks(pk, &[], &new.networks)?;
        Ok(pk)
    }

    /// Makes a set from what it was to what it is to be. Its name stays.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn update_network_set(&self, before: &NetworkSetRecord, after: &NetworkSetRecord) -> Result<(), StoreFault> {
        let mut statement =
            self.0.prepare_cached("UPDATE network_set SET owner = ?, comment = ?, revision = ? WHERE pk = ?")?;
        statement.execute(params![after.owner, after.comment, after.revision, after.pk])?;
        self.write_networks(after.pk, &before.networks, &after.networks)
    }

    /// Writes the difference.
    fn write_networks(&self, set: i64, before: &[Network], after: &[Network]) -> Result<(), StoreFault> {
        let known: BTreeSet<&Network> = before.iter().collect();
        let kept: BTreeSet<&Network> = after.iter().collect();
        let mut remove =
            self.0.prepare_cached("DELETE FROM network_set_network WHERE network_set = ? AND network = ?")?;
        for network in known.difference(&kept) {
            remove.execute(params![set, network.to_string()])?;
        }
        let mut add = self.0.prepare_cached("INSERT INTO network_set_network (network_set, network) VALUES (?, ?)")?;
        for network in kept.difference(&known) {
            add.execute(params![set, network.to_string()])?;
        }
        Ok(())
    }

    /// Removes a set that no list refers to.
    ///
    /// # Errors
    /// A [`StoreFault`], also where a list refers to it.
    pub fn remove_network_set(&self, pk: i64) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM network_set WHERE pk = ?", [pk])?;
        Ok(())
    }
}
