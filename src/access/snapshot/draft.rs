//! How a snapshot comes into being: organizations and credentials are added, replaced and removed, and the result is
//! published as a new revision. The cost of a change is the change's, not the directory's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::digests::Digests;
use super::interner::Interner;
use super::{CHUNK, SHARDS, Seed, Shard, Snapshot, shard_of};
use crate::access::credential::{
    AccessListMode, Credential, CredentialKind, Enforcement, Fingerprint, Grants, NetworkSet, Organization,
};
use crate::access::digest_secret::{DigestHolder, DigestUser, MOST_SECRETS};
use crate::access::id::Id;
use crate::access::list::{AccessList, NetworkEntry, SetEntry};
use crate::access::network::Network;
use crate::access::target::Target;
use crate::access::token_id::TokenId;
use crate::clock::Timestamp;

/// An organization to be compiled.
#[derive(Debug, Clone)]
pub struct OrganizationSpec {
    /// Unique in the directory.
    pub id: Id,
    /// For people.
    pub name: Arc<str>,
    /// The switch.
    pub mode: AccessListMode,
    /// Named networks that its lists may refer to.
    pub network_sets: Vec<NetworkSetSpec>,
}

/// A named network set to be compiled.
#[derive(Debug, Clone)]
pub struct NetworkSetSpec {
    /// Unique within the organization.
    pub name: Arc<str>,
    /// What it holds.
    pub networks: Vec<Network>,
}

/// A credential to be compiled.
#[derive(Debug, Clone)]
pub struct CredentialSpec {
    /// Unique in the directory.
    pub id: Id,
    /// API key or service account.
    pub kind: CredentialKind,
    /// Its organization, which must have been added before.
    pub organization: Id,
    /// Under what it is found: at least one, each of nobody else.
    pub fingerprints: Vec<Fingerprint>,
    /// Whether it works at all.
    pub enabled: bool,
    /// When it stops working; [`Timestamp::NEVER`] where it does not.
    pub expires_at: Timestamp,
    /// Whether its list refuses or only reports.
    pub enforcement: Enforcement,
    /// What the upstream is told.
    pub grants: Grants,
    /// Its access list.
    pub access_list: Vec<EntrySpec>,
    /// Who it is in Digest; `None` where it can't be used with Digest.
    pub digest: Option<DigestUser>,
}

/// One entry of a list to be compiled.
#[derive(Debug, Clone)]
pub struct EntrySpec {
    /// What it admits.
    pub target: Target,
    /// When it stops admitting; [`Timestamp::NEVER`] where it does not.
    pub expires_at: Timestamp,
}

/// A change of a directory: what goes, then what comes. What is replaced goes and comes.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// One fingerprint each of credentials that go, or go to come again.
    pub removed: Vec<Fingerprint>,
    /// Organizations that go; their credentials have to go too.
    pub removed_organizations: Vec<Id>,
    /// Organizations that come, or get another name, mode or sets. Sets that an organization has already and that are not
    /// named stay as they are; one that is gone is named with no networks.
    pub organizations: Vec<OrganizationSpec>,
    /// Credentials that come.
    pub credentials: Vec<CredentialSpec>,
    /// Tokens that are refused from now on.
    pub revoked: Option<Revoked>,
}

/// Tokens of our own that are refused before their end.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// Each with its end; what has ended by itself is forgotten.
    pub tokens: Vec<(TokenId, Timestamp)>,
    /// When it is.
    pub now: Timestamp,
}

/// What a draft was before a [`Delta`].
#[derive(Debug)]
#[must_use = "a change that is not kept has to be undone"]
pub struct Before {
    snapshot: Snapshot,
    organizations: Vec<(Id, Option<u32>)>,
    digest_users: Vec<(Id, Option<Fingerprint>)>,
}

/// Adds credentials to a draft, so that they can be taken back.
#[derive(Debug)]
pub struct Adding<'d> {
    draft: &'d mut Draft,
    /// Users of Digest that come, and what stood under their ids.
    users: Vec<(Id, Option<Fingerprint>)>,
}

impl Adding<'_> {
    /// Adds one.
    ///
    /// # Errors
    /// A [`DraftFault`].
    pub fn credential(&mut self, spec: CredentialSpec) -> Result<(), DraftFault> {
        if spec.digest.is_some() {
            self.users.push((spec.id, self.draft.digest_users.get(&spec.id).copied()));
        }
        self.draft.credential(spec)
    }
}

