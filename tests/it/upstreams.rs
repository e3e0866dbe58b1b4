//! Several endpoints: who is asked, what is asked twice, who waits, and what is said when nobody answers.

mod health;
mod third_party;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::stage::{Answer, KEY_OPEN, Seen, Setting, Upstream, wait_for};

/// A request by `KEY_OPEN`.
pub fn raw(start: &str, lines: &str, body: &str) -> String {
    format!("{start} HTTP/1.1\r\nHost: api.example.com\r\nX-API-Key: {KEY_OPEN}\r\n{lines}\r\n{body}")
}

fn get(path: &str) -> String {
    raw(&format!("GET {path}"), "", "")
}

const POST: &str = "Content-Length: 3\r\n";

/// The configuration of one upstream with these endpoints and keys.
fn upstreams(endpoints: &[SocketAddr], more: &str) -> String {
    let list: Vec<String> = endpoints.iter().map(|at| format!("\"http://{at}\"")).collect();
    format!("upstreams: {{ api: {{ endpoints: [{}]{more} }} }}", list.join(", "))
}

/// An address that refuses connections.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Takes requests and closes without an answer.
fn dying() -> Upstream {
    Upstream::scripted(|_, _| false)
}

fn told(name: &str) -> String {
    format!("portcullis_upstream_{name}{{upstream=\"api\"}}")
}

fn overloads(reason: &str) -> String {
    format!("portcullis_upstream_overloads_total{{upstream=\"api\",reason=\"{reason}\"}}")
}

#[test]
fn requests_are_spread_and_the_log_names_the_endpoint() {
    let other = Upstream::start();
    let first = Upstream::start();
    let stage = Setting::new().gateway(&upstreams(&[first.address(), other.address()], "")).set_before(first);
    let mut client = stage.connect();
    for _ in 0..40 {
        assert_eq!(client.send(get("/")).status, 200);
    }
    let (here, there) = (stage.upstream.seen().len(), other.seen().len());
    assert!(here + there == 40 && here > 8 && there > 8, "{here} and {there}");
    let log = stage.log_of(40);
    let went = |to: &Upstream| log.iter().filter(|line| line["upstream.endpoint"] == to.address().to_string()).count();
    assert_eq!((went(&stage.upstream), went(&other)), (here, there));
    assert!(log.iter().all(|line| line["upstream"] == "api" && line["upstream.attempts"].is_null()), "{log:#?}");
    let exchanges = |to: &Upstream| {
        let labels = format!("upstream=\"api\",endpoint=\"http://{}\",outcome=\"answered\"", to.address());
        stage.metric(&format!("portcullis_upstream_endpoint_exchanges_total{{{labels}}}"))
    };
    assert_eq!((exchanges(&stage.upstream), exchanges(&other)), (here as f64, there as f64));
}

/// Nothing was sent to a dead endpoint, so that even a POST goes to the next one, and before long nobody asks the dead one.
#[test]
fn a_dead_endpoint_costs_no_request_and_is_left_alone() {
    let dead = nobody();
    let upstream = Upstream::start();
    let live = upstream.address();
    let stage = Setting::new()
        .gateway(&upstreams(&[dead, live], ", ejection: { failures: 3, first: 60s, longest: 60s }"))
        .set_before(upstream);
    let mut client = stage.connect();
    for at in 0..40 {
        let request = if at % 2 == 0 { raw("POST /", POST, "abc") } else { get("/") };
        assert_eq!(client.send(request).status, 200);
    }
    let labels = format!("{{upstream=\"api\",endpoint=\"http://{dead}\"}}");
    assert_eq!(stage.metric(&format!("portcullis_upstream_connect_failures_total{labels}")), 3.0);
    assert_eq!(stage.metric(&format!("portcullis_upstream_ejections_total{labels}")), 1.0);
    assert_eq!(stage.metric(&format!("portcullis_upstream_ejected{labels}")), 1.0);
    assert_eq!(stage.metric(&told("retries_total")), 0.0, "what was not sent is not sent again");
    assert_eq!(stage.upstream.seen().len(), 40);
    let twice = stage.log_of(40).iter().filter(|line| line["upstream.attempts"] == 2).count();
    assert_eq!(twice, 3);
}

#[test]
fn an_endpoint_that_comes_back_is_given_requests_again() {
    let other = Upstream::start();
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let more = ", ejection: { failures: 1, first: 100ms, longest: 100ms }";
    let stage = Setting::new().gateway(&upstreams(&[address, other.address()], more)).set();
    let ejected = format!("portcullis_upstream_ejected{{upstream=\"api\",endpoint=\"http://{address}\"}}");
    wait_for("the ejection", || {
        assert_eq!(stage.send(get("/")).status, 200);
        stage.metric(&ejected) == 1.0
    });
    let back = Upstream::at(address);
    wait_for("its return", || {
        assert_eq!(stage.send(get("/")).status, 200);
        !back.seen().is_empty()
    });
    assert_eq!(stage.metric(&ejected), 0.0);
}

