//! HTTP/2 towards upstreams: one connection for many requests, trailers and streaming both ways, and what ends with what.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use tokio::sync::{Notify, mpsc};

use super::KEY_LINE;
use super::client::{Http2, answer, play, request};
use super::setting;
use super::upstream::H2Upstream;
use crate::stage::{KEY, Setting, Stage, wait_for};

pub(super) fn before(upstream: &H2Upstream, setting: Setting, rules: &str) -> Stage {
    let address = upstream.address();
    setting.gateway(&format!("upstreams: {{ api: {{ endpoints: [\"h2c://{address}\"]{rules} }} }}")).set()
}

fn key() -> String {
    format!("X-API-Key: {KEY}")
}

#[test]
fn requests_of_both_versions_share_one_connection() {
    let upstream = H2Upstream::start();
    let stage = before(&upstream, setting(), "");
    for _ in 0..3 {
        let answer = stage.get("/x?y=1", &[&key(), "TE: trailers", "Connection: te, x-hop", "X-Hop: 1"]);
        assert_eq!((answer.status, answer.text().as_str(), answer.header("x-upstream")), (200, "hello", Some("h2")));
    }
    play(async {
        let mut client = Http2::connect(&stage).await;
        assert_eq!(client.ask(request("GET", "/z", &[KEY_LINE])).await.unwrap().1, b"hello");
    });
    assert_eq!(upstream.connections(), 1);
    let head = upstream.nth(1);
    assert_eq!(head.uri.to_string(), "http://api.example.com/x?y=1");
    assert_eq!(head.headers["te"], "trailers");
    assert_eq!(head.headers["x-portcullis-org"].len(), 24);
    for gone in ["host", "connection", "x-hop", "x-api-key"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
    assert_eq!(upstream.nth(4).uri.to_string(), "http://api.example.com/z");
    // A body whose length nobody knows needs no framing of ours.
    let chunked =
        format!("POST / HTTP/1.1\r\nHost: a\r\n{}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", key());
    assert_eq!(stage.send(chunked).status, 200);
    assert!(!upstream.nth(5).headers.contains_key("transfer-encoding"));
    assert_eq!(stage.send(format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", key())).status, 200);
    assert_eq!((upstream.nth(6).method, upstream.nth(6).uri.path()), (Method::OPTIONS, "*"));
    let log = stage.log_of(6);
    assert_eq!(log[0]["upstream.endpoint"], upstream.address().to_string());
}

#[test]
fn many_requests_at_once_open_one_connection() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let upstream = H2Upstream::scripted(move |mut exchange| {
        let held = Arc::clone(&held);
        async move {
            held.notified().await;
            exchange.say(200, "hello");
        }
    });
    let stage = before(&upstream, setting(), "");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let mut answers = Vec::new();
        for _ in 0..50 {
            answers.push(client.begin(request("GET", "/", &[KEY_LINE]), true).await.0);
        }
        tokio::task::spawn_blocking({
            let upstream = upstream.clone();
            move || upstream.nth(50)
        })
        .await
        .unwrap();
        gate.notify_waiters();
        for response in answers {
            assert_eq!(answer(response).await.unwrap().1, b"hello");
        }
    });
    assert_eq!(upstream.connections(), 1);
}

/// What gRPC needs: both sides speak at any time, the status comes in trailers, and an answer may be nothing but them.
#[test]
fn streams_flow_both_ways_with_trailers() {
    let upstream = H2Upstream::scripted(|mut exchange| async move {
        if exchange.head.uri.path() == "/only" {
            let head = Response::builder().header("grpc-status", "5").body(()).unwrap();
            exchange.answer.send_response(head, true).unwrap();
            return;
        }
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut stream = exchange.answer.send_response(head, false).unwrap();
        while let Some(Ok(data)) = exchange.body.data().await {
            exchange.body.flow_control().release_capacity(data.len()).unwrap();
            stream.send_data(data, false).unwrap();
        }
        let mut trailers = exchange.body.trailers().await.unwrap().unwrap_or_default();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("x-portcullis-org", "forged".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    });
    let stage = before(&upstream, setting(), "");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let call = request("POST", "/echo", &[KEY_LINE, ("content-type", "application/grpc"), ("te", "trailers")]);
        let (response, mut body) = client.begin(call, false).await;
        let mut reading = response.await.unwrap().into_body();
        for message in ["one", "two", "three"] {
            body.send_data(Bytes::from_static(message.as_bytes()), false).unwrap();
            // Echoed before the next one is said.
            let data = reading.data().await.unwrap().unwrap();
            reading.flow_control().release_capacity(data.len()).unwrap();
            assert_eq!(&data[..], message.as_bytes());
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", "1".parse().unwrap());
        body.send_trailers(trailers).unwrap();
        assert!(reading.data().await.is_none());
        let trailers = reading.trailers().await.unwrap().unwrap();
        assert_eq!((trailers["grpc-status"].to_str().unwrap(), trailers["x-end"].to_str().unwrap()), ("0", "1"));
        assert!(!trailers.contains_key("x-portcullis-org"));
        let (head, body, _) = client.ask(request("POST", "/only", &[KEY_LINE])).await.unwrap();
        assert_eq!((head.headers["grpc-status"].to_str().unwrap(), body.len()), ("5", 0));
    });
}

