//! threats.md H1–H5, H7, H10 and H11: what is read as a credential, what is refused without saying why, and what of it reaches
//! the upstream.

mod same_answer;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::stage::{ACME, Answer, KEY, KEY_OPEN, Setting, Stage};

/// A row: threat, header lines, status and error code.
type Row<'t> = (&'t str, Vec<String>, (u16, &'t str));

const MALFORMED: (u16, &str) = (400, "MALFORMED_CREDENTIALS");
const AMBIGUOUS: (u16, &str) = (400, "AMBIGUOUS_CREDENTIALS");
const INVALID: (u16, &str) = (401, "INVALID_CREDENTIALS");
const REQUIRED: (u16, &str) = (401, "CREDENTIALS_REQUIRED");
const ALLOWED: (u16, &str) = (200, "");

fn basic(key: &str) -> String {
    let (user, password) = key.split_once('.').unwrap();
    format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn header(key: &str) -> String {
    format!("X-API-Key: {key}")
}

fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).to_vec()
}

fn get(stage: &Stage, lines: &[String]) -> Answer {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    stage.get("/", &lines)
}

#[track_caller]
fn play(stage: &Stage, rows: &[Row<'_>]) {
    for (threat, lines, (status, code)) in rows {
        let row = format!("{threat}: {:.300}", format!("{lines:?}"));
        let before = stage.upstream.seen().len();
        let answer = get(stage, lines);
        assert_eq!(answer.outcome(), (*status, (*code).to_owned()), "{row}");
        assert_eq!(stage.upstream.seen().len() - before, usize::from(*status == 200), "{row}");
        assert_eq!(answer.all("www-authenticate").is_empty(), *status != 401, "{row}");
    }
}

#[test]
fn h1_one_credential_and_one_carrier() {
    let stage = Setting::new().gateway("credentials: { headers: [x-api-key, x-gateway-key] }").set();
    let other = format!("X-Gateway-Key: {KEY_OPEN}");
    let unknown = header("unknownk.40395d07-a353-4881-853b-43efa41339a9");
    play(
        &stage,
        &[
            ("H1", vec![], REQUIRED),
            ("H1", vec![header(KEY)], ALLOWED),
            ("H1", vec![basic(KEY)], ALLOWED),
            ("H1", vec![other.clone()], ALLOWED),
            ("H1", vec![header(KEY), header(KEY)], AMBIGUOUS),
            ("H1", vec![header(KEY), header(KEY_OPEN)], AMBIGUOUS),
            ("H1", vec![header(KEY), unknown.clone()], AMBIGUOUS),
            ("H1", vec![unknown.clone(), header(KEY)], AMBIGUOUS),
            ("H1", vec![header(KEY), "x-api-key:".into()], AMBIGUOUS),
            ("H1", vec![header(KEY), "x-api-key: a".into()], AMBIGUOUS),
            ("H1", vec![header(KEY), "X-Other: 1".into(), format!("x-ApI-kEy: {KEY}")], AMBIGUOUS),
            ("H1", vec![header(&format!("{KEY},{KEY}"))], INVALID),
            ("H1", vec![header(&format!("{KEY}, {KEY}"))], MALFORMED),
            ("H1", vec![header(KEY), other.clone()], AMBIGUOUS),
            ("H1", vec![header(KEY_OPEN), other.clone()], ALLOWED),
            ("H1", vec![header(KEY), basic(KEY)], ALLOWED),
            ("H1", vec![header(KEY), basic(KEY_OPEN)], AMBIGUOUS),
            ("H1", vec![basic(KEY_OPEN), header(KEY)], AMBIGUOUS),
            ("H1", vec![header(KEY), "Authorization: Basic".into()], MALFORMED),
            ("H1", vec!["X-API-Key: short".into(), basic(KEY)], MALFORMED),
            ("H1", vec![basic(KEY), basic(KEY)], AMBIGUOUS),
            ("H1", vec![basic(KEY), basic(KEY_OPEN)], AMBIGUOUS),
            ("H1", vec![basic(KEY), "Authorization: Digest username=\"a\"".into()], AMBIGUOUS),
            ("H1", vec!["Authorization: Digest username=\"a\"".into(), basic(KEY)], AMBIGUOUS),
            ("H1", vec![format!("{}, {}", basic(KEY), &basic(KEY_OPEN)[15..])], MALFORMED),
            ("H1", vec![header(KEY), other, basic(KEY)], AMBIGUOUS),
            // A scheme that is off is the upstream's business.
            ("H1", vec![header(KEY), "Authorization: Bearer abc".into()], ALLOWED),
            ("H1", vec!["Authorization: Bearer abc".into()], REQUIRED),
            ("H1", vec!["Authorization: Digest username=\"a\"".into()], REQUIRED),
            ("H1", vec!["Authorization: Basicx abc".into()], REQUIRED),
            ("H1", vec![format!("Proxy-{}", basic(KEY))], REQUIRED),
            ("H1", lines(["Cookie: x-api-key=mcpvrzod.40395d07-a353-4881-853b-43efa41339a1"]), REQUIRED),
        ],
    );
    let in_query = stage.get(&format!("/?x-api-key={KEY}&api_key={KEY}"), &[]);
    assert_eq!(in_query.outcome(), (401, "CREDENTIALS_REQUIRED".into()), "H1");
}

#[test]
fn h1_what_reaches_the_upstream() {
    let off = Setting::new().set();
    let forwarding = Setting::new().gateway("credentials: { forward: true }").set();
    let foreign = "Authorization: Bearer abc";
    for (stage, lines, key, authorization) in [
        (&off, vec![header(KEY)], None, None),
        (&off, vec![basic(KEY)], None, None),
        (&off, vec![header(KEY), basic(KEY)], None, None),
        (&off, vec![header(KEY), foreign.to_owned()], None, Some("Bearer abc")),
        (&forwarding, vec![header(KEY)], Some(KEY), None),
        (&forwarding, vec![basic(KEY)], None, Some(&basic(KEY)[15..])),
    ] {
        assert_eq!(get(stage, &lines).status, 200, "{lines:?}");
        let seen = stage.upstream.seen().pop().unwrap();
        assert_eq!(seen.header("x-api-key"), key, "{lines:?}");
        assert_eq!(seen.header("authorization"), authorization, "{lines:?}");
    }
    // A public route reads no credential, and hands none on either.
    let public = Setting::new().routes("[{ path: /, access: public, upstream: api }]").set();
    for lines in [vec![header(KEY), header(KEY_OPEN)], vec![basic("not.right")], vec![header("x")]] {
        assert_eq!(get(&public, &lines).status, 200, "H1: {lines:?}");
        let seen = public.upstream.seen().pop().unwrap();
        assert_eq!((seen.header("x-api-key"), seen.header("authorization")), (None, None), "H1: {lines:?}");
        assert_eq!(seen.header("x-portcullis-credential"), None, "H1: {lines:?}");
    }
}

/// Every spelling of a name that some server takes for the same.
fn spellings(name: &str) -> Vec<String> {
    let marks = ['_', '.', '~', '!', '#', '$', '%', '&', '\'', '*', '+', '^', '`', '|'];
    let mut all: Vec<String> = marks.iter().map(|mark| name.replace('-', &mark.to_string())).collect();
    all.push(name.replacen('-', "_", 1));
    all.push(name.to_ascii_uppercase().replacen('-', "_", 1));
    all.push(name.to_ascii_lowercase().replacen('-', ".", 1));
    all
}

#[test]
fn h2_other_spellings_are_not_read_and_do_not_pass() {
    let stage = Stage::new();
    for spelling in spellings("X-Api-Key") {
        play(&stage, &[("H2", vec![format!("{spelling}: {KEY}")], REQUIRED)]);
    }
    let ours =
        ["X-Api-Key", "X-Forwarded-For", "X-Portcullis-Org", "X-Portcullis-Anything", "X-Forwarded-Host", "X-Real-Ip"];
    for spelling in ours.into_iter().flat_map(spellings) {
        let lines = [header(KEY), format!("{spelling}: forged")];
        assert_eq!(get(&stage, &lines).status, 200, "H2: {spelling}");
        let seen = stage.upstream.seen().pop().unwrap();
        let forged = seen.headers.iter().find(|(_, value)| value.contains("forged"));
        assert_eq!(forged, None, "H2: {spelling}");
    }
}

/// The identity that `KEY` has, as the upstream is told.
const IDENTITY: [(&str, &str); 5] = [
    ("x-portcullis-org", ACME),
    ("x-portcullis-projects", "5f0000000000000000000011"),
    ("x-portcullis-credential", "5f0000000000000000000021"),
    ("x-portcullis-credential-type", "API_KEY"),
    ("x-portcullis-client-address", "127.0.0.1"),
];

#[track_caller]
fn identity_is_ours(stage: &Stage, row: &str) {
    let seen = stage.upstream.seen().pop().unwrap();
    for (name, value) in IDENTITY {
        let told = seen.all(name);
        assert!(told == [value], "{row}: {name}: {told:?}");
    }
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{row}");
    assert_eq!(seen.all("x-portcullis-roles").len(), 1, "{row}");
    assert_eq!(seen.all("x-portcullis-request-id").len(), 1, "{row}");
    let told = seen.headers.iter().filter(|(name, _)| name.starts_with("x-portcullis-")).count();
    assert_eq!(told, 7, "{row}: {:?}", seen.headers);
    assert!(seen.headers.iter().chain(&seen.trailers).all(|(_, value)| !value.contains("forged")), "{row}: {seen:?}");
}

#[test]
fn h3_h4_identity_is_ours_alone() {
    let stage = Stage::new();
    let named = "Connection: X-Portcullis-Credential, X-Forwarded-For, X-Portcullis-Org";
    for (row, more) in [
        ("H3", lines([named])),
        ("H3", lines(["Connection: close, x-portcullis-client-address", "Connection: X-PORTCULLIS-ROLES"])),
        ("H3", lines(["Connection: host, content-length, x-portcullis-request-id"])),
        ("H3", lines(["Proxy-Connection: X-Portcullis-Org", "Keep-Alive: X-Portcullis-Org"])),
        ("H4", lines(["X-Portcullis-Org: forged", "X-Portcullis-Credential: forged", "X-Portcullis-Roles: forged"])),
        ("H4", lines(["X-Portcullis-Org: forged", "X-Portcullis-Org: forged", "x-portcullis-org: forged"])),
        ("H4", lines(["X-Portcullis-New: forged", "X-Portcullis-: forged", "X-PORTCULLIS-CREDENTIAL-TYPE: forged"])),
        ("H3 H4", lines([named, "X-Portcullis-Org: forged", "X-Forwarded-For: forged"])),
        ("H2 H4", lines(["X_Portcullis_Org: forged", "X-Portcullis_Org: forged", "X.Portcullis-Org: forged"])),
    ] {
        let answer = get(&stage, &[vec![header(KEY)], more].concat());
        assert_eq!(answer.status, 200, "{row}");
        identity_is_ours(&stage, row);
    }
}

#[test]
fn h4_trailers_carry_nothing_that_is_ours() {
    let stage = Stage::new();
    let trailers = "X-Portcullis-Org: forged\r\nX_Portcullis_Credential: forged\r\nX-Forwarded-For: forged\r\n\
                    Authorization: forged\r\nX-API-Key: forged\r\nX~Api~Key: forged\r\nHost: forged\r\nForwarded: forged\r\n\
                    X-Forwarded-Host: forged\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\
                    Cookie: forged\r\nX-Checksum: abc\r\n";
    let answer = stage.send(format!(
        "POST / HTTP/1.1\r\nHost: api.example.com\r\n{}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Portcullis-Org, X-Checksum\r\n\
         TE: trailers\r\n\r\n5\r\nhello\r\n0\r\n{trailers}\r\n",
        header(KEY)
    ));
    assert_eq!(answer.status, 200, "H4: {}", answer.text());
    identity_is_ours(&stage, "H4");
    let seen = stage.upstream.seen().pop().unwrap();
    assert_eq!(seen.body, b"hello");
    assert!(seen.trailers.iter().all(|(name, _)| name == "x-checksum"), "H4: {:?}", seen.trailers);
}

#[test]
fn h4_identity_headers_that_are_off_are_still_removed() {
    let stage = Setting::new().gateway("outbound: { identity_headers: false }").set();
    let forged = ["X-Portcullis-Org: forged", "X_Portcullis_Org: forged", "X-Portcullis-Credential: forged"];
    assert_eq!(get(&stage, &[vec![header(KEY)], lines(forged)].concat()).status, 200);
    let seen = stage.upstream.seen().pop().unwrap();
    assert!(!seen.headers.iter().any(|(name, _)| name.contains("portcullis")), "H4: {:?}", seen.headers);
}

#[test]
fn h5_bytes_that_a_key_does_not_have() {
    let stage = Stage::new();
    let (front, back) = KEY.split_at(12);
    let hidden: [(&str, &[u8]); 14] = [
        ("NUL", b"\0"),
        ("CR", b"\r"),
        ("LF", b"\n"),
        ("CR LF", b"\r\n"),
        ("obs-fold", b"\r\n "),
        ("obs-fold with a tab", b"\r\n\t"),
        ("LF and blank", b"\n "),
        ("blank", b" "),
        ("tab", b"\t"),
        ("DEL", b"\x7f"),
        ("ESC", b"\x1b"),
        ("Latin 1", b"\xe9"),
        ("UTF-8", "é".as_bytes()),
        ("zero width", "\u{200b}".as_bytes()),
    ];
    for (row, bytes) in hidden {
        for (front, back) in [(front, back), (KEY, ""), ("", KEY)] {
            let raw = [
                b"GET / HTTP/1.1\r\nHost: api.example.com\r\nX-API-Key: ",
                front.as_bytes(),
                bytes,
                back.as_bytes(),
                b"\r\n\r\n",
            ]
            .concat();
            let answer = stage.send(raw);
            // A line's end behind the key, or blanks around it, are no part of the value.
            let is_whole = (front.is_empty() || back.is_empty())
                && bytes.iter().all(|byte| matches!(byte, b' ' | b'\t'))
                || back.is_empty() && matches!(bytes, b"\n" | b"\r\n");
            match is_whole {
                true => assert_eq!(answer.status, 200, "H5: {row}"),
                false => assert!(matches!(answer.status, 400 | 401), "H5: {row} was answered {}", answer.status),
            }
        }
    }
    for seen in stage.upstream.seen() {
        assert!(seen.headers.iter().all(|(name, value)| !name.contains(back) && !value.contains(back)), "H5: {seen:?}");
    }
    play(
        &stage,
        &[
            ("H5", vec!["X-API-Key:".into()], MALFORMED),
            ("H5", vec![header("fifteen-letters")], MALFORMED),
            ("H5", vec![header("sixteen--letters")], INVALID),
            ("H5", vec![header(&"x".repeat(512))], INVALID),
            ("H5", vec![header(&"x".repeat(513))], MALFORMED),
            ("H5", vec![header(&KEY.to_ascii_uppercase())], INVALID),
            ("H5", vec![header(&format!("\"{KEY}\""))], INVALID),
            ("H5", vec![format!("X-API-Key:{KEY}")], ALLOWED),
            ("H5", vec![format!("X-API-Key: \t {KEY} \t")], ALLOWED),
            ("H5", vec![format!("X-API-Key: {} {KEY}", "Bearer")], MALFORMED),
            ("H5", vec![format!("X-API-Key : {KEY}")], (400, "")),
        ],
    );
}

#[test]
fn h5_basic_that_is_not_quite() {
    let stage = Stage::new();
    let (user, password) = KEY.split_once('.').unwrap();
    let encode = |text: &[u8]| format!("Authorization: Basic {}", STANDARD.encode(text));
    let good = STANDARD.encode(format!("{user}:{password}"));
    let joined = |text: String| encode(text.as_bytes());
    play(
        &stage,
        &[
            ("H5", vec![format!("authorization: bAsIc {good}")], ALLOWED),
            ("H5", vec![format!("Authorization: Basic   {good}")], ALLOWED),
            ("H5", vec![format!("Authorization: Basic\t{good}")], MALFORMED),
            (
                "H5",
                vec![format!("Authorization: Basic {}", good.trim_end_matches('='))],
                if good.ends_with('=') { MALFORMED } else { ALLOWED },
            ),
            ("H5", vec![format!("Authorization: Basic {good}=")], MALFORMED),
            ("H5", vec![format!("Authorization: Basic {good} x")], MALFORMED),
            ("H5", vec![format!("Authorization: Basic {good}, Basic {good}")], MALFORMED),
            ("H5", vec![format!("Authorization: Basic {}-_", &good[2..])], MALFORMED),
            ("H5", vec!["Authorization: Basic".into()], MALFORMED),
            ("H5", vec!["Authorization: Basic =".into()], MALFORMED),
            ("H5", vec!["Authorization: Basic !!!!".into()], MALFORMED),
            // Trailing bits that decode to the same bytes.
            ("H5", vec!["Authorization: Basic YTpiY2RlZh==".into()], MALFORMED),
            ("H5", vec![joined(format!("{user}{password}"))], MALFORMED),
            ("H5", vec![joined(format!("{user}:{password}\n"))], MALFORMED),
            ("H5", vec![joined(format!("{user}:{password}\0"))], MALFORMED),
            ("H5", vec![joined(format!("{user}:{password} "))], MALFORMED),
            ("H5", vec![encode(&[b"\xef\xbb\xbf", user.as_bytes(), b":", password.as_bytes()].concat())], MALFORMED),
            ("H5", vec![joined(format!("{user}:"))], INVALID),
            ("H5", vec![joined(format!(":{password}"))], INVALID),
            ("H5", vec![joined(":".into())], INVALID),
            ("H5", vec![joined(format!("{user}:{password}:"))], INVALID),
            ("H5", vec![joined(format!("{}:x", "u".repeat(100_000 / 4)))], MALFORMED),
            // A key is the whole of it: nobody finds half of one.
            ("H5", vec![joined(format!("{user}.{password}:"))], INVALID),
        ],
    );
}

#[test]
fn h10_no_field_of_the_log_is_more_than_one_line_of_ascii() {
    let stage = Stage::new();
    let paths = [
        "/\u{9b}31mred",
        "/\u{7f}",
        "/\u{2028}",
        "/\u{1f600}",
        "/%0d%0a%1b[31m",
        "/\\u0022",
        "/{\"a\":1}",
        "/\u{202e}gpj",
    ];
    let mut sent = 0;
    for path in paths {
        for lines in [vec![], vec![header(KEY)], vec!["X-API-Key: \u{9b}31m-sixteen-letters".to_owned()]] {
            sent += usize::from(get_path(&stage, path, &lines).status != 0);
        }
    }
    for raw in [
        &b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: \x1b[31m\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\xc2\x9b\r\n\r\n",
        b"G\x1bT / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\"}{T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \"},{\r\n\r\n",
    ] {
        assert!(matches!(stage.send(raw).status, 400 | 401), "H10: {}", String::from_utf8_lossy(raw));
        sent += 1;
    }
    stage.log_of(sent);
    let text = std::fs::read(stage.path("access.log")).unwrap();
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), sent, "H10");
    assert!(text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "H10: {}", String::from_utf8_lossy(&text));
}

