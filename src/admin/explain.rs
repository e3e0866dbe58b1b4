//! `/explain`: a decision step by step, for a request that might come or one that the access log tells of.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::{AskedExplanation, Explanation};
use super::operation::{Operation, Verb};
use crate::control::Fault;

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Post,
    path: "/explain",
    id: "explain",
    summary: "Judges a request as the gateway would, and tells each step. Nothing is forwarded, and no use is counted.",
    query: &[],
    body: Some(SchemaGenerator::subschema_for::<AskedExplanation>),
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Explanation>),
    handler: |call| Box::pin(explain(call)),
}];

async fn explain(call: Call) -> Result<Answer, Fault> {
    let asked = call.json::<AskedExplanation>()?.read(call.control.clock().now())?;
    let (mut report, revision) = call.control.explain(&call.actor, asked.request).await?;
    if let Some(logged) = asked.logged {
        logged.compare(&mut report, revision);
    }
    Ok(Answer::of(Explanation::new(report)).version(revision))
}
