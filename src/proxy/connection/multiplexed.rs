//! A client connection that speaks HTTP/2 (RFC 9113): each stream is an exchange of its own, with deadlines of its own.
//!
//! What a stream does to others is bounded here: how many there are at a time, how large their heads are, how often a client
//! may open streams only to take them back. Never decides on a request.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::{Ended, Version};
use crate::config::settings::Limits;
use crate::proxy::body::ReplyBody;
use crate::proxy::client_io::{ClientIo, Transport};
use crate::proxy::context::{Context, Ending};
use crate::proxy::exchange::{self, Contained};

/// What a client that knows HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client may send on one stream before somebody reads it.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Largest window that can be said (RFC 9113 §6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// Smallest that may be offered (RFC 9113 §6.5.2): large frames of one stream hold up the others.
const MAX_FRAME: u32 = 16 * 1024;
/// What of one answer waits within the connection until the client reads it.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were reset by the client before anybody took them up. One more ends the connection (rapid reset).
const MOST_PENDING_RESETS: usize = 20;
/// Streams that were reset because the client broke the protocol. One more ends the connection.
const MOST_FAULTY_STREAMS: usize = 100;
/// Streams that a client may take back before they are answered, whatever else it does; beyond that, half of all that it opens.
const FREE_CANCELLATIONS: u32 = 100;
/// What a connection that has been told to end gets for it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Which version a client without TLS begins with; `ahead` is what was read of it.
pub(super) async fn preface(stream: &mut TcpStream, ahead: &mut Bytes) -> Option<Version> {
    let mut read = BytesMut::from(&ahead[..]);
    let version = loop {
        let known = read.len().min(PREFACE.len());
        if read[..known] != PREFACE[..known] {
            break Version::Http1;
        }
        if known == PREFACE.len() {
            break Version::Http2;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    *ahead = read.freeze();
    Some(version)
}

/// What the streams of one connection share.
#[derive(Debug)]
struct Streams {
    connection: Rc<Context>,
    opened: Cell<u32>,
    /// Taken back by the client before they were answered.
    cancelled: Cell<u32>,
}

impl Streams {
    fn open(self: &Rc<Self>) -> Rc<Listed> {
        self.opened.set(self.opened.get().saturating_add(1));
        self.connection.carry();
        self.connection.watch.head.clear();
        let context = Rc::new(self.connection.stream());
        let place = context.worker.streams.borrow_mut().insert(Rc::clone(&context));
        Rc::new(Listed { context, place, streams: Rc::clone(self) })
    }

    /// Whether the client opens streams for nothing but to take them back: each costs it a few bytes, and us a decision and
    /// a request to the upstream (threats.md F6).
    fn is_abusive(&self) -> bool {
        let cancelled = self.cancelled.get();
        cancelled > FREE_CANCELLATIONS && cancelled > self.opened.get() / 2
    }
}

/// Lists a stream with its worker for as long as it lives.
#[derive(Debug)]
struct Listed {
    context: Rc<Context>,
    place: usize,
    streams: Rc<Streams>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.context.worker.streams.borrow_mut().try_remove(self.place);
        let streams = &self.streams;
        if !self.context.has_answered() {
            streams.cancelled.set(streams.cancelled.get().saturating_add(1));
        }
        let connection = &streams.connection;
        connection.put_down();
        if connection.is_between_exchanges() || streams.is_abusive() {
            connection.watch.wake();
        }
    }
}

/// Runs the streams of one connection, each on a task of its own on this thread.
#[derive(Clone)]
struct OnThisThread {
    /// The stream whose task comes next: hyper makes the exchange and its task in one go.
    coming: Rc<RefCell<Option<Rc<Listed>>>>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        match self.coming.borrow_mut().take() {
            Some(listed) => drop(tokio::task::spawn_local(Watched { future: Some(future), listed })),
            // What belongs to no request: there is no such thing on the server's side without CONNECT, which is refused.
            None => drop(tokio::task::spawn_local(future)),
        }
    }
}

