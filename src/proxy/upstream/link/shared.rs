//! A connection of HTTP/2 to an upstream, which many exchanges share (RFC 9113).
//!
//! It runs on a task of its own on the worker's thread; an exchange holds a stream of it, and letting go of that resets it.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{MAX_HEAD, SendFault, accept, overdue};
use crate::proxy::body::RequestBody;
use crate::proxy::context::Context;
use crate::proxy::upstream::connect::Stream;

/// What an upstream may send on one stream before the client has read it.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same on all streams of a connection together.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
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
}

/// Runs what hyper wants to be run, on this thread.
#[derive(Debug, Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}

impl Shared {
    pub(in crate::proxy::upstream) async fn open(stream: Stream) -> Result<Self, hyper::Error> {
        let scheme = match &stream {
            Stream::Plain(_) => Scheme::HTTP,
            Stream::Tls(_) => Scheme::HTTPS,
        };
        let (sender, connection) = Builder::new(OnThisThread)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::task::spawn_local(async move {
            // How it ends is told by its streams.
            let _ = connection.await;
        });
        Ok(Self { sender, scheme })
    }

    /// Whether another stream may be opened on it.
    pub(in crate::proxy::upstream) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
        context: &Context,
    ) -> Result<Response<Incoming>, SendFault> {
        if address(&mut request, &self.scheme).is_none() {
            return Err(SendFault::Unaddressed);
        }
        let mut answer = pin!(self.sender.try_send_request(request));
        let response = std::future::poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(Ok(answer)) => Poll::Ready(Ok(answer)),
            Poll::Ready(Err(mut fault)) => Poll::Ready(Err(match fault.take_message() {
                Some(request) => SendFault::Unsent(Box::new(request)),
                None => SendFault::Failed(fault.into_error()),
            })),
            Poll::Pending => match overdue(context) {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            },
        })
        .await?;
        accept(response, None)
    }
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
