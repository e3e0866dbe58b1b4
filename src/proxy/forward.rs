//! The only way to an upstream, and it takes a permit.
//!
//! Each endpoint is tried once; what can't have reached an upstream is sent again, anything else never.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::body::{Progress, ReplyBody, RequestBody, Rules};
use super::context::Context;
use super::headers::{self, Identity, Outbound};
use super::ledger::Ledger;
use super::reply;
use super::upstream::{Endpoint, Lease, SendFault, Upstream, echo};
use super::worker::Held;
use crate::access::decision::{Grant, Permit};
use crate::gate::forwarded::Derived;
use crate::problem::Code;

/// A judged request on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) head: Parts,
    pub(super) body: Incoming,
    pub(super) derived: Derived,
    pub(super) held: Held,
}

/// Why forwarding brought no answer, for client and operator.
#[derive(Debug, Clone, Copy)]
struct Failure {
    code: Code,
    reason: &'static str,
}

/// Forwards a request. The permit is consumed: one permit, one request.
pub(super) async fn forward(permit: Permit<'_>, outgoing: Outgoing, mut ledger: Box<Ledger>) -> Response<ReplyBody> {
    let Outgoing { mut head, body, derived, held } = outgoing;
    let context = Rc::clone(ledger.context());
    let settings = &held.settings;
    let Some(upstream) = context.worker.upstreams.find(settings, permit.route().upstream) else {
        ledger.failed(Code::InternalError, Some("the route names an upstream that is not there"));
        return reply::refuse(Code::InternalError, settings, ledger, !body.is_end_stream());
    };
    ledger.goes_to(&upstream);

    let identity = match permit.grant() {
        Grant::Credential { credential, organization, .. } => Some(Identity { credential, organization }),
        Grant::Public => None,
    };
    let (id, peer, client) = (ledger.id(), context.peer(), permit.client());
    let facts = Outbound { settings, peer: &peer, derived: &derived, client, identity, request_id: id.as_str() };
    if headers::prepare(&mut head.headers, &facts).is_err() {
        ledger.failed(Code::InternalError, Some("an identity header's value is not visible text"));
        return reply::refuse(Code::InternalError, settings, ledger, !body.is_end_stream());
    }

    // Only HTTP/1.0 passes without a host.
    let keep_host = upstream.preserve_host && (head.version == Version::HTTP_11 || head.headers.contains_key(HOST));
    let (request, progress) = make(head, body, &context, &held, &upstream);
    if let Some(progress) = &progress {
        ledger.follows(Rc::clone(progress));
    }
    upstream.counters.request();
    let sent = send(request, progress.as_deref(), &context, &upstream, keep_host).await;
    match sent {
        Ok(Sent::Echoed(answer)) => {
            ledger.answered(answer.status().as_u16());
            answer.map(|body| ReplyBody::whole(body, Some(ledger)))
        }
        Ok(Sent::Answered(answer, lease)) => {
            context.watch.upstream.clear();
            let (mut head, body) = answer.into_parts();
            headers::clean_answer(&mut head.headers);
            // The version is the connection's own affair.
            head.version = Version::HTTP_11;
            head.extensions.clear();
            ledger.answered(head.status.as_u16());
            let lease = match progress.filter(|progress| !progress.is_done()) {
                // The answer begins while the request is still on its way: on one task, a client that does not read
                // would keep the rest of its own request from being sent.
                Some(progress) => {
                    progress.answer_began();
                    lease.detach(progress, upstream.idle_timeout);
                    None
                }
                None => Some(lease),
            };
            Response::from_parts(
                head,
                ReplyBody::upstream(body, lease, Rc::clone(&held), upstream.idle_timeout, ledger),
            )
        }
        Err(failure) => {
            // Where the client's own body failed, the upstream is not to blame.
            let failure = match progress.as_ref().and_then(|progress| progress.fault()) {
                Some(code) => Failure { code, reason: "the client's body could not be read to its end" },
                None => {
                    upstream.counters.failure();
                    failure
                }
            };
            let unread = progress.is_some_and(|progress| !progress.is_done());
            ledger.failed(failure.code, Some(failure.reason));
            reply::refuse(failure.code, settings, ledger, unread)
        }
    }
}

