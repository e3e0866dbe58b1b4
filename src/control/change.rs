//! A change being made: what it sees of the store, what it writes, and what will have to be compiled again.
//!
//! Lives within one transaction. Decides nothing, commits nothing and publishes nothing: that is [`super::commit`]'s.

use std::sync::Arc;

use super::actor::Actor;
use super::audit::Event;
use super::rehearsal::{Guarded, MOST_TOLD, Touched};
use super::signing::Signing;
use super::usage::Unwritten;
use super::{Fault, Guards, Limits, Rules, draw};
use crate::access::credential::{CredentialKind, Fingerprint};
use crate::access::digest_secret::DigestSecret;
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, EventRecord};
use crate::access::snapshot::{Delta, Revoked};
use crate::access::target::Target;
use crate::access::token_id::TokenId;
use crate::access::usage::LastUse;
use crate::clock::Timestamp;
use crate::directory::sqlite::{self, CompileFault, Rows};
use crate::gate::digest::ha1;
use crate::live::fingerprint;
use crate::live::own_issuer::OwnIssuer;
use crate::problem::Refusal;

/// A change being made: what it sees, writes, and will have to be compiled again.
pub(super) struct Change<'t> {
    store: &'t sqlite::Change<'t>,
    actor: &'t Actor,
    /// What the actor was called before the change, which may remove it.
    actor_name: String,
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
    /// What guards had to say, where nothing is to be done but to tell what would be.
    guarded: Option<Vec<Guarded>>,
    /// How much that was; no more than so much of it is kept.
    guards: u64,
}

/// What a change leaves to be done once it is stored.
pub(super) struct Left {
    /// Other keys, to sign with from now on.
    pub(super) other_keys: Option<(Signing, OwnIssuer)>,
    /// Whether something was written that nothing is decided by.
    pub(super) wrote_aside: bool,
    /// Entries that were removed.
    pub(super) gone: Vec<(Id, Target)>,
    /// Every credential with this number and above is new.
    pub(super) new_from: Option<i64>,
}

impl<'t> Change<'t> {
    pub(super) fn new(
        store: &'t sqlite::Change<'t>,
        actor: &'t Actor,
        rules: &'t Rules,
        (now, revision): (Timestamp, u64),
        signing: &'t Signing,
        unwritten: &'t mut Unwritten,
    ) -> Result<Self, Fault> {
        Ok(Self {
            store,
            actor,
            actor_name: actor.name(store.rows())?,
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
            guarded: actor.rehearses.then(Vec::new),
            guards: 0,
        })
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

    /// The actor, and what it was called before the change.
    pub(super) fn by(&self) -> (&Actor, &str) {
        (self.actor, &self.actor_name)
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
        let row = event.row(draw::id()?, self.by(), self.now, self.revision);
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
        let row = event.row(draw::id()?, self.by(), self.now, self.revision.saturating_sub(1));
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

    /// Whether a guard stands in the way. In a rehearsal none does: what it says is told.
    pub(super) fn passes_guard(&mut self, guards: Guards, refusal: &Refusal) -> Result<(), Fault> {
        let refuses = guards == Guards::All;
        match &mut self.guarded {
            Some(guarded) => {
                self.guards += 1;
                // One change may meet a guard for each of ten thousand lists.
                if guarded.len() < MOST_TOLD {
                    guarded.push(Guarded { place: None, refusal: refusal.clone(), refuses });
                }
            }
            None if refuses => return Err(refusal.clone().into()),
            None => {}
        }
        Ok(())
    }

    /// How often guards have had something to say; nothing where they refuse by themselves.
    pub(super) fn guarded(&self) -> usize {
        self.guarded.as_ref().map_or(0, Vec::len)
    }

    /// Where what guards have said since then belongs.
    pub(super) fn place_guarded(&mut self, since: usize, place: impl Fn() -> String) {
        for one in self.guarded.iter_mut().flatten().skip(since) {
            one.place = Some(place());
        }
    }

    /// What is left for the desk to do besides compiling it.
    pub(super) fn leave(&mut self) -> Left {
        Left {
            other_keys: self.other_keys.take(),
            wrote_aside: self.wrote_aside,
            gone: std::mem::take(&mut self.gone),
            new_from: self.new_from,
        }
    }

    /// What is left to be foreseen: whose requests may be decided otherwise, and what guards have said.
    pub(super) fn foreseeable(&mut self) -> (Touched, (Vec<Guarded>, u64)) {
        let touched = Touched {
            credentials: self.credentials.clone(),
            organizations: self.organizations.clone(),
            network_sets: self.network_sets.clone(),
        };
        (touched, (self.guarded.take().unwrap_or_default(), self.guards))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.new_from.is_none()
            && self.events.is_empty()
            && self.credentials.is_empty()
            && self.organizations.is_empty()
    }

    /// Writes events and revision, and reads back what has to be compiled.
    pub(super) fn finish(self) -> Result<Delta, CompileFault> {
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
