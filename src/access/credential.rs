//! Organizations and credentials as a decision needs them: nothing that is only shown, nothing that is secret.

use std::fmt;
use std::sync::Arc;

use super::id::Id;
use super::list::AccessList;
use crate::clock::Timestamp;

/// The 32 bytes under which a credential is found: the SHA-256 of a whole key, or of a token's issuer and subject.
///
/// It proves nothing about the key's holder to whoever reads it, but whoever can compute it holds the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    /// Tells nothing: a fingerprint in a log would let its reader test guesses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// The two kinds of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// Public key and private key.
    ApiKey,
    /// Client id, and tokens made from its secrets or by a foreign issuer.
    ServiceAccount,
}

impl CredentialKind {
    /// The word for it in logs and identity headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "API_KEY",
            Self::ServiceAccount => "SERVICE_ACCOUNT",
        }
    }
}

/// Whether a credential's own list refuses or only reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enforcement {
    /// An address that is not on the list is refused.
    Enforce,
    /// It passes, and is recorded as `would_deny`.
    Report,
}

impl Enforcement {
    /// As files, the API and events spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

/// The organization-wide switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessListMode {
    /// A credential without a list may be used from anywhere.
    Off,
    /// As `Off`, and what `Required` would refuse is recorded as `would_deny`.
    Report,
    /// A credential without a list is refused.
    Required,
}

/// Roles and projects of a credential, as the upstream is told; equal ones are shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Grants {
    /// Comma-joined role names.
    pub roles: Box<str>,
    /// Comma-joined project ids.
    pub projects: Box<str>,
    /// Holds the role `GATEWAY`, whose holder is never let through to an upstream.
    pub gateway: bool,
}

/// A named list of networks of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSet {
    /// Unique within its organization.
    pub name: Arc<str>,
    /// What it holds; never refers to other sets.
    pub networks: AccessList,
}

/// An organization as a decision needs it.
#[derive(Debug, Clone)]
pub struct Organization {
    pub(super) id: Id,
    pub(super) name: Arc<str>,
    pub(super) mode: AccessListMode,
    pub(super) sets: Vec<Arc<NetworkSet>>,
    /// Keeps the place of an organization that was removed.
    pub(super) gone: bool,
}

impl Organization {
    /// Its id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The switch that makes lists mandatory.
    pub fn mode(&self) -> AccessListMode {
        self.mode
    }

    /// Its network sets, in the order that lists refer to them by.
    pub fn sets(&self) -> &[Arc<NetworkSet>] {
        &self.sets
    }
}

/// A credential as a decision needs it: about a hundred bytes, and a list that is shared with its equals.
pub struct Credential {
    pub(super) fingerprint: Fingerprint,
    /// Other keys of the same credential, while one is being rotated. Each key has a record of its own.
    pub(super) others: Option<Box<[Fingerprint]>>,
    pub(super) list: AccessList,
    pub(super) grants: Arc<Grants>,
    pub(super) expires_at: Timestamp,
    pub(super) organization: u32,
    pub(super) id: Id,
    pub(super) kind: CredentialKind,
    pub(super) enabled: bool,
    pub(super) enforcement: Enforcement,
    /// Of its grants, where a decision finds it without another look into memory.
    pub(super) gateway: bool,
}

impl Credential {
    /// Its id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// API key or service account.
    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// Its access list; empty where none was given.
    pub fn list(&self) -> &AccessList {
        &self.list
    }

    /// Roles and projects.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// When it stops working; [`Timestamp::NEVER`] where it does not.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether somebody switched it off.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Whether its list refuses or only reports.
    pub fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// All keys under which it is found.
    pub fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        std::iter::once(&self.fingerprint).chain(self.others.iter().flat_map(|others| others.iter()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}
