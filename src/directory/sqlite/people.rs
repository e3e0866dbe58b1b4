//! Rows of people, their roles and sessions, and invitations. Tokens come and go as their SHA-256.

use rusqlite::{OptionalExtension as _, Row, params};

use super::credentials::role;
use super::values::{KINDS, parsed, time, word, word_for};
use super::{Change, Rows, StoreFault};
use crate::access::id::Id;
use crate::access::record::{CredentialName, InviteRecord, Sender, SessionRecord, UserRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;

const USER: &str = "person.pk, person.id, person.email, person.created_at, person.last_sign_in, person.revision";
/// The kind of a sender that is no credential.
const PERSON: &str = "USER";

const INVITE: &str = "SELECT invite.pk, invite.id, organization.id, invite.email, invite.created_at, invite.expires_at,
    invite.sender_kind, invite.sender_id
    FROM invite JOIN organization ON organization.pk = invite.organization";

fn user(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    let last: Option<i64> = row.get(4)?;
    Ok(UserRecord {
        pk: row.get(0)?,
        id: parsed(row, 1)?,
        email: row.get(2)?,
        created_at: time(row, 3)?,
        last_sign_in: last.map(Timestamp::from_unix_seconds),
        revision: row.get(5)?,
    })
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord { user: user(row)?, id: parsed(row, 6)?, created_at: time(row, 7)?, used_at: time(row, 8)? })
}

fn invite(row: &Row<'_>) -> rusqlite::Result<InviteRecord> {
    Ok(InviteRecord {
        pk: row.get(0)?,
        id: parsed(row, 1)?,
        organization: parsed(row, 2)?,
        email: row.get(3)?,
        created_at: time(row, 4)?,
        expires_at: time(row, 5)?,
        sender: match row.get_ref(6)?.as_str_or_null()? {
            None => None,
            Some(PERSON) => Some(Sender::User(parsed(row, 7)?)),
            Some(_) => Some(Sender::Credential(CredentialName { kind: word(row, 6, KINDS)?, id: parsed(row, 7)? })),
        },
    })
}

