//! How an empty store begins: with an organization and an owner of it, or a token by which one signs up.
//!
//! Never touches a store that has anything in it.

use super::actor::Actor;
use super::audit::{Event, EventType};
use super::change::Change;
use super::commit::Desk;
use super::passwords::{self, Password};
use super::{Fault, Rules, draw, organizations, people};
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, OrganizationRecord, SecretRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::live::fingerprint;

/// Where the name of the first organization may be given.
pub const ORGANIZATION_VARIABLE: &str = "PORTCULLIS_BOOTSTRAP_ORG";

/// Where the first key may be given, as `publicKey:privateKey`.
pub const KEY_VARIABLE: &str = "PORTCULLIS_BOOTSTRAP_API_KEY";

/// Where the first owner may be given, as `email:password`.
pub const OWNER_VARIABLE: &str = "PORTCULLIS_BOOTSTRAP_OWNER";

/// What an empty store begins with. Has no `Debug` of its key.
#[derive(Clone, Default)]
pub struct Bootstrap {
    organization: Option<String>,
    key: Option<(String, String)>,
    owner: Option<(String, Password)>,
}

/// What a store was begun with. Has no `Debug` of its key.
pub struct Begun {
    /// The organization.
    pub organization: Id,
    /// The key that owns it, where it was drawn and nobody knows it yet: `publicKey:privateKey`.
    pub key: Option<String>,
    /// The token by which the first owner signs up, where no owner was given.
    pub sign_up: Option<String>,
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
    #[error("{OWNER_VARIABLE} is not `email:password` with a password of 12 to 128 characters that is not the email")]
    Owner,
    #[error("the store can't be begun: {0}")]
    Store(String),
}

impl Bootstrap {
    /// From the values of the variables.
    ///
    /// # Errors
    /// [`BootstrapFault`] naming the variable.
    pub fn parse(
        organization: Option<String>,
        key: Option<String>,
        owner: Option<String>,
    ) -> Result<Self, BootstrapFault> {
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
        let owner = match owner {
            None => None,
            Some(text) => {
                let (email, password) = text.split_once(':').ok_or(BootstrapFault::Owner)?;
                let password = Password::new(password.to_owned());
                let good = people::check_email(email).and_then(|()| password.check(email));
                good.map_err(|_| BootstrapFault::Owner)?;
                Some((email.to_owned(), password))
            }
        };
        Ok(Self { organization, key, owner })
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
    let owner = Role::Organization("ORG_OWNER");
    let begun = Begun { organization: organization.id, key: None, sign_up: None };
    let begun = match (bootstrap.key, bootstrap.owner) {
        (Some((public, private)), None) => {
            first_key(change, &organization, &public, &private)?;
            begun
        }
        (key, Some((email, password))) => {
            let user = people::add(change, email, &passwords::hash(&password)?)?;
            people::join(change, &organization, &user, vec![owner], false)?;
            if let Some((public, private)) = key {
                first_key(change, &organization, &public, &private)?;
            }
            begun
        }
        (None, None) => {
            let (public, private) = (draw::public_key()?, draw::private_key()?);
            first_key(change, &organization, &public, &private)?;
            let invite = people::add_invite(change, &organization, None, vec![owner])?;
            Begun { key: Some(format!("{public}:{private}")), sign_up: invite.token, ..begun }
        }
    };
    Ok(begun)
}

fn first_key(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    public_key: &str,
    private_key: &str,
) -> Result<(), Fault> {
    let row = CredentialRecord {
        pk: 0,
        id: draw::id()?,
        organization: organization.id,
        kind: CredentialKind::ApiKey,
        name: "first owner".to_owned(),
        public_key: Some(public_key.to_owned()),
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
        digest: change.digest_of(public_key, private_key),
        shown: draw::shown(private_key),
        created_at: change.now(),
    };
    change.store().add_secret(pk, &secret)?;
    change.record(Event::on(EventType::KeyCreated, &row).detail(&row.name))
}
