//! How an empty store begins: with an organization and a key that owns it.
//!
//! Never touches a store that has anything in it.

use super::actor::Actor;
use super::audit::{Event, EventType};
use super::commit::{Change, Desk};
use super::{Fault, Rules, draw, organizations};
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, SecretRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::live::fingerprint;

/// Where the name of the first organization may be given.
pub const ORGANIZATION_VARIABLE: &str = "PORTCULLIS_BOOTSTRAP_ORG";

/// Where the first key may be given, as `publicKey:privateKey`.
pub const KEY_VARIABLE: &str = "PORTCULLIS_BOOTSTRAP_API_KEY";

/// What an empty store begins with. Has no `Debug` of its key.
#[derive(Clone, Default)]
pub struct Bootstrap {
    organization: Option<String>,
    key: Option<(String, String)>,
}

/// What a store was begun with. Has no `Debug` of its key.
pub struct Begun {
    /// The organization.
    pub organization: Id,
    /// The key that owns it.
    pub public_key: String,
    /// Its private key, where it was drawn and nobody knows it yet.
    pub private_key: Option<String>,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun").field("organization", &self.organization).finish_non_exhaustive()
    }
}

/// A variable that can't be used. Never repeats a key.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum BootstrapFault {
    #[error("{ORGANIZATION_VARIABLE} is no name: 1 to 64 characters, no control characters, no blanks at an end")]
    Organization,
    #[error(
        "{KEY_VARIABLE} is not `publicKey:privateKey` with 8 lowercase letters and a UUID of version 4; make one by `uuidgen -r`"
    )]
    Key,
    #[error("the store can't be begun: {0}")]
    Store(String),
}

impl Bootstrap {
    /// From the values of the variables.
    ///
    /// # Errors
    /// [`BootstrapFault`] naming the variable.
    pub fn parse(organization: Option<String>, key: Option<String>) -> Result<Self, BootstrapFault> {
        if organization.as_ref().is_some_and(|name| organizations::check_name("name", name).is_err()) {
            return Err(BootstrapFault::Organization);
        }
        let key = match key {
            None => None,
            Some(text) => {
                let (public, private) = text.split_once(':').ok_or(BootstrapFault::Key)?;
                let good = public.len() == 8
                    && public.bytes().all(|byte| byte.is_ascii_lowercase())
                    && draw::is_private_key(private);
                Some((public.to_owned(), private.to_owned())).filter(|_| good).ok_or(BootstrapFault::Key).map(Some)?
            }
        };
        Ok(Self { organization, key })
    }
}

/// Begins an empty store.
pub(super) fn begin(desk: &mut Desk, rules: &Rules, bootstrap: Bootstrap) -> Result<Begun, BootstrapFault> {
    let made = desk.commit(Actor::system("first start"), rules, |change| first(change, bootstrap));
    made.map(|made| made.value).map_err(|fault| BootstrapFault::Store(fault.to_string()))
}

fn first(change: &mut Change<'_>, bootstrap: Bootstrap) -> Result<Begun, Fault> {
    let name = bootstrap.organization.unwrap_or_else(|| "main".to_owned());
    let new = organizations::NewOrganization { name, mode: AccessListMode::Off, key: None };
    let organization = organizations::add(change, &new)?;
    let (public_key, private_key, given) = match bootstrap.key {
        Some((public, private)) => (public, private, true),
        None => (draw::public_key()?, draw::private_key()?, false),
    };
    let row = CredentialRecord {
        pk: 0,
        id: draw::id()?,
        organization: organization.id,
        kind: CredentialKind::ApiKey,
        name: "first owner".to_owned(),
        public_key: Some(public_key.clone()),
        enabled: true,
        expires_at: Timestamp::NEVER,
        enforcement: Enforcement::Enforce,
        created_at: change.now(),
        revision: change.revision(),
    };
    let pk = change.store().add_credential(organization.pk, &row)?;
    change.touch_credential(pk)?;
    change.store().set_roles(pk, &[Role::Organization("ORG_OWNER")])?;
    let secret = SecretRecord {
        id: draw::id()?,
        fingerprint: fingerprint::of_key(format!("{public_key}.{private_key}").as_bytes()),
        digest: change.digest_of(&public_key, &private_key),
        shown: draw::shown(&private_key),
        created_at: change.now(),
    };
    change.store().add_secret(pk, &secret)?;
    change.record(Event::on(EventType::KeyCreated, &row).detail(&row.name))?;
    let private_key = (!given).then_some(private_key);
    Ok(Begun { organization: organization.id, public_key, private_key })
}
