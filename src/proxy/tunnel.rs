//! A connection that has switched protocols: bytes both ways until somebody ends it (RFC 9110 §7.8).
//!
//! Begins only after the upstream's own 101; from then on its connection belongs to the tunnel and never goes back to a
//! pool. An idle tunnel holds no buffer. What ends a WebSocket here ends it by a close frame, between two frames.

mod frames;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::Response;
use http::header::UPGRADE;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::body::ReplyBody;
use super::client_io::ClientIo;
use super::context::{Context, Ending};
use super::headers;
use super::ledger::Ledger;
use super::upstream::UpstreamSide;
use frames::Frames;

/// Bytes that are read at once.
const SCRATCH: usize = 64 * 1024;
/// What is left to a frame that is under way, and to the client for taking the close frame, when a tunnel has to end.
const GRACE: Duration = Duration::from_millis(500);
/// Pieces in one direction before others have their turn.
const TURNS: usize = 16;

thread_local! {
    /// What is read goes through here at once; a tunnel keeps only what could not be written.
    static PASSING: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// An exchange whose protocol is switched as soon as its answer has been written.
#[derive(Debug)]
pub(super) struct Switched {
    upstream: UpstreamSide,
    ledger: Box<Ledger>,
    is_websocket: bool,
}

/// Passes the upstream's 101 on; the tunnel begins when hyper has written it.
pub(super) fn switch(
    answer: Response<Option<Incoming>>,
    upstream: UpstreamSide,
    mut ledger: Box<Ledger>,
) -> Response<ReplyBody> {
    let (mut head, _no_body) = answer.into_parts();
    // `link` has compared it with what was asked.
    let protocol = head.headers.get(UPGRADE).cloned();
    headers::clean_answer(&mut head.headers);
    head.extensions.clear();
    let mut is_websocket = false;
    if let Some(protocol) = protocol {
        is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        headers::announce_upgrade(&mut head.headers, protocol);
    }
    ledger.answered(head.status.as_u16());
    ledger.switched();
    let context = Rc::clone(ledger.context());
    // What an answer may take is no measure for a tunnel.
    context.watch.total.clear();
    context.switch(Switched { upstream, ledger, is_websocket });
    Response::from_parts(head, ReplyBody::whole(Bytes::new(), None))
}

/// One direction.
#[derive(Debug)]
struct Flow {
    /// Read and not yet written.
    kept: Bytes,
    /// Where frames begin and end in what has been written, where that matters.
    frames: Option<Frames>,
    /// The reader has ended.
    ended: bool,
    /// The writer has been told.
    closed: bool,
}

impl Flow {
    fn new(kept: Bytes, frames: Option<Frames>) -> Self {
        Self { kept, frames, ended: false, closed: false }
    }

    /// Whether everything has been passed, the end included.
    fn is_over(&self) -> bool {
        self.ended && self.closed
    }

    /// Whether a frame could be put in here.
    fn is_between_frames(&self) -> bool {
        self.frames.is_some_and(|frames| frames.is_between())
    }

    /// Bytes that may pass now.
    fn room(&self, only_this_frame: bool) -> usize {
        match &self.frames {
            Some(frames) if only_this_frame => usize::try_from(frames.wanted()).unwrap_or(usize::MAX),
            _ => usize::MAX,
        }
    }

    /// Moves what can be moved, up to the end of the present frame where no more is wanted; says how much it was.
    fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut task::Context<'_>,
        from: &mut R,
        to: &mut W,
        only_this_frame: bool,
    ) -> io::Result<usize> {
        let mut moved = 0;
        for _ in 0..TURNS {
            let room = self.room(only_this_frame);
            if room == 0 {
                return Ok(moved);
            }
            if !self.kept.is_empty() {
                let piece = room.min(self.kept.len());
                let Poll::Ready(written) = Pin::new(&mut *to).poll_write(cx, &self.kept[..piece])? else {
                    return Ok(moved);
                };
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.has_written(written);
                moved += written;
                continue;
            }
            if self.ended {
                self.closed = self.closed || Pin::new(&mut *to).poll_shutdown(cx)?.is_ready();
                return Ok(moved);
            }
            match PASSING.with_borrow_mut(|passing| self.pass(cx, from, to, &mut passing[..room.min(SCRATCH)]))? {
                Poll::Ready(bytes) => moved += bytes,
                Poll::Pending => {
                    // TLS may hold back what has been written.
                    let _ = Pin::new(&mut *to).poll_flush(cx)?;
                    return Ok(moved);
                }
            }
        }
        // There may be more.
        cx.waker().wake_by_ref();
        Ok(moved)
    }

    /// Reads one piece and writes it on at once; keeps what finds no room.
    fn pass<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut task::Context<'_>,
        from: &mut R,
        to: &mut W,
        passing: &mut [u8],
    ) -> io::Result<Poll<usize>> {
        let mut buffer = ReadBuf::new(passing);
        if Pin::new(from).poll_read(cx, &mut buffer)?.is_pending() {
            return Ok(Poll::Pending);
        }
        let read = buffer.filled();
        if read.is_empty() {
            self.ended = true;
            return Ok(Poll::Ready(0));
        }
        let written = match Pin::new(to).poll_write(cx, read)? {
            Poll::Ready(written) => written,
            Poll::Pending => 0,
        };
        self.kept = Bytes::copy_from_slice(read);
        self.has_written(written);
        Ok(Poll::Ready(written))
    }

    fn has_written(&mut self, bytes: usize) {
        if let Some(frames) = &mut self.frames {
            frames.advance(&self.kept[..bytes]);
        }
        self.kept.advance(bytes);
    }
}

