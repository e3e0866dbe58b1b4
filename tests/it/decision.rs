//! decision.md §2 through real sockets: the table, the switch in its three positions, the order of the steps, and what a
//! route may ask for.

use crate::stage::{ACME, Answer, KEY, KEY_DISABLED, KEY_OPEN, OPEN, Setting, Stage, directory, sha256};

const IP: (u16, &str) = (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST");
const ORG: (u16, &str) = (403, "ORG_REQUIRES_ACCESS_LIST");
const RESOURCE: (u16, &str) = (403, "RESOURCE_REQUIRES_ACCESS_LIST");
const NOT_HERE: (u16, &str) = (403, "ORG_NOT_ALLOWED_ON_ROUTE");
const INVALID: (u16, &str) = (401, "INVALID_CREDENTIALS");
const REQUIRED: (u16, &str) = (401, "CREDENTIALS_REQUIRED");
const NOWHERE: (u16, &str) = (404, "ROUTE_NOT_FOUND");
const MALFORMED: (u16, &str) = (400, "MALFORMED_REQUEST");
const TWO_WAYS: (u16, &str) = (400, "AMBIGUOUS_PATH");
const ALLOWED: (u16, &str) = (200, "");

const ON_THE_LIST: &str = "192.0.2.9";
const ELSEWHERE: &str = "203.0.113.9";

/// Keys by the kind of their list.
const KINDS: [(&str, &str); 5] = [
    ("empty", ""),
    ("one", "access_list: [192.0.2.0/24]"),
    ("expired", "access_list: [{ cidr: 192.0.2.0/24, expires_at: 2026-01-01T00:00:00Z }]"),
    ("expired within a live one", "access_list: [{ cidr: 192.0.2.9, expires_at: 2026-01-01T00:00:00Z }, 192.0.2.0/24]"),
    ("reporting", "enforcement: report, access_list: [192.0.2.0/24]"),
];

fn key(kind: usize) -> String {
    format!("a-key-with-a-list-of-kind-{kind}")
}

/// One organization with the switch as given, and a key of each kind.
fn switched(switch: &str) -> String {
    let mut text =
        format!("organizations:\n  - id: {ACME}\n    name: acme\n    require_access_list: {switch}\n    api_keys:\n");
    for (at, (_, list)) in KINDS.iter().enumerate() {
        let comma = if list.is_empty() { "" } else { ", " };
        text += &format!(
            "      - {{ id: 5f00000000000000000001{at:02}, secret_sha256: \"{}\"{comma}{list} }}\n",
            sha256(&key(at))
        );
    }
    text
}

fn setting() -> Setting {
    Setting::new().gateway("client_address: { trusted_proxies: [127.0.0.1] }")
}

fn call(stage: &Stage, method: &str, path: &str, lines: &[String]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    stage.send(format!("{method} {path} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n"))
}

fn from(client: &str, key: &str) -> Vec<String> {
    vec![format!("X-API-Key: {key}"), format!("X-Forwarded-For: {client}")]
}

#[track_caller]
fn expect(stage: &Stage, row: &str, method: &str, path: &str, lines: &[String], expected: (u16, &str)) -> Answer {
    let before = stage.upstream.seen().len();
    let answer = call(stage, method, path, lines);
    assert_eq!(answer.outcome(), (expected.0, expected.1.to_owned()), "{row}");
    assert_eq!(stage.upstream.seen().len() - before, usize::from(expected.0 == 200), "{row}");
    answer
}

#[test]
fn the_table_with_the_switch_in_three_positions() {
    let routes = "[{ path: /, upstream: api }, { path: /strict, require_access_list: true, upstream: api }]";
    for switch in ["false", "report", "true"] {
        let stage = setting().routes(routes).directory(&switched(switch)).set();
        let empty = |off, report, on| match switch {
            "false" => (off, None),
            "report" => (report, Some(ORG.1)),
            _ => (on, None),
        };
        let mut would_deny = [0.0; 2];
        for (at, (kind, _)) in KINDS.iter().enumerate() {
            for client in [ON_THE_LIST, ELSEWHERE] {
                for path in ["/", "/strict"] {
                    let (expected, reported) = match (*kind, client, path) {
                        ("empty", _, "/") => empty(ALLOWED, ALLOWED, ORG),
                        ("empty", _, _) => empty(RESOURCE, RESOURCE, ORG),
                        ("one" | "expired within a live one", ON_THE_LIST, _) => (ALLOWED, None),
                        ("one" | "expired within a live one" | "expired", _, _) => (IP, None),
                        ("reporting", ON_THE_LIST, _) => (ALLOWED, None),
                        _ => (ALLOWED, Some(IP.1)),
                    };
                    let row = format!("switch {switch}, list {kind}, {client}, {path}");
                    let before = stage.log().len();
                    let answer = expect(&stage, &row, "GET", path, &from(client, &key(at)), expected);
                    let line = stage.log_of(before + 1).pop().unwrap();
                    match (expected, reported) {
                        (ALLOWED, Some(code)) => {
                            assert_eq!(
                                (&line["outcome"], &line["code"]),
                                (&"would_deny".into(), &code.into()),
                                "{row}"
                            );
                            would_deny[usize::from(code == IP.1)] += 1.0;
                        }
                        (ALLOWED, None) => assert_eq!(line["outcome"], "allow", "{row}"),
                        _ => {
                            assert_eq!(
                                (&line["outcome"], &line["code"]),
                                (&"deny".into(), &expected.1.into()),
                                "{row}"
                            );
                            // Existing clients read their own address from it.
                            if expected != RESOURCE {
                                assert_eq!(answer.json()["parameters"], serde_json::json!([client]), "{row}");
                                assert!(answer.json()["detail"].as_str().unwrap().contains(client), "{row}");
                            }
                        }
                    }
                    assert_eq!(line["credential.id"], format!("5f00000000000000000001{at:02}"), "{row}");
                    assert_eq!(line["org.id"], ACME, "{row}");
                }
            }
        }
        for (code, count) in [ORG.1, IP.1].into_iter().zip(would_deny) {
            let name = format!("portcullis_requests_total{{outcome=\"would_deny\",code=\"{code}\"}}");
            assert_eq!(stage.metric(&name), count, "switch {switch}: {name}");
        }
        // Report never loosens authentication.
        let row = format!("switch {switch}");
        expect(&stage, &row, "GET", "/", &from(ON_THE_LIST, "no-such-key-anywhere"), INVALID);
        expect(&stage, &row, "GET", "/", &[], REQUIRED);
    }
}

#[test]
fn an_entry_ends_by_the_clock_alone_and_the_list_stays_one() {
    let list = "access_list: [{ cidr: 192.0.2.0/24, expires_at: 2026-11-23T00:01:00Z }]";
    let text = format!(
        "organizations:\n  - id: {OPEN}\n    name: open\n    require_access_list: false\n    api_keys:\n      \
         - {{ id: 5f0000000000000000000100, secret_sha256: \"{}\", {list} }}\n",
        sha256(KEY_OPEN)
    );
    let stage = setting().directory(&text).set();
    for (seconds, expected) in [(0, ALLOWED), (59, ALLOWED), (60, IP), (61, IP), (1_000_000, IP)] {
        stage.clock.set(portcullis::clock::Timestamp::from_unix_seconds(crate::stage::START.unix_seconds() + seconds));
        expect(&stage, &format!("after {seconds} s"), "GET", "/", &from(ON_THE_LIST, KEY_OPEN), expected);
    }
}

/// Routes of every kind. `/none` is not there.
const ROUTES: &str = "[
    { path: /api, upstream: api },
    { path: /open, access: public, upstream: api },
    { path: /acme, organizations: [5f0000000000000000000001], upstream: api },
    { path: /both, organizations: [5f0000000000000000000001, 5f0000000000000000000002], upstream: api },
    { path: /strict, require_access_list: true, upstream: api },
    { path: /cors, preflight: pass, upstream: api },
    { path: /nocors, preflight: require, upstream: api },
    { path: /read, methods: [GET], upstream: api },
    { path: /read, methods: [POST], access: public, upstream: api },
    { host: admin.example.com, path: /, organizations: [5f0000000000000000000001], upstream: api }]";

