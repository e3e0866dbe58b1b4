//! OpenAPI links: where the ids of an answer lead, so that generated clients and testers walk from call to call.
//!
//! Found in the table of operations and told nowhere else: where some path has `things/{thingId}`, whoever makes or lists
//! `things` answers what `{thingId}` takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::operation::{Operation, PAGED, Verb};
use super::path_names;

/// The links from the answer of an operation to all that its ids open.
pub(super) fn from(operation: &Operation, all: &[&Operation]) -> Map<String, Value> {
    let mut links = Map::new();
    let Some(name) = made_by(operation, all) else { return links };
    let field = field(name);
    let place = match is_paged(operation) {
        true => format!("$response.body#/results/0/{field}"),
        false => format!("$response.body#/{field}"),
    };
    let known: Vec<&str> = path_names(operation.path).collect();
    for target in all.iter().filter(|target| target.id != operation.id) {
        let needed: Vec<&str> = path_names(target.path).collect();
        if !needed.contains(&name) || !needed.iter().all(|one| *one == name || known.contains(one)) {
            continue;
        }
        let parameters: Map<String, Value> = needed
            .iter()
            .map(|one| {
                let from = if *one == name { place.clone() } else { format!("$request.path.{one}") };
                ((*one).to_owned(), Value::String(from))
            })
            .collect();
        links.insert(target.id.to_owned(), json!({"operationId": target.id, "parameters": parameters}));
    }
    links
}

/// The part of paths that an operation makes or lists.
fn made_by(operation: &Operation, all: &[&Operation]) -> Option<&'static str> {
    let is_source = operation.answer.is_some() && (operation.method == Verb::Post || is_paged(operation));
    let last = operation.path.rsplit('/').next().filter(|last| is_source && !last.starts_with('{'))?;
    let mut names = BTreeMap::new();
    for path in all.iter().map(|one| one.path) {
        let parts: Vec<&'static str> = path.split('/').collect();
        for pair in parts.windows(2) {
            if let (segment, Some(name)) = (pair[0], path_names(pair[1]).next()) {
                names.insert(segment, name);
            }
        }
    }
    names.get(last).copied()
}

/// The attribute of an answer that a part of a path is.
fn field(name: &str) -> &str {
    match name {
        "entry" => "cidrBlock",
        "setName" => "name",
        name if name.ends_with("Id") && name != "clientId" || name == "id" => "id",
        name => name,
    }
}

fn is_paged(operation: &Operation) -> bool {
    operation.query.iter().any(|one| one.name == PAGED[0].name)
}
