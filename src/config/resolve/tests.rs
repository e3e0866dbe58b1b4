//! Tests of `config::resolve`.

mod feeds;
mod proxies;

use std::path::Path;

use crate::access::digest_secret::Algorithm;
use crate::config::diagnostic::{Problems, Severity};
use crate::config::document::Override;
use crate::config::settings::{AccessLogSink, AddressHeader, DirectorySource, Endpoint, Settings};
use crate::config::{load, parse};

fn alone(text: &str) -> Result<(Settings, Problems), Problems> {
    parse("p.yaml", text, Path::new(env!("CARGO_MANIFEST_DIR")), Vec::new())
}

/// Reads a text that may be about something else than the directory: which one is said beside it then.
fn read(text: &str) -> Result<(Settings, Problems), Problems> {
    if text.contains("directory") {
        return alone(text);
    }
    let beside = Override::among([("PORTCULLIS__DIRECTORY__DEMONSTRATION".to_owned(), "true".to_owned())]);
    parse("p.yaml", text, Path::new(env!("CARGO_MANIFEST_DIR")), beside)
}

/// The text is refused, and one of the problems is at this place and says this.
#[track_caller]
fn refused(text: &str, place: &str, part: &str) {
    let problems = match read(text) {
        Ok(_) => panic!("taken:\n{text}"),
        Err(problems) => problems,
    };
    let found =
        problems.iter().any(|one| one.place.to_string() == format!("p.yaml:{place}") && one.to_string().contains(part));
    assert!(
        found,
        "no `{part}` at {place} among:
{problems}
of:
{text}"
    );
}

#[track_caller]
fn taken(text: &str) -> Settings {
    match read(text) {
        Ok((settings, _)) => settings,
        Err(problems) => panic!("{problems}\nof:\n{text}"),
    }
}

