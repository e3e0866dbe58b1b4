//! A directory that was judged good: what its files say, and its compilation into a snapshot.
//!
//! Never holds a secret, only SHA-256 and HA1s of secrets; those have no `Debug` that tells either.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::credential::{AccessListMode, CredentialKind, Enforcement, Fingerprint, Grants};
use crate::access::digest_secret::{DigestSecret, DigestUser};
use crate::access::feed::Source;
use crate::access::id::Id;
use crate::access::network::{Network, Networks};
use crate::access::record::AccountRecord;
use crate::access::role::{Role, grants};
use crate::access::snapshot::{
    CredentialSpec, Draft, DraftFault, EntrySpec, NetworkSetSpec, OrganizationSpec, Snapshot, Target,
};
use crate::clock::Timestamp;
use crate::live::fingerprint;

/// Organizations and everything that belongs to them.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// In the order of the files.
    pub organizations: Vec<Organization>,
    /// Most entries of one list.
    pub entries_per_list: usize,
}

/// An organization.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Unique in the directory.
    pub id: Id,
    /// For people.
    pub name: Arc<str>,
    /// The switch.
    pub mode: AccessListMode,
    /// Hours that a secret of a service account may be made to last; `None` where nobody says.
    pub secret_hours: Option<u32>,
    /// What project roles are granted on.
    pub projects: Vec<Project>,
    /// What lists may refer to.
    pub network_sets: Vec<NetworkSet>,
    /// API keys and service accounts.
    pub credentials: Vec<Credential>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Unique in the directory.
    pub id: Id,
    /// Unique in the organization.
    pub name: Arc<str>,
}

/// A named list of networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSet {
    /// Unique in the organization.
    pub name: Arc<str>,
    /// What it holds; of one with a source, what it begins with where it is new.
    pub networks: Vec<Network>,
    /// Who answers for it, for people.
    pub owner: Option<Box<str>>,
    /// For people.
    pub comment: Option<Box<str>>,
    /// Where a store takes its networks from by itself.
    pub source: Option<Source>,
}

/// An API key or a service account.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Unique in the directory.
    pub id: Id,
    /// Which of both it is.
    pub kind: CredentialKind,
    /// A key's description or an account's name; may be empty.
    pub name: Box<str>,
    /// Unique in the directory where there is one.
    pub public_key: Option<Box<str>>,
    /// Under what it is found; never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// HA1s of Digest; only where there is a public key.
    pub digest: Vec<DigestSecret>,
    /// What a service account has besides; nothing for a key.
    pub account: Option<Account>,
    /// Of which fingerprint each of them is, by its position.
    pub digest_of: Vec<usize>,
    /// Whether it works.
    pub enabled: bool,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// Whether its list refuses.
    pub enforcement: Enforcement,
    /// What it may do, as the upstream is told.
    pub roles: Vec<Role>,
    /// Where it may be used from.
    pub access_list: Vec<Entry>,
}

/// What a service account has besides other credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// For people, and whose foreign tokens speak for it.
    pub about: AccountRecord,
    /// What a store would exchange for its own tokens.
    pub secrets: Vec<ClientSecret>,
}

/// A secret of a service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSecret {
    /// Unique within its account; `None`: another one.
    pub id: Option<Id>,
    /// SHA-256 of the secret.
    pub sha256: Fingerprint,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// An entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it admits.
    pub target: Admits,
    /// When it stops admitting.
    pub expires_at: Timestamp,
    /// For people.
    pub comment: Option<Box<str>>,
}

/// What an entry admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admits {
    /// A network.
    Network(Network),
    /// What the network set at this position of its organization holds.
    Set(u32),
}

impl Directory {
    /// All credentials with their organizations.
    pub fn credentials(&self) -> impl Iterator<Item = (&Organization, &Credential)> {
        self.organizations.iter().flat_map(|one| one.credentials.iter().map(move |credential| (one, credential)))
    }

    /// Compiles the directory into what requests are decided on.
    ///
    /// # Errors
    /// A [`DraftFault`]; a directory that [`super::load`] returned has none but that of size.
    pub fn compile(&self, revision: u64) -> Result<Snapshot, DraftFault> {
        let mut draft = Draft::new();
        for one in &self.organizations {
            draft.organization(one.spec())?;
            for credential in &one.credentials {
                draft.credential(one.credential_spec(credential))?;
            }
        }
        Ok(draft.finish(revision))
    }
}

