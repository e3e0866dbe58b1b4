//! threats.md C1–C9 and C12 through real sockets: what a client writes never becomes its address, and the upstream is told the
//! very address that the decision was made on.
//!
//! The PROXY protocol (C10, C11) has a module of its own.

mod proxy_protocol;

use std::net::IpAddr;
use std::time::Instant;

use crate::programs::{PORTCULLIS, output};
use crate::stage::{Answer, Client, KEY, KEY_OPEN, Seen, Setting, Stage, wait_for};

/// What a row expects: the client address and the whole `X-Forwarded-For` that the upstream gets, or no address at all.
type Expected<'t> = Result<(&'t str, &'t str), ()>;

/// A row: threat, header lines, expectation.
type Row<'t> = (&'t str, &'t [&'t str], Expected<'t>);

const UNRESOLVED: Expected<'static> = Err(());

fn behind(rule: &str) -> Stage {
    Setting::new().gateway(&format!("client_address: {rule}")).gateway("outbound: { forwarded: true }").set()
}

/// Sends `GET /` with these lines from an address of the loopback.
fn get_from(stage: &Stage, from: &str, lines: &[&str]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let from: IpAddr = from.parse().unwrap();
    Client::connect_from(from, stage.gateway())
        .send(format!("GET / HTTP/1.1\r\nHost: api.example.com\r\nX-API-Key: {KEY_OPEN}\r\n{lines}\r\n"))
}

/// What names an address, and must be nobody's but the gateway's own.
#[track_caller]
fn speaks_for_us_alone(seen: &Seen, client: &str, chain: &str, row: &str) {
    assert_eq!(seen.all("x-portcullis-client-address"), [client], "{row}");
    assert_eq!(seen.all("x-forwarded-for"), [chain], "{row}");
    let forwarded = seen.all("forwarded");
    assert_eq!(forwarded.len(), 1, "{row}");
    let nodes: Vec<String> = chain
        .split(", ")
        .map(|hop| if hop.contains(':') { format!("for=\"[{hop}]\"") } else { format!("for={hop}") })
        .collect();
    assert_eq!(forwarded, [format!("{};host=\"api.example.com\";proto=http", nodes.join(", "))], "{row}");
    let folded = |name: &str| name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let ours = ["x-forwarded-for", "x-portcullis-client-address", "x-real-ip", "true-client-ip", "cf-connecting-ip"];
    for (name, _) in &seen.headers {
        let other_spelling = ours.contains(&folded(name).as_str()) && folded(name) != *name;
        assert!(!other_spelling, "{row}: {name} reached the upstream");
    }
}

