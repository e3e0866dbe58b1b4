//! A connection for a request: at once where there is one, otherwise in the line, for a bounded time.
//!
//! Where every endpoint is out, or the line is full, the answer is no, and costs nothing more.

use std::future::poll_fn;
use std::task::Poll;

use super::balance::{Picked, Tried, Upstream};
use super::endpoint::Slot;
use crate::proxy::context::Context;
use crate::telemetry::metrics::{Overload, UpstreamCounters};

/// Why there is no connection for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Refused {
    /// No endpoint is in that was not tried.
    Out,
    /// The line is full.
    QueueFull,
    /// Nobody was done in time.
    QueueTimeout,
}

impl Upstream {
    /// A connection to an endpoint that was not tried yet, and its place.
    #[inline]
    pub(in crate::proxy) async fn admit(&self, tried: &Tried, context: &Context) -> Result<(Slot, usize), Refused> {
        // Who comes later does not overtake.
        if self.lasting.queue.len() == 0 {
            match self.pick(tried, context.worker.ticks.now()) {
                Picked::Endpoint(slot, place) => return Ok((slot, place)),
                Picked::Out => return Err(Refused::Out),
                Picked::Full => {}
            }
        }
        Box::pin(self.wait(tried, context)).await
    }

    async fn wait(&self, tried: &Tried, context: &Context) -> Result<(Slot, usize), Refused> {
        if self.lasting.queue.len() >= self.rules.queue.length {
            return Err(Refused::QueueFull);
        }
        let place = self.lasting.queue.join();
        let _counted = Counted::new(&self.counters);
        let (ticks, watch) = (&context.worker.ticks, &context.watch);
        watch.upstream.set(ticks.after(self.rules.queue.timeout));
        poll_fn(|cx| {
            let now = ticks.now();
            if place.is_first(cx) {
                match self.pick(tried, now) {
                    Picked::Endpoint(slot, at) => return Poll::Ready(Ok((slot, at))),
                    Picked::Out => return Poll::Ready(Err(Refused::Out)),
                    Picked::Full => {}
                }
            }
            match watch.upstream.has_passed(now) || watch.total.has_passed(now) {
                true => Poll::Ready(Err(Refused::QueueTimeout)),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Counts a refusal on the upstream's behalf.
    pub(in crate::proxy) fn overloaded(&self, refused: Refused) {
        self.counters.overloaded(match refused {
            Refused::Out => Overload::CircuitOpen,
            Refused::QueueFull => Overload::QueueFull,
            Refused::QueueTimeout => Overload::QueueTimeout,
        });
    }
}

/// Counts one who waits, however the wait ends.
struct Counted<'a>(&'a UpstreamCounters);

impl<'a> Counted<'a> {
    fn new(counters: &'a UpstreamCounters) -> Self {
        counters.queued(1);
        Self(counters)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.queued(-1);
    }
}