/// Why something can't be part of a snapshot. Never names a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum DraftFault {
    #[error(
        "credential {credential} belongs to organization {organization}, which does not exist; add the organization"
    )]
    UnknownOrganization { credential: Id, organization: Id },
    #[error("credential {credential} refers to network set `{set}`, which its organization does not have; add the set")]
    UnknownSet { credential: Id, set: Arc<str> },
    #[error(
        "credentials {credential} and {other} have the same secret, token subject or certificate; give each its own"
    )]
    SharedSecret { credential: Id, other: Id },
    #[error("credential {0} has neither a secret nor a token subject or certificate; give it one")]
    NoSecret(Id),
    #[error("credentials {credential} and {other} have the same user name in Digest; give each its own public key")]
    SharedUser { credential: Id, other: Id },
    #[error("credential {credential} has {count} pairs of HA1s; give it one, or two while a secret is being replaced")]
    DigestSecrets { credential: Id, count: usize },
    #[error("there are more than {0} organizations or network sets; split the directory")]
    TooMany(usize),
}

/// A directory being compiled. Keeps what it needs to apply the next change cheaply.
#[derive(Debug)]
pub struct Draft {
    snapshot: Snapshot,
    organizations: HashMap<Id, u32>,
    lists: Interner<AccessList>,
    grants: Interner<Arc<Grants>>,
    realms: HashSet<Arc<str>>,
    /// The names of those that have one: a credential itself does not know it.
    digest_users: HashMap<Id, Fingerprint>,
}

impl Default for Draft {
    fn default() -> Self {
        Self::new()
    }
}

impl Draft {
    /// An empty directory.
    pub fn new() -> Self {
        let empty = Arc::new(Shard::new());
        let shards = (0..SHARDS).map(|_| Arc::clone(&empty)).collect();
        Self {
            snapshot: Snapshot {
                revision: 0,
                seed: Seed::random(),
                shards,
                digests: Digests::default(),
                organizations: Vec::new(),
                revoked: Arc::default(),
                credentials: 0,
                bytes: 0,
            },
            organizations: HashMap::new(),
            lists: Interner::default(),
            grants: Interner::default(),
            realms: HashSet::new(),
            digest_users: HashMap::new(),
        }
    }

    /// Adds an organization, or replaces the one with its id. Credentials that refer to a network set that is gone are
    /// admitted by it no more.
    ///
    /// # Errors
    /// [`DraftFault::TooMany`] past 2³² organizations or sets.
    pub fn organization(&mut self, spec: OrganizationSpec) -> Result<(), DraftFault> {
        // Lists refer to sets by position: names keep theirs, and what is gone leaves an empty set behind.
        let emptied = |set: &Arc<NetworkSet>| {
            Arc::new(NetworkSet { name: Arc::clone(&set.name), networks: AccessList::default() })
        };
        let sets = self.sets_of(spec.id).iter().map(emptied).collect();
        self.put_organization(spec, sets)
    }

    /// The sets that an organization has now.
    fn sets_of(&self, organization: Id) -> &[Arc<NetworkSet>] {
        match self.organizations.get(&organization) {
            Some(&at) => &self.snapshot.organizations[at as usize / CHUNK][at as usize % CHUNK].sets,
            None => &[],
        }
    }

