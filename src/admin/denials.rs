//! `/orgs/{orgId}/denials`: the last refused requests.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::Denied;
use super::operation::{Operation, PAGED, Verb};
use crate::control::Fault;

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Get,
    path: "/orgs/{orgId}/denials",
    id: "listDenials",
    summary: "The last requests of proven credentials that this process has refused, or would have; newest first.",
    query: &PAGED,
    body: None,
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Vec<Denied>>),
    handler: |call| Box::pin(list(call)),
}];

async fn list(call: Call) -> Result<Answer, Fault> {
    let all = call.control.refused_requests(&call.actor, call.id("orgId")?, 0).await?;
    let (skip, most) = call.page();
    let skipped = all.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
    let shown = skipped.take(usize::try_from(most).unwrap_or(usize::MAX)).map(|refused| Denied::new(refused));
    Ok(Answer::page(shown.collect(), all.len() as u64))
}
