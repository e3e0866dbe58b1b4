//! A connection of HTTP/1.1 to an upstream, which one exchange has at a time (RFC 9112).
//!
//! Driven by whoever waits for it: no task of its own, no channel between two. Reading an answer's body sends what is left of
//! the request too, until the two part ways (`parted`).

mod head;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{self, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::AsyncWrite as _;
use tokio_util::io::poll_read_buf;

use super::{NOT_ASKED, SendFault, Stream, overdue};
use crate::net::answer::{self, Decoder, Head, Piece};
use crate::proxy::body::RequestBody;
use crate::proxy::context::Context;
use crate::proxy::headers;
use head::Framing;

/// What is read at once: at first, and at most, when an upstream fills it again and again.
const READ: (usize, usize) = (8 * 1024, 256 * 1024);
/// What a waiting connection may keep of that.
const KEPT: usize = 16 * 1024;
/// Interim answers before the real one (RFC 9110 §15.2): more than any server has reason for.
const MAX_INTERIM: u32 = 100;

/// A connection, and how far its exchange has come.
#[derive(Debug)]
pub(in crate::proxy) struct Own {
    stream: Stream,
    /// Where it is read to, and how much at once.
    room: BytesMut,
    reads: usize,
    /// Read and not used yet.
    read: Bytes,
    /// To be written, in this order: heads and framing, a piece of the body, what stands behind it.
    write: BytesMut,
    piece: Bytes,
    behind: &'static [u8],
    /// What of the request is not written yet.
    sending: Sending,
    /// Something of it has left, or has been taken from its body.
    begun: bool,
    /// Interim answers that came before the real one.
    interim: u32,
    /// The answer's body; `None` before there is an answer.
    decoder: Option<Decoder>,
    /// Whether another request may follow, as far as is known.
    keeps: bool,
    /// The sender goes its own way: whoever reads does not drive it.
    parted: bool,
}

#[derive(Debug)]
enum Sending {
    /// There is no request, or all of it has been written.
    Done,
    /// All that is left is in the buffers.
    Plain,
    /// More of the body may come.
    Body(RequestBody, Framing),
    /// It could not be written to its end.
    Broken,
}

/// Why sending ended early.
#[derive(Debug)]
enum Unwritten {
    /// The connection took no more.
    Connection(io::Error),
    /// The body failed.
    Body,
}

/// An answer's body that can't be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Broken;

impl Own {
    pub(in crate::proxy::upstream) fn new(stream: Stream) -> Self {
        Self {
            stream,
            room: BytesMut::new(),
            reads: READ.0,
            read: Bytes::new(),
            write: BytesMut::new(),
            piece: Bytes::new(),
            behind: b"",
            sending: Sending::Done,
            begun: false,
            interim: 0,
            decoder: None,
            keeps: true,
            parted: false,
        }
    }

    /// Whether a waiting connection is still open and silent.
    pub(in crate::proxy::upstream) fn is_clean(&mut self, cx: &mut task::Context<'_>) -> bool {
        self.read.is_empty() && self.poll_fill(cx).is_pending()
    }

    /// Whether another request may follow on it.
    pub(in crate::proxy::upstream) fn is_reusable(&mut self) -> bool {
        // What is left is a flush, if anything.
        let _done = self.poll_send(&mut task::Context::from_waker(task::Waker::noop()));
        self.keeps
            && self.read.is_empty()
            && matches!(self.sending, Sending::Done)
            && self.decoder.as_ref().is_some_and(Decoder::is_over)
    }

    /// Gets ready for the next request.
    pub(in crate::proxy::upstream) fn rest(&mut self) {
        self.decoder = None;
        self.reads = READ.0;
        if self.room.capacity() > KEPT {
            self.room = BytesMut::new();
        }
    }

    /// From now on sending is another task's affair.
    pub(super) fn part(&mut self) {
        self.parted = true;
    }

