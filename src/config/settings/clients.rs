//! What one client, or one credential, may take of the gateway.
//!
//! Frozen like the rest of the settings; counted by `live::crowd`, `live::rates` and `gate::throttle`.

use std::time::Duration;

/// Limits that keep one from taking what belongs to all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// Open connections of one address (IPv6: one /64), those of trusted proxies excepted; `None` is unlimited.
    pub connections_per_address: Option<u32>,
    /// Requests under way, per worker; `None` is unlimited.
    pub max_requests: Option<usize>,
    /// Failed attempts to prove a credential; `None`: nobody counts.
    pub failed_attempts: Option<FailureBudget>,
    /// Requests of one credential; `None` is unlimited.
    pub request_rate: Option<RequestRate>,
}

/// Failed attempts that one client address (IPv6: one /64) has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureBudget {
    /// At once; at least 1.
    pub burst: u32,
    /// Earned back; at least 1.
    pub per_minute: u32,
}

/// How fast one credential may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// At least 1.
    pub requests: u32,
    /// In this time.
    pub per: Duration,
    /// At once; at least 1.
    pub burst: u32,
}

/// How fast a client has to send its body and to take its answer, on the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes a second; at least 1.
    pub rate: u64,
    /// What it may be waited for besides.
    pub grace: Duration,
}

impl Pace {
    /// How much longer, in milliseconds, a client is waited for that has been waited for so long and moved so many bytes.
    pub fn left(&self, waited: u64, bytes: u64) -> u64 {
        let grace = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        grace.saturating_add(bytes.saturating_mul(1_000) / self.rate.max(1)).saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_buy_time() {
        let pace = Pace { rate: 100, grace: Duration::from_secs(5) };
        assert_eq!([pace.left(0, 0), pace.left(5_000, 0), pace.left(9_000, 0)], [5_000, 0, 0]);
        assert_eq!([pace.left(5_000, 50), pace.left(5_000, 1_000)], [500, 10_000]);
        assert_eq!(pace.left(0, u64::MAX), u64::MAX / 100 + 5_000);
    }
}
