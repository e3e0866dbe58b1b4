//! What a plan says, for people and for programs.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

/// Lines of one kind that people are shown.
const SHOWN: usize = 200;

/// A plan.
#[derive(Debug, Default, Serialize)]
pub(super) struct Plan {
    /// Passed, and would be refused.
    pub(super) newly_refused: Vec<Change>,
    /// Was refused, and would pass.
    pub(super) newly_allowed: Vec<Change>,
    /// Passed, and would pass, and be reported.
    pub(super) reported: Vec<Change>,
    /// Entries that would admit what was seen.
    pub(super) proposed: Vec<Proposed>,
    /// Lines of the logs.
    pub(super) lines: u64,
    /// Requests that a decision was made on.
    pub(super) requests: u64,
    /// Lines that were passed over because they could not be read.
    pub(super) unreadable: u64,
    /// Lines that were passed over because they are longer than any that is read.
    pub(super) too_long: u64,
    /// Lines of what was no request, or had no client address.
    pub(super) undecided: u64,
    /// Credentials that were used.
    pub(super) credentials: usize,
    /// The first and the last request.
    pub(super) from: Option<String>,
    pub(super) until: Option<String>,
}

/// What becomes of requests that are alike.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    /// `None` where the log named nobody whom the directory knows.
    pub(super) credential: Option<Credential>,
    /// `credential`, `unknown` or `none`: what the requests named.
    pub(super) named: &'static str,
    /// From where; left out where it decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    /// Whether that is a network which stands for several addresses; then the worst counts that may become of one of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) widened: bool,
    /// Host and path of the route.
    pub(super) route: String,
    /// What they would be refused with, or what would be reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    pub(super) requests: u64,
    pub(super) first: String,
    pub(super) last: String,
}

/// Whose requests.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Credential {
    /// Id of a key, client id of an account.
    pub(super) id: String,
    pub(super) org_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_key: Option<String>,
    pub(super) description: String,
}

/// An entry that is proposed.
#[derive(Debug, Serialize)]
pub(super) struct Proposed {
    pub(super) credential: Credential,
    pub(super) network: String,
    /// Addresses of it that were seen; missing where that was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<usize>,
    /// How many it admits, where that is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admits: Option<String>,
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.description.is_empty(), &self.public_key) {
            (false, _) => write!(f, "{} ({})", plain(&self.description), self.id),
            (true, Some(public_key)) => write!(f, "{public_key} ({})", self.id),
            (true, None) => f.write_str(&self.id),
        }
    }
}

fn plain(text: &str) -> String {
    text.chars().map(|at| if at.is_control() { '\u{fffd}' } else { at }).collect()
}

fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.credential, self.named) {
            (Some(credential), _) => write!(f, "{credential}")?,
            (None, "unknown") => f.write_str("credentials that the directory does not know")?,
            (None, _) => f.write_str("requests without a credential")?,
        }
        if let Some(address) = &self.address {
            write!(f, " from {address}")?;
        }
        write!(f, " on {}: {}, last {}", self.route, counted(self.requests, "request", "requests"), self.last)?;
        match self.code {
            Some(code) => write!(f, ", {code}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {}", self.credential, self.network)?;
        match (&self.admits, self.seen) {
            (Some(admits), Some(seen)) => write!(f, ", widened: {seen} seen of {admits} addresses"),
            (Some(admits), None) => write!(f, ", recorded as a network of {admits} addresses"),
            (None, _) => Ok(()),
        }
    }
}

/// The entries that are proposed. Each that admits more than was seen is shown, and first: those are to be read by somebody.
fn proposed(f: &mut fmt::Formatter<'_>, all: &[Proposed]) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    let (wider, exact): (Vec<&Proposed>, Vec<&Proposed>) = all.iter().partition(|one| one.admits.is_some());
    let credentials: HashSet<&str> = all.iter().map(|one| one.credential.id.as_str()).collect();
    let entries = counted(all.len() as u64, "entry", "entries");
    let credentials = counted(credentials.len() as u64, "credential", "credentials");
    writeln!(f, "proposed: {entries} for {credentials}, {} wider than what was seen:", wider.len())?;
    let shown = SHOWN.saturating_sub(wider.len()).min(exact.len());
    for one in wider.iter().chain(&exact[..shown]) {
        writeln!(f, "  {one}")?;
    }
    match exact.len() - shown {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more that are just what was seen; --output json has all"),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn section<T: fmt::Display>(f: &mut fmt::Formatter<'_>, title: &str, all: &[T]) -> fmt::Result {
            if all.is_empty() {
                return Ok(());
            }
            writeln!(f, "{title}:")?;
            for one in all.iter().take(SHOWN) {
                writeln!(f, "  {one}")?;
            }
            match all.len().saturating_sub(SHOWN) {
                0 => Ok(()),
                more => writeln!(f, "  … and {more} more; --output json has all"),
            }
        }
        section(f, "newly refused", &self.newly_refused)?;
        section(f, "newly allowed", &self.newly_allowed)?;
        section(f, "passes and is reported", &self.reported)?;
        proposed(f, &self.proposed)?;
        let sum = |all: &[Change]| all.iter().map(|one| one.requests).sum::<u64>();
        write!(
            f,
            "newly refused: {}; newly allowed: {}; looked at: {} of {}",
            counted(sum(&self.newly_refused), "request", "requests"),
            counted(sum(&self.newly_allowed), "request", "requests"),
            counted(self.requests, "request", "requests"),
            counted(self.credentials as u64, "credential", "credentials"),
        )?;
        if let (Some(from), Some(until)) = (&self.from, &self.until) {
            write!(f, ", {from} to {until}")?;
        }
        if self.undecided > 0 {
            write!(f, "; never decided: {}", counted(self.undecided, "line", "lines"))?;
        }
        if self.unreadable > 0 {
            write!(f, "; not readable: {}", counted(self.unreadable, "line", "lines"))?;
        }
        if self.too_long > 0 {
            write!(f, "; too long to be read: {}", counted(self.too_long, "line", "lines"))?;
        }
        Ok(())
    }
}
