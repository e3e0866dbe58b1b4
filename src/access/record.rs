//! What a directory knows of its things beyond what a decision needs: what is shown, counted and recorded.
//!
//! Never holds a secret, and never takes part in a decision.

use std::fmt;
use std::sync::Arc;

use super::certificate_name::CertificateName;
use super::client_id::ClientId;
use super::credential::{AccessListMode, CredentialKind, Enforcement, Fingerprint};
use super::digest_secret::DigestSecret;
use super::id::Id;
use super::network::Network;
use super::target::Target;
use super::token_id::TokenId;
use crate::clock::Timestamp;

/// Fewest and most hours that a secret of a service account may be made to last.
pub const SHORTEST_SECRET_HOURS: u32 = 8;
/// The same.
pub const LONGEST_SECRET_HOURS: u32 = 8760;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationRecord {
    /// The store's own number for it.
    pub pk: i64,
    /// Unique in the directory.
    pub id: Id,
    /// For people.
    pub name: String,
    /// The switch.
    pub mode: AccessListMode,
    /// Most hours that a secret of its service accounts may be made to last.
    pub secret_hours: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// The revision that last changed it.
    pub revision: u64,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRecord {
    /// The store's own number for it.
    pub pk: i64,
    /// Unique in the directory.
    pub id: Id,
    /// The organization that it is part of.
    pub organization: Id,
    /// Unique in the organization.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A credential without its secrets, roles and entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRecord {
    /// The store's own number for it.
    pub pk: i64,
    /// Unique in the directory.
    pub id: Id,
    /// The organization that it belongs to.
    pub organization: Id,
    /// API key or service account.
    pub kind: CredentialKind,
    /// A key's description or an account's name.
    pub name: String,
    /// The part of a key that is no secret.
    pub public_key: Option<String>,
    /// Whether it works.
    pub enabled: bool,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// Whether its list refuses.
    pub enforcement: Enforcement,
    /// When it was made.
    pub created_at: Timestamp,
    /// The revision that last changed it or its list.
    pub revision: u64,
}

/// Which credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialName {
    /// API key or service account.
    pub kind: CredentialKind,
    /// Its id.
    pub id: Id,
}

impl CredentialName {
    /// An API key.
    pub const fn api_key(id: Id) -> Self {
        Self { kind: CredentialKind::ApiKey, id }
    }

    /// A service account.
    pub const fn service_account(client: ClientId) -> Self {
        Self { kind: CredentialKind::ServiceAccount, id: client.0 }
    }
}

impl fmt::Display for CredentialName {
    /// An id of a key, a client id of an account.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CredentialKind::ApiKey => self.id.fmt(f),
            CredentialKind::ServiceAccount => ClientId(self.id).fmt(f),
        }
    }
}

impl CredentialRecord {
    /// Which one it is.
    pub fn credential(&self) -> CredentialName {
        CredentialName { kind: self.kind, id: self.id }
    }
}

/// What a service account has besides other credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRecord {
    /// For people.
    pub description: String,
    /// Whose foreign tokens speak for it.
    pub subject: Option<TokenSubject>,
    /// Whose client certificates speak for it.
    pub certificate: Option<CertificateName>,
}

impl AccountRecord {
    /// Whether somebody speaks for it without any of its secrets.
    pub fn is_spoken_for(&self) -> bool {
        self.subject.is_some() || self.certificate.is_some()
    }
}

/// Who a foreign token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSubject {
    /// Exact `iss`.
    pub issuer: String,
    /// Exact `sub`.
    pub subject: String,
}

/// A token of a service account that works, without what makes it one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its `jti`.
    pub id: TokenId,
    /// From which secret it was made.
    pub secret: Id,
    /// When; `None` where that was not kept.
    pub issued_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A secret of a service account.
#[derive(Debug, Clone)]
pub struct ClientSecretRecord {
    /// What any secret has.
    pub secret: SecretRecord,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was last exchanged for a token.
    pub last_used_at: Option<Timestamp>,
}

