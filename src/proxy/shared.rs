//! What the workers count together: it is about clients, and a client's connections are spread over the workers.
//!
//! None of it is touched on the way of a good request, unless a request rate is configured.

use std::sync::Arc;

use crate::gate::throttle::Throttle;
use crate::live::crowd::Crowd;
use crate::live::rates::Rates;

/// The counts.
#[derive(Debug)]
pub(super) struct Shared {
    /// Open connections by address.
    pub(super) crowd: Arc<Crowd>,
    /// Failed attempts by address.
    pub(super) throttle: Arc<Throttle>,
    /// Requests by credential.
    pub(super) rates: Rates,
}

impl Shared {
    pub(super) fn new(throttle: Arc<Throttle>) -> Self {
        Self { crowd: Arc::default(), throttle, rates: Rates::default() }
    }
}
