//! WebSocket and other upgrades: what becomes a tunnel, what passes through it, and how it ends (threats.md F3).

mod third_party;

use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::stage::{Client, DEADLINE, KEY, Setting, Stage, Upstream};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: api.example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, superchat\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n";

/// A request with a key and these lines after [`ASK`].
fn ask(lines: &str) -> String {
    format!("{ASK}X-API-Key: {KEY}\r\n{lines}\r\n")
}

fn by_hand(setting: Setting) -> (Stage, Receiver<Client>) {
    let (upstream, connections) = Upstream::by_hand();
    (setting.set_before(upstream), connections)
}

fn next(connections: &Receiver<Client>) -> Client {
    connections.recv_timeout(DEADLINE).expect("the gateway connects")
}

/// A WebSocket through the gateway: the client's end and the upstream's, and what the upstream was asked.
fn open(stage: &Stage, connections: &Receiver<Client>) -> (Client, Client, Vec<(String, String)>) {
    let mut client = stage.connect();
    client.write(ask(""));
    let mut upstream = next(connections);
    let (_, asked) = upstream.head().unwrap();
    upstream.write(format!("{AGREE}\r\n"));
    let (line, _) = client.head().unwrap();
    assert_eq!(line, "HTTP/1.1 101 Switching Protocols");
    (client, upstream, asked)
}

fn values<'h>(headers: &'h [(String, String)], name: &str) -> Vec<&'h str> {
    headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn f3_a_websocket_is_a_tunnel_after_the_upstreams_101() {
    let (stage, connections) = by_hand(Setting::new());
    let mut client = stage.connect();
    // What follows the head at once belongs to the new protocol, and waits for it.
    client.write(ask("") + "early");
    let mut upstream = next(&connections);
    let (line, asked) = upstream.head().unwrap();
    assert_eq!(line, "GET /chat HTTP/1.1");
    assert_eq!(values(&asked, "connection"), ["upgrade"]);
    assert_eq!(values(&asked, "upgrade"), ["websocket"]);
    assert_eq!(values(&asked, "sec-websocket-key"), ["dGhlIHNhbXBsZSBub25jZQ=="]);
    assert_eq!(values(&asked, "sec-websocket-protocol"), ["chat, superchat"]);
    assert_eq!(values(&asked, "x-portcullis-org").len(), 1);
    assert!(values(&asked, "x-api-key").is_empty());
    assert!(upstream.is_silent_for(Duration::from_millis(50)), "nothing passes before the 101");

    upstream.write(format!("{AGREE}Set-Cookie: a=1\r\n\r\nhello"));
    let (line, told) = client.head().unwrap();
    assert_eq!(line, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(values(&told, "connection"), ["upgrade"]);
    assert_eq!(values(&told, "upgrade"), ["WebSocket"]);
    assert_eq!(values(&told, "sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    assert_eq!(values(&told, "sec-websocket-protocol"), ["chat"]);
    assert_eq!(values(&told, "set-cookie"), ["a=1"]);
    assert_eq!(client.take(5), b"hello");
    assert_eq!(upstream.take(5), b"early");
    assert!(stage.metric("portcullis_open_exchanges") >= 1.0);

    client.write("up");
    assert_eq!(upstream.take(2), b"up");
    let large = vec![7; 3_000_000];
    let mut reader = upstream.second();
    let expected = large.clone();
    let reading = std::thread::spawn(move || assert!(reader.take(3_000_000) == expected));
    client.write(&large);
    reading.join().unwrap();

    // One side's end is passed on, and the other may still speak.
    client.finish();
    assert!(upstream.is_closed());
    upstream.write("bye");
    drop(upstream);
    assert_eq!(client.rest(), "bye");
    let line = &stage.log_of(1)[0];
    assert_eq!((&line["status"], &line["outcome"]), (&101.into(), &"allow".into()));
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&3_000_007.into(), &8.into()));
    assert_eq!(stage.metric("portcullis_open_exchanges"), 0.0);
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"allow\",code=\"OK\"}"), 1.0);
}

