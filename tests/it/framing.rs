//! threats.md F: what a request or an answer may look like on the wire, and that the upstream sees exactly one request of what
//! the client sent as one.

use std::io::Write;
use std::time::Duration;

use super::stage::{Answer, KEY, KEY_OPEN, Setting, Stage, Upstream};

/// A request by `KEY_OPEN` with these lines after the request line, and what follows the head.
fn raw(start: &str, lines: &[&str], after: &str) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{start}\r\nHost: api.example.com\r\nX-API-Key: {KEY_OPEN}\r\n{lines}\r\n{after}")
}

/// A second request that must never be seen by itself.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// F1: framing that two servers could read in two ways is refused, or reaches the upstream as one request in our framing,
/// and the connection ends.
#[test]
fn f1_doubtful_framing_never_makes_two_requests() {
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let chunk = format!("5\r\nhello\r\n0\r\n\r\n{SMUGGLED}");
    for (what, lines, after) in [
        ("CL and TE", vec!["Content-Length: 5", "Transfer-Encoding: chunked"], body.as_str()),
        ("TE and CL", vec!["Transfer-Encoding: chunked", "Content-Length: 60"], &body),
        ("two CL", vec!["Content-Length: 5", "Content-Length: 6"], "hello!"),
        ("two equal CL", vec!["Content-Length: 5", "Content-Length: 5"], "hello"),
        ("signed CL", vec!["Content-Length: +5"], "hello"),
        ("negative CL", vec!["Content-Length: -5"], "hello"),
        ("list of CL", vec!["Content-Length: 5,5"], "hello"),
        ("list of CL with a blank", vec!["Content-Length: 5, 5"], "hello"),
        ("empty CL", vec!["Content-Length: "], &body),
        ("hexadecimal CL", vec!["Content-Length: 0x5"], "hello"),
        ("CL of 2^64", vec!["Content-Length: 18446744073709551616"], "hello"),
        ("CL with letters", vec!["Content-Length: 5a"], "hello"),
        ("identity", vec!["Transfer-Encoding: identity"], &body),
        ("chunked, identity", vec!["Transfer-Encoding: chunked, identity"], &chunk),
        ("identity, chunked", vec!["Transfer-Encoding: identity, chunked"], &chunk),
        ("gzip, chunked", vec!["Transfer-Encoding: gzip, chunked"], &chunk),
        ("xchunked", vec!["Transfer-Encoding: xchunked"], &chunk),
        // A tab is white space like any other (RFC 9110 §5.6.3): what follows such a body is a request, so nothing does.
        ("tab before chunked", vec!["Transfer-Encoding:\tchunked"], "5\r\nhello\r\n0\r\n\r\n"),
        ("vertical tab", vec!["Transfer-Encoding: \x0bchunked"], &chunk),
        ("two TE", vec!["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], &chunk),
        ("twice chunked", vec!["Transfer-Encoding: chunked, chunked"], &chunk),
        ("quoted", vec!["Transfer-Encoding: \"chunked\""], &chunk),
        ("blank before the colon", vec!["Transfer-Encoding : chunked"], &chunk),
        ("blank before the colon of CL", vec!["Content-Length : 5"], "hello"),
        ("obs-fold", vec!["X-A: b", " Transfer-Encoding: chunked"], &chunk),
        ("bare CR", vec!["X-A: b\rTransfer-Encoding: chunked"], &chunk),
        ("NUL", vec!["X-A: b\0c"], ""),
        ("no colon", vec!["nonsense"], ""),
        ("bad chunk size", vec!["Transfer-Encoding: chunked"], "zz\r\nhello\r\n0\r\n\r\n"),
        ("overflowing chunk size", vec!["Transfer-Encoding: chunked"], "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("chunk longer than it says", vec!["Transfer-Encoding: chunked"], "3\r\nhello\r\n0\r\n\r\n"),
        ("signed chunk size", vec!["Transfer-Encoding: chunked"], "+5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let stage = Stage::new();
        let mut client = stage.connect();
        client.write(raw("POST /one HTTP/1.1", &lines, after));
        client.finish();
        let answer = client.read(false);
        assert!(matches!(answer.status, 0 | 200 | 400 | 502), "{what}: {answer:?}");
        // Whatever became of the first, nothing behind it is read as a request of its own.
        assert!(client.is_closed(), "{what}: the connection goes on");
        let seen = stage.upstream.seen();
        assert!(seen.len() <= 1, "{what}: {seen:#?}");
        for request in &seen {
            assert_eq!(request.line, "POST /one HTTP/1.1", "{what}");
            let framings = request.all("content-length").len() + request.all("transfer-encoding").len();
            assert_eq!(framings, 1, "{what}: {request:#?}");
            assert!(!String::from_utf8_lossy(&request.body).contains("smuggled"), "{what}: {request:#?}");
        }
        if answer.status == 400 {
            assert!(seen.is_empty(), "{what}: refused and sent on: {seen:#?}");
        }
    }
}

/// F1: framed twice is framed by chunks for us, and nothing is believed of what follows: the connection ends by our doing.
#[test]
fn f1_a_message_that_is_framed_twice_is_the_last_of_its_connection() {
    for lines in [
        ["Content-Length: 6", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 6"],
        ["Content-Length: 0", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: nonsense"],
    ] {
        let stage = Stage::new();
        let mut client = stage.connect();
        client.write(raw("POST /one HTTP/1.1", &lines, "0\r\n\r\n") + &raw("GET /smuggled HTTP/1.1", &[], ""));
        let answer = client.read(false);
        assert!(matches!(answer.status, 200 | 400), "{lines:?}: {answer:?}");
        assert!(client.is_closed(), "{lines:?}");
        let seen = stage.upstream.seen();
        assert!(seen.iter().all(|seen| seen.line == "POST /one HTTP/1.1" && seen.header("content-length").is_none()));
        assert_eq!(stage.log_of(1).len(), 1);
    }
}

/// F1: HTTP/1.0 knows no chunks.
#[test]
fn f1_chunks_on_http_1_0_are_refused() {
    let stage = Stage::new();
    let answer = stage.send(raw("POST / HTTP/1.0", &["Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"));
    assert_eq!(answer.status, 400);
    assert!(stage.upstream.seen().is_empty());
}

/// F1: what hyper refuses while parsing is logged and counted all the same, and the operator is told what it was.
#[test]
fn what_is_no_request_is_logged_and_counted() {
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "a".repeat(70_000));
    for (raw, status, code, reason) in [
        ("\x16\x03\x01\x02\0\x01\r\n\r\n", 400, "MALFORMED_REQUEST", "TLS"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, "MALFORMED_REQUEST", "HTTP/2"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400, "MALFORMED_REQUEST", "version"),
        ("GET /\\{ HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", 400, "MALFORMED_REQUEST", "header line"),
        ("GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "MALFORMED_REQUEST", "target"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "MALFORMED_REQUEST", "Content-Length"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 400, "MALFORMED_REQUEST", "Transfer-Encoding"),
        (&long, 431, "HEADERS_TOO_LARGE", "max_header_bytes"),
    ] {
        let stage = Stage::new();
        assert_eq!(stage.send(raw).status, status, "{raw:?}");
        let line = &stage.log_of(1)[0];
        assert_eq!(line["code"], code, "{raw:?}");
        assert!(line["reason"].as_str().is_some_and(|told| told.contains(reason)), "{raw:?}: {line}");
        let counted = format!("portcullis_requests_total{{outcome=\"error\",code=\"{code}\"}}");
        assert_eq!(stage.metric(&counted), 1.0, "{raw:?}");
    }
}

/// F2: an answer that is framed twice, or goes on after its end, is nobody's, and its connection is not used again.
#[test]
fn f2_doubtful_answers_are_not_passed_on_and_their_connection_is_dropped() {
    for (what, answer, expected) in [
        (
            "CL and TE",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            502,
        ),
        ("two CL", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 502),
        ("the same CL twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 502),
        ("a list of CL", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", 502),
        ("interim answers without end", &"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000), 502),
        ("gzip coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 502),
        ("no HTTP", "nonsense\r\n\r\n", 502),
        ("unasked 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502),
        (
            "more than promised",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            200,
        ),
    ] {
        let answer = answer.as_bytes().to_vec();
        let stage = Setting::new().set_before(Upstream::answering(move |_| answer.clone()));
        for _ in 0..2 {
            let got = stage.get("/", &[&format!("X-API-Key: {KEY_OPEN}")]);
            assert_eq!(got.status, expected, "{what}: {got:?}");
            assert!(!got.text().contains("evil"), "{what}");
        }
        let connections: Vec<usize> = stage.upstream.seen().iter().map(|seen| seen.connection).collect();
        assert!(connections.windows(2).all(|pair| pair[0] != pair[1]), "{what}: {connections:?}");
    }
}

/// F3: `h2c` is told to nobody, and an upgrade with a body is refused. `upgrades.rs` has what becomes a tunnel.
#[test]
fn f3_h2c_and_upgrades_with_a_body_are_no_upgrades() {
    let stage = Stage::new();
    let lines = ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"];
    let mut client = stage.connect();
    assert_eq!(client.send(raw("GET /up HTTP/1.1", &lines, "")).status, 200);
    let seen = stage.upstream.seen().pop().unwrap();
    for name in ["upgrade", "http2-settings"] {
        assert_eq!(seen.header(name), None, "{seen:#?}");
    }
    let lines = ["Upgrade: websocket", "Connection: Upgrade", "Content-Length: 5"];
    let mut client = stage.connect();
    assert_eq!(client.send(raw("POST /up HTTP/1.1", &lines, "hello")).outcome(), (400, "MALFORMED_REQUEST".into()));
    assert!(client.is_closed());
    assert_eq!(stage.upstream.seen().len(), 1);
}

/// F4: a path is forwarded as it was received where all readings select one route.
#[test]
fn f4_paths_are_forwarded_as_received_or_refused() {
    let stage =
        Setting::new().routes("[{ path: /a, upstream: api }, { path: /public, upstream: api, access: public }]").set();
    for path in
        ["/a/./b", "/a//b", "/a/b%2fc", "/a/x/../b", "/a/%2e/b", "/a;x=1/b", "/a/b\\c", "/a/%zz", "/a/b?x=/../y"]
    {
        let before = stage.upstream.seen().len();
        let answer = stage.send(raw(&format!("GET {path} HTTP/1.1"), &[], ""));
        match answer.status {
            200 => assert_eq!(stage.upstream.nth(before + 1).line, format!("GET {path} HTTP/1.1")),
            400 => assert_eq!(stage.upstream.seen().len(), before, "{path}"),
            other => panic!("{path}: {other}"),
        }
    }
    for path in [
        "/public/../a",
        "/public/%2e%2e/a",
        "/public/..%2fa",
        "/public/..;/a",
        "//public/../a",
        "/public/..\\a",
        "/public/%252e%252e/a",
        "/public/..%252fa",
        "/PUBLIC/../a",
    ] {
        let answer = stage.send(raw(&format!("GET {path} HTTP/1.1"), &[], ""));
        assert_eq!(answer.outcome(), (400, "AMBIGUOUS_PATH".into()), "{path}");
        // Without a credential nobody learns that there is anything to disagree about.
        let probe = stage.get(path, &[]);
        assert_eq!(probe.outcome(), (401, "CREDENTIALS_REQUIRED".into()), "{path}");
    }
    let before = stage.upstream.seen().len();
    let answer = stage.send(raw("GET /a#/../x HTTP/1.1", &[], ""));
    if answer.status == 200 {
        assert!(!stage.upstream.nth(before + 1).line.contains('#'));
    } else {
        assert_eq!((answer.status, stage.upstream.seen().len()), (400, before));
    }
}

/// F5: one host, said once, the same everywhere.
#[test]
fn f5_a_request_has_one_host() {
    let stage = Stage::new();
    let key = format!("X-API-Key: {KEY_OPEN}\r\n");
    for (what, raw) in [
        ("two", format!("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n{key}\r\n")),
        ("two equal", format!("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n{key}\r\n")),
        ("none", format!("GET / HTTP/1.1\r\n{key}\r\n")),
        ("empty", format!("GET / HTTP/1.1\r\nHost:\r\n{key}\r\n")),
        ("another in the target", format!("GET http://b/ HTTP/1.1\r\nHost: a\r\n{key}\r\n")),
        ("another port", format!("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n{key}\r\n")),
        ("user information", format!("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n{key}\r\n")),
        ("a path in it", format!("GET / HTTP/1.1\r\nHost: a/b\r\n{key}\r\n")),
        ("a list", format!("GET / HTTP/1.1\r\nHost: a, b\r\n{key}\r\n")),
        ("CONNECT", format!("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n{key}\r\n")),
    ] {
        let mut client = stage.connect();
        let answer = client.send(&raw);
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(client.is_closed(), "{what}");
    }
    assert!(stage.upstream.seen().is_empty());
    let answer = stage.send(format!("GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n{key}\r\n"));
    assert_eq!(answer.status, 200);
    let seen = stage.upstream.nth(1);
    assert_eq!((seen.line.as_str(), seen.header("host")), ("GET /x?y HTTP/1.1", Some("a.example")));
}

/// F8: the gateway's port has no pages of its own.
#[test]
fn f8_operators_pages_are_ordinary_paths_on_the_gateway() {
    let stage = Stage::new();
    for path in ["/metrics", "/livez", "/readyz", "/healthz", "/console", "/api/v1/orgs"] {
        assert_eq!(stage.get(path, &[]).outcome(), (401, "CREDENTIALS_REQUIRED".into()), "{path}");
    }
    assert!(stage.upstream.seen().is_empty());
    assert_eq!(stage.get("/metrics", &[&format!("X-API-Key: {KEY_OPEN}")]).text(), "hello");
}

/// F9: the body of a request that is refused is never asked for.
#[test]
fn f9_a_refused_request_is_refused_before_its_body() {
    let stage = Stage::new();
    let head = |key: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    };
    let refused: Answer = stage.connect().send(head("mcpvrzod.00000000-0000-4000-8000-000000000000"));
    assert_eq!(refused.outcome(), (401, "INVALID_CREDENTIALS".into()));
    // KEY's list has 127.0.0.1.
    let mut client = stage.connect();
    assert_eq!(client.send(head(KEY)).status, 100);
    assert_eq!(client.send("hello").status, 200);
    assert_eq!(stage.upstream.nth(1).body, b"hello");
}

/// F10: what was judged is what the upstream does.
#[test]
fn f10_nothing_names_another_request_than_the_one_that_was_judged() {
    let routes = "[{ path: /, upstream: api, methods: [GET, POST] }, { path: /admin, upstream: api }]";
    let stage = Setting::new().routes(routes).gateway("client_address: { trusted_proxies: [127.0.0.0/8] }").set();
    let targets = [
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "x_original_url: /admin",
        "X.Override-URL: /admin",
        "X-Script-Name: /x",
        "X-Host: other",
        "X-Original-Host: other",
        // Says nothing that the request does not say.
        "X-HTTP-Method-Override: post",
    ];
    let answer = stage.send(raw("POST /form HTTP/1.1", &targets, ""));
    assert_eq!(answer.status, 200);
    let seen = stage.upstream.nth(1);
    let passed = |seen: &str| targets.iter().any(|line| line.to_lowercase().starts_with(&format!("{seen}:")));
    assert!(seen.headers.iter().all(|(name, _)| !passed(name)), "{seen:#?}");
    for line in ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: PUT", "x_method_override: delete", "X-HTTP-Method: "]
    {
        let answer = stage.send(raw("POST /form HTTP/1.1", &[line], ""));
        assert_eq!(answer.outcome(), (400, "MALFORMED_REQUEST".into()), "{line}");
    }
    assert_eq!(stage.upstream.seen().len(), 1);
    // Who knows that it harms nothing says so.
    let stage = Setting::new().gateway("outbound: { overrides: true }").set();
    let lines = ["X-Original-URL: /other", "X-HTTP-Method-Override: DELETE"];
    assert_eq!(stage.send(raw("POST /form HTTP/1.1", &lines, "")).status, 200);
    let seen = stage.upstream.nth(1);
    assert_eq!(
        (seen.header("x-original-url"), seen.header("x-http-method-override")),
        (Some("/other"), Some("DELETE"))
    );
}

/// Bodies are streamed both ways: neither side waits for the other's end.
#[test]
fn bodies_are_streamed_both_ways() {
    let stage = Setting::new().set_before(Upstream::scripted(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        // The second half comes when the client has asked for it by closing its side: it must have seen the first.
        let mut gate = [0; 1];
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("the time is not zero");
        let _ = std::io::Read::read(stream, &mut gate);
        stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").is_ok()
    }));
    let mut client = stage.connect();
    client.write(raw("GET / HTTP/1.1", &[], ""));
    let begin = std::time::Instant::now();
    let mut first = Vec::new();
    while !first.ends_with(b"first\r\n") {
        let more = client.take(1);
        assert!(!more.is_empty());
        first.extend(more);
    }
    assert!(begin.elapsed() < Duration::from_millis(250), "the first part waited for the second");
    assert_eq!(client.take(9), b"6\r\nsecond");
}
