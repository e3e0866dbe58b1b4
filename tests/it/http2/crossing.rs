//! What a client sends while the gateway ends its connection (RFC 9113 §6.8), and one that reads byte by byte.

use std::time::Duration;

use h2::Reason;

use super::client::{Http2, play, request};
use super::frames::{DATA, Frames, GOAWAY, HEADERS, PING, SETTINGS};
use super::{KEY_LINE, setting};
use crate::stage::{DEADLINE, Upstream, wait_for};

const IDLE: &str = "timeouts: { keep_alive: 300ms, header: 300ms }";

#[test]
fn a_stream_that_crosses_the_end_of_an_idle_connection_is_served() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting().gateway(IDLE).set_before(upstream);
    let mut client = Frames::connect(&stage);
    let settings = client.next_of(SETTINGS);
    client.acknowledge(&settings);
    assert_eq!(client.next_of(GOAWAY).last_stream(), (1 << 31) - 1, "the first one takes whatever is on its way");
    let ping = client.next_of(PING);
    client.get(1);
    let mut upstream = connections.recv_timeout(DEADLINE).unwrap();
    upstream.head().unwrap();
    client.acknowledge(&ping);
    assert_eq!(client.next_of(GOAWAY).last_stream(), 1, "the last one says what was taken");
    // Longer than a connection without a stream would be left open.
    assert!(client.is_silent_for(Duration::from_millis(1500)));
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    assert_eq!(client.next_of(HEADERS).stream, 1);
    assert_eq!(client.next_of(DATA).payload, b"late");
    while client.next().is_some() {}
    assert_eq!(stage.log_of(1)[0]["status"], 200);
}

/// Who never says that it has heard holds nothing up.
#[test]
fn a_client_that_does_not_hear_the_end_is_closed_all_the_same() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting().gateway(IDLE).set_before(upstream);
    let mut client = Frames::connect(&stage);
    client.next_of(GOAWAY);
    client.get(1);
    let mut upstream = connections.recv_timeout(DEADLINE).unwrap();
    upstream.head().unwrap();
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.next_of(DATA).payload, b"ok");
    while client.next().is_some() {}
    wait_for("the connection to end", || stage.metric("portcullis_open_connections") == 0.0);
}

/// Windows of one byte: each piece of an answer has to be taken within `timeouts.body_idle`, however it is taken.
#[test]
fn f6_a_client_that_reads_byte_by_byte_loses_its_stream() {
    let body = format!("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n{}", "x".repeat(4_000_000));
    let stage = setting()
        .gateway("timeouts: { body_idle: 300ms }")
        .set_before(Upstream::answering(move |_| body.clone().into()));
    play(async {
        let mut client = Http2::with(&stage, |builder| builder.initial_window_size(1)).await;
        let (response, _) = client.begin(request("GET", "/", &[KEY_LINE]), true).await;
        let mut stream = response.await.unwrap().into_body();
        let mut got = 0;
        let fault = loop {
            match stream.data().await.expect("the body does not end well") {
                Ok(data) => {
                    got += data.len();
                    stream.flow_control().release_capacity(data.len()).unwrap();
                }
                Err(fault) => break fault,
            }
        };
        assert!(got > 10 && got < 4_000_000, "{got}");
        assert_eq!(fault.reason(), Some(Reason::CANCEL));
        assert_eq!(client.ask(request("HEAD", "/", &[])).await.unwrap().0.status.as_u16(), 401);
    });
    assert_eq!(stage.log_of(1)[0]["code"], "REQUEST_TIMEOUT");
}
