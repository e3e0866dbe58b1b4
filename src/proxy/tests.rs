//! The data plane over real sockets, against an upstream that says what it was told to say.

mod addresses;
pub(super) mod harness;
mod told_upstream;

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::settings::{self, Endpoint, Listen};
use harness::{Harness, KEY, OK, gateway, get, starts, to};
use told_upstream::Upstream;

#[test]
fn a_permitted_request_reaches_the_upstream_cleaned() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let answer = harness.ask(&get("/x?q=1", "X_Api_Key: forged\r\nX-Portcullis-Org: forged\r\n"));
    starts(&answer, "200");
    assert!(answer.ends_with("hello") && answer.contains("server: up"), "{answer}");
    let seen = upstream.seen().join("").to_lowercase();
    assert!(seen.starts_with("get /x?q=1 http/1.1\r\n"), "{seen}");
    assert!(seen.contains("host: api\r\n"), "{seen}");
    assert!(seen.contains("x-forwarded-for: 203.0.113.9, 127.0.0.1\r\n"), "{seen}");
    assert!(seen.contains("x-portcullis-org: 5f0000000000000000000001\r\n"), "{seen}");
    assert!(seen.contains("x-portcullis-client-address: 203.0.113.9\r\n"), "{seen}");
    assert!(!seen.contains("forged") && !seen.contains("40395d07"), "{seen}");
    harness.counts(1);
}

#[test]
fn refusals_never_reach_it() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let denied = harness.ask(&get("/", "").replace("203.0.113.9", "198.51.100.7"));
    starts(&denied, "403");
    assert!(denied.contains("IP_ADDRESS_NOT_ON_ACCESS_LIST") && denied.contains("198.51.100.7"), "{denied}");
    let wrong = harness.ask(&get("/", "").replace("40395d07", "00000000"));
    starts(&wrong, "401");
    assert!(wrong.contains("www-authenticate: Basic realm=\"Portcullis\", charset=\"UTF-8\"\r\n"), "{wrong}");
    assert!(wrong.contains("cache-control: no-store"), "{wrong}");
    starts(&harness.ask("GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"), "401");
    assert!(upstream.seen().is_empty());
}

#[test]
fn malformed_heads_end_the_connection() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let key = format!("X-API-Key: {KEY}\r\nX-Forwarded-For: 203.0.113.9\r\n");
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "GET / HTTP/1.1\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,5\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 2\r\n",
        "GE\0T / HTTP/1.1\r\nHost: a\r\n",
    ] {
        starts(&harness.ask(&format!("{head}{key}\r\nGET /second HTTP/1.1\r\n\r\n")), "400");
    }
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "a".repeat(70_000));
    starts(&harness.ask(&large), "431");
    assert!(upstream.seen().is_empty());
    harness.counts(14);
}

#[test]
fn one_framing_reaches_the_upstream() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let head = get("/", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n").replace("GET", "POST");
    let head = head.replace("Connection: close\r\n", "");
    let answer = harness.ask(&format!("{head}3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: api\r\n\r\n"));
    starts(&answer, "200");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let seen = upstream.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].to_lowercase().contains("content-length"), "{seen:?}");
    assert!(seen[0].contains("3\r\nabc\r\n0\r\n\r\n"), "{seen:?}");
}

#[test]
fn bodies_pass_both_ways_and_connections_are_kept() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let mut stream = harness.connect();
    for _ in 0..3 {
        let head = get("/", "Content-Length: 6\r\n").replace("GET", "PUT").replace("Connection: close\r\n", "");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"abc").unwrap();
        stream.write_all(b"def").unwrap();
        starts(&told_upstream::read_answer(&mut stream), "200");
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request.ends_with("abcdef")), "{seen:?}");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn expect_is_answered_only_after_the_permit() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let head = get("/", "Content-Length: 6\r\nExpect: 100-continue\r\n").replace("GET", "PUT");
    let denied = harness.ask(&head.replace("203.0.113.9", "198.51.100.7"));
    starts(&denied, "403");
    assert!(denied.contains("connection: close"), "{denied}");
    let mut stream = harness.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abcdef").unwrap();
    starts(&told_upstream::read_answer(&mut stream), "200");
    let large = get("/", "Content-Length: 1000001\r\nExpect: 100-continue\r\n").replace("GET", "PUT");
    starts(&harness.ask(&large), "413");
}

#[test]
fn a_body_that_grows_over_the_limit_is_cut() {
    let upstream = Upstream::new(|_| OK.into());
    let harness =
        Harness::new(gateway(vec![to(upstream.address)], |settings| settings.limits.max_body_bytes = Some(10)));
    let head = get("/", "Transfer-Encoding: chunked\r\n").replace("GET", "POST");
    starts(&harness.ask(&format!("{head}6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n")), "413");
}

