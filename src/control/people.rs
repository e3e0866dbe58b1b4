//! People of organizations, and the invitations by which they come.

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::organizations::expect;
use super::passwords::Password;
use super::rights::{GrantedRole, Rights};
use super::sign_in::{self, NewSession};
use super::{Actor, ActorKind, Committed, Control, Fault, draw, roles};
use crate::access::id::Id;
use crate::access::record::{InviteRecord, OrganizationRecord, UserRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::directory::sqlite::Rows;
use crate::live::fingerprint;
use crate::problem::{Code, Refusal};

/// Seconds that an invitation is good for.
const INVITE_LIFE: i64 = 30 * 24 * 3600;

/// Invitations of one organization that nobody has taken yet.
const MOST_INVITES: usize = 500;

/// Longest email address (RFC 5321 §4.5.3.1.3, without the angle brackets).
const LONGEST_EMAIL: usize = 254;

/// A person as an organization sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The person.
    pub row: UserRecord,
    /// What they may do in this organization.
    pub roles: Vec<Role>,
}

/// An invitation, and its token where it was just made. Has no `Debug` of it.
#[derive(Clone)]
pub struct Invite {
    /// The invitation.
    pub row: InviteRecord,
    /// What it will grant.
    pub roles: Vec<Role>,
    /// Shown this once.
    pub token: Option<String>,
}

/// Refuses what is no email address, and says so to credentials that try to be people.
pub(super) fn check_email(email: &str) -> Result<(), Fault> {
    let is_key = email.len() == 8 && email.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_key || email.starts_with("pcl_sa_id_") {
        let detail = "API keys and service accounts can't sign in; people do, with an email address.";
        return Err(Refusal::new(Code::CredentialsCannotSignIn, detail).into());
    }
    let parts = email.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    let odd = |one: char| one.is_control() || one.is_whitespace();
    match parts && email.len() <= LONGEST_EMAIL && !email.chars().any(odd) {
        true => Ok(()),
        false => Err(Refusal::field(Code::InvalidAttribute, "email", "it is no email address").into()),
    }
}

