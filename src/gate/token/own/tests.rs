//! threats.md H9 for tokens of our own, at any time of the clock, and what is remembered of them.

use serde_json::{Value, json};

use super::*;
use crate::config::settings::{Gateway, Issuer, JwksSource};
use crate::gate::judge::tests::gateway;
use crate::gate::token::Tokens;
use crate::live::key_sets::KeySets;
use crate::live::key_sets::tests::{Forge, set};
use std::sync::Arc;

const NOW: i64 = 1_800_000_000;
const OWN: &str = "https://admin.example.com";
const CLIENT: &str = "pcl_sa_id_5f0000000000000000000032";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW + seconds)
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({
        "iss": OWN, "aud": OWN, "sub": CLIENT, "iat": NOW, "exp": NOW + 3600,
        "jti": "000102030405060708090a0b0c0d0e0f", "secret_id": "5f0000000000000000000099",
    })
}

fn with(mut value: Value, member: &str, other: Value) -> Value {
    value[member] = other;
    value
}

fn own(keys: &[Value]) -> OwnIssuer {
    OwnIssuer::new(OWN, json!({ "keys": keys }).to_string(), at(0)).unwrap()
}

/// Settings with a foreign issuer of our own name, which is never asked.
fn settings() -> Arc<Gateway> {
    let mut settings = gateway();
    settings.credentials.issuers = vec![Issuer {
        issuer: OWN.into(),
        audience: OWN.into(),
        jwks: JwksSource::File("jwks.json".into()),
        algorithms: vec![JwtAlgorithm::ES256, JwtAlgorithm::RS256],
        organizations: vec!["5f0000000000000000000001".parse().unwrap()],
    }];
    Arc::new(settings)
}

#[test]
fn each_forgery_is_told_apart_for_the_operator() {
    let (ours, foreign, rsa) = (Forge::p256(), Forge::p256(), Forge::rsa());
    let (own, settings, tokens) = (own(&[ours.jwk("k1")]), settings(), Tokens::default());
    let mut keys = KeySets::default();
    keys.insert(OWN, set(&[foreign.jwk("k2"), rsa.jwk("k3")], at(0)).unwrap());
    let verify = |token: &str, seconds| tokens.verify(token, &settings, (&keys, Some(&own)), at(seconds), || true);
    let good = ours.token(&header(), &claims());
    let found = verify(&good, 0).unwrap();
    let id = TokenId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!((found.origin, found.expires_at), (Origin::Own(id), at(3600)));
    let client = "5f0000000000000000000032".parse().unwrap();
    let secret = "5f0000000000000000000099".parse().unwrap();
    assert_eq!(found.fingerprint, fingerprint::of_client_secret(client, secret));
    assert_eq!(unproven_id(&good), Some(id));
    use TokenFault as F;
    let cases = [
        (ours.token(&with(header(), "typ", json!("JWT")), &claims()), F::OwnClaims),
        (ours.token(&json!({"alg": "ES256", "kid": "k1"}), &claims()), F::OwnClaims),
        (ours.token(&json!({"alg": "ES256", "typ": "at+jwt"}), &claims()), F::OwnClaims),
        (ours.token(&with(header(), "kid", json!("k2")), &claims()), F::UnknownKey),
        (foreign.token(&header(), &claims()), F::Signature),
        (foreign.token(&with(header(), "kid", json!("k2")), &claims()), F::UnknownKey),
        (rsa.token(&json!({"alg": "RS256", "kid": "k3", "typ": "at+jwt"}), &claims()), F::Algorithm),
        (ours.token(&header(), &with(claims(), "aud", json!("https://other.example.com"))), F::Audience),
        (ours.token(&header(), &with(claims(), "exp", json!(NOW))), F::Expired),
        (ours.token(&header(), &with(claims(), "sub", json!("system:serviceaccount:jobs:batch"))), F::OwnClaims),
        (ours.token(&header(), &with(claims(), "jti", json!(7))), F::OwnClaims),
        (ours.token(&header(), &with(claims(), "jti", json!("short"))), F::OwnClaims),
        (ours.token(&header(), &with(claims(), "secret_id", json!(null))), F::OwnClaims),
    ];
    for (token, fault) in cases {
        assert_eq!(verify(&token, 0), Err(fault), "{token}");
    }
    // Without a store of our own the name is a foreign issuer's, as before.
    let as_foreign = foreign.token(&with(header(), "kid", json!("k2")), &claims());
    let origin = tokens.verify(&as_foreign, &settings, (&keys, None), at(0), || true).unwrap().origin;
    assert_eq!(origin, Origin::Foreign(0));
}

#[test]
fn what_is_remembered_ends_with_its_time_and_with_its_key() {
    let (old, new) = (Forge::p256(), Forge::p256());
    let (settings, tokens, keys) = (settings(), Tokens::default(), KeySets::default());
    let both = own(&[old.jwk("k1"), new.jwk("k2")]);
    let token = old.token(&header(), &claims());
    let verify =
        |own: Option<&OwnIssuer>, seconds| tokens.verify(&token, &settings, (&keys, own), at(seconds), || true);
    // No age of a key set matters: whoever publishes it signs with it.
    assert!(verify(Some(&both), 0).is_ok() && verify(Some(&both), 3599).is_ok());
    assert_eq!(tokens.remembered(), 1);
    assert_eq!(verify(Some(&both), 3600), Err(TokenFault::Expired));
    assert!(verify(Some(&both), 0).is_ok());
    assert_eq!(verify(Some(&own(&[new.jwk("k2")])), 0), Err(TokenFault::UnknownKey));
    assert!(verify(Some(&both), 0).is_ok());
    assert!(verify(None, 0).is_err());
}
