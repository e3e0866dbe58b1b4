//! `/explain`: a decision step by step, for a request that might come, one that the access log tells of, or a receipt.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::{AskedExplanation, Explanation, Read};
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
    let (report, revision) = match call.json::<AskedExplanation>()?.read(call.control.clock().now())? {
        Read::Receipt(text) => call.control.explain_receipt(&call.actor, &text).await?,
        Read::Request(request) => call.control.explain(&call.actor, request).await?,
        Read::Line(logged, request) => {
            let (mut report, revision) = call.control.explain(&call.actor, request).await?;
            logged.compare(&mut report, revision);
            (report, revision)
        }
    };
    Ok(Answer::of(Explanation::new(report)).version(revision))
}
