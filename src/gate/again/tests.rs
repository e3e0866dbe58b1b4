//! What stands and what does not, after every kind of change.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::access::digest_secret::Algorithm;
use crate::access::route::{Access, Preflight};
use crate::access::snapshot::Draft;
use crate::config::settings::{Digest, Gateway, Issuer, JwksSource, JwtAlgorithm};
use crate::gate::judge::tests::{KEY, NOW, current, gateway, head, id, peer};
use crate::gate::judge::{Judge, Outcome};
use crate::live::key_sets::tests::{Forge, set};
use crate::live::key_sets::{KeySet, KeySets};
use crate::net::peer::PeerVia;

const ISSUER: &str = "https://kubernetes.default.svc";
const LATER: Timestamp = Timestamp::from_unix_seconds(NOW.unix_seconds() + 9);

/// What stands of a request that was let through by this value.
#[track_caller]
fn standing(current: &Current, uri: &str, lines: &[(&str, &str)]) -> Standing {
    let head = head("GET", uri, lines);
    let judge = Judge::new();
    let verdict = judge.judge(current, &peer("203.0.113.9", PeerVia::Tcp), &head, NOW, &mut NoTrace);
    let ground = verdict.ground;
    match verdict.outcome {
        Outcome::Allow(permit) => Standing::new(permit.client(), ground),
        other => panic!("it was not let through: {other:?}"),
    }
}

fn with(change: impl FnOnce(&mut Gateway)) -> Arc<Gateway> {
    let mut settings = gateway();
    change(&mut settings);
    Arc::new(settings)
}

#[track_caller]
fn check(standing: &Standing, current: &Current, path: &str, now: Timestamp, expected: Result<Timestamp, Reason>) {
    let asked = Asked { host: "a", method: "GET", path };
    assert_eq!(standing.decide(current, asked, now), expected);
}

#[test]
fn a_key_stands_as_long_as_the_decision_lets_it_through() {
    let before = current();
    let by_key = standing(&before, "/api", &[("x-api-key", KEY)]);
    check(&by_key, &before, "/api", NOW, Ok(Timestamp::NEVER));

    let empty = Current { snapshot: Some(Arc::new(Draft::new().finish(8))), ..current() };
    let unknown = Reason::InvalidCredentials("no credential has this secret, token subject or certificate");
    check(&by_key, &empty, "/api", NOW, Err(unknown));
    // Nothing is asked of a public route, whatever was proven.
    check(&by_key, &empty, "/open", NOW, Ok(Timestamp::NEVER));

    let off = Reason::InvalidCredentials("the carrier of the credential is off now");
    let settings = with(|settings| settings.credentials.headers.clear());
    check(&by_key, &Current { settings, ..current() }, "/api", NOW, Err(off));
    // By a header it came, and not by Basic.
    let settings = with(|settings| settings.credentials.basic = false);
    check(&by_key, &Current { settings: Arc::clone(&settings), ..current() }, "/api", NOW, Ok(Timestamp::NEVER));
    let basic = [("authorization", "Basic bWNwdnJ6b2Q6NDAzOTVkMDctYTM1My00ODgxLTg1M2ItNDNlZmE0MTMzOWEx")];
    let by_basic = standing(&before, "/api", &basic);
    check(&by_basic, &before, "/api", NOW, Ok(Timestamp::NEVER));
    check(&by_basic, &Current { settings, ..current() }, "/api", NOW, Err(off));

    // A response of Digest is asked for by name, and only while there is Digest.
    let fingerprint = crate::live::fingerprint::of_key(b"nobody has this");
    let proven = Proven::Response(fingerprint);
    let by_digest = Standing::new(by_key.client, Ground { proven, preflight: false });
    check(&by_digest, &before, "/api", NOW, Err(off));
    let settings = with(|settings| {
        settings.credentials.digest =
            Some(Digest { realm: "Portcullis".into(), algorithms: vec![Algorithm::Sha256], nonce_key: None });
    });
    check(&by_digest, &Current { settings, ..current() }, "/api", NOW, Err(unknown));

    let settings = with(|settings| settings.routes = crate::access::route::RouteTable::default());
    check(&by_key, &Current { settings, ..current() }, "/api", NOW, Err(Reason::RouteNotFound));
}

