//! The client's side of a connection as hyper reads and writes it: plain or TLS, with the bytes that were read ahead.
//!
//! Tells the connection's deadlines what moves and what stands still; never looks at the bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::context::Context;
use crate::gate::certificate::shown;
use crate::net::peer::Certificate;
use crate::net::tls::{ServerStream, certificate_sha256, san_uris, speaks_http2, verified_for};

/// A TCP stream, and what was read from it ahead of time.
#[derive(Debug)]
pub(super) struct Rewound {
    ahead: Bytes,
    stream: TcpStream,
}

impl Rewound {
    pub(super) fn new(stream: TcpStream, ahead: Bytes) -> Self {
        Self { ahead, stream }
    }
}

/// Plain or TLS.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Rewound),
    Tls(Box<ServerStream<Rewound>>),
}

impl Transport {
    /// Whether its TLS handshake has agreed on HTTP/2.
    pub(super) fn has_agreed_on_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => speaks_http2(stream),
        }
    }
}

impl Transport {
    /// The name that a client has asked for that has shown a certificate.
    pub(super) fn verified_for(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => verified_for(stream),
        }
    }

    /// The certificate that a client has shown; empty where it has shown none.
    pub(super) fn certificate(&self) -> Certificate {
        match self {
            Self::Plain(_) => Certificate::default(),
            Self::Tls(stream) => shown(san_uris(stream), certificate_sha256(stream)),
        }
    }
}

/// A client's transport under its connection's deadlines.
#[derive(Debug)]
pub(super) struct ClientIo {
    /// Read already, by somebody before.
    ahead: Bytes,
    transport: Transport,
    context: Rc<Context>,
}

impl ClientIo {
    pub(super) fn new(transport: Transport, context: Rc<Context>) -> Self {
        Self { ahead: Bytes::new(), transport, context }
    }

    /// Has these bytes read first, but for empty lines: what is before a request line is skipped in any case, and begins
    /// no head (RFC 9112 §2.2).
    pub(super) fn rewind(&mut self, mut ahead: Bytes) {
        while let Some(length) = empty_line(&ahead) {
            ahead.advance(length);
        }
        // None of them may still hold on to the room that they were read into.
        self.ahead = if ahead.is_empty() { Bytes::new() } else { ahead };
    }

    pub(super) fn has_ahead(&self) -> bool {
        self.ahead.has_remaining()
    }

    /// Waits until there is something to read, or the end, and reads nothing.
    pub(super) fn poll_arrival(&self, cx: &mut Task<'_>) -> Poll<()> {
        let stream = match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().0,
        };
        // What went wrong, whoever reads next is told.
        stream.stream.poll_read_ready(cx).map(drop)
    }

    /// Closes the connection such that nobody can take it for an orderly end.
    pub(super) fn reset(self) {
        let stream = match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().0,
        };
        // Where it can't be set, the client sees a close within a body.
        let _ = stream.stream.set_zero_linger();
    }

    /// Ends the wait for the client or begins it.
    fn moved<T: Copy + Into<Moved>>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &polled {
            Poll::Ready(Ok(moved)) => self.context.takes((*moved).into().0),
            Poll::Ready(Err(_)) => self.context.takes(0),
            Poll::Pending => self.context.stalls(),
        }
        polled
    }
}

/// The length of the empty line that this begins with.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

/// Bytes that a call has moved; one that only finishes something moves none.
struct Moved(usize);

impl From<usize> for Moved {
    fn from(bytes: usize) -> Self {
        Self(bytes)
    }
}

impl From<()> for Moved {
    fn from((): ()) -> Self {
        Self(0)
    }
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.ahead.has_remaining() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
            self.context.has_read();
            return Poll::Ready(Ok(()));
        }
        ready!(match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        })?;
        if buffer.filled().len() > before {
            self.context.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.moved(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        self.moved(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            // A socket has nothing of its own to flush.
            Transport::Plain(_) => Poll::Ready(Ok(())),
            Transport::Tls(stream) => {
                let polled = Pin::new(stream).poll_flush(cx);
                self.moved(polled)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        self.moved(polled)
    }
}