/// Its connection is the tunnel's for good: the next request gets another one.
#[test]
fn f3_a_tunnels_connection_is_never_used_again() {
    let (stage, connections) = by_hand(Setting::new());
    let (client, upstream, _) = open(&stage, &connections);
    drop((client, upstream));
    stage.log_of(1);
    let mut other = stage.connect();
    other.write(format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    let mut fresh = next(&connections);
    assert_eq!(fresh.head().unwrap().0, "GET / HTTP/1.1");
}

#[test]
fn f3_whatever_is_not_an_agreed_upgrade_is_no_tunnel() {
    // What the client asks for, what the upstream is asked for, what it answers, and what the client gets.
    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let other = AGREE.replace("WebSocket\r\n", "h2c\r\n") + "\r\n";
    let unsaid = AGREE.replace("Connection: Upgrade\r\n", "") + "\r\n";
    let twice = format!("{AGREE}Upgrade: h2c\r\n\r\n");
    let cases: [(&str, String, Option<&str>, &str, u16); 9] = [
        ("answered 200", ask(""), Some("websocket"), plain, 200),
        ("another protocol", ask(""), Some("websocket"), &other, 502),
        ("not said in Connection", ask(""), Some("websocket"), &unsaid, 502),
        ("two protocols", ask(""), Some("websocket"), &twice, 502),
        ("h2c", ask("HTTP2-Settings: AAMAAABk\r\n").replace("websocket", "h2c"), None, plain, 200),
        ("h2c, and then a 101", ask("").replace("websocket", "h2c"), None, &other, 502),
        ("h2c beside it", ask("").replace("websocket", "h2c, websocket"), Some("websocket"), plain, 200),
        ("not a GET", ask("").replace("GET", "DELETE"), None, plain, 200),
        ("not said by the client", ask("").replace("keep-alive, Upgrade", "keep-alive"), None, plain, 200),
    ];
    for (what, request, asked, answer, status) in cases {
        let (stage, connections) = by_hand(Setting::new());
        let mut client = stage.connect();
        client.write(request);
        let mut upstream = next(&connections);
        let (_, headers) = upstream.head().unwrap();
        assert_eq!(values(&headers, "upgrade"), Vec::from_iter(asked), "{what}");
        assert!(values(&headers, "http2-settings").is_empty(), "{what}");
        upstream.write(answer);
        assert_eq!(client.read(false).status, status, "{what}");
        client.write("more");
        match status {
            200 => assert!(upstream.is_silent_for(Duration::from_millis(30)), "{what}: it is a tunnel"),
            _ => assert!(upstream.is_closed(), "{what}"),
        }
    }
}

#[test]
fn f3_a_route_says_what_may_be_switched_to() {
    let routes = "[{ path: /, upstream: api, upgrades: [] }, { path: /chat/own, upstream: api, upgrades: [x-own/1] }]";
    let (stage, connections) = by_hand(Setting::new().routes(routes));
    let mut client = stage.connect();
    client.write(ask(""));
    let mut upstream = next(&connections);
    assert!(values(&upstream.head().unwrap().1, "upgrade").is_empty());
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.read(false).status, 200);

    // Any other protocol is bytes like these.
    client.write(ask("").replace("/chat", "/chat/own").replace("websocket", "X-Own/1"));
    assert_eq!(values(&upstream.head().unwrap().1, "upgrade"), ["x-own/1"]);
    upstream.write(AGREE.replace("WebSocket\r\n", "x-own/1\r\n") + "\r\n");
    assert_eq!(client.head().unwrap().0, "HTTP/1.1 101 Switching Protocols");
    client.write("ping");
    assert_eq!(upstream.take(4), b"ping");
}

#[test]
fn an_idle_websocket_is_closed_with_a_close_frame() {
    let (stage, connections) = by_hand(Setting::new().gateway("timeouts: { tunnel_idle: 300ms }"));
    let (mut client, mut upstream, _) = open(&stage, &connections);
    upstream.write([0x81, 2, b'h', b'i']);
    assert_eq!(client.take(8), [0x81, 2, b'h', b'i', 0x88, 6, 3, 233]);
    assert_eq!(client.take(4), b"idle");
    assert!(client.is_closed());
    assert!(upstream.is_closed());
    assert_eq!(stage.log_of(1)[0]["reason"], "neither side said anything for too long");
}

#[test]
fn l13_a_drain_ends_websockets_at_its_deadline_by_a_close_frame() {
    let (stage, connections) = by_hand(Setting::new());
    let (mut client, mut upstream, _) = open(&stage, &connections);
    let stopping = std::thread::spawn(move || drop(stage));
    // Until then it goes on.
    client.write("x");
    assert_eq!(upstream.take(1), b"x");
    assert_eq!(client.take(4), [0x88, 19, 3, 233]);
    assert_eq!(client.take(17), b"the gateway stops");
    assert!(client.is_closed());
    assert!(upstream.is_closed());
    drop(client);
    stopping.join().unwrap();
}
