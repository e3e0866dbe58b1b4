//! What another part of the program answers on the gateway's listener: at exact paths, off unless it was asked for.
//!
//! Never reaches an upstream, and reads no credential of the gateway: whoever answers proves its clients itself. Runs where it
//! says that it runs; the worker only waits, as for an upstream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::body::ReplyBody;
use super::ledger::Ledger;
use super::reply;
use super::worker::Held;
use crate::access::client_address::ClientAddress;
use crate::access::decision::NoTrace;
use crate::gate::forwarded::derive;
use crate::problem::Code;

/// Most bytes of a body.
const LARGEST_BODY: usize = 32 * 1024;
/// How long a body may take to come.
const BODY: Duration = Duration::from_secs(10);
/// How long an answer may take to be made.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer that is being made; or why there is none.
pub type LocalAnswer = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Code>> + Send>>;

/// Answers some paths of the gateway's listener.
pub trait LocalService: Send + Sync + fmt::Debug {
    /// Whether this very path is its own. In any other spelling it is not, and goes the way of all requests.
    fn is_own(&self, path: &str) -> bool;

    /// Answers, on another thread than the caller's where it takes long. A [`Code`] in the answer's extensions says that it is a
    /// refusal, and which.
    fn answer(&self, head: Parts, client: ClientAddress, body: Bytes) -> LocalAnswer;
}

/// Answers a request of a path that is the service's own.
pub(super) async fn answer(
    service: &dyn LocalService,
    head: Parts,
    body: Incoming,
    current: &Held,
    mut ledger: Box<Ledger>,
) -> Response<ReplyBody> {
    let settings = &current.settings;
    let peer = Rc::clone(ledger.context()).peer();
    let derived = derive(&peer, &settings.client_address, &head.headers, &mut NoTrace);
    ledger.derived(&derived, current.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision()));
    let client = match derived.client {
        Ok(client) => client,
        Err(fault) => {
            ledger.refused(Code::ClientAddressUnresolved, Some(fault.as_str()));
            return reply::refuse(Code::ClientAddressUnresolved, settings, ledger, true);
        }
    };
    let read = tokio::time::timeout(BODY, Limited::new(body, LARGEST_BODY).collect()).await;
    let body = match read {
        Ok(Ok(body)) => {
            ledger.context().has_whole_request();
            body.to_bytes()
        }
        fault => {
            let code = match fault {
                Ok(Err(fault)) if fault.is::<LengthLimitError>() => Code::ContentTooLarge,
                Ok(_) => Code::MalformedRequest,
                Err(_elapsed) => Code::RequestTimeout,
            };
            ledger.failed(code, None);
            return reply::refuse(code, settings, ledger, true);
        }
    };
    let made = tokio::time::timeout(PATIENCE, service.answer(head, client, body)).await;
    match made.unwrap_or(Err(Code::StoreUnavailable)) {
        Ok(answer) => {
            match answer.extensions().get::<Code>().copied() {
                None => ledger.passed(),
                Some(code) if answer.status().is_server_error() => ledger.failed(code, None),
                Some(code) => ledger.refused(code, None),
            }
            ledger.answered(answer.status().as_u16());
            answer.map(|body| ReplyBody::whole(body, Some(ledger)))
        }
        Err(code) => {
            ledger.failed(code, None);
            reply::refuse(code, settings, ledger, false)
        }
    }
}
