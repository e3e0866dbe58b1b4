//! What the upstream is told of client, peer and credential, and what it is never told.

use crate::stage::{ACME, KEY, KEY_OPEN, Setting, Stage};

const TRUSTING: &str = "client_address: { trusted_proxies: [127.0.0.0/8] }";
const KEY_ID: &str = "5f0000000000000000000021";

fn with_key(lines: &[&str]) -> Vec<String> {
    let key = format!("X-API-Key: {KEY}");
    std::iter::once(key.as_str()).chain(lines.iter().copied()).map(str::to_owned).collect()
}

#[track_caller]
fn tells(stage: &Stage, lines: &[&str], expected: &[(&str, &[&str])]) {
    let before = stage.upstream.seen().len();
    let lines = with_key(lines);
    let answer = stage.get("/", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(answer.status, 200, "{lines:?}: {}", answer.text());
    let seen = stage.upstream.nth(before + 1);
    for (name, values) in expected {
        assert_eq!(seen.all(name), *values, "{name} of {lines:?}");
    }
}

const CLAIMED: &[&str] = &[
    "X-Forwarded-For: 192.0.2.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: public.example.com",
    "X-Forwarded-Port: 443",
    "Forwarded: for=192.0.2.7",
    "X-Real-IP: 192.0.2.7",
];

#[test]
fn a_peer_that_is_not_trusted_speaks_for_nobody() {
    tells(
        &Stage::new(),
        CLAIMED,
        &[
            ("x-forwarded-for", &["127.0.0.1"]),
            ("x-forwarded-proto", &["http"]),
            ("x-forwarded-host", &["api.example.com"]),
            ("x-forwarded-port", &[]),
            ("forwarded", &[]),
            ("x-real-ip", &[]),
            ("x-portcullis-client-address", &["127.0.0.1"]),
        ],
    );
}

#[test]
fn a_trusted_peer_is_believed_and_its_chain_is_rebuilt() {
    let stage = Setting::new().gateway(TRUSTING).set();
    let expected: &[(&str, &[&str])] = &[
        ("x-forwarded-for", &["192.0.2.7, 127.0.0.1"]),
        ("x-forwarded-proto", &["https"]),
        ("x-forwarded-host", &["public.example.com"]),
        ("x-forwarded-port", &["443"]),
        ("forwarded", &[]),
        ("x-portcullis-client-address", &["192.0.2.7"]),
    ];
    tells(&stage, CLAIMED, expected);
    // What nobody vouches for is not sent on.
    let lines =
        ["X-Forwarded-For: 203.0.113.66, 192.0.2.7, 127.0.0.2", "X_Forwarded_Proto: https", "X.Forwarded.Host: x"];
    let expected: &[(&str, &[&str])] = &[
        ("x-forwarded-for", &["192.0.2.7, 127.0.0.2, 127.0.0.1"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-host", &["api.example.com"]),
        ("x_forwarded_proto", &[]),
        ("x.forwarded.host", &[]),
    ];
    tells(&stage, &lines, expected);
}

#[test]
fn forwarded_is_sent_where_it_is_asked_for() {
    let stage = Setting::new().gateway(TRUSTING).gateway("outbound: { forwarded: true }").set();
    tells(
        &stage,
        &["X-Forwarded-For: 2001:db8::9", "Forwarded: for=1.2.3.4"],
        &[("forwarded", &["for=\"[2001:db8::9]\", for=127.0.0.1;host=\"api.example.com\";proto=http"])],
    );
}

#[test]
fn identity_is_ours_alone() {
    let stage = Stage::new();
    let forged: Vec<String> =
        ["Org", "Projects", "Credential", "Credential-Type", "Roles", "Client-Address", "Request-Id", "New"]
            .iter()
            .flat_map(|name| {
                let other = name.replace('-', "_");
                [
                    format!("X-Portcullis-{name}: forged"),
                    format!("X_Portcullis_{other}: forged"),
                    format!("x.portcullis-{name}: forged"),
                ]
            })
            .collect();
    let mut lines: Vec<&str> = forged.iter().map(String::as_str).collect();
    lines.push("Connection: X-Portcullis-Org, X-Portcullis-Credential, X-Forwarded-For");
    tells(
        &stage,
        &lines,
        &[
            ("x-portcullis-org", &[ACME]),
            ("x-portcullis-credential", &[KEY_ID]),
            ("x-portcullis-credential-type", &["API_KEY"]),
            ("x-portcullis-projects", &["5f0000000000000000000011"]),
            ("x-portcullis-client-address", &["127.0.0.1"]),
            ("x-forwarded-for", &["127.0.0.1"]),
        ],
    );
    let seen = stage.upstream.nth(1);
    assert!(seen.headers.iter().all(|(_, value)| value != "forged"), "{seen:#?}");
    assert_eq!(seen.all("x-portcullis-request-id"), [stage.log_of(1)[0]["request_id"].as_str().unwrap()]);
    // A public route proves nobody, and says so.
    let stage = Setting::new().routes("[{ path: /, upstream: api, access: public }]").set();
    tells(
        &stage,
        &lines,
        &[("x-portcullis-org", &[]), ("x-portcullis-roles", &[]), ("x-portcullis-client-address", &["127.0.0.1"])],
    );
    let stage = Setting::new().gateway("outbound: { identity_headers: false }").set();
    tells(&stage, &lines, &[("x-portcullis-org", &[]), ("x-portcullis-client-address", &[])]);
}

#[test]
fn credentials_end_here_unless_they_are_to_be_forwarded() {
    let (public, secret) = KEY.split_once('.').unwrap();
    let basic = format!("Authorization: Basic {}", base64(&format!("{public}:{secret}")));
    for (forward, carried) in [(false, 0), (true, 1)] {
        let stage = Setting::new().gateway(&format!("credentials: {{ forward: {forward} }}")).set();
        for line in [&format!("X-API-Key: {KEY}"), &basic] {
            let before = stage.upstream.seen().len();
            let lines = [line.as_str(), "X_Api_Key: stray", "X.Api.Key: stray", "x-api_key: stray"];
            assert_eq!(stage.get("/", &lines).status, 200);
            let seen = stage.upstream.nth(before + 1);
            let found = seen.all("x-api-key").len() + seen.all("authorization").len();
            assert_eq!(found, carried, "forward: {forward}, {line}: {seen:#?}");
            assert!(seen.headers.iter().all(|(_, value)| value != "stray"), "{seen:#?}");
        }
    }
    // A scheme that is nobody's here belongs to the upstream.
    let stage = Stage::new();
    let key = format!("X-API-Key: {KEY_OPEN}");
    assert_eq!(stage.get("/", &[&key, "Authorization: AWS4-HMAC-SHA256 x", "Cookie: a=1"]).status, 200);
    let seen = stage.upstream.nth(1);
    assert_eq!((seen.header("authorization"), seen.header("cookie")), (Some("AWS4-HMAC-SHA256 x"), Some("a=1")));
}

/// Framing in a spelling that only some servers take for it (threats.md H2, F1).
#[test]
fn other_spellings_of_the_framing_are_removed() {
    tells(
        &Stage::new(),
        &[
            "Transfer_Encoding: chunked",
            "Content_Length: 5",
            "Transfer.Encoding: chunked",
            "Keep_Alive: 5",
            "X_Mine: 1",
        ],
        &[
            ("transfer_encoding", &[]),
            ("content_length", &[]),
            ("transfer.encoding", &[]),
            ("keep_alive", &[]),
            ("x_mine", &["1"]),
        ],
    );
}

#[test]
fn the_host_is_kept_or_replaced() {
    tells(&Stage::new(), &[], &[("host", &["api.example.com"])]);
    let stage =
        Setting::new().gateway("upstreams: { api: { endpoints: [\"http://UPSTREAM\"], preserve_host: false } }").set();
    let address = stage.upstream.address().to_string();
    tells(&stage, &[], &[("host", &[&address]), ("x-forwarded-host", &["api.example.com"])]);
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
