//! Rows of API keys and service accounts, with their secrets and roles.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};

use super::values::{ENFORCEMENTS, KINDS, expiry, expiry_column, parsed, time, word, word_for};
use super::{Change, Rows, StoreFault};
use crate::access::credential::{CredentialKind, Fingerprint};
use crate::access::digest_secret::DigestSecret;
use crate::access::id::{Id, IdFault};
use crate::access::record::{CredentialName, CredentialRecord, SecretRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;

pub(super) const SELECT: &str = "SELECT credential.pk, credential.id, organization.id, credential.kind, credential.name, public_key, enabled, expires_at, enforcement, credential.created_at, credential.revision
    FROM credential JOIN organization ON organization.pk = credential.organization";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<CredentialRecord> {
    Ok(CredentialRecord {
        pk: row.get(0)?,
        id: parsed(row, 1)?,
        organization: parsed(row, 2)?,
        kind: word(row, 3, KINDS)?,
        name: row.get(4)?,
        public_key: row.get(5)?,
        enabled: row.get(6)?,
        expires_at: expiry(row, 7)?,
        enforcement: word(row, 8, ENFORCEMENTS)?,
        created_at: time(row, 9)?,
        revision: row.get(10)?,
    })
}

/// A role of columns (project, name).
pub(super) fn role(row: &Row<'_>, at: usize) -> rusqlite::Result<Role> {
    let (project, name) = (row.get_ref(at)?.as_str()?, row.get_ref(at + 1)?.as_str()?);
    let role = match project {
        "" => Role::on_organization(name),
        id => {
            let wrong = |fault: IdFault| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(fault));
            Role::on_project(id.parse().map_err(wrong)?, name)
        }
    };
    role.ok_or(rusqlite::Error::InvalidColumnType(at + 1, name.to_owned(), Type::Text))
}

