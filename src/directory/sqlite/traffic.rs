//! What is remembered of the requests of credentials. Written aside from all changes, and never read by a decision.

use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{KINDS, parsed, time, word, word_for};
use super::{Change, Rows, StoreFault};
use crate::access::record::CredentialName;
use crate::access::traffic::{self, MOST_NETWORKS, Met, REMEMBERED, Sighting};
use crate::clock::Timestamp;

const OUTCOMES: &[(&str, Met)] = &[("allow", Met::Allow), ("would_deny", Met::WouldDeny), ("deny", Met::Deny)];

/// Credentials whose old traffic is forgotten at once.
const PART: i64 = 1_000;

const COLUMNS: &str = "network, outcome, code, route, first_seen, last_seen, count";

/// A sighting, from this column on.
fn sighting(row: &Row<'_>, at: usize) -> rusqlite::Result<Sighting> {
    Ok(Sighting {
        network: parsed(row, at)?,
        met: word(row, at + 1, OUTCOMES)?,
        code: row.get::<_, String>(at + 2)?.into(),
        route: row.get::<_, String>(at + 3)?.into(),
        first: time(row, at + 4)?,
        last: time(row, at + 5)?,
        count: row.get(at + 6)?,
    })
}

/// The moment before which what was last seen is forgotten.
fn since(now: Timestamp) -> i64 {
    now.unix_seconds().saturating_sub(REMEMBERED)
}

impl Rows<'_> {
    /// What is remembered of a credential, the newest first, as far as it has been written.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn traffic(&self, credential: i64, now: Timestamp) -> Result<Vec<Sighting>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM traffic WHERE credential = ? AND last_seen >= ?
             ORDER BY last_seen DESC, network, outcome, code, route"
        ))?;
        let rows = statement.query_map([credential, since(now)], |row| sighting(row, 0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// What is remembered of all credentials, one after the other.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn all_traffic(
        &self,
        now: Timestamp,
        mut seen: impl FnMut(CredentialName, Sighting),
    ) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare(&format!(
            "SELECT kind, id, {COLUMNS} FROM traffic JOIN credential ON credential.pk = traffic.credential
             WHERE last_seen >= ?"
        ))?;
        let mut rows = statement.query([since(now)])?;
        while let Some(row) = rows.next()? {
            let name = CredentialName { kind: word(row, 0, KINDS)?, id: parsed(row, 1)? };
            seen(name, sighting(row, 2)?);
        }
        Ok(())
    }

    /// Since when all traffic has been remembered; `None` while none is.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn recorded_since(&self) -> Result<Option<Timestamp>, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT since FROM recording")?;
        Ok(statement.query_row([], |row| time(row, 0)).optional()?)
    }

    /// Whether the store is of a version that remembers traffic.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_traffic(&self) -> Result<bool, StoreFault> {
        let found = self.0.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'traffic'", [], |_| Ok(()));
        Ok(found.optional()?.is_some())
    }
}

