//! A connection of HTTP/2 to an upstream, which many exchanges share (RFC 9113).
//!
//! It runs on a task of its own on the worker's thread; an exchange holds a stream of it, and letting go of that resets it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{NOT_ASKED, SendFault, fault_of, overdue};
use crate::net::answer::{AnswerFault, MAX_FIELDS, MAX_HEAD};
use crate::proxy::body::{Carried, Coming, RequestBody};
use crate::proxy::context::Context;
use crate::proxy::upstream::connect::{ConnectFault, Stream};
use crate::proxy::watch::Ticks;

/// What an upstream may send on one stream before the client has read it.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same on all streams of a connection together: as much as can be said, so that clients that do not read hold up nobody
/// else's answers. The streams' own windows bound what waits here.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// What of one request's body waits within the connection until the upstream reads it.
const SEND_BUFFER: usize = 64 * 1024;
/// How often an upstream is asked whether it is still there, while streams are open, and how long it may take to say so:
/// a machine that vanishes closes nothing.
const PING: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(10));

/// One of the holders of a connection.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Shared {
    sender: SendRequest<RequestBody>,
    scheme: Scheme,
    coming: Coming,
    streams: Rc<Streams>,
}

/// How many streams there are on a connection, and may be.
#[derive(Debug, Default)]
struct Streams {
    open: Cell<usize>,
    /// What the upstream allows; 0 until it has said so, and where it takes none for now.
    most: Cell<usize>,
    /// When the last one ended.
    idle_since: Cell<u64>,
    /// Waits for the upstream's first word.
    waits: RefCell<Option<Waker>>,
}

/// One stream of a connection, from before it is opened until nobody sends or reads on it.
#[derive(Debug)]
pub(in crate::proxy) struct Share {
    shared: Shared,
    ticks: Rc<Ticks>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let streams = &self.shared.streams;
        streams.open.set(streams.open.get().saturating_sub(1));
        streams.idle_since.set(self.ticks.now());
    }
}

/// Runs what hyper wants to be run, on this thread.
#[derive(Debug, Clone)]
struct OnThisThread {
    coming: Coming,
    streams: Rc<Streams>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        match self.coming.take() {
            Some(carriage) => drop(tokio::task::spawn_local(Carried::new(future, carriage))),
            // Before the upstream's first word there is the connection itself, and nothing else.
            None if self.streams.most.get() == 0 => {
                drop(tokio::task::spawn_local(Heard { future, streams: Rc::clone(&self.streams) }));
            }
            None => drop(tokio::task::spawn_local(future)),
        }
    }
}

pin_project_lite::pin_project! {
    /// A connection that tells when something has come.
    struct Heard<F> {
        #[pin]
        future: F,
        streams: Rc<Streams>,
    }
}

impl<F: Future<Output = ()>> Future for Heard<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = self.project();
        let polled = this.future.poll(cx);
        if let Some(waker) = this.streams.waits.take() {
            waker.wake();
        }
        polled
    }
}

