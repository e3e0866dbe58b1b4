//! threats.md L6 on HTTP/2: a stream that would be refused by now is reset, and the connection goes on.

use bytes::Bytes;

use super::client::{Http2, answer, play, request};
use super::{KEY_LINE, setting};
use crate::stage::{DEADLINE, KEY_OPEN, Upstream, directory};

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
