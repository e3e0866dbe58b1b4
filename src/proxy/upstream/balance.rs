//! Which endpoint a request goes to: the less busy of two that chance names, among those that are in.
//!
//! Two are enough to keep the load even, and unlike "the least busy of all" they do not send every worker's next request to
//! the one that has just come back. Nothing here is shared between workers.

use std::cell::Cell;
use std::rc::Rc;

use smallvec::SmallVec;

use super::budget::Budget;
use super::endpoint::{Endpoint, Slot};
use super::queue::Queue;
use crate::config::settings;
use crate::telemetry::metrics::{Exchange, UpstreamCounters};

/// A named backend as one worker sees it.
#[derive(Debug)]
pub(in crate::proxy) struct Upstream {
    pub(in crate::proxy) rules: settings::Upstream,
    pub(super) endpoints: Vec<Rc<Endpoint>>,
    pub(super) lasting: Lasting,
    pub(in crate::proxy) counters: std::sync::Arc<UpstreamCounters>,
}

/// What outlives new settings, as long as the upstream keeps its name.
#[derive(Debug, Clone)]
pub(super) struct Lasting {
    pub(super) queue: Rc<Queue>,
    pub(super) budget: Rc<Budget>,
    pub(super) dice: Rc<Dice>,
}

/// Endpoints that a request was given to already, by their place.
pub(in crate::proxy) type Tried = SmallVec<[usize; 4]>;

/// What comes of asking for an endpoint.
#[derive(Debug)]
pub(in crate::proxy) enum Picked {
    /// This one, and its place.
    Endpoint(Slot, usize),
    /// All that are in have all their connections in use.
    Full,
    /// None is in that was not tried.
    Out,
}

/// A xorshift generator: chance enough to spread requests.
#[derive(Debug)]
pub(super) struct Dice(Cell<u64>);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Cell::new(seed | 1))
    }

    fn roll(&self) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        state
    }

    /// Two different places below `count`, which is at least 2.
    fn two_of(&self, count: usize) -> (usize, usize) {
        let roll = self.roll();
        // Fixed point: the high bits of a product are a place.
        let place = |bits: u64, count: usize| ((bits & 0xffff_ffff).wrapping_mul(count as u64) >> 32) as usize;
        let first = place(roll, count);
        let second = place(roll >> 32, count - 1);
        (first, if second >= first { second + 1 } else { second })
    }
}

impl Upstream {
    pub(in crate::proxy) fn name(&self) -> &str {
        &self.rules.name
    }

    /// Whether another endpoint could take over.
    pub(in crate::proxy) fn has_several(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// An endpoint for a request.
    #[inline]
    pub(in crate::proxy) fn pick(&self, tried: &Tried, now: u64) -> Picked {
        match &self.endpoints[..] {
            [] => Picked::Out,
            [only] if tried.is_empty() => match (only.standing.is_in(now), self.has_room(only)) {
                (false, _) => self.resort(tried, now),
                (true, false) => Picked::Full,
                (true, true) => Picked::Endpoint(only.slot(), 0),
            },
            [_] => Picked::Out,
            many => {
                let (one, other) = self.lasting.dice.two_of(many.len());
                let good = |place: usize| {
                    many[place].standing.is_in(now) && self.has_room(&many[place]) && !tried.contains(&place)
                };
                let place = match (good(one), good(other)) {
                    (true, true) if many[other].in_use() < many[one].in_use() => other,
                    (true, _) => one,
                    (false, true) => other,
                    (false, false) => return self.search(tried, now, one),
                };
                Picked::Endpoint(many[place].slot(), place)
            }
        }
    }

    /// The least busy of all, where chance named none that will do.
    fn search(&self, tried: &Tried, now: u64, from: usize) -> Picked {
        let count = self.endpoints.len();
        let places = (0..count).map(|step| (from + step) % count);
        let is_in = |place: &usize| self.endpoints[*place].standing.is_in(now) && !tried.contains(place);
        let mut any = false;
        let with_room = places.filter(is_in).inspect(|_| any = true).filter(|at| self.has_room(&self.endpoints[*at]));
        match with_room.min_by_key(|place| self.endpoints[*place].in_use()) {
            Some(place) => Picked::Endpoint(self.endpoints[place].slot(), place),
            None if any => Picked::Full,
            None => self.resort(tried, now),
        }
    }

    /// Where none is in, one that is left alone may have come back, and nobody would know.
    #[cold]
    fn resort(&self, tried: &Tried, now: u64) -> Picked {
        let may = |endpoint: &Endpoint| {
            endpoint.standing.is_resort(!tried.is_empty(), self.rules.ejection, now) && self.has_room(endpoint)
        };
        let found = (0..self.endpoints.len()).find(|at| !tried.contains(at) && may(&self.endpoints[*at]));
        found.map_or(Picked::Out, |place| Picked::Endpoint(self.endpoints[place].slot(), place))
    }

    fn has_room(&self, endpoint: &Endpoint) -> bool {
        endpoint.in_use() < self.rules.max_connections
    }

    /// A request has come.
    #[inline]
    pub(in crate::proxy) fn begin(&self) {
        self.counters.request();
        if let Some(rules) = self.rules.retries {
            self.lasting.budget.earn(rules);
        }
    }

    /// Whether a request may be sent again.
    pub(in crate::proxy) fn may_repeat(&self) -> bool {
        let may = self.rules.retries.is_some() && self.lasting.budget.spend();
        match may {
            true => self.counters.retry(),
            false => self.counters.retry_refused(),
        }
        may
    }

    /// An endpoint has answered.
    #[inline]
    pub(in crate::proxy) fn succeeded(&self, endpoint: &Endpoint) {
        endpoint.counters.exchange(Exchange::Answered);
        if endpoint.standing.succeeded() {
            endpoint.counters.returned();
            tracing::info!(upstream = self.name(), endpoint = endpoint.shown(), "the endpoint takes part again");
        }
    }

    /// An endpoint has taken no connection.
    pub(in crate::proxy) fn unreachable(&self, endpoint: &Endpoint, now: u64) {
        endpoint.counters.connect_failed();
        self.demerit(endpoint, now);
    }

    /// An endpoint has taken a request and not answered it as it should. The last one that is in stays in: whoever can make
    /// requests fail must not be able to close the upstream to everybody.
    pub(in crate::proxy) fn failed(&self, endpoint: &Rc<Endpoint>, how: Exchange, now: u64) {
        endpoint.counters.exchange(how);
        let others = self.endpoints.iter().filter(|other| !Rc::ptr_eq(other, endpoint));
        if others.into_iter().any(|other| other.standing.is_in(now)) {
            self.demerit(endpoint, now);
        }
    }

    fn demerit(&self, endpoint: &Endpoint, now: u64) {
        let Some(rules) = self.rules.ejection else { return };
        if endpoint.standing.failed(rules, now) == Some(true) {
            endpoint.counters.ejected();
            tracing::warn!(
                upstream = self.name(),
                endpoint = endpoint.shown(),
                "the endpoint failed and is left alone"
            );
        }
    }
}

#[cfg(test)]
mod tests;