impl Organization {
    fn spec(&self) -> OrganizationSpec {
        let set = |set: &NetworkSet| NetworkSetSpec { name: Arc::clone(&set.name), networks: set.networks.clone() };
        OrganizationSpec {
            id: self.id,
            name: Arc::clone(&self.name),
            mode: self.mode,
            network_sets: self.network_sets.iter().map(set).collect(),
        }
    }

    fn credential_spec(&self, credential: &Credential) -> CredentialSpec {
        let entry = |entry: &Entry| EntrySpec { target: self.target(entry), expires_at: entry.expires_at };
        CredentialSpec {
            id: credential.id,
            kind: credential.kind,
            organization: self.id,
            fingerprints: credential.fingerprints.clone(),
            enabled: credential.enabled,
            expires_at: credential.expires_at,
            enforcement: credential.enforcement,
            grants: credential.grants(),
            access_list: credential.access_list.iter().map(entry).collect(),
            digest: credential.digest_user(),
        }
    }

    /// What an entry admits, by its name.
    pub fn target(&self, entry: &Entry) -> Target {
        match entry.target {
            Admits::Network(network) => Target::Network(network),
            // Made by `resolve` from a position in this very list.
            Admits::Set(at) => Target::Set(Arc::clone(&self.network_sets[at as usize].name)),
        }
    }

    /// A list by what its entries admit; of two for one thing, which list files may bring, the one that lasts longer.
    pub fn list<'e>(&self, credential: &'e Credential) -> BTreeMap<Target, &'e Entry> {
        let mut list: BTreeMap<Target, &Entry> = BTreeMap::new();
        for entry in &credential.access_list {
            let target = self.target(entry);
            match list.get(&target) {
                Some(known) if known.expires_at >= entry.expires_at => {}
                _ => {
                    list.insert(target, entry);
                }
            }
        }
        list
    }

    /// Leaves one entry for each thing that a list admits.
    pub(super) fn keep_one_of_each(&mut self) {
        let mut credentials = std::mem::take(&mut self.credentials);
        for credential in &mut credentials {
            let list = self.list(credential);
            if list.len() < credential.access_list.len() {
                let kept = list.into_values().cloned().collect();
                credential.access_list = kept;
            }
        }
        self.credentials = credentials;
    }

    /// Whether a list admits every address of a family, expired entries included.
    pub fn covers_a_family(&self, list: &[Entry]) -> bool {
        let networks = || list.iter().flat_map(|entry| self.networks_of(entry));
        // Of n networks that cover everything together, one is at least an n-th of it.
        let count = networks().count().max(1);
        let widest = u8::try_from(count.ilog2() + 1).unwrap_or(u8::MAX);
        networks().any(|network| network.prefix_len() <= widest)
            && networks().copied().collect::<Networks>().covers_a_family()
    }

    /// The networks that an entry admits.
    pub fn networks_of<'d>(&'d self, entry: &'d Entry) -> &'d [Network] {
        match &entry.target {
            Admits::Network(network) => std::slice::from_ref(network),
            Admits::Set(at) => &self.network_sets[*at as usize].networks,
        }
    }
}

impl Credential {
    /// HA1s of the secret with this position.
    pub fn digest_of(&self, secret: usize) -> Option<&DigestSecret> {
        self.digests().find(|(of, _)| *of == secret).map(|(_, digest)| digest)
    }

    /// All HA1s, each with the position of the secret that it is of.
    pub fn digests(&self) -> impl Iterator<Item = (usize, &DigestSecret)> {
        self.digest_of.iter().copied().zip(&self.digest)
    }

    /// Who it is in Digest; `None` where it has no HA1s.
    fn digest_user(&self) -> Option<DigestUser> {
        let name = self.public_key.as_deref().filter(|_| !self.digest.is_empty())?;
        let name = fingerprint::of_digest_user([name.as_bytes()]);
        Some(DigestUser { name, secrets: self.digest.clone() })
    }

    /// What the upstream is told: roles of a project as `PROJECT_ID:ROLE`, so that nobody takes them for all projects.
    pub fn grants(&self) -> Grants {
        grants(&self.roles)
    }
}
