//! Signing in and out, and sessions as callers. A credential never gets here: it is no person.

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::passwords::{self, Mill, Password};
use super::people;
use super::single_sign_on::Provider;
use super::throttle::{PER_EMAIL, Throttle};
use super::{Actor, ActorKind, Committed, Control, Fault, draw};
use crate::access::client_address::ClientAddress;
use crate::access::id::Id;
use crate::access::record::UserRecord;
use crate::clock::Timestamp;
use crate::config::settings::SingleSignOn;
use crate::live::fingerprint;
use crate::problem::{Code, Refusal};

/// What the token of a session begins with. No JWT and no key does.
pub const SESSION_PREFIX: &str = "pcl_session_";

/// Seconds that a session lives unused, and in all.
const IDLE: i64 = 12 * 3600;
const LIFE: i64 = 24 * 3600;

/// Seconds between two writes of when a session was last used.
const USE_STEP: i64 = 60;

/// Sessions of one person; the oldest ends when there would be more.
const MOST_SESSIONS: u32 = 20;

/// What keeps the door: counts of attempts, and where passwords are hashed.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) throttle: Throttle,
    pub(super) mill: Arc<Mill>,
    pub(super) provider: Option<Provider>,
}

impl Door {
    pub(super) fn new(single_sign_on: Option<SingleSignOn>) -> Self {
        let provider = single_sign_on.map(Provider::new);
        Self { throttle: Throttle::default(), mill: passwords::shared(), provider }
    }
}

/// A session that was just made. Has no `Debug` of its token.
#[derive(Clone)]
pub struct NewSession {
    /// The token, shown this once.
    pub token: String,
    /// Whose it is.
    pub user: UserRecord,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

impl Control {
    /// Signs a person in.
    ///
    /// # Errors
    /// `SIGN_IN_FAILED` whatever is wrong, `RATE_LIMITED`, `CREDENTIALS_CANNOT_SIGN_IN`, or another [`Fault`].
    pub async fn sign_in(
        self: &Arc<Self>,
        actor: &Actor,
        email: String,
        password: Password,
    ) -> Result<NewSession, Fault> {
        people::check_email(&email)?;
        self.door.throttle.count(actor.address.map(|one| one.ip()), Some(&email), self.clock.now())?;
        let asked = email.clone();
        let found = self.read(move |rows| Ok(rows.user_by_email(&asked)?)).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.as_str());
        if !self.door.mill.verify(&password, hash).await? {
            self.record_failure(actor, found.map(|(user, _)| user));
            return Err(Refusal::new(Code::SignInFailed, "The email address or the password is wrong.").into());
        }
        let Some((user, hash)) = found else { return Err(Fault::Stopping) };
        self.door.throttle.forgive(&user.email);
        let made = self.change(actor, move |change| {
            let current = change.rows().user_by_email(&user.email)?.filter(|(_, now)| *now == hash);
            let failed = || Refusal::new(Code::SignInFailed, "The password was changed at this moment; try again.");
            let (user, _) = current.ok_or_else(failed)?;
            begin(change, user)
        });
        Ok(made.await?.value)
    }

    /// Records a failure: the first, and the one that brings the throttle on. What an attacker adds is not worth a row. The
    /// answer does not wait for it: neither its time nor a store that can't be written tells that an address is known.
    pub(super) fn record_failure(self: &Arc<Self>, actor: &Actor, user: Option<UserRecord>) {
        let client = actor.address.map(|address| address.to_string());
        tracing::info!(client, known = user.is_some(), "a sign-in failed");
        let Some(user) = user else { return };
        let attempts = self.door.throttle.attempts(&user.email);
        if !matches!(attempts, 1 | PER_EMAIL) {
            return;
        }
        let (control, actor) = (Arc::clone(self), actor.clone());
        tokio::spawn(async move {
            let noted =
                control.change(&actor, move |change| note_everywhere(change, EventType::SignInFailed, &user)).await;
            if let Err(fault) = noted {
                tracing::error!(error = %fault, "a failed sign-in could not be recorded");
            }
        });
    }

