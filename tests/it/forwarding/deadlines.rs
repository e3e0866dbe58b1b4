//! Clients and upstreams that are slow, stand still, leave or die: each ends in its own code, and nobody waits for ever.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::{accept, by_hand, raw};
use crate::stage::{Setting, Stage, Upstream, wait_for};

const UPSTREAM_SHORT: &str = "upstreams: { api: { endpoints: [\"http://UPSTREAM\"], connect_timeout: 300ms, \
                              first_byte_timeout: 300ms, idle_timeout: 300ms } }";
const CLIENT_SHORT: &str = "timeouts: { header: 300ms, body_idle: 300ms, keep_alive: 300ms }";

fn get(path: &str) -> String {
    raw(&format!("GET {path} HTTP/1.1"), &[], "")
}

/// The last of so many lines: code, status, bytes in and out.
#[track_caller]
fn last(stage: &Stage, lines: usize) -> (String, u64, u64, u64) {
    let log = stage.log_of(lines);
    assert_eq!(log.len(), lines, "{log:#?}");
    let line = &log[lines - 1];
    let number = |name: &str| line[name].as_u64().unwrap();
    (line["code"].as_str().unwrap_or("OK").to_owned(), number("status"), number("bytes_in"), number("bytes_out"))
}

#[test]
fn a_head_has_a_deadline_as_a_whole() {
    let stage = Setting::new().gateway(CLIENT_SHORT).set();
    let mut silent = stage.connect();
    let mut half = stage.connect();
    half.write("GET / HTTP/1.1\r\nHost: a\r\n");
    // One that trickles gains nothing by it.
    let mut trickle = stage.connect();
    let began = Instant::now();
    trickle.write("GET / HTTP/1.1\r\n");
    while trickle.is_silent_for(Duration::from_millis(50)) && began.elapsed() < Duration::from_secs(10) {
        trickle.write("X-A: b\r\n");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(silent.is_closed() && half.is_closed());
    // Who has said nothing has asked nothing.
    let log = stage.log_of(2);
    assert!(log.iter().all(|line| line["code"] == "REQUEST_TIMEOUT"), "{log:#?}");
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"error\",code=\"REQUEST_TIMEOUT\"}"), 2.0);
    // A kept connection waits for its next request, and no longer.
    let mut kept = stage.connect();
    assert_eq!(kept.send(get("/")).status, 200);
    assert!(kept.is_closed());
    // Half a next request that came with the first is late like any other.
    let mut kept = stage.connect();
    assert_eq!(kept.send(get("/") + "GET / HTTP/1.1\r\nHo").status, 200);
    assert!(kept.is_closed());
    wait_for("connections to end", || stage.metric("portcullis_open_connections") == 0.0);
}

