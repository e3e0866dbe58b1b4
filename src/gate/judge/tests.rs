//! The order of decision.md §2, end to end through one call.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use http::Request;
use serde_json::json;

use super::*;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement, Fingerprint, Grants};
use crate::access::decision::{AddressFault, Grant, NoTrace, Reason, Step};
use crate::access::digest_secret::Algorithm;
use crate::access::route::{Access, Preflight, Route, RouteTable};
use crate::access::snapshot::{CredentialSpec, Draft, EntrySpec, OrganizationSpec, Snapshot, Target as EntryTarget};
use crate::config::settings::{
    AddressHeader, ClientAddressRule, Credentials, Digest, FailureBudget, Gateway, Issuer, JwksSource, JwtAlgorithm,
    Limits, Outbound, Timeouts,
};
use crate::gate::forwarded::AddressSource;
use crate::live::key_sets::KeySets;
use crate::live::key_sets::tests::{Forge, set};
use crate::net::peer::PeerVia;

pub(crate) const KEY: &str = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1";
const DISABLED: &str = "disabled.40395d07-a353-4881-853b-43efa41339a1";
pub(crate) const EXPIRED: &str = "expiredd.40395d07-a353-4881-853b-43efa41339a1";
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUER: &str = "https://kubernetes.default.svc";

/// Settings with one trusted proxy network and a few routes.
pub(crate) fn gateway() -> Gateway {
    let route = |path: &str, access, preflight| Route {
        host: None,
        path: path.into(),
        methods: Box::new([]),
        access,
        require_access_list: false,
        organizations: None,
        preflight,
        upgrades: Box::default(),
        upstream: 0,
    };
    Gateway {
        client_address: ClientAddressRule {
            trusted_proxies: [crate::access::network::Network::truncated(IpAddr::from([10, 0, 0, 0]), 8).unwrap()]
                .into_iter()
                .collect(),
            certified_proxies: Vec::new(),
            header: AddressHeader::XForwardedFor,
            hops: None,
        },
        credentials: Credentials {
            headers: vec![http::HeaderName::from_static("x-api-key")],
            basic: true,
            bearer: true,
            digest: None,
            issuers: Vec::new(),
            client_certificates: false,
            forward: false,
            realm: "Portcullis".into(),
        },
        routes: RouteTable::new(vec![
            route("/api", Access::Required, Preflight::Require),
            route("/cors", Access::Required, Preflight::Pass),
            route("/open", Access::Public, Preflight::Require),
        ]),
        upstreams: Vec::new(),
        limits: Limits {
            max_header_bytes: 65_536,
            max_headers: 100,
            max_body_bytes: None,
            max_connections: 100,
            max_streams: 100,
            clients: crate::config::settings::ClientLimits::default(),
        },
        timeouts: Timeouts {
            header: Duration::from_secs(10),
            body_idle: Duration::from_secs(10),
            keep_alive: Duration::from_secs(10),
            tunnel_idle: Duration::from_secs(10),
            pace: None,
        },
        outbound: Outbound { forwarded: false, identity_headers: true, overrides: false },
        receipt_keys: Vec::new(),
        feeds: Default::default(),
    }
}

pub(crate) fn id(last: u8) -> Id {
    format!("5f00000000000000000000{last:02x}").parse().unwrap()
}

fn snapshot() -> Snapshot {
    let credential = |last, fingerprint: Fingerprint| CredentialSpec {
        id: id(last),
        kind: CredentialKind::ApiKey,
        organization: id(1),
        fingerprints: vec![fingerprint],
        enabled: true,
        expires_at: Timestamp::NEVER,
        enforcement: Enforcement::Enforce,
        grants: Grants::default(),
        access_list: vec![EntrySpec {
            target: EntryTarget::Network("203.0.113.0/24".parse().unwrap()),
            expires_at: Timestamp::NEVER,
        }],
        digest: None,
    };
    let mut draft = Draft::new();
    let organization =
        OrganizationSpec { id: id(1), name: "acme".into(), mode: AccessListMode::Required, network_sets: Vec::new() };
    draft.organization(organization).unwrap();
    let of_key = |key: &str| fingerprint::of_key(key.as_bytes());
    draft.credential(credential(2, of_key(KEY))).unwrap();
    draft.credential(CredentialSpec { enabled: false, ..credential(3, of_key(DISABLED)) }).unwrap();
    draft.credential(CredentialSpec { expires_at: NOW, ..credential(4, of_key(EXPIRED)) }).unwrap();
    draft.credential(credential(5, fingerprint::of_subject(ISSUER, "batch"))).unwrap();
    draft.finish(7)
}

