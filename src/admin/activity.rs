//! `/orgs/{orgId}/activity`: requests, denials and latency over the last hour.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::Activity;
use super::operation::{Operation, Verb};
use crate::control::Fault;

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Get,
    path: "/orgs/{orgId}/activity",
    id: "getActivity",
    summary: "How many requests of its credentials this process has let through and refused in the last hour, and how long they took.",
    query: &[],
    body: None,
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Activity>),
    handler: |call| Box::pin(activity(call)),
}];

async fn activity(call: Call) -> Result<Answer, Fault> {
    let (begins, tallies) = call.control.activity(&call.actor, call.id("orgId")?).await?;
    Ok(Answer::of(Activity::new(begins, &tallies)))
}
