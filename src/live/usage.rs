//! Who used which credential and entry, counted beside the decisions and fetched by whoever keeps it.
//!
//! Every worker counts in a stripe of its own, whose lock nobody else wants but who empties it, a few times a minute: on the
//! way of a request nobody waits. Cells come into being at the first use, and their room is used again after a stripe was
//! emptied. Where nobody keeps what is counted, nothing is.

mod seen;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::access::decision::{Denial, Grant, Permit};
use crate::access::id::Id;
use crate::access::route::RouteMatch;
use crate::access::traffic::{ADMIN_API, Met, RouteName};
use crate::access::usage::LastUse;
use crate::clock::Timestamp;
use crate::problem::Code;

use seen::Named;
pub use seen::{DenialSeen, Seen};

/// Cells of one stripe at which it asks to be emptied early.
const FULL: usize = 16 * 1024;

/// Cells whose room is kept for the next ones.
const KEPT: usize = 4 * 1024;

/// What was seen of each credential since somebody last looked.
pub type Book = HashMap<Id, Seen>;

/// The usage of one program.
#[derive(Debug, Clone)]
pub struct Usage(Option<Arc<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether it is remembered from where, what became of it and on which route.
    records: bool,
    stripes: Mutex<Vec<Drained>>,
    full: Notify,
}

/// A stripe as whoever empties it holds it, with a spare table to put in place of the full one.
#[derive(Debug)]
struct Drained {
    stripe: Arc<Stripe>,
    spare: Book,
}

#[derive(Debug, Default)]
struct Stripe(Mutex<Book>);

/// Where one worker counts.
#[derive(Debug, Clone)]
pub struct Meter {
    to: Option<(Arc<Shared>, Arc<Stripe>)>,
    /// What stands for every route, where there are none.
    word: Option<&'static str>,
}

impl Usage {
    /// Counts, for somebody who keeps it; with `records` also remembers the requests themselves, see [`crate::access::traffic`].
    pub fn kept(records: bool) -> Self {
        Self(Some(Arc::new(Shared { records, ..Shared::default() })))
    }

    /// Whether requests are remembered.
    pub fn records(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.records)
    }

    /// Counts nothing.
    pub fn ignored() -> Self {
        Self(None)
    }

    /// A stripe for one more worker.
    pub fn meter(&self) -> Meter {
        let Some(shared) = &self.0 else { return Meter::ignoring() };
        let stripe = Arc::new(Stripe::default());
        let drained = Drained { stripe: Arc::clone(&stripe), spare: Book::new() };
        shared.stripes.lock().unwrap_or_else(PoisonError::into_inner).push(drained);
        Meter { to: Some((Arc::clone(shared), stripe)), word: None }
    }

    /// Moves everything that was counted until now into the book.
    pub fn drain(&self, book: &mut Book) {
        let Some(shared) = &self.0 else { return };
        for Drained { stripe, spare } in &mut *shared.stripes.lock().unwrap_or_else(PoisonError::into_inner) {
            std::mem::swap(&mut *stripe.cells(), spare);
            for (credential, seen) in spare.drain() {
                match book.get_mut(&credential) {
                    Some(known) => known.merge(seen),
                    None => drop(book.insert(credential, seen)),
                }
            }
            spare.shrink_to(KEPT);
        }
    }

    /// Waits until a stripe asks to be emptied early; forever, where nothing is counted.
    pub async fn is_full(&self) {
        match &self.0 {
            Some(shared) => shared.full.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Stripe {
    fn cells(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// A meter that counts nothing.
    pub fn ignoring() -> Self {
        Self { to: None, word: None }
    }

    /// The same for calls of the admin API, which have no route.
    pub fn of_admin_api(self) -> Self {
        Self { word: Some(ADMIN_API), ..self }
    }

    fn route<'r>(&self, route: RouteMatch<'r>) -> RouteName<'r> {
        match (self.word, route) {
            (Some(word), _) => RouteName::Word(word),
            (None, RouteMatch::Matched(route)) => RouteName::Of(route),
            (None, RouteMatch::NotFound | RouteMatch::Ambiguous) => RouteName::None,
        }
    }

    /// A request was permitted.
    #[inline]
    pub fn permitted(&self, permit: &Permit<'_>, now: Timestamp) {
        let (Some(to), Grant::Credential { credential, organization, entry }) = (&self.to, permit.grant()) else {
            return;
        };
        let used = LastUse { at: now, address: permit.client() };
        let entry = entry.as_ref().and_then(|entry| match entry.set {
            Some(at) => organization.sets().get(at as usize).map(|set| Named::Set(&set.name)),
            None => Some(Named::Network(entry.network)),
        });
        let would = permit.would_deny().map(Code::from);
        let route = self.route(RouteMatch::Matched(permit.route()));
        count(to, credential.id(), |seen| {
            seen.used(entry, used);
            if let Some(code) = would {
                seen.denied(DenialSeen { code, address: Some(used.address), at: now, enforced: false });
            }
            if to.0.records {
                let met = if would.is_some() { Met::WouldDeny } else { Met::Allow };
                seen.met(met, would.map_or("", Code::as_str), route, used);
            }
        });
    }

    /// A request was denied: that counts nothing, but is remembered where it is known whose it was.
    #[inline]
    pub fn denied(&self, denial: &Denial<'_>, now: Timestamp) {
        let (Some(to), Some((credential, _))) = (&self.to, denial.credential) else { return };
        let seen = DenialSeen { code: denial.reason.into(), address: denial.client, at: now, enforced: true };
        let route = self.route(denial.route);
        count(to, credential.id(), |cell| {
            cell.denied(seen);
            if let (true, Some(address)) = (to.0.records, denial.client) {
                cell.met(Met::Deny, seen.code.as_str(), route, LastUse { at: now, address });
            }
        });
    }
}

fn count((shared, stripe): &(Arc<Shared>, Arc<Stripe>), credential: Id, count: impl FnOnce(&mut Seen)) {
    let mut cells = stripe.cells();
    match cells.get_mut(&credential) {
        Some(seen) => count(seen),
        None => {
            count(cells.entry(credential).or_default());
            if cells.len() == FULL {
                shared.full.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests;
