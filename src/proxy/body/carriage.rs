//! What carries a request's body to an upstream on a task of its own: it ends with its exchange, whoever it waits for.
//!
//! The task that answers the client ends by itself. This one may be waiting for the upstream to read, and would notice
//! nothing of a revocation, or of a client that is gone.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use super::Progress;
use crate::proxy::context::Context;
use crate::proxy::upstream::Share;

/// Whose body is carried.
#[derive(Debug)]
pub(in crate::proxy) struct Carriage {
    pub(super) context: Rc<Context>,
    pub(super) progress: Rc<Progress>,
    /// Longest time that the upstream may take no byte, once the answer is over.
    pub(super) idle: Duration,
    /// Its place on a connection that others share.
    pub(super) _share: Rc<Share>,
}

/// The body whose task comes next: hyper polls it once, and makes its task in one go.
#[derive(Debug, Clone, Default)]
pub(in crate::proxy) struct Coming(Rc<RefCell<Option<Carriage>>>);

impl Coming {
    pub(super) fn announce(&self, carriage: Carriage) {
        *self.0.borrow_mut() = Some(carriage);
    }

    pub(in crate::proxy) fn take(&self) -> Option<Carriage> {
        self.0.borrow_mut().take()
    }
}

pin_project_lite::pin_project! {
    /// A task that carries a body, for as long as its exchange may go on.
    pub(in crate::proxy) struct Carried<F> {
        #[pin]
        future: F,
        carriage: Carriage,
        after_answer: bool,
    }
}

impl<F> Carried<F> {
    pub(in crate::proxy) fn new(future: F, carriage: Carriage) -> Self {
        Self { future, carriage, after_answer: false }
    }
}

impl<F: Future<Output = ()>> Future for Carried<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = self.project();
        let Carriage { context, progress, idle, .. } = this.carriage;
        context.watch.register_body(cx.waker());
        // What is dropped with the task is reset.
        if context.is_broken_off() {
            return Poll::Ready(());
        }
        let ticks = &context.worker.ticks;
        if progress.is_over() && !*this.after_answer {
            *this.after_answer = true;
            // Where the body waits for the client, it says so itself.
            context.watch.upstream.start(ticks.after(*idle));
        }
        if this.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let late = *this.after_answer && context.watch.upstream.has_passed(ticks.now());
        if late { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Waits for what carries a body of this exchange, unless the exchange is broken off.
pub(in crate::proxy) async fn unless_broken_off<F: Future + Unpin>(context: &Context, carries: &mut F) {
    poll_fn(|cx| {
        context.watch.register_body(cx.waker());
        if context.is_broken_off() { Poll::Ready(()) } else { Pin::new(&mut *carries).poll(cx).map(drop) }
    })
    .await;
}
