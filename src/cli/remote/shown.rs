//! How answers look: JSON as the API gave it, or plain aligned columns.

use std::io::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

use super::rehearsal;

/// Form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people: aligned columns.
    #[default]
    Table,
    /// For programs: what the API answered.
    Json,
}

/// A column of a table, or a line about one thing.
#[derive(Clone, Copy)]
pub struct Column {
    title: &'static str,
    text: fn(&Value) -> String,
}

impl Column {
    pub(in crate::cli) const fn new(title: &'static str, text: fn(&Value) -> String) -> Self {
        Self { title, text }
    }
}

/// What a command shows.
pub enum Shown {
    /// Things, one a line.
    Many(Value, &'static [Column]),
    /// One thing, one attribute a line.
    One(Value, &'static [Column]),
    /// One thing with a secret in it that is shown this once, and what the secret is called.
    Once(Value, &'static [Column], &'static str),
    /// What was done; the API answered nothing.
    Done(String),
    /// What would come of a change that was not made.
    Rehearsed(Value),
}

impl Shown {
    /// Prints it.
    pub(super) fn print(self, output: Output) -> std::io::Result<()> {
        let secret = if let Self::Once(.., secret) = self { Some(secret) } else { None };
        let mut out = std::io::stdout().lock();
        out.write_all(self.text(output).as_bytes())?;
        out.flush()?;
        if let (Some(secret), Output::Table) = (secret, output) {
            eprintln!("The {secret} is shown this once. Keep it now.");
        }
        Ok(())
    }

    /// The exit code of whoever shows nothing worse.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Rehearsed(told) => rehearsal::exit_code(told),
            Self::Many(..) | Self::One(..) | Self::Once(..) | Self::Done(_) => 0,
        }
    }

    /// What is printed.
    pub(super) fn text(self, output: Output) -> String {
        match (self, output) {
            (Self::Done(told), Output::Table) => format!("{told}\n"),
            (Self::Rehearsed(told), Output::Table) => rehearsal::told(&told),
            (Self::Rehearsed(told), Output::Json) => format!("{told:#}\n"),
            (Self::Done(_), Output::Json) => String::new(),
            (Self::Many(value, _) | Self::One(value, _) | Self::Once(value, ..), Output::Json) => {
                format!("{value:#}\n")
            }
            (Self::Many(value, columns), Output::Table) => {
                table(value["results"].as_array().into_iter().flatten(), columns)
            }
            (Self::One(value, columns) | Self::Once(value, columns, _), Output::Table) => {
                aligned(columns.iter().map(|column| vec![column.title.to_owned(), cell((column.text)(&value))]))
            }
        }
    }
}

/// A text without what a terminal would obey.
pub(in crate::cli) fn plain(text: &str) -> String {
    let is_sly = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if is_sly(letter) { '\u{fffd}' } else { letter }).collect()
}

fn cell(text: String) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => plain(&text),
    }
}

/// Things, one a line, below the titles of the columns.
pub(super) fn table<'v>(rows: impl Iterator<Item = &'v Value>, columns: &[Column]) -> String {
    let titles = columns.iter().map(|column| column.title.to_uppercase()).collect();
    let cells = |row: &Value| columns.iter().map(|column| cell((column.text)(row))).collect();
    aligned(std::iter::once(titles).chain(rows.map(cells)))
}

fn aligned(rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// An attribute as text; nothing where it is missing.
pub(in crate::cli) fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

/// Roles: those on a project with the project behind an `@`.
pub(super) fn roles(value: &Value) -> String {
    let all = ["roles", "groupRoles"].into_iter().filter_map(|name| value[name].as_array()).flatten();
    let role = |role: &Value| match (role.as_str(), role["groupId"].as_str()) {
        // Those of service accounts are plain names.
        (Some(name), _) => name.to_owned(),
        (None, Some(project)) => format!("{}@{project}", text(role, "roleName")),
        (None, None) => text(role, "roleName"),
    };
    all.map(role).collect::<Vec<_>>().join(", ")
}

/// The last denial on one line.
pub(super) fn denial(one: &Value) -> String {
    let denial = &one["lastDenial"];
    let reported = if denial["outcome"] == "would_deny" { " (reported only)" } else { "" };
    match denial["address"].as_str() {
        Some(address) => format!("{} from {address} at {}{reported}", text(denial, "code"), text(denial, "time")),
        None if denial.is_null() => String::new(),
        None => format!("{} at {}{reported}", text(denial, "code"), text(denial, "time")),
    }
}

/// What is remembered of the requests of a credential.
pub(super) const TRAFFIC: &[Column] = &[
    Column::new("from", |one| match one["widened"] == true {
        true => format!("{} (several addresses)", text(one, "cidrBlock")),
        false => text(one, "ipAddress"),
    }),
    Column::new("route", |one| text(one, "route")),
    Column::new("outcome", |one| text(one, "outcome")),
    Column::new("code", |one| text(one, "code")),
    Column::new("count", |one| text(one, "count")),
    Column::new("first", |one| text(one, "firstSeen")),
    Column::new("last", |one| text(one, "lastSeen")),
];

/// The addresses that a credential was last used from, newest first.
pub(super) fn recent(value: &Value) -> String {
    let recent = value["recentAddresses"].as_array().into_iter().flatten();
    recent.map(|one| text(one, "address")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
