//! What logs say, added up: one row for each credential, address and route, and whether it passed.
//!
//! Holds nothing of a line beyond that; what it holds is bounded, and where the bound is reached it says so and ends.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

use super::lines::{LONGEST, Line, Lines};
use super::logs::{Fields, Form, Reading, Stamps};
use super::proposal::{Named, Proposal};
use crate::access::network::Network;
use crate::access::record::CredentialName;
use crate::access::route::RouteMatch;
use crate::access::traffic::{Met, Sighting};
use crate::cli::import::Progress;
use crate::clock::Timestamp;
use crate::directory::sqlite;
use crate::gate::{foresight, forwarded};

/// Whose requests a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Whose {
    /// Of the credential at this position.
    Credential(u32),
    /// Of somebody whom the directory does not know.
    Unknown,
    /// Of nobody who was named.
    Nobody,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) whose: Whose,
    /// From where; more than one address only where that was recorded. `None` where it decides nothing.
    pub(super) address: Option<Network>,
    /// What the proposed routes make of the target.
    pub(super) route: Way,
    /// Whether it passed.
    pub(super) passed: bool,
}

/// What the routes make of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Way {
    Route(u32),
    NotFound,
    Ambiguous,
    /// A call of the admin API, where every credential passes that its list lets pass.
    Admin,
    /// One or more of them; nobody can tell which.
    Any,
}

/// How often, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) requests: u64,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// How logs are read.
pub(super) struct How<'a> {
    pub(super) form: Form,
    pub(super) reading: Reading,
    /// What somebody else's program refused with.
    pub(super) refused: &'a [u16],
    /// Whether lines that can't be read are passed over.
    pub(super) skips: bool,
    /// Most rows.
    pub(super) most: usize,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) rows: HashMap<Key, Count>,
    pub(super) lines: u64,
    /// Lines that were passed over because they could not be read.
    pub(super) unreadable: u64,
    /// Lines that were passed over because they are longer than any that is read.
    pub(super) too_long: u64,
    /// Requests that were never decided: no request at all, or no client address.
    pub(super) undecided: u64,
}

/// Who gates on a plan has to know that it is of the whole log: what can't be read ends it, unless it may be passed over.
fn passed_over_if_asked(why: &str, path: &Path, line: u64) -> anyhow::Error {
    let place = format!("{}:{line}", path.display());
    anyhow!("{why}; --skip-unreadable counts such lines and goes on").context(place)
}

