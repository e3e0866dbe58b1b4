//! The worker's own way to the upstreams: per endpoint a pool that no other thread sees.
//!
//! Rebuilt when new settings are published, or when addresses or health of endpoints change; an endpoint that stays the same
//! keeps its connections and what is known of it.

mod admission;
mod balance;
mod budget;
mod client_tls;
mod connect;
mod echo;
mod endpoint;
mod link;
mod queue;
mod standing;

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::settings::{self, Gateway};
use crate::live::endpoints::{Endpoints, Place};
use crate::telemetry::metrics::Stripe;

pub(super) use admission::Refused;
use balance::{Dice, Lasting};
pub(super) use balance::{Tried, Upstream};
use budget::Budget;
pub(super) use client_tls::ClientTls;
pub(super) use connect::{Stream, Target, open};
pub(super) use echo::echo;
use endpoint::Home;
pub(super) use endpoint::{AnswerBody, Endpoint, Lease, Slot, UpstreamSide, literal};
pub(super) use link::{SendFault, Share};
use queue::Queue;

/// All upstreams of the present settings.
#[derive(Debug)]
pub(super) struct Upstreams {
    tls: Arc<ClientTls>,
    known: Arc<Endpoints>,
    stripe: Arc<Stripe>,
    /// What the dice of the upstreams begin with.
    seeds: RandomState,
    made: Cell<u64>,
    table: RefCell<Table>,
}

#[derive(Debug, Default)]
struct Table {
    settings: Option<Arc<Gateway>>,
    /// The counts of [`ClientTls`] and [`Endpoints`] that it was made at.
    changes: (u64, u64),
    upstreams: Vec<Rc<Upstream>>,
}

impl Upstreams {
    pub(super) fn new(tls: Arc<ClientTls>, known: Arc<Endpoints>, stripe: Arc<Stripe>) -> Self {
        Self { tls, known, stripe, seeds: RandomState::new(), made: Cell::new(0), table: RefCell::default() }
    }

    /// The upstream at a position of these settings.
    pub(super) fn find(&self, settings: &Arc<Gateway>, position: usize) -> Option<Rc<Upstream>> {
        let mut table = self.table.borrow_mut();
        let changes = (self.tls.changes(), self.known.changes());
        let is_same = |known: &Arc<Gateway>| Arc::ptr_eq(known, settings) && table.changes == changes;
        if !table.settings.as_ref().is_some_and(is_same) {
            *table = self.rebuild(&table, settings, changes);
        }
        table.upstreams.get(position).cloned()
    }

    fn rebuild(&self, old: &Table, settings: &Arc<Gateway>, changes: (u64, u64)) -> Table {
        let endpoints = old.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        let kept: Vec<_> = endpoints.filter(|endpoint| changes.0 == old.changes.0 || !endpoint.is_https()).collect();
        let build = |rules: &settings::Upstream| {
            let same = old.upstreams.iter().find(|known| known.rules.name == rules.name);
            Rc::new(self.build(&kept, rules, same.map(|same| same.lasting.clone())))
        };
        Table {
            settings: Some(Arc::clone(settings)),
            changes,
            upstreams: settings.upstreams.iter().map(build).collect(),
        }
    }

    fn build(&self, kept: &[&Rc<Endpoint>], rules: &settings::Upstream, lasting: Option<Lasting>) -> Upstream {
        let lasting = lasting.unwrap_or_else(|| {
            self.made.set(self.made.get() + 1);
            Lasting {
                queue: Rc::new(Queue::default()),
                budget: Rc::new(Budget::new(rules.retries)),
                dice: Rc::new(Dice::new(self.seeds.hash_one(self.made.get()))),
            }
        });
        let counters = self.stripe.upstream(&rules.name);
        let home = Home { upstream: rules, client_tls: &self.tls, queue: &lasting.queue };
        let mut endpoints: Vec<Rc<Endpoint>> = Vec::new();
        for address in &rules.endpoints {
            for (at, healthy) in self.addresses(rules, address) {
                let endpoint = match kept.iter().find(|kept| kept.is_same(address, at, rules)) {
                    Some(kept) => Rc::clone(kept),
                    None => {
                        let counters = counters.endpoint(&address.to_string());
                        Rc::new(Endpoint::new(address.clone(), at, &home, counters))
                    }
                };
                endpoint.standing.set_healthy(healthy);
                endpoints.push(endpoint);
            }
        }
        Upstream { rules: rules.clone(), endpoints, lasting, counters }
    }

    /// The addresses of an endpoint, as far as they are known, and whether they are well.
    fn addresses(&self, rules: &settings::Upstream, endpoint: &settings::Endpoint) -> Vec<(Option<SocketAddr>, bool)> {
        let settings::Endpoint::Net { host, port, .. } = endpoint else { return vec![(None, true)] };
        let place = Place { upstream: Arc::clone(&rules.name), endpoint: endpoint.clone() };
        match self.known.of(&place) {
            Some(known) => known.iter().map(|address| (Some(address.at), address.healthy)).collect(),
            None => vec![(literal(host, *port), true)],
        }
    }

    /// Closes connections that nobody has used for long.
    pub(super) fn sweep(&self, now: u64) {
        for upstream in &self.table.borrow().upstreams {
            for endpoint in &upstream.endpoints {
                endpoint.sweep(now);
            }
        }
    }
}
