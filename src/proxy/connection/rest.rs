//! A connection between two requests that lets go of what serves requests.
//!
//! hyper keeps two buffers and the room of an exchange for as long as it has a connection: some thirty kilobytes, where
//! thousands of connections wait for somebody to ask. What is left here is the stream, and it reads nothing.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::proxy::client_io::ClientIo;
use crate::proxy::context::Context;

/// Counts a connection as resting for as long as it lives.
struct Resting<'c>(&'c Context);

impl<'c> Resting<'c> {
    fn new(context: &'c Context) -> Self {
        context.watch.rest.clear();
        context.worker.stripe.connection_rests();
        Self(context)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.worker.stripe.connection_rested();
    }
}

/// Waits until there is something to read on an idle connection, or its end, or the worker waits for idle connections no
/// longer; `None` where nobody asks in time.
pub(super) async fn until_asked(context: &Rc<Context>, io: ClientIo) -> Option<ClientIo> {
    if io.has_ahead() {
        return Some(io);
    }
    let resting = Resting::new(context);
    let asked = poll_fn(|cx| {
        context.watch.register(cx.waker());
        // Who serves requests closes it in order, as it does others.
        if context.worker.is_hurrying() {
            return Poll::Ready(true);
        }
        if context.watch.head.has_passed(context.worker.ticks.now()) {
            return Poll::Ready(false);
        }
        io.poll_arrival(cx).map(|()| true)
    })
    .await;
    drop(resting);
    asked.then_some(io)
}