impl Control {
    /// One page of the people of an organization, and how many there are.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn users(
        self: &Arc<Self>,
        actor: &Actor,
        organization: Id,
        (skip, most): (u64, u64),
    ) -> Result<(Vec<User>, u64), Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let place = Rights::of(rows, &actor)?.see_all_of(rows, organization)?;
            let (users, total) = rows.users(place.pk, skip, most)?;
            let users = users.into_iter().map(|row| whole(rows, organization, row)).collect::<Result<_, _>>()?;
            Ok((users, total))
        })
        .await
    }

    /// One person of an organization.
    ///
    /// # Errors
    /// `USER_NOT_FOUND`, or another [`Fault`].
    pub async fn user(self: &Arc<Self>, actor: &Actor, organization: Id, id: Id) -> Result<User, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            Rights::of(rows, &actor)?.see_all_of(rows, organization)?;
            find(rows, organization, id)
        })
        .await
    }

    /// Replaces the roles of a person in an organization, its projects included.
    ///
    /// # Errors
    /// `INSUFFICIENT_ROLE`, `CANNOT_DELETE_LAST_OWNER`, or another [`Fault`].
    pub async fn edit_user(
        &self,
        actor: &Actor,
        organization: Id,
        id: Id,
        granted: Vec<GrantedRole>,
        expected: Option<u64>,
    ) -> Result<Committed<User>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let place = rights.see_all_of(change.rows(), organization)?;
            let mut user = find(change.rows(), organization, id)?;
            expect(expected, user.row.revision)?;
            let new = parsed(change.rows(), organization, &granted)?;
            let differs = |role: &&Role| new.contains(role) != user.roles.contains(role);
            let changed: Vec<Role> = user.roles.iter().chain(&new).filter(differs).cloned().collect();
            if changed.is_empty() {
                return Ok(user);
            }
            rights.grant(organization, Some(id), &changed)?;
            keep_an_owner(change, organization, &user, &new)?;
            change.store().set_roles_of_user(user.row.pk, place.pk, &new)?;
            user.row.revision = change.revision();
            change.store().update_user(&user.row)?;
            change.record(Event::of_user(EventType::UserRolesChanged, organization, &user.row))?;
            Ok(User { roles: new, ..user })
        })
        .await
    }

    /// Takes a person out of an organization. Whoever is in none any more is gone, with their sessions.
    ///
    /// # Errors
    /// `CANNOT_DELETE_LAST_OWNER`, or another [`Fault`].
    pub async fn remove_user(&self, actor: &Actor, organization: Id, id: Id) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let place = rights.see_all_of(change.rows(), organization)?;
            let mut user = find(change.rows(), organization, id)?;
            rights.grant(organization, Some(id), &user.roles)?;
            keep_an_owner(change, organization, &user, &[])?;
            change.store().set_roles_of_user(user.row.pk, place.pk, &[])?;
            user.row.revision = change.revision();
            change.store().update_user(&user.row)?;
            if change.rows().roles_of_user(user.row.pk)?.is_empty() {
                change.store().remove_user(user.row.pk)?;
            }
            change.record(Event::of_user(EventType::UserRemoved, organization, &user.row))
        })
        .await
    }

    /// The invitations into an organization that nobody has taken.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn invites(self: &Arc<Self>, actor: &Actor, organization: Id) -> Result<Vec<Invite>, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let place = Rights::of(rows, &actor)?.own(rows, organization)?;
            let whole = |row: InviteRecord| Ok(Invite { roles: rows.roles_of_invite(row.pk)?, row, token: None });
            rows.invites(place.pk)?.into_iter().map(whole).collect()
        })
        .await
    }

    /// Invites somebody; the token is in what is returned and nowhere else.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` where they are in the organization, `LIMIT_REACHED`, or another [`Fault`].
    pub async fn invite(
        &self,
        actor: &Actor,
        organization: Id,
        email: String,
        granted: Vec<GrantedRole>,
    ) -> Result<Committed<Invite>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let place = rights.own(change.rows(), organization)?;
            check_email(&email)?;
            let roles = parsed(change.rows(), organization, &granted)?;
            rights.grant(organization, None, &roles)?;
            if let Some((user, _)) = change.rows().user_by_email(&email)?
                && !whole(change.rows(), organization, user)?.roles.is_empty()
            {
                let detail = format!("{email} is in the organization already; change their roles instead.");
                return Err(Refusal::new(Code::AlreadyExists, detail).with(&email).into());
            }
            let pending = change.rows().invites(place.pk)?;
            for one in &pending {
                let again = one.email.as_ref().is_some_and(|other| other.to_lowercase() == email.to_lowercase());
                if again || one.expires_at <= change.now() {
                    change.store().remove_invite(one.pk)?;
                }
            }
            if change.rows().invites(place.pk)?.len() >= MOST_INVITES {
                let detail = format!("The organization has {MOST_INVITES} open invitations; delete some first.");
                return Err(Refusal::new(Code::LimitReached, detail).with(MOST_INVITES).into());
            }
            let invite = add_invite(change, &place, Some(email.clone()), roles)?;
            change.record(Event::new(EventType::UserInvited, organization).detail(email))?;
            Ok(invite)
        })
        .await
    }

    /// Whether nobody has an account yet, and a token waits for the first owner.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn awaits_first_owner(self: &Arc<Self>) -> Result<bool, Fault> {
        let now = self.clock.now();
        self.read(move |rows| Ok(rows.awaits_first_owner(now)?)).await
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// `INVITE_NOT_FOUND`, or another [`Fault`].
    pub async fn delete_invite(&self, actor: &Actor, organization: Id, id: Id) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let place = Rights::of(change.rows(), change.actor())?.own(change.rows(), organization)?;
            let found = change.rows().invites(place.pk)?.into_iter().find(|one| one.id == id);
            let none = || Refusal::new(Code::InviteNotFound, format!("There is no invitation {id} here.")).with(id);
            let invite = found.ok_or_else(none)?;
            change.store().remove_invite(invite.pk)?;
            let who = invite.email.unwrap_or_else(|| "the first owner".into());
            change.record(Event::new(EventType::InviteDeleted, organization).detail(who))
        })
        .await
    }

    /// Takes an invitation up and signs in. Whoever has an account proves it by their password; others choose one. The
    /// first owner names an `email`.
    ///
    /// # Errors
    /// `INVITE_TOKEN_INVALID`, `SIGN_IN_FAILED`, `RATE_LIMITED`, or another [`Fault`].
    pub async fn accept(
        self: &Arc<Self>,
        actor: &Actor,
        token: String,
        email: Option<String>,
        password: Password,
    ) -> Result<Committed<NewSession>, Fault> {
        let sha256 = fingerprint::of_key(token.as_bytes()).0;
        drop(token);
        self.door.throttle.count(actor.address.map(|one| one.ip()), None, self.clock.now())?;
        let now = self.clock.now();
        let invite = self.read(move |rows| open(rows, sha256, now)).await?;
        let email = match (invite.email, email) {
            (Some(invited), _) => invited,
            (None, Some(given)) => given,
            (None, None) => {
                return Err(Refusal::field(Code::InvalidAttribute, "email", "the first owner has to name one").into());
            }
        };
        check_email(&email)?;
        password.check(&email)?;
        let asked = email.clone();
        let known = self.read(move |rows| Ok(rows.user_by_email(&asked)?)).await?;
        let hash = match &known {
            Some((user, hash)) => {
                self.door.throttle.count(None, Some(&user.email), now)?;
                if !self.door.mill.verify(&password, Some(hash)).await? {
                    let detail = format!("{email} has an account already; its password is another one.");
                    return Err(Refusal::new(Code::SignInFailed, detail).into());
                }
                hash.clone()
            }
            None => self.door.mill.hash(&password).await?,
        };
        let was_known = known.is_some();
        self.change(actor, move |change| {
            let invite = open(change.rows(), sha256, change.now())?;
            let (place, roles) = granted(change, &invite)?;
            let user = match change.rows().user_by_email(&email)? {
                Some((user, now)) if was_known && now == hash => user,
                Some(_) => {
                    let detail = "The account was made or changed at this moment; try again.";
                    return Err(Refusal::new(Code::SignInFailed, detail).into());
                }
                None => add(change, email, &hash)?,
            };
            change.store().remove_invite(invite.pk)?;
            join(change, &place, &user, roles, was_known)?;
            sign_in::begin(change, user)
        })
        .await
    }
}

