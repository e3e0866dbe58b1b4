//! What a handler left of a request's body.
//!
//! A connection serves another request only once the body of the one before has been read (RFC 9112 §9.3). Who answers early,
//! as every refusal does, leaves the body where it is; a client that reuses the connection then finds it closed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

/// Most bytes that are read for the sake of the connection.
const MOST: usize = 64 * 1024;

/// How long they may take to come.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a body goes that is dropped before its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Remainder(Arc<Mutex<Option<Incoming>>>);

impl Remainder {
    /// A body that comes back here.
    pub(super) fn lend(&self, body: Incoming) -> Lent {
        Lent { body: Some(body), back: self.clone() }
    }

    /// Whether nothing came back.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Reads what came back, as far as it is short and comes at once. Returns whether all of it is read; `false` means that
    /// the connection has to end with its answer.
    pub(super) async fn read(&self) -> bool {
        let Some(body) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return true };
        if body.size_hint().lower() > MOST as u64 {
            return false;
        }
        matches!(tokio::time::timeout(PATIENCE, Limited::new(body, MOST).collect()).await, Ok(Ok(_)))
    }
}

/// A body that a handler has.
#[derive(Debug)]
pub struct Lent {
    body: Option<Incoming>,
    back: Remainder,
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.back.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
