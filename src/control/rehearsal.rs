//! What would come of a change that is not made: whom it would refuse or let in, by what is recorded of their requests.
//!
//! The change itself is rehearsed by the desk, by the very function that would make it. What is recorded is read and decided
//! afterwards and elsewhere, on the snapshot that is and the one that would be, so that no other change waits for it. Tells of
//! no credential that the actor may not see.

mod foreseen;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::change::Change;
use super::{Actor, Committed, Control, Fault};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::CredentialRecord;
use crate::access::snapshot::Snapshot;
use crate::clock::Timestamp;
use crate::directory::sqlite::View;
use crate::problem::{Code, Refusal};

/// Changes whose outcome is foreseen at the same time; others wait.
const MOST_AT_ONCE: usize = 2;

/// How long what is recorded is read for one change. Behind it whoever has not been looked at is counted, and no more.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is told one by one of requests of one kind, those that were seen last, and of guards.
pub const MOST_TOLD: usize = 1_000;

/// What would come of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// The revision that it was foreseen by.
    pub revision: u64,
    /// What guards have to say, at most `MOST_TOLD` of it.
    pub guarded: Vec<Guarded>,
    /// How much there is of it.
    pub guards: u64,
    /// What passes now, and would be refused.
    pub refused: Group,
    /// What is refused now, and would pass.
    pub allowed: Group,
    /// What passes now and would pass, and would come to be reported.
    pub reported: Group,
    /// Credentials whose recorded requests were looked at.
    pub credentials: u64,
    /// Those requests.
    pub requests: u64,
    /// Credentials that the change touches and that could not be looked at in time.
    pub unread: u64,
    /// Since when requests are recorded; `None` where they are not.
    pub recorded_since: Option<Timestamp>,
}

/// What a guard has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// Where in a directory, if the change is one of those.
    pub place: Option<String>,
    /// What it would refuse with.
    pub refusal: Refusal,
    /// Whether it would; otherwise it was told not to.
    pub refuses: bool,
}

/// Requests that would fare otherwise, in one way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Those that were seen last, at most `MOST_TOLD`, the newest first.
    pub fates: Vec<Fate>,
    /// How many there are of those.
    pub total: u64,
    /// Whose they are: how many credentials.
    pub credentials: u64,
    /// How many requests they stand for.
    pub requests: u64,
}

/// Requests of one credential from one place on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Whose.
    pub credential: Arc<CredentialRecord>,
    /// From where; of more than one address only where that was recorded.
    pub network: Network,
    /// The route as it was recorded; empty where none matched.
    pub route: Arc<str>,
    /// What they would be refused with, or what would be reported of them.
    pub code: Option<Code>,
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// What a change touches, by what was compiled again.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) credentials: Vec<i64>,
    pub(super) organizations: Vec<Id>,
    pub(super) network_sets: Vec<(Id, Arc<str>)>,
}

/// A change that was rehearsed.
pub(super) struct Prospect {
    pub(super) now: Timestamp,
    pub(super) before: Arc<Snapshot>,
    /// `None` where nothing would be decided otherwise.
    pub(super) after: Option<Snapshot>,
    pub(super) touched: Touched,
    pub(super) guarded: (Vec<Guarded>, u64),
    /// The store as it is without the change.
    pub(super) view: View,
}

/// Turns of those who have it foreseen what would come of a change.
pub(super) fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_AT_ONCE))
}

impl Control {
    /// Does what a change would, and leaves nothing of it; tells what would come of it.
    pub(super) async fn rehearse<T: Send + 'static>(
        &self,
        actor: &Actor,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Committed<T>, Fault> {
        let turn = Arc::clone(&self.foreseeing).acquire_owned().await.map_err(|_| Fault::Stopping)?;
        // What was counted until now is recorded as well.
        self.write_usage().await?;
        let (by, rules) = (actor.clone(), Arc::clone(&self.rules));
        let (value, prospect) = self.at_desk(move |desk| desk.rehearse(&by, &rules, change)).await?;
        let (actor, current) = (actor.clone(), self.published.current());
        let revision = prospect.before.revision();
        // The turn goes along with the work, which goes on where whoever asked for it has gone.
        let foreseeing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            foreseen::of(prospect, &actor, &current.settings.routes, PATIENCE)
        });
        let foreseen = foreseeing.await.unwrap_or(Err(Fault::Stopping))?;
        Ok(Committed { value, revision, foreseen: Some(Arc::new(foreseen)) })
    }
}

#[cfg(test)]
mod tests;
