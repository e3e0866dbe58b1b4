//! HTTP/2 from clients: the same decision as in HTTP/1.1, each stream by itself, and what a client may do to the others.

pub mod client;
mod crossing;
mod frames;
mod revocation;
mod shared;
mod third_party;
mod towards_upstreams;
mod upstream;

use std::time::Duration;

use bytes::Bytes;
use client::{Http2, answer, play, request};
use http::{HeaderMap, Request, Version};

use crate::stage::{KEY, Setting, Stage, Upstream, wait_for};

/// A stage that takes HTTP/2 by prior knowledge.
fn setting() -> Setting {
    Setting::new().listen("{ address: \"127.0.0.1:0\", http2: on }")
}

const KEY_LINE: (&str, &str) = ("x-api-key", KEY);

#[test]
fn a_request_is_decided_and_forwarded_as_in_http_1() {
    let stage = setting().set();
    play(async {
        let mut client = Http2::connect(&stage).await;
        let crumbs = [KEY_LINE, ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")];
        let (head, body, _) = client.ask(request("GET", "/x?y=1", &crumbs)).await.unwrap();
        assert_eq!((head.status.as_u16(), &body[..]), (200, &b"hello"[..]));
        let (head, body, _) = client.ask(request("GET", "/x", &[])).await.unwrap();
        assert_eq!(head.status.as_u16(), 401);
        assert!(head.headers.contains_key("www-authenticate") && !head.headers.contains_key("connection"));
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(told["errorCode"], "CREDENTIALS_REQUIRED");
        // An answer to HEAD has the head of the other and no body.
        let (head, body, _) = client.ask(request("HEAD", "/x", &[])).await.unwrap();
        assert_eq!((head.status.as_u16(), body.len()), (401, 0));
        assert_eq!(head.headers["content-length"].to_str().unwrap(), told.to_string().len().to_string());
    });
    let seen = stage.upstream.nth(1);
    assert_eq!(seen.line, "GET /x?y=1 HTTP/1.1");
    assert_eq!(seen.all("host"), ["api.example.com"]);
    assert_eq!(seen.all("cookie"), ["a=1; b=2"]);
    assert_eq!((seen.header("x-api-key"), seen.header("x-forwarded-host")), (None, Some("api.example.com")));
    assert_eq!(stage.upstream.seen().len(), 1);
    let log = stage.log_of(3);
    assert_eq!(log[0]["host"], "api.example.com");
    assert_eq!(log.iter().map(|line| line["status"].as_u64().unwrap()).collect::<Vec<_>>(), [200, 401, 401]);
}

#[test]
fn http_1_is_served_beside_it_and_alone_where_it_is_off() {
    let stage = setting().set();
    assert_eq!(stage.get("/", &[&format!("X-API-Key: {KEY}")]).status, 200);
    // Something that begins like HTTP/2 and is not.
    assert_eq!(stage.send("PRI / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status, 401);
    let off = Stage::new();
    play(async {
        let mut client = Http2::connect(&off).await;
        assert!(client.ask(request("GET", "/", &[KEY_LINE])).await.is_err());
    });
    assert_eq!(off.get("/", &[&format!("X-API-Key: {KEY}")]).status, 200);
}

#[test]
fn f5_h5_what_http_1_could_not_say_is_refused() {
    let stage = setting().set();
    let refused = |request: Request<()>| {
        let (head, body, _) = play(async { Http2::connect(&stage).await.ask(request).await.unwrap() });
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        (head.status.as_u16(), told["errorCode"].as_str().unwrap_or_default().to_owned())
    };
    let malformed = (400, "MALFORMED_REQUEST".to_owned());
    assert_eq!(refused(request("GET", "/", &[KEY_LINE, ("host", "other.example.com")])), malformed);
    for value in [" a", "a ", "a\t"] {
        assert_eq!(refused(request("GET", "/", &[KEY_LINE, ("x-other", value)])), malformed, "{value:?}");
    }
    assert_eq!(refused(request("GET", "/", &[("x-api-key", &format!("{KEY} "))])), malformed);
    let mut fields: Vec<(String, &str)> = (0..101).map(|number| (format!("x-{number}"), "1")).collect();
    fields.push(("x-api-key".into(), KEY));
    let many: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, *value)).collect();
    assert_eq!(refused(request("GET", "/", &many)), (431, "HEADERS_TOO_LARGE".to_owned()));
    let long = "x".repeat(70_000);
    assert_eq!(refused(request("GET", "/", &[("x-long", &long)])).0, 431);
    let mut connect = request("CONNECT", "/", &[]);
    *connect.uri_mut() = "api.example.com:443".parse().unwrap();
    assert_eq!(refused(connect), malformed);
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
        5\r\nhello\r\n0\r\nx-sum: 42\r\nx-portcullis-org: forged\r\n\r\n";
    let stage = setting().set_before(Upstream::answering(move |_| answer.into()));
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, mut body) =
            client.begin(request("POST", "/", &[KEY_LINE, ("trailer", "x-checked")]), false).await;
        body.send_data(Bytes::from_static(b"ab"), false).unwrap();
        body.send_data(Bytes::from_static(b"cd"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checked", "yes".parse().unwrap());
        trailers.insert("x-portcullis-org", "forged".parse().unwrap());
        body.send_trailers(trailers).unwrap();
        let (head, body, trailers) = answer_of(response).await;
        assert_eq!((head.status.as_u16(), head.version, &body[..]), (200, Version::HTTP_2, &b"hello"[..]));
        let trailers: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(trailers, [("x-sum", "42")]);
        // With a length nobody has to frame it anew.
        let (response, mut body) =
            client.begin(request("POST", "/", &[KEY_LINE, ("content-length", "3")]), false).await;
        body.send_data(Bytes::from_static(b"abc"), true).unwrap();
        assert_eq!(answer_of(response).await.0.status.as_u16(), 200);
    });
    let seen = stage.upstream.nth(1);
    assert_eq!((&seen.body[..], seen.header("transfer-encoding")), (&b"abcd"[..], Some("chunked")));
    assert_eq!(seen.trailers, [("x-checked".to_owned(), "yes".to_owned())]);
    let seen = stage.upstream.nth(2);
    assert_eq!(
        (&seen.body[..], seen.all("content-length"), seen.header("transfer-encoding")),
        (&b"abc"[..], vec!["3"], None)
    );
}

