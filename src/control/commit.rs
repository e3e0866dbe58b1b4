//! The single mutation function: check → write rows, events and revision → compile → store → publish → answer.
//!
//! One thread makes all changes, one after the other. Compiling comes before storing: what is stored can be enforced, and
//! what is enforced is stored. Never publishes what may not be on the disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::actor::Actor;
use super::audit::Event;
use super::signing::{self, Signing};
use super::usage::{Unwritten, UsageSource};
use super::{Fault, Limits, OpenFault, Rules, ServeFault, draw};
use crate::access::credential::{CredentialKind, Fingerprint};
use crate::access::digest_secret::DigestSecret;
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, EventRecord};
use crate::access::snapshot::{Delta, Draft, Revoked, Snapshot};
use crate::access::target::Target;
use crate::access::token_id::TokenId;
use crate::access::usage::LastUse;
use crate::clock::{Clock, Timestamp};
use crate::directory::sqlite::{self, CompileFault, Rows, Store, StoreFault};
use crate::gate::digest::ha1;
use crate::live::fingerprint;
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

/// A change being made: what it sees, writes, and will have to be compiled again.
pub(super) struct Change<'t> {
    store: &'t sqlite::Change<'t>,
    actor: &'t Actor,
    rules: &'t Rules,
    now: Timestamp,
    revision: u64,
    removed: Vec<Fingerprint>,
    organizations: Vec<Id>,
    network_sets: Vec<(Id, Arc<str>)>,
    credentials: Vec<i64>,
    events: Vec<EventRecord>,
    /// Entries that were removed.
    gone: Vec<(Id, Target)>,
    revoked: Vec<(TokenId, Timestamp)>,
    /// What was counted of uses and is not in the store yet.
    unwritten: &'t mut Unwritten,
    /// Every credential with this number and above is new.
    new_from: Option<i64>,
    /// Something was written that nothing is decided by.
    wrote_aside: bool,
    signing: &'t Signing,
    /// Other keys, to sign with from now on, and what is published of them.
    other_keys: Option<(Signing, OwnIssuer)>,
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
        let mut making = Change::new(&transaction, &actor, rules, about, &self.signing, &mut self.unwritten);
        let value = change(&mut making)?;
        let other_keys = making.other_keys.take();
        if making.is_nothing() {
            match making.wrote_aside {
                true => transaction.commit()?,
                false => drop(transaction),
            }
            self.sign_with(other_keys);
            return Ok(Committed { value, revision: self.snapshot.revision() });
        }
        let gone = std::mem::take(&mut making.gone);
        let new_from = making.new_from;
        let delta = making.finish()?;
        let before = self.draft.apply_with(delta, |adding| match new_from {
            None => Ok(()),
            Some(pk) => {
                transaction.rows().credential_specs_from(pk, |spec| Ok::<_, CompileFault>(adding.credential(spec)?))
            }
        })?;
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
        Ok(Committed { value, revision })
    }

    /// Takes other keys, which are stored: they are published before anything is signed with them.
    fn sign_with(&mut self, other_keys: Option<(Signing, OwnIssuer)>) {
        let Some((signing, own)) = other_keys else { return };
        self.signing = signing;
        if let Some((published, _)) = &self.published {
            published.publish_own(Arc::new(own));
        }
    }

    /// Does what a change would, rights and guards included, and leaves nothing of it.
    pub(super) fn rehearse<T>(
        &mut self,
        actor: Actor,
        rules: &Rules,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, Fault>,
    ) -> Result<Committed<T>, Fault> {
        self.is_ours()?;
        self.catch_up()?;
        let revision = self.snapshot.revision();
        let transaction = self.store.change()?;
        let about = (self.clock.now(), revision + 1);
        let mut making = Change::new(&transaction, &actor, rules, about, &self.signing, &mut self.unwritten);
        let value = change(&mut making)?;
        Ok(Committed { value, revision })
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

impl<'t> Change<'t> {
    fn new(
        store: &'t sqlite::Change<'t>,
        actor: &'t Actor,
        rules: &'t Rules,
        (now, revision): (Timestamp, u64),
        signing: &'t Signing,
        unwritten: &'t mut Unwritten,
    ) -> Self {
        Self {
            store,
            actor,
            rules,
            now,
            revision,
            removed: Vec::new(),
            organizations: Vec::new(),
            network_sets: Vec::new(),
            credentials: Vec::new(),
            events: Vec::new(),
            gone: Vec::new(),
            revoked: Vec::new(),
            unwritten,
            new_from: None,
            wrote_aside: false,
            signing,
            other_keys: None,
        }
    }

    /// What the store holds, with what was written so far.
    pub(super) fn rows(&self) -> Rows<'_> {
        self.store.rows()
    }

    /// Writes.
    pub(super) fn store(&self) -> &'t sqlite::Change<'t> {
        self.store
    }

    pub(super) fn actor(&self) -> &'t Actor {
        self.actor
    }

    pub(super) fn rules(&self) -> &'t Rules {
        self.rules
    }

    pub(super) fn limits(&self) -> Limits {
        self.rules.limits
    }

    /// The realm that HA1s are made for, where Digest is on.
    pub(super) fn digest_realm(&self) -> Option<&str> {
        self.rules.digest_realm.as_deref()
    }

    /// What Digest is proven against for a new private key, where Digest is on.
    pub(super) fn digest_of(&self, public_key: &str, private_key: &str) -> Option<DigestSecret> {
        let realm = self.rules.digest_realm.as_deref()?;
        Some(ha1::of(public_key, realm, private_key))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The revision that this change makes.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Has a credential compiled again. Called before anything of it is written or removed.
    pub(super) fn touch_credential(&mut self, pk: i64) -> Result<(), Fault> {
        if self.credentials.contains(&pk) {
            return Ok(());
        }
        // One of its fingerprints finds it, whichever it is.
        let account = self.rows().credential_by_pk(pk)?.filter(|row| row.kind == CredentialKind::ServiceAccount);
        match account {
            Some(account) => self.removed.push(fingerprint::of_client(account.id)),
            None => self.removed.extend(self.rows().secrets(pk)?.first().map(|secret| secret.fingerprint)),
        }
        self.credentials.push(pk);
        Ok(())
    }

    /// Has every credential compiled that has this number or a greater one; all of them are new.
    pub(super) fn add_credentials_from(&mut self, pk: i64) {
        self.new_from = Some(pk);
    }

    /// Has an organization compiled again.
    pub(super) fn touch_organization(&mut self, id: Id) {
        if !self.organizations.contains(&id) {
            self.organizations.push(id);
        }
    }

    /// Has a network set of an organization compiled again, and nothing else of it.
    pub(super) fn touch_network_set(&mut self, organization: Id, name: &Arc<str>) {
        self.touch_organization(organization);
        self.network_sets.push((organization, Arc::clone(name)));
    }

    /// Records what was done.
    pub(super) fn record(&mut self, event: Event) -> Result<(), Fault> {
        let row = event.row(draw::id()?, self.actor, self.now, self.revision);
        self.events.push(row);
        Ok(())
    }

    /// The addresses that a credential was last used from, up to this moment.
    pub(super) fn recent_addresses(&mut self, credential: &CredentialRecord) -> Result<Vec<LastUse>, Fault> {
        let mut recent = self.rows().credential_use(credential.pk)?.recent;
        recent.extend(self.unwritten.book().get(&credential.id).into_iter().flat_map(|seen| seen.recent()));
        Ok(recent)
    }

    /// The uses that are not in the store yet, up to this moment.
    pub(super) fn unwritten_uses(&mut self) -> Vec<(Id, LastUse)> {
        let book = self.unwritten.book();
        book.iter().flat_map(|(id, seen)| seen.recent().iter().map(|used| (*id, *used))).collect()
    }

    /// An entry is gone, and with it what is known of its use.
    pub(super) fn entry_gone(&mut self, credential: Id, entry: Target) {
        self.gone.push((credential, entry));
    }

    /// Has kept what was written although no decision depends on it, such as a session: that makes no revision.
    pub(super) fn keep_aside(&mut self) {
        self.wrote_aside = true;
    }

    /// Records what changed nothing that is enforced, such as a sign-in, under the present revision.
    pub(super) fn note(&mut self, event: Event) -> Result<(), Fault> {
        let row = event.row(draw::id()?, self.actor, self.now, self.revision.saturating_sub(1));
        self.store.add_event(&row)?;
        self.keep_aside();
        Ok(())
    }

    /// Has a token refused that ends at this time.
    pub(super) fn revoke(&mut self, token: TokenId, end: Timestamp) {
        self.revoked.push((token, end));
    }

    /// The keys that sign, with what this change did to them.
    pub(super) fn signing(&self) -> &Signing {
        self.other_keys.as_ref().map_or(self.signing, |(signing, _)| signing)
    }

    /// Has other keys sign once the change is stored.
    pub(super) fn sign_with(&mut self, signing: Signing, published: OwnIssuer) {
        self.other_keys = Some((signing, published));
    }

    fn is_nothing(&self) -> bool {
        self.new_from.is_none()
            && self.events.is_empty()
            && self.credentials.is_empty()
            && self.organizations.is_empty()
    }

    /// Writes events and revision, and reads back what has to be compiled.
    fn finish(self) -> Result<Delta, CompileFault> {
        for event in &self.events {
            self.store.add_event(event)?;
        }
        self.store.set_revision(self.revision)?;
        let rows = self.store.rows();
        let revoked = (!self.revoked.is_empty()).then_some(Revoked { tokens: self.revoked, now: self.now });
        let mut delta = Delta { removed: self.removed, revoked, ..Delta::default() };
        for id in self.organizations {
            match rows.organization_spec(id)? {
                Some(mut spec) => {
                    let touched = self.network_sets.iter().filter(|(of, _)| *of == id);
                    for (_, name) in touched {
                        spec.network_sets.push(rows.network_set_spec(id, name)?);
                    }
                    delta.organizations.push(spec);
                }
                None => delta.removed_organizations.push(id),
            }
        }
        for pk in self.credentials {
            delta.credentials.extend(rows.credential_spec(pk)?);
        }
        Ok(delta)
    }
}
