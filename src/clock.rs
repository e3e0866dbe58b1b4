//! Wall-clock time as the decision sees it: whole seconds since the Unix epoch, from one replaceable source.
//!
//! Never used for measuring durations (that is `Instant`'s work).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The end of time: what never expires, expires then.
    pub const NEVER: Timestamp = Timestamp(i64::MAX);

    /// From seconds since the Unix epoch.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }
}

/// Where "now" comes from: the system, or a test's hand.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's real-time clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::set`] moves it; clones share the hand.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The present second.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Manual(hand) => Timestamp(hand.load(Ordering::Relaxed)),
            // A clock before 1970 counts backwards, so that nothing that has expired comes to life again by a panic.
            Source::System => Timestamp(match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(elapsed) => i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX),
                Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
            }),
        }
    }

    /// Moves a manual clock. A system clock is left as it is and `false` is returned.
    pub fn set(&self, to: Timestamp) -> bool {
        match &self.0 {
            Source::System => false,
            Source::Manual(hand) => {
                hand.store(to.0, Ordering::Relaxed);
                true
            }
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => f.write_str("never"),
        }
    }
}
