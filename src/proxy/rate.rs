//! The request rate of a credential, and the fields that tell a client how it stands with it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::ledger::Ledger;
use crate::access::decision::{Grant, Permit};
use crate::config::settings::{Gateway, RequestRate};
use crate::live::rates::Allowance;

/// How a request stands with its credential's rate, where there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rated {
    rate: RequestRate,
    allowance: Allowance,
}

impl Rated {
    /// Counts a request. `None`: nobody asked for a limit, or there is no credential.
    pub(super) fn of(permit: &Permit<'_>, settings: &Gateway, ledger: &Ledger) -> Option<Self> {
        let rate = settings.limits.clients.request_rate?;
        let Grant::Credential { credential, .. } = permit.grant() else { return None };
        let allowance = ledger.context().worker.shared.rates.take(credential.id(), rate, ledger.started());
        Some(Self { rate, allowance })
    }

    /// Seconds after which the request would be within the rate, where it is not.
    pub(super) fn retry_after(&self) -> Option<u32> {
        (!self.allowance.allowed).then(|| seconds(self.allowance.retry_after).max(1))
    }

    /// Tells the client. What the upstream says of limits of its own is replaced.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
        const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
        const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
        headers.insert(LIMIT, HeaderValue::from(self.rate.burst));
        headers.insert(REMAINING, HeaderValue::from(self.allowance.remaining));
        headers.insert(RESET, HeaderValue::from(seconds(self.allowance.reset)));
    }
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}
