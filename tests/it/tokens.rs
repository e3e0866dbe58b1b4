//! threats.md H9: a Kubernetes service-account token end to end, with keys from a file and from a URL, and every forgery of it.

pub mod forge;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use portcullis::clock::Timestamp;
use serde_json::{Value, json};

use crate::stage::{ACME, KEY, OPEN, START, Setting, Stage, Upstream, directory, wait_for};
use forge::{BASE64, Forge, hs256, unsigned};

use base64::Engine;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const AUDIENCE: &str = "https://api.example.com";
const SUBJECT: &str = "system:serviceaccount:jobs:batch";
const ACCOUNT: &str = "5f0000000000000000000031";

fn seconds(more: i64) -> i64 {
    START.unix_seconds() + more
}

/// The claims of a projected token, as a cluster makes them.
fn claims() -> Value {
    json!({
        "aud": [AUDIENCE, "https://other.example.com"],
        "exp": seconds(3607), "iat": seconds(0), "nbf": seconds(0), "iss": ISSUER, "sub": SUBJECT,
        "jti": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "kubernetes.io": {
            "namespace": "jobs",
            "node": { "name": "node-1", "uid": "8b1d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed" },
            "pod": { "name": "batch-7d9c", "uid": "7b1d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed" },
            "serviceaccount": { "name": "batch", "uid": "6b1d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed" },
        },
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

fn without(member: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(member);
    claims
}

fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn accounts() -> String {
    let account = |id: &str, name: &str, subject: &str, more: &str| {
        format!(
            "      - {{ client_id: pcl_sa_id_{id}, name: {name}, token: {{ issuer: \"{ISSUER}\", subject: \"{subject}\" }}{more} }}\n"
        )
    };
    let acme = account(ACCOUNT, "batch", SUBJECT, ", access_list: [127.0.0.1, 192.0.2.0/24], roles: [\"app:reader\"]")
        + &account("5f0000000000000000000032", "off", "system:serviceaccount:jobs:off", ", enabled: false")
        + &account("5f0000000000000000000033", "bare", "system:serviceaccount:jobs:bare", "");
    directory().replace(&format!("  - id: {OPEN}"), &format!("    service_accounts:\n{acme}  - id: {OPEN}"))
}

fn setting(source: &str) -> Setting {
    Setting::new()
        .directory(&accounts())
        .gateway("client_address: { trusted_proxies: [127.0.0.1] }")
        .gateway("limits: { max_header_bytes: 4MiB, failed_attempts: off }")
        .gateway(&format!(
            "credentials: {{ issuers: [{{ issuer: \"{ISSUER}\", audience: \"{AUDIENCE}\", {source}, organizations: [{ACME}] }}] }}"
        ))
}

fn status(stage: &Stage, token: &str) -> u16 {
    stage.get("/", &[&format!("Authorization: Bearer {token}")]).status
}

fn by_file(key: &Forge) -> Stage {
    let stage = setting("jwks_file: jwks.json").file("jwks.json", jwks(&[key.jwk("k1")])).set();
    let good = key.token("k1", &claims());
    wait_for("the keys", || status(&stage, &good) == 200);
    stage
}

#[test]
fn a_service_account_token_is_a_credential_with_a_list() {
    for key in [Forge::rsa(), Forge::p256()] {
        let stage = by_file(&key);
        let token = key.token("k1", &claims());
        let bearer = format!("Authorization: Bearer {token}");
        let lower = format!("authorization: bearer   {token}");
        for (row, lines, expected) in [
            ("on the list", vec![&*bearer], (200, "")),
            ("in another case", vec![&*lower], (200, "")),
            ("from the list's network", vec![&*bearer, "X-Forwarded-For: 192.0.2.7"], (200, "")),
            ("not on the list", vec![&*bearer, "X-Forwarded-For: 203.0.113.9"], (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST")),
            ("twice", vec![&*bearer, &*bearer], (400, "AMBIGUOUS_CREDENTIALS")),
            ("besides a key", vec![&*bearer, &format!("X-API-Key: {KEY}")], (400, "AMBIGUOUS_CREDENTIALS")),
            ("nothing", vec!["Authorization: Bearer"], (400, "MALFORMED_CREDENTIALS")),
            (
                "padding within",
                vec![&format!("Authorization: Bearer {}", token.replacen('.', "=.", 1))],
                (400, "MALFORMED_CREDENTIALS"),
            ),
            ("two words", vec!["Authorization: Bearer a b"], (400, "MALFORMED_CREDENTIALS")),
            ("as a key", vec![&format!("X-API-Key: {}", &token[..500])], (401, "INVALID_CREDENTIALS")),
        ] {
            let answer = stage.get("/", &lines);
            assert_eq!(answer.outcome(), (expected.0, expected.1.to_owned()), "H9: {row}");
        }
        let seen = stage.upstream.nth(1);
        assert_eq!(seen.header("authorization"), None, "the token stays here");
        assert_eq!(seen.header("x-portcullis-credential"), Some(ACCOUNT));
        assert_eq!(seen.header("x-portcullis-credential-type"), Some("SERVICE_ACCOUNT"));
        assert_eq!(seen.header("x-portcullis-org"), Some(ACME));
        assert_eq!(seen.header("x-portcullis-roles"), Some("app:reader"));
        // Its organization requires lists, and this account has none.
        let bare = key.token("k1", &with("sub", json!("system:serviceaccount:jobs:bare")));
        let answer = stage.get("/", &[&format!("Authorization: Bearer {bare}")]);
        assert_eq!(answer.outcome(), (403, "ORG_REQUIRES_ACCESS_LIST".into()));
        let text = std::fs::read_to_string(stage.path("access.log")).unwrap();
        assert!(!text.contains(token.rsplit('.').next().unwrap()), "H6: a token in the log");
    }
}

#[test]
fn h9_forged_tokens_are_refused() {
    let (rsa, p256, mallory) = (Forge::rsa(), Forge::p256(), Forge::rsa());
    let evil = Upstream::answering({
        let keys = jwks(&[mallory.jwk("k1")]);
        move |_| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{keys}", keys.len()).into_bytes()
    });
    let both = jwks(&[rsa.jwk("k1"), p256.jwk("k2")]);
    let stage = setting("jwks_file: jwks.json").file("jwks.json", &both).set();
    let good = rsa.token("k1", &claims());
    wait_for("the keys", || status(&stage, &good) == 200);
    let passed = stage.upstream.seen().len();

    let header = |alg: &str| json!({ "alg": alg, "kid": "k1", "typ": "JWT" });
    let more = |member: &str, value: Value| {
        let mut header = header("RS256");
        header[member] = value;
        header
    };
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    let other_body = BASE64.encode(with("sub", json!("system:serviceaccount:jobs:bare")).to_string());
    let der = rsa.public_der();
    let zero = BASE64.encode([0_u8; 64]);
    let mut forged: Vec<(&str, String)> = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        forged.push(("none", format!("{}.", unsigned(&header(none), &claims()))));
        forged.push(("none with a signature", format!("{}.{signature}", unsigned(&header(none), &claims()))));
        forged.push(("none, no kid", format!("{}.e30", unsigned(&json!({ "alg": none }), &claims()))));
    }
    for secret in [&der[..], rsa.jwk("k1")["n"].as_str().unwrap().as_bytes(), rsa.jwk("k1").to_string().as_bytes(), b""]
    {
        forged.push(("HS256 with the public key", hs256(&header("HS256"), &claims(), secret)));
        forged.push(("HMAC that says RS256", hs256(&header("RS256"), &claims(), secret)));
    }
    for algorithm in ["HS384", "HS512", "RS384", "RS512", "PS256", "ES256", "ES256K", "EdDSA", "rs256", "RS256 "] {
        forged.push(("another algorithm", format!("{}.{signature}", unsigned(&header(algorithm), &claims()))));
    }
    let ec = |kid: &str| unsigned(&json!({ "alg": "ES256", "kid": kid }), &claims());
    forged.push(("a signature of zeros", format!("{}.{zero}", ec("k2"))));
    forged.push(("a signature of zeros, RSA's kid", format!("{}.{zero}", ec("k1"))));
    forged.push(("RSA's kid on an EC signature", p256.token("k1", &claims())));
    for kid in ["../../../../dev/null", "/etc/passwd", "k1\0", "k1' OR '1'='1", "K1", "", "file:///dev/null", "k9"] {
        forged.push(("kid", rsa.signed(&json!({ "alg": "RS256", "kid": kid }), &claims())));
        forged.push(("kid with HMAC", hs256(&json!({ "alg": "HS256", "kid": kid }), &claims(), b"")));
    }
    for kid in [json!(1), json!(["k1"]), json!({ "k1": 1 })] {
        forged.push(("kid is no text", rsa.signed(&json!({ "alg": "RS256", "kid": kid }), &claims())));
    }
    let url = format!("http://{}/jwks.json", evil.address());
    for member in ["jku", "x5u"] {
        forged.push((member, mallory.signed(&more(member, json!(url)), &claims())));
    }
    forged.push(("jwk", mallory.signed(&more("jwk", mallory.jwk("k1")), &claims())));
    forged.push(("crit", rsa.signed(&more("crit", json!(["exp"])), &claims())));
    forged.push(("foreign key", mallory.token("k1", &claims())));
    for claims in [
        with("iss", json!("https://evil.example.com")),
        with("iss", json!(format!("{ISSUER}/"))),
        with("iss", json!(ISSUER.to_uppercase())),
        with("iss", json!([ISSUER])),
        without("iss"),
        with("aud", json!("https://other.example.com")),
        with("aud", json!(ISSUER)),
        with("aud", json!([])),
        with("aud", json!([format!("{AUDIENCE}.evil.example.com")])),
        with("aud", json!([format!("{AUDIENCE}/")])),
        with("aud", json!([[AUDIENCE]])),
        with("aud", json!(null)),
        without("aud"),
        with("sub", json!("system:serviceaccount:jobs:nobody")),
        with("sub", json!("system:serviceaccount:jobs:off")),
        with("sub", json!(format!("{SUBJECT}\0"))),
        with("sub", json!("")),
        with("sub", json!([SUBJECT])),
        without("sub"),
        with("exp", json!(seconds(0))),
        with("exp", json!(seconds(-1))),
        with("exp", json!(0)),
        with("exp", json!(-1)),
        with("exp", json!(seconds(3600).to_string())),
        with("exp", json!(1e300)),
        with("exp", json!(null)),
        without("exp"),
        with("nbf", json!(seconds(60))),
        with("nbf", json!("now")),
        with("nbf", json!(1e300)),
    ] {
        forged.push(("claims", rsa.token("k1", &claims)));
    }
    for token in [
        format!("{head}.{other_body}.{signature}"),
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{head}.{body}.{body}.{body}.{signature}"),
        format!("{head}.{body}.{}", &signature[..signature.len() - 4]),
        format!("{head}.{body}.{signature}AAAA"),
        format!("{good}=="),
        ".".into(),
        "..".into(),
        "e30.e30.e30".into(),
        "a".into(),
        format!("{}.{body}.{signature}", BASE64.encode("{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"k1\"}")),
        format!("{}.{body}.{signature}", BASE64.encode("[".repeat(5_000))),
        "A".repeat(1024 * 1024),
        format!("{head}.{}.{signature}", "A".repeat(1024 * 1024)),
        ".".repeat(1024 * 1024),
    ] {
        forged.push(("form", token));
    }
    let mut answers = std::collections::BTreeSet::new();
    for (row, token) in &forged {
        for _ in 0..2 {
            let begun = Instant::now();
            let answer = stage.get("/", &[&format!("Authorization: Bearer {token}")]);
            let row = format!("H9: {row}: {token:.400}");
            assert_eq!(answer.outcome(), (401, "INVALID_CREDENTIALS".into()), "{row}");
            assert!(begun.elapsed().as_secs() < 5, "{row} took {:?}", begun.elapsed());
            let mut body = answer.json();
            body["requestId"] = Value::Null;
            answers.insert(body.to_string());
            assert!(answer.all("www-authenticate").iter().any(|challenge| challenge.starts_with("Bearer")), "{row}");
        }
    }
    assert_eq!(answers.len(), 1, "H7: {answers:?}");
    assert_eq!(stage.upstream.seen().len(), passed, "H9");
    assert!(evil.seen().is_empty(), "H9: keys were fetched from where a token said");
    assert_eq!(status(&stage, &good), 200);
    // With limits as they are by default, so much never becomes a request.
    let ordinary = Stage::new();
    let long = format!("Authorization: Bearer {}", "A".repeat(1024 * 1024));
    assert!(matches!(ordinary.get("/", &[&long]).status, 431 | 0), "H9");
}

#[test]
fn h9_a_remembered_token_ends_in_its_second() {
    let key = Forge::p256();
    let stage = by_file(&key);
    let token = key.token("k1", &with("exp", json!(seconds(100))));
    let early = key.token("k1", &with("nbf", json!(seconds(50))));
    for (now, expected) in
        [(0, (200, 401)), (39, (200, 401)), (40, (200, 200)), (99, (200, 200)), (100, (401, 200)), (101, (401, 200))]
    {
        stage.clock.set(Timestamp::from_unix_seconds(seconds(now)));
        assert_eq!((status(&stage, &token), status(&stage, &early)), expected, "H9: after {now} s");
    }
}

#[test]
fn h9_a_removed_kid_in_the_file_evicts_what_is_remembered() {
    let (old, new) = (Forge::rsa(), Forge::p256());
    let stage = by_file(&old);
    let (before, after) = (old.token("k1", &claims()), new.token("k2", &claims()));
    assert_eq!((status(&stage, &before), status(&stage, &after)), (200, 401));
    stage.replace("jwks.json", jwks(&[old.jwk("k1"), new.jwk("k2")]));
    wait_for("the new key", || status(&stage, &after) == 200);
    assert_eq!(status(&stage, &before), 200, "both serve while keys rotate");
    // What is no key set changes nothing.
    let failures = stage.metric("portcullis_key_refresh_failures_total");
    stage.replace("jwks.json", "{ \"keys\": [] }");
    wait_for("the refusal", || stage.metric("portcullis_key_refresh_failures_total") > failures);
    assert_eq!((status(&stage, &before), status(&stage, &after)), (200, 200));
    stage.replace("jwks.json", jwks(&[new.jwk("k2")]));
    wait_for("the old key to go", || status(&stage, &before) == 401);
    assert_eq!(status(&stage, &after), 200);
    // The name comes back with another key behind it.
    let other = Forge::rsa();
    stage.replace("jwks.json", jwks(&[other.jwk("k1"), new.jwk("k2")]));
    wait_for("the other key", || status(&stage, &other.token("k1", &claims())) == 200);
    assert_eq!(status(&stage, &before), 401);
}

#[test]
fn h9_keys_from_a_url() {
    let (old, new) = (Forge::rsa(), Forge::p256());
    let served = Arc::new(Mutex::new(jwks(&[old.jwk("k1"), new.jwk("k2")])));
    let source = Arc::clone(&served);
    let server = Upstream::answering(move |_| {
        let keys = source.lock().unwrap().clone();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/jwk-set+json\r\nContent-Length: {}\r\n\r\n{keys}",
            keys.len()
        )
        .into_bytes()
    });
    let url = |version: u32| format!("jwks_url: \"http://{}/openid/v1/jwks?v={version}\"", server.address());
    let stage = setting(&format!("{}, jwks_token_file: token", url(1))).file("token", "cluster-token-0123\n").set();
    let (before, after) = (old.token("k1", &claims()), new.token("k2", &claims()));
    wait_for("the keys", || status(&stage, &before) == 200);
    assert_eq!(status(&stage, &after), 200);
    let asked = server.nth(1);
    assert_eq!(asked.line, "GET /openid/v1/jwks?v=1 HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Bearer cluster-token-0123"));
    // The key is taken out at the issuer; a changed address is asked at once.
    *served.lock().unwrap() = jwks(&[new.jwk("k2")]);
    stage.replace("portcullis.yaml", stage.configuration().replace("?v=1", "?v=2"));
    wait_for("the old key to go", || status(&stage, &before) == 401);
    assert_eq!(status(&stage, &after), 200);
    // Out of reach, the keys serve for a day and not longer.
    *served.lock().unwrap() = "nothing".into();
    let long = new.token("k2", &with("exp", json!(seconds(7 * 86_400))));
    assert_eq!(status(&stage, &long), 200);
    stage.clock.set(Timestamp::from_unix_seconds(seconds(86_400)));
    assert_eq!(status(&stage, &long), 200, "H9: a day old");
    stage.clock.set(Timestamp::from_unix_seconds(seconds(86_402)));
    assert_eq!(status(&stage, &long), 401, "H9: more than a day old");
}
