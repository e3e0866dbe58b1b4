//! What a store holds, as the model that a directory file is read into: for writing it as one, and for comparing the two.

use super::model::{Account, Admits, ClientSecret, Credential, Entry, NetworkSet, Organization, Project};
use super::sqlite::{Rows, StoreFault};
use crate::access::credential::CredentialKind;
use crate::access::record::{CredentialRecord, OrganizationRecord};
use crate::access::target::Target;

/// An organization with all that belongs to it.
///
/// # Errors
/// A [`StoreFault`].
pub fn whole(rows: Rows<'_>, row: &OrganizationRecord) -> Result<Organization, StoreFault> {
    let mut of = organization(rows, row)?;
    for pk in rows.credentials_of(row.pk)? {
        if let Some(one) = rows.credential_by_pk(pk)? {
            of.credentials.push(credential(rows, &of, &one)?);
        }
    }
    Ok(of)
}

/// An organization with its projects and network sets, and without its credentials. Sets are in the order of their names.
///
/// # Errors
/// A [`StoreFault`].
pub fn organization(rows: Rows<'_>, row: &OrganizationRecord) -> Result<Organization, StoreFault> {
    let projects = rows.projects(row.id)?.into_iter();
    let mut network_sets = Vec::new();
    for set in rows.network_sets(row.pk)? {
        network_sets.push(NetworkSet {
            source: rows.feed(set.pk)?.map(|feed| feed.source),
            name: set.name,
            networks: set.networks,
            owner: set.owner.map(Into::into),
            comment: set.comment.map(Into::into),
        });
    }
    Ok(Organization {
        id: row.id,
        name: row.name.as_str().into(),
        mode: row.mode,
        secret_hours: Some(row.secret_hours),
        projects: projects.map(|project| Project { id: project.id, name: project.name.into() }).collect(),
        network_sets,
        credentials: Vec::new(),
    })
}

/// A credential of an organization with all that belongs to it; entries in the order of what they admit. The fingerprints are
/// those of the secrets of a key, and none of a service account.
///
/// # Errors
/// A [`StoreFault`].
pub fn credential(rows: Rows<'_>, of: &Organization, row: &CredentialRecord) -> Result<Credential, StoreFault> {
    let account = match row.kind {
        CredentialKind::ApiKey => None,
        CredentialKind::ServiceAccount => Some(account(rows, row.pk)?),
    };
    // What a service account is found by is no secret of it, and is made of what it is.
    let secrets = if account.is_none() { rows.secrets(row.pk)? } else { Vec::new() };
    let mut entries = rows.entries(row.pk)?;
    entries.sort_unstable_by(|one, other| one.target.cmp(&other.target));
    let digests = secrets.iter().enumerate().filter_map(|(at, secret)| Some((secret.digest.clone()?, at)));
    let (digest, digest_of) = digests.unzip();
    let admits = |target: Target| match target {
        Target::Network(network) => Some(Admits::Network(network)),
        // The store has no reference to a set that is not there.
        Target::Set(name) => {
            let at = of.network_sets.binary_search_by(|set| (*set.name).cmp(&*name)).ok()?;
            u32::try_from(at).ok().map(Admits::Set)
        }
    };
    let entries = entries.into_iter().filter_map(|one| {
        let comment = one.comment.map(Into::into);
        Some(Entry { target: admits(one.target)?, expires_at: one.expires_at, comment })
    });
    Ok(Credential {
        id: row.id,
        kind: row.kind,
        name: row.name.as_str().into(),
        public_key: row.public_key.as_deref().map(Into::into),
        fingerprints: secrets.iter().map(|secret| secret.fingerprint).collect(),
        digest,
        digest_of,
        account,
        enabled: row.enabled,
        expires_at: row.expires_at,
        enforcement: row.enforcement,
        roles: rows.roles(row.pk)?,
        access_list: entries.collect(),
    })
}

/// Secrets in the order of their ends.
fn account(rows: Rows<'_>, pk: i64) -> Result<Account, StoreFault> {
    let secrets = rows.client_secrets(pk)?.into_iter();
    let mut secrets: Vec<ClientSecret> = secrets
        .map(|one| ClientSecret { id: Some(one.secret.id), sha256: one.secret.fingerprint, expires_at: one.expires_at })
        .collect();
    secrets.sort_unstable_by_key(|one| (one.expires_at, one.id));
    Ok(Account { about: rows.account(pk)?, secrets })
}
