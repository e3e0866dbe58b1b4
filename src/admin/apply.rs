//! `/apply`: organizations are made what a directory file says, in one change.

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::dto::Rehearsal;
use super::operation::{DRY_RUN, FORCE, Kind, Operation, Parameter, Verb};
use crate::control::{self, Application, Fault};
use crate::problem::{Code, Refusal};

/// Most changes that are told one by one.
const MOST_TOLD: usize = 1_000;

const PRUNE: Parameter = Parameter {
    name: "prune",
    kind: Kind::Flag,
    about: "Delete projects, network sets and credentials of these organizations that the document does not name.",
};

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Post,
    path: "/apply",
    id: "applyDirectory",
    summary: "Makes organizations what a directory file says, all of it or nothing, as one revision. Other organizations \
              are left alone. The document is a directory file as JSON (`portcullis schema directory`), without list files.",
    query: &[DRY_RUN, PRUNE, FORCE],
    body: Some(document),
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Applied>),
    handler: |call| Box::pin(apply(call)),
}];

fn document(_: &mut SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "properties": { "organizations": { "type": "array", "items": { "type": "object" } } },
        "required": ["organizations"],
    })
}

/// The least that a document says; everything else of it is read as a directory file is.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "organizations")]
    _organizations: Vec<IgnoredAny>,
}

/// What was done, or would be.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Applied {
    /// In the order in which it is done; the first thousand.
    results: Vec<Change>,
    /// How many there are.
    total_count: u64,
    /// What would come of it; with `dryRun` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    rehearsal: Option<Rehearsal>,
}

/// One thing that was done, or would be.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Change {
    /// `create`, `update` or `delete`.
    action: &'static str,
    /// `organization`, `project`, `network_set`, `api_key` or `service_account`.
    kind: &'static str,
    /// In which organization.
    org_id: String,
    /// Its id, client id or name.
    id: String,
    /// What people call it.
    name: String,
    /// What becomes of it, such as `enabled: true → false`.
    changes: Vec<String>,
}

impl From<control::Applied> for Change {
    fn from(applied: control::Applied) -> Self {
        let control::Applied { action, kind, organization, id, name, changes } = applied;
        Self { action, kind, org_id: organization.to_string(), id, name, changes }
    }
}

async fn apply(call: Call) -> Result<Answer, Fault> {
    let how = Application { guards: call.guards(), prune: call.query.flag(PRUNE.name) };
    if serde_json::from_str::<Named>(call.text()?).is_err_and(|fault| fault.is_data()) {
        let detail = "missing; name those that are to be made what the document says";
        return Err(Refusal::field(Code::MissingOneOfAttributes, "organizations", detail).into());
    }
    let done = call.control.apply_directory(&call.actor, call.text()?.to_owned(), how).await?;
    let total_count = done.value.len() as u64;
    let results = done.value.into_iter().take(MOST_TOLD).map(Change::from).collect();
    let rehearsal = done.foreseen.as_deref().map(Rehearsal::from);
    let is_made = rehearsal.is_none();
    let answer = Answer::of(Applied { results, total_count, rehearsal });
    Ok(if is_made { answer.revision(done.revision) } else { answer })
}
