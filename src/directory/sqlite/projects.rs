//! Rows of projects.

use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::id::Id;
use crate::access::record::ProjectRecord;

const SELECT: &str = "SELECT project.pk, project.id, organization.id, project.name, project.created_at
    FROM project JOIN organization ON organization.pk = project.organization";

fn row(row: &Row<'_>) -> rusqlite::Result<ProjectRecord> {
    Ok(ProjectRecord {
        pk: row.get(0)?,
        id: parsed(row, 1)?,
        organization: parsed(row, 2)?,
        name: row.get(3)?,
        created_at: time(row, 4)?,
    })
}

impl Rows<'_> {
    /// The project with this id.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn project(&self, id: Id) -> Result<Option<ProjectRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT} WHERE project.id = ?"))?;
        Ok(statement.query_row([id.to_string()], row).optional()?)
    }

    /// The projects of an organization, oldest first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn projects(&self, organization: Id) -> Result<Vec<ProjectRecord>, StoreFault> {
        let mut statement =
            self.0.prepare_cached(&format!("{SELECT} WHERE organization.id = ? ORDER BY project.pk"))?;
        let rows = statement.query_map([organization.to_string()], row)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Whether the organization has a project of this name.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_project(&self, organization: i64, name: &str) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM project WHERE organization = ? AND name = ?")?;
        Ok(statement.exists(params![organization, name])?)
    }
}

impl Change<'_> {
    /// Adds a project to the organization with this number.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_project(&self, organization: i64, new: &ProjectRecord, revision: u64) -> Result<(), StoreFault> {
        self.0.execute(
            "INSERT INTO project (id, organization, name, created_at, revision) VALUES (?, ?, ?, ?, ?)",
            params![new.id.to_string(), organization, new.name, new.created_at.unix_seconds(), revision],
        )?;
        Ok(())
    }

    /// Removes a project; the roles on it have to be gone.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_project(&self, pk: i64) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM project WHERE pk = ?", [pk])?;
        Ok(())
    }
}
