//! threats.md L6: what is open ends when it would be refused by now, on every kind of exchange and for every kind of reason.

mod causes;
pub mod kinds;
mod outliving;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use self::kinds::{AGREE, CHUNKED};
use crate::stage::{Client, DEADLINE, KEY, Setting, Stage, Upstream, directory, wait_for};

const LISTED: &str = "192.0.2.0/24, \"2001:db8::/32\", 127.0.0.1";
const CODE: &str = "IP_ADDRESS_NOT_ON_ACCESS_LIST";

/// The directory without the client's address on the key's list.
fn unlisted() -> String {
    directory().replace(LISTED, "192.0.2.0/24")
}

fn by_hand(setting: Setting) -> (Stage, Receiver<Client>) {
    let (upstream, connections) = Upstream::by_hand();
    (setting.set_before(upstream), connections)
}

fn next(connections: &Receiver<Client>) -> Client {
    connections.recv_timeout(DEADLINE).expect("the gateway connects")
}

/// Asks, and has the upstream begin its answer with this. Returns both ends; the client has not read anything.
fn begin(stage: &Stage, connections: &Receiver<Client>, ask: &str, answer: &str) -> (Client, Client) {
    let mut client = stage.connect();
    client.write(ask);
    let mut upstream = next(connections);
    upstream.head().expect("the request reaches the upstream");
    upstream.write(answer);
    (client, upstream)
}

fn get(lines: &str) -> String {
    format!("GET /stream HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n{lines}\r\n")
}

fn websocket() -> String {
    get("Connection: Upgrade\r\nUpgrade: websocket\r\n")
}

/// One exchange was let through, was answered with this status, and has ended by this code.
#[track_caller]
fn ended(stage: &Stage, status: u16, code: &str) {
    let line = &stage.log_of(1)[0];
    assert_eq!((&line["status"], &line["outcome"]), (&status.into(), &"deny".into()), "{line:#}");
    assert_eq!((&line["code"], &line["revoked"]), (&code.into(), &true.into()), "{line:#}");
    let metric = format!("portcullis_revoked_exchanges_total{{reason=\"{code}\"}}");
    wait_for("the metric", || stage.metric(&metric) == 1.0);
    assert_eq!(stage.metric("portcullis_open_exchanges"), 0.0);
}

#[test]
fn l6_a_websocket_is_closed_with_a_close_frame_when_its_list_changes() {
    let (stage, connections) = by_hand(Setting::new());
    let (mut client, mut upstream) = begin(&stage, &connections, &websocket(), AGREE);
    client.head().unwrap();
    // Frames that never pause, each in two pieces: one that is under way is finished first.
    let over = Arc::new(AtomicBool::new(false));
    let (seen, mut sender) = (Arc::clone(&over), upstream.second());
    let sending = std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            sender.write([0x81, 4, b'h', b'a']);
            sender.write(b"lf");
        }
    });
    assert_eq!(client.take(6), *b"\x81\x04half");
    stage.replace("directory.yaml", unlisted());
    let last = loop {
        match client.take(2)[..] {
            [0x81, 4] => assert_eq!(client.take(4), b"half"),
            ref last => break last.to_owned(),
        }
    };
    assert_eq!(last, [0x88, CODE.len() as u8 + 2]);
    assert_eq!(client.take(2), [3, 240], "1008: policy violation");
    assert_eq!(client.take(CODE.len()), CODE.as_bytes());
    assert!(client.is_closed());
    assert!(upstream.is_closed());
    over.store(true, Ordering::Relaxed);
    sending.join().unwrap();
    ended(&stage, 101, CODE);
    assert_eq!(stage.log()[0]["snapshot.revision"], 2);
}

#[test]
fn l6_a_streamed_answer_is_cut_without_its_last_chunk() {
    let (stage, connections) = by_hand(Setting::new());
    let (mut client, mut upstream) = begin(&stage, &connections, &get(""), CHUNKED);
    client.head().unwrap();
    assert_eq!(client.take(10), b"5\r\nhello\r\n");
    stage.replace("directory.yaml", unlisted());
    assert_eq!(client.rest(), "");
    assert!(upstream.is_closed());
    ended(&stage, 200, CODE);
}

/// Where only the connection's end says that the answer is over, an end in order would be a lie.
#[test]
fn l6_an_answer_of_http_1_0_is_cut_by_a_reset() {
    let (stage, connections) = by_hand(Setting::new());
    let (mut client, _upstream) = begin(&stage, &connections, &get("").replace("HTTP/1.1", "HTTP/1.0"), CHUNKED);
    client.head().unwrap();
    assert_eq!(client.take(5), b"hello");
    stage.replace("directory.yaml", unlisted());
    assert!(client.is_reset());
    ended(&stage, 200, CODE);
}