#[test]
fn a_body_that_stops_is_408() {
    let stage = Setting::new().gateway(CLIENT_SHORT).set();
    for (at, (lines, part, bytes)) in [
        (["Content-Length: 6"], "abc", 3),
        (["Transfer-Encoding: chunked"], "3\r\nabc\r\n", 3),
        (["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\nX-Trail", 3),
        (["Content-Length: 6"], "", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = stage.connect();
        let answer = client.send(raw("POST / HTTP/1.1", &lines, part));
        assert_eq!(answer.outcome(), (408, "REQUEST_TIMEOUT".into()), "{part:?}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed());
        let (code, status, bytes_in, _) = last(&stage, at + 1);
        assert_eq!((code.as_str(), status, bytes_in), ("REQUEST_TIMEOUT", 408, bytes), "{part:?}");
    }
    assert!(stage.upstream.seen().is_empty(), "half a body is no request");
    assert_eq!(stage.metric("portcullis_upstream_failures_total{upstream=\"api\"}"), 0.0, "it was the client");
}

#[test]
fn a_client_that_does_not_read_is_left() {
    let stage = Setting::new().gateway(CLIENT_SHORT).set_before(Upstream::scripted(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"10000\r\n".as_slice(), &[b'a'; 0x10000], b"\r\n"].concat();
        while stream.write_all(&chunk).is_ok() {}
        false
    }));
    let mut client = stage.connect();
    client.write(get("/"));
    let line = stage.log_of(1).remove(0);
    assert_eq!(line["status"], 200);
    assert!(line["bytes_out"].as_u64().unwrap() > 0);
    wait_for("the connection to end", || stage.metric("portcullis_open_connections") == 0.0);
    wait_for("the exchange to end", || stage.metric("portcullis_open_exchanges") == 0.0);
}

#[test]
fn an_upstream_that_is_late_is_504_before_its_answer_and_a_cut_within_it() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = Setting::new().gateway(UPSTREAM_SHORT).set_before(upstream);
    let mut client = stage.connect();
    client.write(get("/never"));
    let _first = accept(&connections);
    assert_eq!(client.read(false).outcome(), (504, "UPSTREAM_TIMEOUT".into()));
    assert_eq!(last(&stage, 1).0, "UPSTREAM_TIMEOUT");
    // Half a head is no answer either.
    client.write(get("/half"));
    let mut second = accept(&connections);
    second.head().unwrap();
    second.write("HTTP/1.1 200 OK\r\nContent-Le");
    assert_eq!(client.read(false).outcome(), (504, "UPSTREAM_TIMEOUT".into()));
    // Within the answer, the client must see that it is not whole.
    client.write(get("/cut"));
    let mut third = accept(&connections);
    third.head().unwrap();
    third.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(client.head().unwrap().0, "HTTP/1.1 200 OK");
    assert_eq!(client.rest(), "abc");
    assert_eq!(last(&stage, 3), ("UPSTREAM_TIMEOUT".into(), 200, 0, 3));
    assert!(third.is_closed(), "its connection is not used again");
    // The upstream that does not take the body.
    let mut client = stage.connect();
    client.write(raw("POST /full HTTP/1.1", &["Content-Length: 100000000"], ""));
    let _fourth = accept(&connections);
    let block = [0; 64 * 1024];
    let answer = std::thread::scope(|scope| {
        let mut reader = client.second();
        let answer = scope.spawn(move || reader.read(false));
        for _ in 0..1500 {
            client.write(block);
            if answer.is_finished() {
                break;
            }
        }
        answer.join().unwrap()
    });
    assert_eq!(answer.outcome(), (504, "UPSTREAM_TIMEOUT".into()));
    assert_eq!(stage.metric("portcullis_upstream_failures_total{upstream=\"api\"}"), 3.0);
}

#[test]
fn connecting_has_a_deadline_of_its_own() {
    // It takes the connection and never shakes hands.
    let (upstream, connections) = Upstream::by_hand();
    let stage = Setting::new().gateway(&UPSTREAM_SHORT.replace("http://", "https://")).set_before(upstream);
    let began = Instant::now();
    assert_eq!(stage.send(get("/")).outcome(), (502, "UPSTREAM_UNREACHABLE".into()));
    assert!(began.elapsed() < Duration::from_secs(5));
    let _held = accept(&connections);
    assert_eq!(last(&stage, 1).0, "UPSTREAM_UNREACHABLE");
}

#[test]
fn an_upstream_that_dies_within_its_answer_cuts_it() {
    for (framing, part, after) in [
        ("Content-Length: 10", "abc", ""),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n", ""),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n", "zz\r\n"),
    ] {
        let (stage, connections) = by_hand();
        let mut client = stage.connect();
        client.write(get("/"));
        let mut upstream = accept(&connections);
        upstream.head().unwrap();
        upstream.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        client.head().unwrap();
        upstream.write(part);
        assert_eq!(client.take(part.len()), part.as_bytes());
        upstream.write(after);
        drop(upstream);
        assert_eq!(client.rest(), "", "{framing}: no end is made up");
        assert_eq!(last(&stage, 1), ("UPSTREAM_PROTOCOL_ERROR".into(), 200, 0, 3), "{framing}");
    }
    // Before its answer: 502, and a request that may have been carried out is not sent again.
    let (stage, connections) = by_hand();
    let mut client = stage.connect();
    client.write(raw("POST / HTTP/1.1", &["Content-Length: 2"], "hi"));
    let mut upstream = accept(&connections);
    upstream.head().unwrap();
    assert_eq!(upstream.take(2), b"hi");
    drop(upstream);
    assert_eq!(client.read(false).outcome(), (502, "UPSTREAM_PROTOCOL_ERROR".into()));
    assert_eq!(last(&stage, 1), ("UPSTREAM_PROTOCOL_ERROR".into(), 502, 2, last(&stage, 1).3));
    assert!(connections.try_recv().is_err());
}

