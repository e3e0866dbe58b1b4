//! One client connection from accept to close: PROXY header, TLS, then requests until somebody ends it.
//!
//! Every wait has a deadline. What never becomes a request is counted and logged all the same.

mod multiplexed;
mod rest;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::client_io::{ClientIo, Rewound, Transport};
use super::context::{Context, Ending};
use super::exchange::{self, Contained};
use super::ledger::record_unborn;
use super::tunnel;
use super::worker::Worker;
use crate::access::network::Networks;
use crate::config::settings::Limits;
use crate::net::linger::linger;
use crate::net::peer::Peer;
use crate::net::proxy_protocol::{self, Header};
use crate::net::tls::TlsAcceptorSource;
use crate::problem::Code;

/// Room for bodies on their way; heads have a limit of their own.
const MIN_BUFFER: usize = 64 * 1024;

/// What a listening address demands of its connections.
#[derive(Debug)]
pub(super) struct Doorway {
    pub(super) local: SocketAddr,
    pub(super) tls: Option<Arc<TlsAcceptorSource>>,
    pub(super) proxy_protocol: Option<Networks>,
    pub(super) http2: bool,
}

/// Lists a connection with its worker for as long as it lives.
struct Listed {
    context: Rc<Context>,
    place: usize,
}

impl Listed {
    fn new(context: &Rc<Context>) -> Self {
        context.worker.stripe.connection_opened();
        let place = context.worker.connections.borrow_mut().insert(Rc::clone(context));
        Self { context: Rc::clone(context), place }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // It holds the context that holds it.
        drop(self.context.take_switched());
        let worker = &self.context.worker;
        worker.connections.borrow_mut().try_remove(self.place);
        worker.stripe.connection_closed();
        if worker.is_draining() {
            worker.emptier.notify_one();
        }
    }
}

/// Serves a connection until it ends, on a task of its own. It is listed when this returns: a drain waits for it.
pub(super) fn serve(worker: Rc<Worker>, stream: TcpStream, remote: SocketAddr, doorway: Rc<Doorway>) {
    let settings = Arc::clone(&worker.current().settings);
    let limits = settings.limits;
    if worker.connections.borrow().len() >= limits.max_connections {
        worker.stripe.connection_over_limit();
        worker.stripe.connection_refused();
        return;
    }
    let context = Rc::new(Context::new(worker, Peer::tcp(remote, doorway.local), settings.timeouts));
    drop(settings);
    let listed = Listed::new(&context);
    tokio::task::spawn_local(async move {
        // What is needed for a part of the time is not kept all the time: there are many connections that wait.
        let ready = within(&context, Box::pin(prelude(&context, stream, &doorway))).await;
        match ready.flatten() {
            Some((transport, Version::Http1)) => {
                let mut io = ClientIo::new(transport, Rc::clone(&context));
                while let Some(idle) = Box::pin(requests(&context, io, limits)).await {
                    match rest::until_asked(&context, idle).await {
                        Some(asked) => io = asked,
                        None => break,
                    }
                }
            }
            Some((transport, Version::Http2)) => Box::pin(multiplexed::serve(&context, transport, limits)).await,
            None => context.worker.stripe.connection_refused(),
        }
        drop(listed);
    });
}

/// Waits until the head's deadline.
async fn within<F: Future>(context: &Context, wait: F) -> Option<F::Output> {
    let mut wait = pin!(wait);
    poll_fn(|cx| {
        context.watch.register(cx.waker());
        if context.watch.head.has_passed(context.worker.ticks.now()) || context.worker.is_hurrying() {
            return Poll::Ready(None);
        }
        wait.as_mut().poll(cx).map(Some)
    })
    .await
}

/// What is spoken on a connection.
enum Version {
    Http1,
    Http2,
}

/// PROXY header, TLS and the version of HTTP; `None` closes the connection.
async fn prelude(context: &Context, mut stream: TcpStream, doorway: &Doorway) -> Option<(Transport, Version)> {
    let mut ahead = Bytes::new();
    if let Some(trusted) = &doorway.proxy_protocol {
        let peer = context.peer();
        if !trusted.contains(peer.address) {
            tracing::debug!(peer = %peer.address, "closed: the peer is not trusted to send a PROXY header here");
            return None;
        }
        let (source, rest) = proxy_header(&mut stream, &peer).await?;
        if let Some(source) = source {
            context.set_peer(Peer::clone(&peer).proxied(source));
        }
        ahead = rest;
    }
    let peer = context.peer();
    if !context.joins_crowd() {
        tracing::debug!(peer = %peer.address, "closed: the address has as many connections as it may");
        context.worker.stripe.connection_over_limit();
        return None;
    }
    let Some(tls) = &doorway.tls else {
        let version = match doorway.http2 {
            true => multiplexed::preface(&mut stream, &mut ahead).await?,
            false => Version::Http1,
        };
        return Some((Transport::Plain(Rewound::new(stream, ahead)), version));
    };
    match tls.accept(Rewound::new(stream, ahead)).await {
        Ok(stream) => {
            let transport = Transport::Tls(Box::new(stream));
            context.set_peer(Peer { tls: true, certificate: transport.certificate(), ..Peer::clone(&peer) });
            context.leaves_crowd();
            context.set_verified_for(transport.verified_for());
            let version = if transport.has_agreed_on_http2() { Version::Http2 } else { Version::Http1 };
            Some((transport, version))
        }
        Err(fault) => {
            tracing::debug!(peer = %peer.address, error = %fault, "closed: TLS handshake failed");
            None
        }
    }
}