#[test]
fn l6_a_client_that_does_not_read_is_cut_all_the_same() {
    let (stage, connections) = by_hand(Setting::new());
    let (_client, mut upstream) =
        begin(&stage, &connections, &get(""), "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    upstream.fill_up();
    stage.replace("directory.yaml", unlisted());
    ended(&stage, 200, CODE);
    assert!(upstream.is_closed());
}

/// No answer had begun: the client is told by an ordinary refusal.
#[test]
fn l6_an_upload_is_refused_and_its_connection_ends() {
    let (stage, connections) = by_hand(Setting::new());
    let ask = get("Transfer-Encoding: chunked\r\n").replace("GET", "POST") + "5\r\nhello\r\n";
    let (mut client, mut upstream) = begin(&stage, &connections, &ask, "");
    assert_eq!(upstream.take(10), b"5\r\nhello\r\n");
    stage.replace(
        "directory.yaml",
        directory().replace("roles: [ORG_MEMBER", "enabled: false\n        roles: [ORG_MEMBER"),
    );
    let answer = client.read(false);
    assert_eq!(answer.outcome(), (401, "INVALID_CREDENTIALS".into()));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(upstream.is_closed());
    client.finish();
    assert!(client.is_closed());
    ended(&stage, 401, "INVALID_CREDENTIALS");
    assert_eq!(stage.log()[0]["reason"], "the credential is disabled");
}

/// The answer began before the upload was over: both directions end.
#[test]
fn l6_a_conversation_ends_both_ways() {
    let (stage, connections) = by_hand(Setting::new());
    let ask = get("Transfer-Encoding: chunked\r\n").replace("GET", "POST") + "5\r\nhello\r\n";
    let (mut client, mut upstream) = begin(&stage, &connections, &ask, CHUNKED);
    client.head().unwrap();
    assert_eq!(client.take(10), b"5\r\nhello\r\n");
    assert_eq!(upstream.take(10), b"5\r\nhello\r\n");
    stage.replace("directory.yaml", unlisted());
    assert_eq!(client.rest(), "");
    assert!(upstream.is_closed());
    ended(&stage, 200, CODE);
}

/// Nothing is published: the data plane's own clock passes the end of an entry.
#[test]
fn l6_an_entry_that_expires_ends_what_it_let_through() {
    let entry = "{ cidr: 127.0.0.1, expires_at: 2026-11-23T00:01:00Z }";
    let (stage, connections) =
        by_hand(Setting::new().directory(&directory().replace("127.0.0.1]", &format!("{entry}]"))));
    let (mut client, mut upstream) = begin(&stage, &connections, &get(""), CHUNKED);
    client.head().unwrap();
    assert_eq!(client.take(10), b"5\r\nhello\r\n");
    stage.clock.set(portcullis::clock::Timestamp::from_unix_seconds(crate::stage::START.unix_seconds() + 59));
    upstream.write("2\r\nok\r\n");
    assert_eq!(client.take(7), b"2\r\nok\r\n");
    stage.clock.set(portcullis::clock::Timestamp::from_unix_seconds(crate::stage::START.unix_seconds() + 60));
    assert_eq!(client.rest(), "");
    assert!(upstream.is_closed());
    ended(&stage, 200, CODE);
}

#[test]
fn l6_a_public_route_that_becomes_required_ends_what_nobody_proved() {
    let (stage, connections) = by_hand(Setting::new().routes("[{ path: /, upstream: api, access: public }]"));
    let (mut client, mut upstream) = begin(&stage, &connections, &websocket(), AGREE);
    client.head().unwrap();
    let configuration = stage.configuration().replace("access: public", "access: required");
    stage.replace("portcullis.yaml", configuration);
    assert_eq!(client.take(4)[..], [0x88, 22, 3, 240]);
    assert_eq!(client.take(20), b"CREDENTIALS_REQUIRED");
    assert!(upstream.is_closed());
    ended(&stage, 101, "CREDENTIALS_REQUIRED");
}

/// A change that refuses somebody else ends nothing here; the client and the upstream notice nothing of it.
#[test]
fn l6_what_would_still_be_let_through_goes_on() {
    let (stage, connections) = by_hand(Setting::new());
    let (mut client, mut upstream) = begin(&stage, &connections, &websocket(), AGREE);
    client.head().unwrap();
    let changed = directory().replace("enabled: false", "enabled: true").replace(LISTED, "127.0.0.0/8");
    stage.replace("directory.yaml", changed);
    stage.wait_for_revision(2.0);
    upstream.write([0x81, 2, b'o', b'k']);
    assert_eq!(client.take(4), [0x81, 2, b'o', b'k']);
    client.write([0x81, 0x80, 1, 2, 3, 4]);
    assert_eq!(upstream.take(6), [0x81, 0x80, 1, 2, 3, 4]);
    stage.replace("directory.yaml", unlisted());
    assert_eq!(client.take(2)[..], [0x88, CODE.len() as u8 + 2]);
    ended(&stage, 101, CODE);
    assert_eq!(stage.log()[0]["snapshot.revision"], 3);
}