#[test]
fn what_a_route_asks_for() {
    let stage = setting().routes(&ROUTES.replace('\n', " ")).set();
    let nobody: Vec<String> = vec!["X-Forwarded-For: 192.0.2.9".into()];
    let (acme, open, wrong) =
        (from(ON_THE_LIST, KEY), from(ELSEWHERE, KEY_OPEN), from(ELSEWHERE, "wrong-wrong-wrong-wrong"));
    let acme_elsewhere = from(ELSEWHERE, KEY);
    let preflight: Vec<String> = vec!["Origin: https://a".into(), "Access-Control-Request-Method: POST".into()];
    let half: Vec<String> = vec!["Origin: https://a".into()];
    let with = |one: &[String], other: &[String]| [one, other].concat();
    for (row, method, path, lines, expected) in [
        ("required", "GET", "/api", &nobody, REQUIRED),
        ("required", "GET", "/api", &open, ALLOWED),
        ("public", "GET", "/open", &nobody, ALLOWED),
        ("public reads no credential", "GET", "/open/x", &wrong, ALLOWED),
        ("organizations", "GET", "/acme", &acme, ALLOWED),
        ("organizations", "GET", "/acme", &open, NOT_HERE),
        ("organizations, after the list", "GET", "/acme", &acme_elsewhere, IP),
        ("organizations, after the proof", "GET", "/acme", &wrong, INVALID),
        ("organizations", "GET", "/both", &open, ALLOWED),
        ("strict", "GET", "/strict", &open, RESOURCE),
        ("strict", "GET", "/strict", &acme, ALLOWED),
        ("methods", "GET", "/read", &nobody, REQUIRED),
        ("methods", "POST", "/read", &nobody, ALLOWED),
        ("methods: no such one", "PUT", "/read", &open, NOWHERE),
        ("methods are told apart by case", "post", "/read", &nobody, REQUIRED),
        ("another method", "GET", "/read", &with(&nobody, &["X-HTTP-Method-Override: POST".into()]), MALFORMED),
        ("preflight", "OPTIONS", "/cors", &preflight, ALLOWED),
        ("preflight with a wrong key", "OPTIONS", "/cors", &with(&wrong, &preflight), ALLOWED),
        ("not quite a preflight", "OPTIONS", "/cors", &half, REQUIRED),
        ("not quite a preflight", "GET", "/cors", &preflight, REQUIRED),
        ("not quite a preflight", "OPTIONS", "/cors", &nobody, REQUIRED),
        ("preflight is a request like any other", "OPTIONS", "/nocors", &preflight, REQUIRED),
        ("by default too", "OPTIONS", "/api", &preflight, REQUIRED),
        ("preflight with a key", "OPTIONS", "/nocors", &with(&open, &preflight), ALLOWED),
        ("preflight where nothing is", "OPTIONS", "/none", &preflight, REQUIRED),
        // No probing: what is not there looks like what is, to whoever has no credential.
        ("no route", "GET", "/none", &nobody, REQUIRED),
        ("no route", "GET", "/none", &wrong, INVALID),
        ("no route", "GET", "/none", &from(ELSEWHERE, KEY_DISABLED), INVALID),
        ("no route, after the list", "GET", "/none", &acme_elsewhere, IP),
        ("no route", "GET", "/none", &open, NOWHERE),
        ("no route", "GET", "/", &acme, NOWHERE),
        ("no route", "OPTIONS", "*", &open, NOWHERE),
        ("whole segments", "GET", "/apix", &open, NOWHERE),
        ("case", "GET", "/API", &open, NOWHERE),
        ("two ways", "GET", "/open/../api", &nobody, REQUIRED),
        ("two ways", "GET", "/open/%2e%2e/api", &nobody, REQUIRED),
        ("two ways", "GET", "/open/../api", &wrong, INVALID),
        ("two ways", "GET", "/open/../api", &acme_elsewhere, IP),
        ("two ways", "GET", "/open/../api", &open, TWO_WAYS),
    ] {
        let answer = expect(&stage, &format!("{row}: {method} {path}"), method, path, lines, expected);
        if expected == ALLOWED && (path.starts_with("/open") || method == "OPTIONS" && path == "/cors") {
            let seen = stage.upstream.seen().pop().unwrap();
            let identity = ["x-portcullis-org", "x-portcullis-credential", "x-portcullis-roles", "x-api-key"];
            assert!(identity.iter().all(|name| seen.header(name).is_none()), "{row}: {seen:?}");
        }
        let _ = answer;
    }
    // To a stranger, a route that is there and one that is not give the same answer.
    let body = |path: &str| {
        let mut body = call(&stage, "GET", path, &nobody).json();
        body["requestId"] = serde_json::Value::Null;
        body
    };
    for path in ["/none", "/acme", "/strict", "/open/../api", "/open/..%2fapi", "/cors", "/"] {
        assert_eq!(body(path), body("/api"), "{path}");
    }
}

