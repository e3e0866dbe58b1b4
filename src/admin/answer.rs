//! How answers look: pages, envelopes, versions, refusals. One form for every operation.

use axum::body::Body;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::dto::Rehearsal;
use super::query::Query;
use crate::control::Committed;
use crate::problem::Refusal;

/// The revision that was enforced when the answer was given.
const REVISION: HeaderName = HeaderName::from_static("x-portcullis-revision");

/// What an operation answers.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Where it is another than the operation's own.
    pub(super) status: Option<u16>,
    pub(super) body: Option<Value>,
    /// The revision that last changed what is answered: its `ETag`.
    pub(super) version: Option<u64>,
    /// The revision that is enforced, where the call changed something.
    pub(super) revision: Option<u64>,
    /// What a page holds in all.
    total: Option<u64>,
    /// What would come of the change, where it was not made: all that is answered then.
    foreseen: Option<Value>,
}

impl Answer {
    /// One thing.
    pub(super) fn of(value: impl Serialize) -> Self {
        // What is answered is made of texts, numbers and lists of them, which always can be written.
        Self { body: Some(json!(value)), ..Self::default() }
    }

    /// Nothing but the status.
    pub(super) fn empty() -> Self {
        Self::default()
    }

    /// A page of things.
    pub(super) fn page(results: Vec<impl Serialize>, total: u64) -> Self {
        Self { total: Some(total), ..Self::of(results) }
    }

    pub(super) fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    pub(super) fn revision(self, revision: u64) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// After a change, or after one that was only foreseen.
    pub(super) fn made<T>(self, made: &Committed<T>) -> Self {
        match &made.foreseen {
            None => self.revision(made.revision),
            Some(foreseen) => Self { foreseen: Some(json!(Rehearsal::from(&**foreseen))), ..self },
        }
    }

    /// The response. `here` is the address of what was asked for, without its query.
    pub(super) fn into_response(self, status: u16, query: &Query, here: &str, media_type: HeaderValue) -> Response {
        if let Some(foreseen) = self.foreseen {
            // Neither a version nor a revision: there is none with the change in it.
            return written(200, Some(foreseen), query, media_type);
        }
        let status = self.status.unwrap_or(status);
        let body = match (self.body, self.total) {
            (Some(results), Some(total)) => Some(page(results, total, query, here)),
            (body, _) => body,
        };
        let mut answer = written(status, body, query, media_type);
        let headers = answer.headers_mut();
        if let Some(version) = self.version {
            headers.extend(HeaderValue::try_from(format!("\"{version}\"")).ok().map(|value| (ETAG, value)));
        }
        if let Some(revision) = self.revision {
            headers.insert(REVISION, HeaderValue::from(revision));
        }
        answer
    }
}

/// Results with the addresses of their neighbours.
fn page(results: Value, total: u64, query: &Query, here: &str) -> Value {
    let (number, size) = (query.page_number(), query.page_size());
    let mut links = vec![json!({"rel": "self", "href": query.address(here, number)})];
    if number > 1 {
        links.push(json!({"rel": "previous", "href": query.address(here, number - 1)}));
    }
    if number.saturating_mul(size) < total {
        links.push(json!({"rel": "next", "href": query.address(here, number + 1)}));
    }
    let mut page = json!({"links": links, "results": results});
    if query.includes_count() {
        page["totalCount"] = json!(total);
    }
    page
}

/// A refusal.
pub(super) fn refused(refusal: &Refusal, request_id: &str, query: &Query) -> Response {
    let mut answer = written(
        refusal.code.status(),
        Some(refusal.body(request_id)),
        query,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = refusal.retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    for challenge in refusal.challenges.iter().filter_map(|text| HeaderValue::try_from(text).ok()) {
        answer.headers_mut().append(WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// With the methods that there are.
pub(super) fn allowing(mut answer: Response, allowed: &'static str) -> Response {
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn written(status: u16, body: Option<Value>, query: &Query, media_type: HeaderValue) -> Response {
    let body = match (body, query.is_enveloped()) {
        (Some(Value::Object(mut page)), true) if page.contains_key("results") => {
            page.insert("status".into(), json!(status));
            Some(Value::Object(page))
        }
        (body, true) => Some(json!({"status": status, "content": body})),
        (body, false) => body,
    };
    // An envelope is for clients that see a body only where all went well, or none at all without one.
    let status = match (query.is_enveloped(), status) {
        (true, 204) => 200,
        (_, status) => status,
    };
    let mut answer = Response::new(match &body {
        None => Body::empty(),
        Some(body) if query.is_pretty() => Body::from(format!("{body:#}\n")),
        Some(body) => Body::from(body.to_string()),
    });
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if body.is_some() {
        headers.insert(CONTENT_TYPE, media_type);
    }
    answer
}