    /// The bare connection, and what was read of the new protocol.
    pub(in crate::proxy::upstream) fn into_stream(self) -> (Stream, Bytes) {
        (self.stream, self.read)
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
        context: &Context,
    ) -> Result<Response<Option<Incoming>>, SendFault> {
        // Only ours is left by now.
        let asked = request.headers().get(UPGRADE).cloned();
        let to_head = *request.method() == Method::HEAD;
        let (parts, body) = request.into_parts();
        self.write.clear();
        (self.begun, self.interim) = (false, 0);
        self.sending = match head::encode(&parts, &body, &mut self.write) {
            Framing::None => Sending::Plain,
            framing => Sending::Body(body, framing),
        };
        let answered = poll_fn(|cx| match self.poll_answer(cx, to_head) {
            Poll::Ready(answered) => Poll::Ready(answered),
            Poll::Pending => match overdue(context) {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            },
        })
        .await;
        let head = match answered {
            Ok(head) => head,
            // Nothing of it has left: whatever it is, it may be sent elsewhere.
            Err(SendFault::Failed(_)) if !self.begun => {
                let body = match std::mem::replace(&mut self.sending, Sending::Broken) {
                    Sending::Body(body, _) => body,
                    _ => RequestBody::none(),
                };
                return Err(SendFault::Unsent(Box::new(Request::from_parts(parts, body))));
            }
            Err(fault) => return Err(fault),
        };
        if head.status == StatusCode::SWITCHING_PROTOCOLS
            && !asked.is_some_and(|asked| headers::agrees_upgrade(&head.fields, &asked))
        {
            return Err(SendFault::Unacceptable(NOT_ASKED));
        }
        let mut answer = Response::new(None);
        *answer.status_mut() = head.status;
        *answer.headers_mut() = head.fields;
        self.keeps = head.keeps;
        self.decoder = Some(head.body);
        Ok(answer)
    }

