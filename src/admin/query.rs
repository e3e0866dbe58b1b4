//! The query of a call: which parameters there may be, and what they may hold.
//!
//! Everything is checked once, when it is read; what nobody knows is refused and never ignored.

use axum::http::request::Parts;

use super::operation::{DRY_RUN, EVERYWHERE, Kind, Operation, PAGED, Parameter, SEARCHED};
use crate::access::record::{CredentialOrder, CredentialSearch};
use crate::clock::Timestamp;
use crate::problem::{Code, Refusal};

/// The query of a call; every parameter is known and has a value that it may have.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Only how the answer is to look, for refusals.
    pub(super) fn lenient(head: &Parts) -> Self {
        let pairs = pairs(head).into_iter();
        Self(pairs.filter(|(name, value)| EVERYWHERE.iter().any(|one| one.name == name) && value == "true").collect())
    }

    pub(super) fn strict(head: &Parts, operation: &Operation) -> Result<Self, Refusal> {
        let pairs = pairs(head);
        for (at, (name, value)) in pairs.iter().enumerate() {
            let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
            let wrong = |wrong: String| Refusal::new(Code::InvalidQueryParameter, wrong).with(&shown);
            let known = EVERYWHERE.iter().chain(operation.query).find(|one| one.name == name);
            let Some(parameter) = known else {
                if name == DRY_RUN.name {
                    let why = "is not for this operation: nothing that was recorded would be decided otherwise by it, or no \
                               record could tell";
                    return Err(wrong(format!("Query parameter `{shown}` {why}.")));
                }
                let names: Vec<&str> = EVERYWHERE.iter().chain(operation.query).map(|one| one.name).collect();
                return Err(wrong(format!(
                    "Query parameter `{shown}` is unknown here; known are {}.",
                    names.join(", ")
                )));
            };
            if pairs[..at].iter().any(|(other, _)| other == name) && parameter.kind != Kind::Text {
                return Err(wrong(format!("Query parameter `{shown}` is there twice.")));
            }
            check(parameter, value).map_err(|why| wrong(format!("Query parameter `{shown}`: {why}.")))?;
        }
        Ok(Self(pairs))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A time; checked when the query was read.
    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name).and_then(parse_time)
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    pub(super) fn page_number(&self) -> u64 {
        self.number(PAGED[0].name, 1)
    }

    pub(super) fn page_size(&self) -> u64 {
        self.number(PAGED[1].name, 100)
    }

    /// What lists of credentials are searched for and sorted by.
    pub(super) fn search(&self) -> CredentialSearch {
        let [search, sort, descending, ..] = SEARCHED;
        let named = |name: &str| CredentialOrder::ALL.iter().find(|(known, _)| *known == name).map(|(_, order)| *order);
        CredentialSearch {
            text: self.text(search.name).unwrap_or_default().to_owned(),
            order: self.text(sort.name).and_then(named).unwrap_or_default(),
            descending: self.flag(descending.name),
        }
    }

    pub(super) fn includes_count(&self) -> bool {
        self.text(PAGED[2].name) != Some("false")
    }

    pub(super) fn is_enveloped(&self) -> bool {
        self.flag(EVERYWHERE[0].name)
    }

    pub(super) fn is_pretty(&self) -> bool {
        self.flag(EVERYWHERE[1].name)
    }

    /// The address of another page of the same.
    pub(super) fn address(&self, here: &str, page: u64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.0.iter().filter(|(name, _)| name != PAGED[0].name) {
            query.append_pair(name, value);
        }
        query.append_pair(PAGED[0].name, &page.to_string());
        format!("{here}?{}", query.finish())
    }
}

fn pairs(head: &Parts) -> Vec<(String, String)> {
    form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn check(parameter: &Parameter, value: &str) -> Result<(), String> {
    match parameter.kind {
        Kind::Flag if matches!(value, "true" | "false") => Ok(()),
        Kind::Flag => Err("it is `true` or `false`".into()),
        Kind::Number { least, most } => match value.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(()),
            _ => Err(format!("it is a number from {least} to {most}")),
        },
        Kind::Time => parse_time(value).map(drop).ok_or_else(|| "it is a time like 2027-06-01T00:00:00Z".into()),
        Kind::OneOf(names) if names.contains(&value) => Ok(()),
        Kind::OneOf(names) => Err(format!("it is one of {}", names.join(", "))),
        Kind::Text if value.len() <= 200 => Ok(()),
        Kind::Text => Err("it is too long".into()),
    }
}

/// ISO 8601, to the second.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_unix_seconds(at.as_second()))
}
