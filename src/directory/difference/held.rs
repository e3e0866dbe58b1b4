//! What a store holds of an organization, as the model that a directory file is read into.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::model::{Account, Admits, ClientSecret, Credential, Entry, NetworkSet, Organization, Project};
use super::super::sqlite::{Rows, StoreFault};
use crate::access::credential::CredentialKind;
use crate::access::record::{CredentialRecord, OrganizationRecord};
use crate::access::target::Target;

/// The organization with all that belongs to it.
///
/// # Errors
/// A [`StoreFault`].
pub fn held(rows: Rows<'_>, row: &OrganizationRecord) -> Result<Organization, StoreFault> {
    let network_sets: Vec<NetworkSet> = rows
        .network_sets(row.pk)?
        .into_iter()
        .map(|set| NetworkSet {
            name: set.name,
            networks: set.networks,
            owner: set.owner.map(Into::into),
            comment: set.comment.map(Into::into),
        })
        .collect();
    let positions: HashMap<Arc<str>, u32> =
        (0..).zip(&network_sets).map(|(at, set)| (Arc::clone(&set.name), at)).collect();
    let mut credentials = Vec::new();
    for pk in rows.credentials_of(row.pk)? {
        if let Some(one) = rows.credential_by_pk(pk)? {
            credentials.push(credential(rows, &one, &positions)?);
        }
    }
    Ok(Organization {
        id: row.id,
        name: row.name.as_str().into(),
        mode: row.mode,
        projects: rows.projects(row.id)?.into_iter().map(|one| Project { id: one.id, name: one.name.into() }).collect(),
        network_sets,
        credentials,
    })
}

fn credential(rows: Rows<'_>, row: &CredentialRecord, sets: &HashMap<Arc<str>, u32>) -> Result<Credential, StoreFault> {
    let is_account = row.kind == CredentialKind::ServiceAccount;
    let account = match is_account {
        false => None,
        true => {
            let secrets = rows.client_secrets(row.pk)?.into_iter().map(|one| ClientSecret {
                id: Some(one.secret.id),
                sha256: one.secret.fingerprint,
                expires_at: one.expires_at,
            });
            Some(Account { about: rows.account(row.pk)?, secrets: secrets.collect() })
        }
    };
    // Those with HA1s first: HA1s are told by their place.
    let mut secrets = if is_account { Vec::new() } else { rows.secrets(row.pk)? };
    secrets.sort_by_key(|secret| secret.digest.is_none());
    let entry = |target: &Target| match target {
        Target::Network(network) => Some(Admits::Network(*network)),
        // The store has no reference to a set that is not there.
        Target::Set(name) => sets.get(name).map(|at| Admits::Set(*at)),
    };
    let entries = rows.entries(row.pk)?.into_iter().filter_map(|one| {
        Some(Entry { target: entry(&one.target)?, expires_at: one.expires_at, comment: one.comment.map(Into::into) })
    });
    Ok(Credential {
        id: row.id,
        kind: row.kind,
        name: row.name.as_str().into(),
        public_key: row.public_key.as_deref().map(Into::into),
        fingerprints: secrets.iter().map(|secret| secret.fingerprint).collect(),
        digest: secrets.into_iter().filter_map(|secret| secret.digest).collect(),
        account,
        enabled: row.enabled,
        expires_at: row.expires_at,
        enforcement: row.enforcement,
        roles: rows.roles(row.pk)?,
        access_list: entries.collect(),
    })
}
