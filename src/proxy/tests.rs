//! The data plane over real sockets, against an upstream that says what it was told to say.

mod bench_upstream;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement, Grants};
use crate::access::route::{Access, Preflight, Route, RouteTable};
use crate::access::snapshot::{CredentialSpec, Draft, EntrySpec, OrganizationSpec, Target};
use crate::clock::Timestamp;
use crate::config::settings::{self, AccessLogSettings, AccessLogSink, Endpoint, Gateway, Listen};
use crate::live::fingerprint;
use bench_upstream::Upstream;

const KEY: &str = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1";

pub(super) fn gateway(endpoints: Vec<Endpoint>, change: impl FnOnce(&mut Gateway)) -> Gateway {
    let route = |path: &str, access| Route {
        host: None,
        path: path.into(),
        methods: Box::default(),
        access,
        require_access_list: false,
        organizations: None,
        preflight: Preflight::Pass,
        upstream: 0,
    };
    let second = Duration::from_secs(1);
    let mut settings = Gateway {
        client_address: settings::ClientAddressRule {
            trusted_proxies: std::iter::once("127.0.0.0/8".parse().unwrap()).collect(),
            header: settings::AddressHeader::XForwardedFor,
            hops: None,
        },
        credentials: settings::Credentials {
            headers: vec![http::HeaderName::from_static("x-api-key")],
            basic: true,
            bearer: false,
            issuers: Vec::new(),
            forward: false,
            realm: "Portcullis".into(),
        },
        routes: RouteTable::new(vec![route("/", Access::Required), route("/open", Access::Public)]),
        upstreams: vec![settings::Upstream {
            name: "api".into(),
            endpoints,
            tls: settings::UpstreamTls::default(),
            preserve_host: true,
            connect_timeout: second,
            first_byte_timeout: second,
            idle_timeout: second,
            pool_idle_timeout: 30 * second,
            pool_max_idle: 8,
        }],
        limits: settings::Limits {
            max_header_bytes: 16_384,
            max_headers: 64,
            max_body_bytes: Some(1_000_000),
            max_connections: 100,
        },
        timeouts: settings::Timeouts { header: second, body_idle: second, keep_alive: second },
        outbound: settings::Outbound { forwarded: false, identity_headers: true },
    };
    change(&mut settings);
    settings
}

pub(super) fn to(address: SocketAddr) -> Endpoint {
    Endpoint::Net {
        https: false,
        host: address.ip().to_string().into(),
        port: address.port(),
        authority: address.to_string().parse().unwrap(),
    }
}

pub(super) struct Harness {
    running: Option<Running>,
    metrics: Arc<Metrics>,
    pub(super) published: Arc<Published>,
}

impl Harness {
    fn new(settings: Gateway) -> Self {
        Self::listening(settings, |_| {})
    }

    fn listening(settings: Gateway, change: impl FnOnce(&mut Listen)) -> Self {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
        let metrics = Arc::new(Metrics::new(clock.clone()).unwrap());
        let log = AccessLogSettings { sink: AccessLogSink::Off, query: false };
        let access_log = AccessLog::open(&log, Arc::clone(&metrics)).unwrap();
        let published = Published::new(Arc::new(settings), Arc::default()).unwrap();
        let mut draft = Draft::new();
        let organization = "5f0000000000000000000001".parse().unwrap();
        draft
            .organization(OrganizationSpec {
                id: organization,
                name: "acme".into(),
                mode: AccessListMode::Required,
                network_sets: Vec::new(),
            })
            .unwrap();
        draft
            .credential(CredentialSpec {
                id: "5f0000000000000000000021".parse().unwrap(),
                kind: CredentialKind::ApiKey,
                organization,
                fingerprints: vec![fingerprint::of_key(KEY.as_bytes())],
                enabled: true,
                expires_at: Timestamp::NEVER,
                enforcement: Enforcement::Enforce,
                grants: Grants { roles: "ORG_MEMBER".into(), projects: "".into(), gateway: false },
                access_list: vec![EntrySpec {
                    target: Target::Network("203.0.113.0/24".parse().unwrap()),
                    expires_at: Timestamp::NEVER,
                }],
            })
            .unwrap();
        published.publish_snapshot(Arc::new(draft.finish(7))).unwrap();
        let mut listen = Listen { address: "127.0.0.1:0".parse().unwrap(), tls: None, proxy_protocol: None };
        change(&mut listen);
        let sockets = Sockets {
            listen: vec![listen],
            workers: NonZeroUsize::new(1).unwrap(),
            drain_timeout: Duration::from_secs(1),
        };
        let parts = ProxyParts {
            sockets: &sockets,
            published: &published,
            clock: &clock,
            metrics: &metrics,
            access_log: &access_log,
        };
        let running = start(parts).unwrap();
        Self { running: Some(running), metrics, published }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running.as_ref().unwrap().local_addresses()[0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    /// Sends bytes and reads until the gateway closes.
    fn ask(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is a close too.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A connection's end is seen by its client before it is counted: waits for the count.
    #[track_caller]
    fn counts(&self, expected: u64) {
        let began = Instant::now();
        while self.metric("portcullis_requests_total") != expected && began.elapsed() < Duration::from_secs(3) {
            std::thread::yield_now();
        }
        assert_eq!(self.metric("portcullis_requests_total"), expected);
    }

    fn metric(&self, start: &str) -> u64 {
        let (text, _) = self.metrics.encode().unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines()
            .filter(|line| line.starts_with(start))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.drain(Duration::from_millis(200));
            running.join();
        }
    }
}

fn get(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nX-API-Key: {KEY}\r\nX-Forwarded-For: 203.0.113.9\r\n{lines}\r\n"
    )
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: up\r\n\r\nhello";

#[track_caller]
fn starts(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "expected {status}, got: {answer}");
}

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
        starts(&bench_upstream::read_answer(&mut stream), "200");
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
    starts(&bench_upstream::read_answer(&mut stream), "200");
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
        settings.timeouts = settings::Timeouts { header: short, body_idle: short, keep_alive: short };
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
    starts(&bench_upstream::read_answer(&mut stream), "200");
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
    starts(&bench_upstream::read_answer(&mut idle), "200");
    let running = harness.running.take().unwrap();
    running.drain(Duration::from_secs(3));
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
