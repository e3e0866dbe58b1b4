//! The record of who did what; every name that an event may have.

use super::actor::{Actor, ActorKind};
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::record::{CredentialName, CredentialRecord, EventRecord, UserRecord};
use crate::access::target::Target;
use crate::clock::Timestamp;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum EventType { $($(#[$doc])* $variant,)* }

        impl EventType {
            const NAMES: &'static [&'static str] = &[$($name,)*];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

/// What names of events on API keys begin with, and those of the same events on service accounts.
const OF_KEYS: &str = "API_KEY_";
const OF_ACCOUNTS: &str = "SERVICE_ACCOUNT_";

impl EventType {
    /// Every name, as the filter of the API takes it.
    pub(super) fn names() -> impl Iterator<Item = String> {
        let all = Self::NAMES.iter();
        let likewise = all.clone().filter_map(|name| Some(format!("{OF_ACCOUNTS}{}", name.strip_prefix(OF_KEYS)?)));
        all.map(|name| (*name).to_owned()).chain(likewise)
    }
}

/// The name of every type of event, as filters take it.
pub fn event_names() -> impl Iterator<Item = String> {
    EventType::names()
}

event_types! {
    OrgCreated = "ORG_CREATED";
    OrgRenamed = "ORG_RENAMED";
    OrgDeleted = "ORG_DELETED";
    ListRequired = "ORG_PUBLIC_API_ACCESS_LIST_REQUIRED";
    ListReported = "ORG_PUBLIC_API_ACCESS_LIST_REPORTED";
    ListNotRequired = "ORG_PUBLIC_API_ACCESS_LIST_NOT_REQUIRED";
    GroupCreated = "GROUP_CREATED";
    GroupDeleted = "GROUP_DELETED";
    Imported = "DIRECTORY_IMPORTED";
    KeyCreated = "API_KEY_CREATED";
    KeyDeleted = "API_KEY_DELETED";
    KeyRolesChanged = "API_KEY_ROLES_CHANGED";
    KeyDescriptionChanged = "API_KEY_DESCRIPTION_CHANGED";
    KeyEnabled = "API_KEY_ENABLED";
    KeyDisabled = "API_KEY_DISABLED";
    KeyExpiryChanged = "API_KEY_EXPIRY_CHANGED";
    KeyEnforcementChanged = "API_KEY_ENFORCEMENT_CHANGED";
    KeyAddedToGroup = "API_KEY_ADDED_TO_GROUP";
    KeyRemovedFromGroup = "API_KEY_REMOVED_FROM_GROUP";
    KeyCallRefused = "API_KEY_CALL_REFUSED";
    SecretAdded = "API_KEY_SECRET_ADDED";
    SecretDeleted = "API_KEY_SECRET_DELETED";
    EntryAdded = "API_KEY_ACCESS_LIST_ENTRY_ADDED";
    EntryChanged = "API_KEY_ACCESS_LIST_ENTRY_CHANGED";
    EntryDeleted = "API_KEY_ACCESS_LIST_ENTRY_DELETED";
    ListCoversEverything = "API_KEY_ACCESS_LIST_COVERS_EVERYTHING";
    NetworkSetCreated = "NETWORK_SET_CREATED";
    NetworkSetChanged = "NETWORK_SET_CHANGED";
    /// A list of its source waits for a person.
    NetworkSetHeld = "NETWORK_SET_HELD";
    NetworkSetDeleted = "NETWORK_SET_DELETED";
    NetworkSetCoversEverything = "NETWORK_SET_COVERS_EVERYTHING";
    UserCreated = "USER_CREATED";
    UserJoined = "USER_JOINED_ORG";
    UserRemoved = "USER_REMOVED_FROM_ORG";
    UserRolesChanged = "USER_ROLES_CHANGED";
    UserInvited = "USER_INVITED";
    InviteDeleted = "USER_INVITE_DELETED";
    SignedIn = "USER_SIGNED_IN";
    SignInFailed = "USER_SIGN_IN_FAILED";
    SignedOut = "USER_SIGNED_OUT";
    PasswordChanged = "USER_PASSWORD_CHANGED";
    OwnerReset = "USER_OWNER_RESET";
    TokenRevoked = "SERVICE_ACCOUNT_TOKEN_REVOKED";
    TokenRefused = "SERVICE_ACCOUNT_TOKEN_REFUSED";
    SubjectChanged = "SERVICE_ACCOUNT_TOKEN_SUBJECT_CHANGED";
    /// Other client certificates speak for an account, or none.
    CertificateChanged = "SERVICE_ACCOUNT_CERTIFICATE_CHANGED";
    SecretValidityChanged = "ORG_SERVICE_ACCOUNT_SECRET_VALIDITY_CHANGED";
    ExchangesRevoked = "CREDENTIAL_EXCHANGES_REVOKED";
    GuardOverridden = "ACCESS_LIST_GUARD_OVERRIDDEN";
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) struct Event {
    event: EventType,
    organization: Id,
    project: Option<Id>,
    target: Option<String>,
    /// Of a service account.
    of_account: bool,
    target_public_key: Option<String>,
    entry: Option<String>,
    detail: Option<String>,
    /// Who did it, where that is known only by what was done.
    by: Option<(Id, String)>,
}

impl Event {
    pub(super) fn new(event: EventType, organization: Id) -> Self {
        let (project, target, target_public_key, entry, detail) = (None, None, None, None, None);
        let by = None;
        Self { event, organization, project, target, of_account: false, target_public_key, entry, detail, by }
    }

    /// Something that happened to a credential.
    pub(super) fn on(event: EventType, credential: &CredentialRecord) -> Self {
        let target_public_key = credential.public_key.clone();
        let target = Some(credential.credential().to_string());
        let of_account = credential.kind == CredentialKind::ServiceAccount;
        Self { target, of_account, target_public_key, ..Self::new(event, credential.organization) }
    }

    /// Something that happened to a person.
    pub(super) fn of_user(event: EventType, organization: Id, user: &UserRecord) -> Self {
        Self { target: Some(user.id.to_string()), detail: Some(user.email.clone()), ..Self::new(event, organization) }
    }

    /// Something that happened to what may be gone by now.
    pub(super) fn target(self, id: Id) -> Self {
        Self { target: Some(id.to_string()), ..self }
    }

    pub(super) fn in_project(self, project: Id) -> Self {
        Self { project: Some(project), ..self }
    }

    pub(super) fn entry(self, target: &Target) -> Self {
        Self { entry: Some(target.to_string()), ..self }
    }

    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Done by this person, who was a stranger until then.
    pub(super) fn by(self, user: &UserRecord) -> Self {
        Self { by: Some((user.id, user.email.clone())), ..self }
    }

    pub(super) fn row(self, id: Id, (actor, name): (&Actor, &str), now: Timestamp, revision: u64) -> EventRecord {
        let (actor_kind, actor_id) = match (&self.by, &actor.kind) {
            (Some((id, _)), _) => ("USER", Some(id.to_string())),
            (_, ActorKind::Credential { id, kind }) => {
                (kind.as_str(), Some(CredentialName { kind: *kind, id: *id }.to_string()))
            }
            (_, ActorKind::User { id, .. }) => ("USER", Some(id.to_string())),
            (_, ActorKind::Stranger) => ("USER", None),
            (_, ActorKind::System(_)) => ("SYSTEM", None),
        };
        let actor_name = self.by.map_or_else(|| name.to_owned(), |(_, email)| email);
        EventRecord {
            id,
            event: match (self.of_account, self.event.as_str().strip_prefix(OF_KEYS)) {
                (true, Some(what)) => format!("{OF_ACCOUNTS}{what}"),
                _ => self.event.as_str().to_owned(),
            },
            created_at: now,
            revision,
            organization: self.organization,
            project: self.project,
            actor_kind: actor_kind.to_owned(),
            actor_id,
            actor_name,
            remote_address: actor.address.map(|address| address.to_string()),
            target: self.target,
            target_public_key: self.target_public_key,
            entry: self.entry,
            detail: self.detail,
        }
    }
}