#[test]
fn each_fault_is_refused_at_its_place() {
    let cases = [
        ("gatway: {}", "1:1", "did you mean `gateway`?"),
        ("gateway:\n  workrs: 2", "2:3", "did you mean `workers`?"),
        ("gateway:\n  workers: many", "2:12", "`many` is neither `auto`"),
        ("gateway:\n  workers: 0", "2:12", "`0` is neither `auto`"),
        ("gateway:\n  workers: [1]", "2:12", "expected a text or a whole number, found a list"),
        ("gateway: 5", "1:10", "is not a mapping"),
        ("gateway:\n  listen:\n    - address: localhost:80", "3:16", "is not an IP address with a port"),
        ("gateway:\n  listen: []", "2:11", "is empty"),
        ("gateway:\n  listen:\n    - tls: {certificate: a, private_key: b}", "3:7", "key `address` is missing"),
        (
            "gateway:\n  listen:\n    - {address: 127.0.0.1:1, tls: {certificate: missing.crt}}",
            "3:35",
            "`private_key` is missing",
        ),
        (
            "gateway:\n  listen:\n    - {address: 127.0.0.1:1, tls: {private_key: Cargo.toml}}",
            "3:35",
            "`certificate` is missing",
        ),
        ("gateway:\n  listen:\n    - {address: 127.0.0.1:1, tls: {certificates: []}}", "3:35", "write either"),
        (
            "gateway:\n  listen:\n    - {address: 127.0.0.1:1, tls: {certificate: Cargo.toml, certificates: []}}",
            "3:35",
            "write either",
        ),
        (
            "gateway:\n  listen:\n    - {address: 127.0.0.1:1, tls: {certificate: missing.crt, private_key: Cargo.toml}}",
            "3:49",
            "can't be read",
        ),
        (
            "gateway:\n  listen:\n    - {address: 127.0.0.1:1, tls: {certificate: src, private_key: Cargo.toml}}",
            "3:49",
            "folder",
        ),
        (
            "gateway:\n  listen:\n    - {address: 127.0.0.1:1, tls: {certificate: Cargo.toml, private_key: Cargo.toml, client_ca: a}}",
            "3:97",
            "can't be read",
        ),
        ("gateway:\n  listen:\n    - address: 127.0.0.1:1\n    - address: 127.0.0.1:1", "4:16", "listened on twice"),
        ("gateway:\n  listen:\n    - address: 0.0.0.0:1\n    - address: 127.0.0.1:1", "4:16", "listened on twice"),
        ("gateway:\n  listen:\n    - {address: 127.0.0.1:1, proxy_protocol: {trusted: []}}", "3:56", "is empty"),
        (
            "gateway:\n  listen:\n    - {address: 127.0.0.1:1, proxy_protocol: {trusted: [0.0.0.0/0]}}",
            "3:47",
            "whole address family",
        ),
        ("gateway:\n  credentials:\n    client_certificates: on", "3:5", "no listener asks for one"),
        ("gateway:\n  client_address:\n    trusted_proxies: [10.0.0.5/8]", "3:23", "did you mean `10.0.0.0/8`?"),
        ("gateway:\n  client_address:\n    trusted_proxies: [010.0.0.0/8]", "3:23", "is not an IP address or network"),
        ("gateway:\n  client_address:\n    trusted_proxies: [0.0.0.0/0]", "3:5", "allow_any_proxy: true"),
        ("gateway:\n  client_address:\n    trusted_proxies: [0.0.0.0/1, 128.0.0.0/1]", "3:5", "whole address family"),
        ("gateway:\n  client_address:\n    trusted_proxies: [\"::/0\"]", "3:5", "whole address family"),
        ("gateway:\n  client_address:\n    hops: 2", "3:5", "needs `trusted_proxies`"),
        ("gateway:\n  client_address: {trusted_proxies: [10.0.0.1], hops: 0}", "2:55", "from 1"),
        (
            "gateway:\n  client_address: {trusted_proxies: [10.0.0.1], header: cf-connecting-ip, hops: 2}",
            "2:81",
            "can only be 1",
        ),
        ("gateway:\n  client_address: {header: host}", "2:28", "carries no address"),
        ("gateway:\n  client_address: {header: cf_ip}", "2:28", "use `-`"),
        ("gateway:\n  client_address: {header: x-forwarded-host}", "2:28", "write x-forwarded-for"),
        ("gateway:\n  credentials: {headers: [connection]}", "2:27", "meaning of its own"),
        ("gateway:\n  credentials: {headers: [Host]}", "2:27", "meaning of its own"),
        ("gateway:\n  credentials: {headers: [authorization]}", "2:27", "is read for `basic`"),
        ("gateway:\n  credentials: {headers: [X-Forwarded-For]}", "2:27", "where a request comes from"),
        ("gateway:\n  credentials: {headers: [x-portcullis-org]}", "2:27", "sets itself"),
        ("gateway:\n  credentials: {headers: [x-key, X-Key]}", "2:34", "listed twice"),
        ("gateway:\n  routes: [{upstream: echo, upgrades: [websocket, h2c]}]", "2:51", "is never allowed"),
        ("gateway:\n  routes: [{upstream: echo, upgrades: [HTTP/2.0]}]", "2:40", "is never allowed"),
        ("gateway:\n  routes: [{upstream: echo, upgrades: [a, A]}]", "2:43", "listed twice"),
        ("gateway:\n  routes: [{upstream: echo, upgrades: [\"a b\"]}]", "2:40", "not the name of a protocol"),
        ("gateway:\n  credentials: {headers: [\"x key\"]}", "2:27", "not the name of a header"),
        ("gateway:\n  credentials: {headers: [], basic: off}", "2:26", "no credential could ever be read"),
        ("gateway:\n  credentials: {basic: maybe}", "2:24", "`maybe` is not one of"),
        ("gateway:\n  credentials:\n    digest: on", "3:13", "`off`"),
        ("gateway:\n  credentials:\n    digest: { algorithms: [MD5] }", "3:13", "key `realm` is missing"),
        ("gateway:\n  credentials:\n    digest: { realm: \"\" }", "3:22", "without quotes, backslashes and colons"),
        ("gateway:\n  credentials:\n    digest: { realm: 'a:b' }", "3:22", "without quotes, backslashes and colons"),
        ("gateway:\n  credentials:\n    digest: { realm: P, algorithms: [] }", "3:37", "`algorithms` is empty"),
        ("gateway:\n  credentials:\n    digest: { realm: P, algorithms: [MD5, MD5] }", "3:43", "listed twice"),
        ("gateway:\n  credentials:\n    digest: { realm: P, algorithms: [SHA-1] }", "3:38", "`SHA-1` is not one of"),
        ("gateway:\n  credentials:\n    digest: { realm: P, nonce_key_file: none.key }", "3:41", "can't be read"),
        ("gateway:\n  credentials:\n    digest: { realm: P, nonce_key_file: src }", "3:41", "it is a folder"),
        (
            "gateway:\n  credentials:\n    digest: { realm: P, nonce_key: abc }",
            "3:25",
            "did you mean `nonce_key_file`?",
        ),
        ("gateway:\n  credentials: {realm: 'a\"b'}", "2:24", "without quotes"),
        ("gateway:\n  routes: []", "2:11", "is empty"),
        ("gateway:\n  routes:\n    - upstream: api", "3:17", "there is no upstream `api`; there is `echo`"),
        ("gateway:\n  routes:\n    - {upstream: echo, path: api}", "3:30", "write `/api`"),
        ("gateway:\n  routes:\n    - {upstream: echo, path: /a/../b}", "3:30", "plain segments"),
        ("gateway:\n  routes:\n    - {upstream: echo, host: 'a:80'}", "3:30", "host `a:80`"),
        ("gateway:\n  routes:\n    - {upstream: echo, methods: [get]}", "3:34", "write `GET`"),
        (
            "gateway:\n  routes:\n    - {upstream: echo, access: open}",
            "3:32",
            "`open` is not one of `required`, `public`",
        ),
        ("gateway:\n  routes:\n    - {upstream: echo, organizations: [acme]}", "3:40", "24 hexadecimal"),
        ("gateway:\n  routes:\n    - {upstream: echo, organizations: []}", "3:39", "is empty"),
        (
            "gateway:\n  routes:\n    - {upstream: echo, access: public, require_access_list: true}",
            "3:40",
            "public route",
        ),
        (
            "gateway:\n  routes:\n    - {upstream: echo, path: /a}\n    - {upstream: echo, path: /a/}",
            "4:7",
            "same host and path `/a`",
        ),
        (
            "gateway:\n  routes:\n    - {upstream: echo, methods: [GET]}\n    - {upstream: echo, methods: [PUT, GET]}",
            "4:7",
            "for `GET`",
        ),
        (
            "gateway:\n  upstreams:\n    a: {endpoints: [\"http://a:1\"]}\n    b: {endpoints: [\"http://b:1\"]}",
            "2:3",
            "no routes",
        ),
        (
            "gateway:\n  upstreams:\n    a: {endpoints: [\"echo:\"]}\n    a: {endpoints: [\"echo:\"]}",
            "4:5",
            "key `a` is there twice",
        ),
        ("gateway:\n  upstreams:\n    a: {endpoints: []}", "3:20", "has no endpoints"),
        ("gateway:\n  upstreams:\n    a: {}", "3:8", "key `endpoints` is missing"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"ftp://a\"]}", "3:21", "is not an endpoint"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"http://u:hunter2@a\"]}", "3:21", "user name or password"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"http://a/v1\"]}", "3:21", "has a path"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"http://a:0\"]}", "3:21", "is not an endpoint"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"http://a b\"]}", "3:21", "is not an endpoint"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"echo:\", \"http://a\"]}", "3:20", "mixes `echo:`"),
        (
            "gateway:\n  upstreams:\n    a: {endpoints: [\"h2c://b\", \"http://a\"]}",
            "3:20",
            "mixes endpoints of HTTP/2",
        ),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"grpc://b\"]}", "3:21", "is not an endpoint"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"http://a\", \"http://a/\"]}", "3:33", "listed twice"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"http://a\"], connect_timeout: 5}", "3:51", "is not a duration"),
        ("gateway:\n  upstreams:\n    a: {endpoints: [\"http://a\"], tls: {ca: nowhere.pem}}", "3:44", "can't be read"),
        (
            "gateway:\n  upstreams:\n    a: {endpoints: [\"http://a\"], tls: {server_name: 'a b'}}",
            "3:53",
            "neither a DNS name",
        ),
        ("gateway: {limits: {max_header_bytes: 1KiB}}", "1:38", "not between"),
        ("gateway: {limits: {max_body_bytes: 1}}", "1:36", "or unlimited"),
        ("gateway: {limits: {max_headers: many}}", "1:33", "is not a whole number"),
        ("gateway: {listen: [{address: '127.0.0.1:1', http2: maybe}]}", "1:52", "`on`"),
        ("gateway: {timeouts: {header: 0s}}", "1:30", "above zero"),
        ("admin: { listen: '8081' }", "1:18", "with a port"),
        ("admin: { listen: 127.0.0.1:8080 }", "1:18", "address of the gateway already"),
        ("admin: { listen: 0.0.0.0:8081 }", "1:18", "in clear over the network"),
        ("admin: { listen: 127.0.0.1:8082 }", "1:1", "address of the admin API already"),
        ("admin: { client_address: { trusted_proxies: [0.0.0.0/0] } }", "1:28", "whole address family"),
        ("admin: { entries_per_list: 0 }", "1:28", "not between 1 and 100000"),
        (
            "admin: { single_sign_on: { issuer: login.example.com, client_id: a } }",
            "1:36",
            "is not the address of a provider",
        ),
        ("admin: { single_sign_on: { issuer: http://login.example.com, client_id: a } }", "1:36", "is not https"),
        ("admin: { single_sign_on: { issuer: 'https://a.example', client_id: '' } }", "1:68", "the client id is empty"),
        (
            "admin: { single_sign_on: { issuer: 'https://a.example', client_id: a, algorithms: [] } }",
            "1:83",
            "nobody could sign in",
        ),
        (
            "admin: { single_sign_on: { issuer: 'https://a.example', client_id: a, newcomers: { domains: [], organization: \
             5f0000000000000000000001, roles: [ORG_MEMBER] } } }",
            "1:93",
            "`domains` is empty",
        ),
        (
            "admin: { single_sign_on: { issuer: 'https://a.example', client_id: a, newcomers: { domains: [a@b], organization: \
             5f0000000000000000000001, roles: [ORG_MEMBER] } } }",
            "1:94",
            "is no domain",
        ),
        (
            "admin: { single_sign_on: { issuer: 'https://a.example', client_id: a, newcomers: { domains: [b.example], \
             organization: 5f0000000000000000000001, roles: [ORG_OWNER] } } }",
            "1:154",
            "can't be an owner",
        ),
        (
            "directory: { file: d.yaml }\nadmin: { single_sign_on: { issuer: 'https://a.example', client_id: a } }",
            "2:26",
            "people are kept in a store",
        ),
        ("admin: { api_keys_per_organization: 0 }", "1:37", "not between 1 and"),
        (
            "gateway: {upstreams: {a: {endpoints: ['http://a:1'], tls: {certificate: Cargo.toml}}}}",
            "1:59",
            "`private_key` is missing",
        ),
        ("directory: { sqlite: '' }", "1:22", "name of a file is missing"),
        ("directory: { file: a, sqlite: b }", "1:23", "exclude each other"),
        ("directory: { sqlite: a, demonstration: true }", "1:25", "exclude each other"),
        ("directory: { postgres: x }", "1:14", "not in this version"),
        ("directory: { follow: x }", "1:14", "not in this version"),
        ("directory: {}", "1:1", "names no source"),
        ("directory: { file: a, demonstration: true }", "1:23", "exclude each other"),
        ("telemetry: { listen: '8082' }", "1:22", "with a port"),
        ("telemetry: { listen: 127.0.0.1:8080 }", "1:22", "address of the gateway already"),
        ("telemetry: { access_log: { to: file } }", "1:32", "needs the name of a file"),
        ("telemetry: { access_log: { to: stdout, file: a.log } }", "1:46", "needs `to: file`"),
        ("telemetry: { access_log: { to: syslog } }", "1:32", "`syslog` is not one of"),
        ("a: &x 1\ngateway: *x", "1:4", "anchors"),
        ("gateway: {}\ngateway: {}", "2:1", "there twice"),
        ("gateway: {workers: !int 4}", "1:20", "tags"),
        ("gateway: [", "2:1", "not YAML"),
    ];
    for (text, place, part) in cases {
        refused(text, place, part);
    }
}

