//! threats.md H14: ID tokens that prove nobody.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::*;
use crate::live::key_sets::tests::{Forge, set, unsigned};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://login.example.com";
const AWAITED: Awaited<'static> =
    Awaited { issuer: ISSUER, client_id: "console", algorithms: &[JwtAlgorithm::ES256], nonce: "n-1" };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW + seconds)
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "sub": "248289", "aud": "console", "exp": NOW + 600, "iat": NOW - 5, "nonce": "n-1",
            "email": "ann@example.com", "email_verified": true })
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "k1" })
}

#[test]
fn an_id_token_tells_who_signed_in() {
    let forge = Forge::p256();
    let keys = set(&[forge.jwk("k1")], at(0)).unwrap();
    let said = |claims: &Value| identify(&forge.token(&header(), claims), &AWAITED, &keys, at(0)).unwrap();
    let ann = Identity { subject: "248289".into(), email: Some("ann@example.com".into()), is_verified: true };
    assert_eq!(said(&claims()), ann);
    let mut several = with("aud", json!(["other", "console"]));
    several["azp"] = json!("console");
    assert_eq!(said(&several), ann);
    assert_eq!(said(&with("aud", json!(["console"]))), ann);
    assert!(!said(&with("email_verified", json!(false))).is_verified);
    assert!(!said(&with("email_verified", Value::Null)).is_verified);
    assert_eq!(said(&with("email", Value::Null)).email, None);
}

#[test]
fn h14_an_id_token_of_another_answers_nothing() {
    use IdTokenFault as F;
    use TokenFault as T;
    let forge = Forge::p256();
    let keys = set(&[forge.jwk("k1")], at(0)).unwrap();
    let cases = [
        (with("iss", json!("https://login.example.com/")), F::Token(T::Issuer)),
        (with("iss", json!("https://evil.example")), F::Token(T::Issuer)),
        (with("aud", json!("other")), F::Token(T::Audience)),
        (with("aud", json!(["console", "other"])), F::Party),
        (with("azp", json!("other")), F::Party),
        (with("exp", json!(NOW)), F::Token(T::Expired)),
        (with("exp", Value::Null), F::Token(T::Claims)),
        (with("nbf", json!(NOW + 60)), F::Token(T::NotYetValid)),
        (with("iat", json!(NOW + 60)), F::IssuedLater),
        (with("iat", Value::Null), F::Claims),
        (with("email_verified", json!("true")), F::Claims),
        (with("nonce", json!("n-2")), F::Nonce),
        (with("nonce", json!("")), F::Nonce),
        (with("nonce", Value::Null), F::Nonce),
    ];
    for (claims, fault) in cases {
        let token = forge.token(&header(), &claims);
        assert_eq!(identify(&token, &AWAITED, &keys, at(0)), Err(fault), "{claims}");
    }
}

#[test]
fn h14_an_id_token_is_signed_by_a_key_of_its_provider() {
    use TokenFault as T;
    let (forge, other) = (Forge::p256(), Forge::p256());
    let keys = set(&[forge.jwk("k1")], at(0)).unwrap();
    let refused = |token: &str, now: Timestamp| identify(token, &AWAITED, &keys, now).unwrap_err();
    assert_eq!(refused(&other.token(&header(), &claims()), at(0)), T::Signature.into());
    let unknown = json!({ "alg": "ES256", "kid": "k2" });
    assert_eq!(refused(&forge.token(&unknown, &claims()), at(0)), T::UnknownKey.into());
    for algorithm in ["none", "HS256", "RS256"] {
        let message = unsigned(&json!({ "alg": algorithm, "kid": "k1" }), &claims());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &forge.public_bytes()), message.as_bytes());
        assert_eq!(refused(&format!("{message}.{}", BASE64.encode(tag)), at(0)), T::Algorithm.into(), "{algorithm}");
    }
    let access = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" });
    assert_eq!(refused(&forge.token(&access, &claims()), at(0)), IdTokenFault::AccessToken);
    let late = Timestamp::from_unix_seconds(NOW + 25 * 3600);
    assert_eq!(refused(&forge.token(&header(), &with("exp", json!(NOW + 90_000))), late), T::StaleKeys.into());
    assert_eq!(refused(&"x".repeat(LONGEST_TOKEN + 1), at(0)), T::TooLong.into());
}
