//! What one client may take: connections, time, failed attempts, requests.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use portcullis::clock::Timestamp;

use crate::stage::{Client, KEY, KEY_OPEN, START, Setting, Stage, Upstream, wait_for};

const WRONG: &str = "openbare.00000000-0000-4000-8000-000000000000";
const TRUSTED: &str = "client_address: { trusted_proxies: [127.0.0.1] }\n";

fn get(key: &str, client: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nX-Forwarded-For: {client}\r\n\r\n")
}

fn over_limit(stage: &Stage) -> f64 {
    stage.metric("portcullis_connections_over_limit_total")
}

/// threats.md L8: failures beyond the budget are 429 in place of 401, and good keys pass behind the same address.
#[test]
fn l8_failures_beyond_the_budget_are_429_and_good_keys_pass() {
    let limits = format!("{TRUSTED}limits: {{ failed_attempts: {{ burst: 3, per_minute: 6 }} }}");
    let stage = Setting::new().workers(2).gateway(&limits).set();
    let ask = |key: &str, client: &str| stage.send(get(key, client));
    for _ in 0..3 {
        assert_eq!(ask(WRONG, "192.0.2.7").outcome(), (401, "INVALID_CREDENTIALS".into()));
    }
    let refused = ask(WRONG, "192.0.2.7");
    assert_eq!(refused.outcome(), (429, "RATE_LIMITED".into()));
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=11).contains(&seconds), "{seconds}");
    assert!(refused.header("www-authenticate").is_none());
    // By whichever worker.
    assert!((0..8).all(|_| ask(WRONG, "192.0.2.7").status == 429));
    // Good keys pass, and so does whoever is elsewhere; the list is told to holders of the secret as before.
    assert_eq!(ask(KEY, "192.0.2.7").status, 200);
    assert_eq!(ask(KEY_OPEN, "192.0.2.7").status, 200);
    assert_eq!(ask(KEY, "198.51.100.1").status, 403);
    assert_eq!(ask(WRONG, "192.0.2.8").status, 401);
    // IPv6 by /64.
    for last in 1..=3 {
        assert_eq!(ask(WRONG, &format!("2001:db8::{last}")).status, 401);
    }
    assert_eq!(ask(WRONG, "2001:db8::ffff").status, 429);
    assert_eq!(ask(WRONG, "2001:db8:0:1::1").status, 401);
    // No key at all is no attempt.
    assert_eq!(stage.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n").status, 401);
    assert_eq!(stage.metric("portcullis_auth_throttled_total"), 10.0);
    let log = stage.log_of(4);
    let line = log.iter().find(|line| line["status"] == 429).unwrap();
    assert_eq!((line["outcome"].as_str(), line["code"].as_str()), (Some("deny"), Some("RATE_LIMITED")));
    assert!(line["reason"].is_string(), "the operator is told why the attempt failed: {line}");
    // Time earns attempts back.
    stage.clock.set(Timestamp::from_unix_seconds(START.unix_seconds() + 30));
    assert_eq!(ask(WRONG, "192.0.2.7").status, 401);
    // Off is off.
    let stage = Setting::new().gateway(&format!("{TRUSTED}limits: {{ failed_attempts: off }}")).set();
    assert!((0..100).all(|_| stage.send(get(WRONG, "192.0.2.7")).status == 401));
}

/// threats.md L8: Digest is not verified for an address that is over its budget, however good it may be.
#[test]
fn l8_what_is_expensive_to_verify_is_not_verified_over_budget() {
    let lines = format!(
        "{TRUSTED}limits: {{ failed_attempts: {{ burst: 1, per_minute: 1 }} }}\n\
         credentials: {{ digest: {{ realm: Portcullis }} }}"
    );
    let stage = Setting::new().gateway(&lines).set();
    let digest = format!(
        "Digest username=\"openbare\", realm=\"Portcullis\", nonce=\"x\", uri=\"/\", response=\"{:064}\", \
         algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"",
        0
    );
    let ask = || {
        stage
            .send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\nAuthorization: {digest}\r\n\r\n"))
    };
    assert_eq!(ask().status, 401);
    let before = stage.log_of(1)[0]["reason"].clone();
    assert_eq!(stage.send(get(WRONG, "192.0.2.7")).status, 429);
    assert_eq!(ask().outcome(), (429, "RATE_LIMITED".into()));
    let after = stage.log_of(3)[2]["reason"].clone();
    assert!(before != after && after.as_str().unwrap().contains("not verified"), "{before} and {after}");
    assert_eq!(stage.send(get(KEY, "192.0.2.7")).status, 200, "a header key is always looked up");
}

