//! What one stream does to the others of a connection to an upstream: it may be slow, and there may be few.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::sync::Notify;

use super::client::{Http2, answer, play, request};
use super::towards_upstreams::before;
use super::upstream::H2Upstream;
use super::{KEY_LINE, setting};
use crate::stage::{KEY, Setting, Upstream, wait_for};

#[test]
fn slow_readers_hold_up_nobody_else() {
    const LARGE: usize = 1024 * 1024;
    let upstream = H2Upstream::scripted(|mut exchange| async move {
        let mut stream = exchange.answer.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from(vec![b'a'; LARGE]), true).unwrap();
        std::future::poll_fn(|cx| stream.poll_reset(cx)).await.ok();
    });
    let stage = before(&upstream, setting(), "");
    play(async {
        let mut slow = Http2::with(&stage, |builder| builder.initial_window_size(1_000)).await;
        let mut unread = Vec::new();
        for _ in 0..60 {
            let (response, _) = slow.begin(request("GET", "/slow", &[KEY_LINE]), true).await;
            let mut body = response.await.unwrap().into_body();
            assert!(!body.data().await.unwrap().unwrap().is_empty());
            unread.push(body);
        }
        let mut fast = Http2::with(&stage, |builder| builder.initial_window_size(100_000)).await;
        for _ in 0..3 {
            assert_eq!(fast.ask(request("GET", "/fast", &[KEY_LINE])).await.unwrap().1.len(), LARGE);
        }
    });
    assert_eq!(upstream.connections(), 1);
}

/// An upstream that takes one stream at a time on a connection, and answers when it is told.
fn one_at_a_time() -> (H2Upstream, Arc<Notify>) {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1);
    let upstream = H2Upstream::built(builder, move |mut exchange| {
        let held = Arc::clone(&held);
        async move {
            held.notified().await;
            exchange.say(200, "hello");
        }
    });
    (upstream, gate)
}

#[test]
fn an_upstream_that_takes_few_streams_gets_more_connections() {
    let (upstream, gate) = one_at_a_time();
    let stage = before(&upstream, setting(), "");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(client.begin(request("POST", "/", &[KEY_LINE]), true).await.0);
        }
        let seen = upstream.clone();
        tokio::task::spawn_blocking(move || seen.nth(3)).await.unwrap();
        for response in answers {
            gate.notify_one();
            gate.notify_one();
            gate.notify_one();
            assert_eq!(answer(response).await.unwrap().1, b"hello");
        }
        gate.notify_one();
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().1, b"hello");
    });
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn where_no_more_connections_are_allowed_requests_wait_in_line() {
    let (upstream, gate) = one_at_a_time();
    let stage = before(&upstream, setting(), ", max_connections: 1, first_byte_timeout: 5s");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (first, _) = client.begin(request("POST", "/", &[KEY_LINE]), true).await;
        let (second, _) = client.begin(request("POST", "/", &[KEY_LINE]), true).await;
        let queued = "portcullis_upstream_queued{upstream=\"api\"}";
        tokio::task::block_in_place(|| wait_for("one to wait", || stage.metric(queued) == 1.0));
        for response in [first, second] {
            gate.notify_one();
            assert_eq!(answer(response).await.unwrap().1, b"hello");
        }
    });
    assert_eq!(upstream.connections(), 1);
}

/// One that was made a moment ago is kept, whatever became of its first request.
#[test]
fn a_fresh_connection_is_not_taken_for_an_old_one() {
    let upstream = H2Upstream::scripted(|mut exchange| async move {
        match exchange.head.uri.path() {
            "/never" => std::future::pending().await,
            _ => exchange.say(200, "hello"),
        }
    });
    let stage = before(&upstream, setting(), ", pool_idle_timeout: 3s");
    let key = format!("X-API-Key: {KEY}");
    assert_eq!(stage.get("/", &[&key]).status, 200);
    wait_for("the idle connection to be closed", || upstream.ended() == 1);
    let mut gone = stage.connect();
    gone.write(format!("GET /never HTTP/1.1\r\nHost: a\r\n{key}\r\n\r\n"));
    upstream.nth(2);
    drop(gone);
    // Longer than it takes to look through what is idle.
    assert!(stage.connect().is_silent_for(Duration::from_millis(1500)));
    assert_eq!(stage.get("/", &[&key]).status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_answer_has_at_most_a_hundred_fields() {
    let upstream = H2Upstream::scripted(|mut exchange| async move {
        let count: usize = exchange.head.uri.path()[1..].parse().unwrap();
        let mut answer = Response::builder();
        for number in 0..count {
            answer = answer.header(format!("x-{number}"), "1");
        }
        exchange.answer.send_response(answer.body(()).unwrap(), true).unwrap();
    });
    let stage = before(&upstream, setting(), "");
    let key = format!("X-API-Key: {KEY}");
    assert_eq!(stage.get("/100", &[&key]).status, 200);
    assert_eq!(stage.get("/101", &[&key]).outcome(), (502, "UPSTREAM_PROTOCOL_ERROR".into()));
    assert_eq!(upstream.connections(), 1, "it is the answer's fault alone");
}

/// RFC 9110 §8.6: what is left out is not zero.
#[test]
fn an_answer_to_head_says_no_length_that_nobody_has_said() {
    let ask = |stage: &crate::stage::Stage, path: &str| {
        let one = stage.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        let other = play(async {
            let (head, body, _) = Http2::connect(stage).await.ask(request("HEAD", path, &[KEY_LINE])).await.unwrap();
            assert!(body.is_empty());
            head.headers.get("content-length").map(|value| value.to_str().unwrap().to_owned())
        });
        assert!(one.all("transfer-encoding").is_empty());
        (one.header("content-length").map(str::to_owned), other)
    };
    let http1 = setting().set_before(Upstream::answering(|seen| match seen.line.contains("/told") {
        true => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
        false => b"HTTP/1.1 200 OK\r\nX-Any: thing\r\n\r\n".to_vec(),
    }));
    let upstream = H2Upstream::scripted(|mut exchange| async move {
        let mut answer = Response::builder();
        if exchange.head.uri.path() == "/told" {
            answer = answer.header("content-length", "5");
        }
        let with_data = exchange.head.uri.path() == "/late";
        let mut stream = exchange.answer.send_response(answer.body(()).unwrap(), !with_data).unwrap();
        if with_data {
            stream.send_data(Bytes::new(), true).unwrap();
        }
    });
    let http2 = before(&upstream, setting(), "");
    let five = || Some("5".to_owned());
    for stage in [&http1, &http2] {
        assert_eq!(ask(stage, "/told"), (five(), five()));
        assert_eq!(ask(stage, "/untold"), (None, None));
    }
    assert_eq!(ask(&http2, "/late"), (None, None));
}

#[test]
fn what_does_not_speak_http2_is_not_waited_for() {
    let (upstream, connections) = Upstream::by_hand();
    let rules = "upstreams: { api: { endpoints: [\"h2c://UPSTREAM\"], connect_timeout: 300ms } }";
    let stage = Setting::new().gateway(rules).set_before(upstream);
    let answer = stage.get("/", &[&format!("X-API-Key: {KEY}")]);
    assert_eq!(answer.outcome(), (502, "UPSTREAM_UNREACHABLE".into()));
    drop(connections);
}
