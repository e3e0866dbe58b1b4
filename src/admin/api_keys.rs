//! `/orgs/{orgId}/apiKeys` and `/groups/{groupId}/apiKeys`, with the private keys of each.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::{ApiKeyEdit, AskedRole, Assigned, Key, NewApiKey, Secret, Seen, entries, granted};
use super::operation::{DRY_RUN, GUARDED, Operation, PAGED, SEARCHED, Verb};
use crate::access::credential::{CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::record::{CredentialName, Place};
use crate::access::traffic::Sighting;
use crate::clock::Timestamp;
use crate::control::{Fault, GrantedRole, KeyEdit, NewKey};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/apiKeys",
        id: "listApiKeys",
        summary: "The API keys of an organization.",
        query: &SEARCHED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Key>>),
        handler: |call| Box::pin(list(call, organization)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/apiKeys",
        id: "createApiKey",
        summary: "Makes an API key; its private key is in this answer and in no other.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewApiKey>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Key>),
        handler: |call| Box::pin(create(call, organization)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}",
        id: "getApiKey",
        summary: "One API key.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Key>),
        handler: |call| Box::pin(show(call, organization)),
    },
    Operation {
        method: Verb::Patch,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}",
        id: "updateApiKey",
        summary: "Changes an API key; `roles` are all its roles on the organization.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<ApiKeyEdit>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Key>),
        handler: |call| Box::pin(edit(call, organization)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}",
        id: "deleteApiKey",
        summary: "Deletes an API key; it is refused from then on.",
        query: &[DRY_RUN],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/secrets",
        id: "createApiKeySecret",
        summary: "Gives a key a second private key, so that it can be rotated without a gap.",
        query: &[],
        body: None,
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<Secret>),
        handler: |call| Box::pin(add_secret(call)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/secrets/{secretId}",
        id: "deleteApiKeySecret",
        summary: "Takes a private key from a key; the last one stays.",
        query: &[],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete_secret(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/traffic",
        id: "listApiKeyTraffic",
        summary: "From where a key was used in the last 30 days, what became of it and on which route; newest first.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Seen>>),
        handler: |call| Box::pin(traffic(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}/apiKeys",
        id: "listProjectApiKeys",
        summary: "The API keys with a role on a project.",
        query: &SEARCHED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Key>>),
        handler: |call| Box::pin(list(call, project)),
    },
    Operation {
        method: Verb::Post,
        path: "/groups/{groupId}/apiKeys",
        id: "createProjectApiKey",
        summary: "Makes an API key with roles on a project.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewApiKey>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Key>),
        handler: |call| Box::pin(create(call, project)),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}/apiKeys/{apiUserId}",
        id: "getProjectApiKey",
        summary: "One API key with a role on a project.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Key>),
        handler: |call| Box::pin(show(call, project)),
    },
    Operation {
        method: Verb::Post,
        path: "/groups/{groupId}/apiKeys/{apiUserId}",
        id: "assignProjectApiKey",
        summary: "Gives a key of the organization roles on a project.",
        query: &[DRY_RUN],
        body: Some(SchemaGenerator::subschema_for::<Assigned>),
        status: 204,
        answer: None,
        handler: |call| Box::pin(assign(call)),
    },
    Operation {
        method: Verb::Patch,
        path: "/groups/{groupId}/apiKeys/{apiUserId}",
        id: "updateProjectApiKey",
        summary: "Changes an API key of a project; `roles` are all its roles on the project.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<ApiKeyEdit>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Key>),
        handler: |call| Box::pin(edit(call, project)),
    },
    Operation {
        method: Verb::Delete,
        path: "/groups/{groupId}/apiKeys/{apiUserId}",
        id: "unassignProjectApiKey",
        summary: "Takes every role on a project from a key.",
        query: &[DRY_RUN],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(unassign(call)),
    },
];

/// Tells the place that a path names.
pub(super) type PlaceOf = fn(&Call) -> Result<Place, Fault>;

/// The organization of the path.
pub(super) fn organization(call: &Call) -> Result<Place, Fault> {
    Ok(Place::Organization(call.id("orgId")?))
}

/// The project of the path.
pub(super) fn project(call: &Call) -> Result<Place, Fault> {
    Ok(Place::Project(call.id("groupId")?))
}

/// The key of the path.
pub(super) fn key_id(call: &Call) -> Result<Id, Fault> {
    call.id("apiUserId")
}

