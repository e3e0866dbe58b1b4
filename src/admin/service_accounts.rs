//! `/orgs/{orgId}/serviceAccounts` and `/groups/{groupId}/serviceAccounts`, with the secrets of each.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::api_keys::{PlaceOf, assigned_roles, organization, project, seen};
use super::call::Call;
use super::dto::{
    Account, AccountGroup, AskedSecret, Assigned, Certificate, ClientSecret, NewServiceAccount, Seen,
    ServiceAccountEdit, Token, entries, granted,
};
use super::operation::{DRY_RUN, GUARDED, Operation, PAGED, SEARCHED, Verb};
use crate::access::client_id::ClientId;
use crate::access::credential::Enforcement;
use crate::access::record::{CredentialName, TokenSubject};
use crate::clock::Timestamp;
use crate::control::{AccountEdit, Fault, KeyEdit, NewAccount, ServiceAccount};
use crate::problem::{Code, Refusal};

/// What clients of Atlas put behind a client id to have it assigned.
const INVITE: &str = ":invite";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/serviceAccounts",
        id: "listServiceAccounts",
        summary: "The service accounts of an organization.",
        query: &SEARCHED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Account>>),
        handler: |call| Box::pin(list(call, organization)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/serviceAccounts",
        id: "createServiceAccount",
        summary: "Makes a service account; its secret is in this answer and in no other.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewServiceAccount>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<Account>),
        handler: |call| Box::pin(create(call, organization)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}",
        id: "getServiceAccount",
        summary: "One service account.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Account>),
        handler: |call| Box::pin(show(call, organization)),
    },
    Operation {
        method: Verb::Patch,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}",
        id: "updateServiceAccount",
        summary: "Changes a service account; `roles` are all its roles on the organization.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<ServiceAccountEdit>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Account>),
        handler: |call| Box::pin(edit(call, organization)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}",
        id: "deleteServiceAccount",
        summary: "Deletes a service account; its tokens are refused from then on.",
        query: &[DRY_RUN],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}/groups",
        id: "listServiceAccountProjects",
        summary: "The projects that a service account has a role on.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<AccountGroup>>),
        handler: |call| Box::pin(groups(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}/traffic",
        id: "listServiceAccountTraffic",
        summary: "From where an account was used in the last 30 days, what became of it and on which route; newest first.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Seen>>),
        handler: |call| Box::pin(traffic(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}/secrets",
        id: "createServiceAccountSecret",
        summary: "Gives a service account another secret; the one that it has ends within seven days.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<AskedSecret>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<ClientSecret>),
        handler: |call| Box::pin(add_secret(call, organization)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}/secrets/{secretId}",
        id: "deleteServiceAccountSecret",
        summary: "Takes a secret from a service account; the tokens made from it are refused from then on.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete_secret(call, organization)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}/tokens",
        id: "listServiceAccountTokens",
        summary: "The tokens of a service account that work, without what makes them one; the first to end first.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Token>>),
        handler: |call| Box::pin(tokens(call, organization)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/serviceAccounts/{clientId}/tokens",
        id: "revokeServiceAccountTokens",
        summary: "Revokes every token of a service account; whoever has a secret of it can get another one.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(revoke_tokens(call, organization)),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}/serviceAccounts",
        id: "listProjectServiceAccounts",
        summary: "The service accounts with a role on a project.",
        query: &SEARCHED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Account>>),
        handler: |call| Box::pin(list(call, project)),
    },
    Operation {
        method: Verb::Post,
        path: "/groups/{groupId}/serviceAccounts",
        id: "createProjectServiceAccount",
        summary: "Makes a service account with roles on a project.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewServiceAccount>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<Account>),
        handler: |call| Box::pin(create(call, project)),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}/serviceAccounts/{clientId}",
        id: "getProjectServiceAccount",
        summary: "One service account of a project.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Account>),
        handler: |call| Box::pin(show(call, project)),
    },
    Operation {
        method: Verb::Post,
        path: "/groups/{groupId}/serviceAccounts/{clientId}",
        id: "assignProjectServiceAccount",
        summary: "Gives a service account of the organization roles on a project; also as `{clientId}:invite`.",
        query: &[DRY_RUN],
        body: Some(SchemaGenerator::subschema_for::<Assigned>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Account>),
        handler: |call| Box::pin(assign(call)),
    },
    Operation {
        method: Verb::Patch,
        path: "/groups/{groupId}/serviceAccounts/{clientId}",
        id: "updateProjectServiceAccount",
        summary: "Changes a service account of a project; `roles` are all its roles on the project.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<ServiceAccountEdit>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Account>),
        handler: |call| Box::pin(edit(call, project)),
    },
    Operation {
        method: Verb::Delete,
        path: "/groups/{groupId}/serviceAccounts/{clientId}",
        id: "unassignProjectServiceAccount",
        summary: "Takes every role on a project from a service account.",
        query: &[DRY_RUN],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(unassign(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/groups/{groupId}/serviceAccounts/{clientId}/secrets",
        id: "createProjectServiceAccountSecret",
        summary: "Gives a service account of a project another secret; the one that it has ends within seven days.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<AskedSecret>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<ClientSecret>),
        handler: |call| Box::pin(add_secret(call, project)),
    },
    Operation {
        method: Verb::Delete,
        path: "/groups/{groupId}/serviceAccounts/{clientId}/secrets/{secretId}",
        id: "deleteProjectServiceAccountSecret",
        summary: "Takes a secret from a service account of a project.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete_secret(call, project)),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}/serviceAccounts/{clientId}/tokens",
        id: "listProjectServiceAccountTokens",
        summary: "The tokens of a service account of a project that work, without what makes them one; the first to end first.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Token>>),
        handler: |call| Box::pin(tokens(call, project)),
    },
    Operation {
        method: Verb::Delete,
        path: "/groups/{groupId}/serviceAccounts/{clientId}/tokens",
        id: "revokeProjectServiceAccountTokens",
        summary: "Revokes every token of a service account of a project; whoever has a secret of it can get another one.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(revoke_tokens(call, project)),
    },
];

/// The account of the path.
fn client(call: &Call) -> Result<ClientId, Fault> {
    call.parsed("clientId")
}

async fn list(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let place = place(&call)?;
    let (accounts, total) = call.control.service_accounts(&call.actor, place, call.query.search(), call.page()).await?;
    Ok(Answer::page(accounts.iter().map(|one| Account::new(one, place, None, &call.base)).collect(), total))
}

async fn create(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let asked: NewServiceAccount = call.json()?;
    let place = place(&call)?;
    if asked.secret_expires_after_hours.is_none() && asked.token.is_none() && asked.certificate.is_none() {
        let detail = "A service account needs `secretExpiresAfterHours`, for a secret, `token`, for those of a foreign \
                      issuer, or `certificate`, for a client certificate.";
        let refusal = Refusal::new(Code::MissingOneOfAttributes, detail);
        return Err(refusal.with("secretExpiresAfterHours").with("token").with("certificate").into());
    }
    let new = NewAccount {
        roles: granted(&asked.roles)?,
        description: asked.description.unwrap_or_else(|| asked.name.clone()),
        name: asked.name,
        secret_hours: asked.secret_expires_after_hours,
        subject: asked.token.map(TokenSubject::from),
        certificate: asked.certificate.map(Certificate::read).transpose()?,
        expires_at: asked.expires_at.unwrap_or(Timestamp::NEVER),
        enforcement: asked.enforcement.map_or(Enforcement::Enforce, Enforcement::from),
        entries: entries("accessList", asked.access_list)?,
    };
    let made = call.control.create_service_account(&call.actor, place, new).await?;
    let (account, secret) = made.value;
    let secret = secret.map(|made| ClientSecret::new(&made.row, Some(made.secret)));
    Ok(shown(&account, &call, place, secret)?.revision(made.revision))
}

/// One account, with its version.
fn shown(
    account: &ServiceAccount,
    call: &Call,
    place: crate::access::record::Place,
    secret: Option<ClientSecret>,
) -> Result<Answer, Fault> {
    Ok(Answer::of(Account::new(account, place, secret, &call.base)).version(account.row.revision))
}

async fn show(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let place = place(&call)?;
    let account = call.control.service_account(&call.actor, place, client(&call)?).await?;
    shown(&account, &call, place, None)
}

async fn edit(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let asked: ServiceAccountEdit = call.json()?;
    let edit = AccountEdit {
        common: KeyEdit {
            description: asked.name,
            roles: asked.roles.map(|roles| granted(&roles)).transpose()?,
            enabled: asked.enabled,
            expires_at: asked.expires_at.map(|at| at.unwrap_or(Timestamp::NEVER)),
            enforcement: asked.enforcement.map(Enforcement::from),
        },
        description: asked.description,
        subject: asked.token.map(|token| token.map(TokenSubject::from)),
        certificate: match asked.certificate {
            Some(certificate) => Some(certificate.map(Certificate::read).transpose()?),
            None => None,
        },
    };
    let (place, id, expected) = (place(&call)?, client(&call)?, call.if_match()?);
    let edited = call.control.edit_service_account(&call.actor, call.guards(), (place, id), edit, expected).await?;
    Ok(shown(&edited.value, &call, place, None)?.made(&edited))
}

async fn delete(call: Call) -> Result<Answer, Fault> {
    let gone = call.control.delete_service_account(&call.actor, call.id("orgId")?, client(&call)?).await?;
    Ok(Answer::empty().made(&gone))
}

async fn traffic(call: Call) -> Result<Answer, Fault> {
    let name = CredentialName::service_account(client(&call)?);
    let all = call.control.traffic(&call.actor, organization(&call)?, name).await?;
    Ok(seen(&call, &all))
}

async fn groups(call: Call) -> Result<Answer, Fault> {
    let account = call.control.service_account(&call.actor, organization(&call)?, client(&call)?).await?;
    let mut groups: Vec<AccountGroup> = Vec::new();
    for (project, role) in account.roles.iter().filter_map(|role| Some((role.project()?.to_string(), role.name()))) {
        match groups.iter_mut().find(|known| known.group_id == project) {
            Some(known) => known.roles.push(role.to_owned()),
            None => groups.push(AccountGroup { group_id: project, roles: vec![role.to_owned()] }),
        }
    }
    let (skip, most) = call.page();
    let total = groups.len() as u64;
    let skipped = groups.into_iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
    Ok(Answer::page(skipped.take(usize::try_from(most).unwrap_or(usize::MAX)).collect(), total))
}

async fn add_secret(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let asked: AskedSecret = call.json()?;
    let (place, id, hours) = (place(&call)?, client(&call)?, asked.secret_expires_after_hours);
    let made = call.control.add_client_secret(&call.actor, place, id, hours).await?;
    Ok(Answer::of(ClientSecret::new(&made.value.row, Some(made.value.secret))).revision(made.revision))
}

async fn delete_secret(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let (place, id, secret) = (place(&call)?, client(&call)?, call.id("secretId")?);
    let gone = call.control.delete_client_secret(&call.actor, place, id, secret).await?;
    Ok(Answer::empty().made(&gone))
}

async fn tokens(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let all = call.control.active_tokens(&call.actor, place(&call)?, client(&call)?).await?;
    let (skip, most) = call.page();
    let [skip, most] = [skip, most].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    Ok(Answer::page(all.iter().skip(skip).take(most).map(Token::new).collect(), all.len() as u64))
}

async fn revoke_tokens(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let gone = call.control.revoke_tokens(&call.actor, place(&call)?, client(&call)?).await?;
    Ok(Answer::empty().made(&gone))
}

async fn assign(call: Call) -> Result<Answer, Fault> {
    let roles = assigned_roles(&call)?;
    let place = project(&call)?;
    let id = call.parsed_without("clientId", INVITE)?;
    let done = call.control.assign_service_account(&call.actor, call.id("groupId")?, id, roles).await?;
    Ok(shown(&done.value, &call, place, None)?.made(&done))
}

async fn unassign(call: Call) -> Result<Answer, Fault> {
    let done = call.control.unassign_service_account(&call.actor, call.id("groupId")?, client(&call)?).await?;
    Ok(Answer::empty().made(&done))
}
