//! One door: every request, whatever becomes of it, leaves one access-log line and one count with the same outcome.

use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::stage::{KEY, KEY_DISABLED, KEY_OPEN, KEY_WITHOUT_LIST, Setting, Stage, Upstream, wait_for};

fn get(path: &str, key: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n")
}

#[test]
fn each_outcome_is_logged_and_counted_once() {
    let routes = "[{ path: /, upstream: api }, { path: /open, upstream: api, access: public }]";
    let rows: &[(&str, String, u16, &str, &str)] = &[
        ("allowed", get("/", KEY), 200, "allow", "OK"),
        ("public", get("/open", ""), 200, "allow", "OK"),
        ("no key", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 401, "deny", "CREDENTIALS_REQUIRED"),
        ("disabled", get("/", KEY_DISABLED), 401, "deny", "INVALID_CREDENTIALS"),
        ("no list", get("/", KEY_WITHOUT_LIST), 403, "deny", "ORG_REQUIRES_ACCESS_LIST"),
        ("two keys", get("/", &format!("{KEY}\r\nX-API-Key: {KEY}")), 400, "deny", "AMBIGUOUS_CREDENTIALS"),
        ("readings", get("/open/../x", KEY_OPEN), 400, "deny", "AMBIGUOUS_PATH"),
        ("two hosts", get("/", &format!("{KEY}\r\nHost: b")), 400, "error", "MALFORMED_REQUEST"),
        ("no HTTP", "\0\r\n\r\n".into(), 400, "error", "MALFORMED_REQUEST"),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400, "error", "MALFORMED_REQUEST"),
        ("HTTP/1.2", get("/", KEY).replace("/1.1", "/1.2"), 400, "error", "MALFORMED_REQUEST"),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".into(), 400, "error", "MALFORMED_REQUEST"),
        ("large", get("/", &"a".repeat(70_000)), 431, "error", "HEADERS_TOO_LARGE"),
        (
            "bad chunk",
            get("/", KEY_OPEN).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            400,
            "error",
            "MALFORMED_REQUEST",
        ),
    ];
    for (what, raw, status, outcome, code) in rows {
        let stage = Setting::new().routes(routes).set();
        let mut client = stage.connect();
        let answer = client.send(raw);
        assert!(answer.status == *status || *what == "HTTP/2" && answer.status == 0, "{what}: {answer:?}");
        drop(client);
        wait_for("the connection to end", || stage.metric("portcullis_open_connections") == 0.0);
        let log = stage.log_of(1);
        assert_eq!(log.len(), 1, "{what}: {log:#?}");
        assert_eq!(
            (log[0]["outcome"].as_str(), log[0]["status"].as_u64()),
            (Some(*outcome), Some(u64::from(*status))),
            "{what}"
        );
        assert_eq!(log[0]["code"].as_str().unwrap_or("OK"), *code, "{what}");
        assert_eq!(log[0]["bytes_out"].as_u64().unwrap() as usize, answer.body.len(), "{what}");
        let count = format!("portcullis_requests_total{{outcome=\"{outcome}\",code=\"{code}\"}}");
        assert_eq!(stage.metric(&count), 1.0, "{what}");
        assert_eq!(stage.metric("portcullis_request_duration_seconds_count"), 1.0, "{what}");
        assert_eq!(stage.metric("portcullis_open_exchanges"), 0.0, "{what}");
    }
}

/// What follows a good request in the same packet is no request, and is counted all the same.
#[test]
fn nonsense_behind_a_good_request_is_logged() {
    let stage = Stage::new();
    let mut client = stage.connect();
    client.write(get("/", KEY) + "nonsense\r\n\r\n");
    assert_eq!(client.read(false).status, 200);
    assert_eq!(client.read(false).status, 400);
    assert!(client.is_closed());
    let log = stage.log_of(2);
    assert_eq!((log[0]["status"].as_u64(), log[1]["code"].as_str()), (Some(200), Some("MALFORMED_REQUEST")));
}

/// A log line that panics where its upstream bears this name: the program's own log is somebody else's code.
const EXPLOSIVE: &str = "explosive";

struct Tripwire;

impl Subscriber for Tripwire {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.fields().field("upstream").is_some()
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Tripwire);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Tripwire {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    fn record_str(&mut self, field: &Field, value: &str) {
        assert!(field.name() != "upstream" || value != EXPLOSIVE, "the log of this test is broken on purpose");
    }
}

/// The exchange that panics answers 500 and ends its connection; its worker and everybody else go on.
#[test]
fn a_panic_ends_one_exchange_alone() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Tripwire).expect("no other test has a log"));
    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (upstream, connections) = Upstream::by_hand();
    let stage = Setting::new()
        .gateway(&format!(
            "upstreams: {{ api: {{ endpoints: [\"http://UPSTREAM\"] }}, {EXPLOSIVE}: {{ endpoints: [\"http://{vacant}\"] }} }}"
        ))
        .routes(&format!("[{{ path: /, upstream: api }}, {{ path: /bang, upstream: {EXPLOSIVE} }}]"))
        .set_before(upstream);
    // One that is under way on the only worker.
    let mut other = stage.connect();
    other.write(get("/other", KEY));
    let mut upstream = connections.recv().unwrap();
    upstream.head().unwrap();
    for round in 1..=3 {
        let mut client = stage.connect();
        assert_eq!(client.send(get("/bang", KEY)).outcome(), (500, "INTERNAL_ERROR".into()));
        assert!(client.is_closed());
        let log = stage.log_of(round);
        assert_eq!((log.len(), log[round - 1]["code"].as_str()), (round, Some("INTERNAL_ERROR")));
        assert_eq!(log[round - 1]["status"], 500);
    }
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    assert_eq!(other.read(false).text(), "fine");
    assert_eq!(stage.metric("portcullis_panics_total"), 3.0);
    assert_eq!(stage.metric("portcullis_open_exchanges"), 0.0);
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"error\",code=\"INTERNAL_ERROR\"}"), 3.0);
}