fn get_path(stage: &Stage, path: &str, lines: &[String]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    stage.send(format!("GET {path} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n"))
}

#[test]
fn challenges_name_what_is_on() {
    let issuer = "issuers: [{ issuer: i, audience: a, jwks_url: \"http://127.0.0.1:1/\", organizations: [5f0000000000000000000001] }]";
    for (credentials, challenges) in [
        (String::new(), vec!["Basic realm=\"Portcullis\", charset=\"UTF-8\""]),
        ("realm: \"my api\"".into(), vec!["Basic realm=\"my api\", charset=\"UTF-8\""]),
        ("basic: off".into(), vec!["ApiKey realm=\"Portcullis\", header=\"x-api-key\""]),
        ("basic: off, headers: [x-one, x-two]".into(), vec!["ApiKey realm=\"Portcullis\", header=\"x-one\""]),
        (issuer.into(), vec!["Basic realm=\"Portcullis\", charset=\"UTF-8\"", "Bearer realm=\"Portcullis\""]),
        (format!("basic: off, {issuer}"), vec!["Bearer realm=\"Portcullis\""]),
    ] {
        let stage = Setting::new().gateway(&format!("credentials: {{ {credentials} }}")).set();
        for lines in [vec![], vec!["X-API-Key: sixteen--letters".to_owned(), "X-One: sixteen--letters".to_owned()]] {
            let answer = get(&stage, &lines);
            assert_eq!(answer.status, 401, "{credentials}");
            assert_eq!(answer.all("www-authenticate"), challenges, "{credentials}");
        }
        assert!(get(&stage, &[header("x")]).status != 401 || credentials.contains("x-one"), "{credentials}");
    }
}