impl Rows<'_> {
    /// Whether nobody has an account yet, and a token waits for the first owner.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn awaits_first_owner(&self, now: Timestamp) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM person)
                AND EXISTS (SELECT 1 FROM invite WHERE email IS NULL AND expires_at > ?)",
        )?;
        Ok(statement.query_row([now.unix_seconds()], |row| row.get(0))?)
    }

    /// The person with this address, whatever its case, and the hash of their password.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn user_by_email(&self, email: &str) -> Result<Option<(UserRecord, String)>, StoreFault> {
        let mut statement =
            self.0.prepare_cached(&format!("SELECT {USER}, person.password FROM person WHERE email_key = ?"))?;
        let found = statement.query_row([email.to_lowercase()], |row| Ok((user(row)?, row.get(6)?)));
        Ok(found.optional()?)
    }

    /// The person with this id.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn user(&self, id: Id) -> Result<Option<UserRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("SELECT {USER} FROM person WHERE id = ?"))?;
        Ok(statement.query_row([id.to_string()], user).optional()?)
    }

    /// One page of the people of an organization, oldest first, and how many there are in all.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn users(&self, organization: i64, skip: u64, most: u64) -> Result<(Vec<UserRecord>, u64), StoreFault> {
        let of = "person.pk IN (SELECT person FROM person_role WHERE organization = ?)";
        let mut statement =
            self.0.prepare_cached(&format!("SELECT {USER} FROM person WHERE {of} ORDER BY pk LIMIT ? OFFSET ?"))?;
        let rows = statement.query_map(params![organization, most, skip], user)?.collect::<Result<_, _>>()?;
        let mut count = self.0.prepare_cached(&format!("SELECT count(*) FROM person WHERE {of}"))?;
        Ok((rows, count.query_row([organization], |row| row.get(0))?))
    }

    /// The roles of a person, each with its organization.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn roles_of_user(&self, pk: i64) -> Result<Vec<(Id, Role)>, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT organization.id, project, person_role.name FROM person_role
             JOIN organization ON organization.pk = person_role.organization WHERE person = ?",
        )?;
        let rows = statement.query_map([pk], |row| Ok((parsed(row, 0)?, role(row, 1)?)))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Whether somebody owns an organization, besides the person with this number.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn has_owner_besides(&self, organization: Id, person: i64) -> Result<bool, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "SELECT 1 FROM person_role WHERE organization = (SELECT pk FROM organization WHERE id = ?) AND person <> ?
               AND project = '' AND name = 'ORG_OWNER'",
        )?;
        Ok(statement.exists(params![organization.to_string(), person])?)
    }

    /// The session whose token has this SHA-256.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn session(&self, sha256: [u8; 32]) -> Result<Option<SessionRecord>, StoreFault> {
        self.session_where("session.sha256 = ?", &sha256)
    }

    /// The session with this id.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn session_by_id(&self, id: Id) -> Result<Option<SessionRecord>, StoreFault> {
        self.session_where("session.id = ?", &id.to_string())
    }

    fn session_where(&self, which: &str, value: &dyn rusqlite::ToSql) -> Result<Option<SessionRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT {USER}, session.id, session.created_at, session.used_at FROM session
             JOIN person ON person.pk = session.person WHERE {which}"
        ))?;
        Ok(statement.query_row([value], session).optional()?)
    }

    /// The invitation whose token has this SHA-256.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn invite_by_token(&self, sha256: [u8; 32]) -> Result<Option<InviteRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!("{INVITE} WHERE sha256 = ?"))?;
        Ok(statement.query_row([sha256], invite).optional()?)
    }

    /// The invitations for an email address that are not over, oldest first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn invites_for(&self, email: &str, now: Timestamp) -> Result<Vec<InviteRecord>, StoreFault> {
        let mut statement = self.0.prepare_cached(&format!(
            "{INVITE} WHERE invite.email = ? COLLATE NOCASE AND expires_at > ? ORDER BY invite.pk"
        ))?;
        let rows = statement.query_map(params![email, now.unix_seconds()], invite)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The invitations into an organization, oldest first.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn invites(&self, organization: i64) -> Result<Vec<InviteRecord>, StoreFault> {
        let mut statement =
            self.0.prepare_cached(&format!("{INVITE} WHERE invite.organization = ? ORDER BY invite.pk"))?;
        let rows = statement.query_map([organization], invite)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// What an invitation will grant.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn roles_of_invite(&self, pk: i64) -> Result<Vec<Role>, StoreFault> {
        let mut statement = self.0.prepare_cached("SELECT project, name FROM invite_role WHERE invite = ?")?;
        let rows = statement.query_map([pk], |row| role(row, 0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

impl Change<'_> {
    /// Adds a person and returns the store's number for them.
    ///
    /// # Errors
    /// [`StoreFault::Taken`] where somebody has the address already.
    pub fn add_user(&self, new: &UserRecord, password: &str) -> Result<i64, StoreFault> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO person (id, email, email_key, password, created_at, revision) VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        Ok(statement.insert(params![
            new.id.to_string(),
            new.email,
            new.email.to_lowercase(),
            password,
            new.created_at.unix_seconds(),
            new.revision
        ])?)
    }

    /// Writes when a person last signed in, and the revision that changed them.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn update_user(&self, row: &UserRecord) -> Result<(), StoreFault> {
        self.0.execute(
            "UPDATE person SET last_sign_in = ?, revision = ? WHERE pk = ?",
            params![row.last_sign_in.map(Timestamp::unix_seconds), row.revision, row.pk],
        )?;
        Ok(())
    }

    /// Writes the hash of a password.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn set_password(&self, person: i64, password: &str) -> Result<(), StoreFault> {
        self.0.execute("UPDATE person SET password = ? WHERE pk = ?", params![password, person])?;
        Ok(())
    }

    /// Removes a person with their roles and sessions.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_user(&self, person: i64) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM person WHERE pk = ?", [person])?;
        Ok(())
    }

    /// Writes the roles of a person in one organization, all of them.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn set_roles_of_user(&self, person: i64, organization: i64, roles: &[Role]) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM person_role WHERE person = ? AND organization = ?", [person, organization])?;
        let mut statement = self
            .0
            .prepare_cached("INSERT INTO person_role (person, organization, project, name) VALUES (?, ?, ?, ?)")?;
        for role in roles {
            let project = role.project().map(|id| id.to_string()).unwrap_or_default();
            statement.execute(params![person, organization, project, role.name()])?;
        }
        Ok(())
    }

    /// Removes every role of people and invitations on a project.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_roles_of_users_on(&self, project: Id) -> Result<(), StoreFault> {
        for table in ["person_role", "invite_role"] {
            self.0.execute(&format!("DELETE FROM {table} WHERE project = ?"), [project.to_string()])?;
        }
        Ok(())
    }

    /// Adds a session.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_session(&self, person: i64, id: Id, sha256: [u8; 32], now: Timestamp) -> Result<(), StoreFault> {
        self.0.execute(
            "INSERT INTO session (id, person, sha256, created_at, used_at) VALUES (?, ?, ?, ?4, ?4)",
            params![id.to_string(), person, sha256, now.unix_seconds()],
        )?;
        Ok(())
    }

    /// Writes when a session was last used.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn use_session(&self, id: Id, now: Timestamp) -> Result<(), StoreFault> {
        self.0.execute("UPDATE session SET used_at = ? WHERE id = ?", params![now.unix_seconds(), id.to_string()])?;
        Ok(())
    }

    /// Ends one session.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_session(&self, id: Id) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM session WHERE id = ?", [id.to_string()])?;
        Ok(())
    }

    /// Ends the sessions of a person but one, and tells how many they were.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_sessions(&self, person: i64, besides: Option<Id>) -> Result<usize, StoreFault> {
        let besides = besides.map(|id| id.to_string()).unwrap_or_default();
        Ok(self.0.execute("DELETE FROM session WHERE person = ? AND id <> ?", params![person, besides])?)
    }

    /// Ends the sessions of a person beyond the newest ones, and everybody's from before a time.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn prune_sessions(&self, person: i64, kept: u32, before: Timestamp) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM session WHERE created_at < ?", [before.unix_seconds()])?;
        self.0.execute(
            "DELETE FROM session WHERE person = ?1 AND pk NOT IN
               (SELECT pk FROM session WHERE person = ?1 ORDER BY pk DESC LIMIT ?2)",
            params![person, kept],
        )?;
        Ok(())
    }

    /// Adds an invitation.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_invite(
        &self,
        organization: i64,
        new: &InviteRecord,
        sha256: [u8; 32],
        roles: &[Role],
    ) -> Result<(), StoreFault> {
        let sender = new.sender.map(|sender| match sender {
            Sender::Credential(CredentialName { kind, id }) => (word_for(kind, KINDS), id),
            Sender::User(id) => (PERSON, id),
        });
        self.0.execute(
            "INSERT INTO invite (id, organization, email, sha256, created_at, expires_at, sender_kind, sender_id)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                new.id.to_string(),
                organization,
                new.email,
                sha256,
                new.created_at.unix_seconds(),
                new.expires_at.unix_seconds(),
                sender.map(|(kind, _)| kind),
                sender.map(|(_, id)| id.to_string()),
            ],
        )?;
        let invite = self.0.last_insert_rowid();
        for role in roles {
            let project = role.project().map(|id| id.to_string()).unwrap_or_default();
            self.0.execute(
                "INSERT INTO invite_role (invite, project, name) VALUES (?, ?, ?)",
                params![invite, project, role.name()],
            )?;
        }
        Ok(())
    }

    /// Removes an invitation.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn remove_invite(&self, pk: i64) -> Result<(), StoreFault> {
        self.0.execute("DELETE FROM invite WHERE pk = ?", [pk])?;
        Ok(())
    }
}