/// The invitation of a token, while it is good.
fn open(rows: Rows<'_>, sha256: [u8; 32], now: Timestamp) -> Result<InviteRecord, Fault> {
    let found = rows.invite_by_token(sha256)?.filter(|one| one.expires_at > now);
    found.ok_or_else(|| {
        Refusal::new(Code::InviteTokenInvalid, "The token is unknown, used or over; ask for another one.").into()
    })
}

/// What an invitation grants, and where; refused where it is good no more.
pub(super) fn granted(change: &Change<'_>, invite: &InviteRecord) -> Result<(OrganizationRecord, Vec<Role>), Fault> {
    let place = change.rows().organization(invite.organization)?.ok_or(Fault::Stopping)?;
    let roles = change.rows().roles_of_invite(invite.pk)?;
    if roles.is_empty() {
        let detail = "What the invitation was for has been deleted; ask for another one.";
        return Err(Refusal::new(Code::InviteTokenInvalid, detail).into());
    }
    if !may_send(change, invite)? {
        let detail = "Whoever sent the invitation owns the organization no more; ask an owner for another one.";
        return Err(Refusal::new(Code::InviteTokenInvalid, detail).into());
    }
    Ok((place, roles))
}

/// Whether the sender of an invitation could send it now: it grants nothing that they could not.
fn may_send(change: &Change<'_>, invite: &InviteRecord) -> Result<bool, Fault> {
    match Rights::of_sender(change.rows(), invite.sender, change.now())? {
        Some(rights) => Ok(rights.owns(invite.organization)),
        None => Ok(false),
    }
}

/// Adds a person who is in no organization yet.
pub(super) fn add(change: &Change<'_>, email: String, hash: &str) -> Result<UserRecord, Fault> {
    let mut user = UserRecord {
        pk: 0,
        id: draw::id()?,
        email,
        created_at: change.now(),
        last_sign_in: None,
        revision: change.revision(),
    };
    user.pk = change.store().add_user(&user, hash)?;
    Ok(user)
}

