//! Looking for credentials: a page of those that a search finds, and those that a switch would refuse.
//!
//! A page is read from one index, whatever is looked for and however it is sorted: a list of a hundred thousand is answered as
//! quickly as a short one, as far as somebody who waits for it can tell.

use rusqlite::{Params, params};

use super::credentials::{SELECT, row};
use super::values::{KINDS, word_for};
use super::{Rows, StoreFault};
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::record::{CredentialOrder, CredentialRecord, CredentialSearch, Place};
use crate::clock::Timestamp;

impl Rows<'_> {
    /// One page of the credentials of a kind that a search finds, and how many it finds in all.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credentials(
        &self,
        kind: CredentialKind,
        of: Place,
        search: &CredentialSearch,
        page: (u64, u64),
    ) -> Result<(Vec<CredentialRecord>, u64), StoreFault> {
        let (numbers, total) = match search.text.is_empty() {
            true => self.listed(kind, of, search, page)?,
            false => self.found(kind, of, search, page)?,
        };
        let mut rows = Vec::with_capacity(numbers.len());
        for pk in numbers {
            rows.extend(self.credential_by_pk(pk)?);
        }
        Ok((rows, total))
    }

    /// The numbers of a page of all of them.
    fn listed(
        &self,
        kind: CredentialKind,
        of: Place,
        search: &CredentialSearch,
        (skip, most): (u64, u64),
    ) -> Result<(Vec<i64>, u64), StoreFault> {
        let (id, kind) = (id(of), word_for(kind, KINDS));
        let sql = format!("{} LIMIT ?3 OFFSET ?4", ordered(of, search));
        let mut statement = self.0.prepare_cached(&sql)?;
        let numbers =
            statement.query_map(params![id, kind, most, skip], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut count = self.0.prepare_cached(&format!("SELECT count(*) FROM credential {}", within(of, "pk")))?;
        Ok((numbers, count.query_row(params![id, kind], |row| row.get(0))?))
    }

    /// The numbers of a page of those whose name, public key or id holds a text.
    fn found(
        &self,
        kind: CredentialKind,
        of: Place,
        search: &CredentialSearch,
        page: (u64, u64),
    ) -> Result<(Vec<i64>, u64), StoreFault> {
        let (id, kind, text) = (id(of), word_for(kind, KINDS), sought(&search.text));
        let by_name = searched(of, search);
        if search.order == CredentialOrder::Name {
            return self.page(&by_name, params![id, kind, text], page, |_| true);
        }
        let (mut numbers, total) = self.page(&by_name, params![id, kind, text], (0, u64::MAX), |_| true)?;
        numbers.sort_unstable();
        if search.order == CredentialOrder::Created {
            if search.descending {
                numbers.reverse();
            }
            let part = numbers.into_iter().skip(usize::try_from(page.0).unwrap_or(usize::MAX));
            return Ok((part.take(usize::try_from(page.1).unwrap_or(usize::MAX)).collect(), total));
        }
        self.page(&ordered(of, search), params![id, kind], page, |pk| numbers.binary_search(&pk).is_ok())
    }

    /// The part of the numbers of a query that is a page of those that are wanted, and how many are wanted in all.
    fn page(
        &self,
        sql: &str,
        about: impl Params,
        (skip, most): (u64, u64),
        wanted: impl Fn(i64) -> bool,
    ) -> Result<(Vec<i64>, u64), StoreFault> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(about)?;
        let (mut numbers, mut total) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let pk = row.get(0)?;
            if wanted(pk) {
                if total >= skip && total - skip < most {
                    numbers.push(pk);
                }
                total += 1;
            }
        }
        Ok((numbers, total))
    }

    /// The credentials of an organization that work and have no list, those that were used last first, and how many there are.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn unlisted(
        &self,
        organization: i64,
        now: Timestamp,
        (skip, most): (u64, u64),
    ) -> Result<(Vec<CredentialRecord>, u64), StoreFault> {
        const WHERE: &str = "WHERE credential.organization = ?1 AND enabled AND coalesce(expires_at > ?2, 1)
            AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.credential = credential.pk)";
        let mut statement = self.0.prepare_cached(&format!(
            "{SELECT} {USES} {WHERE} ORDER BY last_used DESC, credential.pk LIMIT ?3 OFFSET ?4"
        ))?;
        let about = params![organization, now.unix_seconds(), most, skip];
        let rows = statement.query_map(about, row)?.collect::<Result<_, _>>()?;
        let mut count = self.0.prepare_cached(&format!("SELECT count(*) FROM credential {WHERE}"))?;
        Ok((rows, count.query_row(params![organization, now.unix_seconds()], |row| row.get(0))?))
    }
}