#[test]
fn each_fault_of_an_issuer_is_refused_at_its_place() {
    let organization = "organizations: [5f0000000000000000000001]";
    let cases = [
        (format!("{{issuer: i, audience: i, jwks_file: Cargo.toml, {organization}}}"), "4:31", "issuer's own name"),
        (format!("{{issuer: i, audience: '', jwks_file: Cargo.toml, {organization}}}"), "4:31", "audience is empty"),
        (format!("{{issuer: i, jwks_file: Cargo.toml, {organization}}}"), "4:9", "key `audience` is missing"),
        (format!("{{issuer: i, audience: a, {organization}}}"), "4:9", "has no keys"),
        (
            format!("{{issuer: i, audience: a, jwks_file: Cargo.toml, jwks_url: 'https://i', {organization}}}"),
            "4:57",
            "exclude",
        ),
        (format!("{{issuer: i, audience: a, jwks_url: 'http://i.example', {organization}}}"), "4:44", "use https"),
        (
            format!("{{issuer: i, audience: a, jwks_url: 'https://u:hunter2@i', {organization}}}"),
            "4:44",
            "user name or password",
        ),
        (format!("{{issuer: i, audience: a, jwks_url: 'nothing', {organization}}}"), "4:44", "is not an address"),
        (format!("{{issuer: i, audience: a, jwks_file: nowhere.json, {organization}}}"), "4:45", "can't be read"),
        (
            format!("{{issuer: i, audience: a, jwks_file: Cargo.toml, algorithms: [], {organization}}}"),
            "4:69",
            "is empty",
        ),
        (
            format!("{{issuer: i, audience: a, jwks_file: Cargo.toml, algorithms: [none], {organization}}}"),
            "4:70",
            "`none` is not one of",
        ),
        (
            format!("{{issuer: i, audience: a, jwks_file: Cargo.toml, algorithms: [HS256], {organization}}}"),
            "4:70",
            "`HS256` is not one of",
        ),
        ("{issuer: i, audience: a, jwks_file: Cargo.toml, organizations: []}".to_owned(), "4:72", "is empty"),
        (
            format!("{{issuer: i, audience: a, jwks_file: Cargo.toml, jwks_ca: Cargo.toml, {organization}}}"),
            "4:57",
            "needs `jwks_url`",
        ),
    ];
    for (issuer, place, part) in cases {
        refused(&format!("gateway:\n  credentials:\n    issuers:\n      - {issuer}"), place, part);
    }
    let good = format!("{{issuer: i, audience: a, jwks_url: 'http://127.0.0.1:1/keys', {organization}}}");
    let settings = taken(&format!("gateway:\n  credentials:\n    issuers:\n      - {good}"));
    assert!(settings.gateway.credentials.bearer);
    refused(
        &format!("gateway:\n  credentials:\n    bearer: off\n    issuers:\n      - {good}"),
        "3:13",
        "without effect",
    );
    refused(&format!("gateway:\n  credentials:\n    issuers:\n      - {good}\n      - {good}"), "5:18", "there twice");
}

