//! Rows of tokens of service accounts, and of the keys that sign them.

use rusqlite::{OptionalExtension as _, params};

use super::values::{parsed, time};
use super::{Change, Rows, StoreFault};
use crate::access::credential::Fingerprint;
use crate::access::id::Id;
use crate::access::record::TokenRecord;
use crate::access::token_id::TokenId;
use crate::clock::Timestamp;

/// A secret that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedSecret {
    /// The number of its account.
    pub credential: i64,
    /// Its id.
    pub id: Id,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A key that signs tokens. Has no `Debug`.
pub struct SigningKeyRow {
    /// Its `kid`.
    pub id: Id,
    /// The private key.
    pub pkcs8: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins to sign.
    pub signs_from: Timestamp,
}

impl Rows<'_> {
    /// The secret of a service account with this hash.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn presented_secret(&self, hash: &Fingerprint) -> Result<Option<PresentedSecret>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT secret.credential, id, expires_at FROM secret
             JOIN client_secret ON client_secret.credential = secret.credential AND client_secret.secret = id
             WHERE sha256 = ?",
        )?;
        let found = statement.query_row([hash.0], |row| {
            Ok(PresentedSecret { credential: row.get(0)?, id: parsed(row, 1)?, expires_at: time(row, 2)? })
        });
        Ok(found.optional()?)
    }

    /// How many tokens of an account work, and when the first of them ends.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn count_active_tokens(&self, credential: i64, now: Timestamp) -> Result<(u64, Option<Timestamp>), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT count(*), min(expires_at) FROM token WHERE credential = ? AND expires_at > ? AND revoked_at IS NULL",
        )?;
        let counted = statement.query_row(params![credential, now.unix_seconds()], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(Timestamp::from_unix_seconds)))
        })?;
        Ok(counted)
    }

    /// The tokens of an account that work, the first to end first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn active_tokens(&self, credential: i64, now: Timestamp) -> Result<Vec<TokenRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, secret, issued_at, expires_at FROM token
             WHERE credential = ? AND expires_at > ? AND revoked_at IS NULL ORDER BY expires_at, id",
        )?;
        let token = |row: &rusqlite::Row<'_>| {
            Ok(TokenRecord {
                id: TokenId(row.get(0)?),
                secret: parsed(row, 1)?,
                issued_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix_seconds),
                expires_at: time(row, 3)?,
            })
        };
        let rows = statement.query_map(params![credential, now.unix_seconds()], token)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When a token of an account ends that has neither ended nor been revoked.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn active_token(&self, credential: i64, id: TokenId, now: Timestamp) -> Result<Option<Timestamp>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT expires_at FROM token WHERE id = ? AND credential = ? AND expires_at > ? AND revoked_at IS NULL",
        )?;
        Ok(statement.query_row(params![id.0, credential, now.unix_seconds()], |row| time(row, 0)).optional()?)
    }

    /// Every token that was revoked, with its end.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn revoked_tokens(&self) -> Result<Vec<(TokenId, Timestamp)>, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT id, expires_at FROM token WHERE revoked_at IS NOT NULL")?;
        let rows = statement.query_map([], |row| Ok((TokenId(row.get(0)?), time(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The keys that sign, in the order in which they do.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, StoreFault> {
        let mut statement = self
            .0
            .prepare_cached("SELECT id, pkcs8, created_at, signs_from FROM signing_key ORDER BY signs_from, id")?;
        let rows = statement.query_map([], |row| {
            Ok(SigningKeyRow {
                id: parsed(row, 0)?,
                pkcs8: row.get(1)?,
                created_at: time(row, 2)?,
                signs_from: time(row, 3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Change<'_> {
    /// Adds a token, and forgets those of its account that have ended.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_token(
        &self,
        (credential, secret): (i64, Id),
        id: TokenId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached("DELETE FROM token WHERE credential = ? AND expires_at <= ?")?;
        statement.execute(params![credential, now.unix_seconds()])?;
        let mut statement = self.0.prepare_cached(
            "INSERT INTO token (id, credential, secret, expires_at, issued_at) VALUES (?, ?, ?, ?, ?)",
        )?;
        let (end, made) = (expires_at.unix_seconds(), now.unix_seconds());
        statement.execute(params![id.0, credential, secret.to_string(), end, made])?;
        Ok(())
    }

    /// Writes that a token was revoked.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn revoke_token(&self, id: TokenId, at: Timestamp) -> Result<(), StoreFault> {
        self.0.execute("UPDATE token SET revoked_at = ? WHERE id = ?", params![at.unix_seconds(), id.0])?;
        Ok(())
    }

    /// Adds a key that signs.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_signing_key(&self, new: &SigningKeyRow) -> Result<(), StoreFault> {
        self.0.execute(
            "INSERT INTO signing_key (id, pkcs8, created_at, signs_from) VALUES (?, ?, ?, ?)",
            params![new.id.to_string(), new.pkcs8, new.created_at.unix_seconds(), new.signs_from.unix_seconds()],
        )?;
        Ok(())
    }

    /// Removes a key that signs no more.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_signing_key(&self, id: Id) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM signing_key WHERE id = ?", [id.to_string()])?;
        Ok(())
    }
}
