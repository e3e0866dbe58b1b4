//! From a request to the head of its answer: which endpoint, which connection, and what is tried again.
//!
//! A connection that can't be had costs nothing: nothing was sent, and the next endpoint is asked, each at most once. What
//! may have reached an endpoint is sent again once at most, where the method is idempotent, the request has no body and the
//! budget allows it; anything else never.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, Uri};
use hyper::body::Incoming;

use super::body::{Progress, RequestBody};
use super::context::Context;
use super::ledger::Ledger;
use super::upstream::{Endpoint, Lease, Refused, SendFault, Slot, Tried, Upstream, echo};
use crate::problem::Code;
use crate::telemetry::metrics::Exchange;

/// Why forwarding brought no answer, for client and operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) reason: &'static str,
}

/// What came of a request.
pub(super) enum Sent {
    Answered(Response<Option<Incoming>>, Lease),
    Echoed(Response<Bytes>),
}

/// A request on its way to one upstream.
pub(super) struct Attempts<'a> {
    pub(super) context: &'a Context,
    pub(super) upstream: &'a Upstream,
    /// How far the body has come; `None` where there is none.
    pub(super) progress: Option<&'a Progress>,
    pub(super) keep_host: bool,
    /// It was sent twice already.
    pub(super) repeated: bool,
}

enum Outcome {
    Answered(Response<Option<Incoming>>, Lease),
    Failed(Failure),
    /// Another endpoint may have it; if none is left, this is why.
    Onwards(Box<Request<RequestBody>>, Failure),
    /// The same; if none is left, this one may have it on a fresh connection.
    Elsewhere(Box<Request<RequestBody>>, Failure),
}

/// How one exchange on one connection went.
enum Exchanged {
    Answered(Response<Option<Incoming>>),
    /// Nothing was sent.
    Unsent(Box<Request<RequestBody>>),
    /// The connection failed, and the request may be sent again.
    Repeat(Box<Request<RequestBody>>, Failure),
    Failed(Failure),
}

