//! `/orgs/{orgId}/unlisted`: whom the switch would refuse.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::Unlisted;
use super::operation::{Operation, PAGED, Verb};
use crate::control::Fault;

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Get,
    path: "/orgs/{orgId}/unlisted",
    id: "listUnlisted",
    summary: "The credentials that the switch refuses once lists are required: they work, and have no list.",
    query: &PAGED,
    body: None,
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Vec<Unlisted>>),
    handler: |call| Box::pin(list(call)),
}];

async fn list(call: Call) -> Result<Answer, Fault> {
    let (all, total) = call.control.unlisted(&call.actor, call.id("orgId")?, call.page()).await?;
    Ok(Answer::page(all.iter().map(Unlisted::from).collect(), total))
}
