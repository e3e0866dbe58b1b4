//! `/orgs/{orgId}/networkSets`: named networks that entries of access lists refer to.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::{HeldConfirmation, NetworkSet, NetworkSetContent, NewNetworkSet};
use super::operation::{DRY_RUN, GUARDED, Operation, PAGED, Verb};
use crate::control::{Committed, Fault};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/networkSets",
        id: "listNetworkSets",
        summary: "The network sets of an organization, by name.",
        query: &PAGED,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<NetworkSet>>),
        handler: |call| Box::pin(list(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/networkSets",
        id: "createNetworkSet",
        summary: "Makes a network set, which entries of access lists can refer to by `set`.",
        query: &[],
        body: Some(SchemaGenerator::subschema_for::<NewNetworkSet>),
        status: 201,
        answer: Some(SchemaGenerator::subschema_for::<NetworkSet>),
        handler: |call| Box::pin(create(call)),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/networkSets/{setName}",
        id: "getNetworkSet",
        summary: "One network set.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<NetworkSet>),
        handler: |call| Box::pin(show(call)),
    },
    Operation {
        method: Verb::Put,
        path: "/orgs/{orgId}/networkSets/{setName}",
        id: "replaceNetworkSet",
        summary: "Makes a network set exactly this, for every list that refers to it at once; with `If-Match` only where \
                  nobody changed it since.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<NetworkSetContent>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<NetworkSet>),
        handler: |call| Box::pin(replace(call)),
    },
    Operation {
        method: Verb::Delete,
        path: "/orgs/{orgId}/networkSets/{setName}",
        id: "deleteNetworkSet",
        summary: "Deletes a network set that no access list refers to.",
        query: &[DRY_RUN],
        body: None,
        status: 204,
        answer: None,
        handler: |call| Box::pin(delete(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/networkSets/{setName}/refresh",
        id: "refreshNetworkSet",
        summary: "Has the source of a network set asked now; what comes of it, the set shows within seconds.",
        query: &[],
        body: None,
        status: 202,
        answer: Some(SchemaGenerator::subschema_for::<NetworkSet>),
        handler: |call| Box::pin(refresh(call)),
    },
    Operation {
        method: Verb::Post,
        path: "/orgs/{orgId}/networkSets/{setName}/held",
        id: "confirmHeldNetworks",
        summary: "Makes a network set what the list of its source says that is held, by the `id` of `held`.",
        query: &GUARDED,
        body: Some(SchemaGenerator::subschema_for::<HeldConfirmation>),
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<NetworkSet>),
        handler: |call| Box::pin(confirm(call)),
    },
];

/// A set as it is shown now.
fn shown(call: &Call, set: &crate::control::NetworkSet) -> NetworkSet {
    NetworkSet::new(set, &call.base, call.control.clock().now())
}

/// The set of the path.
fn set_name(call: &Call) -> String {
    call.name("setName")
}

fn changed(call: &Call, made: &Committed<crate::control::NetworkSet>) -> Answer {
    Answer::of(shown(call, &made.value)).version(made.value.row.revision).made(made)
}

async fn list(call: Call) -> Result<Answer, Fault> {
    let (sets, total) = call.control.network_sets(&call.actor, call.id("orgId")?, call.page()).await?;
    Ok(Answer::page(sets.iter().map(|set| shown(&call, set)).collect(), total))
}

async fn create(call: Call) -> Result<Answer, Fault> {
    let new = call.json::<NewNetworkSet>()?.parsed()?;
    let made = call.control.create_network_set(&call.actor, call.id("orgId")?, new).await?;
    Ok(changed(&call, &made))
}

async fn show(call: Call) -> Result<Answer, Fault> {
    let set = call.control.network_set(&call.actor, call.id("orgId")?, set_name(&call)).await?;
    Ok(Answer::of(shown(&call, &set)).version(set.row.revision))
}

async fn replace(call: Call) -> Result<Answer, Fault> {
    let name = set_name(&call);
    let edit = call.json::<NetworkSetContent>()?.parsed(&name)?;
    let (place, expected) = ((call.id("orgId")?, name), call.if_match()?);
    let made = call.control.replace_network_set(&call.actor, call.guards(), place, edit, expected).await?;
    Ok(changed(&call, &made))
}

async fn delete(call: Call) -> Result<Answer, Fault> {
    let (organization, expected) = (call.id("orgId")?, call.if_match()?);
    let gone = call.control.delete_network_set(&call.actor, organization, set_name(&call), expected).await?;
    Ok(Answer::empty().made(&gone))
}

async fn refresh(call: Call) -> Result<Answer, Fault> {
    let set = call.control.refresh_network_set(&call.actor, call.id("orgId")?, set_name(&call)).await?;
    Ok(Answer::of(shown(&call, &set)).version(set.row.revision))
}

async fn confirm(call: Call) -> Result<Answer, Fault> {
    let place = (call.id("orgId")?, set_name(&call));
    let HeldConfirmation { id } = call.json::<HeldConfirmation>()?;
    let made = call.control.confirm_held(&call.actor, call.guards(), place, id).await?;
    Ok(changed(&call, &made))
}
