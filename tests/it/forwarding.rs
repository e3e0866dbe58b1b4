//! Forwarding: what passes between client and upstream, in which form, and when.
//!
//! Deadlines and failures are in `deadlines`, what the upstream is told in `told`, idle connections in `resting`.

mod deadlines;
mod resting;
mod told;

use std::sync::mpsc::Receiver;

use crate::stage::{Client, DEADLINE, KEY_OPEN, Setting, Stage, Upstream};

/// A request by `KEY_OPEN` with these lines after the request line, and what follows the head.
fn raw(start: &str, lines: &[&str], after: &str) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{start}\r\nHost: api.example.com\r\nX-API-Key: {KEY_OPEN}\r\n{lines}\r\n{after}")
}

/// The next connection that reaches an upstream played by hand.
fn accept(upstream: &Receiver<Client>) -> Client {
    upstream.recv_timeout(DEADLINE).expect("the gateway connects")
}

fn by_hand() -> (Stage, Receiver<Client>) {
    let (upstream, connections) = Upstream::by_hand();
    (Setting::new().set_before(upstream), connections)
}

/// The upstream has the first piece before the client sends the second, and the client the first piece of the answer before
/// there is a second.
#[test]
fn nothing_is_held_back_in_either_direction() {
    for (framing, first, second, end) in [
        ("Transfer-Encoding: chunked", "5\r\nfirst\r\n", "6\r\nsecond\r\n", "0\r\n\r\n"),
        ("Content-Length: 11", "first", "second", ""),
    ] {
        let (stage, connections) = by_hand();
        let mut client = stage.connect();
        client.write(raw("POST /up HTTP/1.1", &[framing], first));
        let mut upstream = accept(&connections);
        assert_eq!(upstream.head().unwrap().0, "POST /up HTTP/1.1");
        assert_eq!(upstream.take(first.len()), first.as_bytes());
        client.write(second);
        assert_eq!(upstream.take(second.len()), second.as_bytes());
        client.write(end);
        assert_eq!(upstream.take(end.len()), end.as_bytes());

        upstream.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{first}"));
        let (status, headers) = client.head().unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK");
        let framed = |(name, value): &(String, String)| framing.eq_ignore_ascii_case(&format!("{name}: {value}"));
        assert_eq!(headers.iter().filter(|field| framed(field)).count(), 1, "{headers:?}");
        assert_eq!(client.take(first.len()), first.as_bytes());
        upstream.write(format!("{second}{end}"));
        assert_eq!(client.take(second.len() + end.len()), format!("{second}{end}").as_bytes());
        // Both connections go on.
        client.write(raw("GET /next HTTP/1.1", &[], ""));
        assert_eq!(upstream.head().unwrap().0, "GET /next HTTP/1.1");
        let line = &stage.log_of(1)[0];
        assert_eq!((line["bytes_in"].as_u64(), line["bytes_out"].as_u64()), (Some(11), Some(11)), "{line}");
    }
}

/// Both directions at once: a conversation within one exchange.
#[test]
fn an_answer_may_begin_before_the_request_has_ended() {
    let (stage, connections) = by_hand();
    let mut client = stage.connect();
    client.write(raw("POST /talk HTTP/1.1", &["Transfer-Encoding: chunked"], "4\r\nping\r\n"));
    let mut upstream = accept(&connections);
    upstream.head().unwrap();
    assert_eq!(upstream.take(9), b"4\r\nping\r\n");
    upstream.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n");
    client.head().unwrap();
    assert_eq!(client.take(9), b"4\r\npong\r\n");
    for _ in 0..3 {
        client.write("5\r\nagain\r\n");
        assert_eq!(upstream.take(10), b"5\r\nagain\r\n");
        upstream.write("5\r\nagain\r\n");
        assert_eq!(client.take(10), b"5\r\nagain\r\n");
    }
    client.write("0\r\n\r\n");
    assert_eq!(upstream.take(5), b"0\r\n\r\n");
    upstream.write("0\r\n\r\n");
    assert_eq!(client.take(5), b"0\r\n\r\n");
    let line = &stage.log_of(1)[0];
    assert_eq!((line["bytes_in"].as_u64(), line["bytes_out"].as_u64()), (Some(19), Some(19)), "{line}");
}

