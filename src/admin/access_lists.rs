//! `…/apiKeys/{apiUserId}/accessList`, and what is done with the list of any credential.

use schemars::SchemaGenerator;
use serde_json::json;

use super::answer::Answer;
use super::api_keys::{key_id, organization, project};
use super::call::Call;
use super::dto::{AccountEntry, AskedEntry, Entry, EntryEdit, entries};
use super::operation::{DRY_RUN, FORCE, GUARDED, Kind, Operation, PAGED, Parameter, Verb};
use crate::access::credential::CredentialKind;
use crate::access::record::{CredentialName, EntryRecord, Place};
use crate::access::target::Target;
use crate::access::usage::EntryUse;
use crate::clock::Timestamp;
use crate::control::{self, Committed, Fault, Listed};

const STRICT: Parameter = Parameter {
    name: "strict",
    kind: Kind::Flag,
    about: "Refuse what is on the list already; otherwise adding it changes nothing.",
};

pub(super) const REPLACE_QUERY: [Parameter; 5] = [FORCE, DRY_RUN, PAGED[0], PAGED[1], PAGED[2]];

pub(super) const ADD_QUERY: [Parameter; 6] = [FORCE, DRY_RUN, STRICT, PAGED[0], PAGED[1], PAGED[2]];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/accessList",
        id: "listAccessListEntries",
        summary: "The access list of an API key.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Entry>>),
        handler: |call| Box::pin(list(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/accessList",
        id: "createAccessListEntries",
        summary: "Adds entries, all of them or none. What is there already stays as it is.",
        query: &ADD_QUERY,
        body: Some(SchemaGenerator::subschema_for::<Vec<AskedEntry>>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Entry>>),
        handler: |call| Box::pin(add(call)),
    },
    Operation {
        method: Verb::Put,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/accessList",
        id: "replaceAccessList",
        summary: "Makes the list exactly this; with `If-Match` only where nobody changed it since.",
        query: &REPLACE_QUERY,
        body: Some(SchemaGenerator::subschema_for::<Vec<AskedEntry>>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Entry>>),
        handler: |call| Box::pin(replace(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/accessList/{entry}",
        id: "getAccessListEntry",
        summary: "The entry for exactly this address or network (its `/` as `%2F`), or for a network set (`set:NAME`).",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Entry>),
        handler: |call| Box::pin(show(call)),
    },
    Operation {
        method: Verb::Patch,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/accessList/{entry}",
        id: "updateAccessListEntry",
        summary: "Changes comment or end of an entry; with `If-Match` only where nobody changed its list since.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<EntryEdit>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Entry>),
        handler: |call| Box::pin(edit(call)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/apiKeys/{apiUserId}/accessList/{entry}",
        id: "deleteAccessListEntry",
        summary: "Removes an entry.",
        query: &GUARDED,
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete(call)),
    },
];

/// Where the list is, and whose.
fn here(call: &Call) -> Result<(Place, CredentialName), Fault> {
    let place = if call.has("groupId") { project(call)? } else { organization(call)? };
    match call.has("clientId") {
        true => Ok((place, CredentialName::service_account(call.parsed("clientId")?))),
        false => Ok((place, CredentialName::api_key(key_id(call)?))),
    }
}

/// Its address.
fn address(call: &Call) -> Result<String, Fault> {
    let (place, name) = here(call)?;
    let of = match place {
        Place::Organization(id) => format!("orgs/{id}"),
        Place::Project(id) => format!("groups/{id}"),
    };
    let kind = match name.kind {
        CredentialKind::ApiKey => "apiKeys",
        CredentialKind::ServiceAccount => "serviceAccounts",
    };
    Ok(format!("{}/{of}/{kind}/{name}/accessList", call.base))
}

/// An entry, as clients of its kind of credential know it.
fn entry(row: &EntryRecord, used: Option<&EntryUse>, call: &Call) -> Result<serde_json::Value, Fault> {
    let address = address(call)?;
    Ok(match call.has("clientId") {
        true => json!(AccountEntry::new(row, used, &address)),
        false => json!(Entry::new(row, used, &address)),
    })
}

fn shown(listed: &Listed, call: &Call) -> Result<Answer, Fault> {
    let used = |entry: &EntryRecord| listed.usage.get(&entry.target.to_string());
    let entries: Vec<_> = listed.entries.iter().map(|row| entry(row, used(row), call)).collect::<Result<_, _>>()?;
    Ok(Answer::page(entries, listed.total).version(listed.revision))
}

pub(super) async fn list(call: Call) -> Result<Answer, Fault> {
    let (place, key) = here(&call)?;
    let listed = call.control.access_list(&call.actor, place, key, call.page()).await?;
    shown(&listed, &call)
}

/// The resulting list, as the page that was asked for shows it.
fn changed(call: &Call, made: Committed<Listed>) -> Result<Answer, Fault> {
    Ok(shown(&made.value, call)?.made(&made))
}

pub(super) async fn add(call: Call) -> Result<Answer, Fault> {
    let new = entries("", call.json::<Vec<AskedEntry>>()?)?;
    let strict = call.query.flag(STRICT.name);
    let added =
        call.control.add_to_access_list(&call.actor, call.guards(), here(&call)?, new, strict, call.page()).await?;
    changed(&call, added)
}

pub(super) async fn replace(call: Call) -> Result<Answer, Fault> {
    let new = entries("", call.json::<Vec<AskedEntry>>()?)?;
    let expected = call.if_match()?;
    let replaced =
        call.control.replace_access_list(&call.actor, call.guards(), here(&call)?, new, expected, call.page()).await?;
    changed(&call, replaced)
}

pub(super) async fn show(call: Call) -> Result<Answer, Fault> {
    let (place, key) = here(&call)?;
    let shown = call.control.access_list_entry(&call.actor, place, key, target(&call)?).await?;
    Ok(Answer::of(entry(&shown.entry, shown.used.as_ref(), &call)?).version(shown.revision))
}

pub(super) async fn edit(call: Call) -> Result<Answer, Fault> {
    let asked: EntryEdit = call.json()?;
    let edit = control::EntryEdit {
        comment: asked.comment,
        expires_at: asked.expires_at.map(|at| at.unwrap_or(Timestamp::NEVER)),
    };
    let (target, expected) = (target(&call)?, call.if_match()?);
    let guards = call.guards();
    let edited = call.control.edit_access_list_entry(&call.actor, guards, here(&call)?, target, edit, expected).await?;
    let control::ListedEntry { entry: row, used, revision } = &edited.value;
    Ok(Answer::of(entry(row, used.as_ref(), &call)?).version(*revision).made(&edited))
}

pub(super) async fn delete(call: Call) -> Result<Answer, Fault> {
    let target = target(&call)?;
    let gone = call.control.remove_from_access_list(&call.actor, call.guards(), here(&call)?, target).await?;
    Ok(Answer::empty().made(&gone))
}

/// The entry of the path: an address, a network, or a reference to a set.
fn target(call: &Call) -> Result<Target, Fault> {
    call.parsed("entry")
}
