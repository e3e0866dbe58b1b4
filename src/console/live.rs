//! Refused requests as they come, as server-sent events: each is a line of the table, ready to be put in.
//!
//! Rights are asked for with every look, so that whoever is signed out hears no more. There are a few streams at once, and
//! none that nobody reads.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use askama::Template as _;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::denials::{Names, Watching};
use super::page;
use crate::problem::{Code, Refusal};

/// Streams at once.
const MOST: usize = 64;

/// How often a stream says that it is there where nothing else happens, and looks whether its reader still may.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long nothing is sent after something was: a flood is told in parts.
const BREATH: Duration = Duration::from_millis(200);

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Counts a stream for as long as it is there.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let taken = OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < MOST).then_some(open + 1));
        taken.ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is sent.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

/// Tells of each refused request after this number.
pub(super) fn follow(watching: Watching, after: u64) -> Response {
    let Some(place) = Place::take() else {
        let detail = "As many pages as may are following; this one shows what is new when it is loaded again.";
        return page::problem(page::Frame::default(), Refusal::new(Code::RateLimited, detail));
    };
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        tell(&watching, after, &sender).await;
        drop(place);
    });
    let mut answer = Response::new(Body::new(Events(receiver)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}

/// Goes on until the reader is gone, or may look no more.
async fn tell(watching: &Watching, mut after: u64, to: &mpsc::Sender<Bytes>) {
    let mut news = watching.control.refusal_news();
    if after == u64::MAX {
        after = *news.borrow();
    }
    loop {
        let seen = watching.control.refused_requests(&watching.actor, watching.organization, after).await;
        let Ok(refused) = seen else { return };
        let mut part = String::from(": still here\n\n");
        // Lists and rights may be others by now.
        let mut names = Names::new();
        for one in refused.iter().rev() {
            after = one.number;
            let Ok(row) = watching.row(one, &mut names).await.render() else { return };
            let line: Vec<&str> = row.lines().collect();
            part.push_str(&format!("id: {after}\ndata: {}\n\n", line.join(" ")));
        }
        if to.send(Bytes::from(part)).await.is_err() {
            return;
        }
        tokio::time::sleep(BREATH).await;
        tokio::select! {
            () = to.closed() => return,
            changed = tokio::time::timeout(HEARTBEAT, news.changed()) => {
                if matches!(changed, Ok(Err(_))) {
                    return;
                }
            }
        }
    }
}