    /// The actor that a session token stands for.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS` where it is unknown, signed out or over.
    pub async fn session(self: &Arc<Self>, token: &str, address: Option<ClientAddress>) -> Result<Actor, Fault> {
        let sha256 = fingerprint::of_key(token.as_bytes()).0;
        let now = self.clock.now().unix_seconds();
        let found = self.read(move |rows| Ok(rows.session(sha256)?)).await?;
        let lives = |created: Timestamp, used: Timestamp| {
            now < created.unix_seconds().saturating_add(LIFE) && now < used.unix_seconds().saturating_add(IDLE)
        };
        let session = found
            .filter(|one| lives(one.created_at, one.used_at))
            .ok_or_else(|| Refusal::new(Code::InvalidCredentials, "The session is unknown or over; sign in again."))?;
        let kind = ActorKind::User { id: session.user.id, email: session.user.email, session: session.id };
        let actor = Actor { kind, address, rehearses: false };
        if now >= session.used_at.unix_seconds().saturating_add(USE_STEP) {
            let id = session.id;
            let used = self.change(&actor, move |change| {
                change.store().use_session(id, change.now())?;
                change.keep_aside();
                Ok(())
            });
            used.await?;
        }
        Ok(actor)
    }

    /// Ends the calling session, or all of the person.
    ///
    /// # Errors
    /// `SESSION_REQUIRED` where no person calls, or another [`Fault`].
    pub async fn sign_out(&self, actor: &Actor, everywhere: bool) -> Result<Committed<()>, Fault> {
        let (id, session) = person(actor)?;
        self.change(actor, move |change| {
            let Some(user) = change.rows().user(id)? else { return Ok(()) };
            match everywhere {
                true => drop(change.store().remove_sessions(user.pk, None)?),
                false => change.store().remove_session(session)?,
            }
            note_everywhere(change, EventType::SignedOut, &user)
        })
        .await
    }

    /// Changes the caller's password and ends their other sessions.
    ///
    /// # Errors
    /// `SESSION_REQUIRED`, `SIGN_IN_FAILED` where the present one is wrong, `RATE_LIMITED`, or another [`Fault`].
    pub async fn change_password(
        self: &Arc<Self>,
        actor: &Actor,
        present: Password,
        new: Password,
    ) -> Result<Committed<()>, Fault> {
        let (id, session) = person(actor)?;
        let ActorKind::User { email, .. } = &actor.kind else { return Err(Fault::Stopping) };
        new.check(email)?;
        self.door.throttle.count(actor.address.map(|one| one.ip()), Some(email), self.clock.now())?;
        let asked = email.clone();
        let found = self.read(move |rows| Ok(rows.user_by_email(&asked)?)).await?;
        let old = found.map(|(_, hash)| hash);
        if !self.door.mill.verify(&present, old.as_deref()).await? {
            return Err(Refusal::new(Code::SignInFailed, "The present password is wrong.").into());
        }
        self.door.throttle.forgive(email);
        let hash = self.door.mill.hash(&new).await?;
        self.change(actor, move |change| {
            let Some(user) = change.rows().user(id)? else { return Err(Fault::Stopping) };
            let current = change.rows().user_by_email(&user.email)?.map(|(_, hash)| hash);
            if current != old {
                return Err(Refusal::new(Code::SignInFailed, "The password was changed at this moment.").into());
            }
            change.store().set_password(user.pk, &hash)?;
            change.store().remove_sessions(user.pk, Some(session))?;
            note_everywhere(change, EventType::PasswordChanged, &user)
        })
        .await
    }
}

/// The calling person and their session.
fn person(actor: &Actor) -> Result<(Id, Id), Fault> {
    let missing = || Refusal::new(Code::SessionRequired, "Only a person with a session can do this; sign in first.");
    Ok(actor.user().ok_or_else(missing)?)
}

/// Begins a session of a person who was proven.
pub(super) fn begin(change: &mut Change<'_>, mut user: UserRecord) -> Result<NewSession, Fault> {
    let token = draw::token(SESSION_PREFIX)?;
    let now = change.now();
    change.store().add_session(user.pk, draw::id()?, fingerprint::of_key(token.as_bytes()).0, now)?;
    let over = Timestamp::from_unix_seconds(now.unix_seconds() - LIFE);
    change.store().prune_sessions(user.pk, MOST_SESSIONS, over)?;
    user.last_sign_in = Some(now);
    change.store().update_user(&user)?;
    note_everywhere(change, EventType::SignedIn, &user)?;
    let expires_at = Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(LIFE));
    Ok(NewSession { token, user, expires_at })
}

/// Notes what a person did in every organization that they have a role in.
fn note_everywhere(change: &mut Change<'_>, event: EventType, user: &UserRecord) -> Result<(), Fault> {
    let mut organizations: Vec<Id> = change.rows().roles_of_user(user.pk)?.into_iter().map(|(on, _)| on).collect();
    organizations.sort_unstable();
    organizations.dedup();
    for organization in organizations {
        let told = Event::of_user(event, organization, user);
        // Whoever signs in was nobody until then; whoever fails to still is.
        change.note(if event == EventType::SignedIn { told.by(user) } else { told })?;
    }
    change.keep_aside();
    Ok(())
}