/// HA1s of columns (realm, sha256, md5), where there are some.
pub(super) fn digest(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<DigestSecret>> {
    let Some(realm) = row.get::<_, Option<String>>(at)? else { return Ok(None) };
    Ok(Some(DigestSecret { realm: realm.into(), sha256: Some(row.get(at + 1)?), md5: Some(row.get(at + 2)?) }))
}

impl Rows<'_> {
    /// The credential of this name.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credential(&self, name: CredentialName) -> Result<Option<CredentialRecord>, StoreFault> {
        let CredentialName { kind, id } = name;
        let mut statement = self.0.prepare_cached(&format!("{SELECT} WHERE credential.id = ? AND kind = ?"))?;
        Ok(statement.query_row(params![id.to_string(), word_for(kind, KINDS)], row).optional()?)
    }

    /// How many credentials of a kind an organization has.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn count_credentials(&self, organization: i64, kind: CredentialKind) -> Result<u64, StoreFault> {
        let mut statement =
            self.0.prepare_cached("SELECT count(*) FROM credential WHERE organization = ? AND kind = ?")?;
        Ok(statement.query_row(params![organization, word_for(kind, KINDS)], |row| row.get(0))?)
    }

    /// The numbers of all credentials of an organization.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credentials_of(&self, organization: i64) -> Result<Vec<i64>, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT pk FROM credential WHERE organization = ?")?;
        let rows = statement.query_map([organization], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The credential with this number.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credential_by_pk(&self, pk: i64) -> Result<Option<CredentialRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT} WHERE credential.pk = ?"))?;
        Ok(statement.query_row([pk], row).optional()?)
    }

    /// The secrets of a credential, oldest first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn secrets(&self, credential: i64) -> Result<Vec<SecretRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, secret.sha256, shown, created_at, realm, ha1.sha256, md5 FROM secret
             LEFT JOIN ha1 ON ha1.credential = secret.credential AND ha1.secret = secret.id
             WHERE secret.credential = ? ORDER BY created_at, place, id",
        )?;
        let secret = |row: &Row<'_>| {
            Ok(SecretRecord {
                id: parsed(row, 0)?,
                fingerprint: Fingerprint(row.get(1)?),
                digest: digest(row, 4)?,
                shown: row.get(2)?,
                created_at: time(row, 3)?,
            })
        };
        let rows = statement.query_map([credential], secret)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The roles of a credential.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn roles(&self, credential: i64) -> Result<Vec<Role>, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT project, name FROM role WHERE credential = ?")?;
        let rows = statement.query_map([credential], |row| role(row, 0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Whether an organization has an owner that works now, besides one credential. A service account without a secret that
    /// works, and without foreign tokens or a certificate, is none.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_other_owner(&self, organization: Id, besides: i64, now: Timestamp) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT 1 FROM credential JOIN role ON role.credential = credential.pk
             WHERE organization = (SELECT pk FROM organization WHERE id = ?1) AND credential.pk <> ?2 AND enabled
               AND coalesce(credential.expires_at > ?3, 1) AND project = '' AND role.name = 'ORG_OWNER'
               AND (kind = 'API_KEY'
                   OR EXISTS (SELECT 1 FROM client_secret
                       WHERE client_secret.credential = credential.pk AND client_secret.expires_at > ?3)
                   OR EXISTS (SELECT 1 FROM service_account
                       WHERE service_account.credential = credential.pk AND (issuer IS NOT NULL OR certificate IS NOT NULL)))",
        )?;
        Ok(statement.exists(params![organization.to_string(), besides, now.unix_seconds()])?)
    }

    /// The numbers of the credentials that have a role on a project.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn credentials_on(&self, project: Id) -> Result<Vec<i64>, StoreFault> {
        let mut statement =
            self.0.prepare_cached("SELECT DISTINCT credential FROM role WHERE project = ? AND project <> ''")?;
        let rows = statement.query_map([project.to_string()], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

impl Change<'_> {
    /// Adds a credential to the organization with this number, and returns its own.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_credential(&self, organization: i64, new: &CredentialRecord) -> Result<i64, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO credential (id, organization, kind, name, public_key, enabled, expires_at, enforcement, created_at, revision)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        Ok(statement.insert(params![
            new.id.to_string(),
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

    /// Writes name, state, expiry, enforcement and revision of a credential.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn update_credential(&self, row: &CredentialRecord) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "UPDATE credential SET name = ?, enabled = ?, expires_at = ?, enforcement = ?, revision = ? WHERE pk = ?",
        )?;
        statement.execute(params![
            row.name,
            row.enabled,
            expiry_column(row.expires_at),
            word_for(row.enforcement, ENFORCEMENTS),
            row.revision,
            row.pk
        ])?;
        Ok(())
    }

    /// Writes which revision last changed a credential or what it has: nothing that an index would have to be written for.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn revise_credential(&self, row: &CredentialRecord) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached("UPDATE credential SET revision = ? WHERE pk = ?")?;
        statement.execute(params![row.revision, row.pk])?;
        Ok(())
    }

    /// Removes a credential with its secrets, roles and list.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_credential(&self, pk: i64) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM credential WHERE pk = ?", [pk])?;
        Ok(())
    }

    /// Adds a secret to a credential.
    ///
    /// # Errors
    /// [`StoreFault::Taken`] where any credential has it already.
    pub fn add_secret(&self, credential: i64, new: &SecretRecord) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO secret (credential, id, sha256, shown, created_at, place)
                 VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(place), 0) + 1 FROM secret WHERE credential = ?1))",
        )?;
        statement.execute(params![
            credential,
            new.id.to_string(),
            new.fingerprint.0,
            new.shown,
            new.created_at.unix_seconds()
        ])?;
        let Some(DigestSecret { realm, sha256, md5 }) = &new.digest else { return Ok(()) };
        let mut statement =
            self.0.prepare_cached("INSERT INTO ha1 (credential, secret, realm, sha256, md5) VALUES (?, ?, ?, ?, ?)")?;
        statement.execute(params![credential, new.id.to_string(), &**realm, sha256, md5])?;
        Ok(())
    }

    /// Removes a secret; tells whether it was there.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_secret(&self, credential: i64, id: Id) -> Result<bool, StoreFault> {
        let removed = self
            .0
            .execute("DELETE FROM secret WHERE credential = ? AND id = ?", params![credential, id.to_string()])?;
        Ok(removed > 0)
    }

    /// Writes the roles of a credential, all of them.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn set_roles(&self, credential: i64, roles: &[Role]) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM role WHERE credential = ?", [credential])?;
        self.add_roles(credential, roles)
    }

    /// Gives a credential roles that it does not have yet.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_roles(&self, credential: i64, roles: &[Role]) -> Result<(), StoreFault> {
        let mut statement = self.0.prepare_cached("INSERT INTO role (credential, project, name) VALUES (?, ?, ?)")?;
        for role in roles {
            let project = role.project().map(|id| id.to_string()).unwrap_or_default();
            statement.execute(params![credential, project, role.name()])?;
        }
        Ok(())
    }
}
