//! Bodies on their way through, both ways, never held longer than one piece.
//!
//! The request's body counts, limits and watches itself; the answer's drives its upstream connection on the client's own
//! task and gives it back when it has ended cleanly.

mod carriage;
mod reply;
mod request;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::net::linger;

pub(super) use carriage::{Carried, Coming, unless_broken_off};
pub(super) use reply::ReplyBody;
pub(super) use request::{Progress, RequestBody, Rules};

/// Why a body ended before its end. The reason is in the ledger; hyper only has to close the connection, or to reset the
/// stream for the reason that it finds here.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut off")]
pub(super) struct CutOff(#[source] h2::Error);

impl CutOff {
    /// A request that nobody wants to be answered any more.
    fn of_request() -> Self {
        Self(h2::Reason::CANCEL.into())
    }

    /// An answer that can't be told to its end.
    fn of_answer() -> Self {
        Self(h2::Reason::INTERNAL_ERROR.into())
    }
}

/// Reads on for a moment what nobody wants.
pub(super) async fn discard(mut body: Incoming) {
    let read = async {
        let mut total = 0;
        while let Some(Ok(frame)) = body.frame().await {
            total += frame.data_ref().map_or(0, |data| data.len());
            if total > linger::BYTES {
                break;
            }
        }
    };
    // Either way the stream ends.
    let _ = tokio::time::timeout(linger::TIME, read).await;
}
