//! What was counted of the use of credentials and entries: kept at the desk, and written to the store every few seconds.
//!
//! Written aside from all changes, in transactions of its own and a part at a time, so that no change waits for long. A crash
//! loses what was counted since the last writing, and nothing else.

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::commit::{Desk, Job};
use super::rights::Rights;
use super::{Actor, Control, Fault, credentials};
use crate::access::id::Id;
use crate::access::record::{CredentialName, Place};
use crate::access::target::Target;
use crate::access::traffic::Sighting;
use crate::directory::sqlite::StoreFault;
use crate::live::usage::{Book, Usage};
use crate::telemetry::activity::Activity;
use crate::telemetry::refusals::Refusals;

/// Credentials that are written at once.
const PART: usize = 1_000;

/// How often traffic that is too old is forgotten.
const FORGETTING: Duration = Duration::from_secs(3600);

/// How long an orderly stop waits for the last writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hears how many uses a writing brought into the store, or that it failed.
pub type UsageSeen = Box<dyn Fn(Result<u64, ()>) + Send>;

/// Where usage comes from, and who hears of its writing.
pub struct UsageSource {
    /// What the workers count.
    pub usage: Usage,
    /// Who hears of each writing.
    pub told: UsageSeen,
    /// The last refused requests.
    pub refusals: Arc<Refusals>,
    /// What became of each organization's requests.
    pub activity: Arc<Activity>,
}

/// What was counted and is not written yet.
pub(super) struct Unwritten {
    source: UsageSource,
    book: Book,
    /// Whether the last writing failed: one line of the log is enough.
    failing: bool,
}

impl Unwritten {
    pub(super) fn new(source: UsageSource) -> Self {
        Self { source, book: Book::new(), failing: false }
    }

    /// Everything that was counted until now.
    pub(super) fn book(&mut self) -> &mut Book {
        self.source.usage.drain(&mut self.book);
        &mut self.book
    }

    /// Entries that are gone: what they were used for before is nothing to one of the same name.
    pub(super) fn forget(&mut self, gone: &[(Id, Target)]) {
        for (credential, entry) in gone {
            if let Some(seen) = self.book().get_mut(credential) {
                seen.forget(entry);
            }
        }
    }
}

impl Desk {
    /// Writes a part of what was counted; tells whether there is more.
    pub(super) fn write_usage(&mut self) -> Result<bool, Fault> {
        let (store, unwritten) = self.store_and_usage();
        let part: Vec<Id> = unwritten.book().keys().copied().take(PART).collect();
        if part.is_empty() {
            return Ok(false);
        }
        let mut write = || {
            let change = store.change()?;
            for id in &part {
                if let Some(seen) = unwritten.book.get(id) {
                    change.add_use(*id, seen)?;
                }
            }
            change.commit()
        };
        let written: Result<(), StoreFault> = write();
        if let Err(fault) = written {
            if !std::mem::replace(&mut unwritten.failing, true) {
                tracing::warn!(error = %fault, "what was counted of uses can't be written; it is kept until it can");
            }
            (unwritten.source.told)(Err(()));
            return Err(fault.into());
        }
        unwritten.failing = false;
        let uses = part.iter().filter_map(|id| unwritten.book.remove(id)).map(|seen| seen.uses()).sum();
        (unwritten.source.told)(Ok(uses));
        Ok(!unwritten.book.is_empty())
    }
}

impl Desk {
    /// Remembers since when requests are remembered.
    pub(super) fn record_traffic(&mut self, records: bool) -> Result<(), Fault> {
        let now = self.clock().now();
        let change = self.store().change()?;
        change.record_traffic(records, now)?;
        Ok(change.commit()?)
    }

    /// Forgets traffic that is too old, of a part of the credentials; answers where the next part begins.
    fn forget_traffic(&mut self, from: i64) -> Result<Option<i64>, Fault> {
        let now = self.clock().now();
        let change = self.store().change()?;
        let next = change.forget_traffic(from, now)?;
        change.commit()?;
        Ok(next)
    }
}

impl Control {
    /// Forgets all traffic that is too old, other changes in between.
    async fn forget_traffic(&self) -> Result<(), Fault> {
        let mut from = Some(0);
        while let Some(part) = from {
            from = self.at_desk(move |desk| desk.forget_traffic(part)).await?;
        }
        Ok(())
    }

    /// What is remembered of a credential's requests, the newest first, up to a few seconds ago.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn traffic(
        self: &Arc<Self>,
        actor: &Actor,
        place: Place,
        name: CredentialName,
    ) -> Result<Vec<Sighting>, Fault> {
        let (actor, now) = (actor.clone(), self.clock.now());
        self.read(move |rows| {
            let found = credentials::find(rows, &Rights::of(rows, &actor)?, place, name)?;
            Ok(rows.traffic(found.row.pk, now)?)
        })
        .await
    }

    /// Writes what was counted until now, other changes in between.
    ///
    /// # Errors
    /// The store can't be written; what was counted is kept for the next time.
    pub async fn write_usage(&self) -> Result<(), Fault> {
        loop {
            let (answer, answered) = oneshot::channel();
            let job: Job = Box::new(move |desk| {
                // Whoever asked may have gone.
                let _ = answer.send(desk.write_usage());
            });
            self.desk.send(job).map_err(|_| Fault::Stopping)?;
            if !answered.await.unwrap_or(Err(Fault::Stopping))? {
                return Ok(());
            }
        }
    }

    /// Writes what was counted every few seconds, and early where a worker has much to tell.
    pub async fn keep_usage(self: Arc<Self>, usage: Usage, interval: Duration) {
        let mut forgetting = tokio::time::interval(FORGETTING);
        forgetting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = usage.is_full() => {}
                _ = forgetting.tick() => match self.forget_traffic().await {
                    Err(Fault::Stopping) => return,
                    Err(fault) => tracing::warn!(error = %fault, "traffic that is too old can't be forgotten; trying again"),
                    Ok(()) => continue,
                },
            }
            if matches!(self.write_usage().await, Err(Fault::Stopping)) {
                return;
            }
        }
    }

    /// Writes the rest and closes the store, at an orderly stop, when nobody else asks for anything any more. Blocks.
    pub fn close(self: Arc<Self>) {
        self.write_last_uses();
        // The readers first: the store is closed whole by whoever leaves it last.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let own = Arc::into_inner(self);
        let is_closed = own.is_some_and(|own| {
            let Self { desk, closed, .. } = own;
            drop(desk);
            let closed = closed.into_inner().unwrap_or_else(PoisonError::into_inner);
            // Nothing is ever sent: the other end goes away.
            closed.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected)
        });
        if !is_closed {
            tracing::warn!(
                "the store is still in use; its newest changes stay in the `-wal` file beside it, keep both together"
            );
        }
    }

    fn write_last_uses(&self) {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let job: Job = Box::new(move |desk| {
            while let Ok(true) = desk.write_usage() {}
            // Whoever asked may have lost patience.
            let _ = answer.send(());
        });
        if self.desk.send(job).is_err() || answered.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("what was last counted of uses may not have been written");
        }
    }
}
