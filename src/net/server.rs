//! HTTP/1.1 for operators' listeners: every wait has a deadline, and connections are bounded.
//!
//! Never answers by itself: what is no HTTP, or comes too slowly, ends its connection. Where there are as many connections as
//! are allowed, the one that has been idle longest makes room, so that nobody keeps others out by holding connections open.

mod remainder;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, EXPECT};
use http::{Extensions, HeaderValue, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::Sleep;

use super::linger::linger;
use super::listener::accept;

pub use remainder::Lent;
use remainder::Remainder;

/// Connections at a time.
const MOST: usize = 512;

/// Until a head has come, from the moment that one is waited for.
const HEAD: Duration = Duration::from_secs(10);

/// Until some of an answer is taken.
const TAKEN: Duration = Duration::from_secs(30);

/// What kept connections get, once somebody else accepts, for a request that is on its way.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// Most bytes of a head, and most lines of it.
const LARGEST_HEAD: usize = 64 * 1024;
const MOST_LINES: usize = 100;

/// A connection's place.
#[derive(Debug, Default)]
struct Seat {
    /// Whether a request is being answered.
    busy: AtomicBool,
    leave: Notify,
}

/// The places that are taken, by the order of arrival.
type Seats = Arc<Mutex<BTreeMap<u64, Arc<Seat>>>>;

/// Serves until it is told that somebody else accepts on the same socket, or until the runtime ends. What is open then ends
/// with its answer. `introduce` tells each request who the peer is.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    introduce: fn(&mut Extensions, SocketAddr),
    mut succeeded: watch::Receiver<bool>,
) where
    S: Clone + Send + Sync + 'static,
    TowerToHyperService<S>:
        Service<Request<Lent>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let seats = Seats::default();
    let service = TowerToHyperService::new(service);
    for number in 0_u64.. {
        let (stream, remote) = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = succeeded.wait_for(|succeeded| *succeeded) => break,
        };
        let Some(seat) = seated(&seats, number) else {
            tracing::warn!(peer = %remote.ip(), "closed: every connection of the listener is in use");
            continue;
        };
        let (service, seats, succeeded) = (service.clone(), Arc::clone(&seats), succeeded.clone());
        tokio::spawn(async move {
            let answering = service_fn(|mut request: Request<Incoming>| {
                introduce(request.extensions_mut(), remote);
                seat.busy.store(true, Ordering::Relaxed);
                let remainder = Remainder::default();
                // Reading on would ask for a body that nobody has sent yet (RFC 9110 §10.1.1).
                let waits = request.headers().contains_key(EXPECT);
                let answer = service.call(request.map(|body| remainder.lend(body)));
                let (seat, succeeded) = (Arc::clone(&seat), succeeded.clone());
                Box::pin(async move {
                    let mut answer = answer.await;
                    let goes_on = if waits { remainder.is_empty() } else { remainder.read().await };
                    if let (false, Ok(answer)) = (goes_on && !*succeeded.borrow(), &mut answer) {
                        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    seat.busy.store(false, Ordering::Relaxed);
                    answer
                })
            });
            let mut connection = Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_header_size(LARGEST_HEAD)
                .max_buf_size(LARGEST_HEAD.max(128 * 1024))
                .max_headers(MOST_LINES)
                .serve_connection(TokioIo::new(Patient { stream, stalled: None }), answering);
            tokio::select! {
                ended = &mut connection => match ended {
                    Ok(()) => linger(connection.into_parts().io.into_inner()).await,
                    Err(fault) => tracing::debug!(peer = %remote.ip(), error = %fault, "an operator's connection ended"),
                },
                () = seat.leave.notified() => tracing::debug!(peer = %remote.ip(), "closed: it was idle"),
            }
            seats.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        });
    }
    drop(listener);
    // Closed at once, an idle connection would lose the request that is on its way.
    tokio::time::sleep(FAREWELL).await;
    for seat in seats.lock().unwrap_or_else(PoisonError::into_inner).values() {
        if !seat.busy.load(Ordering::Relaxed) {
            seat.leave.notify_one();
        }
    }
}

/// A place for one more; where there is none, whoever has been idle longest leaves.
fn seated(seats: &Seats, number: u64) -> Option<Arc<Seat>> {
    let mut seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
    if seats.len() >= MOST {
        let idle = seats.iter().find(|(_, seat)| !seat.busy.load(Ordering::Relaxed)).map(|(number, _)| *number)?;
        seats.remove(&idle)?.leave.notify_one();
    }
    let seat = Arc::new(Seat::default());
    seats.insert(number, Arc::clone(&seat));
    Some(seat)
}

/// A connection whose client has to take what is sent to it.
struct Patient {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn within<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(TAKEN)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.within(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.within(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
