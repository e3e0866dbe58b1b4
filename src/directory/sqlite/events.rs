//! Rows of the record of changes. They are added and read, never altered.

use rusqlite::{OptionalExtension as _, Row, ToSql, params};

use super::values::{parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::id::Id;
use crate::access::record::{EventFilter, EventRecord};

const SELECT: &str = "SELECT id, type, created_at, revision, organization, project, actor_kind, actor_id, actor_name, remote_address, target, target_public_key, entry, detail FROM event";

fn row(row: &Row<'_>) -> rusqlite::Result<EventRecord> {
    let project: Option<String> = row.get(5)?;
    Ok(EventRecord {
        id: parsed(row, 0)?,
        event: row.get(1)?,
        created_at: time(row, 2)?,
        revision: row.get(3)?,
        organization: parsed(row, 4)?,
        project: project.map(|_| parsed(row, 5)).transpose()?,
        actor_kind: row.get(6)?,
        actor_id: row.get(7)?,
        actor_name: row.get(8)?,
        remote_address: row.get(9)?,
        target: row.get(10)?,
        target_public_key: row.get(11)?,
        entry: row.get(12)?,
        detail: row.get(13)?,
    })
}

impl EventFilter {
    /// The condition and its values.
    fn condition(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let mut terms: Vec<String> = Vec::new();
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        let mut add = |term: &str, value: Box<dyn ToSql>| {
            terms.push(term.to_owned());
            values.push(value);
        };
        if let Some(id) = self.organization {
            add("organization = ?", Box::new(id.to_string()));
        }
        if let Some(id) = self.project {
            add("project = ?", Box::new(id.to_string()));
        }
        if let Some(at) = self.from {
            add("created_at >= ?", Box::new(at.unix_seconds()));
        }
        if let Some(at) = self.until {
            add("created_at <= ?", Box::new(at.unix_seconds()));
        }
        if !self.types.is_empty() {
            terms.push(format!("type IN ({})", vec!["?"; self.types.len()].join(", ")));
            values.extend(self.types.iter().map(|one| Box::new(one.clone()) as Box<dyn ToSql>));
        }
        let condition = if terms.is_empty() { "1".to_owned() } else { terms.join(" AND ") };
        (condition, values)
    }
}

impl Rows<'_> {
    /// One page of events, newest first, and how many there are in all.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn events(&self, filter: &EventFilter, skip: u64, most: u64) -> Result<(Vec<EventRecord>, u64), StoreFault> {
        let (condition, values) = filter.condition();
        let mut count = self.0.prepare(&format!("SELECT count(*) FROM event WHERE {condition}"))?;
        let total = count.query_row(rusqlite::params_from_iter(&values), |row| row.get(0))?;
        let mut statement =
            self.0.prepare(&format!("{SELECT} WHERE {condition} ORDER BY pk DESC LIMIT {most} OFFSET {skip}"))?;
        let rows = statement.query_map(rusqlite::params_from_iter(&values), row)?.collect::<Result<_, _>>()?;
        Ok((rows, total))
    }

    /// The event with this id.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn event(&self, id: Id) -> Result<Option<EventRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
        Ok(statement.query_row([id.to_string()], row).optional()?)
    }
}

impl Change<'_> {
    /// Adds an event to the record.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_event(&self, new: &EventRecord) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO event (id, type, created_at, revision, organization, project, actor_kind, actor_id, actor_name, remote_address, target, target_public_key, entry, detail)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        statement.execute(params![
            new.id.to_string(),
            new.event,
            new.created_at.unix_seconds(),
            new.revision,
            new.organization.to_string(),
            new.project.map(|id| id.to_string()),
            new.actor_kind,
            new.actor_id,
            new.actor_name,
            new.remote_address,
            new.target,
            new.target_public_key,
            new.entry,
            new.detail
        ])?;
        Ok(())
    }
}