pub(crate) fn current() -> Current {
    Current {
        receipt_key: None,
        generation: 1,
        settings: Arc::new(gateway()),
        keys: Arc::new(KeySets::default()),
        own: None,
        snapshot: Some(Arc::new(snapshot())),
    }
}

pub(crate) fn peer(address: &str, via: PeerVia) -> Peer {
    Peer {
        address: address.parse().unwrap(),
        port: 1,
        via,
        tls: false,
        local: "127.0.0.1:8080".parse().unwrap(),
        certificate: crate::net::peer::Certificate::default(),
    }
}

pub(crate) fn head(method: &str, uri: &str, lines: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The credential that passes, `public`, or the reason of the refusal.
fn told(outcome: &Outcome<'_>) -> Result<String, Reason> {
    match outcome {
        Outcome::Allow(permit) => Ok(match permit.grant() {
            Grant::Public => "public".into(),
            Grant::Credential { credential, .. } => credential.id().to_string(),
        }),
        Outcome::Deny(denial) => Err(denial.reason),
        Outcome::NotReady => Ok("not ready".into()),
    }
}

#[track_caller]
fn check(current: &Current, from: &str, head: &Parts, expected: Result<&str, Reason>) {
    let verdict = Judge::new().judge(current, &peer(from, PeerVia::Tcp), head, NOW, &mut NoTrace);
    assert_eq!(told(&verdict.outcome), expected.map(str::to_owned));
}

const ALLOWED: &str = "203.0.113.9";
const ELSEWHERE: &str = "192.0.2.9";
const CREDENTIAL: Result<&str, Reason> = Ok("5f0000000000000000000002");

#[test]
fn each_step_comes_before_the_next() {
    use Reason::*;
    let current = current();
    let key = ("x-api-key", KEY);
    let wrong = ("x-api-key", "mcpvrzod.00000000-0000-4000-8000-000000000000");
    let unknown = Err(InvalidCredentials("no credential has this secret, token subject or certificate"));
    let fault = |fault| Err(ClientAddressUnresolved(fault));
    use crate::access::decision::AddressFault::NotAnAddress;

    check(&current, ALLOWED, &head("GET", "/api", &[key]), CREDENTIAL);
    check(&current, "10.0.0.1", &head("GET", "/api", &[key, ("x-forwarded-for", ALLOWED)]), CREDENTIAL);
    // The address comes first: no credential is read, on a public route neither.
    check(&current, "10.0.0.1", &head("GET", "/api", &[("x-forwarded-for", "?")]), fault(NotAnAddress));
    check(&current, "10.0.0.1", &head("GET", "/open", &[("x-forwarded-for", "?")]), fault(NotAnAddress));
    // The secret is checked before the list.
    check(&current, ELSEWHERE, &head("GET", "/api", &[wrong]), unknown);
    check(&current, ELSEWHERE, &head("GET", "/api", &[key]), Err(IpAddressNotOnAccessList));
    // Routes can't be probed.
    check(&current, ALLOWED, &head("GET", "/nothing", &[]), Err(CredentialsRequired));
    check(&current, ALLOWED, &head("GET", "/nothing", &[wrong]), unknown);
    check(&current, ELSEWHERE, &head("GET", "/nothing", &[key]), Err(IpAddressNotOnAccessList));
    check(&current, ALLOWED, &head("GET", "/nothing", &[key]), Err(RouteNotFound));
    check(&current, ALLOWED, &head("GET", "/api/../open", &[]), Err(CredentialsRequired));
    check(&current, ALLOWED, &head("GET", "/api/../open", &[key]), Err(AmbiguousPath));
    check(
        &current,
        ALLOWED,
        &head("GET", "/api", &[("x-api-key", DISABLED)]),
        Err(InvalidCredentials("the credential is disabled")),
    );
    check(
        &current,
        ALLOWED,
        &head("GET", "/api", &[("x-api-key", EXPIRED)]),
        Err(InvalidCredentials("the credential has expired")),
    );
}

#[test]
fn public_routes_and_preflights_read_nothing() {
    use Reason::*;
    let current = current();
    let broken = [("x-api-key", "short"), ("x-api-key", "short")];
    check(&current, ELSEWHERE, &head("GET", "/open", &broken), Ok("public"));
    let preflight = [("origin", "https://a"), ("access-control-request-method", "PUT")];
    check(&current, ELSEWHERE, &head("OPTIONS", "/cors", &preflight), Ok("public"));
    check(&current, ELSEWHERE, &head("OPTIONS", "/api", &preflight), Err(CredentialsRequired));
    check(&current, ELSEWHERE, &head("OPTIONS", "/cors", &preflight[..1]), Err(CredentialsRequired));
    check(&current, ELSEWHERE, &head("OPTIONS", "/cors", &preflight[1..]), Err(CredentialsRequired));
    check(&current, ELSEWHERE, &head("GET", "/cors", &preflight), Err(CredentialsRequired));
}

#[test]
fn without_a_snapshot_nothing_passes() {
    let current = Current { snapshot: None, ..current() };
    for path in ["/api", "/open", "/nothing"] {
        check(&current, ALLOWED, &head("GET", path, &[("x-api-key", KEY)]), Ok("not ready"));
    }
}

#[test]
fn basic_is_the_same_key() {
    let current = current();
    let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
    let good = basic("mcpvrzod:40395d07-a353-4881-853b-43efa41339a1");
    check(&current, ALLOWED, &head("GET", "/api", &[("authorization", &good)]), CREDENTIAL);
    check(
        &current,
        ELSEWHERE,
        &head("GET", "/api", &[("authorization", &good)]),
        Err(Reason::IpAddressNotOnAccessList),
    );
}

#[test]
fn tokens_are_for_the_organizations_of_their_issuer() {
    let forge = Forge::p256();
    let mut current = current();
    let mut keys = KeySets::default();
    keys.insert(ISSUER, set(&[forge.jwk("k")], NOW).unwrap());
    current.keys = Arc::new(keys);
    let with = |organization| {
        let mut gateway = gateway();
        gateway.credentials.issuers = vec![Issuer {
            issuer: ISSUER.into(),
            audience: "portcullis".into(),
            jwks: JwksSource::File("jwks.json".into()),
            algorithms: vec![JwtAlgorithm::ES256],
            organizations: vec![organization],
        }];
        Arc::new(gateway)
    };
    let claims = json!({ "iss": ISSUER, "sub": "batch", "aud": "portcullis", "exp": NOW.unix_seconds() + 9 });
    let bearer = format!("Bearer {}", forge.token(&json!({ "alg": "ES256" }), &claims));
    let head = head("GET", "/api", &[("authorization", &bearer)]);

    current.settings = with(id(1));
    check(&current, ALLOWED, &head, Ok("5f0000000000000000000005"));
    check(&current, ELSEWHERE, &head, Err(Reason::IpAddressNotOnAccessList));
    current.settings = with(id(9));
    let foreign = Reason::InvalidCredentials("the token's issuer is not for the credential's organization");
    check(&current, ALLOWED, &head, Err(foreign));
    current.keys = Arc::default();
    check(&current, ALLOWED, &head, Err(Reason::InvalidCredentials("no keys of the token's issuer are loaded")));
}

#[test]
fn a_supposed_credential_gets_the_same_answer() {
    let current = current();
    let check = |from: &str, path: &str, id: Id, expected: Result<(), Reason>| {
        let head = head("GET", path, &[]);
        let verdict = Judge::new().suppose(&current, &peer(from, PeerVia::Tcp), &head, id, NOW, &mut NoTrace);
        let seen = match verdict.outcome {
            Outcome::Allow(_) => Ok(()),
            Outcome::Deny(denial) => Err(denial.reason),
            Outcome::NotReady => panic!("there is a snapshot"),
        };
        assert_eq!(seen, expected);
    };
    check(ALLOWED, "/api", id(2), Ok(()));
    check(ELSEWHERE, "/api", id(2), Err(Reason::IpAddressNotOnAccessList));
    check(ALLOWED, "/nothing", id(2), Err(Reason::RouteNotFound));
    check(ALLOWED, "/api", id(3), Err(Reason::InvalidCredentials("the credential is disabled")));
    check(ALLOWED, "/api", id(9), Err(Reason::InvalidCredentials("no credential has this id")));
}

#[test]
fn sources_of_the_address() {
    let current = current();
    let source = |from: &str, via, lines: &[(&str, &str)]| {
        let head = head("GET", "/open", lines);
        Judge::new().judge(&current, &peer(from, via), &head, NOW, &mut NoTrace).derived.source
    };
    let header = [("x-forwarded-for", ALLOWED)];
    assert_eq!(source(ALLOWED, PeerVia::Tcp, &[]), AddressSource::Peer);
    assert_eq!(source(ALLOWED, PeerVia::ProxyProtocol, &header), AddressSource::ProxyProtocol);
    assert_eq!(source("10.0.0.1", PeerVia::ProxyProtocol, &header), AddressSource::Header);
    assert_eq!(source("10.0.0.1", PeerVia::ProxyProtocol, &[]), AddressSource::ProxyProtocol);
}

#[test]
fn targets() {
    let check = |uri: &str, lines: &[(&str, &str)], expected: (&str, &str)| {
        let head = head("GET", uri, lines);
        let target = target(&head);
        assert_eq!((target.host, target.path), expected);
    };
    check("/a?b", &[("host", "x.example:80")], ("x.example:80", "/a"));
    check("http://y.example:81/a", &[("host", "x.example")], ("y.example", "/a"));
    check("http://user@y.example/", &[], ("y.example", "/"));
    check("http://[::1]:80/", &[], ("[::1]", "/"));
    check("/a", &[], ("", "/a"));
}

/// What a judgement looked at.
#[derive(Default)]
struct Steps(Vec<&'static str>);
impl crate::access::decision::Trace for Steps {
    const RECORDS: bool = true;
    fn step(&mut self, step: Step<'_>) {
        // That a record was found is known only after the look-up that all of them make.
        assert!(matches!(step, Step::Found(..)));
    }
}
impl Trace for Steps {
    fn derived(&mut self, _: &Peer, _: &Derived) {
        self.0.push("derived");
    }
    fn route(&mut self, _: Target<'_>, _: RouteMatch<'_>) {
        self.0.push("route");
    }
    fn claim(&mut self, _: &Claim<'_>) {
        self.0.push("claim");
    }
    fn proof(&mut self, proof: &Proof<'_>) {
        assert!(matches!(proof, Proof::Key(_)));
        self.0.push("hash");
    }
}

/// H7: what a refusal does must not depend on why.
#[test]
fn refused_secrets_take_the_same_steps() {
    let current = current();
    let unknown = "nobodyis.40395d07-a353-4881-853b-43efa41339a1";
    let wrong = "mcpvrzod.00000000-a353-4881-853b-43efa41339a1";
    for key in [unknown, wrong, DISABLED, EXPIRED] {
        let mut steps = Steps::default();
        let head = head("GET", "/api", &[("x-api-key", key)]);
        let verdict = Judge::new().judge(&current, &peer(ELSEWHERE, PeerVia::Tcp), &head, NOW, &mut steps);
        assert!(matches!(told(&verdict.outcome), Err(Reason::InvalidCredentials(_))), "{key}");
        assert_eq!(steps.0, ["derived", "route", "claim", "hash"]);
    }
}

#[test]
fn nothing_is_read_that_the_decision_does_not_need() {
    let current = current();
    let preflight = [("origin", "https://a"), ("access-control-request-method", "PUT"), ("x-api-key", KEY)];
    for (from, head, expected) in [
        (ELSEWHERE, head("GET", "/open", &[("x-api-key", KEY)]), Ok("public")),
        (ELSEWHERE, head("OPTIONS", "/cors", &preflight), Ok("public")),
        (
            "10.0.0.1",
            head("GET", "/api", &[("x-api-key", KEY), ("x-forwarded-for", "unknown")]),
            Err(Reason::ClientAddressUnresolved(AddressFault::NotAnAddress)),
        ),
    ] {
        let mut steps = Steps::default();
        let verdict = Judge::new().judge(&current, &peer(from, PeerVia::Tcp), &head, NOW, &mut steps);
        assert_eq!(told(&verdict.outcome), expected.map(str::to_owned));
        assert_eq!(steps.0, ["derived", "route"], "{from}");
    }
}

/// threats.md L8: who goes on asking while nothing is verified for it is let in again as soon as who waits.
#[test]
fn l8_what_was_not_verified_adds_nothing_to_the_debt() {
    let mut settings = gateway();
    settings.limits.clients.failed_attempts = Some(FailureBudget { burst: 2, per_minute: 60 });
    settings.credentials.digest =
        Some(Digest { realm: "Portcullis".into(), algorithms: vec![Algorithm::Sha256], nonce_key: None });
    let current = Current { settings: Arc::new(settings), ..current() };
    let judge = Judge::new().counting(Arc::default());
    let peer = peer(ELSEWHERE, PeerVia::Tcp);
    // Whether it was verified, and the seconds after which it is to come back.
    let ask = |second: i64, claim: &str| {
        let now = Timestamp::from_unix_seconds(NOW.unix_seconds() + second);
        let head = head("GET", "/api", &[("authorization", claim)]);
        let verdict = judge.judge(&current, &peer, &head, now, &mut NoTrace);
        let Outcome::Deny(denial) = &verdict.outcome else { panic!("nothing is proven") };
        let verified = denial.reason != Reason::InvalidCredentials(TokenFault::Throttled.as_str());
        (verified, judge.count(denial, &verdict.derived, &current, now))
    };
    for (first, claim) in [(0, "Bearer a.b.c"), (100, "Digest username=\"u\"")] {
        while ask(first, "Bearer a.b.c").0 {}
        assert!(ask(first, claim).1.is_some_and(|seconds| (1..=2).contains(&seconds)), "{claim}");
        assert!(!ask(first, claim).0, "{claim}");
        let again = (1..10).find(|second| ask(first + second, claim).0);
        assert!(again.is_some_and(|second| second <= 3), "{claim}: {again:?}");
    }
}