#[test]
fn one_upstream_connection_serves_many_clients() {
    let stage = Stage::new();
    let mut client = stage.connect();
    for _ in 0..5 {
        assert_eq!(client.send(raw("GET / HTTP/1.1", &[], "")).status, 200);
        assert_eq!(stage.send(raw("PUT / HTTP/1.1", &["Content-Length: 3"], "abc")).status, 200);
    }
    // Pipelined requests are answered in their order.
    client.write(raw("GET /1 HTTP/1.1", &[], "") + &raw("GET /2 HTTP/1.1", &[], ""));
    assert_eq!((client.read(false).status, client.read(false).status), (200, 200));
    let seen = stage.upstream.seen();
    assert_eq!((seen[10].line.as_str(), seen[11].line.as_str()), ("GET /1 HTTP/1.1", "GET /2 HTTP/1.1"));
    assert!(seen.iter().all(|seen| seen.connection == 0), "{seen:#?}");
    assert_eq!(stage.metric("portcullis_upstream_connections_total{upstream=\"api\"}"), 1.0);
}

#[test]
fn a_connection_ends_where_the_client_or_the_upstream_asks() {
    let stage = Setting::new().set_before(Upstream::answering(|seen| {
        let close = if seen.line.contains("/close") { "Connection: close\r\n" } else { "" };
        format!("HTTP/1.1 200 OK\r\n{close}Keep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok").into()
    }));
    let mut client = stage.connect();
    let answer = client.send(raw("GET /close HTTP/1.1", &[], ""));
    assert_eq!((answer.header("connection"), answer.header("keep-alive")), (None, None), "that was the upstream's own");
    assert_eq!(client.send(raw("GET /kept HTTP/1.1", &[], "")).status, 200);
    let answer = client.send(raw("GET /kept HTTP/1.1", &["Connection: close"], ""));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
    let connections: Vec<_> = stage.upstream.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 1]);
}

#[test]
fn hop_by_hop_fields_end_here_in_both_directions() {
    let stage = Setting::new().set_before(Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop, keep-alive, content-length\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-End: 2\r\nSet-Cookie: a=1\r\n\
         Set-Cookie: b=2\r\n\r\nok"
            .into()
    }));
    let lines = [
        "Connection: X-Hop, close, host, content-length",
        "Connection: keep-alive, X-Other",
        "X-Hop: 1",
        "X-Other: 1",
        "Keep-Alive: 5",
        "Proxy-Connection: keep-alive",
        "TE: gzip",
        "X-End: 2",
        "Accept: a",
        "Accept: b",
        "Content-Length: 3",
    ];
    let answer = stage.send(raw("POST / HTTP/1.1", &lines, "abc"));
    let gone = ["x-hop", "keep-alive", "proxy-connection", "upgrade"];
    assert!(gone.iter().all(|name| answer.header(name).is_none()), "{answer:?}");
    assert_eq!((answer.header("x-end"), answer.header("content-length")), (Some("2"), Some("2")));
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    let seen = stage.upstream.nth(1);
    let gone = ["connection", "x-hop", "x-other", "keep-alive", "proxy-connection", "te"];
    assert!(gone.iter().all(|name| seen.header(name).is_none()), "{seen:#?}");
    assert_eq!(
        (seen.header("x-end"), seen.header("host"), &seen.body[..]),
        (Some("2"), Some("api.example.com"), &b"abc"[..])
    );
    assert_eq!(seen.all("accept"), ["a", "b"]);
}

