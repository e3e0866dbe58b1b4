//! Health checks, and names that lead to more than one address.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{get, overloads, upstreams};
use crate::stage::{Setting, Upstream, wait_for};

const CHECK: &str = ", health_check: { path: \"/healthz?deep=1\", host: check.test, interval: 30ms, timeout: 2s, \
                     healthy_after: 2, unhealthy_after: 2 }";

/// Answers questions about its health with this status, and everything else with 200.
fn patient(status: &Arc<AtomicU16>) -> Upstream {
    let status = Arc::clone(status);
    Upstream::answering(move |seen| {
        let asked = seen.line.starts_with("GET /healthz");
        let status = if asked { status.load(Ordering::Acquire) } else { 200 };
        format!("HTTP/1.1 {status} Told\r\nContent-Length: 2\r\n\r\nok").into_bytes()
    })
}

/// Requests that were no questions about health.
fn served(upstream: &Upstream) -> usize {
    upstream.seen().iter().filter(|seen| !seen.line.contains("/healthz")).count()
}

#[test]
fn an_endpoint_that_says_it_is_unwell_is_given_nothing_until_it_is_well() {
    let states = [Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(204))];
    let nodes = [patient(&states[0]), patient(&states[1])];
    let addresses = [nodes[0].address(), nodes[1].address()];
    let stage = Setting::new().workers(2).gateway(&upstreams(&addresses, CHECK)).set();
    let healthy = |at: usize| {
        let labels = format!("upstream=\"api\",endpoint=\"http://{}\"", addresses[at]);
        stage.metric(&format!("portcullis_upstream_endpoint_healthy{{{labels}}}"))
    };
    wait_for("both to be well", || healthy(0) + healthy(1) == 2.0);
    let question = nodes[0].nth(1);
    assert_eq!(question.line, "GET /healthz?deep=1 HTTP/1.1");
    assert_eq!(question.header("host"), Some("check.test"));
    assert!(question.header("user-agent").unwrap().contains("health check"));

    states[0].store(503, Ordering::Release);
    wait_for("one to be unwell", || healthy(0) == 0.0);
    let before = served(&nodes[0]);
    for _ in 0..20 {
        assert_eq!(stage.send(get("/")).status, 200);
    }
    assert_eq!(served(&nodes[0]), before, "on either worker");

    states[1].store(500, Ordering::Release);
    wait_for("both to be unwell", || healthy(1) == 0.0);
    assert_eq!(stage.send(get("/")).outcome(), (503, "UPSTREAM_OVERLOADED".into()));
    assert_eq!(stage.metric(&overloads("circuit_open")), 1.0);

    states[0].store(200, Ordering::Release);
    wait_for("it to be well again", || healthy(0) == 1.0);
    assert_eq!(stage.send(get("/")).status, 200);

    // Without the check nobody is unwell any more.
    stage.replace("portcullis.yaml", stage.configuration().replace(CHECK, ""));
    wait_for("both to be asked", || {
        assert_eq!(stage.send(get("/")).status, 200);
        served(&nodes[1]) > 20
    });
    assert_eq!(healthy(0), 0.0, "the gauge is gone");
}

#[test]
fn there_is_one_checker_however_many_workers_there_are() {
    let state = Arc::new(AtomicU16::new(200));
    let node = patient(&state);
    let check = CHECK.replace("30ms", "1h");
    let stage = Setting::new().workers(4).gateway(&upstreams(&[node.address()], &check)).set();
    wait_for("the question", || node.seen().len() == 1);
    for _ in 0..20 {
        assert_eq!(stage.send(get("/")).status, 200);
    }
    assert_eq!(node.seen().len(), 21);
}

#[test]
fn a_name_with_several_addresses_is_served_by_whichever_answers() {
    let upstream = Upstream::start();
    // `localhost` is IPv4 and IPv6 nearly everywhere, and here only one of them is listened on.
    let name = format!("upstreams: {{ api: {{ endpoints: [\"http://localhost:{}\"] }} }}", upstream.address().port());
    let stage = Setting::new().gateway(&name).set_before(upstream);
    for _ in 0..30 {
        assert_eq!(stage.send(get("/")).status, 200);
    }
    assert_eq!(stage.upstream.seen().len(), 30);
    let to = stage.upstream.address().to_string();
    wait_for("the log to name an address", || {
        assert_eq!(stage.send(get("/")).status, 200);
        stage.log().last().is_some_and(|line| line["upstream.endpoint"] == to)
    });
}