#[test]
fn what_is_safe_is_sent_again_once_and_nothing_else() {
    for (method, lines, body, safe) in [
        ("GET /", "", "", true),
        ("HEAD /", "", "", true),
        ("DELETE /", "", "", true),
        ("PUT /", "Content-Length: 0\r\n", "", true),
        ("PUT /", POST, "abc", false),
        ("POST /", POST, "abc", false),
        ("POST /", "Content-Length: 0\r\n", "", false),
        ("PATCH /", "", "", false),
    ] {
        // One that dies with whatever it is given, one that answers: whoever is asked first, safe requests are answered.
        let (bad, good) = (dying(), Upstream::start());
        let more = ", ejection: off, retries: { percent: 0, reserve: 1000 }";
        let stage = Setting::new().gateway(&upstreams(&[bad.address(), good.address()], more)).set();
        let mut statuses = Vec::new();
        let mut client = stage.connect();
        for _ in 0..24 {
            let answer = client.send(raw(method, lines, body));
            statuses.push(answer.status);
            if answer.header("connection") == Some("close") {
                client = stage.connect();
            }
        }
        let reached = bad.seen().len();
        assert!(reached > 2, "{method}: chance favours nobody that much");
        match safe {
            true => {
                assert!(statuses.iter().all(|status| *status == 200), "{method}: {statuses:?}");
                assert_eq!(stage.metric(&told("retries_total")), reached as f64, "{method}");
                assert_eq!(good.seen().len(), 24, "{method}");
            }
            false => {
                assert_eq!(statuses.iter().filter(|status| **status == 502).count(), reached, "{method}");
                assert_eq!(good.seen().len() + reached, 24, "{method}: each was sent once");
                assert_eq!(stage.metric(&told("retries_total")), 0.0, "{method}");
            }
        }
    }
    // Twice at most, however many endpoints there are.
    let all: Vec<Upstream> = (0..4).map(|_| dying()).collect();
    let addresses: Vec<SocketAddr> = all.iter().map(Upstream::address).collect();
    let stage = Setting::new().gateway(&upstreams(&addresses, "")).set();
    assert_eq!(stage.send(get("/")).outcome(), (502, "UPSTREAM_PROTOCOL_ERROR".into()));
    assert_eq!(all.iter().map(|one| one.seen().len()).sum::<usize>(), 2);
    assert_eq!(stage.log_of(1)[0]["upstream.attempts"], 2);
}

#[test]
fn the_budget_bounds_what_is_sent_again() {
    let all = [dying(), dying()];
    let more = ", ejection: off, retries: { percent: 20, reserve: 2 }";
    let stage = Setting::new().gateway(&upstreams(&[all[0].address(), all[1].address()], more)).set();
    for _ in 0..20 {
        assert_eq!(stage.send(get("/")).status, 502);
    }
    let reached: usize = all.iter().map(|one| one.seen().len()).sum();
    // Two in reserve, and one for each five requests after them.
    let repeated = reached - 20;
    assert!((5..=6).contains(&repeated), "{repeated}");
    assert_eq!(stage.metric(&told("retries_total")), repeated as f64);
    assert_eq!(stage.metric(&told("retries_refused_total")), (20 - repeated) as f64);
    // Off is off.
    let all = [dying(), dying()];
    let stage = Setting::new().gateway(&upstreams(&[all[0].address(), all[1].address()], ", retries: off")).set();
    assert_eq!(stage.send(get("/")).status, 502);
    assert_eq!(all.iter().map(|one| one.seen().len()).sum::<usize>(), 1);
}

/// An upstream that answers when the test lets it.
fn held_until(gate: Arc<AtomicBool>) -> Upstream {
    Upstream::scripted(move |_, stream| {
        wait_for("the test to let go", || gate.load(Ordering::Acquire));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    })
}

