//! The job that finds out, for all workers, where the names of endpoints lead and whether endpoints are well.
//!
//! Runs on the admin runtime, one for the process: endpoints are not asked more often because there are more workers. Never
//! on the way of a request, and what it can't find out changes nothing.

mod question;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::upstream::{ClientTls, literal};
use crate::config::settings::{Endpoint, Gateway, HealthCheck, Upstream, UpstreamTls};
use crate::live::endpoints::{Address, Endpoints, Place};
use crate::live::published::Published;
use crate::telemetry::metrics::Metrics;

/// How often the settings are looked at for new endpoints.
const TICK: Duration = Duration::from_secs(1);

/// A resolver that takes longer has no answer.
const RESOLVED_WITHIN: Duration = Duration::from_secs(5);

/// The job.
#[derive(Debug)]
pub struct Scout {
    published: Arc<Published>,
    endpoints: Arc<Endpoints>,
    tls: Arc<ClientTls>,
    metrics: Arc<Metrics>,
    known: HashMap<Place, Known>,
}

/// What is asked about one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    tls: UpstreamTls,
    check: Option<HealthCheck>,
    resolve_interval: Duration,
}

/// What is known of one endpoint.
#[derive(Debug)]
struct Known {
    rules: Rules,
    addresses: Vec<Seen>,
    resolve_due: Instant,
    check_due: Instant,
    is_visited: bool,
    is_lost: bool,
}

/// What is known of one address.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: SocketAddr,
    /// `None` while nobody has asked.
    healthy: Option<bool>,
    /// Answers in a row that say otherwise.
    against: u32,
}

/// What one visit found out.
#[derive(Debug)]
struct Visit {
    place: Place,
    resolved: Option<Result<Vec<SocketAddr>, String>>,
    answers: Vec<(SocketAddr, Result<(), String>)>,
    was_asked: bool,
}

impl Scout {
    pub(super) fn new(
        published: Arc<Published>,
        endpoints: Arc<Endpoints>,
        tls: Arc<ClientTls>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { published, endpoints, tls, metrics, known: HashMap::new() }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let mut visits = JoinSet::new();
        loop {
            let settings = Arc::clone(&self.published.current().settings);
            self.adapt(&settings);
            let wait = self.send_out(&mut visits, Instant::now());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Some(visit) = visits.join_next() => {
                    // One that panicked leaves its endpoint as it is known; the next tick finds no visit under way.
                    if let Ok(visit) = visit {
                        self.settle(visit);
                    }
                }
            }
        }
    }

    /// Follows the settings: endpoints come and go, rules change.
    fn adapt(&mut self, settings: &Gateway) {
        let wanted: HashMap<Place, Rules> = settings.upstreams.iter().flat_map(wanted).collect();
        let before = self.known.len();
        self.known.retain(|place, _| wanted.contains_key(place));
        if self.known.len() != before {
            self.endpoints.retain(|place| wanted.contains_key(place));
            self.measure();
        }
        let now = Instant::now();
        for (place, rules) in wanted {
            match self.known.get_mut(&place) {
                Some(known) if known.rules == rules => {}
                Some(known) => {
                    *known = Known { addresses: std::mem::take(&mut known.addresses), ..Known::new(rules, now) };
                    known.addresses.iter_mut().for_each(|seen| (seen.healthy, seen.against) = (None, 0));
                    self.tell(&place);
                }
                None => {
                    let mut known = Known::new(rules, now);
                    if let Endpoint::Net { host, port, .. } = &place.endpoint {
                        known.addresses.extend(literal(host, *port).map(Seen::new));
                    }
                    self.known.insert(place, known);
                }
            }
        }
    }

    /// Visits what is due; how long nothing else will be.
    fn send_out(&mut self, visits: &mut JoinSet<Visit>, now: Instant) -> Duration {
        let mut next = now + TICK;
        for (place, known) in &mut self.known {
            let Endpoint::Net { host, port, .. } = &place.endpoint else { continue };
            if known.is_visited && !visits.is_empty() {
                continue;
            }
            let is_name = literal(host, *port).is_none();
            let resolve = is_name && known.resolve_due <= now;
            let check = known.rules.check.is_some() && known.check_due <= now;
            if resolve || check {
                known.is_visited = true;
                let (place, rules, tls) = (place.clone(), known.rules.clone(), Arc::clone(&self.tls));
                let addresses = known.addresses.iter().map(|seen| seen.at).collect();
                visits.spawn(visit(place, rules, tls, addresses, resolve, check));
                continue;
            }
            if is_name {
                next = next.min(known.resolve_due);
            }
            if known.rules.check.is_some() {
                next = next.min(known.check_due);
            }
        }
        next.saturating_duration_since(now)
    }

    fn settle(&mut self, visit: Visit) {
        let Some(known) = self.known.get_mut(&visit.place) else { return };
        let now = Instant::now();
        known.is_visited = false;
        let upstream = &*visit.place.upstream;
        match visit.resolved {
            None => {}
            Some(Ok(addresses)) => {
                (known.resolve_due, known.is_lost) = (now + known.rules.resolve_interval, false);
                let before = std::mem::take(&mut known.addresses);
                let same = |at: SocketAddr| before.iter().find(|seen| seen.at == at).copied();
                known.addresses = addresses.into_iter().map(|at| same(at).unwrap_or(Seen::new(at))).collect();
            }
            Some(Err(fault)) => {
                known.resolve_due = now + known.rules.resolve_interval;
                if !known.is_lost {
                    tracing::warn!(upstream, endpoint = %visit.place.endpoint, fault, "no addresses; the last ones serve");
                }
                known.is_lost = true;
            }
        }
        if let Some(check) = &known.rules.check
            && visit.was_asked
        {
            known.check_due = now + check.interval;
            for (at, answer) in visit.answers {
                let Some(seen) = known.addresses.iter_mut().find(|seen| seen.at == at) else { continue };
                if seen.hear(answer.is_ok(), check) {
                    let fault = answer.err();
                    tracing::warn!(upstream, address = %at, healthy = fault.is_none(), fault, "health has changed");
                }
            }
        }
        self.tell(&visit.place);
        self.measure();
    }

    fn tell(&self, place: &Place) {
        let Some(known) = self.known.get(place) else { return };
        let address = |seen: &Seen| Address { at: seen.at, healthy: seen.healthy.unwrap_or(true) };
        self.endpoints.tell(place, &known.addresses.iter().map(address).collect::<Vec<_>>());
    }

    /// Tells the metrics what is well.
    fn measure(&self) {
        let checked = self.known.iter().filter(|(_, known)| known.rules.check.is_some());
        let health = checked.map(|(place, known)| {
            let name = (place.upstream.to_string(), place.endpoint.to_string());
            (name, known.addresses.iter().any(|seen| seen.healthy.unwrap_or(true)))
        });
        self.metrics.endpoints_checked(health.collect());
    }
}

