//! Refusals: every answer that does not come from an upstream.
//!
//! One form for all of them. Never tells the client what only the operator may know.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::body::ReplyBody;
use super::ledger::Ledger;
use super::request_id::RequestId;
use crate::access::client_address::ClientAddress;
use crate::config::settings::Gateway;
use crate::problem::{self, Code};

/// Refuses a request. `unread` says that bytes of its body may still come: the connection ends with the answer.
pub(super) fn refuse(code: Code, settings: &Gateway, mut ledger: Box<Ledger>, unread: bool) -> Response<ReplyBody> {
    ledger.answered(code.status());
    ledger.seal(settings);
    if unread {
        ledger.context().linger();
    }
    let mut answer = bare(code, ledger.client(), ledger.told_id(), unread);
    let overloaded = matches!(code, Code::UpstreamOverloaded | Code::GatewayOverloaded).then_some(1);
    if let Some(seconds) = ledger.retry_after().or(overloaded) {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if code.status() == 401 {
        let worker = &ledger.context().worker;
        let challenges = worker.judge.challenges(settings, worker.wall.now(), ledger.is_stale());
        for challenge in challenges.into_iter().filter_map(|text| HeaderValue::try_from(text).ok()) {
            answer.headers_mut().append(WWW_AUTHENTICATE, challenge);
        }
    }
    answer.map(|body| ReplyBody::whole(body, Some(ledger)))
}

/// The answer of an exchange that panicked; its ledger has closed already.
pub(super) fn internal(id: Option<RequestId>) -> Response<ReplyBody> {
    let id = id.as_ref().map_or("", RequestId::as_str);
    bare(Code::InternalError, None, id, true).map(|body| ReplyBody::whole(body, None))
}

fn bare(code: Code, client: Option<ClientAddress>, id: &str, close: bool) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(problem::body(code, client, id)));
    // Every status of the closed set of codes is a valid one.
    *answer.status_mut() = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
