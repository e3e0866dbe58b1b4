//! The last refused requests of each organization, for whoever watches them live.
//!
//! Only those whose credential was proven: whatever else is refused belongs to no organization. Kept in memory and bounded,
//! whoever is refused how often; a worker waits for nobody: what comes while another one is being put here is left out.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::UNIX_EPOCH;

use tokio::sync::watch;

use super::Outcome;
use super::access_log::{ClientSource, Line};
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::problem::Code;

/// Refusals that are remembered of one organization.
pub const MOST: usize = 200;

/// Organizations of which any are remembered.
const ORGANIZATIONS: usize = 256;

/// Longest path that is remembered, in characters.
const LONGEST: usize = 500;

/// A request that was refused, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Counts all of them, in the order in which they came.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// As the log and the caller know it.
    pub request_id: String,
    /// The request.
    pub method: String,
    /// The host that it named.
    pub host: String,
    /// Its path, without the query.
    pub path: String,
    /// Why.
    pub code: Code,
    /// Whether it was refused; what is set to report only passes.
    pub enforced: bool,
    /// Whether it had been let through and was ended later.
    pub revoked: bool,
    /// The client address, where it could be told.
    pub client: Option<IpAddr>,
    /// Where the connection came from.
    pub peer: IpAddr,
    /// How the address was derived.
    pub source: ClientSource,
    /// Whose it was.
    pub credential: (CredentialKind, Id),
}

#[derive(Debug, Default)]
struct Held {
    number: u64,
    organizations: HashMap<Id, VecDeque<Arc<Refused>>>,
}

/// What is remembered.
#[derive(Debug)]
pub struct Refusals {
    held: Mutex<Held>,
    news: watch::Sender<u64>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { held: Mutex::default(), news: watch::Sender::new(0) }
    }
}

impl Refusals {
    /// Whether a request with this outcome belongs here.
    pub fn wants(outcome: Outcome) -> bool {
        matches!(outcome, Outcome::Deny(_) | Outcome::WouldDeny(_))
    }

    /// Remembers a request that was refused.
    pub fn add(&self, line: &Line<'_>) {
        let (code, enforced) = match line.outcome {
            Outcome::Deny(code) => (code, true),
            Outcome::WouldDeny(code) => (code, false),
            Outcome::Allow | Outcome::Error(_) => return,
        };
        let (Some(credential), Some(organization)) = (line.credential, line.organization) else { return };
        let since = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let mut refused = Refused {
            number: 0,
            at: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            request_id: line.request_id.to_owned(),
            method: line.method.to_owned(),
            host: cut(line.host),
            path: cut(line.path),
            code,
            enforced,
            revoked: line.revoked,
            client: line.client,
            peer: line.peer,
            source: line.source,
            credential,
        };
        let mut held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            // The log has it; here it is left out.
            Err(TryLockError::WouldBlock) => return,
        };
        held.number += 1;
        refused.number = held.number;
        held.make_room(organization);
        let of = held.organizations.entry(organization).or_default();
        if of.len() == MOST {
            of.pop_front();
        }
        of.push_back(Arc::new(refused));
        let number = held.number;
        drop(held);
        self.news.send_replace(number);
    }

    /// Those of an organization that came after this number, newest first.
    pub fn of(&self, organization: Id, after: u64) -> Vec<Arc<Refused>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let all = held.organizations.get(&organization).into_iter().flatten().rev();
        all.take_while(|refused| refused.number > after).cloned().collect()
    }

    /// Hears the number of each that is added.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

impl Held {
    /// Forgets the organization that was quiet for longest, where there are too many.
    fn make_room(&mut self, organization: Id) {
        if self.organizations.len() < ORGANIZATIONS || self.organizations.contains_key(&organization) {
            return;
        }
        let last = |of: &VecDeque<Arc<Refused>>| of.back().map_or(0, |refused| refused.number);
        let quiet = self.organizations.iter().min_by_key(|(_, of)| last(of)).map(|(id, _)| *id);
        quiet.and_then(|id| self.organizations.remove(&id));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn id(number: usize) -> Id {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Id::from_bytes(bytes)
    }

    fn line(request_id: &str, outcome: Outcome, organization: Option<Id>) -> Line<'_> {
        let peer = IpAddr::from([192, 0, 2, 1]);
        Line {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            request_id,
            method: "GET",
            host: "a",
            path: "/p",
            query: Some("secret"),
            status: 403,
            outcome,
            reason: None,
            duration: Duration::ZERO,
            peer,
            client: Some(peer),
            source: ClientSource::Peer,
            credential: organization.map(|_| (CredentialKind::ApiKey, id(7))),
            organization,
            entry: None,
            revision: 1,
            upstream: None,
            endpoint: None,
            attempts: 0,
            bytes_in: 0,
            bytes_out: 0,
            revoked: false,
        }
    }

    #[test]
    fn refusals_of_an_organization_are_told_newest_first() {
        let refusals = Refusals::default();
        let denied = Outcome::Deny(Code::IpAddressNotOnAccessList);
        for (request, outcome, of) in [
            ("r1", denied, Some(id(1))),
            ("r2", Outcome::Allow, Some(id(1))),
            ("r3", Outcome::WouldDeny(Code::OrgRequiresAccessList), Some(id(1))),
            ("r4", denied, Some(id(2))),
            ("r5", denied, None),
        ] {
            refusals.add(&line(request, outcome, of));
        }
        let told: Vec<_> = refusals.of(id(1), 0).iter().map(|one| (one.request_id.clone(), one.enforced)).collect();
        assert_eq!(told, [("r3".to_owned(), false), ("r1".to_owned(), true)]);
        assert_eq!((refusals.of(id(1), 1).len(), refusals.of(id(3), 0).len()), (1, 0));
        assert_eq!(refusals.of(id(2), 0)[0].request_id, "r4");
        assert_eq!((*refusals.news().borrow(), refusals.of(id(1), 0)[1].at), (3, 1_500));
    }

    #[test]
    fn the_memory_is_bounded() {
        let refusals = Refusals::default();
        let denied = Outcome::Deny(Code::IpAddressNotOnAccessList);
        for at in 0..MOST + 5 {
            refusals.add(&line(&at.to_string(), denied, Some(id(0))));
        }
        assert_eq!((refusals.of(id(0), 0).len(), refusals.of(id(0), 0)[0].number), (MOST, MOST as u64 + 5));
        for organization in 1..=ORGANIZATIONS {
            refusals.add(&line("r", denied, Some(id(organization))));
        }
        // The one that was quiet for longest made room.
        assert_eq!((refusals.of(id(0), 0).len(), refusals.of(id(1), 0).len()), (0, 1));
        let long = "x".repeat(5_000);
        refusals.add(&Line { path: &long, ..line("long", denied, Some(id(1))) });
        assert_eq!(refusals.of(id(1), 0)[0].path.len(), LONGEST);
    }
}
