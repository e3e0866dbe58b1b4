//! `/auth`: signing up, in and out, and one's own password.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::{NewPassword, SessionShown, SignIn, SignUp, Taken};
use super::operation::{Operation, Verb};
use crate::control::{Fault, Password};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Post,
        path: "/auth/signup",
        id: "signUp",
        summary: "Makes the first owner, by the token that the first start told.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<SignUp>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<SessionShown>),
        handler: |call| Box::pin(sign_up(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/auth/accept",
        id: "acceptInvite",
        summary: "Takes up an invitation, and signs in.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<Taken>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<SessionShown>),
        handler: |call| Box::pin(accept(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/auth/signin",
        id: "signIn",
        summary: "Signs a person in; the session token is in this answer and in no other.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<SignIn>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<SessionShown>),
        handler: |call| Box::pin(sign_in(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/auth/signout",
        id: "signOut",
        summary: "Ends the calling session.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(sign_out(call, false)),
    },
    Operation {
        method: Verb::Post,
        path: "/auth/signoutEverywhere",
        id: "signOutEverywhere",
        summary: "Ends every session of the caller.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(sign_out(call, true)),
    },
    Operation {
        method: Verb::Post,
        path: "/auth/password",
        id: "changePassword",
        summary: "Changes the password of the caller, and ends their other sessions.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewPassword>),
        status: 204,
        answer: None,
        handler: |call| Box::pin(change_password(call)),
    },
];

async fn sign_up(call: Call) -> Result<Answer, Fault> {
    let SignUp { token, email, password } = call.json()?;
    let made = call.control.accept(&call.actor, token, Some(email), Password::new(password)).await?;
    Ok(Answer::of(SessionShown::new(made.value)).revision(made.revision))
}

async fn accept(call: Call) -> Result<Answer, Fault> {
    let Taken { token, password } = call.json()?;
    let made = call.control.accept(&call.actor, token, None, Password::new(password)).await?;
    Ok(Answer::of(SessionShown::new(made.value)).revision(made.revision))
}

async fn sign_in(call: Call) -> Result<Answer, Fault> {
    let SignIn { email, password } = call.json()?;
    let made = call.control.sign_in(&call.actor, email, Password::new(password)).await?;
    Ok(Answer::of(SessionShown::new(made)))
}

async fn sign_out(call: Call, everywhere: bool) -> Result<Answer, Fault> {
    call.control.sign_out(&call.actor, everywhere).await?;
    Ok(Answer::empty())
}

async fn change_password(call: Call) -> Result<Answer, Fault> {
    let NewPassword { current_password, password } = call.json()?;
    let (present, new) = (Password::new(current_password), Password::new(password));
    call.control.change_password(&call.actor, present, new).await?;
    Ok(Answer::empty())
}