#[test]
fn a_client_that_leaves_is_logged_once_and_its_upstream_let_go() {
    // Before the answer, within it, and within its own body.
    let (stage, connections) = by_hand();
    let mut client = stage.connect();
    client.write(get("/before"));
    let mut upstream = accept(&connections);
    upstream.head().unwrap();
    drop(client);
    assert!(upstream.is_closed());
    assert_eq!(last(&stage, 1).1, 0, "nothing was answered");

    let mut client = stage.connect();
    client.write(get("/within"));
    let mut upstream = accept(&connections);
    upstream.head().unwrap();
    upstream.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.head().unwrap();
    assert_eq!(client.take(8), b"3\r\nabc\r\n");
    drop(client);
    assert!(upstream.is_closed());
    assert_eq!(last(&stage, 2), ("OK".into(), 200, 0, 3));

    let mut client = stage.connect();
    client.write(raw("POST /body HTTP/1.1", &["Content-Length: 10"], "abc"));
    let mut upstream = accept(&connections);
    upstream.head().unwrap();
    assert_eq!(upstream.take(3), b"abc");
    drop(client);
    assert!(upstream.is_closed(), "the upstream must not take half a body for a whole one");
    let (code, _, bytes_in, _) = last(&stage, 3);
    assert_eq!((code.as_str(), bytes_in), ("MALFORMED_REQUEST", 3));
    wait_for("the exchanges to end", || stage.metric("portcullis_open_exchanges") == 0.0);
}

/// An upstream that answers early and then neither reads nor closes holds nobody for ever, and what the client goes on sending
/// is no request.
#[test]
fn an_early_answer_does_not_leave_a_connection_behind() {
    for leaves in [true, false] {
        let (upstream, connections) = Upstream::by_hand();
        let gateway = format!("{UPSTREAM_SHORT}\n{CLIENT_SHORT}");
        let stage = Setting::new().gateway(&gateway).set_before(upstream);
        let mut client = stage.connect();
        client.write(raw("POST / HTTP/1.1", &["Content-Length: 100000000"], "begin"));
        let mut upstream = accept(&connections);
        upstream.head().unwrap();
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.read(false).text(), "ok");
        // More than all buffers on the way hold; nobody takes it.
        client.fill_up();
        if leaves {
            drop(client);
        } else {
            assert!(client.is_closed());
        }
        wait_for("the connection to end", || stage.metric("portcullis_open_connections") == 0.0);
        // What was sent is still there to be read, and then the end.
        upstream.rest();
        let log = stage.log_of(1);
        assert_eq!((log.len(), log[0]["status"].as_u64()), (1, Some(200)), "{log:#?}");
        assert_eq!(stage.metric("portcullis_requests_total{outcome=\"error\",code=\"REQUEST_TIMEOUT\"}"), 0.0);
    }
}

/// A body may go on for longer than a head, or a pause between requests, after its answer.
#[test]
fn a_body_that_outlasts_its_answer_is_read_to_its_end() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = Setting::new().gateway(&CLIENT_SHORT.replace("body_idle: 300ms", "body_idle: 5s")).set_before(upstream);
    let mut client = stage.connect();
    client.write(raw("POST /1 HTTP/1.1", &["Content-Length: 20"], "0"));
    let mut upstream = accept(&connections);
    upstream.head().unwrap();
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.read(false).text(), "ok");
    for _ in 1..20 {
        assert!(client.is_silent_for(Duration::from_millis(50)), "cut off");
        client.write("0");
    }
    assert_eq!(upstream.take(20).len(), 20);
    client.write(get("/2"));
    let mut next = accept(&connections);
    assert_eq!(next.head().unwrap().0, "GET /2 HTTP/1.1");
    next.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.read(false).text(), "ok");
    assert_eq!(stage.log_of(2).len(), 2);
}