#[test]
fn passwords_in_addresses_are_never_shown() {
    let text = "gateway:\n  upstreams:\n    a: {endpoints: [\"http://u:hunter2@a\"]}\n  credentials:\n    issuers: [{issuer: i, audience: a, jwks_url: 'https://u:hunter2@i', organizations: []}]";
    let problems = read(text).unwrap_err();
    assert!(!problems.to_string().contains("hunter2"));
    assert!(!problems.render(false).contains("hunter2"), "{}", problems.render(false));
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text = "gateway:\n  workers: many\n  client_address: {hops: 1}\n  timeouts: {header: x}\nadmin: {listen: x}";
    let lines: Vec<usize> = read(text).unwrap_err().iter().map(|problem| problem.place.line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
    let text = "gateway:\n  wokers: 2\n  listen: 5\ntelemetry: {listen: []}\nx: 1";
    let lines: Vec<usize> = read(text).unwrap_err().iter().map(|problem| problem.place.line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
}

#[test]
fn broad_trust_is_a_warning() {
    let text = "gateway:\n  client_address:\n    trusted_proxies: [10.0.0.0/8, 0.0.0.0/2, \"2000::/3\"]";
    let (_, warnings) = read(text).unwrap();
    let places: Vec<_> = warnings.iter().map(|one| (one.severity, one.place.column)).collect();
    assert_eq!(places, [(Severity::Warning, 35), (Severity::Warning, 46)]);
    let text = "gateway:\n  client_address: {trusted_proxies: [0.0.0.0/0], allow_any_proxy: true}";
    assert_eq!(read(text).unwrap().1.len(), 1);
}

#[test]
fn nothing_at_all_is_the_defaults() {
    for text in ["", "# only a comment\n", "---\n", "{}", "gateway: {}", "\u{feff}gateway: {}"] {
        let settings = taken(text);
        assert_eq!(settings.sockets.listen[0].address.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.gateway.upstreams[0].endpoints, [Endpoint::Echo]);
        assert_eq!(settings.gateway.routes.iter().count(), 1);
        assert_eq!(settings.gateway.client_address.header, AddressHeader::XForwardedFor);
        assert_eq!(settings.access_log.sink, AccessLogSink::Stdout);
    }
}

#[test]
fn where_no_directory_is_named_it_is_a_store_beside_the_file() {
    for text in ["", "# only a comment\n", "{}", "gateway: {}", "# first\ntelemetry: {}\ndirectory:\n"] {
        let (settings, warnings) = parse("p.yaml", text, Path::new("/etc/portcullis"), Vec::new()).unwrap();
        assert_eq!(settings.directory, DirectorySource::Sqlite("/etc/portcullis/portcullis.db".into()), "{text}");
        let admin = settings.admin.unwrap();
        assert_eq!((admin.listen.to_string(), admin.behind_tls, warnings.len()), ("127.0.0.1:8081".into(), false, 0));
        assert_eq!((admin.entries_per_list, admin.api_keys_per_organization), (200, 500));
        assert!(admin.client_address.trusted_proxies.is_empty());
    }
    // What is there and can't be read is one fault.
    let told = alone("directory: 5").unwrap_err();
    assert!(told.len() == 1 && told.to_string().contains("expected a mapping"), "{told}");
    let (settings, _) = load(None, Vec::new()).unwrap();
    assert_eq!(settings.directory, DirectorySource::Sqlite("./portcullis.db".into()));
}

#[test]
fn what_is_changed_elsewhere_has_an_admin_listener_only_where_it_is_asked_for() {
    assert!(taken("directory: { file: d.yaml }").admin.is_none());
    let admin =
        taken("directory: { file: d.yaml }\nadmin: { listen: '0.0.0.0:9', behind_tls: true, entries_per_list: 7 }")
            .admin;
    let admin = admin.unwrap();
    assert_eq!((admin.listen.port(), admin.behind_tls, admin.entries_per_list), (9, true, 7));
}

#[test]
fn relative_paths_start_at_the_configuration() {
    let (settings, _) = parse("p.yaml", "directory: {file: d.yaml}", Path::new("/etc/portcullis"), Vec::new()).unwrap();
    assert_eq!(settings.directory, DirectorySource::File("/etc/portcullis/d.yaml".into()));
}

#[test]
fn one_upstream_needs_no_routes() {
    let settings = taken("gateway:\n  upstreams:\n    api: {endpoints: [\"https://[::1]:8443\", \"http://api\"]}");
    let upstream = &settings.gateway.upstreams[0];
    let shown: Vec<String> = upstream
        .endpoints
        .iter()
        .map(|one| match one {
            Endpoint::Net { https, host, port, .. } => format!("{https} {host} {port}"),
            Endpoint::Echo => "echo".to_owned(),
        })
        .collect();
    assert_eq!(shown, ["true ::1 8443", "false api 80"]);
}

fn overridden(text: &str, variables: &[(&str, &str)]) -> Result<(Settings, Problems), Problems> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse("p.yaml", text, Path::new("."), Override::among(variables))
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "# an id that YAML takes for a number\ngateway:\n  workers: 1\n  routes: [{upstream: echo, organizations: [5e0000000000000000000001]}]\ndirectory: {file: d}\n";
    let (settings, _) = overridden(
        text,
        &[
            ("PORTCULLIS__GATEWAY__WORKERS", "3"),
            ("PORTCULLIS__GATEWAY__LISTEN", "[{address: '127.0.0.1:9'}]"),
            ("PORTCULLIS__GATEWAY__LIMITS__MAX_HEADERS", "7"),
            ("PORTCULLIS__GATEWAY__ROUTES__0__PATH", "/x"),
            ("PORTCULLIS__DIRECTORY__FILE", "other.yaml"),
            ("OTHER__X", "1"),
        ],
    )
    .unwrap();
    assert_eq!(settings.directory, DirectorySource::File("./other.yaml".into()));
    assert_eq!(settings.sockets.workers.get(), 3);
    assert_eq!(settings.sockets.listen[0].address.port(), 9);
    assert_eq!(settings.gateway.limits.max_headers, 7);
    assert_eq!(&*settings.gateway.routes.iter().next().unwrap().path, "/x");
}

#[test]
fn a_fault_of_a_variable_names_the_variable() {
    let cases = [
        ("PORTCULLIS__GATEWAY__WORKERS", "many", "`many` is neither"),
        ("PORTCULLIS__GATEWAY__WROKERS", "2", "did you mean `workers`?"),
        ("PORTCULLIS__GATEWAY__WORKERS", "[", "not one YAML value"),
        ("PORTCULLIS__GATEWAY__WORKERS__MORE", "2", "single value"),
        ("PORTCULLIS__GATEWAY____WORKERS", "2", "empty part"),
        ("PORTCULLIS_GATEWAY_WORKERS", "2", "not read; did you mean `PORTCULLIS__GATEWAY__WORKERS`?"),
        ("PORTCULLIS__GATEWAY__LISTEN__3__ADDRESS", "x", "no position 3"),
        ("PORTCULLIS__GATEWAY__LISTEN__0__ADDRESS", "x", "is not an IP address with a port"),
        ("PORTCULLIS__GATEWAY__CLIENT_ADDRESS__TRUSTED_PROXIES", "[10.0.0.5/8]", "did you mean `10.0.0.0/8`?"),
    ];
    for (name, value, part) in cases {
        let text = "gateway:\n  workers: 1\n  listen: [{address: '127.0.0.1:1'}]";
        let problems = overridden(text, &[(name, value)]).unwrap_err();
        assert!(
            problems.iter().any(|one| &*one.place.file == name && one.to_string().contains(part)),
            "{name}: {problems}"
        );
    }
}

/// Place and message of everything that is told about a text.
#[track_caller]
fn told(text: &str, expected: &[(&str, &str)]) {
    let problems = read(text).map(|_| ()).unwrap_err();
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{problems}\nof:\n{text}");
    for (found, (place, part)) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("p.yaml:{place}:")) && found.contains(part), "no `{part}` in {found}");
    }
}

