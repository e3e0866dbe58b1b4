//! The single mutation function: check → write rows, events and revision → compile → store → publish → answer.
//!
//! One thread makes all changes, one after the other. Compiling comes before storing: what is stored can be enforced, and
//! what is enforced is stored. Never publishes what may not be on the disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::actor::Actor;
use super::change::{Change, Left};
use super::rehearsal::{Foreseen, Prospect};
use super::signing::{self, Signing};
use super::usage::{Unwritten, UsageSource};
use super::{Fault, OpenFault, Rules, ServeFault};
use crate::access::snapshot::{Before, Delta, Draft, Snapshot};
use crate::clock::Clock;
use crate::directory::sqlite::{self, CompileFault, Rows, Store, StoreFault};
use crate::live::own_issuer::OwnIssuer;
use crate::live::published::Published;
use crate::live::usage::Usage;

/// Hears of each snapshot that was published, and how long it took from the change to there.
pub type SnapshotSeen = Box<dyn Fn(&Arc<Snapshot>, std::time::Duration) + Send>;

/// Something to be done at the desk.
pub(super) type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// What a change brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed<T> {
    /// What was made or found.
    pub value: T,
    /// The revision that is enforced here now, with the change in it.
    pub revision: u64,
    /// What would come of it, where nothing was to be done but to tell that.
    pub foreseen: Option<Arc<Foreseen>>,
}