impl Change<'_> {
    /// Adds what was seen of the credential with this number, within the bounds of what is remembered.
    pub(super) fn add_traffic(&self, credential: i64, seen: &[Sighting]) -> Result<(), StoreFault> {
        let Some(now) = seen.iter().map(|one| one.last).max() else { return Ok(()) };
        let before = self.rows().traffic(credential, now)?;
        let mut after = before.clone();
        for one in seen {
            traffic::add(&mut after, one.clone());
        }
        if after.len() > MOST_NETWORKS {
            traffic::bound(&mut after);
        }
        let mut remove = self.0.prepare_cached(
            "DELETE FROM traffic WHERE credential = ? AND network = ? AND outcome = ? AND code = ? AND route = ?",
        )?;
        for one in before.iter().filter(|one| !after.iter().any(|other| other.is_like(one))) {
            let outcome = word_for(one.met, OUTCOMES);
            remove.execute(params![credential, one.network.to_string(), outcome, one.code, &*one.route])?;
        }
        let mut put = self.0.prepare_cached("INSERT OR REPLACE INTO traffic VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
        for one in after.iter().filter(|one| !before.contains(one)) {
            put.execute(params![
                credential,
                one.network.to_string(),
                word_for(one.met, OUTCOMES),
                one.code,
                &*one.route,
                one.first.unix_seconds(),
                one.last.unix_seconds(),
                one.count,
            ])?;
        }
        Ok(())
    }

    /// Traffic is remembered from now on, if it was not before, or no more.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn record_traffic(&self, records: bool, now: Timestamp) -> Result<(), StoreFault> {
        match records {
            true => self.0.execute("INSERT OR IGNORE INTO recording VALUES (1, ?)", [now.unix_seconds()])?,
            false => self.0.execute("DELETE FROM recording", [])?,
        };
        Ok(())
    }

    /// Forgets what is too old, of a part of the credentials, from this number on. Answers where the next part begins; `None`
    /// after the last one.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn forget_traffic(&self, from: i64, now: Timestamp) -> Result<Option<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT max(credential) FROM
               (SELECT DISTINCT credential FROM traffic WHERE credential >= ? ORDER BY credential LIMIT ?)",
        )?;
        let last: Option<i64> = statement.query_row([from, PART], |row| row.get(0))?;
        let Some(last) = last else { return Ok(None) };
        let mut statement =
            self.0.prepare_cached("DELETE FROM traffic WHERE credential BETWEEN ? AND ? AND last_seen < ?")?;
        statement.execute([from, last, since(now)])?;
        Ok(Some(last + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_seconds(second)
    }

    fn seen(network: &str, last: i64) -> Sighting {
        Sighting {
            network: network.parse().unwrap(),
            met: Met::Deny,
            code: "IP_ADDRESS_NOT_ON_ACCESS_LIST".into(),
            route: "/".into(),
            first: at(last),
            last: at(last),
            count: 1,
        }
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_is_too_much_is_told_together() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db"), at(1)).unwrap();
        let change = store.change().unwrap();
        change.0.execute_batch("PRAGMA defer_foreign_keys = ON").unwrap();
        change.add_traffic(1, &[seen("192.0.2.1", 10), seen("192.0.2.2", REMEMBERED)]).unwrap();
        change.add_traffic(1, &[seen("192.0.2.1", 20)]).unwrap();
        change.add_traffic(2_000, &[seen("192.0.2.1", 5)]).unwrap();
        let now = at(REMEMBERED + 20);
        let known = |now| -> Vec<(String, u64)> {
            let rows = change.rows().traffic(1, now).unwrap();
            rows.iter().map(|one| (one.network.to_string(), one.count)).collect()
        };
        assert_eq!(known(now), [("192.0.2.2/32".to_owned(), 1), ("192.0.2.1/32".to_owned(), 2)]);
        assert_eq!(known(at(REMEMBERED + 21)), [("192.0.2.2/32".to_owned(), 1)], "what is too old is not shown");
        assert_eq!(change.forget_traffic(0, at(REMEMBERED + 21)).unwrap(), Some(2_001));
        assert_eq!(change.forget_traffic(2_001, now).unwrap(), None);
        let left: i64 = change.0.query_row("SELECT count(*) FROM traffic", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1, "and is gone");
        for number in 0..100 {
            change.add_traffic(1, &[seen(&format!("203.0.113.{number}"), REMEMBERED)]).unwrap();
        }
        let rows = change.rows().traffic(1, now).unwrap();
        assert!(rows.len() <= MOST_NETWORKS && rows.iter().any(|one| !one.network.is_host()));
        assert_eq!(rows.iter().map(|one| one.count).sum::<u64>(), 101);
        assert_eq!(change.rows().recorded_since().unwrap(), None);
        for (records, second, since) in [(true, 5, Some(5)), (true, 6, Some(5)), (false, 7, None), (true, 8, Some(8))] {
            change.record_traffic(records, at(second)).unwrap();
            assert_eq!(change.rows().recorded_since().unwrap(), since.map(at));
        }
    }
}