async fn answer_of(response: h2::client::ResponseFuture) -> (http::response::Parts, Vec<u8>, HeaderMap) {
    answer(response).await.unwrap()
}

/// A client that is refused early has its answer, whether it has sent its body by then or not.
#[test]
fn an_early_refusal_arrives_before_its_stream_is_reset() {
    let stage = setting().set();
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, mut body) = client.begin(request("POST", "/", &[]), false).await;
        body.send_data(Bytes::from(vec![b'x'; 60_000]), false).unwrap();
        assert_eq!(answer_of(response).await.0.status.as_u16(), 401);
        // Whoever goes on is told to stop, and nobody else notices.
        let reset = std::future::poll_fn(|cx| body.poll_reset(cx)).await.unwrap();
        assert_eq!(reset, h2::Reason::NO_ERROR);
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().0.status.as_u16(), 200);
    });
}

#[test]
fn f6_a_client_that_does_not_read_a_stream_loses_it_alone() {
    let body = format!("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{}", "x".repeat(300_000));
    let setting = setting().gateway("timeouts: { body_idle: 300ms }");
    let stage = setting.set_before(Upstream::answering(move |_| body.clone().into()));
    play(async {
        let mut client = Http2::with(&stage, |builder| builder.initial_window_size(1_000)).await;
        let (response, _) = client.begin(request("GET", "/", &[KEY_LINE]), true).await;
        let response = response.await.unwrap();
        // No more than the window ever comes, until the stream is reset.
        let mut stream = response.into_body();
        let mut got = 0;
        let fault = loop {
            match stream.data().await.expect("the body does not end well") {
                Ok(data) => got += data.len(),
                Err(fault) => break fault,
            }
        };
        assert_eq!((got, fault.reason()), (1_000, Some(h2::Reason::CANCEL)));
        assert_eq!(client.ask(request("HEAD", "/", &[])).await.unwrap().0.status.as_u16(), 401);
    });
    assert_eq!(stage.log_of(2).len(), 2);
}