impl Streams {
    /// Drives what opens streams, and keeps what the upstream allows.
    fn poll<E>(
        &self,
        connection: &mut Connection<TokioIo<Stream>, RequestBody, E>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()>
    where
        Connection<TokioIo<Stream>, RequestBody, E>: Future<Output = Result<(), hyper::Error>> + Unpin,
        E: hyper::rt::bounds::Http2ClientConnExec<RequestBody, TokioIo<Stream>> + Unpin,
    {
        let ended = Pin::new(&mut *connection).poll(cx).is_ready();
        self.most.set(connection.current_max_send_streams());
        if ended { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Shared {
    /// A connection whose other end has said that it speaks HTTP/2, and how many streams it takes at a time.
    pub(in crate::proxy::upstream) async fn open(stream: Stream) -> Result<Self, ConnectFault> {
        let scheme = match &stream {
            Stream::Plain(_) => Scheme::HTTP,
            Stream::Tls(_) => Scheme::HTTPS,
        };
        let (coming, streams) = (Coming::default(), Rc::<Streams>::default());
        let executor = OnThisThread { coming: coming.clone(), streams: Rc::clone(&streams) };
        let (sender, mut connection) = Builder::new(executor)
            // None before it has said how many.
            .initial_max_send_streams(0)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectFault::Handshake)?;
        poll_fn(|cx| {
            *streams.waits.borrow_mut() = Some(cx.waker().clone());
            match streams.poll(&mut connection, cx) {
                Poll::Ready(()) => Poll::Ready(Err(ConnectFault::Silent)),
                Poll::Pending if streams.most.get() > 0 => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await?;
        let known = Rc::clone(&streams);
        // How it ends is told by its streams.
        tokio::task::spawn_local(async move { poll_fn(|cx| known.poll(&mut connection, cx)).await });
        Ok(Self { sender, scheme, coming, streams })
    }

    /// Whether streams may be opened on it at all.
    pub(in crate::proxy::upstream) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the upstream takes one more stream on it now.
    pub(in crate::proxy::upstream) fn has_room(&self) -> bool {
        self.streams.open.get() < self.streams.most.get()
    }

    /// One stream of it.
    pub(in crate::proxy::upstream) fn share(&self, ticks: &Rc<Ticks>) -> Rc<Share> {
        self.streams.open.set(self.streams.open.get() + 1);
        Rc::new(Share { shared: self.clone(), ticks: Rc::clone(ticks) })
    }

    /// Since when there has been no stream on it; `None` where there is one.
    pub(in crate::proxy::upstream) fn idle_since(&self) -> Option<u64> {
        (self.streams.open.get() == 0).then(|| self.streams.idle_since.get())
    }
}

/// Sends a request on a stream of its own, and waits for the head of its answer.
pub(super) async fn send(
    share: &Rc<Share>,
    mut request: Request<RequestBody>,
    context: &Context,
) -> Result<Response<Incoming>, SendFault> {
    let mut shared = share.shared.clone();
    if address(&mut request, &shared.scheme).is_none() {
        return Err(SendFault::Unaddressed);
    }
    request.body_mut().is_coming(&shared.coming, share);
    let mut answer = pin!(shared.sender.try_send_request(request));
    let response = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(Ok(answer)) => Poll::Ready(Ok(answer)),
        Poll::Ready(Err(mut fault)) => Poll::Ready(Err(match fault.take_message() {
            Some(request) => SendFault::Unsent(Box::new(request)),
            None => fault_of(fault.into_error()),
        })),
        Poll::Pending => match overdue(context) {
            Some(fault) => Poll::Ready(Err(fault)),
            None => Poll::Pending,
        },
    })
    .await?;
    accept(response)
}

/// Refuses what HTTP/2 has no place for: a switch of protocols, a transfer coding (RFC 9113 §8.2.2, §8.6), and heads over the
/// limits.
fn accept(response: Response<Incoming>) -> Result<Response<Incoming>, SendFault> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(SendFault::Unacceptable(NOT_ASKED));
    }
    if response.headers().len() > MAX_FIELDS {
        return Err(AnswerFault::TooLarge.into());
    }
    if response.headers().contains_key(TRANSFER_ENCODING) {
        return Err(SendFault::Unacceptable("it has a transfer coding, which HTTP/2 has none of"));
    }
    Ok(response)
}

/// Says in the places of HTTP/2 what the request says in those of HTTP/1.1; a request that says it already stays as it is.
fn address(request: &mut Request<RequestBody>, scheme: &Scheme) -> Option<()> {
    let host = request.headers_mut().remove(HOST);
    let authority = match host {
        Some(host) => Authority::try_from(host.as_bytes()).ok()?,
        None => request.uri().authority()?.clone(),
    };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    (parts.scheme, parts.authority) = (Some(scheme.clone()), Some(authority));
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.version_mut() = Version::HTTP_2;
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        request.headers_mut().remove(name);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_addressed_once_and_again() {
        for (target, host, expected) in [
            ("/x?y=1", Some("a.example:8080"), Some("https://a.example:8080/x?y=1")),
            ("*", Some("a.example"), Some("https://a.example*")),
            ("http://b.example/x", None, Some("https://b.example/x")),
            ("/x", None, None),
            ("/x", Some("a b"), None),
        ] {
            let mut request = Request::new(RequestBody::none());
            *request.uri_mut() = target.parse().unwrap();
            if let Some(host) = host {
                request.headers_mut().insert(HOST, host.parse().unwrap());
            }
            for line in [("connection", "te"), ("te", "trailers"), ("transfer-encoding", "chunked")] {
                request.headers_mut().insert(line.0, line.1.parse().unwrap());
            }
            for _ in 0..2 {
                let addressed = address(&mut request, &Scheme::HTTPS);
                assert_eq!(addressed.map(|()| request.uri().to_string()).as_deref(), expected, "{target}");
                if expected.is_none() {
                    break;
                }
                let names: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
                assert_eq!((names, request.version()), (vec!["te"], Version::HTTP_2));
            }
        }
    }
}