/// A secret of a credential.
#[derive(Debug, Clone)]
pub struct SecretRecord {
    /// Unique within its credential.
    pub id: Id,
    /// SHA-256 of the whole key.
    pub fingerprint: Fingerprint,
    /// What Digest is proven against, where that was on when the secret was made.
    pub digest: Option<DigestSecret>,
    /// What may be shown of it.
    pub shown: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person who may sign in. Their password's hash is read by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The store's own number for it.
    pub pk: i64,
    /// Unique in the directory.
    pub id: Id,
    /// As it was written; unique whatever the case of its letters.
    pub email: String,
    /// When they signed up.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_sign_in: Option<Timestamp>,
    /// The revision that last changed them or their roles.
    pub revision: u64,
}

/// A session of a person, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Unique in the directory.
    pub id: Id,
    /// Whose it is.
    pub user: UserRecord,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
}

/// An invitation into an organization, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// The store's own number for it.
    pub pk: i64,
    /// Unique in the directory.
    pub id: Id,
    /// Into which organization.
    pub organization: Id,
    /// Who is invited; `None` is the first owner, who names an address when signing up.
    pub email: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// Who sent it; `None` is the program itself, which invites the first owner.
    pub sender: Option<Sender>,
}

/// Who sent an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A key or an account.
    Credential(CredentialName),
    /// A person.
    User(Id),
}

/// Which credentials of a place are looked for, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialSearch {
    /// What their name, public key or id holds; empty finds all.
    pub text: String,
    /// The order.
    pub order: CredentialOrder,
    /// The other way round.
    pub descending: bool,
}

/// An order of credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CredentialOrder {
    /// As they were made.
    #[default]
    Created,
    /// By their name.
    Name,
    /// By their last use; those that were never used first.
    LastUsed,
    /// By their last denial; those that were never denied first.
    LastDenied,
}

impl CredentialOrder {
    /// Each with the name that it has in the API.
    pub const ALL: [(&'static str, Self); 4] = [
        ("created", Self::Created),
        ("name", Self::Name),
        ("lastUsed", Self::LastUsed),
        ("lastDenied", Self::LastDenied),
    ];
}

/// Which credentials are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Those of an organization.
    Organization(Id),
    /// Those with a role on a project.
    Project(Id),
}

/// A named set of networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSetRecord {
    /// The store's own number for it.
    pub pk: i64,
    /// The organization whose lists may refer to it.
    pub organization: Id,
    /// Unique in the organization.
    pub name: Arc<str>,
    /// Who answers for it, for people.
    pub owner: Option<String>,
    /// For people.
    pub comment: Option<String>,
    /// What it holds, in order.
    pub networks: Vec<Network>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The revision that last changed it.
    pub revision: u64,
}

/// An entry of a credential's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRecord {
    /// What it admits.
    pub target: Target,
    /// For people.
    pub comment: Option<String>,
    /// When it stops admitting.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Who changed what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Unique.
    pub id: Id,
    /// Such as `API_KEY_CREATED`.
    pub event: String,
    /// When.
    pub created_at: Timestamp,
    /// The revision that the change made.
    pub revision: u64,
    /// In which organization.
    pub organization: Id,
    /// In which project.
    pub project: Option<Id>,
    /// `API_KEY`, `SERVICE_ACCOUNT`, `USER` or `SYSTEM`.
    pub actor_kind: String,
    /// Id of the one who did it.
    pub actor_id: Option<String>,
    /// Public key, client id, user name or command of the one who did it.
    pub actor_name: String,
    /// From where.
    pub remote_address: Option<String>,
    /// Id of what it was done to.
    pub target: Option<String>,
    /// Public key of that.
    pub target_public_key: Option<String>,
    /// The entry of a list that came or went, or the set that changed.
    pub entry: Option<String>,
    /// More about it, for people.
    pub detail: Option<String>,
}

/// Which events are listed.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this organization.
    pub organization: Option<Id>,
    /// Of this project.
    pub project: Option<Id>,
    /// Of one of these types; empty is every type.
    pub types: Vec<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
}