#[test]
fn who_finds_no_connection_waits_and_the_line_has_an_end() {
    let gate: Arc<AtomicBool> = Arc::default();
    let upstream = held_until(Arc::clone(&gate));
    let more = ", max_connections: 2, queue: { length: 2, timeout: 10s }";
    let stage = Setting::new().gateway(&upstreams(&[upstream.address()], more)).set_before(upstream);
    let mut clients: Vec<_> = (0..4).map(|_| stage.connect()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.write(get(&format!("/{at}")));
        wait_for("it to be under way", || stage.metric("portcullis_open_exchanges") == (at + 1) as f64);
    }
    wait_for("two to wait", || stage.metric(&told("queued")) == 2.0);
    let refused = stage.send(get("/one-too-many"));
    assert_eq!(refused.outcome(), (503, "UPSTREAM_OVERLOADED".into()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(stage.metric(&overloads("queue_full")), 1.0);
    // One who waits goes away; the other has its turn all the same.
    drop(clients.remove(2));
    wait_for("one to wait", || stage.metric(&told("queued")) == 1.0);
    gate.store(true, Ordering::Release);
    assert!(clients.iter_mut().all(|client| client.read(false).status == 200));
    assert_eq!(stage.metric(&told("queued")), 0.0);
    let paths: Vec<String> = stage.upstream.seen().into_iter().map(|seen: Seen| seen.line).collect();
    assert!(paths.len() == 3 && !paths.iter().any(|line| line.contains("/2 ")), "{paths:?}");
    assert_eq!(stage.metric(&told("connections_total")), 2.0);
}

#[test]
fn waiting_has_a_deadline() {
    let gate: Arc<AtomicBool> = Arc::default();
    let upstream = held_until(Arc::clone(&gate));
    let more = ", max_connections: 1, queue: { length: 8, timeout: 200ms }";
    let stage = Setting::new().gateway(&upstreams(&[upstream.address()], more)).set_before(upstream);
    let mut first = stage.connect();
    first.write(get("/"));
    wait_for("it to be under way", || stage.upstream.seen().len() == 1);
    let began = Instant::now();
    assert_eq!(stage.send(raw("POST /", POST, "abc")).outcome(), (503, "UPSTREAM_OVERLOADED".into()));
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(stage.metric(&overloads("queue_timeout")), 1.0);
    assert!(stage.log_of(1)[0]["reason"].as_str().unwrap().contains("became free"));
    gate.store(true, Ordering::Release);
    assert_eq!(first.read(false).status, 200);
    assert_eq!(stage.send(get("/")).status, 200);
}

#[test]
fn an_open_circuit_answers_at_once_and_closes_by_itself() {
    let address = nobody();
    let more = ", ejection: { failures: 2, first: 300ms, longest: 300ms }";
    let stage = Setting::new().gateway(&upstreams(&[address], more)).set();
    let outcomes: Vec<_> = (0..6).map(|_| stage.send(get("/")).outcome().0).collect();
    assert_eq!(outcomes, [502, 502, 503, 503, 503, 503]);
    assert_eq!(stage.metric(&overloads("circuit_open")), 4.0);
    let line = stage.log_of(6).remove(5);
    assert_eq!((line["code"].as_str(), line["upstream.endpoint"].as_str()), (Some("UPSTREAM_OVERLOADED"), None));
    let _back = Upstream::at(address);
    wait_for("the circuit to close", || stage.send(get("/")).status == 200);
}

#[test]
fn the_whole_has_a_deadline_too() {
    let trickle = |_: &Seen, stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // Never silent for long, and never done.
        while stream.write_all(b"1\r\na\r\n").is_ok() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    };
    let upstream = Upstream::scripted(trickle);
    let stage =
        Setting::new().gateway(&upstreams(&[upstream.address()], ", total_timeout: 300ms")).set_before(upstream);
    let mut client = stage.connect();
    client.write(get("/"));
    assert!(client.head().unwrap().0.contains("200"));
    let body = client.rest();
    assert!(!body.ends_with("0\r\n\r\n"), "the client sees that it is not whole");
    assert_eq!(stage.log_of(1)[0]["code"], "UPSTREAM_TIMEOUT");
    // Before the answer it is a 504.
    let gate: Arc<AtomicBool> = Arc::default();
    let upstream = held_until(Arc::clone(&gate));
    let stage =
        Setting::new().gateway(&upstreams(&[upstream.address()], ", total_timeout: 300ms")).set_before(upstream);
    let answer: Answer = stage.send(get("/"));
    assert_eq!(answer.outcome(), (504, "UPSTREAM_TIMEOUT".into()));
    gate.store(true, Ordering::Release);
}

/// New settings neither forget who waits nor what is in use.
#[test]
fn a_reload_keeps_the_line() {
    let gate: Arc<AtomicBool> = Arc::default();
    let upstream = held_until(Arc::clone(&gate));
    let more = ", max_connections: 1, queue: { length: 8, timeout: 20s }";
    let stage = Setting::new().gateway(&upstreams(&[upstream.address()], more)).set_before(upstream);
    let mut clients = [stage.connect(), stage.connect()];
    clients[0].write(get("/0"));
    wait_for("it to be under way", || stage.upstream.seen().len() == 1);
    clients[1].write(get("/1"));
    wait_for("one to wait", || stage.metric(&told("queued")) == 1.0);
    let applied = stage.metric("portcullis_configuration_applied_total");
    stage.replace("portcullis.yaml", stage.configuration().replace("length: 8", "length: 1"));
    wait_for("the reload", || stage.metric("portcullis_configuration_applied_total") > applied);
    assert_eq!(stage.send(get("/2")).status, 503, "the new length is one");
    gate.store(true, Ordering::Release);
    assert!(clients.iter_mut().all(|client| client.read(false).status == 200));
}
