//! From rows to what a draft takes: all of them at start, and those that a change touched.
//!
//! Both go through the same functions, so that what a restart would enforce is what is enforced now.

use std::sync::Arc;

use rusqlite::{Row, Rows as Cursor};

use super::accounts::certificate;
use super::credentials::{digest, role};
use super::values::{ENFORCEMENTS, KINDS, expiry, parsed, word};
use super::{Rows, StoreFault};
use crate::access::credential::{CredentialKind, Fingerprint};
use crate::access::digest_secret::{DigestSecret, DigestUser};
use crate::access::id::Id;
use crate::access::record::OrganizationRecord;
use crate::access::role::Role;
use crate::access::role::grants;
use crate::access::snapshot::{
    CredentialSpec, Draft, DraftFault, EntrySpec, NetworkSetSpec, OrganizationSpec, Revoked,
};
use crate::clock::Timestamp;
use crate::live::fingerprint::{of_certificate_name, of_client, of_client_secret, of_digest_user, of_subject};

/// Why a store can't be enforced.
#[derive(Debug, thiserror::Error)]
pub enum CompileFault {
    /// It can't be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// What it says does not go together.
    #[error(transparent)]
    Draft(#[from] DraftFault),
}

impl From<rusqlite::Error> for CompileFault {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Store(fault.into())
    }
}

/// Which credentials are meant.
#[derive(Clone, Copy)]
enum Which {
    All,
    One(i64),
    From(i64),
}

/// Rows that belong to credentials, in the order of credentials, taken as far as one is concerned.
struct Merged<'s, T> {
    rows: Cursor<'s>,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
    next: Option<(i64, T)>,
}

impl<'s, T> Merged<'s, T> {
    fn new(rows: Cursor<'s>, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Self> {
        let mut new = Self { rows, read, next: None };
        new.advance()?;
        Ok(new)
    }

