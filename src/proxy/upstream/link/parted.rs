//! A connection of HTTP/1.1 whose answer has begun while the request is still on its way.
//!
//! On one task, a client that does not read would keep the rest of its own request from being sent: from here on a task
//! sends, and whoever reads the answer reads.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::own::{Broken, Own};
use crate::proxy::body::{Progress, unless_broken_off};
use crate::proxy::context::Context;
use crate::proxy::upstream::Slot;

/// What sender and reader share.
#[derive(Debug)]
pub(in crate::proxy) struct Parted {
    own: RefCell<Own>,
    /// It counts as in use for as long as either is there.
    _slot: Slot,
}

/// Parts the two. Whoever stands still after the answer is over ends the sending: an upstream that answers early, and then
/// neither reads nor closes, must not hold two sockets for ever. It ends with its exchange, too.
pub(in crate::proxy) fn part(
    mut own: Own,
    slot: Slot,
    context: Rc<Context>,
    progress: Rc<Progress>,
    patience: Duration,
) -> Rc<Parted> {
    own.part();
    let parted = Rc::new(Parted { own: RefCell::new(own), _slot: slot });
    let sender = Rc::clone(&parted);
    tokio::task::spawn_local(async move {
        let mut sent = poll_fn(|cx| sender.own.borrow_mut().poll_sent(cx));
        loop {
            let before = progress.bytes();
            // How it ends is told by the bodies, which have their own ends of it.
            let runs = unless_broken_off(&context, &mut sent);
            let ended = tokio::time::timeout(patience, runs).await.is_ok();
            if ended || progress.is_over() && progress.bytes() == before {
                break;
            }
        }
        sender.own.borrow_mut().break_off();
    });
    parted
}

impl Parted {
    pub(in crate::proxy) fn poll_body(&self, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.own.borrow_mut().poll_body(cx)
    }

    pub(in crate::proxy) fn is_over(&self) -> bool {
        self.own.borrow().is_over()
    }

    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        self.own.borrow().size_hint()
    }
}
