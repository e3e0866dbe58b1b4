//! Rows of what service accounts have besides other credentials.

use rusqlite::{OptionalExtension as _, params};

use super::values::{parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::certificate_name::CertificateName;
use crate::access::credential::Fingerprint;
use crate::access::id::Id;
use crate::access::record::{AccountRecord, ClientSecretRecord, SecretRecord, TokenSubject};
use crate::clock::Timestamp;

impl Rows<'_> {
    /// What a service account has besides other credentials; empty where it has nothing.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn account(&self, credential: i64) -> Result<AccountRecord, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT description, issuer, subject, certificate FROM service_account WHERE credential = ?",
        )?;
        let found = statement.query_row([credential], |row| {
            let subject = match row.get(1)? {
                Some(issuer) => Some(TokenSubject { issuer, subject: row.get(2)? }),
                None => None,
            };
            Ok(AccountRecord { description: row.get(0)?, subject, certificate: certificate(row, 3)? })
        });
        Ok(found.optional()?.unwrap_or_default())
    }

    /// The secrets of a service account, oldest first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn client_secrets(&self, credential: i64) -> Result<Vec<ClientSecretRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, sha256, shown, created_at, expires_at, last_used_at
             FROM secret JOIN client_secret ON client_secret.credential = secret.credential AND client_secret.secret = id
             WHERE secret.credential = ? ORDER BY created_at, place, id",
        )?;
        let secret = |row: &rusqlite::Row<'_>| {
            Ok(ClientSecretRecord {
                secret: SecretRecord {
                    id: parsed(row, 0)?,
                    fingerprint: Fingerprint(row.get(1)?),
                    digest: None,
                    shown: row.get(2)?,
                    created_at: time(row, 3)?,
                },
                expires_at: time(row, 4)?,
                last_used_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_unix_seconds),
            })
        };
        let rows = statement.query_map([credential], secret)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

/// What certificates a service account is named by.
pub(super) fn certificate(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<CertificateName>> {
    match row.get_ref(at)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => parsed(row, at).map(Some),
    }
}

impl Change<'_> {
    /// Writes what a service account has besides other credentials.
    ///
    /// # Errors
    /// [`StoreFault::Taken`] where another account has the token subject or the certificate.
    pub fn put_account(&self, credential: i64, account: &AccountRecord) -> Result<(), StoreFault> {
        let (issuer, subject) = match &account.subject {
            Some(TokenSubject { issuer, subject }) => (Some(issuer), Some(subject)),
            None => (None, None),
        };
        let mut statement = self.0.prepare_cached(
            "INSERT INTO service_account (credential, description, issuer, subject, certificate) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (credential) DO UPDATE SET
                 description = excluded.description, issuer = excluded.issuer, subject = excluded.subject,
                 certificate = excluded.certificate",
        )?;
        let certificate = account.certificate.as_ref().map(ToString::to_string);
        statement.execute(params![credential, account.description, issuer, subject, certificate])?;
        Ok(())
    }

    /// Adds a secret to a service account.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_client_secret(&self, credential: i64, new: &ClientSecretRecord) -> Result<(), StoreFault> {
        self.add_secret(credential, &new.secret)?;
        let mut statement =
            self.0.prepare_cached("INSERT INTO client_secret (credential, secret, expires_at) VALUES (?, ?, ?)")?;
        statement.execute(params![credential, new.secret.id.to_string(), new.expires_at.unix_seconds()])?;
        Ok(())
    }

    /// Lets the secrets of a service account end at this time, where they would not before.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn cap_client_secrets(&self, credential: i64, at: Timestamp) -> Result<(), StoreFault> {
        let mut statement =
            self.0.prepare_cached("UPDATE client_secret SET expires_at = min(expires_at, ?) WHERE credential = ?")?;
        statement.execute(params![at.unix_seconds(), credential])?;
        Ok(())
    }

    /// Writes when a secret was last exchanged for a token.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn client_secret_used(&self, credential: i64, secret: Id, at: Timestamp) -> Result<(), StoreFault> {
        let mut statement =
            self.0.prepare_cached("UPDATE client_secret SET last_used_at = ? WHERE credential = ? AND secret = ?")?;
        statement.execute(params![at.unix_seconds(), credential, secret.to_string()])?;
        Ok(())
    }
}