#[test]
fn expect_is_answered_once_and_only_after_the_permit() {
    let stage = Stage::new();
    let expecting = ["Expect: 100-continue", "Content-Length: 5"];
    let mut client = stage.connect();
    client.write(raw("POST / HTTP/1.1", &expecting, ""));
    assert_eq!(client.head().unwrap().0, "HTTP/1.1 100 Continue");
    client.write("hello");
    assert_eq!(client.head().unwrap().0, "HTTP/1.1 200 OK");
    assert_eq!(client.take(5), b"hello");
    assert_eq!(stage.upstream.nth(1).body, b"hello");
    // Refused: the final answer comes first, the connection ends, and what the client sends all the same is no request.
    for (line, status) in
        [("X-API-Key: mcpvrzod.00000000-0000-4000-8000-000000000000", 401), ("Authorization: Basic !", 400)]
    {
        let mut client = stage.connect();
        client.write(format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n{}\r\n{}\r\n\r\n", expecting[0], expecting[1]));
        let (first, headers) = client.head().unwrap();
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{first}");
        assert!(headers.contains(&("connection".into(), "close".into())), "{headers:?}");
        client.write(raw("GET /smuggled HTTP/1.1", &[], ""));
        assert!(!client.rest().contains("HTTP/1.1"));
    }
    // An HTTP/1.0 client knows no interim answers (RFC 9110 §10.1.1).
    let mut client = stage.connect();
    client.write(raw("POST / HTTP/1.0", &expecting, "hello"));
    assert_eq!(client.head().unwrap().0.split(' ').nth(1), Some("200"));
    assert_eq!(stage.upstream.seen().len(), 2);
}

#[test]
fn interim_answers_do_not_disturb_the_final_one() {
    let stage = Setting::new().set_before(Upstream::answering(|_| {
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            .into()
    }));
    for _ in 0..2 {
        assert_eq!(stage.send(raw("GET / HTTP/1.1", &[], "")).text(), "ok");
    }
    assert_eq!(stage.upstream.nth(2).connection, 0);
}

#[test]
fn trailers_pass_where_they_are_announced_and_ours_never() {
    let stage = Setting::new().set_before(Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Portcullis-Org, Content-Length\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: 9\r\nX-Portcullis-Org: forged\r\nContent-Length: 7\r\n\r\n"
            .into()
    }));
    let names =
        ["X-Mine", "X-Portcullis-Org", "X_Portcullis_Roles", "X-API-Key", "Authorization", "X-Forwarded-For", "Host"];
    let announced = format!("Trailer: {}", names.join(", "));
    let trailers: String = names.iter().map(|name| format!("{name}: t\r\n")).collect();
    let lines = ["Transfer-Encoding: chunked", &announced, "TE: trailers", "Connection: te"];
    let mut client = stage.connect();
    let answer = client.send(raw("POST / HTTP/1.1", &lines, &format!("2\r\nhi\r\n0\r\n{trailers}\r\n")));
    assert_eq!(answer.trailers, [("x-sum".into(), "9".into())]);
    let seen = stage.upstream.nth(1);
    assert_eq!(seen.trailers, [("x-mine".into(), "t".into())]);
    assert_eq!((seen.header("te"), &seen.body[..]), (Some("trailers"), &b"hi"[..]));
    // A client that does not take trailers gets none, and the framing holds.
    assert!(client.send(raw("GET / HTTP/1.1", &[], "")).trailers.is_empty());
    assert_eq!(client.send(raw("GET / HTTP/1.1", &[], "")).text(), "hi");
}

#[test]
fn answers_without_a_body_are_framed_right() {
    let stage = Setting::new().set_before(Upstream::answering(|seen| {
        match seen.line.split(' ').nth(1) {
            Some("/204") => "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
            Some("/304") => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n",
            Some("/chunked") if seen.line.starts_with("HEAD") => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            }
            Some("/empty") => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        }
        .into()
    }));
    let mut client = stage.connect();
    for (start, status, length) in [
        ("HEAD /", 200, Some("5")),
        ("HEAD /chunked", 200, None),
        ("GET /204", 204, None),
        ("GET /304", 304, None),
        ("GET /empty", 200, Some("0")),
        ("HEAD /204", 204, None),
    ] {
        let answer = client.send(raw(&format!("{start} HTTP/1.1"), &[], ""));
        assert_eq!((answer.status, answer.header("content-length")), (status, length), "{start}: {answer:?}");
        assert!(answer.body.is_empty(), "{start}");
    }
    assert!(stage.upstream.seen().iter().all(|seen| seen.connection == 0));
    // A refusal of a HEAD says how long it would have been, and sends nothing.
    let answer = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.status, answer.body.len()), (401, 0));
    assert_eq!(client.send(raw("GET /204 HTTP/1.1", &[], "")).status, 204);
    let log = stage.log_of(8);
    assert!(log.iter().all(|line| line["bytes_out"] == 0), "{log:#?}");
}

