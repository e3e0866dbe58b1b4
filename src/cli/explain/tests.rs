//! What is told of requests that pass and that do not, and what never is.

use clap::Parser;

use super::*;
use crate::config::settings::CertifiedProxy;
use crate::gate::explain::{Report, explain};
use crate::gate::judge::tests::{EXPIRED, KEY, NOW, current};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: ExplainArgs,
}

fn parsed(line: &[&str]) -> ExplainArgs {
    Line::try_parse_from([&["explain"], line].concat()).unwrap().args
}

fn told(line: &[&str]) -> Report {
    let (args, current) = (parsed(line), current());
    explain(&current, &request(&args, &current.settings, NOW).unwrap())
}

/// Outcome, code, and each part has to stand somewhere in the text.
#[track_caller]
fn check(line: &[&str], outcome: &str, code: Option<&str>, parts: &[&str]) -> Report {
    let report = told(line);
    let text = report.to_string();
    assert_eq!((report.outcome, report.code), (outcome, code), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    let json = serde_json::to_string(&report).unwrap();
    for secret in [KEY, EXPIRED, "40395d07", "eyJ"] {
        assert!(!text.contains(secret) && !json.contains(secret), "{text}\n{json}");
    }
    report
}

#[test]
fn an_allowed_request() {
    let header = ["--header", "X-Forwarded-For: 198.51.100.1, 203.0.113.9", "-H", "x-forwarded-for: 10.0.0.2"];
    let line = [&["--peer", "10.0.0.1", "--key", KEY, "--path", "/api/x?q=1"][..], &header].concat();
    let report = check(
        &line,
        "allow",
        None,
        &[
            "10.0.0.1 is a trusted proxy",
            "10.0.0.2` is trusted proxy",
            "203.0.113.9` is the client",
            "203.0.113.9, from header",
            "matches route `/api`",
            "header key",
            "entry 203.0.113.0/24 admits",
        ],
    );
    let steps: Vec<_> = report.steps.iter().map(|line| line.step).collect();
    let expected = [
        "peer",
        "hop",
        "hop",
        "client address",
        "route",
        "claim",
        "proof",
        "credential",
        "organization",
        "access list",
    ];
    assert_eq!(steps, expected);
    assert_eq!(report.entry.as_deref(), Some("203.0.113.0/24"));
}

#[test]
fn refused_requests() {
    let not_listed = Some("IP_ADDRESS_NOT_ON_ACCESS_LIST");
    check(
        &["--peer", "203.0.112.9", "--key", KEY, "--path", "/api"],
        "deny",
        not_listed,
        &["203.0.113.0/24 comes nearest", "add 203.0.112.9/32", "5f0000000000000000000002"],
    );
    check(
        &["--peer", "2001:db8::9", "--key", KEY, "--path", "/api"],
        "deny",
        not_listed,
        &["none is of its family", "2001:db8::9/128"],
    );
    check(
        &["--peer", "203.0.113.9", "--path", "/api"],
        "deny",
        Some("CREDENTIALS_REQUIRED"),
        &["a key in `x-api-key`"],
    );
    check(
        &["--peer", "203.0.113.9", "--key", EXPIRED, "--path", "/api"],
        "deny",
        Some("INVALID_CREDENTIALS"),
        &["has expired"],
    );
    check(&["--peer", "203.0.113.9", "--key", KEY], "deny", Some("ROUTE_NOT_FOUND"), &["gateway.routes"]);
    let unresolved = Some("CLIENT_ADDRESS_UNRESOLVED");
    check(&["--peer", "10.0.0.1", "-H", "x-forwarded-for: caf\u{e9}", "--key", KEY], "deny", unresolved, &[])
        .steps
        .iter()
        .for_each(|line| assert!(line.found.is_ascii(), "{}", line.found));
    check(&["--peer", "10.0.0.1", "-H", "x-forwarded-for: 10.0.0.3, 10.0.0.2"], "deny", unresolved, &["`hops`"]);
}

#[test]
fn a_supposed_credential_needs_no_secret() {
    let line = ["--peer", "203.0.113.9", "--credential", "5f0000000000000000000002", "--path", "/api"];
    check(&line, "allow", None, &["was taken as proven", "entry 203.0.113.0/24"]);
    let line = ["--peer", "192.0.2.1", "--credential", "5f0000000000000000000002", "--path", "/api"];
    check(&line, "deny", Some("IP_ADDRESS_NOT_ON_ACCESS_LIST"), &["was taken as proven"]);
}

#[test]
fn a_header_of_an_untrusted_peer_is_pointed_out() {
    let line = ["--peer", "192.0.2.1", "-H", "X-Forwarded-For: 203.0.113.9", "--key", KEY, "--path", "/api"];
    check(&line, "deny", Some("IP_ADDRESS_NOT_ON_ACCESS_LIST"), &["`x-forwarded-for` was not read", "trusted_proxies"]);
}

#[test]
fn a_proxy_may_have_to_show_a_certificate() {
    let uri = "spiffe://mesh/ns/edge/sa/proxy";
    let mut current = current();
    let mut settings = Gateway::clone(&current.settings);
    let network = "192.168.0.0/16".parse().unwrap();
    settings.client_address.certified_proxies = vec![CertifiedProxy { network, san_uri: uri.into() }];
    current.settings = Arc::new(settings);
    let header = ["-H", "X-Forwarded-For: 203.0.113.9", "--key", KEY, "--path", "/api"];
    let other = "spiffe://mesh/ns/edge/sa/proxy2";
    let not_read =
        "`x-forwarded-for` was not read, since 192.168.0.1 is trusted only with a certificate that names spiffe:";
    for (uris, outcome, parts) in [
        (&["--peer-uri", other, "--peer-uri", uri][..], "allow", &["by its certificate, which names spiffe:"][..]),
        (&["--peer-uri", other], "deny", &["not a trusted proxy: its certificate does not name spiffe:", not_read]),
        (&[], "deny", &["not a trusted proxy: no certificate of it names spiffe:", not_read]),
    ] {
        let args = parsed(&[&["--peer", "192.168.0.1"], uris, &header].concat());
        let report = explain(&current, &request(&args, &current.settings, NOW).unwrap());
        let text = report.to_string();
        assert_eq!((report.outcome, report.steps[0].step), (outcome, "peer"), "{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        assert!(!text.contains(other), "{text}");
    }
}

#[test]
fn a_key_in_the_form_of_http_basic_is_pointed_out() {
    let pair = KEY.replace('.', ":");
    let line = ["--peer", "203.0.113.9", "--key", &pair, "--path", "/api"];
    check(&line, "deny", Some("INVALID_CREDENTIALS"), &["`publicKey.privateKey`"]);
}

#[test]
fn public_routes() {
    check(&["--peer", "192.0.2.1", "--path", "/open"], "allow", None, &["is public", "not read"]);
}

#[test]
fn arguments_are_checked_without_repeating_secrets() {
    for line in [
        &["--peer", "010.0.0.1"][..],
        &["--peer", "10.0.0.0/8"],
        &["--peer", "::1", "--header", "no colon secret"],
        &["--peer", "::1", "--at", "tomorrow"],
        &["--peer", "::1", "--credential", "x"],
        &["--peer", "::1", "--credential", "5f0000000000000000000002", "--key", "k"],
        &["--key", "k"],
        &["--peer", "::1", "--client-address", "::1"],
        &["--peer", "::1", "--logged", "{}"],
        &["--client-address", "::1", "--peer-uri", "a:b"],
        &["--peer-uri", "a:b"],
        &["--logged", "{}", "--peer-uri", "a:b"],
        &["--client-address", "::1", "--logged", "{}"],
        &["--logged", "{}", "--path", "/"],
    ] {
        assert!(Line::try_parse_from([&["explain"], line].concat()).is_err(), "{line:?}");
    }
    let broken = parsed(&["--peer", "::1", "--key", "hunter2\nhunter2"]);
    let fault = request(&broken, &current().settings, NOW).unwrap_err();
    assert!(!format!("{fault:?}").contains("hunter2") && !format!("{broken:?}").contains("hunter2"));
    assert_eq!(parsed(&["--peer", "::1", "--at", "2027-01-15T08:00:00Z"]).at, Some(NOW));
}

#[test]
fn files_are_read_and_faults_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.yaml");
    std::fs::write(&config, "directory: { demonstration: true }\n").unwrap();
    let path = config.to_str().unwrap();
    let code = |line: &[&str]| run(parsed(&[&["--config", path][..], line].concat())).map(|code| format!("{code:?}"));
    let said = |code: u8| format!("{:?}", ExitCode::from(code));
    assert_eq!(code(&["--peer", "127.0.0.1"]).unwrap(), said(2));
    for faulty in ["gatewayy: {}\ndirectory: { demonstration: true }\n", "gateway: 5\n"] {
        std::fs::write(&config, faulty).unwrap();
        assert_eq!(code(&["--peer", "127.0.0.1", "--output", "json"]).unwrap(), said(78), "{faulty}");
    }
}

#[test]
fn what_the_proxy_refuses_before_it_judges() {
    let malformed = Some("MALFORMED_REQUEST");
    let line = |lines: &[&'static str]| -> Vec<&'static str> {
        let headers = lines.iter().flat_map(|line| ["--header", line]);
        ["--peer", "203.0.113.9", "--key", KEY, "--path", "/api"].into_iter().chain(headers).collect()
    };
    for (lines, why) in [
        (&["Host: a.example.com", "Host: b.example.com"][..], "more than one Host"),
        (&["Host: a/b"], "Host is not a host"),
        (&["Content-Length: 5, 5"], "Content-Length is not one number"),
        (&["Transfer-Encoding: gzip, chunked"], "a transfer coding other than chunked"),
        (&["X-HTTP-Method-Override: DELETE"], "a header names another method than the request"),
        (&["Content-Length: 1", "Upgrade: websocket"], "an upgrade with a body"),
    ] {
        let report = check(&line(lines), "error", malformed, &[why]);
        assert_eq!((report.status, report.steps.len()), (Some(400), 1), "{lines:?}");
    }
    check(&["--peer", "203.0.113.9", "--path", "http://other.example.com/api"], "error", malformed, &["no Host"]);
    check(&["--peer", "203.0.113.9", "--method", "CONNECT"], "error", malformed, &["CONNECT is not served here"]);
    check(&line(&["Host: api.example.com", "Content-Length: 0", "Upgrade: websocket"]), "allow", None, &[]);
}

#[test]
fn a_client_address_may_be_given() {
    let line = |address| ["--client-address", address, "--credential", "5f0000000000000000000002", "--path", "/api"];
    let report = check(&line("203.0.113.9"), "allow", None, &["203.0.113.9, as it was given"]);
    assert_eq!((report.client_source, report.steps[0].step), ("given", "client address"));
    // One that is a trusted proxy's is taken at its word.
    let not_listed = Some("IP_ADDRESS_NOT_ON_ACCESS_LIST");
    let report = check(&line("10.0.0.1"), "deny", not_listed, &["10.0.0.1, as it was given"]);
    assert_eq!(report.client_address.as_deref(), Some("10.0.0.1"));
}
