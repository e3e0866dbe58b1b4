//! Looking for credentials: a page of those that a search finds, and those that a switch would refuse.

use rusqlite::params;

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
        (skip, most): (u64, u64),
    ) -> Result<(Vec<CredentialRecord>, u64), StoreFault> {
        let Asked { page, count, id } = asked(of, search);
        let (id, kind, text) = (id.to_string(), word_for(kind, KINDS), pattern(&search.text));
        let mut statement = self.0.prepare_cached(&page)?;
        let numbers = statement.query_map(params![id, kind, text, most, skip], |row| row.get(0))?;
        let mut rows = Vec::new();
        for pk in numbers {
            rows.extend(self.credential_by_pk(pk?)?);
        }
        let mut count = self.0.prepare_cached(&count)?;
        Ok((rows, count.query_row(params![id, kind, text], |row| row.get(0))?))
    }

    /// The credentials of an organization that work and have no list, those that were used last first, and how many there are.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn unlisted(
        &self,
        organization: i64,
        now: Timestamp,
        most: u64,
    ) -> Result<(Vec<CredentialRecord>, u64), StoreFault> {
        const WHERE: &str = "WHERE credential.organization = ?1 AND enabled AND coalesce(expires_at > ?2, 1)
            AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.credential = credential.pk)";
        let mut statement = self
            .0
            .prepare_cached(&format!("{SELECT} {USES} {WHERE} ORDER BY last_used DESC, credential.pk LIMIT ?3"))?;
        let about = params![organization, now.unix_seconds(), most];
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

/// A search as SQL: `?1` is the place, `?2` the kind, `?3` the text, `?4` how many and `?5` how many to pass over.
struct Asked {
    /// The numbers of a page.
    page: String,
    /// How many there are in all.
    count: String,
    /// The organization or project.
    id: Id,
}

fn asked(of: Place, search: &CredentialSearch) -> Asked {
    let (place, id) = match of {
        Place::Organization(id) => ("credential.organization = (SELECT pk FROM organization WHERE id = ?1)", id),
        Place::Project(id) => {
            ("credential.pk IN (SELECT credential FROM role WHERE project = ?1 AND project <> '')", id)
        }
    };
    let (uses, column) = match search.order {
        CredentialOrder::Created => ("", "credential.pk"),
        CredentialOrder::Name => ("", "credential.name COLLATE NOCASE"),
        CredentialOrder::LastUsed => (USES, "last_used"),
        CredentialOrder::LastDenied => (USES, "denied_at"),
    };
    let direction = if search.descending { "DESC" } else { "ASC" };
    let found = match search.text.is_empty() {
        true => "?3 = ''",
        false => {
            "(credential.name LIKE ?3 ESCAPE '\\' OR public_key LIKE ?3 ESCAPE '\\' OR credential.id LIKE ?3 ESCAPE '\\')"
        }
    };
    // Only the numbers are sorted; what belongs to them is read for the page alone.
    let page = format!(
        "SELECT credential.pk FROM credential {uses} WHERE {place} AND kind = ?2 AND {found}
         ORDER BY {column} {direction}, credential.pk {direction} LIMIT ?4 OFFSET ?5"
    );
    let count = format!("SELECT count(*) FROM credential WHERE {place} AND kind = ?2 AND {found}");
    Asked { page, count, id }
}

const USES: &str = "LEFT JOIN credential_use ON credential_use.credential = credential.pk";

/// A text that is looked for anywhere in another one. What is before the id of a service account is none of it.
fn pattern(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let text = text.strip_prefix("pcl_sa_id_").unwrap_or(text);
    let mut pattern = String::from("%");
    for one in text.chars() {
        if matches!(one, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(one);
    }
    pattern + "%"
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    /// How SQLite would go about a page of an organization.
    fn plan(order: CredentialOrder, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db"), Timestamp::from_unix_seconds(1)).unwrap();
        let search = CredentialSearch { text: text.to_owned(), order, descending: true };
        let asked = asked(Place::Organization(Id::from_bytes([1; 12])), &search);
        let rows = store.rows();
        let mut statement = rows.0.prepare(&format!("EXPLAIN QUERY PLAN {}", asked.page)).unwrap();
        let about = params![asked.id.to_string(), "API_KEY", pattern(text), 50, 90_000];
        let steps = statement.query_map(about, |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
    }

    #[test]
    fn a_page_by_name_or_age_sorts_nothing() {
        for (order, index) in
            [(CredentialOrder::Name, "credential_by_name"), (CredentialOrder::Created, "credential_of_organization")]
        {
            for text in ["", "partner"] {
                let plan = plan(order, text);
                assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{order:?} {text}: {plan}");
            }
        }
    }

    #[test]
    fn a_text_is_looked_for_as_it_stands() {
        assert_eq!(pattern("100%_\\"), "%100\\%\\_\\\\%");
        assert_eq!(pattern("pcl_sa_id_5f"), "%5f%");
        assert_eq!(pattern(""), "");
    }
}