/// The request in our own framing.
fn make(
    mut head: Parts,
    body: Incoming,
    context: &Rc<Context>,
    held: &Held,
    upstream: &Upstream,
) -> (Request<RequestBody>, Option<Rc<Progress>>) {
    if head.uri.authority().is_some()
        && let Some(path) = head.uri.path_and_query().cloned()
    {
        head.uri = Uri::from(path);
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    if body.is_end_stream() {
        context.watch.upstream.set(context.worker.ticks.after(upstream.first_byte_timeout));
        return (Request::from_parts(head, RequestBody::none()), None);
    }
    if body.size_hint().exact().is_none() {
        // Said aloud: for a GET with a body hyper would otherwise send none.
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let rules = Rules {
        max_bytes: held.settings.limits.max_body_bytes,
        first_byte: upstream.first_byte_timeout,
        idle: upstream.idle_timeout,
    };
    context.watch.upstream.set(context.worker.ticks.after(upstream.idle_timeout));
    let (body, progress) = RequestBody::streaming(body, Rc::clone(context), Rc::clone(held), rules);
    (Request::from_parts(head, body), Some(progress))
}

enum Sent {
    Answered(Response<Incoming>, Lease),
    Echoed(Response<Bytes>),
}

async fn send(
    mut request: Request<RequestBody>,
    progress: Option<&Progress>,
    context: &Context,
    upstream: &Upstream,
    keep_host: bool,
) -> Result<Sent, Failure> {
    for endpoint in upstream.turn() {
        if endpoint.is_echo() {
            let cut = Failure { code: Code::MalformedRequest, reason: "the client's body ended early" };
            return Box::pin(echo(request)).await.map(Sent::Echoed).map_err(|_| cut);
        }
        if !keep_host && let Some(authority) = endpoint.authority() {
            request.headers_mut().insert(HOST, authority.clone());
        }
        match try_endpoint(request, progress, context, upstream, endpoint).await {
            Tried::Answered(answer, lease) => return Ok(Sent::Answered(answer, lease)),
            Tried::Failed(failure) => return Err(failure),
            Tried::Unreachable(unsent) => request = *unsent,
        }
    }
    Err(Failure { code: Code::UpstreamUnreachable, reason: "no endpoint of the upstream takes a connection" })
}

enum Tried {
    Answered(Response<Incoming>, Lease),
    Failed(Failure),
    Unreachable(Box<Request<RequestBody>>),
}

async fn try_endpoint(
    mut request: Request<RequestBody>,
    progress: Option<&Progress>,
    context: &Context,
    upstream: &Upstream,
    endpoint: &Rc<Endpoint>,
) -> Tried {
    let ticks = &context.worker.ticks;
    // At most one exchange on a kept connection may fail for its age; then a fresh one decides.
    let waiting = poll_fn(|cx| std::task::Poll::Ready(endpoint.take(ticks, cx))).await;
    if let Some(mut lease) = waiting {
        // A kept connection may be closed by the upstream while the request is on its way. For a request that may be sent
        // twice its head is kept; not where the endpoint has long kept its word and the connection waited less than a tick,
        // which is the state of things under load.
        let aged = lease.idle_since.is_some_and(|since| since != ticks.now()) || endpoint.is_fickle();
        let spare = (aged && progress.is_none() && is_idempotent(request.method())).then(|| Spare::of(&request));
        match lease.link.send(request, context).await {
            Ok(answer) => {
                endpoint.kept(true);
                return Tried::Answered(answer, lease);
            }
            Err(SendFault::Unsent(unsent)) => request = *unsent,
            Err(SendFault::Failed(fault)) => match spare {
                Some(spare) if !fault.is_parse() => request = spare.restore(),
                _ => return Tried::Failed(failure(&SendFault::Failed(fault))),
            },
            Err(fault) => return Tried::Failed(failure(&fault)),
        }
        endpoint.kept(false);
        upstream.counters.retry();
    }
    // Connecting has a deadline of its own.
    context.watch.upstream.clear();
    let connecting = Box::pin(tokio::time::timeout(upstream.connect_timeout, endpoint.connect(ticks)));
    let mut lease = match connecting.await {
        Ok(Ok(lease)) => lease,
        Ok(Err(fault)) => {
            tracing::warn!(
                upstream = upstream.name(),
                fault = %fault,
                cause = std::error::Error::source(&fault).map(tracing::field::display),
                "cannot connect"
            );
            return Tried::Unreachable(Box::new(request));
        }
        Err(_late) => {
            tracing::warn!(upstream = upstream.name(), "cannot connect in time");
            return Tried::Unreachable(Box::new(request));
        }
    };
    upstream.counters.connection();
    let wait = if progress.is_some() { upstream.idle_timeout } else { upstream.first_byte_timeout };
    context.watch.upstream.set(ticks.after(wait));
    match lease.link.send(request, context).await {
        Ok(answer) => Tried::Answered(answer, lease),
        Err(SendFault::Unsent(unsent)) => Tried::Unreachable(unsent),
        Err(fault) => Tried::Failed(failure(&fault)),
    }
}

fn failure(fault: &SendFault) -> Failure {
    let (code, reason) = match fault {
        SendFault::Unsent(_) => (Code::UpstreamUnreachable, "the upstream closed the connection"),
        SendFault::Failed(fault) if fault.is_parse() => {
            (Code::UpstreamProtocolError, "the upstream's answer is not HTTP as it should be")
        }
        SendFault::Failed(_) => (Code::UpstreamProtocolError, "the upstream closed the connection without an answer"),
        SendFault::Unacceptable(why) => (Code::UpstreamProtocolError, *why),
        SendFault::UpstreamSlow => (Code::UpstreamTimeout, "the upstream did not answer in time"),
        SendFault::ClientSlow => (Code::RequestTimeout, "the client's body did not come in time"),
    };
    Failure { code, reason }
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// The head of a request without a body, to be sent a second time.
struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Spare {
    fn of(request: &Request<RequestBody>) -> Self {
        Self { method: request.method().clone(), uri: request.uri().clone(), headers: request.headers().clone() }
    }

    fn restore(self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::none());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}
