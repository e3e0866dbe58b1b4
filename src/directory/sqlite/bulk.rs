//! What a change of many credentials needs besides: a larger cache, and answers to whether something is there.
//!
//! Rows are written by the functions for one credential, in the order of their numbers. A store of a million credentials is
//! larger than the cache that suffices for small changes: without a larger one each random insertion into an index would read
//! a page.

use rusqlite::OptionalExtension as _;

use super::{Rows, Store, StoreFault};
use crate::access::certificate_name::CertificateName;
use crate::access::credential::Fingerprint;
use crate::access::id::Id;
use crate::access::record::TokenSubject;

/// Cache of a bulk change, in KiB (negative: `PRAGMA cache_size`).
const LARGE_CACHE: i64 = -262_144;

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

impl Rows<'_> {
    /// The number of the credential that has this secret.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credential_by_secret(&self, fingerprint: &Fingerprint) -> Result<Option<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT credential FROM secret WHERE sha256 = ?")?;
        Ok(statement.query_row([fingerprint.0], |row| row.get(0)).optional()?)
    }

    /// Whether a credential of any kind has this id.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_credential(&self, id: Id) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM credential WHERE id = ?")?;
        Ok(statement.exists([id.to_string()])?)
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

    /// Whether client certificates of this name speak for some service account.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_certificate(&self, of: &CertificateName) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM service_account WHERE certificate = ?")?;
        Ok(statement.exists([of.to_string()])?)
    }

    /// Whether there is any credential at all.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_credentials(&self) -> Result<bool, StoreFault> {
        Ok(self.0.prepare_cached("SELECT 1 FROM credential")?.exists([])?)
    }
}