#[test]
fn what_a_client_takes_back_is_taken_back_from_the_upstream() {
    let (told, mut seen) = mpsc::unbounded_channel();
    let upstream = H2Upstream::scripted(move |mut exchange| {
        let told = told.clone();
        async move {
            let path = exchange.head.uri.path().to_owned();
            let reason = if path == "/before" {
                std::future::poll_fn(|cx| exchange.answer.poll_reset(cx)).await
            } else {
                let mut stream = exchange.answer.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"begun"), false).unwrap();
                std::future::poll_fn(|cx| stream.poll_reset(cx)).await
            };
            let _ = told.send((path, reason.map_err(drop)));
        }
    });
    let stage = before(&upstream, setting(), "");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (before, mut taken_back) = client.begin(request("POST", "/before", &[KEY_LINE]), false).await;
        let upstream = upstream.clone();
        tokio::task::spawn_blocking(move || upstream.nth(1)).await.unwrap();
        taken_back.send_reset(h2::Reason::CANCEL);
        assert_eq!(seen.recv().await.unwrap(), ("/before".into(), Ok(h2::Reason::CANCEL)));
        drop(before);
        let (within, mut taken_back) = client.begin(request("POST", "/within", &[KEY_LINE]), false).await;
        let mut body = within.await.unwrap().into_body();
        assert_eq!(&body.data().await.unwrap().unwrap()[..], b"begun");
        taken_back.send_reset(h2::Reason::CANCEL);
        assert_eq!(seen.recv().await.unwrap(), ("/within".into(), Ok(h2::Reason::CANCEL)));
    });
    assert_eq!(upstream.connections(), 1);
    wait_for("the exchanges to end", || stage.metric("portcullis_requests_in_flight") < 1.0);
}

#[test]
fn a_deadline_ends_its_stream_and_no_other() {
    let upstream = H2Upstream::scripted(|mut exchange| async move {
        match exchange.head.uri.path() {
            "/never" => std::future::pending().await,
            "/silent" => {
                let mut stream = exchange.answer.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"begun"), false).unwrap();
                std::future::pending().await
            }
            _ => exchange.say(200, "hello"),
        }
    });
    let stage = before(&upstream, setting(), ", first_byte_timeout: 300ms, idle_timeout: 300ms");
    assert_eq!(stage.get("/never", &[&key()]).status, 504);
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, _) = client.begin(request("GET", "/silent", &[KEY_LINE]), true).await;
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().1, b"hello");
        assert!(answer(response).await.is_err(), "it is cut");
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().1, b"hello");
    });
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn upstreams_that_speak_something_else_are_502_or_unreachable() {
    let stage = Setting::new().gateway("upstreams: { api: { endpoints: [\"h2c://UPSTREAM\"] } }").set();
    assert!([502, 503].contains(&stage.get("/", &[&key()]).status));
    // An upgrade is asked of nobody who can't make one.
    let upstream = H2Upstream::start();
    let stage = before(&upstream, setting(), "");
    let asked = [&*key(), "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    assert_eq!(stage.get("/", &asked).status, 200);
    assert!(!upstream.nth(1).headers.contains_key("upgrade"));
}

#[test]
fn a_connection_that_ends_is_replaced_and_an_idle_one_closed() {
    let upstream = H2Upstream::start();
    let stage = before(&upstream, setting(), ", pool_idle_timeout: 300ms");
    assert_eq!(stage.get("/", &[&key()]).status, 200);
    wait_for("the idle connection to be closed", || upstream.ended() == 1);
    assert_eq!(stage.get("/", &[&key()]).status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn endpoints_are_asked_whether_they_are_well() {
    let upstream = H2Upstream::scripted(|mut exchange| async move {
        let status = if exchange.head.uri.path() == "/healthz" { 503 } else { 200 };
        exchange.say(status, "");
    });
    let rules = ", health_check: { path: /healthz, interval: 100ms, unhealthy_after: 1 }";
    let stage = before(&upstream, setting(), rules);
    wait_for("the endpoint to be known as unwell", || stage.get("/", &[&key()]).status == 503);
    let seen = upstream.seen();
    let asked = seen.iter().find(|head| head.uri.path() == "/healthz").expect("it was asked");
    assert_eq!(asked.uri.to_string(), format!("http://{}/healthz", upstream.address()));
}
