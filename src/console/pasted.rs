//! Entries of an access list as people type or paste them: one a line, or rows of CSV.
//!
//! Every line that is wrong is told, each by its number; nothing is skipped but what is empty or a comment.

use crate::access::target::Target;
use crate::clock::Timestamp;
use crate::control::NewEntry;
use crate::problem::{Code, Refusal};

/// Problems that are told at most.
const MOST_TOLD: usize = 50;

/// Reads lines `network[, comment[, expires]]`; a comment may stand after `#` too, and be quoted.
///
/// # Errors
/// What is wrong with which line, as the field `entries`.
pub(super) fn entries(text: &str, now: Timestamp) -> Result<Vec<NewEntry>, Refusal> {
    let (mut entries, mut wrong): (Vec<NewEntry>, Vec<String>) = (Vec::new(), Vec::new());
    let mut first: std::collections::BTreeMap<Target, usize> = std::collections::BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || is_heading(number, line) {
            continue;
        }
        match entry(line, now) {
            Ok(entry) => match first.insert(entry.target.clone(), number) {
                Some(before) => wrong.push(format!("line {number}: {} is on line {before} already", entry.target)),
                None => entries.push(entry),
            },
            Err(fault) => wrong.push(format!("line {number}: {fault}")),
        }
    }
    if wrong.is_empty() {
        return Ok(entries);
    }
    let more = wrong.len().saturating_sub(MOST_TOLD);
    wrong.truncate(MOST_TOLD);
    if more > 0 {
        wrong.push(format!("and {more} lines more"));
    }
    let detail = "Some lines can’t be read; nothing was added.";
    let fields = wrong.into_iter().map(|wrong| ("entries".to_owned(), wrong)).collect();
    Err(Refusal { fields, ..Refusal::new(Code::InvalidAttribute, detail) })
}

/// The heading of a table.
fn is_heading(number: usize, line: &str) -> bool {
    let first = line.split([',', ';', '\t']).next().unwrap_or_default().trim_matches('"').to_ascii_lowercase();
    number == 1 && matches!(first.as_str(), "ip" | "cidr" | "address" | "network" | "ipaddress" | "cidrblock" | "entry")
}

fn entry(line: &str, now: Timestamp) -> Result<NewEntry, String> {
    let (line, said) = match line.split_once('#') {
        Some((line, said)) => (line.trim(), Some(said.trim())),
        None => (line, None),
    };
    let columns = columns(line);
    let target = columns.first().map(String::as_str).unwrap_or_default();
    let target: Target = target.parse().map_err(|fault: crate::access::network::NetworkFault| fault.to_string())?;
    let comment = columns.get(1).map(String::as_str).filter(|text| !text.is_empty()).or(said);
    let expires_at = match columns.get(2).filter(|text| !text.is_empty()) {
        Some(text) => expiry(text, now)?,
        None => Timestamp::NEVER,
    };
    match columns.get(3) {
        Some(more) if !more.is_empty() => {
            Err(format!("`{}` is one column too many: address, comment, end", shown(more)))
        }
        _ => Ok(NewEntry { target, comment: comment.map(str::to_owned), expires_at }),
    }
}

/// The columns of a row: by commas, semicolons or tabs; quotes hold together what belongs together.
fn columns(line: &str) -> Vec<String> {
    let (mut columns, mut column, mut quoted) = (Vec::new(), String::new(), false);
    for one in line.chars() {
        match one {
            '"' => quoted = !quoted,
            ',' | ';' | '\t' if !quoted => columns.push(std::mem::take(&mut column).trim().to_owned()),
            one => column.push(one),
        }
    }
    columns.push(column.trim().to_owned());
    columns
}

/// A time as people or a field for times write it: `2027-01-31`, `2027-01-31T18:00`, or in full. All of them are UTC.
///
/// # Errors
/// It is none, or has passed.
pub(super) fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{}:00Z", text.replace(' ', "T")),
        _ => text.to_owned(),
    };
    let none = || format!("`{}` is not a time; write it like 2027-01-31 or 2027-01-31T18:00 (UTC)", shown(text));
    let at = full.parse::<jiff::Timestamp>().map_err(|_| none())?;
    let at = Timestamp::from_unix_seconds(at.as_second());
    if at <= now { Err(format!("{at} has passed")) } else { Ok(at) }
}

/// The same for a field of a form; empty is never.
///
/// # Errors
/// As `INVALID_ATTRIBUTE` of the field.
pub(super) fn expiry_field(field: &str, text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    match text {
        "" => Ok(Timestamp::NEVER),
        text => expiry(text, now).map_err(|wrong| Refusal::field(Code::InvalidAttribute, field, wrong)),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_392_000);

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Option<&str>, &str)]) {
        let read = entries(text, NOW).unwrap();
        let read: Vec<_> =
            read.iter().map(|one| (one.target.to_string(), one.comment.clone(), one.expires_at.to_string())).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(target, comment, end)| ((*target).to_owned(), comment.map(str::to_owned), (*end).to_owned()))
            .collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn lines_and_rows_are_read() {
        check(
            "203.0.113.9\n\n# a comment\n2001:db8::/32",
            &[("203.0.113.9/32", None, "never"), ("2001:db8::/32", None, "never")],
        );
        check("cidr,comment\n192.0.2.0/24,\"office, west\"", &[("192.0.2.0/24", Some("office, west"), "never")]);
        check("set:office # ours", &[("set:office", Some("ours"), "never")]);
        check("192.0.2.1;;2027-01-31", &[("192.0.2.1/32", None, "2027-01-31T00:00:00Z")]);
        check("192.0.2.1\tx\t2027-01-31T18:00", &[("192.0.2.1/32", Some("x"), "2027-01-31T18:00:00Z")]);
    }

    #[test]
    fn each_wrong_line_is_told() {
        let refusal = entries("10.0.0.5/8\n192.0.2.1\nnonsense\n192.0.2.1\n192.0.2.2,,2001-01-01\n1.1.1.1,a,,b", NOW)
            .unwrap_err();
        let told: Vec<&str> = refusal.fields.iter().map(|(_, wrong)| wrong.as_str()).collect();
        assert_eq!(told[0], "line 1: network `10.0.0.5/8` has host bits set; did you mean `10.0.0.0/8`?");
        assert!(told[1].starts_with("line 3: `nonsense` is not an IP address"));
        assert_eq!(told[2], "line 4: 192.0.2.1/32 is on line 2 already");
        assert_eq!(told[3], "line 5: 2001-01-01T00:00:00Z has passed");
        assert!(told[4].starts_with("line 6: `b` is one column too many"));
        assert_eq!(told.len(), 5);
    }
}