impl Attempts<'_> {
    /// Sends a request until it is answered or nothing is left to be tried.
    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
        ledger: &mut Ledger,
    ) -> Result<Sent, Failure> {
        let mut tried = Tried::new();
        let mut last = None;
        // One that closed a kept connection may be about to end; where no other takes the request, it is asked once more.
        let mut closed_kept = None;
        loop {
            let (slot, place) = match self.upstream.admit(&tried, self.context).await {
                Ok(admitted) => admitted,
                Err(Refused::Out) if closed_kept.is_some() => {
                    let place = closed_kept.take();
                    tried.retain(|known| Some(*known) != place);
                    continue;
                }
                Err(refused) => return Err(last.unwrap_or_else(|| self.refused(refused))),
            };
            tried.push(place);
            ledger.tries(slot.endpoint());
            if slot.endpoint().is_echo() {
                let cut = Failure { code: Code::MalformedRequest, reason: "the client's body ended early" };
                return Box::pin(echo(request)).await.map(Sent::Echoed).map_err(|_| cut);
            }
            if !self.keep_host
                && let Some(authority) = slot.endpoint().authority()
            {
                request.headers_mut().insert(HOST, authority.clone());
            }
            match self.try_endpoint(request, slot, ledger).await {
                Outcome::Answered(answer, lease) => return Ok(Sent::Answered(answer, lease)),
                Outcome::Failed(failure) => return Err(failure),
                Outcome::Elsewhere(spare, failure) => {
                    closed_kept = Some(place);
                    (request, last) = (*spare, Some(failure));
                }
                Outcome::Onwards(unsent, failure) => {
                    if self.context.watch.total.has_passed(self.context.worker.ticks.now()) {
                        return Err(failure_of(&SendFault::TotalPassed));
                    }
                    (request, last) = (*unsent, Some(failure));
                }
            }
        }
    }

    async fn try_endpoint(&mut self, mut request: Request<RequestBody>, slot: Slot, ledger: &mut Ledger) -> Outcome {
        let ticks = &self.context.worker.ticks;
        let endpoint = Rc::clone(slot.endpoint());
        // At most one exchange on a kept connection may fail for its age; then a fresh one decides.
        let mut waiting = Some(slot);
        let taken = poll_fn(|cx| {
            let slot = waiting.take();
            Poll::Ready(slot.map(|slot| slot.take(ticks, cx)))
        })
        .await;
        let slot = match taken {
            Some(Ok(mut lease)) => {
                // A kept connection may be closed by the upstream while the request is on its way. For a request that may
                // be sent twice its head is kept; not where the only endpoint has long kept its word and the connection
                // waited less than a tick, which is the state of things under load.
                let aged = lease.idle_since.is_some_and(|since| since != ticks.now()) || endpoint.is_fickle();
                let spare = self.spare(&request, aged);
                match self.exchange(request, &mut lease, &endpoint, spare).await {
                    Exchanged::Answered(answer) => {
                        endpoint.kept(true);
                        return Outcome::Answered(answer, lease);
                    }
                    Exchanged::Unsent(unsent) => request = *unsent,
                    Exchanged::Repeat(spare, failure) if self.upstream.has_several() => {
                        endpoint.kept(false);
                        return Outcome::Elsewhere(spare, failure);
                    }
                    Exchanged::Repeat(spare, _) => {
                        ledger.tries(&endpoint);
                        request = *spare;
                    }
                    Exchanged::Failed(failure) => return Outcome::Failed(failure),
                }
                endpoint.kept(false);
                lease.close()
            }
            Some(Err(slot)) => slot,
            // It was put there a moment ago.
            None => return Outcome::Failed(failure_of(&SendFault::UpstreamSlow)),
        };
        let mut lease = match self.connect(slot).await {
            Some(lease) => lease,
            None => {
                self.upstream.unreachable(&endpoint, ticks.now());
                return Outcome::Onwards(Box::new(request), UNREACHABLE);
            }
        };
        self.upstream.counters.connection();
        let spare = self.spare(&request, false);
        match self.exchange(request, &mut lease, &endpoint, spare).await {
            Exchanged::Answered(answer) => Outcome::Answered(answer, lease),
            Exchanged::Unsent(unsent) => {
                self.upstream.unreachable(&endpoint, ticks.now());
                Outcome::Onwards(unsent, UNREACHABLE)
            }
            Exchanged::Repeat(spare, failure) => Outcome::Onwards(spare, failure),
            Exchanged::Failed(failure) => Outcome::Failed(failure),
        }
    }

    async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        lease: &mut Lease,
        endpoint: &Rc<Endpoint>,
        spare: Option<Spare>,
    ) -> Exchanged {
        let (watch, ticks) = (&self.context.watch, &self.context.worker.ticks);
        let rules = &self.upstream.rules;
        let wait = if self.progress.is_some() { rules.idle_timeout } else { rules.first_byte_timeout };
        watch.upstream.set(ticks.after(wait));
        let fault = match lease.link.send(request, self.context).await {
            Ok(answer) => {
                self.upstream.succeeded(endpoint);
                return Exchanged::Answered(answer);
            }
            Err(SendFault::Unsent(unsent)) => return Exchanged::Unsent(unsent),
            Err(fault) => fault,
        };
        // Where the client's own body failed, the endpoint is not to blame.
        let is_clients = matches!(fault, SendFault::ClientSlow | SendFault::Cut)
            || self.progress.is_some_and(|at| at.fault().is_some());
        if !is_clients {
            let how = match fault {
                SendFault::UpstreamSlow | SendFault::TotalPassed => Exchange::TimedOut,
                _ => Exchange::Failed,
            };
            self.upstream.failed(endpoint, how, ticks.now());
        }
        let failure = failure_of(&fault);
        match (fault, spare) {
            (SendFault::Failed(_), Some(spare)) if self.upstream.may_repeat() => {
                self.repeated = true;
                Exchanged::Repeat(Box::new(spare.restore()), failure)
            }
            _ => Exchanged::Failed(failure),
        }
    }

    /// What is needed to send a request a second time, where that may come to pass. With several endpoints any may die with
    /// a request on its way; the only one is asked again only where it may have closed a kept connection.
    fn spare(&self, request: &Request<RequestBody>, aged: bool) -> Option<Spare> {
        let may = (aged || self.upstream.has_several())
            && !self.repeated
            && self.progress.is_none()
            && self.upstream.rules.retries.is_some()
            && is_idempotent(request.method());
        may.then(|| Spare::of(request))
    }

    /// A fresh connection. Connecting has a deadline of its own.
    async fn connect(&self, slot: Slot) -> Option<Lease> {
        let (watch, ticks) = (&self.context.watch, &self.context.worker.ticks);
        watch.upstream.clear();
        let patience: Duration = watch.total.cap(ticks.now(), self.upstream.rules.connect_timeout);
        let shown = Rc::clone(slot.endpoint());
        let (upstream, endpoint) = (self.upstream.name(), shown.shown());
        match Box::pin(tokio::time::timeout(patience, slot.connect(ticks))).await {
            Ok(Ok(lease)) => Some(lease),
            Ok(Err(fault)) => {
                let cause = std::error::Error::source(&fault).map(tracing::field::display);
                tracing::warn!(upstream, endpoint, fault = %fault, cause, "cannot connect");
                None
            }
            Err(_late) => {
                tracing::warn!(upstream, endpoint, "cannot connect in time");
                None
            }
        }
    }

    /// Counts and names a refusal on the upstream's behalf.
    fn refused(&self, refused: Refused) -> Failure {
        self.upstream.overloaded(refused);
        let reason = match refused {
            Refused::Out => {
                "every endpoint of the upstream is out: unwell, or left alone because it took no connections"
            }
            Refused::QueueFull => "all connections to the upstream are in use, and so is every place in its queue",
            Refused::QueueTimeout => "no connection to the upstream became free in time",
        };
        Failure { code: Code::UpstreamOverloaded, reason }
    }
}

const UNREACHABLE: Failure =
    Failure { code: Code::UpstreamUnreachable, reason: "no endpoint of the upstream takes a connection" };

fn failure_of(fault: &SendFault) -> Failure {
    let (code, reason) = match fault {
        SendFault::Unsent(_) => return UNREACHABLE,
        SendFault::Unreadable(fault) => (Code::UpstreamProtocolError, fault.as_str()),
        SendFault::Cut => (Code::MalformedRequest, "the client's body could not be read to its end"),
        SendFault::Failed(_) => (Code::UpstreamProtocolError, "the upstream closed the connection without an answer"),
        SendFault::Unacceptable(why) => (Code::UpstreamProtocolError, *why),
        SendFault::Unaddressed => (Code::InternalError, "the request names no host that HTTP/2 could say"),
        SendFault::UpstreamSlow => (Code::UpstreamTimeout, "the upstream did not answer in time"),
        SendFault::TotalPassed => (Code::UpstreamTimeout, "there was no answer within the upstream's total_timeout"),
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