    /// Sends what can be sent, and reads until the head of the answer is there.
    fn poll_answer(&mut self, cx: &mut task::Context<'_>, to_head: bool) -> Poll<Result<Head, SendFault>> {
        match self.poll_send(cx) {
            Poll::Ready(Err(Unwritten::Body)) => return Poll::Ready(Err(SendFault::Cut)),
            Poll::Ready(Err(Unwritten::Connection(fault))) if !self.begun => {
                return Poll::Ready(Err(SendFault::Failed(Box::new(fault))));
            }
            // An upstream that takes no more may have said why.
            Poll::Ready(_) | Poll::Pending => {}
        }
        loop {
            while !self.read.is_empty() {
                let Some((head, length)) = answer::read(&self.read, to_head)? else { break };
                self.read.advance(length);
                if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok(head));
                }
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Poll::Ready(Err(SendFault::Unacceptable("it has over a hundred interim answers")));
                }
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) => {
                    return Poll::Ready(Err(SendFault::Failed(io::Error::from(io::ErrorKind::UnexpectedEof).into())));
                }
                Ok(_) => {}
                Err(fault) => return Poll::Ready(Err(SendFault::Failed(fault.into()))),
            }
        }
    }

    /// The next piece of the answer's body.
    pub(in crate::proxy::upstream) fn poll_body(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.parted {
            // How that ends is told by the answer.
            let _sent = self.poll_send(cx);
        }
        loop {
            let Some(decoder) = &mut self.decoder else { return Poll::Ready(None) };
            let frame = match decoder.next(&mut self.read) {
                Ok(Piece::Data(data)) => Frame::data(data),
                Ok(Piece::Trailers(fields)) => Frame::trailers(fields),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::Wanting) => match ready!(self.poll_fill(cx)) {
                    Ok(0) => {
                        self.keeps = false;
                        match self.decoder.as_mut().map(Decoder::closed) {
                            Some(Err(_)) => return Poll::Ready(Some(Err(Broken))),
                            _ => continue,
                        }
                    }
                    Ok(_) => continue,
                    Err(_) => return Poll::Ready(Some(Err(Broken))),
                },
                Err(_) => return Poll::Ready(Some(Err(Broken))),
            };
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    /// Whether nothing of the answer's body is to come.
    pub(in crate::proxy::upstream) fn is_over(&self) -> bool {
        self.decoder.as_ref().is_none_or(Decoder::is_over)
    }

    /// How long the rest of the answer's body is.
    pub(in crate::proxy::upstream) fn size_hint(&self) -> SizeHint {
        match self.decoder.as_ref().map_or(Some(0), Decoder::left) {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    /// Sends what is left of the request; `Ready` when nothing is, or nothing more can be sent.
    pub(super) fn poll_sent(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        self.poll_send(cx).map(drop)
    }

    /// Sends no more; it is not used again.
    pub(super) fn break_off(&mut self) {
        self.sending = Sending::Broken;
        self.keeps = false;
    }

    fn poll_send(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Unwritten>> {
        loop {
            if matches!(self.sending, Sending::Done | Sending::Broken) {
                return Poll::Ready(Ok(()));
            }
            // What is to be had of the body goes out in one write with what is before it.
            if self.piece.is_empty()
                && self.behind.is_empty()
                && let Err(fault) = self.pull(cx)
            {
                (self.sending, self.keeps) = (Sending::Broken, false);
                return Poll::Ready(Err(fault));
            }
            let is_written = self.write.is_empty() && self.piece.is_empty() && self.behind.is_empty();
            let step = match is_written {
                true => Pin::new(&mut self.stream).poll_flush(cx),
                false => self.poll_write(cx),
            };
            if let Err(fault) = ready!(step) {
                self.keeps = false;
                // Where nothing has left, the body is needed once more.
                if self.begun {
                    self.sending = Sending::Broken;
                }
                return Poll::Ready(Err(Unwritten::Connection(fault)));
            }
            match self.sending {
                Sending::Plain if is_written => self.sending = Sending::Done,
                // It is the client's turn.
                _ if is_written => return Poll::Pending,
                _ => {}
            }
        }
    }

    /// Takes the next piece of the body, if there is one to be had.
    fn pull(&mut self, cx: &mut task::Context<'_>) -> Result<(), Unwritten> {
        loop {
            let Sending::Body(body, framing) = &mut self.sending else { return Ok(()) };
            let frame = match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => {
                    framing.end(&mut self.write).ok_or(Unwritten::Body)?;
                    self.sending = Sending::Plain;
                    return Ok(());
                }
                Poll::Ready(Some(frame)) => frame.map_err(|_| Unwritten::Body)?,
            };
            self.begun = true;
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    let is_last = body.is_end_stream();
                    self.behind = framing.frame(data.len(), is_last, &mut self.write).ok_or(Unwritten::Body)?;
                    self.piece = data;
                    if is_last {
                        self.sending = Sending::Plain;
                    }
                    return Ok(());
                }
                Err(frame) => {
                    framing.end_with(frame.trailers_ref(), &mut self.write).ok_or(Unwritten::Body)?;
                    self.sending = Sending::Plain;
                    return Ok(());
                }
            }
        }
    }

    /// Writes once.
    fn poll_write(&mut self, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.stream);
        let mut written = match self.piece.is_empty() && self.behind.is_empty() {
            true => ready!(stream.poll_write(cx, &self.write))?,
            false => {
                let slices = [&self.write[..], &self.piece, self.behind].map(IoSlice::new);
                // Not every connection takes all of them, and one takes only the first.
                let first = slices.iter().position(|slice| !slice.is_empty()).unwrap_or_default();
                ready!(stream.poll_write_vectored(cx, &slices[first..]))?
            }
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        let mut past = |length: usize| {
            let part = written.min(length);
            written -= part;
            part
        };
        self.write.advance(past(self.write.len()));
        self.piece.advance(past(self.piece.len()));
        self.behind = &self.behind[past(self.behind.len())..];
        Poll::Ready(Ok(()))
    }

    /// Reads once; 0 bytes are the end of the connection.
    fn poll_fill(&mut self, cx: &mut task::Context<'_>) -> Poll<io::Result<usize>> {
        self.room.reserve(self.reads);
        let room = self.room.capacity();
        let count = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.room))?;
        if count == room {
            self.reads = (self.reads * 2).min(READ.1);
        } else if count < self.reads / 4 {
            self.reads = (self.reads / 2).max(READ.0);
        }
        let fresh = self.room.split().freeze();
        self.read = match self.read.is_empty() {
            true => fresh,
            false => [&self.read[..], &fresh].concat().into(),
        };
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests;