#[test]
fn a_credential_has_its_rate_and_is_told_of_it() {
    let rate = "limits: { request_rate: { requests: 3, per: 1h } }";
    let routes = "[{ path: /, upstream: api }, { path: /open, upstream: api, access: public }]";
    let stage = Setting::new().workers(2).routes(routes).gateway(rate).set();
    let told =
        |name: &str, answer: &crate::stage::Answer| answer.header(&format!("ratelimit-{name}")).map(str::to_owned);
    for remaining in ["2", "1", "0"] {
        let answer = stage.send(get(KEY_OPEN, "unread"));
        assert_eq!(
            (answer.status, told("limit", &answer), told("remaining", &answer)),
            (200, Some("3".into()), Some(remaining.into()))
        );
        let reset: u32 = told("reset", &answer).unwrap().parse().unwrap();
        assert!((1..=3600).contains(&reset), "{reset}");
    }
    let refused = stage.send(get(KEY_OPEN, "unread"));
    assert_eq!(refused.outcome(), (429, "RATE_LIMITED".into()));
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1100..=1200).contains(&seconds), "{seconds}");
    assert_eq!(told("remaining", &refused), Some("0".into()));
    assert_eq!(stage.send(get(KEY, "unread")).status, 200, "another credential has its own");
    let public = stage.get("/open", &[]);
    assert_eq!((public.status, public.header("ratelimit-limit")), (200, None));
    assert_eq!(stage.upstream.seen().len(), 5, "what is beyond the rate reaches nobody");
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"deny\",code=\"RATE_LIMITED\"}"), 1.0);
}

#[test]
fn an_address_has_its_connections_and_trusted_proxies_have_no_limit() {
    let stage = Setting::new().workers(2).gateway("limits: { connections_per_address: 3 }").set();
    let from = |address: &str| Client::connect_from(address.parse::<IpAddr>().unwrap(), stage.gateway());
    let mut held: Vec<Client> = (0..3).map(|_| from("127.0.0.1")).collect();
    assert!(held.iter_mut().all(|client| client.send(get(KEY_OPEN, "unread")).status == 200));
    let mut over = from("127.0.0.1");
    assert!(over.is_closed());
    assert_eq!(over_limit(&stage), 1.0);
    assert_eq!(from("127.0.0.2").send(get(KEY_OPEN, "unread")).status, 200);
    drop(held.pop());
    wait_for("its place", || from("127.0.0.1").send(get(KEY_OPEN, "unread")).status == 200);
    let lines = format!("{TRUSTED}limits: {{ connections_per_address: 1 }}");
    let stage = Setting::new().gateway(&lines).set();
    let mut many: Vec<Client> = (0..5).map(|_| stage.connect()).collect();
    assert!(many.iter_mut().all(|client| client.send(get(KEY, "192.0.2.7")).status == 200));
    assert_eq!(over_limit(&stage), 0.0);
}

#[test]
fn a_body_has_to_come_at_a_pace() {
    let pace = "timeouts: { body_idle: 20s, min_rate: 1KiB, min_rate_grace: 400ms }";
    let stage = Setting::new().gateway(pace).set();
    let mut client = stage.connect();
    let began = Instant::now();
    client.write(format!("POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY_OPEN}\r\nContent-Length: 100000\r\n\r\n"));
    // Never silent for long.
    while client.is_silent_for(Duration::from_millis(50)) && began.elapsed() < Duration::from_secs(15) {
        client.write("a");
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(client.read(false).outcome(), (408, "REQUEST_TIMEOUT".into()));
    // Who is faster than that is waited for, in pieces too.
    let mut client = stage.connect();
    client.write(format!("POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY_OPEN}\r\nContent-Length: 6000\r\n\r\n"));
    for _ in 0..3 {
        client.write([b'a'; 2000]);
        assert!(client.is_silent_for(Duration::from_millis(200)) || stage.upstream.seen().len() == 1);
    }
    assert_eq!(client.read(false).status, 200);
}

#[test]
fn an_answer_has_to_be_taken_at_a_pace() {
    let pace = "timeouts: { body_idle: 20s, min_rate: 1MiB, min_rate_grace: 300ms }";
    let stage = Setting::new().gateway(pace).set_before(Upstream::scripted(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"10000\r\n".as_slice(), &[b'a'; 0x10000], b"\r\n"].concat();
        while stream.write_all(&chunk).is_ok() {}
        false
    }));
    let mut client = stage.connect();
    client.write(get(KEY_OPEN, "unread"));
    let began = Instant::now();
    // A little at a time, and never nothing for long.
    while stage.metric("portcullis_open_connections") > 0.0 && began.elapsed() < Duration::from_secs(15) {
        client.take(1000);
        assert!(!client.is_silent_for(Duration::from_millis(1)));
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(stage.log_of(1)[0]["status"], 200);
}

#[test]
fn requests_under_way_have_a_limit() {
    let (upstream, connections) = Upstream::by_hand();
    let stage = Setting::new().gateway("limits: { max_requests: 1 }").set_before(upstream);
    let mut first = stage.connect();
    first.write(get(KEY_OPEN, "unread"));
    let mut held = connections.recv_timeout(crate::stage::DEADLINE).unwrap();
    held.head().unwrap();
    let refused = stage.send(get(KEY_OPEN, "unread"));
    assert_eq!(refused.outcome(), (503, "GATEWAY_OVERLOADED".into()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    held.write("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(first.read(false).status, 204);
}