#[test]
fn a_kept_connection_that_the_upstream_has_closed_costs_nobody_a_request() {
    // It answers, and closes right after it.
    let stage = Setting::new().set_before(Upstream::scripted(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        false
    }));
    for at in 0..20 {
        assert_eq!(stage.send(get("/")).status, 200, "{at}");
    }
    // It closes when the next request is on its way: a request that may be sent twice is.
    let (stage, connections) = by_hand();
    let mut client = stage.connect();
    client.write(get("/1"));
    let mut kept = accept(&connections);
    kept.head().unwrap();
    kept.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.read(false).status, 200);
    client.write(get("/2"));
    kept.head().unwrap();
    drop(kept);
    let mut fresh = accept(&connections);
    assert_eq!(fresh.head().unwrap().0, "GET /2 HTTP/1.1");
    fresh.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.read(false).status, 200);
    assert_eq!(stage.metric("portcullis_upstream_retries_total{upstream=\"api\"}"), 1.0);
    // One that may not is not.
    client.write(raw("POST /3 HTTP/1.1", &[], ""));
    fresh.head().unwrap();
    drop(fresh);
    assert_eq!(client.read(false).outcome(), (502, "UPSTREAM_PROTOCOL_ERROR".into()));
    assert!(connections.try_recv().is_err());
}

#[test]
fn one_dead_endpoint_of_several_costs_no_request() {
    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoints = |list: &str| format!("upstreams: {{ api: {{ endpoints: [{list}] }} }}");
    let stage = Setting::new().gateway(&endpoints(&format!("\"http://{vacant}\", \"http://UPSTREAM\""))).set();
    for _ in 0..6 {
        assert_eq!(stage.send(get("/")).status, 200);
        assert_eq!(stage.send(raw("POST / HTTP/1.1", &["Content-Length: 2"], "hi")).status, 200);
    }
    assert!(stage.upstream.seen().iter().filter(|seen| seen.line.starts_with("POST")).all(|seen| seen.body == b"hi"));
    let stage = Setting::new().gateway(&endpoints(&format!("\"http://{vacant}\""))).set();
    assert_eq!(stage.send(get("/")).outcome(), (502, "UPSTREAM_UNREACHABLE".into()));
    let mut client = stage.connect();
    let expecting = ["Content-Length: 2", "Expect: 100-continue"];
    assert_eq!(client.send(raw("POST / HTTP/1.1", &expecting, "")).status, 502, "the body is not asked for");
}

#[test]
fn upstreams_change_while_requests_run() {
    let (stage, connections) = by_hand();
    let other = Upstream::start();
    let mut client = stage.connect();
    client.write(get("/old"));
    let mut old = accept(&connections);
    old.head().unwrap();
    old.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
    client.head().unwrap();
    let changed = stage.configuration().replace(&stage.upstream.address().to_string(), &other.address().to_string());
    stage.replace("portcullis.yaml", &changed);
    wait_for("the new upstream", || stage.metric("portcullis_configuration_applied_total") >= 2.0);
    assert_eq!(stage.send(get("/new")).text(), "hello");
    old.write("def");
    assert_eq!(client.take(6), b"abcdef", "what runs is finished where it began");
    assert_eq!(client.send(get("/new")).text(), "hello", "the same connection goes to the new one next");
    assert!(old.is_closed(), "nobody keeps a connection to what is gone");
    assert_eq!(other.seen().len(), 2);
    assert!(stage.log_of(3).iter().all(|line| line["status"] == 200));
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once() {
    let stage = Setting::new().gateway("limits: { max_connections: 3 }").set();
    let mut held: Vec<_> = (0..3).map(|_| stage.connect()).collect();
    for client in &mut held {
        assert_eq!(client.send(get("/")).status, 200);
    }
    let mut refused = stage.connect();
    refused.write(get("/"));
    assert!(refused.is_closed());
    assert_eq!(stage.metric("portcullis_connections_refused_total"), 1.0);
    held.pop();
    wait_for("a place", || stage.metric("portcullis_open_connections") < 3.0);
    assert_eq!(stage.send(get("/")).status, 200);
    assert_eq!(held[0].send(get("/")).status, 200, "the others go on");
}
