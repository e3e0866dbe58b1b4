//! threats.md L6 on HTTP/2: a stream that would be refused by now is reset, and the connection goes on.

use std::future::poll_fn;

use bytes::Bytes;
use h2::Reason;
use http::Response;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::client::{Http2, answer, play, request};
use super::towards_upstreams::before;
use super::upstream::H2Upstream;
use super::{KEY_LINE, setting};
use crate::stage::{DEADLINE, KEY, KEY_OPEN, Upstream, directory};

const CODE: &str = "IP_ADDRESS_NOT_ON_ACCESS_LIST";

#[test]
fn l6_a_stream_is_reset_and_its_connection_goes_on() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting().set_before(upstream);
    let next = || {
        let mut upstream = connections.recv_timeout(DEADLINE).expect("the gateway connects");
        upstream.head().expect("the request reaches the upstream");
        upstream
    };
    play(async {
        // A stream that nobody reads leaves room for the others.
        let mut client = Http2::with(&stage, |builder| builder.initial_connection_window_size(1024 * 1024)).await;
        // One that reads, one whose window shuts, one that uploads, and one of another credential.
        let (reading, _) = client.begin(request("GET", "/", &[KEY_LINE]), true).await;
        let mut first = next();
        first.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        let (shut, _) = client.begin(request("GET", "/", &[KEY_LINE]), true).await;
        let mut second = next();
        second.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        second.fill_up();
        let (uploading, mut body) = client.begin(request("POST", "/", &[KEY_LINE]), false).await;
        let mut third = next();
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        assert_eq!(third.take(10), b"5\r\nhello\r\n");
        let (other, _) = client.begin(request("GET", "/", &[("x-api-key", KEY_OPEN)]), true).await;
        let mut fourth = next();
        fourth.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhello");

        let (_, mut read) = reading.await.unwrap().into_parts();
        assert_eq!(read.data().await.unwrap().unwrap(), "hello");
        let (_, mut unread) = shut.await.unwrap().into_parts();

        stage.replace("directory.yaml", directory().replace(", 127.0.0.1]", "]"));
        assert!(read.data().await.unwrap().is_err());
        let (head, told, _) = answer(uploading).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((head.status.as_u16(), told["errorCode"].as_str()), (403, Some(CODE)));
        // What is in the window may still be read, and then there is no more.
        let cut = loop {
            match unread.data().await {
                Some(Ok(_)) => {}
                last => break last,
            }
        };
        assert!(matches!(cut, Some(Err(_))), "{cut:?}");
        assert!(first.is_closed() && second.is_closed() && third.is_closed());

        fourth.write("ok");
        assert_eq!(&answer(other).await.unwrap().1[..], b"hellook");
    });
    let log = stage.log_of(4);
    let revoked: Vec<_> = log.iter().filter(|line| line["revoked"] == true).collect();
    assert_eq!(revoked.len(), 3, "{log:#?}");
    assert!(revoked.iter().all(|line| line["code"] == CODE), "{log:#?}");
}

/// The answer is over and the request is not: it is cut all the same, and its connection goes on.
#[test]
fn l6_an_upload_that_outlives_its_answer_is_reset() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = setting().set_before(upstream);
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, mut body) = client.begin(request("POST", "/", &[KEY_LINE]), false).await;
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        let mut upstream = connections.recv_timeout(DEADLINE).expect("the gateway connects");
        upstream.head().expect("the request reaches the upstream");
        assert_eq!(upstream.take(10), b"5\r\nhello\r\n");
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(answer(response).await.unwrap().1, b"ok");
        assert_eq!(stage.log_of(1)[0]["outcome"], "allow");
        body.send_data(Bytes::from_static(b"ok"), false).unwrap();
        assert_eq!(upstream.take(7), b"2\r\nok\r\n");
        stage.replace("directory.yaml", directory().replace(", 127.0.0.1]", "]"));
        assert_eq!(poll_fn(|cx| body.poll_reset(cx)).await.unwrap(), Reason::NO_ERROR);
        assert!(upstream.is_closed());
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().0.status.as_u16(), 403);
    });
    assert_eq!(stage.metric(&format!("portcullis_revoked_exchanges_total{{reason=\"{CODE}\"}}")), 1.0);
}

/// An upstream of HTTP/2 that answers `/whole` at once and everything else without an end, and tells how the request ended.
fn without_end() -> (H2Upstream, UnboundedReceiver<Option<Reason>>) {
    let (told, seen) = unbounded_channel();
    let upstream = H2Upstream::scripted(move |mut exchange| {
        let told = told.clone();
        async move {
            let whole = exchange.head.uri.path() == "/whole";
            let mut stream = exchange.answer.send_response(Response::new(()), whole).unwrap();
            if !whole {
                stream.send_data(Bytes::from(vec![b'a'; 1_000_000]), false).unwrap();
            }
            let ended = exchange.read().await;
            let _ = told.send(ended.err().and_then(|fault| fault.reason()));
        }
    });
    (upstream, seen)
}

