//! threats.md H9: forged tokens of every kind, and what the verifier remembers.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::*;
use crate::access::id::Id;
use crate::config::settings::{Gateway, JwksSource};
use crate::gate::judge::tests::gateway;
use crate::live::key_sets::tests::{Forge, set, unsigned};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://kubernetes.default.svc";
const SUBJECT: &str = "system:serviceaccount:jobs:batch";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW + seconds)
}

fn issuer(name: &str, algorithms: &[JwtAlgorithm]) -> Issuer {
    Issuer {
        issuer: name.into(),
        audience: "portcullis".into(),
        jwks: JwksSource::File("jwks.json".into()),
        algorithms: algorithms.to_vec(),
        organizations: vec!["5f0000000000000000000001".parse::<Id>().unwrap()],
    }
}

fn settings(issuers: Vec<Issuer>) -> Arc<Gateway> {
    let mut gateway = gateway();
    gateway.credentials.issuers = issuers;
    Arc::new(gateway)
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "sub": SUBJECT, "aud": ["portcullis"], "exp": NOW + 600, "nbf": NOW - 5, "iat": NOW - 5 })
}

fn with(mut claims: Value, member: &str, value: Value) -> Value {
    claims[member] = value;
    claims
}

/// One issuer with one P-256 key `k1`, and one with an RSA key of the same name.
struct World {
    tokens: Tokens,
    settings: Arc<Gateway>,
    keys: KeySets,
    p256: Forge,
    rsa: Forge,
}

impl World {
    fn new() -> Self {
        let (p256, rsa) = (Forge::p256(), Forge::rsa());
        let mut keys = KeySets::default();
        keys.insert(ISSUER, set(&[p256.jwk("k1")], at(0)).unwrap());
        keys.insert("https://rsa", set(&[rsa.jwk("k1")], at(0)).unwrap());
        let rsa_issuer = issuer("https://rsa", &[JwtAlgorithm::RS256, JwtAlgorithm::PS256]);
        let settings = settings(vec![rsa_issuer, issuer(ISSUER, &[JwtAlgorithm::ES256])]);
        Self { tokens: Tokens::default(), settings, keys, p256, rsa }
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Subject, TokenFault> {
        self.tokens.verify(token, &self.settings, (&self.keys, None), now, || true)
    }

    #[track_caller]
    fn refuses(&self, token: &str, fault: TokenFault) {
        for _ in 0..2 {
            assert_eq!(self.verify(token, at(0)), Err(fault), "{token}");
        }
        assert_eq!(self.tokens.remembered(), 0);
    }

    fn good(&self) -> String {
        self.p256.token(&json!({ "alg": "ES256", "kid": "k1" }), &claims())
    }
}

#[test]
fn a_token_proves_its_subject() {
    let world = World::new();
    let subject = world.verify(&world.good(), at(0)).unwrap();
    assert_eq!(subject.fingerprint, fingerprint::of_subject(ISSUER, SUBJECT));
    assert_eq!((subject.origin, subject.expires_at), (Origin::Foreign(1), at(600)));
    for algorithm in ["RS256", "PS256"] {
        let header = json!({ "alg": algorithm, "kid": "k1", "typ": "JWT" });
        let token = world.rsa.token(&header, &with(claims(), "iss", json!("https://rsa")));
        assert_eq!(world.verify(&token, at(0)).unwrap().origin, Origin::Foreign(0));
    }
    let header = json!({ "alg": "ES256" });
    for good in [
        with(claims(), "aud", json!("portcullis")),
        with(claims(), "aud", json!(["other", "portcullis"])),
        with(claims(), "exp", json!(NOW as f64 + 1.5)),
        with(claims(), "nbf", json!(NOW + NOT_BEFORE_LEEWAY)),
        with(claims(), "nbf", Value::Null),
        with(claims(), "extra", json!({ "deep": [1, 2, 3] })),
    ] {
        assert!(world.verify(&world.p256.token(&header, &good), at(0)).is_ok(), "{good}");
    }
}

#[test]
fn h9_algorithms_can_not_be_confused() {
    let world = World::new();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let message = unsigned(&json!({ "alg": none, "kid": "k1" }), &claims());
        world.refuses(&format!("{message}.{}", BASE64.encode("x")), TokenFault::Algorithm);
        world.refuses(&format!("{message}."), TokenFault::NotAJwt);
    }
    for (algorithm, hash) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
        for (forge, issuer) in [(&world.p256, ISSUER), (&world.rsa, "https://rsa")] {
            let claims = with(claims(), "iss", json!(issuer));
            let message = unsigned(&json!({ "alg": algorithm, "kid": "k1" }), &claims);
            for secret in [forge.public_bytes(), forge.jwk("k1").to_string().into_bytes()] {
                let signature = hmac::sign(&hmac::Key::new(hash, &secret), message.as_bytes());
                world.refuses(&format!("{message}.{}", BASE64.encode(signature)), TokenFault::Algorithm);
            }
        }
    }
    // An algorithm that is pinned elsewhere, or suits the key but is not pinned here.
    let header = |algorithm: &str| json!({ "alg": algorithm, "kid": "k1" });
    world.refuses(&world.rsa.token(&header("RS256"), &claims()), TokenFault::Algorithm);
    world.refuses(
        &world.rsa.token(&header("RS512"), &with(claims(), "iss", json!("https://rsa"))),
        TokenFault::Algorithm,
    );
    world.refuses(&world.p256.token(&header("es256"), &claims()), TokenFault::Algorithm);
}

