//! The client's body as the upstream reads it.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::CutOff;
use crate::problem::Code;
use crate::proxy::context::Context;
use crate::proxy::headers::Names;
use crate::proxy::stall::Stall;
use crate::proxy::worker::Held;

/// How far a request's body has come; shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Progress {
    done: Cell<bool>,
    answered: Cell<bool>,
    over: Cell<bool>,
    fault: Cell<Option<Code>>,
    bytes: Cell<u64>,
}

impl Progress {
    /// Every byte has been handed on.
    pub(in crate::proxy) fn is_done(&self) -> bool {
        self.done.get()
    }

    /// The answer has begun: the upstream's deadline is the answer's from now on.
    pub(in crate::proxy) fn answer_began(&self) {
        self.answered.set(true);
    }

    /// The answer has ended, whatever becomes of the body.
    pub(in crate::proxy) fn answer_ended(&self) {
        self.over.set(true);
    }

    pub(in crate::proxy) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// What the client did wrong, where it was the client.
    pub(in crate::proxy) fn fault(&self) -> Option<Code> {
        self.fault.get()
    }

    /// Bytes so far.
    pub(in crate::proxy) fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

/// Limits of one body.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Rules {
    pub(in crate::proxy) max_bytes: Option<u64>,
    /// From the end of the body to the answer's head.
    pub(in crate::proxy) first_byte: Duration,
    /// Longest time the upstream may take no byte.
    pub(in crate::proxy) idle: Duration,
}

/// A request's body; most requests have none.
#[derive(Debug)]
pub(in crate::proxy) struct RequestBody(Option<Box<Streaming>>);

#[derive(Debug)]
struct Streaming {
    incoming: Incoming,
    context: Rc<Context>,
    held: Held,
    progress: Rc<Progress>,
    rules: Rules,
    stall: Stall,
}

impl RequestBody {
    /// The body of a request that has none.
    pub(in crate::proxy) fn none() -> Self {
        Self(None)
    }

    /// A body to be streamed.
    pub(in crate::proxy) fn streaming(
        incoming: Incoming,
        context: Rc<Context>,
        held: Held,
        rules: Rules,
    ) -> (Self, Rc<Progress>) {
        let progress = Rc::new(Progress::default());
        context.carry();
        let streaming =
            Streaming { incoming, context, held, progress: Rc::clone(&progress), rules, stall: Stall::default() };
        (Self(Some(Box::new(streaming))), progress)
    }
}

impl Streaming {
    fn finished(&self) {
        self.progress.done.set(true);
        self.context.watch.read.clear();
        self.waits_for_upstream(self.rules.first_byte);
    }

    fn waits_for_upstream(&self, wait: Duration) {
        if !self.progress.answered.get() {
            self.context.watch.upstream.set(self.context.worker.ticks.after(wait));
        }
    }

    fn waits_for_client(&self) {
        let ticks = &self.context.worker.ticks;
        let timeouts = &self.context.timeouts;
        let mut wait = timeouts.body_idle;
        // Within a conversation the client may be waiting for the upstream.
        if let Some(pace) = timeouts.pace.filter(|_| !self.progress.answered.get()) {
            wait = wait.min(Duration::from_millis(self.stall.begin(&pace, ticks.now())));
        }
        self.context.watch.read.start(ticks.after(wait));
        if !self.progress.answered.get() {
            self.context.watch.upstream.clear();
        }
    }

    fn fail(&self, code: Code) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        self.progress.fault.set(Some(code));
        Poll::Ready(Some(Err(CutOff::of_request())))
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => {
                self.waits_for_client();
                return match self.context.watch.read.has_passed(self.context.worker.ticks.now()) {
                    true => self.fail(Code::RequestTimeout),
                    false => Poll::Pending,
                };
            }
            Poll::Ready(None) => {
                self.finished();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(_))) => return self.fail(Code::MalformedRequest),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        self.context.watch.read.clear();
        let mut frame = frame;
        if let Some(data) = frame.data_ref() {
            if self.stall.has_begun() {
                self.stall.end(data.len() as u64, self.context.worker.ticks.now());
            }
            let total = self.progress.bytes.get() + data.len() as u64;
            self.progress.bytes.set(total);
            if self.rules.max_bytes.is_some_and(|max| total > max) {
                return self.fail(Code::ContentTooLarge);
            }
        }
        if let Some(trailers) = frame.trailers_mut() {
            Names::of(&self.held.settings).clean_trailers(trailers);
        }
        match self.incoming.is_end_stream() {
            true => self.finished(),
            false => self.waits_for_upstream(self.rules.idle),
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if !self.progress.done.get() {
            self.context.linger();
            self.context.watch.read.clear();
        }
        self.context.put_down();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(streaming) => streaming.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|streaming| streaming.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |streaming| streaming.incoming.size_hint())
    }
}
