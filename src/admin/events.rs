//! `/orgs/{orgId}/events` and `/groups/{groupId}/events`: the record of changes.

use schemars::SchemaGenerator;

use super::answer::Answer;
use super::call::Call;
use super::dto::Event;
use super::operation::{Kind, Operation, PAGED, Parameter, Verb};
use crate::access::record::EventFilter;
use crate::control::Fault;

const TYPE: Parameter =
    Parameter { name: "eventType", kind: Kind::Text, about: "Only events of this type; may be there several times." };
const FROM: Parameter = Parameter { name: "minDate", kind: Kind::Time, about: "Not before." };
const UNTIL: Parameter = Parameter { name: "maxDate", kind: Kind::Time, about: "Not after." };
const QUERY: [Parameter; 6] = [TYPE, FROM, UNTIL, PAGED[0], PAGED[1], PAGED[2]];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/events",
        id: "listOrganizationEvents",
        summary: "What was changed in an organization, newest first.",
        query: &QUERY,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Event>>),
        handler: |call| Box::pin(list(call, "orgId")),
    },
    Operation {
        method: Verb::Get,
        path: "/orgs/{orgId}/events/{eventId}",
        id: "getOrganizationEvent",
        summary: "One event of an organization.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Event>),
        handler: |call| Box::pin(show(call, "orgId")),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}/events",
        id: "listProjectEvents",
        summary: "What was changed in a project, newest first.",
        query: &QUERY,
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Vec<Event>>),
        handler: |call| Box::pin(list(call, "groupId")),
    },
    Operation {
        method: Verb::Get,
        path: "/groups/{groupId}/events/{eventId}",
        id: "getProjectEvent",
        summary: "One event of a project.",
        query: &[],
        body: None,
        status: 200,
        answer: Some(SchemaGenerator::subschema_for::<Event>),
        handler: |call| Box::pin(show(call, "groupId")),
    },
];

fn filter(call: &Call, of: &str) -> Result<EventFilter, Fault> {
    let id = Some(call.id(of)?);
    Ok(EventFilter {
        organization: id.filter(|_| of == "orgId"),
        project: id.filter(|_| of == "groupId"),
        types: call.query.texts(TYPE.name),
        from: call.query.time(FROM.name),
        until: call.query.time(UNTIL.name),
    })
}

async fn list(call: Call, of: &'static str) -> Result<Answer, Fault> {
    let (rows, total) = call.control.events(&call.actor, filter(&call, of)?, call.page()).await?;
    Ok(Answer::page(rows.into_iter().map(|row| Event::new(row, &call.base)).collect(), total))
}

async fn show(call: Call, of: &'static str) -> Result<Answer, Fault> {
    let row = call.control.event(&call.actor, filter(&call, of)?, call.id("eventId")?).await?;
    Ok(Answer::of(Event::new(row, &call.base)))
}