/// Where changes are made.
pub(super) struct Desk {
    store: Store,
    draft: Draft,
    snapshot: Arc<Snapshot>,
    clock: Clock,
    published: Option<(Arc<Published>, SnapshotSeen)>,
    unwritten: Unwritten,
    signing: Signing,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl Desk {
    /// Compiles the store.
    pub(super) fn new(store: Store, clock: Clock) -> Result<Self, OpenFault> {
        let mut draft = store.rows().compile()?;
        let snapshot = Arc::new(draft.finish(store.rows().revision()?));
        // Until it is served nobody uses anything.
        let (refusals, activity) = Default::default();
        let told = Box::new(|_| ());
        let unwritten = Unwritten::new(UsageSource { usage: Usage::ignored(), told, refusals, activity });
        let signing = Signing::empty(String::new());
        Ok(Self { store, draft, snapshot, clock, published: None, unwritten, signing })
    }

    pub(super) fn is_empty(&self) -> Result<bool, StoreFault> {
        Ok(self.store.rows().organizations()?.is_empty())
    }

    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What the store holds now.
    pub(super) fn rows(&self) -> Rows<'_> {
        self.store.rows()
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.store.path()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where the store is kept, to be lent and taken back.
    pub(super) fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Where usage is written, and what of it is not yet.
    pub(super) fn store_and_usage(&mut self) -> (&mut Store, &mut Unwritten) {
        (&mut self.store, &mut self.unwritten)
    }

    /// Makes changes on a thread of its own until nobody can ask for any; then the store is closed, and what is returned
    /// beside the desk hangs up. Tokens are signed in the issuer's name.
    pub(super) fn serve(
        mut self,
        published: Arc<Published>,
        told: SnapshotSeen,
        usage: UsageSource,
        (issuer, rules): (&str, &Rules),
    ) -> Result<(Sender<Job>, Receiver<()>), ServeFault> {
        self.published = Some((published, told));
        self.record_traffic(usage.usage.records())?;
        self.unwritten = Unwritten::new(usage);
        self.signing = Signing::empty(issuer.to_owned());
        self.commit(Actor::system("start"), rules, signing::tend)?;
        let (sender, jobs) = channel::<Job>();
        let (open, closed) = channel();
        std::thread::Builder::new().name("control".into()).spawn(move || {
            for job in jobs {
                job(&mut self);
            }
            if let Err(fault) = self.store.close() {
                tracing::warn!(error = %fault, "the newest changes stay in the `-wal` file beside the store; keep both together");
            }
            drop(open);
        })?;
        Ok((sender, closed))
    }

    /// Makes one change. Whatever fails, the store and what is enforced are as they were, and agree.
    pub(super) fn commit<T>(
        &mut self,
        actor: Actor,
        rules: &Rules,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, Fault>,
    ) -> Result<Committed<T>, Fault> {
        let begin = Instant::now();
        self.is_ours()?;
        self.catch_up()?;
        let transaction = self.store.change()?;
        let revision = self.snapshot.revision() + 1;
        let about = (self.clock.now(), revision);
        let mut making = Change::new(&transaction, &actor, rules, about, &self.signing, &mut self.unwritten)?;
        let value = change(&mut making)?;
        let Left { other_keys, wrote_aside, gone, new_from } = making.leave();
        if making.is_nothing() && new_from.is_none() {
            match wrote_aside {
                true => transaction.commit()?,
                false => drop(transaction),
            }
            self.sign_with(other_keys);
            return Ok(Committed { value, revision: self.snapshot.revision(), foreseen: None });
        }
        let delta = making.finish()?;
        let before = apply(&mut self.draft, &transaction, delta, new_from)?;
        let snapshot = Arc::new(self.draft.finish(revision));
        if let Err(fault) = transaction.commit() {
            // The answer may have been lost and not the change: the file says which.
            if self.store.rows().revision().ok() != Some(revision) {
                self.draft.undo(before);
                return Err(fault.into());
            }
            tracing::warn!(revision, error = %fault, "a change was stored although storing it reported a fault");
        }
        self.sign_with(other_keys);
        self.publish(snapshot, begin);
        self.unwritten.forget(&gone);
        Ok(Committed { value, revision, foreseen: None })
    }

    /// Takes other keys, which are stored: they are published before anything is signed with them.
    fn sign_with(&mut self, other_keys: Option<(Signing, OwnIssuer)>) {
        let Some((signing, own)) = other_keys else { return };
        self.signing = signing;
        if let Some((published, _)) = &self.published {
            published.publish_own(Arc::new(own));
        }
    }

    /// Does what a change would, rights, guards and compiling included, and leaves nothing of it but what it takes to foresee
    /// what would come of it.
    pub(super) fn rehearse<T>(
        &mut self,
        actor: &Actor,
        rules: &Rules,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, Fault>,
    ) -> Result<(T, Prospect), Fault> {
        self.is_ours()?;
        self.catch_up()?;
        let now = self.clock.now();
        let revision = self.snapshot.revision() + 1;
        let transaction = self.store.change()?;
        let mut making = Change::new(&transaction, actor, rules, (now, revision), &self.signing, &mut self.unwritten)?;
        let value = change(&mut making)?;
        let (touched, guarded) = making.foreseeable();
        let after = match making.is_nothing() {
            true => None,
            false => {
                let Left { new_from, .. } = making.leave();
                let delta = making.finish()?;
                let before = apply(&mut self.draft, &transaction, delta, new_from)?;
                let after = self.draft.finish(revision);
                self.draft.undo(before);
                Some(after)
            }
        };
        drop(transaction);
        let view = self.store.reader()?.hold()?;
        Ok((value, Prospect { now, before: Arc::clone(&self.snapshot), after, touched, guarded, view }))
    }

    /// The same for a change of very many rows.
    pub(super) fn bulk_commit<T>(
        &mut self,
        actor: Actor,
        rules: &Rules,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, Fault>,
    ) -> Result<Committed<T>, Fault> {
        self.store.prepare_for_bulk(true)?;
        let done = self.commit(actor, rules, change);
        if let Err(fault) = self.store.prepare_for_bulk(false) {
            tracing::warn!(error = %fault, "the store keeps the memory of a bulk change");
        }
        done
    }

    /// A store that is lent takes no changes here.
    fn is_ours(&self) -> Result<(), Fault> {
        if self.store.is_lent() { Err(Fault::Succeeded) } else { Ok(()) }
    }

    /// Compiles anew where somebody else has written to the store, by hand or by a restored copy.
    fn catch_up(&mut self) -> Result<(), Fault> {
        let stored = self.store.rows().revision()?;
        if stored == self.snapshot.revision() {
            return Ok(());
        }
        tracing::warn!(
            stored,
            enforced = self.snapshot.revision(),
            "the store was changed by somebody else; reading it whole"
        );
        // Readers refuse to go back, also where the copy that was put in place is older.
        let revision = stored.max(self.snapshot.revision() + 1);
        let begin = Instant::now();
        let draft = self.store.rows().compile()?;
        if revision != stored {
            let change = self.store.change()?;
            change.set_revision(revision)?;
            change.commit()?;
        }
        self.take_over(draft, revision, begin);
        Ok(())
    }

    /// Enforces what a successor has changed, as long as something is open here.
    pub(super) fn follow(&mut self) -> Result<(), Fault> {
        let stored = self.store.rows().revision()?;
        if stored <= self.snapshot.revision() {
            return Ok(());
        }
        let begin = Instant::now();
        let draft = self.store.rows().compile()?;
        self.take_over(draft, stored, begin);
        Ok(())
    }

    fn take_over(&mut self, draft: Draft, revision: u64, begin: Instant) {
        self.draft = draft;
        let snapshot = Arc::new(self.draft.finish(revision));
        self.publish(snapshot, begin);
    }

    fn publish(&mut self, snapshot: Arc<Snapshot>, begin: Instant) {
        self.snapshot = Arc::clone(&snapshot);
        let Some((published, told)) = &self.published else { return };
        match published.publish_snapshot(Arc::clone(&snapshot)) {
            Ok(()) => told(&snapshot, begin.elapsed()),
            // Nobody else publishes where a store is served.
            Err(outdated) => tracing::error!("{outdated}"),
        }
    }
}

/// Applies what a change has written to the draft.
fn apply(
    draft: &mut Draft,
    transaction: &sqlite::Change<'_>,
    delta: Delta,
    new_from: Option<i64>,
) -> Result<Before, CompileFault> {
    draft.apply_with(delta, |adding| match new_from {
        None => Ok(()),
        Some(pk) => {
            transaction.rows().credential_specs_from(pk, |spec| Ok::<_, CompileFault>(adding.credential(spec)?))
        }
    })
}
