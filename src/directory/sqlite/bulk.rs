//! Many credentials in one change: prepared once, written in the order of their numbers.
//!
//! Writes the same rows as the functions for one credential do. A store of a million credentials is larger than the cache that
//! suffices for small changes: without a larger one each random insertion into an index would read a page.

use rusqlite::{OptionalExtension as _, Statement, params};

use super::values::{ENFORCEMENTS, KINDS, expiry_column, word_for};
use super::{Change, Rows, Store, StoreFault};
use crate::access::credential::Fingerprint;
use crate::access::id::Id;
use crate::access::record::{
    AccountRecord, ClientSecretRecord, CredentialRecord, EntryRecord, EventRecord, SecretRecord, TokenSubject,
};
use crate::access::role::Role;

/// Cache of a bulk change, in KiB (negative: `PRAGMA cache_size`).
const LARGE_CACHE: i64 = -262_144;

/// The statements of a bulk change.
#[derive(Debug)]
pub struct Inserter<'c> {
    credential: Statement<'c>,
    secret: Statement<'c>,
    ha1: Statement<'c>,
    role: Statement<'c>,
    entry: Statement<'c>,
    change: &'c Change<'c>,
}

impl Store {
    /// Gives the connection that writes more memory, or takes it back.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn prepare_for_bulk(&self, is_bulk: bool) -> Result<(), StoreFault> {
        let size = if is_bulk { LARGE_CACHE } else { -2_000 };
        self.connection.pragma_update(None, "cache_size", size)?;
        if !is_bulk {
            self.connection.release_memory()?;
        }
        Ok(())
    }
}

impl Change<'_> {
    /// Begins to add many credentials.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn inserter(&self) -> Result<Inserter<'_>, StoreFault> {
        Ok(Inserter {
            credential: self.0.prepare(
                "INSERT INTO credential (id, organization, kind, name, public_key, enabled, expires_at, enforcement, created_at, revision)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?,
            secret: self
                .0
                .prepare("INSERT INTO secret (credential, id, sha256, shown, created_at) VALUES (?, ?, ?, ?, ?)")?,
            ha1: self.0.prepare("INSERT INTO ha1 (credential, secret, realm, sha256, md5) VALUES (?, ?, ?, ?, ?)")?,
            role: self.0.prepare("INSERT INTO role (credential, project, name) VALUES (?, ?, ?)")?,
            entry: self.0.prepare(
                "INSERT INTO entry (credential, network, comment, expires_at, created_at, network_set) VALUES (?, ?, ?, ?, ?, ?)",
            )?,
            change: self,
        })
    }
}

impl Inserter<'_> {
    /// Adds a credential to the organization with this number, and returns its own.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credential(&mut self, organization: i64, new: &CredentialRecord) -> Result<i64, StoreFault> {
        Ok(self.credential.insert(params![
            text(&new.id.to_hex()),
            organization,
            word_for(new.kind, KINDS),
            new.name,
            new.public_key,
            new.enabled,
            expiry_column(new.expires_at),
            word_for(new.enforcement, ENFORCEMENTS),
            new.created_at.unix_seconds(),
            new.revision
        ])?)
    }

    /// Adds a secret with its HA1s.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn secret(&mut self, credential: i64, new: &SecretRecord) -> Result<(), StoreFault> {
        let id = new.id.to_hex();
        let id = text(&id);
        self.secret.execute(params![credential, id, new.fingerprint.0, new.shown, new.created_at.unix_seconds()])?;
        if let Some(digest) = &new.digest {
            self.ha1.execute(params![credential, id, &*digest.realm, digest.sha256, digest.md5])?;
        }
        Ok(())
    }

    /// Adds a role.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn role(&mut self, credential: i64, role: &Role) -> Result<(), StoreFault> {
        let project = role.project().map(Id::to_hex);
        let project = project.as_ref().map_or("", text);
        self.role.execute(params![credential, project, role.name()])?;
        Ok(())
    }

    /// Adds an entry, with the number of the network set that it refers to.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn entry(&mut self, credential: i64, new: &EntryRecord, set: Option<i64>) -> Result<(), StoreFault> {
        self.entry.execute(params![
            credential,
            new.target.to_string(),
            new.comment,
            expiry_column(new.expires_at),
            new.created_at.unix_seconds(),
            set
        ])?;
        Ok(())
    }

    /// Adds what a service account has besides. There are few of them, which the common statements suffice for.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn account(
        &mut self,
        credential: i64,
        about: &AccountRecord,
        secrets: &[ClientSecretRecord],
    ) -> Result<(), StoreFault> {
        self.change.put_account(credential, about)?;
        secrets.iter().try_for_each(|secret| self.change.add_client_secret(credential, secret))
    }

    /// Adds an event.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn event(&mut self, new: &EventRecord) -> Result<(), StoreFault> {
        self.change.add_event(new)
    }
}

/// Hexadecimal digits are ASCII.
fn text(hex: &[u8; 24]) -> &str {
    std::str::from_utf8(hex).unwrap_or_default()
}

impl Rows<'_> {
    /// The number of the credential that has this secret.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credential_by_secret(&self, fingerprint: &Fingerprint) -> Result<Option<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT credential FROM secret WHERE sha256 = ?")?;
        Ok(statement.query_row([fingerprint.0], |row| row.get(0)).optional()?)
    }

    /// Whether some credential has this public key.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_public_key(&self, public_key: &str) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM credential WHERE public_key = ?")?;
        Ok(statement.exists([public_key])?)
    }

    /// Whether foreign tokens of this subject speak for some service account.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_subject(&self, of: &TokenSubject) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM service_account WHERE issuer = ? AND subject = ?")?;
        Ok(statement.exists([&of.issuer, &of.subject])?)
    }

    /// Whether there is any credential at all.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_credentials(&self) -> Result<bool, StoreFault> {
        Ok(self.0.prepare_cached("SELECT 1 FROM credential")?.exists([])?)
    }
}
