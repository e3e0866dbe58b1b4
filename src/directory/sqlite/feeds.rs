//! Rows of the sources of network sets.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{parsed, time, word};
use super::{Change, Rows, StoreFault};
use crate::access::feed::{FeedSums, Form, Held, NetworkFeed, Origin, Source, Wanted};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::clock::Timestamp;

const COLUMNS: &str = "network_set, url, file, form, services, regions, every, network_feed.made_at, due_at, good_at, failures, fault, held, held_at, held_why, asked, told_at";

/// Sources with their sets and organizations.
const OF_SETS: &str = "FROM network_feed JOIN network_set ON network_set.pk = network_feed.network_set
    JOIN organization ON organization.pk = network_set.organization";

/// Whether it is time, `?1`, to ask one.
const IS_DUE: &str = "due_at <= ?1 OR due_at > ?1 + every";

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn feed(row: &Row<'_>) -> rusqlite::Result<NetworkFeed> {
    let origin = match row.get::<_, Option<String>>(1)? {
        Some(url) => Origin::Url(url),
        None => Origin::File(row.get(2)?),
    };
    let form = match row.get::<_, Option<String>>(3)? {
        Some(_) => Some(word(row, 3, Form::ALL)?),
        None => None,
    };
    let wanted = Wanted { services: lines(row.get_ref(4)?.as_str()?), regions: lines(row.get_ref(5)?.as_str()?) };
    let held = match row.get::<_, Option<String>>(12)? {
        None => None,
        Some(text) => {
            let networks: Result<Vec<Network>, _> = text.lines().map(str::parse).collect();
            let networks =
                networks.map_err(|fault| rusqlite::Error::FromSqlConversionFailure(12, Type::Text, Box::new(fault)))?;
            Some(Held { since: time(row, 13)?, why: row.get(14)?, networks })
        }
    };
    Ok(NetworkFeed {
        set: row.get(0)?,
        source: Source { origin, form, wanted, every: Duration::from_secs(row.get(6)?) },
        made_at: time(row, 7)?,
        due_at: time(row, 8)?,
        good_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_unix_seconds),
        failures: row.get(10)?,
        fault: row.get(11)?,
        held,
        is_asked: row.get(15)?,
        told_at: row.get::<_, Option<i64>>(16)?.map(Timestamp::from_unix_seconds),
    })
}

impl Rows<'_> {
    /// The source of the set with this number, where it has one.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn feed(&self, set: i64) -> Result<Option<NetworkFeed>, StoreFault> {
        let mut statement =
            self.0.prepare_cached(&format!("SELECT {COLUMNS} FROM network_feed WHERE network_set = ?"))?;
        Ok(statement.query_row([set], feed).optional()?)
    }

    /// The sources that are due, the longest due first: the number of the set, its organization, and the address of the list
    /// where it has one. One that is due later than it ever is was written by a clock that was ahead.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn due_feeds(&self, now: Timestamp) -> Result<Vec<(i64, Id, Option<String>)>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT network_set, organization.id, url {OF_SETS} WHERE {IS_DUE} ORDER BY due_at, network_set"
        ))?;
        let one = |row: &Row<'_>| Ok((row.get(0)?, parsed(row, 1)?, row.get(2)?));
        let rows = statement.query_map([now.unix_seconds()], one)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The source of the set with this number where it is due, with organization and name of the set.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn due_feed(&self, set: i64, now: Timestamp) -> Result<Option<(Id, Arc<str>, NetworkFeed)>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS}, organization.id, network_set.name {OF_SETS} WHERE network_set = ?2 AND ({IS_DUE})"
        ))?;
        let one = |row: &Row<'_>| Ok((parsed(row, 17)?, row.get_ref(18)?.as_str()?.into(), feed(row)?));
        Ok(statement.query_row(params![now.unix_seconds(), set], one).optional()?)
    }

    /// All sources at a glance; overdue are those that [`NetworkFeed::state`] says it of, held or not.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn feed_sums(&self, now: Timestamp) -> Result<FeedSums, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT count(*), coalesce(sum(held IS NOT NULL), 0),
                coalesce(sum(coalesce(good_at, made_at) + 3 * every + 300 < ?1 OR coalesce(good_at, made_at) > ?1), 0),
                min(coalesce(good_at, made_at))
             FROM network_feed",
        )?;
        let sums = |row: &Row<'_>| {
            Ok(FeedSums {
                count: row.get(0)?,
                held: row.get(1)?,
                overdue: row.get(2)?,
                oldest: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_unix_seconds),
            })
        };
        Ok(statement.query_row([now.unix_seconds()], sums)?)
    }
}

impl Change<'_> {
    /// Writes the source of a set and all that is known of it.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn write_feed(&self, feed: &NetworkFeed) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT OR REPLACE INTO network_feed (network_set, url, file, form, services, regions, every, made_at, due_at,
                good_at, failures, fault, held, held_at, held_why, asked, told_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let (url, file) = match &feed.source.origin {
            Origin::Url(url) => (Some(url), None),
            Origin::File(file) => (None, Some(file)),
        };
        let text = |held: &Held| held.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        statement.execute(params![
            feed.set,
            url,
            file,
            feed.source.form.map(Form::as_str),
            feed.source.wanted.services.join("\n"),
            feed.source.wanted.regions.join("\n"),
            feed.source.every.as_secs(),
            feed.made_at.unix_seconds(),
            feed.due_at.unix_seconds(),
            feed.good_at.map(Timestamp::unix_seconds),
            feed.failures,
            feed.fault,
            feed.held.as_ref().map(text),
            feed.held.as_ref().map(|held| held.since.unix_seconds()),
            feed.held.as_ref().map(|held| &held.why),
            feed.is_asked,
            feed.told_at.map(Timestamp::unix_seconds),
        ])?;
        Ok(())
    }

    /// Takes the source of a set away.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_feed(&self, set: i64) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM network_feed WHERE network_set = ?", [set])?;
        Ok(())
    }
}
