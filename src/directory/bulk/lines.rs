//! An import on its way to the process that serves the store: one JSON object a line, an organization before its keys.
//!
//! ```text
//! {"organization":{"id":"5f0000000000000000000001","name":"acme","require_access_list":true,"projects":[]}}
//! {"api_key":{"id":"5f0000000000000000000021","secret_sha256":["0f…"],"access_list":["203.0.113.0/24"]}}
//! ```
//! The objects have the attributes of a directory file. Never trusts its sender: what comes is judged again.

use std::collections::HashSet;
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Bulk, MOST_ENTRIES};
use crate::access::id::Id;
use crate::config::diagnostic::{Problem, Problems};
use crate::config::strict;
use crate::directory::model::{Credential, Organization};
use crate::directory::raw;
use crate::directory::resolve::resolve_raws;
use crate::directory::source::{Reader, SourceFile};
use crate::directory::text::Lines;
use crate::directory::written::{self, UnwritableRole};

/// Longest line: a list of 100 000 entries with comments.
const LONGEST_LINE: u64 = 64 << 20;

/// Most lines that are no object of an import and are told one by one.
const MOST_FAULTS: usize = 1_000;

/// Why nothing was received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveFault {
    /// It did not arrive whole.
    #[error("the lines could not be read to their end")]
    Broken(#[from] io::Error),
    /// Some lines are at fault; their numbers are the places.
    #[error("{problems}")]
    Faulty {
        /// What is wrong with them.
        problems: Problems,
        /// How many lines are at fault besides, behind so many others that nobody is told of them one by one.
        more: usize,
    },
}

/// A line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    organization: Option<raw::Organization>,
    api_key: Option<raw::ApiKey>,
    service_account: Option<raw::ServiceAccount>,
    /// The sender drew the id.
    #[serde(default)]
    drawn: bool,
}

pub(super) fn of_organization(organization: &Organization) -> String {
    let mut shown: Map<String, Value> = written::object(written::organization(organization));
    shown.insert("projects".into(), written::projects(organization).collect());
    shown.insert("network_sets".into(), written::network_sets(organization).collect());
    serde_json::json!({ "organization": shown }).to_string()
}

pub(super) fn of_credential(
    organization: &Organization,
    key: &Credential,
    drawn: bool,
) -> Result<String, UnwritableRole> {
    let what = if key.account.is_none() { "api_key" } else { "service_account" };
    let shown = written::with_list(organization, key)?;
    let mut line = Map::from_iter([(what.to_owned(), Value::Object(shown))]);
    if drawn {
        line.insert("drawn".into(), true.into());
    }
    Ok(Value::Object(line).to_string())
}

/// Reads lines to their end and judges them.
///
/// # Errors
/// A [`ReceiveFault`].
pub fn receive(mut input: impl BufRead) -> Result<Bulk, ReceiveFault> {
    let mut file =
        raw::File { limits: Some(raw::Limits { entries_per_list: Some(MOST_ENTRIES) }), ..raw::File::default() };
    let mut lines = Lines::new("line", &[]);
    let mut drawn = HashSet::new();
    let mut problems = Problems::default();
    let mut more = 0;
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        if input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let mut fault = |message: &str| match problems.len() < MOST_FAULTS {
            true => problems.push(Problem::error(lines.place(number), message)),
            false => more += 1,
        };
        let line = match line(&text) {
            Ok(line) => line,
            Err(wrong) => {
                fault(&wrong);
                continue;
            }
        };
        match (line, file.organizations.len().checked_sub(1)) {
            (Line { organization: Some(organization), api_key: None, service_account: None, .. }, _) => {
                lines.organization(number);
                file.organizations.push(organization);
            }
            (Line { organization: None, api_key: Some(key), service_account: None, drawn: is_drawn }, Some(at)) => {
                lines.key(at, number);
                drawn.extend(key.id.parse::<Id>().ok().filter(|_| is_drawn));
                file.organizations[at].api_keys.push(key);
            }
            (Line { organization: None, api_key: None, service_account: Some(account), .. }, Some(at)) => {
                lines.account(at, number);
                file.organizations[at].service_accounts.push(account);
            }
            (Line { organization: None, .. }, None) => fault("what belongs to an organization comes after it"),
            _ => fault("a line has one of `organization`, `api_key` and `service_account`"),
        }
    }
    let incomplete = !problems.is_empty();
    let files = vec![SourceFile::of_lines(lines)];
    let mut reader = Reader::of_no_file();
    let judged = resolve_raws(&files, vec![file], &mut reader, problems, incomplete);
    let judged = Bulk::judged(judged, files, drawn);
    judged.map(|(bulk, _)| bulk).map_err(|problems| ReceiveFault::Faulty { problems, more })
}

/// One line. The words of serde may repeat what was sent.
fn line(text: &[u8]) -> Result<Line, String> {
    let wrong = |why: &str| format!("this is no object of an import: {why}");
    let read = strict::read(text).map_err(|fault| {
        let column = fault.column();
        wrong(&match fault.is_data() {
            true => format!("an attribute is there twice, before column {column}"),
            false => format!("it is no JSON from column {column} on"),
        })
    });
    Line::deserialize(read?).map_err(|_| wrong("it has not the attributes of one in a directory file"))
}