#[test]
fn gateway_and_upstream_read_one_path() {
    let stage = setting().routes(&ROUTES.replace('\n', " ")).set();
    let acme = from(ON_THE_LIST, KEY_OPEN);
    for path in [
        "/open/../acme",
        "/open/..",
        "/open/./../acme",
        "/open/%2e%2e/acme",
        "/open/%2E./acme",
        "/open/.%2e/acme",
        "/open/..%2facme",
        "/open%2f../acme",
        "/open/..%5cacme",
        "/open\\..\\acme",
        "/open/..;/acme",
        "/open/..;a=b/acme",
        "/open/x;%2fy/%2e%2e/%2e%2e/acme",
        "/open/x%2fy/%2e%2e/%2e%2e/acme",
        "/open/x%2fy/../%2e%2e/acme",
        "/open/x%5cy/%2e%2e/%2e%2e/acme",
        "/open/x%2fy/%2e%2e/..%2facme",
        "//acme",
        "/.//acme",
        "/x/..//acme",
        "/%61cme",
        "/acme%2f",
        "/acme;x",
        "/acme%3bx",
        "/acme%2f..%2fopen",
        "/api/../acme",
    ] {
        for (target, query) in [
            (path.to_owned(), false),
            (format!("{path}?a=/open"), true),
            (format!("http://api.example.com{path}"), false),
        ] {
            let answer = call(&stage, "GET", &target, &acme);
            let outcome = answer.outcome();
            assert!(outcome == (400, TWO_WAYS.1.to_owned()) || outcome.0 == 404, "{target} ({query}): {outcome:?}");
        }
    }
    assert!(stage.upstream.seen().is_empty(), "{:?}", stage.upstream.seen());
    // Where every reading selects one route, the upstream gets the very bytes.
    for path in [
        "/api//a",
        "/api/./a",
        "/api/a%2Fb",
        "/api/a;b=1/c",
        "/api/x/../y",
        "/api/%41%2e",
        "/api/a?b=../..",
        "/api/\\",
        "/api/%",
    ] {
        expect(&stage, path, "GET", path, &acme, ALLOWED);
        assert_eq!(stage.upstream.seen().pop().unwrap().line, format!("GET {path} HTTP/1.1"), "{path}");
    }
}

