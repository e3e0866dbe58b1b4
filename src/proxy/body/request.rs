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
use super::carriage::{Carriage, Coming};
use crate::problem::Code;
use crate::proxy::context::Context;
use crate::proxy::headers::Names;
use crate::proxy::stall::Stall;
use crate::proxy::upstream::Share;
use crate::proxy::worker::Held;

/// How far a request's body has come; shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Progress {
    done: Cell<bool>,
    answered: Cell<bool>,
    over: Cell<bool>,
    gone: Cell<bool>,
    /// Its place in the worker's list, once its answer has left that.
    place: Cell<Option<usize>>,
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

    /// Nobody carries the body any more.
    pub(in crate::proxy) fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// The exchange stays in the worker's list until the body is gone.
    pub(in crate::proxy) fn stays(&self, place: usize) {
        self.place.set(Some(place));
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
    /// Who is to be told of it when it is first asked for a piece.
    coming: Option<(Coming, Rc<Share>)>,
    announced: Option<Coming>,
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
        let stall = Stall::default();
        let (coming, announced) = (None, None);
        let streaming =
            Streaming { incoming, context, held, progress: Rc::clone(&progress), rules, stall, coming, announced };
        (Self(Some(Box::new(streaming))), progress)
    }

    /// It will be carried by a task of its own, which is made by who waits for this.
    pub(in crate::proxy) fn is_coming(&mut self, coming: &Coming, share: &Rc<Share>) {
        if let Some(streaming) = &mut self.0 {
            streaming.coming = Some((coming.clone(), Rc::clone(share)));
        }
    }
}

impl Streaming {
    fn announce(&mut self) {
        if let Some((coming, share)) = self.coming.take() {
            let (context, progress) = (Rc::clone(&self.context), Rc::clone(&self.progress));
            coming.announce(Carriage { context, progress, idle: self.rules.idle, _share: share });
            self.announced = Some(coming);
        }
    }

    fn finished(&self) {
        self.progress.done.set(true);
        self.context.has_whole_request();
        self.context.watch.read.clear();
        match self.progress.over.get() {
            true => self.context.watch.upstream.clear(),
            false => self.waits_for_upstream(self.rules.first_byte),
        }
    }

    /// Whether the upstream's deadline is the body's: before the answer begins, and when it is over.
    fn has_upstream(&self) -> bool {
        !self.progress.answered.get() || self.progress.over.get()
    }

    fn waits_for_upstream(&self, wait: Duration) {
        if self.has_upstream() {
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
        if self.has_upstream() {
            self.context.watch.upstream.clear();
        }
    }

    fn fail(&self, code: Code) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        self.progress.fault.set(Some(code));
        Poll::Ready(Some(Err(CutOff::of_request())))
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        self.announce();
        if self.context.is_broken_off() {
            return Poll::Ready(Some(Err(CutOff::of_request())));
        }
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => {
                self.waits_for_client();
                self.context.watch.register_body(cx.waker());
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
        // Trailers are the last there is, and not everybody asks once more.
        match frame.is_trailers() || self.incoming.is_end_stream() {
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
            self.context.watch.forget_body();
        }
        if let Some(coming) = self.announced.take() {
            // It was over before a task was needed.
            drop(coming.take());
        }
        self.progress.gone.set(true);
        if let Some(place) = self.progress.place.take() {
            let left = self.context.worker.exchanges.borrow_mut().try_remove(place);
            drop(left);
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