#[track_caller]
fn play(stage: &Stage, from: &str, rows: &[Row<'_>]) {
    for (threat, lines, expected) in rows {
        let row = format!("{threat}: {:.200}", format!("{lines:?}"));
        let before = (stage.upstream.seen().len(), stage.log().len());
        let answer = get_from(stage, from, lines);
        let logged = stage.log_of(before.1 + 1).pop().unwrap();
        match expected {
            Ok((client, chain)) => {
                assert_eq!(answer.status, 200, "{row}: {}", answer.text());
                speaks_for_us_alone(&stage.upstream.nth(before.0 + 1), client, chain, &row);
                assert_eq!(logged["client.address"], *client, "{row}");
            }
            Err(()) => {
                assert_eq!(answer.outcome(), (403, "CLIENT_ADDRESS_UNRESOLVED".into()), "{row}");
                assert_eq!(stage.upstream.seen().len(), before.0, "{row}");
                assert_eq!(logged["client.address"], serde_json::Value::Null, "{row}");
                assert_eq!(logged["client.source"], "header", "{row}");
                assert!(logged["reason"].is_string(), "{row}");
            }
        }
        assert_eq!(logged["peer.address"], from, "{row}");
    }
}

#[test]
fn c1_headers_of_a_peer_that_is_not_trusted_are_not_read() {
    let stage = behind("{ trusted_proxies: [127.0.0.1] }");
    let itself = Ok(("127.0.0.2", "127.0.0.2"));
    play(
        &stage,
        "127.0.0.2",
        &[
            ("C1", &[], itself),
            ("C1", &["X-Forwarded-For: 192.0.2.9"], itself),
            ("C1", &["X-Forwarded-For: 127.0.0.1"], itself),
            ("C1", &["X-Forwarded-For: 192.0.2.9, 127.0.0.1"], itself),
            ("C1", &["X-Forwarded-For: garbage"], itself),
            ("C1", &["X-Forwarded-For:"], itself),
            ("C1", &["X-Forwarded-For: 192.0.2.9", "X-Forwarded-For: 192.0.2.10"], itself),
            ("C1", &["Forwarded: for=192.0.2.9;by=127.0.0.1"], itself),
            ("C1", &["X-Real-IP: 192.0.2.9", "CF-Connecting-IP: 192.0.2.9", "True-Client-IP: 192.0.2.9"], itself),
            ("C1", &["X-Client-IP: 192.0.2.9", "X-Cluster-Client-IP: 192.0.2.9", "Client-IP: 192.0.2.9"], itself),
            ("C1", &["X-Portcullis-Client-Address: 192.0.2.9"], itself),
            ("C1", &["X-Forwarded-For: 192.0.2.9", "Connection: X-Forwarded-For"], itself),
            ("C1 H2", &["X_Forwarded_For: 192.0.2.9", "X.Forwarded.For: 192.0.2.9"], itself),
            ("C1 H2", &["X~Forwarded~For: 192.0.2.9", "X-Forwarded_For: 192.0.2.9"], itself),
            ("C1 H2", &["X_Portcullis_Client_Address: 192.0.2.9", "X!Portcullis!Client!Address: 192.0.2.9"], itself),
        ],
    );
    let foreign =
        ["x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "client-ip"];
    for seen in stage.upstream.seen() {
        assert!(seen.headers.iter().all(|(name, _)| !foreign.contains(&name.as_str())), "{seen:?}");
    }
    // The address that it names is on the list of this key; the one it comes from is not.
    let line = format!("X-API-Key: {KEY}");
    for forged in ["X-Forwarded-For: 192.0.2.9", "Forwarded: for=192.0.2.9", "X-Real-IP: 192.0.2.9"] {
        let request = format!("GET / HTTP/1.1\r\nHost: api.example.com\r\n{line}\r\n{forged}\r\n\r\n");
        let answer = Client::connect_from("127.0.0.2".parse().unwrap(), stage.gateway()).send(request);
        assert_eq!(answer.outcome(), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()), "C1: {forged}");
        assert_eq!(answer.json()["parameters"], serde_json::json!(["127.0.0.2"]), "C1: {forged}");
    }
}

#[test]
fn c1_scheme_and_host_are_believed_of_a_trusted_peer_alone() {
    let stage = behind("{ trusted_proxies: [127.0.0.1] }");
    let lines = ["X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example.com", "X-Forwarded-Prefix: /admin"];
    for (from, told) in [
        ("127.0.0.2", [Some("http"), Some("api.example.com"), None]),
        ("127.0.0.1", [Some("https"), Some("evil.example.com"), Some("/admin")]),
    ] {
        get_from(&stage, from, &lines);
        let seen = stage.upstream.seen().pop().unwrap();
        let names = ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"];
        assert_eq!(names.map(|name| seen.header(name)), told, "C1: from {from}");
    }
}

#[test]
fn c2_to_c6_the_walk_from_the_right() {
    let stage = behind("{ trusted_proxies: [127.0.0.1, 10.0.0.0/8, \"2001:db8:f::/48\"] }");
    let client = |address: &'static str, chain: &'static str| Ok((address, chain));
    play(
        &stage,
        "127.0.0.1",
        &[
            ("C2", &[], client("127.0.0.1", "127.0.0.1")),
            ("C2", &["X-Forwarded-For: 203.0.113.9"], client("203.0.113.9", "203.0.113.9, 127.0.0.1")),
            ("C2", &["X-Forwarded-For: 192.0.2.9, 203.0.113.9"], client("203.0.113.9", "203.0.113.9, 127.0.0.1")),
            ("C2", &["X-Forwarded-For: 10.0.0.1, 203.0.113.9"], client("203.0.113.9", "203.0.113.9, 127.0.0.1")),
            ("C2", &["X-Forwarded-For: evil, , 203.0.113.9"], client("203.0.113.9", "203.0.113.9, 127.0.0.1")),
            (
                "C2",
                &["X-Forwarded-For: 192.0.2.9, 203.0.113.9,\t10.1.2.3 ,10.1.2.4"],
                client("203.0.113.9", "203.0.113.9, 10.1.2.3, 10.1.2.4, 127.0.0.1"),
            ),
            (
                "C2",
                &["X-Forwarded-For: 203.0.113.9, 2001:DB8:F::0:1"],
                client("203.0.113.9", "203.0.113.9, 2001:db8:f::1, 127.0.0.1"),
            ),
            (
                "C3",
                &["X-Forwarded-For: 192.0.2.9", "X-Forwarded-For: 203.0.113.9"],
                client("203.0.113.9", "203.0.113.9, 127.0.0.1"),
            ),
            (
                "C3",
                &["X-Forwarded-For: 203.0.113.9, 10.0.0.3", "x-forwarded-for: 10.0.0.2"],
                client("203.0.113.9", "203.0.113.9, 10.0.0.3, 10.0.0.2, 127.0.0.1"),
            ),
            (
                "C3",
                &[
                    "X-Forwarded-For: 203.0.113.9",
                    "X-Other: 1",
                    "X-FORWARDED-FOR: 10.0.0.2",
                    "X-Forwarded-For: 10.0.0.1",
                ],
                client("203.0.113.9", "203.0.113.9, 10.0.0.2, 10.0.0.1, 127.0.0.1"),
            ),
            ("C3", &["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For:"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9, garbage"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.2"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9, _obf"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9,"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9,, 10.0.0.2"], UNRESOLVED),
            ("C4", &["X-Forwarded-For:"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: \t "], UNRESOLVED),
            ("C4", &["X-Forwarded-For: ,"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9; 10.0.0.2"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9 10.0.0.2"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 203.0.113.9, \u{ff11}.2.3.4"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: for=203.0.113.9"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: \"203.0.113.9\""], UNRESOLVED),
            ("C4", &["X-Forwarded-For: 0.0.0.0/0"], UNRESOLVED),
            ("C4", &["X-Forwarded-For: localhost"], UNRESOLVED),
            ("C5", &["X-Forwarded-For: 1.2.3.4:56"], client("1.2.3.4", "1.2.3.4, 127.0.0.1")),
            ("C5", &["X-Forwarded-For: [2001:db8::1]:443"], client("2001:db8::1", "2001:db8::1, 127.0.0.1")),
            ("C5", &["X-Forwarded-For: [2001:db8::1]"], client("2001:db8::1", "2001:db8::1, 127.0.0.1")),
            ("C5", &["X-Forwarded-For: 2001:db8::1:443"], client("2001:db8::1:443", "2001:db8::1:443, 127.0.0.1")),
            ("C5", &["X-Forwarded-For: 1.2.3.4:56, 10.0.0.7:80"], client("1.2.3.4", "1.2.3.4, 10.0.0.7, 127.0.0.1")),
            ("C5", &["X-Forwarded-For: 1.2.3.4:"], UNRESOLVED),
            ("C5", &["X-Forwarded-For: 1.2.3.4:65536"], UNRESOLVED),
            ("C5", &["X-Forwarded-For: 1.2.3.4:-1"], UNRESOLVED),
            ("C5", &["X-Forwarded-For: [1.2.3.4]:80"], UNRESOLVED),
            ("C5", &["X-Forwarded-For: [2001:db8::1"], UNRESOLVED),
            ("C5", &["X-Forwarded-For: [2001:db8::1]443"], UNRESOLVED),
            ("C5 I1", &["X-Forwarded-For: [::ffff:1.2.3.4]:443"], client("1.2.3.4", "1.2.3.4, 127.0.0.1")),
            (
                "C5 I1",
                &["X-Forwarded-For: 9.9.9.9, ::ffff:10.0.0.5"],
                client("9.9.9.9", "9.9.9.9, 10.0.0.5, 127.0.0.1"),
            ),
            // In the other family, the same bits are a stranger.
            ("I2", &["X-Forwarded-For: 9.9.9.9, ::a00:5"], client("::a00:5", "::a00:5, 127.0.0.1")),
        ],
    );
}

#[test]
fn c6_long_headers_are_refused_in_bounded_time() {
    let gateway = "limits: { max_header_bytes: 1MiB, max_headers: 1024 }\n\
                   client_address: { trusted_proxies: [127.0.0.1, 10.0.0.0/8] }";
    let stage = Setting::new().gateway(gateway).set();
    let lines = |text: &str, count| vec![format!("X-Forwarded-For: {text}"); count];
    for (row, lines) in [
        ("10 000 hops", lines(&vec!["10.0.0.2"; 10_000].join(","), 1)),
        ("10 000 hops behind a client", lines(&format!("203.0.113.9{}", ", 10.0.0.2".repeat(10_000)), 1)),
        ("64 KiB of one element", lines(&"1".repeat(64 * 1024), 1)),
        ("64 KiB of commas", lines(&",".repeat(64 * 1024), 1)),
        ("64 KiB left of a client", lines(&format!("{}, 203.0.113.9", "x".repeat(64 * 1024)), 1)),
        ("1 000 lines", lines("10.0.0.2", 1_000)),
        ("1 000 long lines", lines(&"10.0.0.2,".repeat(100), 1_000)),
    ] {
        let begun = Instant::now();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = get_from(&stage, "127.0.0.1", &lines);
        assert_eq!(answer.outcome(), (403, "CLIENT_ADDRESS_UNRESOLVED".into()), "C6: {row}");
        assert!(begun.elapsed().as_secs() < 5, "C6: {row} took {:?}", begun.elapsed());
    }
    // With the limits as they are by default, the head is refused before.
    let ordinary = behind("{ trusted_proxies: [127.0.0.1] }");
    let long = format!("X-Forwarded-For: {}", "1".repeat(80 * 1024));
    assert_eq!(get_from(&ordinary, "127.0.0.1", &[&long]).status, 431, "C6");
    assert!(ordinary.upstream.seen().is_empty() && stage.upstream.seen().is_empty());
}

#[test]
fn c7_a_trusted_set_of_everything_is_refused_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.yaml");
    let trusting = |networks: &str| format!("gateway:\n  client_address: {{ trusted_proxies: {networks} }}\n");
    let sending = |networks: &str| {
        format!("gateway:\n  listen: [{{ address: \"127.0.0.1:0\", proxy_protocol: {{ trusted: {networks} }} }}]\n")
    };
    for networks in [
        "[0.0.0.0/0]",
        "[\"::/0\"]",
        "[\"::ffff:0.0.0.0/96\"]",
        "[0.0.0.0/1, 128.0.0.0/1]",
        "[128.0.0.0/1, 10.0.0.0/8, 64.0.0.0/2, 0.0.0.0/2]",
        "[\"::/1\", \"8000::/1\"]",
    ] {
        for text in [trusting(networks), sending(networks)] {
            std::fs::write(&file, &text).unwrap();
            let output = output(std::process::Command::new(PORTCULLIS).arg("check").arg(&file));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(78), "C7: {text}{said}");
            assert!(said.contains("cover a whole address family"), "C7: {text}{said}");
        }
    }
    let spelled_out = "gateway:\n  client_address: { trusted_proxies: [0.0.0.0/0], allow_any_proxy: true }\n\
                       directory: { demonstration: true }\n";
    std::fs::write(&file, spelled_out).unwrap();
    let output = output(std::process::Command::new(PORTCULLIS).arg("check").arg(&file));
    assert_eq!(output.status.code(), Some(0), "C7: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn c7_a_reload_that_trusts_everything_is_refused_and_the_old_rule_stays() {
    let stage = behind("{ trusted_proxies: [127.0.0.1] }");
    let wide = stage.configuration().replace("[127.0.0.1]", "[0.0.0.0/0]");
    assert_ne!(wide, stage.configuration());
    stage.replace("portcullis.yaml", &wide);
    wait_for("the refusal", || stage.metric("portcullis_configuration_reload_failures_total") >= 1.0);
    play(&stage, "127.0.0.2", &[("C7", &["X-Forwarded-For: 192.0.2.9"], Ok(("127.0.0.2", "127.0.0.2")))]);
}

#[test]
fn c8_a_single_valued_header_holds_one_address() {
    let stage = behind("{ trusted_proxies: [127.0.0.1], header: cf-connecting-ip }");
    let client = Ok(("203.0.113.9", "203.0.113.9, 127.0.0.1"));
    play(
        &stage,
        "127.0.0.1",
        &[
            ("C8", &["CF-Connecting-IP: 203.0.113.9"], client),
            ("C8", &["CF-Connecting-IP: 203.0.113.9", "X-Forwarded-For: 192.0.2.9"], client),
            (
                "C8",
                &["CF-Connecting-IP: 203.0.113.9", "CF_Connecting_IP: 192.0.2.9", "Cf.Connecting-Ip: 192.0.2.9"],
                client,
            ),
            ("C8", &["CF-Connecting-IP: 203.0.113.9", "Connection: CF-Connecting-IP"], client),
            ("C8", &["CF-Connecting-IP: 203.0.113.9", "CF-Connecting-IP: 203.0.113.9"], UNRESOLVED),
            ("C8", &["CF-Connecting-IP: 192.0.2.9", "CF-Connecting-IP: 203.0.113.9"], UNRESOLVED),
            ("C8", &["CF-Connecting-IP: 192.0.2.9, 203.0.113.9"], UNRESOLVED),
            ("C8", &["CF-Connecting-IP: 203.0.113.9,"], UNRESOLVED),
            ("C8", &["CF-Connecting-IP: 203.0.113.9 192.0.2.9"], UNRESOLVED),
            ("C8", &["CF-Connecting-IP:"], UNRESOLVED),
            ("C8", &["CF-Connecting-IP: unknown"], UNRESOLVED),
            ("C8", &["CF_Connecting_IP: 203.0.113.9"], UNRESOLVED),
            ("C8", &["X-Forwarded-For: 203.0.113.9"], UNRESOLVED),
            ("C8", &[], UNRESOLVED),
        ],
    );
    play(&stage, "127.0.0.2", &[("C8 C1", &["CF-Connecting-IP: 192.0.2.9"], Ok(("127.0.0.2", "127.0.0.2")))]);
    assert_eq!(stage.upstream.seen().pop().unwrap().header("cf-connecting-ip"), None);
}

#[test]
fn c9_only_the_configured_header_is_read_and_the_other_is_gone() {
    let lines: &[&str] = &["X-Forwarded-For: 203.0.113.9", "Forwarded: for=198.51.100.7", "X-Real-IP: 192.0.2.9"];
    let (one, other) = (Ok(("203.0.113.9", "203.0.113.9, 127.0.0.1")), Ok(("198.51.100.7", "198.51.100.7, 127.0.0.1")));
    let peer = Ok(("127.0.0.1", "127.0.0.1"));
    let by_list = behind("{ trusted_proxies: [127.0.0.1] }");
    play(
        &by_list,
        "127.0.0.1",
        &[
            ("C9", lines, one),
            ("C9", &["Forwarded: for=198.51.100.7"], peer),
            ("C9", &["Forwarded: for=unknown", "X-Real-IP: garbage"], peer),
            ("C9", &["CF-Connecting-IP: 192.0.2.9", "True-Client-IP: 192.0.2.9"], peer),
        ],
    );
    let seen = by_list.upstream.seen().pop().unwrap();
    assert_eq!((seen.header("cf-connecting-ip"), seen.header("true-client-ip")), (None, None), "C9");

    let by_elements = behind("{ trusted_proxies: [127.0.0.1, 10.0.0.0/8], header: Forwarded }");
    let v6 = Ok(("2001:db8::1", "2001:db8::1, 127.0.0.1"));
    play(
        &by_elements,
        "127.0.0.1",
        &[
            ("C9", lines, other),
            ("C9", &["X-Forwarded-For: 203.0.113.9"], peer),
            ("C5", &["Forwarded: for=\"[2001:db8::1]:443\";proto=https"], v6),
            ("C5", &["Forwarded: proto=https; For=\"198.51.100.7:80\" ;by=\"_x\""], other),
            ("C2", &["Forwarded: for=192.0.2.9, for=198.51.100.7"], other),
            ("C3", &["Forwarded: for=192.0.2.9", "Forwarded: for=198.51.100.7"], other),
            ("C2", &["Forwarded: for=\"192.0.2.9, for=198.51.100.7"], other),
            ("C4", &["Forwarded: for=198.51.100.7, for=unknown"], UNRESOLVED),
            ("C4", &["Forwarded: for=198.51.100.7, for=_obf"], UNRESOLVED),
            ("C4", &["Forwarded: for=198.51.100.7, proto=https"], UNRESOLVED),
            ("C4", &["Forwarded: for=198.51.100.7;for=192.0.2.9"], UNRESOLVED),
            ("C4", &["Forwarded: for=198.51.100.7,"], UNRESOLVED),
            ("C4", &["Forwarded:"], UNRESOLVED),
            ("C4", &["Forwarded: 198.51.100.7"], UNRESOLVED),
            ("C4", &["Forwarded: for=\"198.51.100.7"], UNRESOLVED),
        ],
    );
}

#[test]
fn c12_a_client_inside_the_trusted_networks_does_not_choose() {
    let trusting = |hops: &str| behind(&format!("{{ trusted_proxies: [127.0.0.1, 10.0.0.0/8]{hops} }}"));
    let inside = Ok(("10.0.0.9", "10.0.0.9, 127.0.0.1"));
    play(
        &trusting(""),
        "127.0.0.1",
        &[
            ("C12", &["X-Forwarded-For: 10.0.0.9"], inside),
            ("C12", &["X-Forwarded-For: 10.0.0.66, 10.0.0.9"], UNRESOLVED),
            ("C12", &["X-Forwarded-For: 10.0.0.66", "X-Forwarded-For: 10.0.0.9"], UNRESOLVED),
            ("C12", &["X-Forwarded-For: 127.0.0.1, 127.0.0.1"], UNRESOLVED),
        ],
    );
    play(
        &trusting(", hops: 1"),
        "127.0.0.1",
        &[
            ("C12", &["X-Forwarded-For: 10.0.0.9"], inside),
            ("C12", &["X-Forwarded-For: 10.0.0.66, 10.0.0.9"], inside),
            ("C12", &["X-Forwarded-For: 192.0.2.9", "X-Forwarded-For: 10.0.0.9"], inside),
            ("C12", &["X-Forwarded-For: garbage, 10.0.0.9"], inside),
            ("C12", &["X-Forwarded-For: 10.0.0.9, garbage"], UNRESOLVED),
        ],
    );
    play(
        &trusting(", hops: 2"),
        "127.0.0.1",
        &[
            (
                "C12",
                &["X-Forwarded-For: 192.0.2.9, 10.0.0.9, 10.0.0.2"],
                Ok(("10.0.0.9", "10.0.0.9, 10.0.0.2, 127.0.0.1")),
            ),
            ("C12", &["X-Forwarded-For: 203.0.113.9"], Ok(("203.0.113.9", "203.0.113.9, 127.0.0.1"))),
        ],
    );
}

#[test]
fn c4_a_public_route_needs_an_address_too() {
    let stage = Setting::new()
        .gateway("client_address: { trusted_proxies: [127.0.0.1] }")
        .routes("[{ path: /, access: public, upstream: api }]")
        .set();
    let answer = stage.get("/", &["X-Forwarded-For: unknown"]);
    assert_eq!(answer.outcome(), (403, "CLIENT_ADDRESS_UNRESOLVED".into()), "C4");
    assert_eq!(stage.get("/", &["X-Forwarded-For: 203.0.113.9"]).status, 200, "C4");
}