#[test]
fn faults_of_shape_and_of_value_come_at_once() {
    told(
        "gateway:\n  workrs: 2\n  drain_timeout: 10\n  routes:\n    - {upstream: api, organizations: [acme]}\n    - {path: api}\n  upstreams: {a: {endpoints: ['http://a']}, b: {endpoints: ['http://b']}}\n",
        &[
            ("2:3", "did you mean `workers`?"),
            ("3:18", "is not a duration"),
            ("5:18", "there is no upstream `api`"),
            ("5:39", "24 hexadecimal"),
            ("6:7", "names no `upstream`; there is `a`, `b`"),
            ("6:14", "write `/api`"),
        ],
    );
    told(
        "gateway:\n  limits: {max_headers: 0, max_header_bytes: 1KiB}\n",
        &[("2:25", "from 1 to 1024"), ("2:46", "8KiB")],
    );
    told("gateway:\n  limits: {max_streams: 0}\n", &[("2:25", "from 1 to 65536")]);
}

#[test]
fn what_only_follows_from_a_fault_of_shape_is_held_back() {
    for (text, expected) in [
        ("gateway:\n  upstrems: {a: {endpoints: []}}\n  routes: [{upstream: a}]", ("2:3", "`upstreams`?")),
        ("gateway:\n  upstreams: http://a\n  routes: [{upstream: a}]", ("2:14", "")),
        (
            "gateway:\n  upstreams: {a: {endpoints: ['http://a']}, b: {endpoints: ['http://b']}}\n  rotes: []",
            ("3:3", "`routes`?"),
        ),
        ("gateway:\n  routes: [{upstream: echo}, {upstream: echo, paht: /a}]", ("2:47", "`path`?")),
        ("gateway:\n  client_address: {trusted_proxies: 10.0.0.1, hops: 1}", ("2:37", "write it as [10.0.0.1]")),
        ("directory: {fiel: d.yaml}", ("1:13", "did you mean `file`?")),
        ("directory: d.yaml", ("1:12", "expected a mapping")),
        ("telemetry: {access_log: {to: file, fille: a}}", ("1:36", "did you mean `file`?")),
        ("telemetry: {listen: !x 127.0.0.1}", ("1:21", "tags")),
    ] {
        told(text, &[expected]);
    }
}

