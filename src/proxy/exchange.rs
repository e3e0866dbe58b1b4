//! One request, one outcome: opened, checked, judged, then forwarded or refused.
//!
//! The published value is taken once. Nothing here reaches an upstream but `forward`, which needs a permit.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::body::{self, ReplyBody};
use super::context::Context;
use super::forward::{Outgoing, forward};
use super::ledger::Ledger;
use super::rate::Rated;
use super::{local, reply};
use crate::access::decision::NoTrace;
use crate::config::settings::Gateway;
use crate::gate::judge::{Outcome, target};
use crate::gate::sanity::{self, http2};
use crate::problem::Code;

/// Answers one request, whatever happens.
pub(super) async fn run(context: Rc<Context>, request: Request<Incoming>) -> Response<ReplyBody> {
    let (mut head, body) = request.into_parts();
    let told_apart = http2::unify(&mut head);
    let mut ledger = Ledger::open(&context, &head);
    let has_body = !body.is_end_stream();
    if !has_body {
        context.has_whole_request();
    }
    let current = context.worker.current();
    let settings = &current.settings;

    let most = settings.limits.clients.max_requests;
    if most.is_some_and(|most| context.worker.exchanges.borrow().len() > most) {
        ledger.failed(Code::GatewayOverloaded, None);
        return turn_away(Code::GatewayOverloaded, settings, ledger, body, false);
    }
    if head.version == Version::HTTP_2 && head.headers.len() > settings.limits.max_headers {
        ledger.failed(Code::HeadersTooLarge, None);
        return turn_away(Code::HeadersTooLarge, settings, ledger, body, false);
    }
    if let Err(insane) = told_apart.and_then(|()| sanity::check(&head, has_body, settings.outbound)) {
        ledger.failed(Code::MalformedRequest, Some(insane.0));
        // The framing is in doubt: whatever follows is not read as a request.
        return turn_away(Code::MalformedRequest, settings, ledger, body, true);
    }

    if context.is_misdirected(target(&head).host) {
        ledger.failed(
            Code::MisdirectedRequest,
            Some("the host is not the name that the client's certificate was shown for"),
        );
        return turn_away(Code::MisdirectedRequest, settings, ledger, body, false);
    }

    let worker = Rc::clone(&context.worker);
    if let Some(service) = worker.local.as_deref().filter(|service| service.is_own(head.uri.path())) {
        return local::answer(service, head, body, &current, ledger).await;
    }
    let now = worker.wall.now();
    let verdict = worker.judge.judge(&current, &context.peer(), &head, now, &mut NoTrace);
    let revision = current.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision());
    ledger.derived(&verdict.derived, revision);
    let permit = match verdict.outcome {
        Outcome::Allow(permit) => permit,
        Outcome::Deny(denial) => {
            worker.meter.denied(&denial, now);
            ledger.denied(&denial);
            let code = match worker.judge.count(&denial, &verdict.derived, &current, now) {
                Some(seconds) => {
                    worker.stripe.throttled();
                    ledger.limited(seconds, None);
                    Code::RateLimited
                }
                None => denial.reason.into(),
            };
            return turn_away(code, settings, ledger, body, false);
        }
        Outcome::NotReady => {
            ledger.failed(Code::NotReady, None);
            return turn_away(Code::NotReady, settings, ledger, body, false);
        }
    };
    worker.meter.permitted(&permit, now);
    ledger.permitted(&permit, verdict.ground, current.generation);
    let rated = Rated::of(&permit, settings, &ledger);
    if let Some(seconds) = rated.and_then(|rated| rated.retry_after()) {
        ledger.limited(seconds, Some("the credential's request rate is spent"));
        return told(rated, turn_away(Code::RateLimited, settings, ledger, body, false));
    }

    // Announced lengths are refused before the client is asked for the body.
    if settings.limits.max_body_bytes.is_some_and(|max| body.size_hint().lower() > max) {
        ledger.failed(Code::ContentTooLarge, None);
        return turn_away(Code::ContentTooLarge, settings, ledger, body, false);
    }
    let outgoing = Outgoing { head, body, derived: verdict.derived, held: Rc::clone(&current) };
    told(rated, forward(permit, outgoing, ledger).await)
}

/// The answer with what the client is told of its rate.
fn told(rated: Option<Rated>, mut answer: Response<ReplyBody>) -> Response<ReplyBody> {
    if let Some(rated) = rated {
        rated.tell(answer.headers_mut());
    }
    answer
}

/// Refuses a request whose body nobody has read. In HTTP/1.1 the connection ends with the answer, politely; a stream is read on
/// for a moment, since clients exist that lose an answer which comes with the end of their stream.
fn turn_away(code: Code, settings: &Gateway, ledger: Box<Ledger>, body: Incoming, close: bool) -> Response<ReplyBody> {
    let unread = !body.is_end_stream();
    if unread && ledger.context().is_stream() {
        tokio::task::spawn_local(body::discard(body));
    }
    reply::refuse(code, settings, ledger, unread || close)
}

pin_project_lite::pin_project! {
    /// Runs an exchange such that its panic ends it alone: 500 for the client, a count for the operator.
    pub(super) struct Contained<F> {
        #[pin]
        exchange: F,
        context: Rc<Context>,
    }
}

impl<F> Contained<F> {
    pub(super) fn new(context: Rc<Context>, exchange: F) -> Self {
        Self { exchange, context }
    }
}

impl<F: Future<Output = Response<ReplyBody>>> Future for Contained<F> {
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match catch_unwind(AssertUnwindSafe(|| this.exchange.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(mut answer)) => {
                let context = this.context;
                // A stream is told by its connection.
                let closes = context.worker.is_draining() && !context.is_stream();
                if closes && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Poll::Ready(Ok(answer))
            }
            Err(_panic) => {
                // The hook has told the log where; the ledger has closed while the stack unwound.
                this.context.linger();
                Poll::Ready(Ok(reply::internal(this.context.last_id())))
            }
        }
    }
}
