//! The import: a stream of lines that is read as it comes, judged whole, and added by one change.
//!
//! Runs on the admin runtime and the threads behind it; requests through the gateway never wait for it. Whoever sends faster
//! than is read waits.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde::Serialize;
use tokio::time::Instant;

use super::answer::Answer;
use super::call::Call;
use super::operation::{DRY_RUN, Kind, Operation, Parameter, Verb};
use crate::control::{self, Fault, Feeder, LARGEST_IMPORT, feed};
use crate::problem::{Code, Refusal};

/// How long the next piece of a body may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long all of them may take, from the import's turn on: the next one waits.
const MOST_TIME: Duration = Duration::from_secs(15 * 60);

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Post,
    path: "/import",
    id: "importDirectory",
    summary: "Adds organizations, projects, network sets, API keys and service accounts in bulk: all or nothing, as one revision.",
    query: &[Parameter { name: DRY_RUN.name, kind: Kind::Flag, about: "Only tell what would be added." }],
    body: Some(lines),
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Imported>),
    handler: |call| Box::pin(import(call)),
}];

fn lines(_: &mut SchemaGenerator) -> schemars::Schema {
    json_schema!({
        "type": "string",
        "description": "One JSON object a line: `organization`, and after it an `api_key` or `service_account` for each of its credentials, with the attributes of a directory file.",
    })
}

/// What an import added.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Imported {
    organizations: Count,
    projects: Count,
    network_sets: Count,
    api_keys: Count,
    service_accounts: Count,
    access_list_entries: Count,
    /// What would be added, the first thousand of it; with `dryRun` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    would_add: Vec<Added>,
}

/// Something that would be added.
#[derive(Debug, Serialize, JsonSchema)]
struct Added {
    /// `organization`, `project`, `network_set`, `api_key` or `service_account`.
    kind: &'static str,
    /// Of a network set that of its organization.
    id: String,
    /// What people call it.
    name: String,
}

/// How many came, and how many were there and are the same.
#[derive(Debug, Serialize, JsonSchema)]
struct Count {
    added: u64,
    unchanged: u64,
}

impl From<control::Count> for Count {
    fn from(count: control::Count) -> Self {
        Self { added: count.added, unchanged: count.unchanged }
    }
}

impl From<control::Imported> for Imported {
    fn from(imported: control::Imported) -> Self {
        let added = imported.first.into_iter();
        Self {
            organizations: imported.organizations.into(),
            projects: imported.projects.into(),
            network_sets: imported.network_sets.into(),
            api_keys: imported.keys.into(),
            service_accounts: imported.accounts.into(),
            access_list_entries: imported.entries.into(),
            would_add: added.map(|one| Added { kind: one.kind, id: one.id.to_string(), name: one.name }).collect(),
        }
    }
}

async fn import(mut call: Call) -> Result<Answer, Fault> {
    call.control.may_import(&call.actor).await?;
    let is_rehearsal = call.actor.rehearses;
    let body = call.stream.get_mut().ok().and_then(Option::take).unwrap_or_default();
    // Its time begins with its turn: nobody is to be blamed for the import before.
    let turn = call.control.turn_to_import().await;
    let (feeder, input) = feed();
    // Reading ends with the import, also where that ends early.
    let importing = call.control.import(&call.actor, turn, input, is_rehearsal);
    let (done, ()) = tokio::join!(importing, pour(body, feeder));
    let done = done?;
    let mut shown = Imported::from(done.value);
    if !is_rehearsal {
        shown.would_add.clear();
    }
    let answer = Answer::of(shown);
    Ok(if is_rehearsal { answer } else { answer.revision(done.revision) })
}

/// Hands a body on, piece by piece.
async fn pour(mut body: Body, feeder: Feeder) {
    let mut received = 0;
    let end = Instant::now() + MOST_TIME;
    loop {
        let patience = end.min(Instant::now() + PATIENCE);
        let refusal = match tokio::time::timeout_at(patience, body.frame()).await {
            Ok(None) => return feeder.end().await,
            Ok(Some(Ok(frame))) => {
                let Ok(bytes) = frame.into_data() else { continue };
                received += bytes.len() as u64;
                match received > LARGEST_IMPORT {
                    true => Refusal::new(
                        Code::ContentTooLarge,
                        format!("An import has at most {LARGEST_IMPORT} bytes; split it by organizations."),
                    ),
                    false if feeder.put(bytes).await => continue,
                    // Nobody reads any more: why is told by whoever read.
                    false => return,
                }
            }
            Ok(Some(Err(_))) => Refusal::new(Code::InvalidJson, "The body ended early; nothing was imported."),
            Err(_) => Refusal::new(
                Code::RequestTimeout,
                "The import did not arrive in time: a minute for each piece, 15 minutes in all. Nothing was imported.",
            ),
        };
        return feeder.refuse(refusal).await;
    }
}
