//! Backup, restore, export and import while changes go on.

mod third_party;
