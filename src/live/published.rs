//! The one published value: settings, key sets and snapshot together, swapped atomically, read without a lock.
//!
//! A request takes it once and decides everything on it, so that no request ever sees the key of one revision and the list
//! of another. Replaced values are let go of by a thread of their own, never by a worker.

#![expect(clippy::disallowed_types, reason = "this is the one place of the one published value")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::key_sets::KeySets;
use super::own_issuer::OwnIssuer;
use crate::access::snapshot::Snapshot;
use crate::config::settings::{Gateway, ReceiptKey};

/// What every request is decided and forwarded on.
#[derive(Debug, Clone)]
pub struct Current {
    /// Counts publications of any kind; later is greater.
    pub generation: u64,
    /// How requests are judged and forwarded.
    pub settings: Arc<Gateway>,
    /// Keys of foreign token issuers, by the issuer's name.
    pub keys: Arc<KeySets>,
    /// What tokens of our own are verified with; `None` where there are none.
    pub own: Option<Arc<OwnIssuer>>,
    /// What receipts are sealed with where the settings name no key: the store's key, or one of this process.
    pub receipt_key: Option<Arc<ReceiptKey>>,
    /// `None` until the first snapshot: nothing is allowed before.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// Holds the present [`Current`]. Shared by all who read and the few who publish.
#[derive(Debug)]
pub struct Published {
    value: ArcSwap<Current>,
    /// Mirrors `value.generation`, so that a reader sees by one relaxed load that nothing has changed.
    generation: AtomicU64,
    publisher: Mutex<Sender<Arc<Current>>>,
}

/// A snapshot that is older than the published one, or as old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revision {offered} arrived after revision {published} had been published; it is ignored")]
pub struct Outdated {
    /// What was offered.
    pub offered: u64,
    /// What is published.
    pub published: u64,
}

impl Published {
    /// Publishes settings without a snapshot.
    ///
    /// # Errors
    /// The reclaimer thread could not be started.
    pub fn new(settings: Arc<Gateway>, keys: Arc<KeySets>) -> std::io::Result<Arc<Self>> {
        let (publisher, replaced) = channel::<Arc<Current>>();
        std::thread::Builder::new().name("reclaimer".into()).spawn(move || {
            // The loop ends with the last sender; until then it frees what readers have let go of.
            for mut value in replaced {
                while let Err(still_read) = Arc::try_unwrap(value) {
                    value = still_read;
                    std::thread::park_timeout(std::time::Duration::from_millis(20));
                }
            }
        })?;
        let receipt_key = ReceiptKey::random().map(Arc::new);
        let current = Arc::new(Current { generation: 1, settings, keys, own: None, receipt_key, snapshot: None });
        Ok(Arc::new(Self {
            value: ArcSwap::new(current),
            generation: AtomicU64::new(1),
            publisher: Mutex::new(publisher),
        }))
    }

    /// The present value. Workers use a [`Reader`].
    pub fn current(&self) -> Arc<Current> {
        self.value.load_full()
    }

    /// Publishes a snapshot.
    ///
    /// # Errors
    /// [`Outdated`] where a snapshot of this or a later revision is published already (threats.md L5).
    pub fn publish_snapshot(&self, snapshot: Arc<Snapshot>) -> Result<(), Outdated> {
        self.publish(None, Some(snapshot))
    }

    /// Publishes settings with the key sets of their issuers, a snapshot, or both in one step, so that no request sees the
    /// one without the other.
    ///
    /// # Errors
    /// [`Outdated`] where a snapshot of this or a later revision is published already; then nothing is.
    pub fn publish(
        &self,
        settings: Option<(Arc<Gateway>, Arc<KeySets>)>,
        snapshot: Option<Arc<Snapshot>>,
    ) -> Result<(), Outdated> {
        let mut outcome = Ok(());
        self.replace(|current| {
            let mut next = current.clone();
            if let Some(snapshot) = &snapshot {
                let published = current.snapshot.as_ref().map(|snapshot| snapshot.revision());
                if let Some(published) = published.filter(|published| snapshot.revision() <= *published) {
                    outcome = Err(Outdated { offered: snapshot.revision(), published });
                    return None;
                }
                next.snapshot = Some(Arc::clone(snapshot));
            }
            if let Some((settings, keys)) = &settings {
                (next.settings, next.keys) = (Arc::clone(settings), Arc::clone(keys));
            }
            Some(next)
        });
        outcome
    }

    /// Publishes settings, and the key sets that go with their issuers.
    pub fn publish_settings(&self, settings: Arc<Gateway>, keys: Arc<KeySets>) {
        self.replace(|current| Some(Current { settings, keys, ..current.clone() }));
    }

    /// Publishes key sets, made by `change` from the present ones.
    pub fn publish_keys(&self, change: impl FnOnce(&Current) -> Option<KeySets>) {
        self.replace(|current| change(current).map(|keys| Current { keys: Arc::new(keys), ..current.clone() }));
    }

    /// Publishes what tokens of our own are verified with.
    pub fn publish_own(&self, own: Arc<OwnIssuer>) {
        self.replace(|current| Some(Current { own: Some(own), ..current.clone() }));
    }

    /// Publishes what receipts are sealed with where the settings name no key.
    pub fn publish_receipt_key(&self, key: Arc<ReceiptKey>) {
        self.replace(|current| Some(Current { receipt_key: Some(key), ..current.clone() }));
    }

    fn replace(&self, change: impl FnOnce(&Current) -> Option<Current>) {
        let publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.value.load_full();
        if let Some(mut next) = change(&current) {
            let generation = current.generation + 1;
            next.generation = generation;
            drop(current);
            let replaced = self.value.swap(Arc::new(next));
            self.generation.store(generation, Ordering::Release);
            // Where the reclaimer has ended, the value is freed here.
            let _ = publisher.send(replaced);
        }
    }
}

/// A worker's own handle: one relaxed load while nothing changes.
#[derive(Debug)]
pub struct Reader {
    published: Arc<Published>,
    held: Arc<Current>,
}

impl Reader {
    /// A reader of the published value.
    pub fn new(published: Arc<Published>) -> Self {
        let held = published.current();
        Self { published, held }
    }

    /// The present value; never older than any publication that has returned before this call.
    #[inline]
    pub fn current(&mut self) -> &Arc<Current> {
        if self.published.generation.load(Ordering::Acquire) != self.held.generation {
            self.held = self.published.current();
        }
        &self.held
    }
}

#[cfg(test)]
mod tests;
