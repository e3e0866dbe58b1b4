//! How many answers it takes, and who is asked at all.

use super::*;

fn check() -> HealthCheck {
    HealthCheck {
        path: "/healthz".parse().unwrap(),
        host: None,
        interval: TICK,
        timeout: TICK,
        healthy_after: 2,
        unhealthy_after: 3,
    }
}

#[test]
fn answers_in_a_row_change_the_health_and_the_first_decides_alone() {
    let mut seen = Seen::new(SocketAddr::from(([127, 0, 0, 1], 1)));
    assert!(!seen.hear(true, &check()) && seen.healthy == Some(true));
    let bad = |seen: &mut Seen| seen.hear(false, &check());
    assert!(!bad(&mut seen) && !bad(&mut seen));
    assert!(!seen.hear(true, &check()), "one good answer starts the count anew");
    assert!(!bad(&mut seen) && !bad(&mut seen) && bad(&mut seen) && seen.healthy == Some(false));
    assert!(!seen.hear(true, &check()) && seen.hear(true, &check()) && seen.healthy == Some(true));
    let mut fresh = Seen::new(SocketAddr::from(([127, 0, 0, 1], 2)));
    assert!(bad(&mut fresh) && fresh.healthy == Some(false));
}

#[test]
fn names_are_looked_up_and_addresses_only_checked() {
    let endpoint = |host: &str| Endpoint::Net {
        https: false,
        http2: false,
        host: host.into(),
        port: 80,
        authority: host.parse().unwrap(),
    };
    let endpoints = vec![endpoint("api.internal"), endpoint("192.0.2.1"), Endpoint::Echo];
    let mut settings = crate::proxy::tests::harness::gateway(endpoints, |_| {});
    let names = |settings: &Gateway| {
        let mut names: Vec<String> =
            settings.upstreams.iter().flat_map(wanted).map(|(place, _)| place.endpoint.to_string()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&settings), ["http://api.internal"]);
    settings.upstreams[0].health_check = Some(check());
    assert_eq!(names(&settings), ["http://192.0.2.1", "http://api.internal"]);
}