#[test]
fn nothing_after_a_key_is_an_empty_mapping_or_list() {
    let nothing = "gateway:\n  client_address:\n    trusted_proxies:\n  limits:\ntelemetry:\n";
    // With a variable the text is written anew before it is read.
    taken(nothing);
    taken(&format!("{nothing}directory: {{ demonstration: true }}\n"));
    told("gateway:\n  upstreams:\n    a:\n      endpoints:\n", &[("4:7", "has no endpoints")]);
}

#[test]
fn digest_is_off_unless_it_has_a_realm() {
    for text in ["", "digest: off", "digest: false"] {
        let settings = taken(&format!("gateway:\n  credentials: {{{text}}}"));
        assert!(settings.gateway.credentials.digest.is_none());
    }
    let digest = |text: &str| {
        let settings =
            taken(&format!("gateway:\n  credentials:\n    headers: []\n    basic: off\n    digest: {{{text}}}"));
        settings.gateway.credentials.digest.clone().unwrap()
    };
    let plain = digest("realm: My API");
    assert_eq!(
        (&*plain.realm, &*plain.algorithms, plain.nonce_key.is_none()),
        ("My API", &[Algorithm::Sha256][..], true)
    );
    let both = digest("realm: P, algorithms: [MD5, SHA-256]");
    assert_eq!(both.algorithms, [Algorithm::Sha256, Algorithm::Md5], "the better one is offered first");
    assert_eq!(digest("realm: P, algorithms: [MD5]").algorithms, [Algorithm::Md5]);
}