#[test]
fn h9_keys_are_the_issuers_own() {
    let world = World::new();
    let header = json!({ "alg": "ES256", "kid": "k1" });
    world.refuses(&Forge::p256().token(&header, &claims()), TokenFault::Signature);
    // Signed by one issuer in the name of another.
    world.refuses(&world.p256.token(&header, &with(claims(), "iss", json!("https://rsa"))), TokenFault::Algorithm);
    // A key that the token brings along is not looked at.
    let own = Forge::p256();
    let brought =
        json!({ "alg": "ES256", "kid": "k1", "jwk": own.jwk("k1"), "jku": "https://evil/jwks", "x5c": ["AA"] });
    world.refuses(&own.token(&brought, &claims()), TokenFault::Signature);
    for kid in ["../../etc/passwd", "k1/../k1", "K1", "", "k1\0", "' OR 1=1", "/dev/null"] {
        world.refuses(&world.p256.token(&json!({ "alg": "ES256", "kid": kid }), &claims()), TokenFault::UnknownKey);
    }
    let good = world.good();
    for altered in [good.replace("ey", "eZ"), format!("{good}A"), good[..good.len() - 2].to_owned()] {
        assert!(world.verify(&altered, at(0)).is_err());
    }
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (_, payload) = message.split_once('.').unwrap();
    let swapped = unsigned(&json!({ "alg": "ES256", "kid": "k1" }), &with(claims(), "sub", json!("system:admin")));
    world.refuses(&format!("{swapped}.{signature}"), TokenFault::Signature);
    world.refuses(&format!("{}.{payload}.{signature}", BASE64.encode("{\"alg\":\"ES256\"}")), TokenFault::Signature);
}

#[test]
fn h9_claims_have_to_fit() {
    let world = World::new();
    let header = json!({ "alg": "ES256", "kid": "k1" });
    for (claims, fault) in [
        (with(claims(), "iss", json!("https://kubernetes.default.svc/")), TokenFault::Issuer),
        (with(claims(), "iss", json!("")), TokenFault::Issuer),
        (with(claims(), "aud", json!("https://kubernetes.default.svc")), TokenFault::Audience),
        (with(claims(), "aud", json!(["portcullis2", "Portcullis"])), TokenFault::Audience),
        (with(claims(), "aud", json!([])), TokenFault::Audience),
        (with(claims(), "aud", Value::Null), TokenFault::Claims),
        (with(claims(), "aud", json!([1])), TokenFault::Claims),
        (with(claims(), "exp", json!(NOW)), TokenFault::Expired),
        (with(claims(), "exp", json!(NOW - 1)), TokenFault::Expired),
        (with(claims(), "exp", json!(NOW as f64 + 0.9)), TokenFault::Expired),
        (with(claims(), "exp", json!(-1)), TokenFault::Expired),
        (with(claims(), "exp", Value::Null), TokenFault::Claims),
        (with(claims(), "exp", json!("9999999999")), TokenFault::Claims),
        (with(claims(), "exp", json!(1e300)), TokenFault::Claims),
        (with(claims(), "nbf", json!(NOW + NOT_BEFORE_LEEWAY + 1)), TokenFault::NotYetValid),
        (with(claims(), "nbf", json!("soon")), TokenFault::Claims),
        (with(claims(), "sub", json!("")), TokenFault::Claims),
        (with(claims(), "sub", json!("a\0b")), TokenFault::Claims),
        (with(claims(), "sub", json!(7)), TokenFault::Claims),
        (json!({}), TokenFault::Claims),
        (json!("text"), TokenFault::Claims),
    ] {
        world.refuses(&world.p256.token(&header, &claims), fault);
    }
}

#[test]
fn h9_form_is_strict() {
    let world = World::new();
    let good = world.good();
    for token in
        ["", ".", "..", "...", "a", "a.b", "a.b.c.d", ".b.c", "a..c", "a.b.", &format!("{good}."), &format!(".{good}")]
    {
        world.refuses(token, TokenFault::NotAJwt);
    }
    world.refuses("a.b.c", TokenFault::Header);
    let header = |json: &str| format!("{}.{}", BASE64.encode(json), good.split_once('.').unwrap().1);
    for json in [
        "{}",
        "[]",
        "{\"alg\":7}",
        "{\"alg\":\"ES256\",\"alg\":\"none\"}",
        "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"ES256\",\"kid\":7}",
        "{\"alg\":\"ES256\"} x",
    ] {
        world.refuses(&header(json), TokenFault::Header);
    }
    let twice =
        format!("{{\"iss\":\"{ISSUER}\",\"sub\":\"a\",\"sub\":\"b\",\"aud\":\"portcullis\",\"exp\":{}}}", NOW + 9);
    let message = format!("{}.{}", BASE64.encode("{\"alg\":\"ES256\"}"), BASE64.encode(twice));
    world.refuses(&format!("{message}.AA"), TokenFault::Claims);
    // Padding and the other base64 alphabet are no part of RFC 7515.
    world.refuses(&good.replacen('.', "=.", 1), TokenFault::Header);
}

