//! threats.md H1, H2, H5 on the reading of claims alone.

use http::HeaderName;

use super::*;
use crate::access::digest_secret::Algorithm;
use crate::config::settings::Digest;

const KEY: &str = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1";

fn settings(basic: bool, bearer: bool) -> Credentials {
    Credentials {
        headers: vec![HeaderName::from_static("x-api-key"), HeaderName::from_static("x-other-key")],
        basic,
        bearer,
        digest: None,
        issuers: Vec::new(),
        client_certificates: false,
        forward: false,
        realm: "Portcullis".into(),
    }
}

fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn basic_of(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// The claim in a word, and its key in clear where it is one of the test's.
fn word(claim: &Claim<'_>) -> String {
    match claim {
        Claim::HeaderKey(key) => format!("key {}", String::from_utf8_lossy(key)),
        Claim::Basic(fingerprint) if *fingerprint == fingerprint::of_key(KEY.as_bytes()) => "basic, same key".into(),
        Claim::Bearer(token) => format!("bearer {token}"),
        other => other.as_str().into(),
    }
}

#[track_caller]
fn check_with(credentials: &Credentials, lines: &[(&str, &[u8])], expected: &str) {
    let headers = headers(lines);
    assert_eq!(word(&read(&headers, credentials)), expected, "{lines:?}");
}

#[track_caller]
fn check(lines: &[(&str, &[u8])], expected: &str) {
    check_with(&settings(true, true), lines, expected);
}

#[test]
fn carriers() {
    let key = format!("key {KEY}");
    let basic = basic_of("mcpvrzod:40395d07-a353-4881-853b-43efa41339a1");
    check(&[], "none");
    check(&[("x-api-key", KEY.as_bytes())], &key);
    check(&[("x-other-key", KEY.as_bytes())], &key);
    check(&[("authorization", basic.as_bytes())], "basic, same key");
    check(&[("authorization", basic.replacen("Basic", "bAsIc", 1).as_bytes())], "basic, same key");
    check(&[("authorization", basic.replacen(' ', "   ", 1).as_bytes())], "basic, same key");
    check(&[("authorization", b"bearer eyJ.a-b_c.d")], "bearer eyJ.a-b_c.d");
    // Only the first colon parts user from password.
    check(&[("authorization", basic_of("a:b:c").as_bytes())], "Basic");
    check(&[("authorization", basic_of("admin:admin").as_bytes())], "Basic");
}

#[test]
fn h1_two_carriers_are_never_one() {
    let other = "mcpvrzod.00000000-a353-4881-853b-43efa41339a1";
    let basic = basic_of("mcpvrzod:40395d07-a353-4881-853b-43efa41339a1");
    let (key, basic) = (KEY.as_bytes(), basic.as_bytes());
    check(&[("x-api-key", key), ("x-api-key", key)], "ambiguous");
    check(&[("x-api-key", key), ("x-api-key", other.as_bytes())], "ambiguous");
    check(&[("x-api-key", key), ("x-other-key", other.as_bytes())], "ambiguous");
    check(&[("x-api-key", other.as_bytes()), ("authorization", basic)], "ambiguous");
    check(&[("x-api-key", key), ("authorization", b"Bearer abc")], "ambiguous");
    check(&[("authorization", basic), ("authorization", basic)], "ambiguous");
    check(&[("authorization", basic), ("authorization", b"Bearer abc")], "ambiguous");
    check(&[("authorization", b"Negotiate abc"), ("authorization", basic)], "ambiguous");
    check(&[("authorization", basic), ("authorization", b"Negotiate abc")], "ambiguous");
    // The identical credential, twice in different carriers, is one credential.
    check(&[("x-api-key", key), ("x-other-key", key)], &format!("key {KEY}"));
    check(&[("x-api-key", key), ("authorization", basic)], &format!("key {KEY}"));
    // A malformed one beside a good one is still a refusal.
    check(&[("x-api-key", key), ("authorization", b"Basic !")], "malformed");
    check(&[("x-api-key", key), ("x-other-key", b"short")], "malformed");
    check(&[("x-api-key", key), ("x-other-key", b"")], "malformed");
    let joined = format!("{KEY}, {KEY}");
    check(&[("x-api-key", joined.as_bytes())], "malformed");
}

#[test]
fn h2_other_spellings_are_not_read() {
    for name in ["x_api_key", "x.api.key", "x-api_key", "x-apikey", "x-api-key2"] {
        check(&[(name, KEY.as_bytes())], "none");
        check(&[(name, KEY.as_bytes()), ("x-api-key", KEY.as_bytes())], &format!("key {KEY}"));
    }
}

#[test]
fn h5_keys_are_visible_ascii() {
    for key in [
        &b"mcpvrzod.40395d07\xe9a353-4881-853b-43efa41339a1"[..],
        b"mcpvrzod 40395d07-a353-4881-853b-43efa41339a1",
        b"mcpvrzod\t40395d07-a353-4881-853b-43efa41339a1",
        b"fifteen-letters",
        b"",
    ] {
        check(&[("x-api-key", key)], "malformed");
    }
    check(&[("x-api-key", b"sixteen--letters")], "key sixteen--letters");
    check(&[("x-api-key", &[b'k'; 512])], &format!("key {}", "k".repeat(512)));
    check(&[("x-api-key", &[b'k'; 513])], "malformed");
    // What is no header value at all never gets here.
    for key in ["a\0b", "a\rb", "a\nb"] {
        assert!(HeaderValue::from_bytes(key.as_bytes()).is_err());
    }
}

#[test]
fn basic_is_strict() {
    for text in [
        "no-colon-in-this-one",
        "user:pass\0word",
        "user:pass\r\nword",
        "us\u{e9}r:password",
        "a b:c",
        "",
        "user:p\u{7f}",
    ] {
        check(&[("authorization", basic_of(text).as_bytes())], "malformed");
    }
    for line in [
        "Basic",
        "Basic ",
        "Basic =",
        "Basic YTpi YTpi",
        "Basic YTpiYw",
        "Basic YTpiYx==",
        "Basic YTpi\tYTpi",
        "Basic\tYTpi",
        "Basic YTpi,Basic YTpi",
        "Basic _-pi",
    ] {
        check(&[("authorization", line.as_bytes())], "malformed");
    }
    let long = basic_of(&format!("{}:{}", "u".repeat(255), "p".repeat(256)));
    check(&[("authorization", long.as_bytes())], "Basic");
    let longer = basic_of(&format!("{}:{}", "u".repeat(300), "p".repeat(300)));
    check(&[("authorization", longer.as_bytes())], "malformed");
}

#[test]
fn bearer_is_a_token() {
    for line in
        ["Bearer", "Bearer ", "Bearer =", "Bearer a b", "Bearer a,b", "Bearer a=b", "Bearer \"a\"", "Bearer a\u{e9}"]
    {
        check(&[("authorization", line.as_bytes())], "malformed");
    }
    check(&[("authorization", b"Bearer a~b+c/d==")], "bearer a~b+c/d==");
}

#[test]
fn what_is_not_ours_belongs_to_the_upstream() {
    let basic = basic_of("a:b");
    check(&[("authorization", b"Negotiate YTpi")], "none");
    check(&[("authorization", b"")], "none");
    check(&[("authorization", b"Basics YTpi")], "none");
    check(&[("authorization", b"AWS4-HMAC-SHA256 x"), ("authorization", b"Negotiate y")], "none");
    check_with(&settings(false, true), &[("authorization", basic.as_bytes())], "none");
    check_with(&settings(true, false), &[("authorization", b"Bearer a b")], "none");
    let own = basic_of("mcpvrzod:40395d07-a353-4881-853b-43efa41339a1");
    check_with(&settings(true, false), &[("authorization", own.as_bytes())], "basic, same key");
    check_with(&settings(false, true), &[("authorization", b"Bearer a=")], "bearer a=");
    let both = [("authorization", basic.as_bytes()), ("authorization", &b"Bearer a"[..])];
    check_with(&settings(false, false), &both, "none");
    let beside = [("x-api-key", KEY.as_bytes()), ("authorization", &b"Bearer a"[..])];
    check_with(&settings(true, false), &beside, &format!("key {KEY}"));
}

#[test]
fn digest_is_a_carrier_where_it_is_on() {
    let on = || Credentials {
        digest: Some(Digest { realm: "P".into(), algorithms: vec![Algorithm::Sha256], nonce_key: None }),
        ..settings(false, false)
    };
    let parameters = |line: &[u8]| match read(&headers(&[("authorization", line)]), &on()) {
        Claim::Digest(parameters) => Some(parameters.to_vec()),
        _ => None,
    };
    // What they say is looked at with the proof.
    assert_eq!(parameters(b"Digest a=b, c").as_deref(), Some(&b"a=b, c"[..]));
    assert_eq!(parameters(b"dIGEST   a=b ").as_deref(), Some(&b"a=b "[..]));
    assert_eq!(parameters(b"Digest").as_deref(), Some(&b""[..]));
    assert_eq!(parameters(b"Digest,a=b"), None);
    let line = [("authorization", &b"Digest a=b"[..])];
    check(&line, "none");
    check(&[("x-api-key", KEY.as_bytes()), line[0]], &format!("key {KEY}"));
    for beside in [("x-api-key", KEY.as_bytes()), line[0], ("authorization", b"Negotiate x")] {
        check_with(&on(), &[beside, line[0]], "ambiguous");
        check_with(&on(), &[line[0], beside], "ambiguous");
    }
    check_with(&on(), &[("x-api-key", b"short"), line[0]], "malformed");
}
