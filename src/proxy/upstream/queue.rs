//! Who waits where every connection of an upstream is in use: first come, first served, bounded in number and time.
//!
//! Kept by the upstream's name, so that nobody who waits is forgotten when new settings come.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

/// The line before one upstream, of one worker.
#[derive(Debug, Default)]
pub(super) struct Queue {
    line: RefCell<VecDeque<Rc<RefCell<Waker>>>>,
}

/// A place in the line; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Place {
    queue: Rc<Queue>,
    waker: Rc<RefCell<Waker>>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.line.borrow().len()
    }

    /// The last place.
    pub(super) fn join(self: &Rc<Self>) -> Place {
        let waker = Rc::new(RefCell::new(Waker::noop().clone()));
        self.line.borrow_mut().push_back(Rc::clone(&waker));
        Place { queue: Rc::clone(self), waker }
    }

    /// A connection has become free, or may have.
    #[inline]
    pub(super) fn call(&self) {
        if let Some(first) = self.line.borrow().front() {
            first.borrow().wake_by_ref();
        }
    }
}

impl Place {
    /// Whether it is this one's turn; it is woken when it may be.
    pub(super) fn is_first(&self, cx: &Context<'_>) -> bool {
        self.waker.borrow_mut().clone_from(cx.waker());
        self.queue.line.borrow().front().is_some_and(|first| Rc::ptr_eq(first, &self.waker))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.line.borrow_mut().retain(|waker| !Rc::ptr_eq(waker, &self.waker));
        // There may be room for the next one too.
        self.queue.call();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_served_first_and_who_leaves_calls_the_next() {
        let queue = Rc::new(Queue::default());
        let cx = Context::from_waker(Waker::noop());
        let (first, second, third) = (queue.join(), queue.join(), queue.join());
        assert!(first.is_first(&cx) && !second.is_first(&cx));
        drop(second);
        drop(first);
        assert!(third.is_first(&cx));
        assert_eq!(queue.len(), 1);
    }
}