#[test]
fn gateway_and_upstream_read_one_host() {
    let stage = setting().routes(&ROUTES.replace('\n', " ")).set();
    let lines = from(ELSEWHERE, KEY_OPEN).join("\r\n");
    let send = |target: &str, hosts: &str| stage.send(format!("GET {target} HTTP/1.1\r\n{hosts}{lines}\r\n\r\n"));
    for host in [
        "admin.example.com",
        "ADMIN.example.com",
        "admin.example.com:443",
        "admin.example.com.",
        "admin.example.com.:80",
        "admin.example.com:",
    ] {
        let answer = send("/api", &format!("Host: {host}\r\n"));
        assert_eq!(answer.outcome(), (NOT_HERE.0, NOT_HERE.1.into()), "{host}");
    }
    for (target, hosts) in [
        ("/api", "Host: api.example.com\r\nHost: admin.example.com\r\n"),
        ("/api", ""),
        ("/api", "Host:\r\n"),
        ("/api", "Host: api.example.com, admin.example.com\r\n"),
        ("/api", "Host: api.example.com admin.example.com\r\n"),
        ("/api", "Host: api.example.com:80.admin.example.com\r\n"),
        ("/api", "Host: api.example.com:80:admin.example.com\r\n"),
        ("/api", "Host: api@admin.example.com\r\n"),
        ("/api", "Host: admin.example.com/x\r\n"),
        ("/api", "Host: [admin.example.com]\r\n"),
        ("/api", "Host: %61dmin.example.com\r\n"),
        ("/api", "Host: admin.example.com\\.example.com\r\n"),
        ("http://api.example.com/api", "Host: admin.example.com\r\n"),
        ("http://admin.example.com/api", "Host: api.example.com\r\n"),
        ("http://x@api.example.com/api", "Host: api.example.com\r\n"),
    ] {
        let answer = send(target, hosts);
        assert_eq!(answer.status, 400, "{target} {hosts}");
    }
    assert!(stage.upstream.seen().is_empty(), "{:?}", stage.upstream.seen());
    let answer = send("http://api.example.com/api", "Host: api.example.com\r\nX-Forwarded-Host: admin.example.com\r\n");
    assert_eq!(answer.status, 200);
    let seen = stage.upstream.seen().pop().unwrap();
    assert_eq!((seen.line.as_str(), seen.header("host")), ("GET /api HTTP/1.1", Some("api.example.com")));
}

#[test]
fn a_switch_that_is_flipped_decides_the_next_request() {
    let stage = setting().set();
    let mut connection = stage.connect();
    let request =
        format!("GET / HTTP/1.1\r\nHost: api.example.com\r\n{}\r\n\r\n", from(ELSEWHERE, KEY_OPEN).join("\r\n"));
    assert_eq!(connection.send(&request).status, 200);
    stage.replace("directory.yaml", directory().replace("require_access_list: false", "require_access_list: true"));
    stage.wait_for_revision(2.0);
    assert_eq!(connection.send(&request).outcome(), (403, ORG.1.into()));
    stage.replace("directory.yaml", directory().replace("require_access_list: false", "require_access_list: report"));
    stage.wait_for_revision(3.0);
    assert_eq!(connection.send(&request).status, 200);
    assert_eq!(stage.log_of(3)[2]["outcome"], "would_deny");
}
