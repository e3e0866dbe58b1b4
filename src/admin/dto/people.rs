//! People, invitations, and what signing in takes and answers. What holds a password or a token has no `Debug`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::{AskedRole, ShownRole};
use super::{Link, link};
use crate::access::id::Id;
use crate::access::record::UserRecord;
use crate::control::{Invite, NewSession, User};

/// Who signs in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct SignIn {
    /// The email address, in any case.
    #[schemars(length(min = 3, max = 254), email)]
    pub(in crate::admin) email: String,
    /// The password.
    pub(in crate::admin) password: String,
}

/// The first owner.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct SignUp {
    /// The token that the first start told.
    pub(in crate::admin) token: String,
    /// The email address.
    #[schemars(length(min = 3, max = 254), email)]
    pub(in crate::admin) email: String,
    /// 12 to 128 characters, and not the email address.
    #[schemars(length(min = 12, max = 128))]
    pub(in crate::admin) password: String,
}

/// Who takes up an invitation.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct Taken {
    /// The token of the invitation.
    pub(in crate::admin) token: String,
    /// That of the account, where there is one for the invited address; else a new one.
    pub(in crate::admin) password: String,
}

/// Another password.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct NewPassword {
    /// The present one.
    pub(in crate::admin) current_password: String,
    /// 12 to 128 characters, and not the email address.
    #[schemars(length(min = 12, max = 128))]
    pub(in crate::admin) password: String,
}

/// A session that was just made.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct SessionShown {
    /// To be sent as `Authorization: Bearer …`; in this answer and in no other.
    token: String,
    /// When it ends at the latest; 12 hours unused end it before.
    expires_at: String,
    /// Whose it is.
    user_id: String,
    /// Their email address.
    username: String,
}

impl SessionShown {
    pub(in crate::admin) fn new(made: NewSession) -> Self {
        let NewSession { token, user: UserRecord { id, email, .. }, expires_at } = made;
        Self { token, expires_at: expires_at.to_string(), user_id: id.to_string(), username: email }
    }
}

/// A person of an organization.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct ShownUser {
    /// 24 hexadecimal characters.
    id: String,
    /// The email address.
    username: String,
    /// What they may do in this organization.
    roles: Vec<ShownRole>,
    /// When they signed up.
    created: String,
    /// When they last signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_auth: Option<String>,
    links: Vec<Link>,
}

impl ShownUser {
    pub(in crate::admin) fn new(user: &User, organization: Id, base: &str) -> Self {
        let User { row, roles } = user;
        Self {
            id: row.id.to_string(),
            username: row.email.clone(),
            roles: roles.iter().map(|role| ShownRole::new(role, organization)).collect(),
            created: row.created_at.to_string(),
            last_auth: row.last_sign_in.map(|at| at.to_string()),
            links: link("self", format!("{base}/orgs/{organization}/users/{}", row.id)),
        }
    }
}

/// What is changed of a person.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct UserEdit {
    /// All their roles in the organization, those on its projects included; at least one.
    #[schemars(length(min = 1))]
    pub(in crate::admin) roles: Vec<AskedRole>,
}

/// Somebody to be invited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct AskedInvite {
    /// The email address.
    #[schemars(length(min = 3, max = 254), email, example = &"new.colleague@example.com")]
    pub(in crate::admin) username: String,
    /// What they will be allowed; at least one role.
    #[schemars(length(min = 1))]
    pub(in crate::admin) roles: Vec<AskedRole>,
}

/// An invitation.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct ShownInvite {
    /// 24 hexadecimal characters.
    id: String,
    /// Who is invited; missing of the first owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// What they will be allowed.
    roles: Vec<ShownRole>,
    /// When it was made.
    created_at: String,
    /// When it lapses.
    expires_at: String,
    /// By which it is taken up: right after it was made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl ShownInvite {
    pub(in crate::admin) fn new(invite: Invite) -> Self {
        let Invite { row, roles, token } = invite;
        Self {
            id: row.id.to_string(),
            username: row.email,
            roles: roles.iter().map(|role| ShownRole::new(role, row.organization)).collect(),
            created_at: row.created_at.to_string(),
            expires_at: row.expires_at.to_string(),
            token,
        }
    }
}
