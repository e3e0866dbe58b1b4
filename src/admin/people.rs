//! `/orgs/{orgId}/users` and `/orgs/{orgId}/invites`.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::{AskedInvite, ShownInvite, ShownUser, UserEdit, granted};
use super::operation::{Operation, PAGED, Verb};
use crate::control::Fault;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/users",
        id: "listUsers",
        summary: "The people of an organization.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<ShownUser>>),
        handler: |call| Box::pin(list(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/users/{userId}",
        id: "getUser",
        summary: "One person of an organization.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<ShownUser>),
        handler: |call| Box::pin(show(call)),
    },
    Operation {
        method: Verb::Patch,
        path: "/orgs/{orgId}/users/{userId}",
        id: "updateUserRoles",
        summary: "Replaces the roles of a person in an organization.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<UserEdit>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<ShownUser>),
        handler: |call| Box::pin(edit(call)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/users/{userId}",
        id: "removeUser",
        summary: "Takes a person out of an organization.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(remove(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/invites",
        id: "listInvites",
        summary: "The invitations that nobody has taken up.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<ShownInvite>>),
        handler: |call| Box::pin(invites(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/invites",
        id: "createInvite",
        summary: "Invites somebody; the token is in this answer and in no other.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<AskedInvite>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<ShownInvite>),
        handler: |call| Box::pin(invite(call)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/invites/{inviteId}",
        id: "deleteInvite",
        summary: "Takes an invitation back.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(uninvite(call)),
    },
];

async fn list(call: Call) -> Result<Answer, Fault> {
    let organization = call.id("orgId")?;
    let (users, total) = call.control.users(&call.actor, organization, call.page()).await?;
    Ok(Answer::page(users.iter().map(|user| ShownUser::new(user, organization, &call.base)).collect(), total))
}

async fn show(call: Call) -> Result<Answer, Fault> {
    let organization = call.id("orgId")?;
    let user = call.control.user(&call.actor, organization, call.id("userId")?).await?;
    Ok(Answer::of(ShownUser::new(&user, organization, &call.base)).version(user.row.revision))
}

async fn edit(call: Call) -> Result<Answer, Fault> {
    let asked: UserEdit = call.json()?;
    let (organization, id, expected) = (call.id("orgId")?, call.id("userId")?, call.if_match()?);
    let edited = call.control.edit_user(&call.actor, organization, id, granted(&asked.roles)?, expected).await?;
    let shown = ShownUser::new(&edited.value, organization, &call.base);
    Ok(Answer::of(shown).version(edited.value.row.revision).made(&edited))
}

async fn remove(call: Call) -> Result<Answer, Fault> {
    let gone = call.control.remove_user(&call.actor, call.id("orgId")?, call.id("userId")?).await?;
    Ok(Answer::empty().made(&gone))
}

async fn invites(call: Call) -> Result<Answer, Fault> {
    let all = call.control.invites(&call.actor, call.id("orgId")?).await?;
    let (skip, most) = call.page();
    let total = all.len() as u64;
    let skipped = all.into_iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
    let shown = skipped.take(usize::try_from(most).unwrap_or(usize::MAX)).map(ShownInvite::new);
    Ok(Answer::page(shown.collect(), total))
}

async fn invite(call: Call) -> Result<Answer, Fault> {
    let asked: AskedInvite = call.json()?;
    let (organization, roles) = (call.id("orgId")?, granted(&asked.roles)?);
    let made = call.control.invite(&call.actor, organization, asked.username, roles).await?;
    Ok(Answer::of(ShownInvite::new(made.value)).revision(made.revision))
}

async fn uninvite(call: Call) -> Result<Answer, Fault> {
    let gone = call.control.delete_invite(&call.actor, call.id("orgId")?, call.id("inviteId")?).await?;
    Ok(Answer::empty().made(&gone))
}