pin_project_lite::pin_project! {
    /// A stream under its deadlines: whoever stands still within it ends it, and it alone. It is there for as long as the
    /// request's body is, which may be longer than its answer.
    struct Watched<F> {
        #[pin]
        future: Option<F>,
        listed: Rc<Listed>,
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let context = &this.listed.context;
        context.watch.register(cx.waker());
        if this.future.as_mut().as_pin_mut().is_some_and(|future| future.poll(cx).is_ready()) {
            this.future.set(None);
            // Nothing more is said to the client.
            context.watch.write.clear();
        }
        if this.future.is_none() && context.is_between_exchanges() {
            return Poll::Ready(());
        }
        let now = context.worker.ticks.now();
        let stalled = context.watch.write.has_passed(now) || context.watch.read.is_overdue(now);
        if stalled {
            context.end_soon(Ending::Idle);
        }
        // What is dropped with the task is reset.
        if context.is_broken_off() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// What a client may send on all streams of a connection together: what each of them may. With less, streams whose bodies an
/// upstream is slow to take would hold up the others.
fn connection_window(max_streams: u32) -> u32 {
    STREAM_WINDOW.saturating_mul(max_streams).clamp(STREAM_WINDOW, LARGEST_WINDOW)
}

/// Serves a connection until it ends.
pub(super) async fn serve(context: &Rc<Context>, transport: Transport, limits: Limits) {
    context.multiplex();
    let streams = Rc::new(Streams { connection: Rc::clone(context), opened: Cell::new(0), cancelled: Cell::new(0) });
    let coming = Rc::new(RefCell::new(None));
    let next = Rc::clone(&coming);
    let of_stream = Rc::clone(&streams);
    let service = service_fn(move |request: Request<Incoming>| {
        let listed = of_stream.open();
        *next.borrow_mut() = Some(Rc::clone(&listed));
        answer(listed, request)
    });
    let io = TokioIo::new(ClientIo::new(transport, Rc::clone(context)));
    let mut connection = Builder::new(OnThisThread { coming })
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window(limits.max_streams))
        .max_frame_size(MAX_FRAME)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_PENDING_RESETS)
        .max_local_error_reset_streams(MOST_FAULTY_STREAMS)
        .serve_connection(io, service);
    let mut told = false;
    let mut last = None;
    let ended = poll_fn(|cx| {
        let (worker, watch) = (&context.worker, &context.watch);
        watch.register(cx.waker());
        let now = worker.ticks.now();
        let is_empty = context.is_between_exchanges();
        let is_idle = is_empty && watch.head.has_passed(now);
        if (worker.is_draining() || is_idle || streams.is_abusive()) && !told {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if told && (is_empty || streams.is_abusive()) {
            let last = *last.get_or_insert(worker.ticks.after(FAREWELL));
            watch.head.set(last);
            if last <= now {
                return Poll::Ready(Ended::ClientStalled);
            }
        } else {
            // A stream that the client opened before it knew is served as any other (RFC 9113 §6.8).
            last = None;
        }
        if watch.write.has_passed(now) {
            return Poll::Ready(Ended::ClientStalled);
        }
        Pin::new(&mut connection).poll(cx).map(Ended::Closed)
    })
    .await;
    if let Ended::Closed(Err(fault)) = ended {
        tracing::debug!(peer = %context.peer().address, error = %fault, "closed: HTTP/2");
    }
}

/// Answers one stream in the form that it has in this version.
async fn answer(
    listed: Rc<Listed>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, std::convert::Infallible> {
    let is_head = request.method() == Method::HEAD;
    let context = Rc::clone(&listed.context);
    let exchange = exchange::run(Rc::clone(&context), request);
    let Ok(mut answer) = Contained::new(Rc::clone(&context), exchange).await;
    context.answers();
    answer.headers_mut().remove(CONNECTION);
    if is_head {
        // In HTTP/1.1 hyper leaves the body out by itself. Where there is none, nobody has said how long it would be.
        let length = answer.body().size_hint().exact().filter(|_| !answer.body().is_end_stream());
        if let (Some(length), false) = (length, answer.headers().contains_key(CONTENT_LENGTH)) {
            answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        answer.body_mut().leave_out();
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_what_each_of_its_streams_may_send() {
        for (streams, expected) in [(0, 65_536), (1, 65_536), (100, 6_553_600), (u32::MAX, LARGEST_WINDOW)] {
            assert_eq!(connection_window(streams), expected, "{streams}");
        }
    }
}
