//! Who asks for something: a credential, or the program itself.

use super::Fault;
use crate::access::client_address::ClientAddress;
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::record::{CredentialName, Sender};
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

/// Whoever changes or reads something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who it is.
    pub kind: ActorKind,
    /// Where from; `None` for the program itself.
    pub address: Option<ClientAddress>,
    /// Whether it only wants to know what would come of a change: then none is made.
    pub rehearses: bool,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActorKind {
    /// A credential. Its roles are looked up in the very transaction that they decide on, and its name in the one that tells it.
    Credential {
        /// Its id.
        id: Id,
        /// API key or service account.
        kind: CredentialKind,
    },
    /// A person with a session. Their roles are looked up likewise.
    User {
        /// Their id.
        id: Id,
        /// Their email address.
        email: String,
        /// The session that they call with.
        session: Id,
    },
    /// Whoever signs in or up: may do nothing else.
    Stranger,
    /// The program on behalf of whoever may run it on this machine; the text names the command.
    System(&'static str),
}

impl Actor {
    /// The program itself.
    pub fn system(command: &'static str) -> Self {
        Self { kind: ActorKind::System(command), address: None, rehearses: false }
    }

    /// A credential that was proven, and admitted from this address.
    pub fn proven(kind: CredentialKind, id: Id, address: ClientAddress) -> Self {
        Self { kind: ActorKind::Credential { id, kind }, address: Some(address), rehearses: false }
    }

    /// What it is called in events: public key or name of an API key, client id of a service account, email address of a person.
    /// Asked before anything is changed.
    ///
    /// # Errors
    /// It has been removed since it was proven.
    pub(super) fn name(&self, rows: Rows<'_>) -> Result<String, Fault> {
        let (id, kind) = match &self.kind {
            ActorKind::Credential { id, kind } => (*id, *kind),
            ActorKind::User { email, .. } => return Ok(email.clone()),
            ActorKind::Stranger => return Ok("nobody".to_owned()),
            ActorKind::System(command) => return Ok((*command).to_owned()),
        };
        let row = rows
            .credential(CredentialName { kind, id })?
            .ok_or_else(|| Refusal::new(Code::InvalidCredentials, Code::InvalidCredentials.detail(self.address)))?;
        Ok(match kind {
            CredentialKind::ApiKey => row.public_key.unwrap_or(row.name),
            CredentialKind::ServiceAccount => row.credential().to_string(),
        })
    }

    /// The calling credential, where it is one.
    pub fn credential(&self) -> Option<CredentialName> {
        match self.kind {
            ActorKind::Credential { id, kind } => Some(CredentialName { kind, id }),
            ActorKind::User { .. } | ActorKind::Stranger | ActorKind::System(_) => None,
        }
    }

    /// The same as the sender of an invitation; `None` where the program itself sends it.
    pub(super) fn sender(&self) -> Option<Sender> {
        match self.kind {
            ActorKind::User { id, .. } => Some(Sender::User(id)),
            ActorKind::Credential { id, kind } => Some(Sender::Credential(CredentialName { kind, id })),
            ActorKind::Stranger | ActorKind::System(_) => None,
        }
    }

    /// The calling person and their session.
    pub(super) fn user(&self) -> Option<(Id, Id)> {
        match self.kind {
            ActorKind::User { id, session, .. } => Some((id, session)),
            ActorKind::Credential { .. } | ActorKind::Stranger | ActorKind::System(_) => None,
        }
    }
}
