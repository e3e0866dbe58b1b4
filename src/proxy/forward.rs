//! The only way to an upstream, and it takes a permit.
//!
//! What leaves here is in our own framing, with our own headers; which endpoint gets it, and how often, is `attempt`'s affair.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::attempt::{Attempts, Failure, Sent};
use super::body::{Progress, ReplyBody, RequestBody, Rules};
use super::context::Context;
use super::headers::{self, Identity, Outbound};
use super::ledger::Ledger;
use super::upstream::Upstream;
use super::worker::Held;
use super::{reply, tunnel};
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

    // A stream of HTTP/2 can't become another protocol by a 101 (RFC 9113 §8.6).
    let upgrade = match upstream.rules.speaks_http2() {
        true => None,
        false => headers::wanted_upgrade(&head, permit.route()),
    };
    let identity = match permit.grant() {
        Grant::Credential { credential, organization, .. } => Some(Identity { credential, organization }),
        Grant::Public => None,
    };
    let (id, peer, client) = (ledger.id(), context.peer(), permit.client());
    let facts = Outbound { settings, peer: &peer, derived: &derived, client, identity, request_id: id.as_bytes() };
    if headers::prepare(&mut head.headers, &facts).is_err() {
        ledger.failed(Code::InternalError, Some("an identity header's value is not visible text"));
        return reply::refuse(Code::InternalError, settings, ledger, !body.is_end_stream());
    }

    if let Some(protocol) = upgrade {
        headers::announce_upgrade(&mut head.headers, protocol);
    }

    // Only HTTP/1.0 passes without a host.
    let keep_host =
        upstream.rules.preserve_host && (head.version == Version::HTTP_11 || head.headers.contains_key(HOST));
    let (request, progress) = make(head, body, &context, &held, &upstream);
    if let Some(progress) = &progress {
        ledger.follows(Rc::clone(progress));
    }
    upstream.begin();
    if let Some(total) = upstream.rules.total_timeout {
        context.watch.total.set(context.worker.ticks.after(total));
    }
    let progress_of = progress.as_deref();
    let mut attempts =
        Attempts { context: &context, upstream: &upstream, progress: progress_of, keep_host, repeated: false };
    let Some(sent) = unless_revoked(&context, attempts.send(request, &mut ledger)).await else {
        let code = context.revoked().unwrap_or(Code::InternalError);
        context.tell();
        // The connection is as good as before, unless the client is still sending.
        let unread = progress.is_some_and(|progress| !progress.is_done());
        return reply::refuse(code, settings, ledger, unread);
    };
    match sent {
        Ok(Sent::Echoed(answer)) => {
            ledger.answered(answer.status().as_u16());
            answer.map(|body| ReplyBody::whole(body, Some(ledger)))
        }
        Ok(Sent::Answered(answer, lease)) => {
            context.watch.upstream.clear();
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                if let Some(upstream) = lease.into_tunnel() {
                    return tunnel::switch(answer, upstream, ledger);
                }
                // `link` has refused it already.
                ledger.failed(Code::UpstreamProtocolError, Some("a stream of HTTP/2 can't become another protocol"));
                return reply::refuse(Code::UpstreamProtocolError, settings, ledger, false);
            }
            let (mut head, body) = answer.into_parts();
            headers::clean_answer(&mut head.headers);
            // The version is the connection's own affair.
            head.version = Version::HTTP_11;
            head.extensions.clear();
            ledger.answered(head.status.as_u16());
            let body = match progress.filter(|progress| !progress.is_done()) {
                // The answer begins while the request is still on its way.
                Some(progress) => {
                    progress.answer_began();
                    lease.part(body, Rc::clone(&context), progress, upstream.rules.idle_timeout)
                }
                None => lease.into_body(body),
            };
            Response::from_parts(head, ReplyBody::upstream(body, Rc::clone(&held), upstream.rules.idle_timeout, ledger))
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

/// Waits for the answer's head, unless the request is not to be answered any more.
async fn unless_revoked<F: Future>(context: &Context, sending: F) -> Option<F::Output> {
    let mut sending = pin!(sending);
    poll_fn(|cx| match context.revoked() {
        Some(_) => Poll::Ready(None),
        None => sending.as_mut().poll(cx).map(Some),
    })
    .await
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
        return (Request::from_parts(head, RequestBody::none()), None);
    }
    if body.size_hint().exact().is_none() {
        // Said aloud: for a GET with a body hyper would otherwise send none.
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let rules = Rules {
        max_bytes: held.settings.limits.max_body_bytes,
        first_byte: upstream.rules.first_byte_timeout,
        idle: upstream.rules.idle_timeout,
    };
    let (body, progress) = RequestBody::streaming(body, Rc::clone(context), Rc::clone(held), rules);
    (Request::from_parts(head, body), Some(progress))
}