    fn advance(&mut self) -> rusqlite::Result<Option<(i64, T)>> {
        let read = self.read;
        let next = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, read(row)?)),
            None => None,
        };
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// All that belong to this credential. Asked in ascending order.
    fn take(&mut self, credential: i64) -> rusqlite::Result<Vec<T>> {
        let mut taken = Vec::new();
        while self.next.as_ref().is_some_and(|(of, _)| *of <= credential) {
            // What belongs to one that nobody asked for is passed over.
            taken.extend(self.advance()?.filter(|(of, _)| *of == credential).map(|(_, value)| value));
        }
        Ok(taken)
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<EntrySpec> {
    Ok(EntrySpec { target: parsed(row, 1)?, expires_at: expiry(row, 2)? })
}

fn fingerprint(row: &Row<'_>) -> rusqlite::Result<Fingerprint> {
    row.get(1).map(Fingerprint)
}

/// Of the foreign tokens and the certificates that speak for a service account.
fn speakers(row: &Row<'_>) -> rusqlite::Result<[Option<Fingerprint>; 2]> {
    let subject = match row.get::<_, Option<String>>(1)? {
        Some(issuer) => Some(of_subject(&issuer, row.get_ref(2)?.as_str()?)),
        None => None,
    };
    Ok([subject, certificate(row, 3)?.as_ref().map(of_certificate_name)])
}

/// The user that a key is in Digest, where it has HA1s.
fn digest_user(public_key: Option<String>, secrets: Vec<Option<DigestSecret>>) -> Option<DigestUser> {
    let secrets: Vec<DigestSecret> = secrets.into_iter().flatten().collect();
    let name = public_key.filter(|_| !secrets.is_empty())?;
    Some(DigestUser { name: of_digest_user([name.as_bytes()]), secrets })
}

fn organization(row: &OrganizationRecord) -> OrganizationSpec {
    OrganizationSpec { id: row.id, name: row.name.as_str().into(), mode: row.mode, network_sets: Vec::new() }
}

impl Rows<'_> {
    /// Adds everything to an empty draft.
    ///
    /// # Errors
    /// A [`CompileFault`].
    pub fn compile(&self) -> Result<Draft, CompileFault> {
        let mut draft = Draft::new();
        for row in self.organizations()? {
            let sets = self.network_sets(row.pk)?.into_iter();
            let network_sets = sets.map(|set| NetworkSetSpec { name: set.name, networks: set.networks }).collect();
            draft.organization(OrganizationSpec { network_sets, ..organization(&row) })?;
        }
        self.each_credential(Which::All, |spec| Ok(draft.credential(spec)?))?;
        // Those that have ended are refused for that, and forgotten with the next one.
        draft.revoke(Revoked { tokens: self.revoked_tokens()?, now: Timestamp::from_unix_seconds(i64::MIN) });
        Ok(draft)
    }

    /// What a draft takes of one organization, without its network sets.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn organization_spec(&self, id: Id) -> Result<Option<OrganizationSpec>, StoreFault> {
        Ok(self.organization(id)?.map(|row| organization(&row)))
    }

    /// What a draft takes of one network set; of one that is gone, that it holds nothing.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn network_set_spec(&self, organization: Id, name: &Arc<str>) -> Result<NetworkSetSpec, StoreFault> {
        let found = match self.organization(organization)? {
            Some(row) => self.network_set(row.pk, name)?,
            None => None,
        };
        Ok(NetworkSetSpec { name: Arc::clone(name), networks: found.map(|set| set.networks).unwrap_or_default() })
    }

    /// What a draft takes of one credential.
    ///
    /// # Errors
    /// A [`CompileFault`].
    pub fn credential_spec(&self, pk: i64) -> Result<Option<CredentialSpec>, CompileFault> {
        let mut found = None;
        self.each_credential(Which::One(pk), |spec| {
            found = Some(spec);
            Ok(())
        })?;
        Ok(found)
    }

    /// What a draft takes of the credentials with this number and above.
    ///
    /// # Errors
    /// A [`CompileFault`], or what `take` says.
    pub fn credential_specs_from(
        &self,
        pk: i64,
        take: impl FnMut(CredentialSpec) -> Result<(), CompileFault>,
    ) -> Result<(), CompileFault> {
        self.each_credential(Which::From(pk), take)
    }

    /// Goes through credentials.
    fn each_credential(
        &self,
        which: Which,
        mut take: impl FnMut(CredentialSpec) -> Result<(), CompileFault>,
    ) -> Result<(), CompileFault> {
        let (own, of, number) = match which {
            Which::All => ("", "", None),
            Which::One(pk) => ("WHERE credential.pk = ?1", "WHERE credential = ?1", Some(pk)),
            Which::From(pk) => ("WHERE credential.pk >= ?1", "WHERE credential >= ?1", Some(pk)),
        };
        let only = rusqlite::params_from_iter(number);
        let mut credentials = self.0.prepare_cached(&format!(
            "SELECT credential.pk, credential.id, kind, organization.id, enabled, expires_at, enforcement, public_key
             FROM credential JOIN organization ON organization.pk = credential.organization {own} ORDER BY credential.pk"
        ))?;
        let mut digests = self.0.prepare_cached(&format!(
            "SELECT credential, realm, sha256, md5 FROM ha1 {of} ORDER BY credential, secret"
        ))?;
        let mut secrets =
            self.0.prepare_cached(&format!("SELECT credential, sha256 FROM secret {of} ORDER BY credential, id"))?;
        let mut clients = self.0.prepare_cached(&format!(
            "SELECT credential, secret FROM client_secret {of} ORDER BY credential, secret"
        ))?;
        let mut speaking = self.0.prepare_cached(&format!(
            "SELECT credential, issuer, subject, certificate FROM service_account {of} ORDER BY credential"
        ))?;
        let mut roles = self.0.prepare_cached(&format!(
            "SELECT credential, project, name FROM role {of} ORDER BY credential, project, name"
        ))?;
        let mut entries = self.0.prepare_cached(&format!(
            "SELECT credential, network, expires_at FROM entry {of} ORDER BY credential, network"
        ))?;
        let mut secrets = Merged::new(secrets.query(only.clone())?, fingerprint)?;
        let mut clients: Merged<'_, Id> = Merged::new(clients.query(only.clone())?, |row| parsed(row, 1))?;
        let mut speaking = Merged::new(speaking.query(only.clone())?, speakers)?;
        let mut digests = Merged::new(digests.query(only.clone())?, |row| digest(row, 1))?;
        let mut roles: Merged<'_, Role> = Merged::new(roles.query(only.clone())?, |row| role(row, 1))?;
        let mut entries = Merged::new(entries.query(only.clone())?, entry)?;
        let mut credentials = credentials.query(only)?;
        while let Some(row) = credentials.next()? {
            let pk = row.get(0)?;
            let (id, kind) = (parsed(row, 1)?, word(row, 2, KINDS)?);
            let fingerprints = match kind {
                CredentialKind::ApiKey => secrets.take(pk)?,
                CredentialKind::ServiceAccount => {
                    let speaking = speaking.take(pk)?.into_iter().flatten().flatten();
                    let secrets = clients.take(pk)?.into_iter().map(|secret| of_client_secret(id, secret));
                    std::iter::once(of_client(id)).chain(speaking).chain(secrets).collect()
                }
            };
            take(CredentialSpec {
                id,
                kind,
                organization: parsed(row, 3)?,
                fingerprints,
                enabled: row.get(4)?,
                expires_at: expiry(row, 5)?,
                enforcement: word(row, 6, ENFORCEMENTS)?,
                grants: grants(&roles.take(pk)?),
                access_list: entries.take(pk)?,
                digest: digest_user(row.get(7)?, digests.take(pk)?),
            })?;
        }
        Ok(())
    }
}