/// The source that the PROXY header names, and the bytes after it.
async fn proxy_header(stream: &mut TcpStream, peer: &Peer) -> Option<(Option<SocketAddr>, Bytes)> {
    let mut buffer = BytesMut::with_capacity(512);
    loop {
        match proxy_protocol::parse(&buffer) {
            Ok(Header::Complete { source, consumed }) => {
                return Some((source, buffer.split_off(consumed).freeze()));
            }
            Ok(Header::Incomplete) => {}
            Err(fault) => {
                tracing::debug!(peer = %peer.address, error = %fault, "closed");
                return None;
            }
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// How the requests of a connection ended.
enum Ended {
    /// hyper is done with it.
    Closed(Result<(), hyper::Error>),
    /// A head, or the next request, did not come in time.
    HeadLate,
    /// The client stands still within an exchange.
    ClientStalled,
    /// What was being answered would be refused by now.
    Cut,
    /// Nobody has asked for anything for a while.
    Idle,
}

/// Serves requests until the connection ends. Where it becomes idle instead, its stream is given back, between two requests.
async fn requests(context: &Rc<Context>, io: ClientIo, limits: Limits) -> Option<ClientIo> {
    let service = service_fn(|request: Request<Incoming>| {
        let exchange = exchange::run(Rc::clone(context), request);
        Contained::new(Rc::clone(context), exchange)
    });
    let mut connection = Builder::new()
        .half_close(false)
        .header_read_timeout(None)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(limits.max_header_bytes.max(MIN_BUFFER))
        .max_headers(limits.max_headers)
        .serve_connection(TokioIo::new(io), service);
    context.idles();
    let mut told = false;
    let ended = poll_fn(|cx| {
        let (worker, watch) = (&context.worker, &context.watch);
        watch.register(cx.waker());
        // Closed at once, an idle connection would lose the request that is on its way.
        let ends = worker.is_hurrying() || worker.is_draining() && !context.is_between_exchanges();
        if ends && !told {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        let now = worker.ticks.now();
        if watch.write.has_passed(now) || watch.read.is_overdue(now) {
            return Poll::Ready(Ended::ClientStalled);
        }
        if context.is_between_exchanges() && watch.head.has_passed(now) {
            return Poll::Ready(Ended::HeadLate);
        }
        // The body is asked first, so that it ends by itself where somebody reads it.
        match Pin::new(&mut connection).poll(cx) {
            Poll::Pending if context.must_cut() => Poll::Ready(Ended::Cut),
            Poll::Pending if watch.rest.has_passed(now) && !told => match context.may_rest() {
                true => Poll::Ready(Ended::Idle),
                false => {
                    // The reader of the last answer may only be slow.
                    watch.rest.clear();
                    if watch.write.is_set() && context.is_between_exchanges() {
                        context.idles();
                    }
                    Poll::Pending
                }
            },
            Poll::Ready(Err(_)) if context.revoked().is_some() => Poll::Ready(Ended::Cut),
            polled => polled.map(Ended::Closed),
        }
    })
    .await;
    // What it becomes now has deadlines of its own.
    context.watch.rest.clear();
    if matches!(ended, Ended::ClientStalled) {
        context.end_soon(Ending::Idle);
    }
    if let (Ended::Closed(Ok(())), Some(switched)) = (&ended, context.take_switched()) {
        let parts = connection.into_parts();
        let client = tunnel::run(context, switched, parts.io.into_inner(), parts.read_buf).await;
        if let Some(client) = client {
            linger(client).await;
        }
        return None;
    }
    match ended {
        Ended::Idle => {
            let parts = connection.into_parts();
            let mut io = parts.io.into_inner();
            io.rewind(parts.read_buf);
            return Some(io);
        }
        Ended::Closed(Ok(())) if context.lingers() => linger(connection.into_parts().io.into_inner()).await,
        Ended::Closed(Ok(())) | Ended::ClientStalled => {}
        Ended::Closed(Err(fault)) => refused(context, &fault),
        Ended::HeadLate if context.is_within_head() => {
            record_unborn(context, Code::RequestTimeout, "the head did not come within `timeouts.header`");
        }
        Ended::HeadLate => {}
        // Where a body ends with its connection, a plain close would look like its end.
        Ended::Cut => connection.into_parts().io.into_inner().reset(),
    }
    None
}

/// hyper has answered by itself, or closed: the code is counted and logged all the same.
fn refused(context: &Context, fault: &hyper::Error) {
    if !context.is_between_exchanges() {
        return;
    }
    // The client that went away within a head made no request.
    if fault.is_parse() || fault.is_parse_too_large() {
        let (code, reason) = told(&fault.to_string());
        record_unborn(context, code, reason);
    }
}

/// What hyper's words mean here. It tells what was wrong by its text alone, which quotes nothing of the request.
fn told(text: &str) -> (Code, &'static str) {
    let about = |part: &str| text.contains(part);
    let malformed = Code::MalformedRequest;
    match () {
        () if about("URI too long") => (Code::UriTooLong, "the target is longer than 65534 bytes"),
        () if about("too large") => {
            (Code::HeadersTooLarge, "the head is over `limits.max_header_bytes` or `limits.max_headers`")
        }
        () if about("HTTP2") => (malformed, "the client speaks HTTP/2 without having agreed on it"),
        () if about("version") => (malformed, "the version is neither HTTP/1.1 nor HTTP/1.0"),
        () if about("method") => {
            (malformed, "the head does not begin with a method, as where TLS is spoken to a port without it")
        }
        () if about("URI") => (malformed, "the target can't be read"),
        () if about("content-length") => (malformed, "Content-Length is no number, or there are two that differ"),
        () if about("transfer-encoding") => {
            (malformed, "Transfer-Encoding does not end in `chunked`, or is out of place")
        }
        () => (malformed, "a header line can't be read"),
    }
}