#[test]
fn a_nonce_key_is_long_enough_and_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let with = |bytes: &[u8], mode: u32| {
        let file = folder.path().join("nonce.key");
        std::fs::write(&file, bytes).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let text = "gateway:\n  credentials:\n    digest: { realm: P, nonce_key_file: nonce.key }";
        parse("p.yaml", text, folder.path(), Vec::new())
    };
    let (settings, warnings) = with(&[7; 32], 0o600).unwrap();
    let key = settings.gateway.credentials.digest.clone().unwrap().nonce_key.unwrap();
    assert!(warnings.is_empty() && key.file.ends_with("nonce.key"));
    assert!(!format!("{settings:?}").contains("7, 7"), "nothing of it is shown");
    let (other, _) = with(&[8; 4096], 0o640).unwrap();
    assert_ne!(other.gateway.credentials.digest.clone().unwrap().nonce_key.unwrap().sha256, key.sha256);
    let (_, warnings) = with(&[7; 32], 0o644).unwrap();
    let told: Vec<_> = warnings.iter().map(|one| (one.severity, one.place.line, one.to_string())).collect();
    assert!(matches!(&told[..], [(Severity::Warning, 3, text)] if text.contains("chmod 600")), "{told:?}");
    for (bytes, part) in
        [(&b"hunter2 is no key"[..], "it has 17 bytes"), (&[0; 4097], "no nonce key"), (b"", "0 bytes")]
    {
        let told = with(bytes, 0o600).unwrap_err().to_string();
        assert!(told.contains(part) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn receipt_keys_are_files_that_hold_different_keys() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, byte: u8| std::fs::write(folder.path().join(name), [byte; 32]).unwrap();
    for (name, byte) in [("a.key", 1), ("b.key", 2), ("c.key", 1)] {
        write(name, byte);
    }
    std::fs::write(folder.path().join("d.key"), b"hunter2").unwrap();
    let with = |files: &str| {
        let text = format!("gateway: {{ receipts: {{ key_files: {files} }} }}");
        parse("p.yaml", &text, folder.path(), Vec::new())
    };
    let (settings, _) = with("[a.key, b.key]").unwrap();
    let files: Vec<_> = settings.gateway.receipt_keys.iter().map(|key| key.file.file_name().unwrap()).collect();
    assert_eq!(files, ["a.key", "b.key"]);
    assert!(!format!("{:?}", settings.gateway.receipt_keys).contains(", 1"), "nothing of them is shown");
    for (files, part) in [
        ("[]", "`key_files` is empty"),
        ("[a.key, c.key]", "a key that is there already"),
        ("[d.key]", "no receipt key: it has 7 bytes"),
        ("[none.key]", "can't be read"),
        ("[a, a, a, a, a, a, a, a, a]", "there are 9 keys, and at most 8"),
    ] {
        let told = with(files).unwrap_err().to_string();
        assert!(told.contains(part) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn nonsense_about_endpoints_is_refused_all_at_once() {
    told(
        "gateway:
  upstreams:
    api:
      endpoints: ['http://a:1']
      total_timeout: never
      max_connections: 0
      queue: {length: -1, timeout: 0s}
      retries: {percent: 101, reserve: 0}
      ejection: {failures: 0, first: 5s, longest: 1s}
      health_check: {path: healthz, host: 'a b', interval: 0s, healthy_after: 0}
      resolve_interval: 10
",
        &[
            ("5:22", "or unlimited"),
            ("6:24", "from 1 to 65535"),
            ("7:23", "from 0 to 65535"),
            ("7:36", "leaves no time"),
            ("8:26", "from 0 to 100"),
            ("8:40", "from 1 to 65535"),
            ("9:28", "from 1 to 65535"),
            ("9:51", "shorter than `first`"),
            ("10:28", "write it like /healthz"),
            ("10:43", "is not a host"),
            ("10:60", "leaves no time"),
            ("10:79", "from 1 to 1000"),
            ("11:25", "is not a duration"),
        ],
    );
    told("gateway: {upstreams: {api: {endpoints: ['echo:'], health_check: {path: /}}}}", &[("1:65", "always well")]);
    told("gateway: {upstreams: {api: {endpoints: ['http://a'], health_check: {}}}}", &[("1:68", "`path` is missing")]);
}
