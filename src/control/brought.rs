//! Credentials that a file brings, with ids and hashes that somebody else has chosen: what a store has of them besides.
//!
//! One form for `apply` and `import`. Never sees a secret, only its hash.

use super::feeds::SourceEdit;
use super::network_sets::NetworkSetEdit;
use super::{Fault, draw};
use crate::access::credential::AccessListMode;
use crate::access::record::{AccountRecord, ClientSecretRecord, EntryRecord, SecretRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::directory::model::{Account, ClientSecret, Credential, Entry, NetworkSet, Organization};
use crate::problem::{Code, Refusal};

/// What is shown of a private key that nobody here has ever seen.
const UNSEEN: &str = "********-****-****-************";

/// What is shown of such a secret of a service account.
const UNSEEN_CLIENT_SECRET: &str = "pcl_sa_sk_…****";

/// What a credential is called. A store has a name of each, which a file may leave out.
pub(super) fn name_of(new: &Credential) -> &str {
    match &*new.name {
        "" => new.public_key.as_deref().unwrap_or("imported"),
        name => name,
    }
}

/// An account's description is never empty: what a file does not say is what was there, or the name.
pub(super) fn described(new: &Credential, about: &AccountRecord, before: &str) -> AccountRecord {
    let description = match (&*about.description, before) {
        ("", "") => &new.name,
        ("", before) => before,
        (text, _) => text,
    };
    AccountRecord { description: description.to_owned(), ..about.clone() }
}

/// The private key with this position.
pub(super) fn private_key(new: &Credential, at: usize, now: Timestamp) -> Result<SecretRecord, Fault> {
    Ok(SecretRecord {
        id: draw::id()?,
        fingerprint: new.fingerprints[at],
        digest: new.digest_of(at).cloned(),
        shown: UNSEEN.to_owned(),
        created_at: now,
    })
}

/// A secret of a service account.
pub(super) fn client_secret(one: &ClientSecret, now: Timestamp) -> Result<ClientSecretRecord, Fault> {
    let secret = SecretRecord {
        id: one.id.map_or_else(draw::id, Ok)?,
        fingerprint: one.sha256,
        digest: None,
        shown: UNSEEN_CLIENT_SECRET.to_owned(),
        created_at: now,
    };
    Ok(ClientSecretRecord { secret, expires_at: one.expires_at, last_used_at: None })
}

/// An entry of an access list.
pub(super) fn entry(of: &Organization, one: &Entry, now: Timestamp) -> EntryRecord {
    EntryRecord {
        target: of.target(one),
        comment: one.comment.as_deref().map(str::to_owned),
        expires_at: one.expires_at,
        created_at: now,
    }
}

/// What a new network set is to be.
pub(super) fn content(set: &NetworkSet) -> NetworkSetEdit {
    NetworkSetEdit {
        networks: Some(set.networks.clone()),
        owner: set.owner.as_deref().map(str::to_owned),
        comment: set.comment.as_deref().map(str::to_owned),
        source: SourceEdit::Becomes(set.source.clone()),
    }
}

/// What a network set is to be that is there: one with a source holds what it does, since no file knows what that gives.
pub(super) fn content_of_known(set: &NetworkSet) -> NetworkSetEdit {
    let content = content(set);
    NetworkSetEdit { networks: content.networks.filter(|_| set.source.is_none()), ..content }
}

/// Refuses secrets of a service account that would last longer than its organization allows.
pub(super) fn check_ends(ends: impl IntoIterator<Item = Timestamp>, hours: u32, now: Timestamp) -> Result<(), Fault> {
    let latest = now.unix_seconds().saturating_add(i64::from(hours) * 3600);
    match ends.into_iter().all(|end| end.unix_seconds() <= latest) {
        true => Ok(()),
        false => {
            let wrong = format!(
                "a secret would last longer than the {hours} hours that the organization allows; give it an earlier end"
            );
            Err(Refusal::field(Code::InvalidAttribute, "secrets", wrong).into())
        }
    }
}

/// Refuses a new organization that nobody could manage: the calling credential stays in its own, and all that is left are those
/// that come with the new one.
pub(super) fn expect_manager(of: &Organization, now: Timestamp) -> Result<(), Fault> {
    match of.credentials.iter().any(|one| can_manage(of, one, now)) {
        true => Ok(()),
        false => {
            let detail = "nobody could manage the new organization: the calling credential can't manage another than its \
                          own. Add an enabled key with the role ORG_OWNER, and with an access list where the \
                          organization requires lists";
            Err(Refusal::new(Code::MissingOneOfAttributes, detail).with("api_keys").into())
        }
    }
}

/// Whether a credential could manage the organization that it comes with: it owns it, works, and may be used from somewhere.
fn can_manage(of: &Organization, one: &Credential, now: Timestamp) -> bool {
    let proves = |account: &Account| {
        account.about.is_spoken_for() || account.secrets.iter().any(|secret| secret.expires_at > now)
    };
    let admits = |entry: &Entry| entry.expires_at > now && !of.networks_of(entry).is_empty();
    let is_listed = match one.access_list.is_empty() {
        true => of.mode != AccessListMode::Required,
        false => one.access_list.iter().any(admits),
    };
    one.enabled
        && one.expires_at > now
        && one.roles.contains(&Role::Organization("ORG_OWNER"))
        && one.account.as_ref().is_none_or(proves)
        && is_listed
}
