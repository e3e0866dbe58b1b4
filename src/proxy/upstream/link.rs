//! What a request goes to an upstream on: a connection of HTTP/1.1, driven by whoever waits for it, or a stream of HTTP/2.
//!
//! `own` has the first, which is never used for two exchanges at once; `shared` has the second.

mod own;
mod parted;
mod shared;

use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;

use super::connect::Stream;
use crate::net::answer::AnswerFault;
use crate::proxy::body::RequestBody;
use crate::proxy::context::Context;
pub(in crate::proxy) use own::Broken;
pub(super) use own::Own;
pub(in crate::proxy) use parted::{Parted, part};
pub(in crate::proxy) use shared::Share;
pub(super) use shared::Shared;

/// What the operator is told of a switch to another protocol.
const NOT_ASKED: &str = "it switches to a protocol that nobody asked for";

/// What carries one exchange: a connection of its own, or a stream of one that many share.
#[derive(Debug)]
pub(in crate::proxy) enum Link {
    /// HTTP/1.1.
    Own(Box<Own>),
    /// HTTP/2.
    Shared(Rc<Share>),
}

impl Link {
    /// Sends a request and waits for the head of its answer. The body comes with it, or is read from the connection that is
    /// the exchange's own.
    pub(in crate::proxy) async fn send(
        &mut self,
        request: Request<RequestBody>,
        context: &Context,
    ) -> Result<Response<Option<Incoming>>, SendFault> {
        match self {
            Self::Own(own) => own.send(request, context).await,
            Self::Shared(share) => Box::pin(shared::send(share, request, context)).await.map(|answer| answer.map(Some)),
        }
    }
}

/// Why an exchange brought no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum SendFault {
    /// Nothing was sent; here is the request.
    #[error("the connection had been closed before anything was sent")]
    Unsent(Box<Request<RequestBody>>),
    /// The connection failed.
    #[error("the connection failed before the answer")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The client's body could not be read to its end.
    #[error("the request's body was cut off")]
    Cut,
    /// The answer can't be read.
    #[error(transparent)]
    Unreadable(#[from] AnswerFault),
    /// The answer is not HTTP as it should be.
    #[error("the answer is not acceptable: {0}")]
    Unacceptable(&'static str),
    /// The upstream was too slow.
    #[error("the answer did not come in time")]
    UpstreamSlow,
    /// All of it took too long, whoever was slow.
    #[error("the exchange did not end in time")]
    TotalPassed,
    /// It names no host that HTTP/2 could say.
    #[error("the request names no host that HTTP/2 could say")]
    Unaddressed,
    /// The client was too slow with its body.
    #[error("the client's body did not come in time")]
    ClientSlow,
}

/// Whose time is over.
fn overdue(context: &Context) -> Option<SendFault> {
    let now = context.worker.ticks.now();
    if context.watch.upstream.has_passed(now) {
        Some(SendFault::UpstreamSlow)
    } else if context.watch.read.has_passed(now) {
        Some(SendFault::ClientSlow)
    } else if context.watch.total.has_passed(now) {
        Some(SendFault::TotalPassed)
    } else {
        None
    }
}

/// What hyper says of a connection that many share.
fn fault_of(fault: hyper::Error) -> SendFault {
    if fault.is_parse_too_large() {
        SendFault::Unreadable(AnswerFault::TooLarge)
    } else if fault.is_parse() {
        SendFault::Unreadable(AnswerFault::Malformed)
    } else {
        SendFault::Failed(fault.into())
    }
}