/// An answer that says it has no body has none, whatever follows it.
#[test]
fn bytes_after_a_bodyless_answer_are_nobodys() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
    ] {
        let bytes = answer.as_bytes().to_vec();
        let stage = Setting::new().set_before(Upstream::answering(move |_| bytes.clone()));
        let mut client = stage.connect();
        for at in 1..=3 {
            let got = client.send(raw("GET / HTTP/1.1", &[], ""));
            assert!(matches!(got.status, 204 | 304 | 502), "{answer:?}: {got:?}");
            assert!(got.status == 502 || got.header("transfer-encoding").is_none(), "{answer:?}: {got:?}");
            assert!(got.status != 204 || got.header("content-length").is_none(), "{answer:?}: {got:?}");
            assert_eq!(stage.upstream.nth(at).connection, at - 1, "{answer:?}");
        }
    }
}

#[test]
fn targets_are_sent_on_in_origin_form() {
    let stage = Stage::new();
    for (target, sent) in [
        ("/a?b=c", Some("/a?b=c")),
        ("http://api.example.com/a?b", Some("/a?b")),
        ("https://API.EXAMPLE.COM/a", Some("/a")),
        ("http://api.example.com", Some("/")),
        ("http://api.example.com?q", Some("/?q")),
        ("/a?x=http://b/", Some("/a?x=http://b/")),
        ("/a#b", Some("/a")),
        ("http://api.example.com/a#b", Some("/a")),
        ("/%00", Some("/%00")),
        ("api.example.com:80", None),
        ("a", None),
        ("?q", None),
        ("*", None),
        ("ftp://api.example.com/a", None),
        ("//api.example.com/a", Some("//api.example.com/a")),
    ] {
        let before = stage.upstream.seen().len();
        let answer = stage.send(raw(&format!("GET {target} HTTP/1.1"), &[], ""));
        match sent {
            Some(sent) => {
                assert_eq!(answer.status, 200, "{target}");
                assert_eq!(stage.upstream.nth(before + 1).line, format!("GET {sent} HTTP/1.1"), "{target}");
            }
            None => assert_eq!((answer.status, stage.upstream.seen().len()), (400, before), "{target}: {answer:?}"),
        }
    }
    // `*` is the server as a whole: under `/` and under nothing else.
    let before = stage.upstream.seen().len();
    assert_eq!(stage.send(raw("OPTIONS * HTTP/1.1", &[], "")).status, 200);
    assert_eq!(stage.upstream.nth(before + 1).line, "OPTIONS * HTTP/1.1");
    let stage = Setting::new().routes("[{ path: /a, upstream: api }]").set();
    assert_eq!(stage.send(raw("OPTIONS * HTTP/1.1", &[], "")).outcome(), (404, "ROUTE_NOT_FOUND".into()));
}

#[test]
fn http_1_0_clients_are_served() {
    let stage = Setting::new().set_before(Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_vec()
    }));
    let mut client = stage.connect();
    let answer = client.send(raw("GET /old HTTP/1.0", &[], ""));
    assert_eq!((answer.header("transfer-encoding"), answer.text().as_str()), (None, "hi"));
    assert!(client.is_closed());
    let seen = stage.upstream.nth(1);
    assert_eq!(seen.line, "GET /old HTTP/1.1", "the upstream's side is ours");
    // It need not say a host; the upstream is told one.
    let answer = stage.send(format!("GET /older HTTP/1.0\r\nX-API-Key: {KEY_OPEN}\r\n\r\n"));
    assert_eq!(answer.text(), "hi");
    assert_eq!(stage.upstream.nth(2).header("host"), Some(stage.upstream.address().to_string().as_str()));
    let answer = stage.send(format!("GET http://a/ HTTP/1.0\r\nX-API-Key: {KEY_OPEN}\r\n\r\n"));
    assert_eq!(answer.status, 400, "a host in the target alone is not taken");
}

#[test]
fn an_upstream_of_http_1_0_ends_its_answer_by_closing() {
    let stage = Setting::new().set_before(Upstream::scripted(|_, stream| {
        let _ = std::io::Write::write_all(stream, b"HTTP/1.0 200 OK\r\n\r\nuntil the end");
        false
    }));
    let mut client = stage.connect();
    for _ in 0..2 {
        let answer = client.send(raw("GET / HTTP/1.1", &[], ""));
        assert_eq!((answer.header("transfer-encoding"), answer.text().as_str()), (Some("chunked"), "until the end"));
    }
}