#[test]
fn h9_a_huge_token_is_refused_at_sight() {
    let world = World::new();
    world.refuses(&"a".repeat(1024 * 1024), TokenFault::TooLong);
    let claims = with(claims(), "pad", json!("x".repeat(LONGEST_TOKEN)));
    world.refuses(&world.p256.token(&json!({ "alg": "ES256", "kid": "k1" }), &claims), TokenFault::TooLong);
    let deep = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
    let message = format!("{}.{}", BASE64.encode("{\"alg\":\"ES256\"}"), BASE64.encode(deep));
    world.refuses(&format!("{message}.AA"), TokenFault::Claims);
}

#[test]
fn what_is_remembered_still_ends() {
    let world = World::new();
    let token = world.good();
    assert!(world.verify(&token, at(0)).is_ok());
    assert_eq!(world.tokens.remembered(), 1);
    assert!(world.verify(&token, at(599)).is_ok());
    assert_eq!(world.verify(&token, at(600)), Err(TokenFault::Expired));
    assert_eq!(world.tokens.remembered(), 0);
}

#[test]
fn a_removed_key_takes_its_tokens_along() {
    let mut world = World::new();
    let token = world.good();
    assert!(world.verify(&token, at(0)).is_ok());
    // The same key, newly fetched, with another beside it: verified again, and still good.
    world.keys.insert(ISSUER, set(&[world.p256.jwk("k1"), Forge::p256().jwk("k2")], at(60)).unwrap());
    assert!(world.verify(&token, at(60)).is_ok());
    world.keys.insert(ISSUER, set(&[Forge::p256().jwk("k2")], at(120)).unwrap());
    assert_eq!(world.verify(&token, at(120)), Err(TokenFault::UnknownKey));
    world.keys.retain(|issuer| issuer != ISSUER);
    assert_eq!(world.verify(&token, at(120)), Err(TokenFault::NoKeys));
}

#[test]
fn stale_keys_are_not_used() {
    let world = World::new();
    let claims = with(claims(), "exp", json!(NOW + 1_000_000));
    let token = world.p256.token(&json!({ "alg": "ES256", "kid": "k1" }), &claims);
    let day = 24 * 3600;
    assert!(world.verify(&token, at(day)).is_ok());
    // Remembered or not.
    assert_eq!(world.verify(&token, at(day + 1)), Err(TokenFault::StaleKeys));
    let other = world.p256.token(&json!({ "alg": "ES256" }), &claims);
    assert_eq!(world.verify(&other, at(day + 1)), Err(TokenFault::StaleKeys));
}

#[test]
fn other_settings_remember_nothing() {
    let mut world = World::new();
    let token = world.good();
    assert!(world.verify(&token, at(0)).is_ok());
    let mut other = issuer(ISSUER, &[JwtAlgorithm::ES256]);
    other.audience = "another".into();
    world.settings = settings(vec![other]);
    assert_eq!(world.verify(&token, at(0)), Err(TokenFault::Audience));
    world.settings = settings(vec![issuer(ISSUER, &[JwtAlgorithm::ES384])]);
    assert_eq!(world.verify(&token, at(0)), Err(TokenFault::Algorithm));
    world.settings = settings(Vec::new());
    assert_eq!(world.verify(&token, at(0)), Err(TokenFault::Issuer));
    world.settings = settings(vec![issuer(ISSUER, &[JwtAlgorithm::ES256])]);
    assert_eq!(world.verify(&token, at(0)).unwrap().origin, Origin::Foreign(0));
}

#[test]
fn an_unknown_key_asks_for_a_refresh() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wish = crate::live::key_sets::RefreshWish::default();
    let mut keys = KeySets::new(wish.clone());
    keys.insert(ISSUER, set(&[world.p256.jwk("k1")], at(0)).unwrap());
    let token = world.p256.token(&json!({ "alg": "ES256", "kid": "k2" }), &claims());
    assert_eq!(
        world.tokens.verify(&token, &world.settings, (&keys, None), at(0), || true),
        Err(TokenFault::UnknownKey)
    );
    runtime.block_on(wish.made());
}

#[test]
fn memory_is_bounded() {
    let world = World::new();
    for _ in 0..REMEMBERED + 200 {
        // ECDSA signatures differ each time, and so do the tokens.
        assert!(world.verify(&world.good(), at(0)).is_ok());
    }
    assert!(world.tokens.remembered() <= REMEMBERED);
}