/// Adds roles of a person in an organization.
pub(super) fn join(
    change: &mut Change<'_>,
    place: &OrganizationRecord,
    user: &UserRecord,
    roles: Vec<Role>,
    was_known: bool,
) -> Result<(), Fault> {
    let mut all = whole(change.rows(), place.id, user.clone())?.roles;
    all.extend(roles);
    all.sort_unstable();
    all.dedup();
    change.store().set_roles_of_user(user.pk, place.pk, &all)?;
    let event = if was_known { EventType::UserJoined } else { EventType::UserCreated };
    let told = Event::of_user(event, place.id, user);
    // Whoever takes an invitation up is nobody until then.
    let is_stranger = matches!(change.actor().kind, ActorKind::Stranger);
    change.record(if is_stranger { told.by(user) } else { told })
}

/// Makes an invitation.
pub(super) fn add_invite(
    change: &Change<'_>,
    place: &OrganizationRecord,
    email: Option<String>,
    roles: Vec<Role>,
) -> Result<Invite, Fault> {
    let token = draw::token("pcl_invite_")?;
    let row = InviteRecord {
        pk: 0,
        id: draw::id()?,
        organization: place.id,
        email,
        created_at: change.now(),
        expires_at: Timestamp::from_unix_seconds(change.now().unix_seconds().saturating_add(INVITE_LIFE)),
        sender: change.actor().sender(),
    };
    change.store().add_invite(place.pk, &row, fingerprint::of_key(token.as_bytes()).0, &roles)?;
    Ok(Invite { row, roles, token: Some(token) })
}

/// A person who makes an organization owns it.
pub(super) fn own_what_was_made(change: &mut Change<'_>, place: &OrganizationRecord) -> Result<(), Fault> {
    let Some((id, _)) = change.actor().user() else { return Ok(()) };
    let Some(user) = change.rows().user(id)? else { return Ok(()) };
    join(change, place, &user, vec![Role::Organization("ORG_OWNER")], true)
}

fn whole(rows: Rows<'_>, organization: Id, row: UserRecord) -> Result<User, Fault> {
    let roles = rows.roles_of_user(row.pk)?.into_iter().filter(|(on, _)| *on == organization);
    let mut roles: Vec<Role> = roles.map(|(_, role)| role).collect();
    roles.sort_unstable();
    Ok(User { row, roles })
}

fn find(rows: Rows<'_>, organization: Id, id: Id) -> Result<User, Fault> {
    let none = || Fault::from(Refusal::new(Code::UserNotFound, format!("There is no user {id} here.")).with(id));
    let user = whole(rows, organization, rows.user(id)?.ok_or_else(none)?)?;
    match user.roles.is_empty() {
        true => Err(none()),
        false => Ok(user),
    }
}

/// Roles of a person: at least one, and none that only means something to gateways and upstreams.
fn parsed(rows: Rows<'_>, organization: Id, granted: &[GrantedRole]) -> Result<Vec<Role>, Fault> {
    let roles = roles::parsed(rows, organization, None, granted)?;
    let wrong = |wrong: &str| Err(Refusal::field(Code::InvalidAttribute, "roles", wrong).into());
    if roles.is_empty() {
        return wrong("a person has at least one role; to take them out, delete the user");
    }
    match roles.iter().any(|role| matches!(role, Role::Gateway | Role::Application(_))) {
        true => wrong("GATEWAY and app: roles are for credentials"),
        false => Ok(roles),
    }
}

/// Refuses where nobody could manage the organization any more: neither a person nor a key.
fn keep_an_owner(change: &Change<'_>, organization: Id, user: &User, kept: &[Role]) -> Result<(), Fault> {
    let owner = Role::Organization("ORG_OWNER");
    if !user.roles.contains(&owner) || kept.contains(&owner) {
        return Ok(());
    }
    let rows = change.rows();
    if rows.has_owner_besides(organization, user.row.pk)? || rows.has_other_owner(organization, 0, change.now())? {
        return Ok(());
    }
    let detail = format!("Organization {organization} would have no owner left; make another one first.");
    Err(Refusal::new(Code::CannotDeleteLastOwner, detail).with(organization).into())
}