impl Tally {
    /// Adds a log; `-` is standard input.
    pub(super) fn read(
        &mut self,
        path: &Path,
        progress: &Progress,
        how: &How<'_>,
        proposal: &Proposal,
    ) -> anyhow::Result<()> {
        let mut lines = Lines::open(path, progress)?;
        let (mut stamps, mut at) = (Stamps::default(), 0_u64);
        while let Some(line) = lines.next().with_context(|| format!("log `{}` can't be read", path.display()))? {
            at += 1;
            let text = match line {
                Line::Text([]) => continue,
                Line::Text(text) => text,
                Line::TooLong if how.skips => {
                    self.lines += 1;
                    self.too_long += 1;
                    continue;
                }
                Line::TooLong => {
                    let why = format!("the line has more than {} KiB", LONGEST >> 10);
                    return Err(passed_over_if_asked(&why, path, at));
                }
            };
            self.lines += 1;
            match how.reading.read(text).and_then(|fields| self.add(&fields, how, proposal, &mut stamps)) {
                Ok(()) => {}
                Err(_) if how.skips => self.unreadable += 1,
                Err(why) => return Err(passed_over_if_asked(&why, path, at)),
            }
            self.is_bounded(how.most)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        fields: &Fields<'_>,
        how: &How<'_>,
        proposal: &Proposal,
        stamps: &mut Stamps,
    ) -> Result<(), String> {
        let is_ours = how.form == Form::Portcullis;
        if is_ours && fields.outcome.is_empty() {
            return Err("it is no line of the access log".to_owned());
        }
        let Some((method, target)) = fields.asked() else {
            self.undecided += 1;
            return Ok(());
        };
        let passed = if is_ours { passed(fields) } else { Some(!how.refused.contains(&fields.status)) };
        let (Some(passed), false) = (passed, fields.address.is_empty()) else {
            self.undecided += 1;
            return Ok(());
        };
        let at = stamps.read(&fields.time).ok_or("it does not say when")?;
        let trusted = &proposal.settings.client_address.trusted_proxies;
        let address = forwarded::of_log(fields.address.as_bytes(), trusted)
            .map_err(|fault| format!("the client address is none: {}", fault.as_str()))?;
        let (host, path) = located(target, &fields.host);
        let way = proposal.way(host, method, path);
        let whose = match fields.credential.is_empty() {
            true => Whose::Nobody,
            false => proposal.names.find(&fields.credential).map_or(Whose::Unknown, Whose::Credential),
        };
        // Of whom nothing is known no address decides, and there may be very many.
        let address = matches!(whose, Whose::Credential(_)).then(|| Network::host(address));
        self.count(Key { whose, address, route: way, passed }, Count { requests: 1, first: at, last: at });
        Ok(())
    }

    fn count(&mut self, key: Key, more: Count) {
        let count = self.rows.entry(key).or_insert(Count { requests: 0, ..more });
        count.requests += more.requests;
        count.first = count.first.min(more.first);
        count.last = count.last.max(more.last);
    }

    /// Adds what a store has recorded.
    pub(super) fn recorded(&mut self, now: Timestamp, most: usize, proposal: &Proposal) -> anyhow::Result<()> {
        let Some(store) = &proposal.store else {
            bail!("name the store that has recorded: --store FILE, or --config FILE which names one");
        };
        let read = sqlite::read(store, |rows| match rows.has_traffic()? {
            false => Ok::<_, sqlite::StoreFault>(false),
            true => rows.all_traffic(now, |name, seen| self.see(name, &seen, proposal)).map(|()| true),
        });
        match read.with_context(|| format!("the store `{}` can't be read", store.display()))? {
            None => bail!("there is no store `{}`; name the one that has recorded by --store FILE", store.display()),
            Some(false) => bail!(
                "the store `{}` has recorded nothing yet: it is from before there was a record; serve it once",
                store.display()
            ),
            Some(true) => self.is_bounded(most),
        }
    }

    fn see(&mut self, name: CredentialName, seen: &Sighting, proposal: &Proposal) {
        let whose = proposal.names.find(&name.to_string()).map_or(Whose::Unknown, Whose::Credential);
        let address = matches!(whose, Whose::Credential(_)).then_some(seen.network);
        let key = Key { whose, address, route: Way::recorded(&seen.route, proposal), passed: seen.met != Met::Deny };
        let (first, last) = (seen.first.unix_seconds(), seen.last.unix_seconds());
        self.count(key, Count { requests: seen.count, first, last });
    }

    fn is_bounded(&self, most: usize) -> anyhow::Result<()> {
        if self.rows.len() > most {
            bail!(
                "there are more than {most} distinct credentials, addresses and routes; read less, or raise --most, at about \
                 100 bytes each"
            );
        }
        Ok(())
    }
}

/// Whether the decision let a request of our own log pass; `None` where there was none.
fn passed(fields: &Fields<'_>) -> Option<bool> {
    match &*fields.outcome {
        "allow" | "would_deny" => Some(true),
        // It was let through before it was ended, or its rate was spent after it had been permitted.
        "deny" if fields.is_revoked => Some(false),
        "deny" if fields.code == "RATE_LIMITED" => (!fields.credential.is_empty()).then_some(true),
        "deny" => Some(false),
        // Whoever was named had been let through before something else failed.
        _ => (!fields.credential.is_empty()).then_some(true),
    }
}

/// Host and path of a target without its query.
fn located<'t>(target: &'t str, host: &'t str) -> (&'t str, &'t str) {
    let bare = |target: &'t str| target.split(['?', '#']).next().unwrap_or_default();
    let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else {
        return (host, bare(target));
    };
    match rest.split_once('/') {
        Some((host, _)) => (host, bare(&rest[host.len()..])),
        None => (rest, "/"),
    }
}

impl Way {
    /// Every route that it may be.
    pub(super) fn matches(self, proposal: &Proposal) -> impl Iterator<Item = RouteMatch<'_>> {
        let routes = &proposal.settings.routes;
        let way = match self {
            Self::Any => foresight::Way::Any(routes),
            Self::Route(at) => foresight::Way::One(match routes.iter().nth(at as usize) {
                Some(route) => RouteMatch::Matched(route),
                None => RouteMatch::NotFound,
            }),
            Self::Admin => foresight::Way::One(RouteMatch::Matched(&proposal.everything)),
            Self::NotFound => foresight::Way::One(RouteMatch::NotFound),
            Self::Ambiguous => foresight::Way::One(RouteMatch::Ambiguous),
        };
        way.matches()
    }

    /// What the proposed routes make of a route that was recorded.
    fn recorded(text: &str, proposal: &Proposal) -> Self {
        match foresight::Way::recorded(text, &proposal.settings.routes, &proposal.everything) {
            foresight::Way::Any(_) => Self::Any,
            foresight::Way::One(RouteMatch::Matched(route)) if std::ptr::eq(route, &proposal.everything) => Self::Admin,
            foresight::Way::One(found) => proposal.place(found),
        }
    }
}

impl Key {
    pub(super) fn credential<'p>(&self, proposal: &'p Proposal) -> Option<&'p Named> {
        match self.whose {
            Whose::Credential(at) => proposal.names.at(at),
            Whose::Unknown | Whose::Nobody => None,
        }
    }
}
