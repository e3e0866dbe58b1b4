//! `/orgs/{orgId}/reporting`: credentials whose lists only report.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::Reporting;
use super::operation::{Operation, PAGED, Verb};
use crate::control::Fault;

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Get,
    path: "/orgs/{orgId}/reporting",
    id: "listReporting",
    summary: "The credentials whose lists only report, and since when nothing that passed would have been refused.",
    query: &PAGED,
    body: None,
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Vec<Reporting>>),
    handler: |call| Box::pin(list(call)),
}];

async fn list(call: Call) -> Result<Answer, Fault> {
    let (all, total) = call.control.reporting(&call.actor, call.id("orgId")?, call.page()).await?;
    Ok(Answer::page(all.iter().map(Reporting::from).collect(), total))
}
