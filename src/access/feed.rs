//! Where a network set of a store takes its networks from by itself, and how that goes.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::access::network::Network;
use crate::clock::Timestamp;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `ip-ranges.json` of AWS.
    Aws,
    /// `goog.json` and `cloud.json` of Google.
    Google,
    /// `ServiceTags_….json` of Azure.
    Azure,
    /// What the API of Cloudflare answers; its text files are plain.
    Cloudflare,
    /// What `/meta` of GitHub's API answers.
    GitHub,
    /// A network a line; `#` begins a comment.
    Plain,
}

impl Form {
    /// Each with its name.
    pub const ALL: &[(&str, Self)] = &[
        ("aws", Self::Aws),
        ("google", Self::Google),
        ("azure", Self::Azure),
        ("cloudflare", Self::Cloudflare),
        ("github", Self::GitHub),
        ("plain", Self::Plain),
    ];

    /// The form of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, form)| *form)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Google => "google",
            Self::Azure => "azure",
            Self::Cloudflare => "cloudflare",
            Self::GitHub => "github",
            Self::Plain => "plain",
        }
    }
}

/// What of a list is wanted: everything where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Services; with GitHub the names of its lists, with Azure service tags or services.
    pub services: Vec<String>,
    /// Regions; with Google scopes.
    pub regions: Vec<String>,
}

/// Where a list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// At this address.
    Url(String),
    /// In this file of the folder that the configuration allows.
    File(String),
}

/// Where a set takes its networks from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The list.
    pub origin: Origin,
    /// How it is written; found out where it is not said.
    pub form: Option<Form>,
    /// What of it is taken.
    pub wanted: Wanted,
    /// How often, in whole seconds.
    pub every: Duration,
}

impl Source {
    /// Whether another one takes the same of the same list, however often.
    pub fn is_of_the_same_list(&self, other: &Self) -> bool {
        (&self.origin, self.form, &self.wanted) == (&other.origin, other.form, &other.wanted)
    }

    /// How often, as a configuration writes it.
    pub fn every(&self) -> String {
        let seconds = self.every.as_secs();
        match seconds {
            _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
            _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            _ => format!("{seconds}s"),
        }
    }
}

impl fmt::Display for Source {
    /// As events tell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Url(url) => f.write_str(url)?,
            Origin::File(file) => write!(f, "file {file}")?,
        }
        if let Some(form) = self.form {
            write!(f, " as {}", form.as_str())?;
        }
        for (what, names) in [("service", &self.wanted.services), ("region", &self.wanted.regions)] {
            for name in names {
                write!(f, " {what} {name}")?;
            }
        }
        write!(f, " every {}", self.every())
    }
}

/// A list that waits for a person, because too much of the set would change by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Since when it is, or one is in whose place it came within the hour.
    pub since: Timestamp,
    /// What of it was too much, for people.
    pub why: String,
    /// What the set would hold, in order.
    pub networks: Vec<Network>,
}

impl Held {
    /// What names exactly these networks: who confirms them has seen them.
    pub fn id(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for network in &self.networks {
            // Writing into a String never fails.
            let _ = writeln!(text, "{network}");
        }
        let sum = digest(&SHA256, text.as_bytes());
        sum.as_ref().iter().take(12).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
    }
}

/// The source of a set, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFeed {
    /// The store's number of the set.
    pub set: i64,
    /// From where.
    pub source: Source,
    /// Since when the set has this source.
    pub made_at: Timestamp,
    /// When it is asked next.
    pub due_at: Timestamp,
    /// It is being asked, and nothing has come of that yet.
    pub is_asked: bool,
    /// When it last gave what the set holds.
    pub good_at: Option<Timestamp>,
    /// Failures since then; what is being asked counts as one until something has come of it.
    pub failures: u32,
    /// Why the last one failed.
    pub fault: Option<String>,
    /// What waits for a person.
    pub held: Option<Held>,
    /// When an event last told of one that does.
    pub told_at: Option<Timestamp>,
}

/// How a source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedState {
    /// It has neither given a list nor failed yet.
    New,
    /// The last list was good.
    Fresh,
    /// It has failed since the last good list.
    Failing,
    /// It has given no good list for three times as long as it should, and five minutes.
    Overdue,
    /// A list waits for a person.
    Held,
}

impl FeedState {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Fresh => "fresh",
            Self::Failing => "failing",
            Self::Overdue => "overdue",
            Self::Held => "held",
        }
    }
}

impl NetworkFeed {
    /// A source that was just given to a set, and is asked at once.
    pub fn new(set: i64, source: Source, now: Timestamp) -> Self {
        let (is_asked, failures) = (false, 0);
        let (good_at, fault, held, told_at) = (None, None, None, None);
        Self { set, source, made_at: now, due_at: now, is_asked, good_at, failures, fault, held, told_at }
    }

    /// How it does, and since when: a list is held since it came, and any other source is as it is since its last good list,
    /// or since it was made.
    pub fn state(&self, now: Timestamp) -> (FeedState, Timestamp) {
        let last = self.good_at.unwrap_or(self.made_at);
        let every = i64::try_from(self.source.every.as_secs()).unwrap_or(i64::MAX);
        let latest = last.unix_seconds().saturating_add(every.saturating_mul(3)).saturating_add(300);
        match &self.held {
            Some(held) => (FeedState::Held, held.since),
            // Of a last list that is of a time to come nobody can tell how old it is.
            None if latest < now.unix_seconds() || last > now => (FeedState::Overdue, last),
            None if self.failed() > 0 => (FeedState::Failing, last),
            None if self.good_at.is_none() => (FeedState::New, last),
            None => (FeedState::Fresh, last),
        }
    }

    /// Failures since the last good list, without what is under way.
    pub fn failed(&self) -> u32 {
        self.failures.saturating_sub(u32::from(self.is_asked))
    }
}

/// All feeds of a store at a glance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedSums {
    /// How many there are.
    pub count: u64,
    /// How many wait for a person.
    pub held: u64,
    /// How many have given nothing for three times as long as they should.
    pub overdue: u64,
    /// When the one that is longest without a good list had its last, or was made.
    pub oldest: Option<Timestamp>,
}