/// `max_header_bytes` counts the request line, all fields and the empty line.
#[test]
fn heads_pass_up_to_the_limit_and_not_beyond() {
    let stage = Setting::new().gateway("limits: { max_header_bytes: 16KiB, max_headers: 20 }").set();
    let head = |bytes: usize| {
        let bare = raw("GET / HTTP/1.1", &["X-Pad: "], "").len();
        raw("GET / HTTP/1.1", &[&format!("X-Pad: {}", "a".repeat(bytes - bare))], "")
    };
    assert_eq!(stage.send(head(16 * 1024)).status, 200);
    assert_eq!(stage.upstream.nth(1).header("x-pad").unwrap().len() / 1024, 15);
    let mut client = stage.connect();
    assert_eq!(client.send(head(16 * 1024 + 1)).status, 431);
    assert!(client.is_closed());
    assert_eq!(stage.send(format!("GET / HTTP/1.1\r\nX-Endless: {}", "a".repeat(70_000))).status, 431);
    let fields = |count: usize| {
        let pad: Vec<String> = (0..count - 2).map(|at| format!("X-{at}: a")).collect();
        raw("GET / HTTP/1.1", &pad.iter().map(String::as_str).collect::<Vec<_>>(), "")
    };
    assert_eq!(stage.send(fields(20)).status, 200);
    assert_eq!(stage.send(fields(21)).status, 431);
    assert_eq!(stage.send(raw(&format!("GET /{} HTTP/1.1", "a".repeat(17_000)), &[], "")).status, 431);
    let codes: Vec<_> = stage.log_of(6).iter().map(|line| line["code"].as_str().unwrap_or("OK").to_owned()).collect();
    assert_eq!(codes.iter().filter(|code| *code == "HEADERS_TOO_LARGE").count(), 4);
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"error\",code=\"HEADERS_TOO_LARGE\"}"), 4.0);

    // A target beyond what can be represented, where the head may be larger than that.
    let stage = Setting::new().gateway("limits: { max_header_bytes: 256KiB }").set();
    assert_eq!(stage.send(raw(&format!("GET /{} HTTP/1.1", "a".repeat(65_000)), &[], "")).status, 200);
    assert_eq!(stage.send(raw(&format!("GET /{} HTTP/1.1", "a".repeat(65_600)), &[], "")).status, 414);
    assert_eq!(stage.log_of(2)[1]["code"], "URI_TOO_LONG");
}

#[test]
fn bodies_pass_up_to_the_limit_and_not_beyond() {
    let stage = Setting::new().gateway("limits: { max_body_bytes: 10B }").set();
    let ten = "0123456789";
    assert_eq!(stage.send(raw("POST / HTTP/1.1", &["Content-Length: 10"], ten)).status, 200);
    let chunked = ["Transfer-Encoding: chunked"];
    assert_eq!(stage.send(raw("POST / HTTP/1.1", &chunked, &format!("a\r\n{ten}\r\n0\r\n\r\n"))).status, 200);
    // Announced: refused before the upstream hears of it, and before the body is asked for.
    let announced = stage.send(raw("POST / HTTP/1.1", &["Content-Length: 11", "Expect: 100-continue"], ""));
    assert_eq!(announced.outcome(), (413, "CONTENT_TOO_LARGE".into()));
    let huge = stage.send(raw("POST / HTTP/1.1", &["Content-Length: 18446744073709551000"], "a"));
    assert_eq!(huge.outcome(), (413, "CONTENT_TOO_LARGE".into()));
    assert_eq!(stage.upstream.seen().len(), 2);
    let mut client = stage.connect();
    let grown = client.send(raw("POST / HTTP/1.1", &chunked, &format!("a\r\n{ten}\r\n1\r\nx\r\n0\r\n\r\n")));
    assert_eq!(grown.outcome(), (413, "CONTENT_TOO_LARGE".into()));
    assert!(client.is_closed());
    assert_eq!(stage.upstream.seen().len(), 2, "half a body is no request");
    stage.log_of(5);
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"error\",code=\"CONTENT_TOO_LARGE\"}"), 3.0);
    assert_eq!(stage.metric("portcullis_upstream_failures_total{upstream=\"api\"}"), 0.0, "it was the client");
}