#[test]
fn what_needed_nothing_falls_with_its_route() {
    let before = current();
    let public = standing(&before, "/open", &[("x-api-key", KEY)]);
    check(&public, &before, "/open", NOW, Ok(Timestamp::NEVER));
    let settings = with(|settings| {
        let mut routes: Vec<_> = settings.routes.iter().cloned().collect();
        for route in &mut routes {
            (route.access, route.preflight) = (Access::Required, Preflight::Require);
        }
        settings.routes = crate::access::route::RouteTable::new(routes);
    });
    // The key was there, and was not read.
    check(&public, &Current { settings, ..current() }, "/open", NOW, Err(Reason::CredentialsRequired));
}

#[test]
fn a_token_stands_with_its_issuer_its_key_and_its_time() {
    let (forge, other) = (Forge::p256(), Forge::p256());
    let keys = |sets: Option<KeySet>| {
        let mut keys = KeySets::default();
        if let Some(set) = sets {
            keys.insert(ISSUER, set);
        }
        Arc::new(keys)
    };
    let issuer = |name: &str, organization| Issuer {
        issuer: name.into(),
        audience: "portcullis".into(),
        jwks: JwksSource::File("jwks.json".into()),
        algorithms: vec![JwtAlgorithm::ES256],
        organizations: vec![organization],
    };
    let settings = |issuers: Vec<Issuer>| with(|settings| settings.credentials.issuers = issuers);
    let claims = json!({ "iss": ISSUER, "sub": "batch", "aud": "portcullis", "exp": LATER.unix_seconds() });
    let bearer = format!("Bearer {}", forge.token(&json!({ "alg": "ES256", "kid": "k" }), &claims));
    let mine = || set(&[forge.jwk("k")], NOW).unwrap();
    let before = Current { settings: settings(vec![issuer(ISSUER, id(1))]), keys: keys(Some(mine())), ..current() };
    let token = standing(&before, "/api", &[("authorization", &bearer)]);
    let invalid = |why| Err(Reason::InvalidCredentials(why));

    check(&token, &before, "/api", NOW, Ok(LATER));
    check(&token, &before, "/api", LATER, invalid("the token has expired"));
    // Another key beside it, and another order of the issuers, change nothing.
    let more = set(&[other.jwk("new"), forge.jwk("k")], NOW).unwrap();
    let reordered = settings(vec![issuer("https://a", id(9)), issuer(ISSUER, id(1))]);
    let after = Current { settings: reordered, keys: keys(Some(more)), ..current() };
    check(&token, &after, "/api", NOW, Ok(LATER));

    let without = with(|settings| {
        settings.credentials.issuers = vec![issuer(ISSUER, id(1))];
        settings.credentials.bearer = false;
    });
    let off = "the carrier of the credential is off now";
    check(&token, &Current { settings: without, ..before.clone() }, "/api", NOW, invalid(off));
    let gone = "the issuer has no key of the token's `kid` that suits its algorithm";
    let replaced = set(&[other.jwk("k")], NOW).unwrap();
    check(&token, &Current { keys: keys(Some(replaced)), ..before.clone() }, "/api", NOW, invalid(gone));
    check(
        &token,
        &Current { keys: keys(None), ..before.clone() },
        "/api",
        NOW,
        invalid("no keys of the token's issuer are loaded"),
    );
    let unknown = Current { settings: settings(vec![issuer("https://a", id(1))]), ..before.clone() };
    check(&token, &unknown, "/api", NOW, invalid("the token's issuer is not configured"));
    let foreign = Current { settings: settings(vec![issuer(ISSUER, id(9))]), ..before.clone() };
    let not_for = "the token's issuer is not for the credential's organization";
    check(&token, &foreign, "/api", NOW, invalid(not_for));
}
