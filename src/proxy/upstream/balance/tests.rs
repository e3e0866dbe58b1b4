//! Who is chosen, and who never is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::settings::{Ejection, Queue as Line, Retries};
use crate::proxy::upstream::endpoint::Home;

const NOW: u64 = 1;

fn upstream(count: u16) -> Upstream {
    let second = Duration::from_secs(1);
    let rules = settings::Upstream {
        name: "api".into(),
        endpoints: Vec::new(),
        tls: settings::UpstreamTls::default(),
        preserve_host: true,
        connect_timeout: second,
        first_byte_timeout: second,
        idle_timeout: second,
        total_timeout: None,
        pool_idle_timeout: second,
        pool_max_idle: 8,
        max_connections: 3,
        queue: Line { length: 0, timeout: second },
        retries: Some(Retries { percent: 20, reserve: 1 }),
        ejection: Some(Ejection { failures: 1, first: second, longest: second }),
        health_check: None,
        resolve_interval: second,
    };
    let lasting = Lasting {
        queue: Rc::new(Queue::default()),
        budget: Rc::new(Budget::new(rules.retries)),
        dice: Rc::new(Dice::new(7)),
    };
    let counters = Arc::new(UpstreamCounters::default());
    let home = Home { upstream: &rules, client_tls: &Arc::default(), queue: &lasting.queue };
    let endpoint = |port| {
        let at = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        Rc::new(Endpoint::new(settings::Endpoint::Echo, at, &home, counters.endpoint("e")))
    };
    let endpoints = (1..=count).map(endpoint).collect();
    Upstream { rules, endpoints, lasting, counters }
}

#[track_caller]
fn picked(upstream: &Upstream, tried: &[usize]) -> (Slot, usize) {
    match upstream.pick(&Tried::from_slice(tried), NOW) {
        Picked::Endpoint(slot, place) => (slot, place),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_load_is_even_and_the_caps_are_kept() {
    for count in [1, 2, 3, 7] {
        let upstream = upstream(count);
        let slots: Vec<_> = (0..count * 3).map(|_| picked(&upstream, &[])).collect();
        assert!(upstream.endpoints.iter().all(|endpoint| endpoint.in_use() == 3), "{count}");
        assert!(matches!(upstream.pick(&Tried::new(), NOW), Picked::Full), "{count}");
        drop(slots);
        assert!(upstream.endpoints.iter().all(|endpoint| endpoint.in_use() == 0), "{count}");
        // One after the other, each gets its share.
        let mut shares = vec![0; usize::from(count)];
        (0..700 * count).for_each(|_| shares[picked(&upstream, &[]).1] += 1);
        assert!(shares.iter().all(|share| (550..850).contains(share)), "{shares:?}");
    }
}

#[test]
fn the_less_busy_of_two() {
    let upstream = upstream(2);
    let _busy = [upstream.endpoints[0].slot(), upstream.endpoints[0].slot()];
    assert!((0..20).all(|_| picked(&upstream, &[]).1 == 1));
    assert!((0..20).all(|_| picked(&upstream, &[1]).1 == 0), "but not one that was tried");
    assert!(matches!(upstream.pick(&Tried::from_slice(&[0, 1]), NOW), Picked::Out));
}

#[test]
fn who_is_out_is_given_nothing_and_the_last_goes_by_connections_alone() {
    let upstream = upstream(3);
    upstream.endpoints[2].standing.set_healthy(false);
    upstream.failed(&upstream.endpoints[0], Exchange::Failed, NOW);
    assert!((0..50).all(|_| picked(&upstream, &[]).1 == 1));
    // Failing requests can't close the upstream to everybody; no connections can.
    upstream.failed(&upstream.endpoints[1], Exchange::TimedOut, NOW);
    assert_eq!(picked(&upstream, &[]).1, 1);
    upstream.unreachable(&upstream.endpoints[1], NOW);
    assert!(matches!(upstream.pick(&Tried::new(), NOW), Picked::Out));
    // One that has failed elsewhere tries whoever is not unwell.
    assert_eq!(picked(&upstream, &[1]).1, 0);
    assert!(matches!(upstream.pick(&Tried::from_slice(&[0, 1]), NOW), Picked::Out));
    // Its time over, the first is tried, by one request at a time.
    let later = NOW + 1_000;
    let Picked::Endpoint(trial, 0 | 1) = upstream.pick(&Tried::new(), later) else { panic!("nobody is tried") };
    upstream.succeeded(trial.endpoint());
    assert!(!trial.endpoint().standing.is_out());
}

#[test]
fn dice_name_two_different_places_and_every_pair() {
    let dice = Dice::new(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        let (one, other) = dice.two_of(4);
        assert!(one != other && one < 4 && other < 4);
        seen.insert((one, other));
    }
    assert_eq!(seen.len(), 12);
}