#[test]
fn f6_a_body_that_stops_is_408_and_others_go_on() {
    let stage = setting().gateway("timeouts: { body_idle: 300ms }").set();
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, mut body) = client.begin(request("POST", "/", &[KEY_LINE]), false).await;
        body.send_data(Bytes::from_static(b"ab"), false).unwrap();
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().0.status.as_u16(), 200);
        assert_eq!(answer_of(response).await.0.status.as_u16(), 408);
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().0.status.as_u16(), 200);
    });
}

/// Rapid reset: streams that are opened only to be taken back end the connection, and cost nobody else anything.
#[test]
fn f6_rapid_resets_end_the_connection() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting().set_before(upstream);
    play(async {
        let mut client = Http2::connect(&stage).await;
        for round in 0.. {
            assert!(round < 5_000, "nobody minds");
            let Ok((response, mut body)) = client.try_begin(request("POST", "/", &[KEY_LINE]), false).await else {
                break;
            };
            body.send_reset(h2::Reason::CANCEL);
            drop(response);
            // Otherwise all of it would go out as one piece.
            tokio::task::yield_now().await;
        }
        assert!(client.ended().await.is_err(), "it is told why");
        // Others are served meanwhile.
        let mut other = Http2::connect(&stage).await;
        assert_eq!(other.ask(request("GET", "/", &[])).await.unwrap().0.status.as_u16(), 401);
    });
    drop(connections);
    wait_for("the connection to end", || stage.metric("portcullis_open_connections") < 1.0);
}

/// A client that gives up now and then is none of those.
#[test]
fn cancelled_streams_among_others_are_taken_as_they_are() {
    let stage = setting().set();
    play(async {
        let mut client = Http2::connect(&stage).await;
        for _ in 0..150 {
            let (response, mut body) = client.begin(request("POST", "/", &[KEY_LINE]), false).await;
            // Taken up by the time that the next one is answered.
            assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().0.status.as_u16(), 200);
            body.send_reset(h2::Reason::CANCEL);
            drop(response);
            assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().0.status.as_u16(), 200);
        }
    });
    wait_for("the exchanges to end", || stage.metric("portcullis_requests_in_flight") < 1.0);
}

#[test]
fn an_idle_connection_is_closed_and_one_at_work_is_not() {
    let setting = setting().gateway("timeouts: { keep_alive: 300ms, header: 300ms }");
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting.set_before(upstream);
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, _) = client.begin(request("GET", "/", &[KEY_LINE]), true).await;
        let mut upstream = connections.recv_timeout(Duration::from_secs(10)).unwrap();
        upstream.head().unwrap();
        // Longer than an idle connection is left open.
        tokio::time::sleep(Duration::from_millis(800)).await;
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(answer_of(response).await.1, b"ok");
        client.ended().await.expect("it ends with GOAWAY and no error");
        // One that never asks for anything ends as well.
        Http2::connect(&stage).await.ended().await.expect("it ends with GOAWAY and no error");
    });
}

#[test]
fn a_limit_of_streams_is_told_and_kept() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting().gateway("limits: { max_streams: 2 }").set_before(upstream);
    play(async {
        let mut client = Http2::connect(&stage).await;
        assert_eq!(client.ask(request("GET", "/", &[])).await.unwrap().0.status.as_u16(), 401);
        assert_eq!(client.max_streams(), 2);
    });
    drop(connections);
}

#[test]
fn l13_a_drain_lets_streams_finish_and_takes_no_more() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting().set_before(upstream);
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, _) = client.begin(request("GET", "/", &[KEY_LINE]), true).await;
        let mut upstream = connections.recv_timeout(Duration::from_secs(10)).unwrap();
        upstream.head().unwrap();
        let stops = std::thread::spawn(move || drop(stage));
        // Told by GOAWAY, a client opens no further stream.
        let mut refused = false;
        for _ in 0..2_000 {
            if client.try_begin(request("GET", "/", &[]), true).await.is_err() {
                refused = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(refused);
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
        assert_eq!(answer_of(response).await.1, b"late");
        client.ended().await.expect("it ends with GOAWAY and no error");
        stops.join().unwrap();
    });
}