    /// Adds or replaces an organization, whose sets are these and those of the specification.
    fn put_organization(&mut self, spec: OrganizationSpec, mut sets: Vec<Arc<NetworkSet>>) -> Result<(), DraftFault> {
        let known = self.organizations.get(&spec.id).copied();
        for set in spec.network_sets {
            let networks = set.networks.into_iter();
            let entries = networks.map(|network| NetworkEntry { network, expires_at: Timestamp::NEVER });
            let compiled = Arc::new(NetworkSet { name: set.name, networks: AccessList::compile(entries, []) });
            match sets.iter_mut().find(|known| known.name == compiled.name) {
                Some(place) => *place = compiled,
                None => sets.push(compiled),
            }
        }
        let organization = Arc::new(Organization { id: spec.id, name: spec.name, mode: spec.mode, sets, gone: false });
        let chunks = &mut self.snapshot.organizations;
        if let Some(at) = known {
            Arc::make_mut(&mut chunks[at as usize / CHUNK])[at as usize % CHUNK] = organization;
            return Ok(());
        }
        let at = chunks.iter().map(|chunk| chunk.len()).sum();
        self.organizations.insert(spec.id, u32::try_from(at).map_err(|_| DraftFault::TooMany(at))?);
        match chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => Arc::make_mut(chunk).push(organization),
            None => chunks.push(Arc::new(vec![organization])),
        }
        Ok(())
    }

    /// Adds a credential. To change one, remove it first.
    ///
    /// # Errors
    /// A [`DraftFault`]; the draft is as it was.
    pub fn credential(&mut self, spec: CredentialSpec) -> Result<(), DraftFault> {
        let credential = spec.id;
        let organization = spec.organization;
        let Some(&at) = self.organizations.get(&organization) else {
            return Err(DraftFault::UnknownOrganization { credential, organization });
        };
        if spec.fingerprints.is_empty() {
            return Err(DraftFault::NoSecret(credential));
        }
        if let Some(holder) = spec.fingerprints.iter().find_map(|fingerprint| self.snapshot.find(fingerprint)) {
            return Err(DraftFault::SharedSecret { credential, other: holder.id });
        }
        let repeated = |at: usize| spec.fingerprints[..at].contains(&spec.fingerprints[at]);
        if (1..spec.fingerprints.len()).any(repeated) {
            return Err(DraftFault::SharedSecret { credential, other: credential });
        }
        if let Some(user) = &spec.digest {
            self.judge_digest(credential, user)?;
        }
        let list = self.list(credential, at, &spec.access_list)?;
        let grants = self.grants.share(Arc::new(spec.grants));
        let mut first = None;
        for fingerprint in &spec.fingerprints {
            let others: Box<[_]> = spec.fingerprints.iter().filter(|other| *other != fingerprint).copied().collect();
            let record = Credential {
                fingerprint: *fingerprint,
                others: (!others.is_empty()).then_some(others),
                list: list.clone(),
                grants: Arc::clone(&grants),
                expires_at: spec.expires_at,
                organization: at,
                id: credential,
                kind: spec.kind,
                enabled: spec.enabled,
                enforcement: spec.enforcement,
                gateway: grants.gateway,
            };
            let record = Arc::new(record);
            first.get_or_insert_with(|| Arc::clone(&record));
            let seed = self.snapshot.seed;
            let hash = seed.hash(fingerprint);
            let shard = Arc::make_mut(&mut self.snapshot.shards[shard_of(hash)]);
            shard.insert_unique(hash, record, |held| seed.hash(&held.fingerprint));
        }
        if let Some((user, credential)) = spec.digest.zip(first) {
            self.add_digest(user, credential);
        }
        self.snapshot.credentials += 1;
        Ok(())
    }

    /// Refuses tokens from now on. Costs what there is of them, which is bounded by how many may be active.
    pub fn revoke(&mut self, revoked: Revoked) {
        let held = Arc::make_mut(&mut self.snapshot.revoked);
        held.extend(revoked.tokens);
        held.retain(|_, end| *end > revoked.now);
    }

    /// Applies a change whole, or nothing of it. Costs what the change does.
    ///
    /// # Errors
    /// A [`DraftFault`]; the draft is as it was.
    pub fn apply(&mut self, delta: Delta) -> Result<Before, DraftFault> {
        self.apply_with(delta, |_| Ok(()))
    }

    /// The same, with any number of further credentials that come one by one, behind those of the delta.
    ///
    /// # Errors
    /// A [`DraftFault`], or what `further` says; the draft is as it was.
    pub fn apply_with<E: From<DraftFault>>(
        &mut self,
        delta: Delta,
        further: impl FnOnce(&mut Adding<'_>) -> Result<(), E>,
    ) -> Result<Before, E> {
        let ids = delta.organizations.iter().map(|one| one.id).chain(delta.removed_organizations.iter().copied());
        let organizations = ids.map(|id| (id, self.organizations.get(&id).copied())).collect();
        let removed = delta.removed.iter().filter_map(|fingerprint| self.snapshot.find(fingerprint)).map(|one| one.id);
        let credentials = removed.chain(delta.credentials.iter().map(|one| one.id));
        let digest_users = credentials.map(|id| (id, self.digest_users.get(&id).copied())).collect();
        let mut before = Before { snapshot: self.snapshot.clone(), organizations, digest_users };
        let applied = self.apply_in_order(delta).map_err(E::from);
        let mut adding = Adding { draft: self, users: Vec::new() };
        let applied = applied.and_then(|()| further(&mut adding));
        before.digest_users.append(&mut adding.users);
        match applied {
            Ok(()) => Ok(before),
            Err(fault) => {
                self.undo(before);
                Err(fault)
            }
        }
    }

    fn apply_in_order(&mut self, delta: Delta) -> Result<(), DraftFault> {
        for fingerprint in &delta.removed {
            self.remove(fingerprint);
        }
        for id in delta.removed_organizations {
            self.remove_organization(id);
        }
        for organization in delta.organizations {
            let sets = self.sets_of(organization.id).to_vec();
            self.put_organization(organization, sets)?;
        }
        delta.credentials.into_iter().try_for_each(|credential| self.credential(credential))?;
        if let Some(revoked) = delta.revoked {
            self.revoke(revoked);
        }
        Ok(())
    }

    /// Takes back the last [`Self::apply`].
    pub fn undo(&mut self, before: Before) {
        self.snapshot = before.snapshot;
        for (id, name) in before.digest_users {
            match name {
                Some(name) => self.digest_users.insert(id, name),
                None => self.digest_users.remove(&id),
            };
        }
        for (id, place) in before.organizations {
            match place {
                Some(place) => self.organizations.insert(id, place),
                None => self.organizations.remove(&id),
            };
        }
    }

    /// Removes an organization. Its place is not taken again: a credential that was left behind would find itself in
    /// another organization; so it finds one that requires lists and lets nobody in by a set.
    fn remove_organization(&mut self, id: Id) {
        let Some(at) = self.organizations.remove(&id) else { return };
        let gone = Organization { id, name: "".into(), mode: AccessListMode::Required, sets: Vec::new(), gone: true };
        let at = at as usize;
        Arc::make_mut(&mut self.snapshot.organizations[at / CHUNK])[at % CHUNK] = Arc::new(gone);
    }

    /// Removes the credential that has this fingerprint, with all its other fingerprints.
    pub fn remove(&mut self, fingerprint: &Fingerprint) -> Option<Arc<Credential>> {
        let credential = Arc::clone(self.snapshot.find(fingerprint)?);
        for one in credential.fingerprints() {
            let hash = self.snapshot.seed.hash(one);
            let shard = Arc::make_mut(&mut self.snapshot.shards[shard_of(hash)]);
            if let Ok(slot) = shard.find_entry(hash, |held| held.fingerprint == *one) {
                slot.remove();
            }
        }
        if let Some(name) = self.digest_users.remove(&credential.id) {
            self.snapshot.digests.remove(self.snapshot.seed, &name);
        }
        self.snapshot.credentials -= 1;
        Some(credential)
    }

    fn judge_digest(&self, credential: Id, user: &DigestUser) -> Result<(), DraftFault> {
        let count = user.secrets.len();
        if !(1..=MOST_SECRETS).contains(&count) {
            return Err(DraftFault::DigestSecrets { credential, count });
        }
        match self.snapshot.find_digest_user(&user.name) {
            Some(holder) => Err(DraftFault::SharedUser { credential, other: holder.credential.id }),
            None => Ok(()),
        }
    }

    fn add_digest(&mut self, user: DigestUser, credential: Arc<Credential>) {
        self.digest_users.insert(credential.id, user.name);
        let mut secrets = user.secrets.into_boxed_slice();
        for secret in &mut secrets {
            // Nearly all of them have the same one.
            match self.realms.get(&secret.realm) {
                Some(known) => secret.realm = Arc::clone(known),
                None => {
                    self.realms.insert(Arc::clone(&secret.realm));
                }
            }
        }
        self.snapshot.digests.insert(self.snapshot.seed, DigestHolder { name: user.name, credential, secrets });
    }

    /// The directory as it is now, as this revision. The draft can be changed further.
    pub fn finish(&mut self, revision: u64) -> Snapshot {
        self.lists.sweep();
        self.grants.sweep();
        self.snapshot.revision = revision;
        let slots = self.snapshot.credentials * (size_of::<Arc<Credential>>() + 1) * 3 / 2;
        let credentials = self.snapshot.credentials * (size_of::<Credential>() + 2 * size_of::<usize>());
        let revoked = self.snapshot.revoked.len() * size_of::<(TokenId, Timestamp)>() * 2;
        let shared = self.lists.bytes + self.grants.bytes;
        self.snapshot.bytes = slots + revoked + credentials + shared + self.snapshot.digests.bytes();
        self.snapshot.clone()
    }

    fn list(&mut self, credential: Id, organization: u32, entries: &[EntrySpec]) -> Result<AccessList, DraftFault> {
        let at = organization as usize;
        let sets = &self.snapshot.organizations[at / CHUNK][at % CHUNK].sets;
        let (mut networks, mut references) = (Vec::with_capacity(entries.len()), Vec::new());
        for EntrySpec { target, expires_at } in entries {
            let expires_at = *expires_at;
            match target {
                Target::Network(network) => networks.push(NetworkEntry { network: *network, expires_at }),
                Target::Set(name) => {
                    let unknown = || DraftFault::UnknownSet { credential, set: Arc::clone(name) };
                    let at = sets.iter().position(|set| set.name == *name).ok_or_else(unknown)?;
                    let set = u32::try_from(at).map_err(|_| DraftFault::TooMany(at))?;
                    references.push(SetEntry { set, expires_at });
                }
            }
        }
        let list = AccessList::compile(networks, references);
        Ok(self.lists.share(list))
    }
}