/// How a tunnel ended.
enum Over {
    /// By itself, or in a way that only the operator is told.
    Closed,
    /// It had to, and the client is told by this frame.
    Told(Vec<u8>),
}

struct Tunnel {
    context: Rc<Context>,
    client: ClientIo,
    upstream: UpstreamSide,
    ledger: Box<Ledger>,
    up: Flow,
    down: Flow,
    /// One side has closed.
    half: bool,
    ending: Option<Ending>,
}

/// Serves the tunnel until it ends. Returns the client's side where it has been told why and may still be sending.
pub(super) async fn run(
    context: &Rc<Context>,
    switched: Box<Switched>,
    client: ClientIo,
    ahead: Bytes,
) -> Option<ClientIo> {
    let Switched { mut upstream, ledger, is_websocket } = *switched;
    let down = Flow::new(std::mem::take(&mut upstream.ahead), is_websocket.then(Frames::new));
    let up = Flow::new(ahead, None);
    let context = Rc::clone(context);
    let mut tunnel = Tunnel { context, client, upstream, ledger, up, down, half: false, ending: None };
    tunnel.wait(tunnel.context.timeouts.tunnel_idle);
    let over = poll_fn(|cx| tunnel.poll(cx)).await;
    let Tunnel { mut client, upstream, mut ledger, .. } = tunnel;
    drop(upstream);
    let Over::Told(frame) = over else { return None };
    ledger.sent(frame.len());
    drop(ledger);
    let told = tokio::time::timeout(GRACE, say(&mut client, &frame)).await;
    matches!(told, Ok(Ok(()))).then_some(client)
}

/// Writes the last frame and closes this side.
async fn say(client: &mut ClientIo, frame: &[u8]) -> io::Result<()> {
    client.write_all(frame).await?;
    client.shutdown().await
}

impl Tunnel {
    fn wait(&self, patience: Duration) {
        self.context.watch.upstream.set(self.context.worker.ticks.after(patience));
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Over> {
        self.context.watch.register(cx.waker());
        if self.ending.is_none()
            && let Some(ending) = self.context.ending()
        {
            self.must_end(ending);
        }
        if self.ending.is_none()
            && let Poll::Ready(over) = self.poll_open(cx)
        {
            return Poll::Ready(over);
        }
        match self.ending {
            Some(ending) => self.poll_ending(cx, ending),
            None => Poll::Pending,
        }
    }

    fn must_end(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.ledger.ended(ending.reason());
        self.wait(GRACE);
    }

    fn poll_open(&mut self, cx: &mut task::Context<'_>) -> Poll<Over> {
        let Self { client, upstream, up, down, .. } = self;
        let (received, sent) =
            (up.poll(cx, client, &mut upstream.stream, false), down.poll(cx, &mut upstream.stream, client, false));
        let (Ok(received), Ok(sent)) = (received, sent) else {
            self.ledger.ended("the connection broke off");
            return Poll::Ready(Over::Closed);
        };
        self.ledger.received(received);
        self.ledger.sent(sent);
        if self.up.is_over() && self.down.is_over() {
            return Poll::Ready(Over::Closed);
        }
        let half = self.up.ended || self.down.ended;
        if received + sent > 0 || half != self.half {
            // Where one side has closed, the other is hardly going to say much.
            let timeouts = &self.context.timeouts;
            self.wait(if half { timeouts.body_idle.min(timeouts.tunnel_idle) } else { timeouts.tunnel_idle });
            self.half = half;
        }
        let now = self.context.worker.ticks.now();
        if self.context.watch.write.has_passed(now) {
            self.ledger.ended("the client does not read");
            return Poll::Ready(Over::Closed);
        }
        if self.context.watch.upstream.has_passed(now) {
            self.must_end(Ending::Idle);
        }
        Poll::Pending
    }

    /// Lets the frame that is under way be finished, and nothing after it.
    fn poll_ending(&mut self, cx: &mut task::Context<'_>, ending: Ending) -> Poll<Over> {
        if self.down.frames.is_none() {
            return Poll::Ready(Over::Closed);
        }
        let Self { client, upstream, down, .. } = self;
        match down.poll(cx, &mut upstream.stream, client, true) {
            Ok(sent) => self.ledger.sent(sent),
            Err(_) => return Poll::Ready(Over::Closed),
        }
        if self.down.is_between_frames() {
            let (status, text) = ending.close();
            return Poll::Ready(Over::Told(frames::close(status, text)));
        }
        let late = self.context.watch.upstream.has_passed(self.context.worker.ticks.now());
        if late || self.down.ended { Poll::Ready(Over::Closed) } else { Poll::Pending }
    }
}
