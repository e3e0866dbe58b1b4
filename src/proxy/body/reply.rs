//! The answer's body as the client reads it, and the ledger that closes with it.

use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::CutOff;
use crate::problem::Code;
use crate::proxy::context::Context;
use crate::proxy::headers::Names;
use crate::proxy::ledger::Ledger;
use crate::proxy::upstream::AnswerBody;
use crate::proxy::worker::Held;

const OVERDUE: &str = "the answer was not over within the upstream's total_timeout";

/// An answer's body.
#[derive(Debug)]
pub(in crate::proxy) struct ReplyBody {
    kind: Kind,
    /// `None` once the end has been reached, and for what never had one.
    ledger: Option<Box<Ledger>>,
}

#[derive(Debug)]
enum Kind {
    Whole(Option<Bytes>),
    Upstream(Box<Streaming>),
}

#[derive(Debug)]
struct Streaming {
    answer: AnswerBody,
    held: Held,
    idle: Duration,
}

impl ReplyBody {
    /// A body that is all here.
    pub(in crate::proxy) fn whole(bytes: Bytes, ledger: Option<Box<Ledger>>) -> Self {
        let kind = Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()));
        let mut body = Self { kind, ledger };
        if let (Kind::Whole(Some(bytes)), Some(ledger)) = (&body.kind, &mut body.ledger)
            && !ledger.is_head()
        {
            ledger.sent(bytes.len());
        }
        body
    }

    /// Keeps the head alone: an answer to HEAD.
    pub(in crate::proxy) fn leave_out(&mut self) {
        if let Kind::Whole(bytes) = &mut self.kind {
            *bytes = None;
        }
    }

    /// The body of an upstream's answer.
    pub(in crate::proxy) fn upstream(mut answer: AnswerBody, held: Held, idle: Duration, ledger: Box<Ledger>) -> Self {
        if answer.is_end_stream() {
            answer.give_back();
            return Self::whole(Bytes::new(), Some(ledger));
        }
        Self { kind: Kind::Upstream(Box::new(Streaming { answer, held, idle })), ledger: Some(ledger) }
    }
}

impl Streaming {
    fn clean(&self, trailers: &mut HeaderMap) {
        Names::of(&self.held.settings).clean_trailers(trailers);
    }
}

/// A part of the answer is on its way to a stream's client, whose window may be shut. A connection that has one exchange at a
/// time sees what is written by itself.
fn await_client(context: &Context) {
    if context.is_stream() {
        context.watch.write.set(context.worker.ticks.after(context.timeouts.body_idle));
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let Self { kind, ledger } = &mut *self;
        let streaming = match kind {
            Kind::Whole(bytes) => {
                if let Some(ledger) = ledger {
                    await_client(ledger.context());
                }
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            Kind::Upstream(streaming) => streaming,
        };
        if ledger.as_ref().is_some_and(|open| open.context().revoked().is_some()) {
            *ledger = None;
            streaming.answer.close();
            return Poll::Ready(Some(Err(CutOff::of_answer())));
        }
        let polled = streaming.answer.poll_frame(cx);
        let Some(open) = ledger else {
            return Poll::Ready(None);
        };
        let watch = &open.context().watch;
        let ticks = &open.context().worker.ticks;
        let cut = match polled {
            Poll::Pending => {
                if open.context().is_stream() {
                    watch.write.clear();
                }
                watch.upstream.start(ticks.after(streaming.idle));
                let now = ticks.now();
                if watch.upstream.has_passed(now) {
                    (Code::UpstreamTimeout, "the upstream fell silent within its answer")
                } else if watch.read.has_passed(now) {
                    (Code::RequestTimeout, "the client fell silent within its body, after the answer had begun")
                } else if watch.total.has_passed(now) {
                    (Code::UpstreamTimeout, OVERDUE)
                } else {
                    return Poll::Pending;
                }
            }
            Poll::Ready(None) => {
                streaming.answer.give_back();
                *ledger = None;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(_))) => (Code::UpstreamProtocolError, "the upstream's answer ended early"),
            Poll::Ready(Some(Ok(_))) if watch.total.has_passed(ticks.now()) => (Code::UpstreamTimeout, OVERDUE),
            Poll::Ready(Some(Ok(mut frame))) => {
                watch.upstream.clear();
                if let Some(data) = frame.data_ref() {
                    open.sent(data.len());
                    await_client(open.context());
                }
                if let Some(trailers) = frame.trailers_mut() {
                    streaming.clean(trailers);
                }
                if streaming.answer.is_end_stream() {
                    streaming.answer.give_back();
                    *ledger = None;
                }
                return Poll::Ready(Some(Ok(frame)));
            }
        };
        open.failed(cut.0, Some(cut.1));
        *ledger = None;
        streaming.answer.close();
        Poll::Ready(Some(Err(CutOff::of_answer())))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Upstream(streaming) => streaming.answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upstream(streaming) => streaming.answer.size_hint(),
        }
    }
}
