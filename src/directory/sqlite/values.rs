//! How domain values stand in columns. A value that does not parse is damage, never skipped.

use std::str::FromStr;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Row, RowIndex};

use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::clock::Timestamp;

/// A text column as the value that it spells.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(at)?.as_str()?;
    text.parse().map_err(|fault| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(fault)))
}

/// A text column as one of the words that are known for it.
pub(super) fn word<T: Copy>(row: &Row<'_>, at: usize, words: &[(&str, T)]) -> rusqlite::Result<T> {
    let text = row.get_ref(at)?.as_str()?;
    let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    known.ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(FromSqlError::InvalidType)))
}

/// The word for a value.
pub(super) fn word_for<T: Copy + PartialEq>(value: T, words: &[(&'static str, T)]) -> &'static str {
    // Every value has a word: the tables below are complete, which a test shows.
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

pub(super) const MODES: &[(&str, AccessListMode)] =
    &[("off", AccessListMode::Off), ("report", AccessListMode::Report), ("required", AccessListMode::Required)];

pub(super) const KINDS: &[(&str, CredentialKind)] =
    &[("API_KEY", CredentialKind::ApiKey), ("SERVICE_ACCOUNT", CredentialKind::ServiceAccount)];

pub(super) const ENFORCEMENTS: &[(&str, Enforcement)] =
    &[("enforce", Enforcement::Enforce), ("report", Enforcement::Report)];

/// A column of seconds.
pub(super) fn time(row: &Row<'_>, at: impl RowIndex) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_unix_seconds)
}

/// A column of seconds in which nothing is "never".
pub(super) fn expiry(row: &Row<'_>, at: impl RowIndex) -> rusqlite::Result<Timestamp> {
    let seconds: Option<i64> = row.get(at)?;
    Ok(seconds.map_or(Timestamp::NEVER, Timestamp::from_unix_seconds))
}

/// What stands in such a column.
pub(super) fn expiry_column(at: Timestamp) -> Option<i64> {
    (at != Timestamp::NEVER).then_some(at.unix_seconds())
}