/// What there is to find out of an upstream's endpoints. An address that nobody checks is known already.
fn wanted(upstream: &Upstream) -> impl Iterator<Item = (Place, Rules)> {
    upstream.endpoints.iter().filter_map(|endpoint| {
        let Endpoint::Net { host, port, .. } = endpoint else { return None };
        if literal(host, *port).is_some() && upstream.health_check.is_none() {
            return None;
        }
        let place = Place { upstream: Arc::clone(&upstream.name), endpoint: endpoint.clone() };
        let rules = Rules {
            tls: upstream.tls.clone(),
            check: upstream.health_check.clone(),
            resolve_interval: upstream.resolve_interval,
        };
        Some((place, rules))
    })
}

async fn visit(
    place: Place,
    rules: Rules,
    tls: Arc<ClientTls>,
    mut addresses: Vec<SocketAddr>,
    resolve: bool,
    check: bool,
) -> Visit {
    let mut resolved = None;
    if resolve {
        let found = lookup(&place.endpoint).await;
        if let Ok(found) = &found {
            addresses.clone_from(found);
        }
        resolved = Some(found);
    }
    let mut answers = Vec::new();
    if let Some(check) = rules.check.filter(|_| check) {
        let check = Arc::new(check);
        let mut questions = JoinSet::new();
        for at in addresses {
            let (endpoint, check, tls, settings) =
                (place.endpoint.clone(), Arc::clone(&check), Arc::clone(&tls), rules.tls.clone());
            questions.spawn(async move { (at, question::ask(at, &endpoint, &check, &tls, &settings).await) });
        }
        while let Some(answer) = questions.join_next().await {
            answers.extend(answer);
        }
    }
    Visit { place, resolved, answers, was_asked: check }
}

/// All addresses of a name, in an order of their own: resolvers like to change theirs.
async fn lookup(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, String> {
    let Endpoint::Net { host, port, .. } = endpoint else { return Ok(Vec::new()) };
    let found = tokio::time::timeout(RESOLVED_WITHIN, tokio::net::lookup_host((&**host, *port))).await;
    let found = found.map_err(|_| "the resolver did not answer in time".to_owned())?;
    let mut addresses: Vec<SocketAddr> = found.map_err(|fault| fault.to_string())?.collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses) }
}

impl Known {
    fn new(rules: Rules, now: Instant) -> Self {
        Self { rules, addresses: Vec::new(), resolve_due: now, check_due: now, is_visited: false, is_lost: false }
    }
}

impl Seen {
    fn new(at: SocketAddr) -> Self {
        Self { at, healthy: None, against: 0 }
    }

    /// Takes an answer in; whether that changes anything. The first one decides alone.
    fn hear(&mut self, good: bool, rules: &HealthCheck) -> bool {
        let Some(healthy) = self.healthy else {
            self.healthy = Some(good);
            return !good;
        };
        if healthy == good {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let needed = if good { rules.healthy_after } else { rules.unhealthy_after };
        if self.against < needed {
            return false;
        }
        (self.healthy, self.against) = (Some(good), 0);
        true
    }
}

#[cfg(test)]
mod tests;