#[test]
fn l6_an_upload_to_http2_that_outlives_its_answer_is_reset() {
    let (upstream, mut seen) = without_end();
    let stage = before(&upstream, setting(), "");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, mut body) = client.begin(request("POST", "/whole", &[KEY_LINE]), false).await;
        assert_eq!(answer(response).await.unwrap().0.status.as_u16(), 200);
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        stage.replace("directory.yaml", directory().replace(", 127.0.0.1]", "]"));
        assert_eq!(poll_fn(|cx| body.poll_reset(cx)).await.unwrap(), Reason::NO_ERROR);
        assert_eq!(seen.recv().await.unwrap(), Some(Reason::CANCEL));
    });
    // And of a client that speaks HTTP/1.1.
    let stage = before(&upstream, setting(), "");
    let mut client = stage.connect();
    client.write(format!("POST /whole HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: 9\r\n\r\nhello"));
    assert_eq!(client.read(false).status, 200);
    stage.replace("directory.yaml", directory().replace(", 127.0.0.1]", "]"));
    assert!(client.is_closed());
    assert_eq!(play(seen.recv()).unwrap(), Some(Reason::CANCEL));
}

#[test]
fn l6_a_conversation_whose_client_does_not_read_ends_both_ways() {
    let (upstream, mut seen) = without_end();
    let stage = before(&upstream, setting(), "");
    play(async {
        let mut client = Http2::with(&stage, |builder| builder.initial_window_size(1_000)).await;
        let (response, mut body) = client.begin(request("POST", "/", &[KEY_LINE]), false).await;
        let _unread = response.await.unwrap().into_body();
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        stage.replace("directory.yaml", directory().replace(", 127.0.0.1]", "]"));
        assert_eq!(poll_fn(|cx| body.poll_reset(cx)).await.unwrap(), Reason::CANCEL);
        assert_eq!(seen.recv().await.unwrap(), Some(Reason::CANCEL));
        assert_eq!(client.ask(request("GET", "/", &[KEY_LINE])).await.unwrap().0.status.as_u16(), 403);
    });
    let line = &stage.log_of(2)[0];
    assert_eq!((&line["code"], &line["revoked"]), (&CODE.into(), &true.into()), "{line:#}");
}

/// It stands still, which is not the same as to leave.
#[test]
fn f6_a_conversation_whose_client_does_not_read_ends_as_late() {
    let (upstream, mut seen) = without_end();
    let stage = before(&upstream, setting().gateway("timeouts: { body_idle: 300ms }"), "");
    play(async {
        let mut client = Http2::with(&stage, |builder| builder.initial_window_size(1_000)).await;
        let (response, mut body) = client.begin(request("POST", "/", &[KEY_LINE]), false).await;
        let _unread = response.await.unwrap().into_body();
        assert_eq!(poll_fn(|cx| body.poll_reset(cx)).await.unwrap(), Reason::CANCEL);
        assert_eq!(seen.recv().await.unwrap(), Some(Reason::CANCEL));
    });
    let line = &stage.log_of(1)[0];
    assert_eq!((&line["status"], &line["code"]), (&200.into(), &"REQUEST_TIMEOUT".into()), "{line:#}");
}

/// What stops after its answer is not waited for, and neither is an upstream that takes no more of it.
#[test]
fn f6_an_upload_that_stops_after_its_answer_is_reset() {
    let (upstream, mut seen) = without_end();
    let stage = before(&upstream, setting().gateway("timeouts: { body_idle: 300ms }"), "");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, mut body) = client.begin(request("POST", "/whole", &[KEY_LINE]), false).await;
        assert_eq!(answer(response).await.unwrap().0.status.as_u16(), 200);
        assert_eq!(poll_fn(|cx| body.poll_reset(cx)).await.unwrap(), Reason::NO_ERROR);
        assert_eq!(seen.recv().await.unwrap(), Some(Reason::CANCEL));
        assert_eq!(client.ask(request("GET", "/", &[])).await.unwrap().0.status.as_u16(), 401);
    });
    let deaf = H2Upstream::scripted(|mut exchange| async move {
        exchange.answer.send_response(Response::new(()), true).unwrap();
        // Held, and not read.
        std::future::pending::<()>().await;
    });
    let stage = before(&deaf, setting(), ", idle_timeout: 300ms");
    play(async {
        let mut client = Http2::connect(&stage).await;
        let (response, mut body) = client.begin(request("POST", "/", &[KEY_LINE]), false).await;
        assert_eq!(answer(response).await.unwrap().0.status.as_u16(), 200);
        body.send_data(Bytes::from(vec![b'a'; 1_000_000]), false).unwrap();
        assert_eq!(poll_fn(|cx| body.poll_reset(cx)).await.unwrap(), Reason::NO_ERROR);
    });
}
