//! Connections on which nobody asks for anything hold no buffers, and lose nothing by it.

use std::time::Duration;

use super::{accept, by_hand, raw};
use crate::stage::{Client, Setting, Stage, Upstream, wait_for};

const RESTING: &str = "portcullis_resting_connections";

fn rest(stage: &Stage, connections: f64) {
    wait_for("connections to rest", || stage.metric(RESTING) == connections);
}

#[test]
fn who_asks_for_nothing_is_served_whenever_it_comes_back() {
    let stage = Setting::new().set();
    let mut client = stage.connect();
    // One that has never asked rests as well.
    rest(&stage, 1.0);
    let requests = [
        ("GET /0 HTTP/1.1", None, "", ""),
        ("POST /1 HTTP/1.1", Some("Content-Length: 4"), "body", "body"),
        ("POST /2 HTTP/1.1", Some("Transfer-Encoding: chunked"), "4\r\nbody\r\n0\r\nX-Trailer: t\r\n\r\n", "body"),
        ("PUT /3 HTTP/1.1", Some("Content-Length: 0"), "", ""),
    ];
    for (number, (start, framing, body, seen)) in requests.into_iter().enumerate() {
        assert_eq!(client.send(raw(start, framing.as_slice(), body)).status, 200, "{start}");
        let asked = stage.upstream.nth(number + 1);
        assert_eq!((asked.line.as_str(), asked.body.as_slice()), (start, seen.as_bytes()));
        rest(&stage, 1.0);
    }
    client.write(raw("HEAD /4 HTTP/1.1", &[], ""));
    assert_eq!(client.read(true).status, 200);
    rest(&stage, 1.0);
    assert_eq!(client.send(raw("GET /5 HTTP/1.0", &["Connection: close"], "")).status, 200);
    assert!(client.is_closed());
    wait_for("the end", || stage.metric("portcullis_open_connections") == 0.0);
    assert_eq!((stage.metric(RESTING), stage.log_of(6).len()), (0.0, 6));
}

/// What came with the last request belongs to the next one.
#[test]
fn half_a_head_is_kept() {
    let stage = Setting::new().set();
    let mut client = stage.connect();
    let request = raw("GET /next HTTP/1.1", &[], "");
    let (half, other) = request.split_at(30);
    assert_eq!(client.send(raw("GET / HTTP/1.1", &[], "") + half).status, 200);
    // By the time that this one rests, the other one would have.
    let later = stage.connect();
    rest(&stage, 1.0);
    assert_eq!(client.send(other).status, 200);
    assert_eq!(stage.upstream.nth(2).line, "GET /next HTTP/1.1");
    drop(later);
}

/// RFC 9112 §2.2: clients exist that send an empty line behind a body. It begins no request.
#[test]
fn an_empty_line_is_no_head() {
    let stage = Setting::new().gateway("timeouts: { header: 300ms }").set();
    let mut client = stage.connect();
    assert_eq!(client.send(raw("POST / HTTP/1.1", &["Content-Length: 4"], "body\r\n")).status, 200);
    rest(&stage, 1.0);
    assert_eq!(client.send(raw("POST / HTTP/1.1", &["Content-Length: 4"], "body\r\n\n")).status, 200);
    rest(&stage, 1.0);
    assert!(client.is_silent_for(Duration::from_millis(400)));
    assert_eq!(client.send(raw("GET / HTTP/1.1", &[], "")).status, 200);
    assert_eq!(stage.log_of(3).len(), 3);
}

/// threats.md F1: a body that nobody has read to its end is never taken for a request.
#[test]
fn f1_the_rest_of_a_body_is_no_request() {
    let (stage, connections) = by_hand();
    let mut client = stage.connect();
    client.write(raw("POST /up HTTP/1.1", &["Content-Length: 200"], "part"));
    let mut upstream = accept(&connections);
    assert_eq!(upstream.head().unwrap().0, "POST /up HTTP/1.1");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    assert_eq!(client.read(false).status, 200);
    let later = stage.connect();
    rest(&stage, 1.0);
    client.write(raw("GET /smuggled HTTP/1.1", &[], ""));
    drop(later);
    wait_for("nobody to rest", || stage.metric(RESTING) == 0.0);
    // Whether it is read as the body or not at all.
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    drop(upstream);
    drop(client);
    wait_for("the end", || stage.metric("portcullis_open_connections") == 0.0);
    assert!(stage.log_of(1).iter().all(|line| line["path"] == "/up"), "{:#?}", stage.log());
    assert!(connections.try_recv().is_err(), "nothing else has reached the upstream");
}

#[test]
fn rest_has_its_deadline_too() {
    let stage = Setting::new().gateway("timeouts: { keep_alive: 3s, header: 300ms }").set();
    let mut clients = [stage.connect(), stage.connect()];
    assert!(clients.iter_mut().all(|client| client.send(raw("GET / HTTP/1.1", &[], "")).status == 200));
    rest(&stage, 2.0);
    // One that begins a head has what a head has.
    clients[0].write("GET / HT");
    assert!(clients.iter_mut().all(Client::is_closed));
    let log = stage.log_of(3);
    assert_eq!((log.len(), log[2]["code"].as_str()), (3, Some("REQUEST_TIMEOUT")), "{log:#?}");
}

/// Clients that leave, by an orderly end or not, are noticed.
#[test]
fn who_leaves_is_gone() {
    let stage = Setting::new().workers(2).set();
    let clients: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = stage.connect();
            assert_eq!(client.send(raw("GET / HTTP/1.1", &[], "")).status, 200);
            client
        })
        .collect();
    rest(&stage, 8.0);
    drop(clients);
    wait_for("the end", || stage.metric("portcullis_open_connections") == 0.0);
    assert_eq!(stage.metric(RESTING), 0.0);
}

/// An answer that its reader has not taken yet is no rest.
#[test]
fn an_answer_on_its_way_is_finished_first() {
    let large = vec![b'x'; 8 << 20];
    let answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n".as_slice(), &large].concat();
    let stage = Setting::new().set_before(Upstream::answering(move |_| answer.clone()));
    let mut slow = stage.connect();
    slow.write(raw("GET / HTTP/1.1", &[], ""));
    assert_eq!(slow.head().unwrap().0, "HTTP/1.1 200 OK");
    let later = stage.connect();
    rest(&stage, 1.0);
    assert!(slow.take(large.len()) == large, "every byte arrives");
    rest(&stage, 2.0);
    drop(later);
}