/// A new key as the control plane takes it. `within` is where it is in the body, up to its attributes.
pub(super) fn new_key(within: &str, asked: NewApiKey) -> Result<NewKey, Fault> {
    Ok(NewKey {
        roles: granted(&asked.roles)?,
        description: asked.desc,
        expires_at: asked.expires_at.unwrap_or(Timestamp::NEVER),
        enforcement: asked.enforcement.map_or(Enforcement::Enforce, Enforcement::from),
        entries: entries(&format!("{within}accessList"), asked.access_list)?,
    })
}

async fn list(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let (keys, total) = {
        let (place, search) = (place(&call)?, call.query.search());
        call.control.credentials(&call.actor, CredentialKind::ApiKey, place, search, call.page()).await?
    };
    Ok(Answer::page(keys.iter().map(|key| Key::new(key, None, &call.base)).collect(), total))
}

async fn create(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let new = new_key("", call.json::<NewApiKey>()?)?;
    let made = call.control.create_api_key(&call.actor, place(&call)?, new).await?;
    let shown = Key::new(&made.value.key, Some(&made.value.private_key), &call.base);
    Ok(Answer::of(shown).version(made.value.key.row.revision).revision(made.revision))
}

async fn show(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let key = call.control.api_key(&call.actor, place(&call)?, key_id(&call)?).await?;
    Ok(Answer::of(Key::new(&key, None, &call.base)).version(key.row.revision))
}

async fn edit(call: Call, place: PlaceOf) -> Result<Answer, Fault> {
    let asked: ApiKeyEdit = call.json()?;
    let edit = KeyEdit {
        description: asked.desc,
        roles: asked.roles.map(|roles: Vec<AskedRole>| granted(&roles)).transpose()?,
        enabled: asked.enabled,
        expires_at: asked.expires_at.map(|at| at.unwrap_or(Timestamp::NEVER)),
        enforcement: asked.enforcement.map(Enforcement::from),
    };
    let (place, id, expected) = (place(&call)?, key_id(&call)?, call.if_match()?);
    let edited = call.control.edit_api_key(&call.actor, call.guards(), (place, id), edit, expected).await?;
    let shown = Key::new(&edited.value, None, &call.base);
    Ok(Answer::of(shown).version(edited.value.row.revision).made(&edited))
}

async fn traffic(call: Call) -> Result<Answer, Fault> {
    let name = CredentialName::api_key(key_id(&call)?);
    let all = call.control.traffic(&call.actor, organization(&call)?, name).await?;
    Ok(seen(&call, &all))
}

/// A page of what was seen of a credential.
pub(super) fn seen(call: &Call, all: &[Sighting]) -> Answer {
    let (skip, most) = call.page();
    let [skip, most] = [skip, most].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    Answer::page(all.iter().skip(skip).take(most).map(Seen::from).collect(), all.len() as u64)
}

async fn delete(call: Call) -> Result<Answer, Fault> {
    let gone = call.control.delete_api_key(&call.actor, call.id("orgId")?, key_id(&call)?).await?;
    Ok(Answer::empty().made(&gone))
}

async fn add_secret(call: Call) -> Result<Answer, Fault> {
    let made = call.control.add_api_key_secret(&call.actor, organization(&call)?, key_id(&call)?).await?;
    Ok(Answer::of(Secret::new(&made.value.row, Some(made.value.private_key))).revision(made.revision))
}

async fn delete_secret(call: Call) -> Result<Answer, Fault> {
    let (place, key, secret) = (organization(&call)?, key_id(&call)?, call.id("secretId")?);
    let gone = call.control.delete_api_key_secret(&call.actor, place, key, secret).await?;
    Ok(Answer::empty().made(&gone))
}

/// The roles of a body that assigns some.
pub(super) fn assigned_roles(call: &Call) -> Result<Vec<GrantedRole>, Fault> {
    let asked = match call.json::<Assigned>()? {
        Assigned::One(one) => vec![one],
        Assigned::List(list) => list,
    };
    let roles: Vec<AskedRole> = asked.into_iter().flat_map(|one| one.roles).collect();
    granted(&roles)
}

async fn assign(call: Call) -> Result<Answer, Fault> {
    let roles = assigned_roles(&call)?;
    let done = call.control.assign_api_key(&call.actor, call.id("groupId")?, key_id(&call)?, roles).await?;
    Ok(Answer::empty().made(&done))
}

async fn unassign(call: Call) -> Result<Answer, Fault> {
    let done = call.control.unassign_api_key(&call.actor, call.id("groupId")?, key_id(&call)?).await?;
    Ok(Answer::empty().made(&done))
}
