//! Rows of organizations.

use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{MODES, parsed, time, word, word_for};
use super::{Change, Rows, StoreFault};
use crate::access::id::Id;
use crate::access::record::OrganizationRecord;

const COLUMNS: &str = "pk, id, name, access_list_mode, created_at, revision, secret_hours";

fn row(row: &Row<'_>) -> rusqlite::Result<OrganizationRecord> {
    Ok(OrganizationRecord {
        pk: row.get(0)?,
        id: parsed(row, 1)?,
        name: row.get(2)?,
        mode: word(row, 3, MODES)?,
        created_at: time(row, 4)?,
        revision: row.get(5)?,
        secret_hours: row.get(6)?,
    })
}

impl Rows<'_> {
    /// The organization with this id.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn organization(&self, id: Id) -> Result<Option<OrganizationRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("SELECT {COLUMNS} FROM organization WHERE id = ?"))?;
        Ok(statement.query_row([id.to_string()], row).optional()?)
    }

    /// All organizations, oldest first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn organizations(&self) -> Result<Vec<OrganizationRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("SELECT {COLUMNS} FROM organization ORDER BY pk"))?;
        let rows = statement.query_map([], row)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Number of credentials and projects that belong to an organization.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn belongings(&self, organization: i64) -> Result<(u64, u64), StoreFault> {
        let count = "SELECT (SELECT count(*) FROM credential WHERE organization = ?1), (SELECT count(*) FROM project WHERE organization = ?1)";
        let mut statement = self.0.prepare_cached(count)?;
        Ok(statement.query_row([organization], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }
}

impl Change<'_> {
    /// Adds an organization and returns the store's number for it.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_organization(&self, new: &OrganizationRecord) -> Result<i64, StoreFault> {
        self.0.execute(
            "INSERT INTO organization (id, name, access_list_mode, created_at, revision, secret_hours) VALUES (?, ?, ?, ?, ?, ?)",
            params![
                new.id.to_string(),
                new.name,
                word_for(new.mode, MODES),
                new.created_at.unix_seconds(),
                new.revision,
                new.secret_hours
            ],
        )?;
        Ok(self.0.last_insert_rowid())
    }

    /// Writes name, switch, longest life of secrets and revision of an organization.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn update_organization(&self, row: &OrganizationRecord) -> Result<(), StoreFault> {
        self.0.execute(
            "UPDATE organization SET name = ?, access_list_mode = ?, secret_hours = ?, revision = ? WHERE pk = ?",
            params![row.name, word_for(row.mode, MODES), row.secret_hours, row.revision, row.pk],
        )?;
        Ok(())
    }

    /// Removes an organization that has neither projects nor credentials.
    ///
    /// # Errors
    /// A [`StoreFault`], also where something belongs to it.
    pub fn remove_organization(&self, pk: i64) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM organization WHERE pk = ?", [pk])?;
        Ok(())
    }
}
