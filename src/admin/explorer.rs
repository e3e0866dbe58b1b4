//! What a caller asks about the API itself: the address it is seen with, the OpenAPI document, and a page to read it.

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::answer::Answer;
use super::call::Call;
use super::openapi;
use super::operation::{Operation, Verb};
use crate::control::Fault;

/// The address that a caller is seen with.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Seen {
    /// IPv4 or IPv6.
    ip_address: String,
    /// The same, where it is IPv4; clients of Cloud Manager look here.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_ipv4_address: Option<String>,
}

/// The path of the caller's own address.
pub(super) const IP_INFO: &str = "/ipinfo";

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    method: Verb::Get,
    path: IP_INFO,
    id: "getIpInfo",
    summary: "The address that this caller is seen with, as an access list would have to name it.",
    query: &[],
    body: None,
    status: 200,
    answer: Some(SchemaGenerator::subschema_for::<Seen>),
    handler: |call| Box::pin(seen(call)),
}];

#[expect(clippy::unused_async, reason = "every operation is one")]
async fn seen(call: Call) -> Result<Answer, Fault> {
    let address = call.actor.address.map(|address| address.ip());
    Ok(Answer::of(Seen {
        ip_address: address.map(|address| address.to_string()).unwrap_or_default(),
        current_ipv4_address: address.filter(std::net::IpAddr::is_ipv4).map(|address| address.to_string()),
    }))
}

/// The OpenAPI document.
pub(super) fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::document().to_string()).into_response()
}

/// The same for people; fetches nothing from anywhere.
pub(super) fn page() -> Response {
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(openapi::page())).into_response()
}