#[test]
fn doubtful_answers_are_502_and_their_connection_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "SSH-2.0-x\r\n",
    ] {
        let upstream = Upstream::new(move |_| answer.into());
        let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
        for _ in 0..2 {
            let answered = harness.ask(&get("/", ""));
            starts(&answered, "502");
            assert!(answered.contains("UPSTREAM_PROTOCOL_ERROR"), "{answered}");
        }
        assert_eq!(upstream.connections(), 2, "{answer}");
    }
}

#[test]
fn more_bytes_than_promised_are_nobodys_answer() {
    let upstream = Upstream::new(|_| format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"));
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    for _ in 0..3 {
        let answer = harness.ask(&get("/", ""));
        assert!(answer.ends_with("hello"), "{answer}");
    }
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn an_upgrade_is_not_tunnelled() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let head = get("/", "Upgrade: h2c\r\nHTTP2-Settings: x\r\n").replace("close", "upgrade, close, http2-settings");
    starts(&harness.ask(&head), "200");
    let seen = upstream.seen().join("").to_lowercase();
    assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
}

#[test]
fn unreachable_slow_and_silent_upstreams_have_their_codes() {
    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(vacant)], |_| {}));
    assert!(harness.ask(&get("/", "")).contains("UPSTREAM_UNREACHABLE"));
    let harness = Harness::new(gateway(vec![to(vacant), to(upstream.address)], |_| {}));
    for _ in 0..4 {
        starts(&harness.ask(&get("/", "")), "200");
    }
    let silent = Upstream::new(|_| String::new());
    let harness = Harness::new(gateway(vec![to(silent.address)], |settings| {
        settings.upstreams[0].first_byte_timeout = Duration::from_millis(100);
    }));
    let answer = harness.ask(&get("/", ""));
    starts(&answer, "504");
    assert!(answer.contains("UPSTREAM_TIMEOUT"), "{answer}");
}

#[test]
fn a_kept_connection_that_the_upstream_closes_costs_no_request() {
    let upstream = Upstream::closing(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    for _ in 0..20 {
        starts(&harness.ask(&get("/", "")), "200");
    }
}

#[test]
fn slow_clients_meet_their_deadlines() {
    let upstream = Upstream::new(|_| OK.into());
    let harness = Harness::new(gateway(vec![to(upstream.address)], |settings| {
        let short = Duration::from_millis(150);
        settings.timeouts =
            settings::Timeouts { header: short, body_idle: short, keep_alive: short, tunnel_idle: short, pace: None };
    }));
    let began = Instant::now();
    assert_eq!(harness.ask(""), "");
    assert_eq!(harness.ask("GET / HTTP/1.1\r\nHost"), "");
    let half = get("/", "Content-Length: 6\r\n").replace("GET", "PUT").replace("Connection: close\r\n", "") + "abc";
    starts(&harness.ask(&half), "408");
    assert!(harness.ask(&get("/", "").replace("Connection: close\r\n", "")).ends_with("hello"));
    assert!(began.elapsed() < Duration::from_secs(4));
    harness.counts(3);
}

#[test]
fn head_and_bodyless_statuses_are_framed_right() {
    let upstream = Upstream::new(|request| match request.split(' ').nth(1) {
        Some("/none") => "HTTP/1.1 204 No Content\r\n\r\n".into(),
        Some("/same") => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".into(),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".into(),
    });
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    starts(&harness.ask(&get("/none", "")), "204");
    starts(&harness.ask(&get("/same", "")), "304");
    let head = harness.ask(&get("/", "").replace("GET", "HEAD"));
    starts(&head, "200");
    assert!(head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn trailers_pass_cleaned() {
    let upstream = Upstream::new(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 9\r\n\r\n".into()
    });
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let lines = "TE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Mine, X-Portcullis-Org\r\n";
    let head = get("/", lines).replace("GET", "POST").replace("Connection: close", "Connection: close, te");
    let answer = harness.ask(&format!("{head}1\r\na\r\n0\r\nX-Mine: 1\r\nX-Portcullis-Org: forged\r\n\r\n"));
    assert!(answer.to_lowercase().contains("x-sum: 9"), "{answer}");
    let seen = upstream.seen().join("").to_lowercase();
    assert!(seen.contains("x-mine: 1") && !seen.contains("forged"), "{seen}");
}

#[test]
fn an_early_answer_does_not_wait_for_the_body() {
    let upstream = Upstream::early(OK);
    let harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let mut stream = harness.connect();
    let head = get("/", "Content-Length: 100000\r\n").replace("GET", "PUT");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[b'a'; 1_000]).unwrap();
    starts(&told_upstream::read_answer(&mut stream), "200");
}

#[test]
fn echo_shows_what_an_upstream_sees() {
    let harness = Harness::new(gateway(vec![Endpoint::Echo], |_| {}));
    let answer = harness.ask(&(get("/e?a=b", "Content-Length: 3\r\n").replace("GET", "POST") + "abc"));
    starts(&answer, "200");
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["method"], &body["path"], &body["query"]), (&"POST".into(), &"/e".into(), &"a=b".into()));
    assert_eq!(body["body_bytes"], 3);
    assert!(!answer.contains("40395d07"));
}

