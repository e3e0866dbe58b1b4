//! Bodies on their way through, both ways, never held longer than one piece.
//!
//! The request's body counts, limits and watches itself; the answer's drives its upstream connection on the client's own
//! task and gives it back when it has ended cleanly.

mod reply;
mod request;

pub(super) use reply::ReplyBody;
pub(super) use request::{Progress, RequestBody, Rules};

/// Why a body ended before its end. The reason is in the ledger; hyper only has to close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body was cut off")]
pub(super) struct CutOff;