impl Rows<'_> {
    /// One page of the credentials of an organization whose lists only report, oldest first, and how many there are.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn reporting(
        &self,
        organization: i64,
        (skip, most): (u64, u64),
    ) -> Result<(Vec<CredentialRecord>, u64), StoreFault> {
        const WHERE: &str = "WHERE credential.organization = ?1 AND enforcement = 'report'";
        let mut statement =
            self.0.prepare_cached(&format!("{SELECT} {WHERE} ORDER BY credential.pk LIMIT ?2 OFFSET ?3"))?;
        let rows = statement.query_map(params![organization, most, skip], row)?.collect::<Result<_, _>>()?;
        let mut count = self.0.prepare_cached(&format!("SELECT count(*) FROM credential {WHERE}"))?;
        Ok((rows, count.query_row([organization], |row| row.get(0))?))
    }
}

const USES: &str = "LEFT JOIN credential_use ON credential_use.credential = credential.pk";

/// The organization or project.
fn id(of: Place) -> String {
    match of {
        Place::Organization(id) | Place::Project(id) => Id::to_string(&id),
    }
}

/// Of which credentials: `?1` is the place, `?2` the kind. Their number is in this column.
fn within(of: Place, number: &str) -> String {
    match of {
        Place::Organization(_) => {
            "WHERE organization = (SELECT pk FROM organization WHERE id = ?1) AND kind = ?2".into()
        }
        Place::Project(_) => format!(
            "WHERE organization = (SELECT organization FROM project WHERE id = ?1) AND kind = ?2
               AND {number} IN (SELECT credential FROM role WHERE project = ?1 AND project <> '')"
        ),
    }
}

/// The numbers of all of them in the order that is asked for.
fn ordered(of: Place, search: &CredentialSearch) -> String {
    let (number, table, column) = match search.order {
        CredentialOrder::Created => ("pk", "credential", "pk"),
        CredentialOrder::Name => ("pk", "credential", "name COLLATE NOCASE"),
        CredentialOrder::LastUsed => ("credential", "credential_use", "last_used"),
        CredentialOrder::LastDenied => ("credential", "credential_use", "denied_at"),
    };
    let direction = direction(search);
    format!("SELECT {number} FROM {table} {} ORDER BY {column} {direction}, {number} {direction}", within(of, number))
}

/// The numbers of those that hold a text, `?3`, by their names.
fn searched(of: Place, search: &CredentialSearch) -> String {
    let direction = direction(search);
    // What is looked at stands in this index alone.
    format!(
        "SELECT pk FROM credential INDEXED BY credential_by_name {} AND instr(sought, ?3) > 0
         ORDER BY name COLLATE NOCASE {direction}, pk {direction}",
        within(of, "pk")
    )
}

fn direction(search: &CredentialSearch) -> &'static str {
    if search.descending { "DESC" } else { "ASC" }
}

/// A text as it is looked for. What is before the id of a service account is none of it.
fn sought(text: &str) -> String {
    text.strip_prefix("pcl_sa_id_").unwrap_or(text).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    /// How SQLite would go about a query.
    fn plan(sql: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db"), Timestamp::from_unix_seconds(1)).unwrap();
        let rows = store.rows();
        let mut statement = rows.0.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let unbound = vec![rusqlite::types::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(unbound), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
    }

    #[test]
    fn a_page_is_read_from_one_index_and_sorted_by_it() {
        let id = Id::from_bytes([1; 12]);
        for of in [Place::Organization(id), Place::Project(id)] {
            for (order, index) in [
                (CredentialOrder::Created, "credential_of_organization"),
                (CredentialOrder::Name, "credential_by_name"),
                (CredentialOrder::LastUsed, "credential_use_by_use"),
                (CredentialOrder::LastDenied, "credential_use_by_denial"),
            ] {
                for descending in [false, true] {
                    let search = CredentialSearch { text: String::new(), order, descending };
                    let plan = plan(&ordered(of, &search));
                    let covering = format!("USING COVERING INDEX {index}");
                    assert!(plan.contains(&covering) && !plan.contains("TEMP B-TREE"), "{order:?} {of:?}: {plan}");
                }
            }
            let plan = plan(&searched(of, &CredentialSearch::default()));
            assert!(plan.contains("INDEX credential_by_name") && !plan.contains("TEMP B-TREE"), "{of:?}: {plan}");
        }
    }

    #[test]
    fn a_text_is_looked_for_as_it_stands() {
        assert_eq!(sought("100%_\\"), "100%_\\");
        assert_eq!(sought("pcl_sa_id_5F"), "5f");
    }
}