#[test]
fn proxy_protocol_gives_the_address_or_closes() {
    let upstream = Upstream::new(|_| OK.into());
    let trusting = |listen: &mut Listen| {
        listen.proxy_protocol = Some(std::iter::once("127.0.0.0/8".parse().unwrap()).collect());
    };
    let settings = || {
        gateway(vec![to(upstream.address)], |settings| {
            settings.client_address.trusted_proxies = std::iter::empty().collect();
            settings.timeouts.header = Duration::from_millis(150);
        })
    };
    let harness = Harness::listening(settings(), trusting);
    let request = get("/", "").replace("X-Forwarded-For: 203.0.113.9\r\n", "");
    starts(&harness.ask(&format!("PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n{request}")), "200");
    starts(&harness.ask(&format!("PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\n{request}")), "403");
    assert_eq!(harness.ask(&request), "");
    assert_eq!(harness.ask("PROXY TCP4 203.0."), "");
    let distrusting = |listen: &mut Listen| listen.proxy_protocol = Some(std::iter::empty().collect());
    let harness = Harness::listening(settings(), distrusting);
    assert_eq!(harness.ask(&format!("PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n{request}")), "");
}

#[test]
fn draining_ends_kept_connections_and_finishes_open_ones() {
    let upstream = Upstream::new(|_| OK.into());
    let mut harness = Harness::new(gateway(vec![to(upstream.address)], |_| {}));
    let mut idle = harness.connect();
    idle.write_all(get("/", "").replace("Connection: close\r\n", "").as_bytes()).unwrap();
    starts(&told_upstream::read_answer(&mut idle), "200");
    let running = harness.running.take().unwrap();
    running.drain(Drain::within(Duration::from_secs(3)));
    let began = Instant::now();
    running.join();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn new_settings_serve_at_once() {
    let (one, other) = (Upstream::new(|_| OK.into()), Upstream::new(|_| OK.into()));
    let harness = Harness::new(gateway(vec![to(one.address)], |_| {}));
    starts(&harness.ask(&get("/", "")), "200");
    harness.published.publish_settings(Arc::new(gateway(vec![to(other.address)], |_| {})), Arc::default());
    starts(&harness.ask(&get("/", "")), "200");
    assert_eq!((one.seen().len(), other.seen().len()), (1, 1));
}

#[test]
fn tls_is_spoken_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["api.internal".to_owned()]).unwrap();
    let files = settings::CertificateFiles {
        certificate: folder.path().join("tls.crt"),
        private_key: folder.path().join("tls.key"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.private_key, made.signing_key.serialize_pem()).unwrap();
    let upstream = Upstream::new(|_| OK.into());
    let ca = files.certificate.clone();
    let inner = Harness::listening(gateway(vec![to(upstream.address)], |_| {}), |listen| {
        listen.tls = Some(ListenTls { certificates: vec![files], client_ca: None });
    });
    let address = inner.running.as_ref().unwrap().local_addresses()[0];
    let secured = |server_name: &str| {
        let Endpoint::Net { host, port, authority, .. } = to(address) else { unreachable!() };
        let (ca, server_name) = (Some(ca.clone()), Some(server_name.to_owned()));
        gateway(vec![Endpoint::Net { https: true, http2: false, host, port, authority }], |settings| {
            settings.upstreams[0].tls =
                settings::UpstreamTls { files: settings::UpstreamFiles { ca, certificate: None }, server_name };
        })
    };
    // One gateway in front of another: the outer is the inner's client.
    let outer = Harness::new(secured("api.internal"));
    for _ in 0..3 {
        starts(&outer.ask(&get("/open", "")), "200");
    }
    assert_eq!(upstream.connections(), 1);
    let misnamed = Harness::new(secured("other.internal"));
    assert!(misnamed.ask(&get("/open", "")).contains("UPSTREAM_UNREACHABLE"));
    // Plain HTTP on a TLS listener is not answered as HTTP.
    assert!(!inner.ask(&get("/open", "")).contains("HTTP/1.1"));
    // A listener that is handed nothing new keeps what it has.
    inner.running.as_ref().unwrap().tls().replace(&TlsFiles::default());
    starts(&Harness::new(secured("api.internal")).ask(&get("/open", "")), "200");
}
