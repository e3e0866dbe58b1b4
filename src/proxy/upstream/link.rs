//! What a request goes to an upstream on: a connection of HTTP/1.1, driven by whoever waits for it, or a stream of HTTP/2.
//!
//! hyper's connection future is polled on the exchange's own task: no second task, no wake-up between the two
//! (`docs/decisions`, PERFORMANCE). Never used for two exchanges at once; `shared` has the one that is.

mod shared;

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;

use super::connect::Stream;
use super::endpoint::Slot;
use crate::proxy::body::{Progress, RequestBody, unless_broken_off};
use crate::proxy::context::Context;
use crate::proxy::headers;
pub(in crate::proxy) use shared::Share;
pub(super) use shared::Shared;

/// Room for the heads of answers.
const MAX_HEAD: usize = 64 * 1024;
/// Fields of an answer's head.
const MAX_FIELDS: usize = 100;
/// What the operator is told of a head that is over either.
pub(in crate::proxy) const TOO_LARGE: &str = "the head of the upstream's answer is over 64 KiB or 100 fields";
/// Most bytes that are read or kept back at once.
const MAX_BUFFER: usize = 256 * 1024;

/// What carries one exchange: a connection of its own, or a stream of one that many share.
#[derive(Debug)]
pub(in crate::proxy) enum Link {
    /// HTTP/1.1.
    Own(Box<Own>),
    /// HTTP/2.
    Shared(Rc<Share>),
}

impl Link {
    /// Whether whoever waits for the exchange drives the connection; a shared one runs by itself.
    pub(super) fn is_driven_here(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// Sends a request and waits for the head of its answer.
    pub(in crate::proxy) async fn send(
        &mut self,
        request: Request<RequestBody>,
        context: &Context,
    ) -> Result<Response<Incoming>, SendFault> {
        match self {
            Self::Own(own) => own.send(request, context).await,
            Self::Shared(share) => Box::pin(shared::send(share, request, context)).await,
        }
    }
}

/// A connection and its sender.
#[derive(Debug)]
pub(in crate::proxy) struct Own {
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<Stream>, RequestBody>,
    ended: bool,
}

/// Why an exchange brought no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum SendFault {
    /// Nothing was sent; here is the request.
    #[error("the connection had been closed before anything was sent")]
    Unsent(Box<Request<RequestBody>>),
    /// The connection failed.
    #[error("the connection failed before the answer")]
    Failed(#[source] hyper::Error),
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

impl Own {
    pub(super) async fn open(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_HEAD)
            .max_headers(MAX_FIELDS)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, connection, ended: false })
    }

    pub(super) fn poll_drive(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if !self.ended && Pin::new(&mut self.connection).poll(cx).is_ready() {
            self.ended = true;
        }
        if self.ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether a waiting connection is still open and silent.
    pub(super) fn is_clean(&mut self, cx: &mut task::Context<'_>) -> bool {
        self.poll_drive(cx).is_pending() && self.sender.is_ready()
    }

    /// Whether another request may follow on it.
    pub(super) fn is_reusable(&mut self) -> bool {
        let ready = |link: &Self| !link.ended && link.sender.is_ready();
        // The poll that brought the last byte has made it ready, as a rule.
        ready(self) || self.poll_drive(&mut task::Context::from_waker(task::Waker::noop())).is_pending() && ready(self)
    }

    /// Goes on by itself until the request's body has been sent. Whoever stands still after the answer is over ends it: an
    /// upstream that answers early, and then neither reads nor closes, must not hold two sockets for ever.
    /// It ends with its exchange, too.
    pub(super) fn detach(self, context: Rc<Context>, progress: Rc<Progress>, patience: Duration, slot: Slot) {
        let Self { sender, mut connection, ended } = self;
        drop(sender);
        if ended {
            return;
        }
        tokio::task::spawn_local(async move {
            // It counts as in use for as long as it is there.
            let _slot = slot;
            loop {
                let before = progress.bytes();
                // How it ends is told by the bodies, which have their own ends of it.
                let runs = unless_broken_off(&context, &mut connection);
                let ended = tokio::time::timeout(patience, runs).await.is_ok();
                if ended || progress.is_over() && progress.bytes() == before {
                    return;
                }
            }
        });
    }

    /// The bare connection, once hyper is done with it, and what was read of the new protocol.
    pub(super) fn into_stream(self) -> (Stream, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }

    async fn send(
        &mut self,
        request: Request<RequestBody>,
        context: &Context,
    ) -> Result<Response<Incoming>, SendFault> {
        // Only ours is left by now.
        let asked = request.headers().get(UPGRADE).cloned();
        // The answer's channel is filled by the connection alone, which is polled right before it: its waker need not be
        // told, and the task is not woken by its own doing. Unconstrained, for a budget's wake-up would be lost with it.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        let (connection, ended) = (&mut self.connection, &mut self.ended);
        let response = std::future::poll_fn(|cx| {
            if !*ended && Pin::new(&mut *connection).poll(cx).is_ready() {
                *ended = true;
            }
            let mut blind = task::Context::from_waker(task::Waker::noop());
            match answer.as_mut().poll(&mut blind) {
                Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                Poll::Ready(Err(mut fault)) => {
                    return Poll::Ready(Err(match fault.take_message() {
                        Some(request) => SendFault::Unsent(Box::new(request)),
                        None => SendFault::Failed(fault.into_error()),
                    }));
                }
                Poll::Pending => {}
            }
            match overdue(context) {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            }
        })
        .await?;
        accept(response, asked.as_ref())
    }
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

/// Refuses answers whose end two parsers would see in different places (threats.md F2), and switches to a protocol that was not asked for
/// (threats.md F3).
fn accept(response: Response<Incoming>, asked: Option<&HeaderValue>) -> Result<Response<Incoming>, SendFault> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && !asked.is_some_and(|asked| headers::agrees_upgrade(response.headers(), asked))
    {
        return Err(SendFault::Unacceptable("it switches to a protocol that nobody asked for"));
    }
    let headers = response.headers();
    if headers.len() > MAX_FIELDS {
        // In HTTP/1.1 hyper has counted them.
        return Err(SendFault::Unacceptable(TOO_LARGE));
    }
    if let Some(coding) = headers.get(TRANSFER_ENCODING) {
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(SendFault::Unacceptable("it has both Content-Length and Transfer-Encoding"));
        }
        let only = headers.get_all(TRANSFER_ENCODING).iter().count() == 1;
        if !only || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(SendFault::Unacceptable("it has a transfer coding other than chunked"));
        }
    }
    Ok(response)
}
