//! How long a client has been waited for within one exchange, and what it has moved since that began.
//!
//! Bytes that the system takes at once say nothing about the client: counting begins with the first wait.

use std::cell::Cell;

use crate::config::settings::Pace;

/// Not waiting.
const NEVER: u64 = u64::MAX;

/// The waits for one side of a client.
#[derive(Debug)]
pub(super) struct Stall {
    has_begun: Cell<bool>,
    since: Cell<u64>,
    waited: Cell<u64>,
    bytes: Cell<u64>,
}

impl Default for Stall {
    fn default() -> Self {
        Self { has_begun: Cell::new(false), since: Cell::new(NEVER), waited: Cell::new(0), bytes: Cell::new(0) }
    }
}

impl Stall {
    #[inline]
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }

    /// The client is waited for; how many milliseconds more it may take.
    pub(super) fn begin(&self, pace: &Pace, now: u64) -> u64 {
        self.has_begun.set(true);
        if self.since.get() == NEVER {
            self.since.set(now);
        }
        let waited = self.waited.get() + now.saturating_sub(self.since.get());
        pace.left(waited, self.bytes.get())
    }

    /// The client has moved so many bytes.
    pub(super) fn end(&self, bytes: u64, now: u64) {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        let since = self.since.replace(NEVER);
        if since != NEVER {
            self.waited.set(self.waited.get() + now.saturating_sub(since));
        }
    }

    /// Another exchange begins.
    #[inline]
    pub(super) fn forget(&self) {
        if self.has_begun.get() {
            self.has_begun.set(false);
            self.since.set(NEVER);
            self.waited.set(0);
            self.bytes.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waits_add_up_and_bytes_buy_time() {
        let pace = Pace { rate: 1_000, grace: Duration::from_secs(2) };
        let stall = Stall::default();
        assert_eq!(stall.begin(&pace, 100), 2_000);
        assert_eq!(stall.begin(&pace, 1_100), 1_000, "still the same wait");
        stall.end(500, 1_600);
        assert_eq!(stall.begin(&pace, 50_000), 1_000, "what passes without waiting costs nothing");
        stall.end(0, 51_000);
        assert_eq!(stall.begin(&pace, 51_000), 0);
        stall.forget();
        assert!(!stall.has_begun());
        assert_eq!(stall.begin(&pace, 60_000), 2_000);
    }
}
