//! What a certificate is worth beside everything else that a request can carry.

use std::sync::Arc;

use super::*;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement, Grants};
use crate::access::decision::{Grant, NoTrace, Reason};
use crate::access::id::Id;
use crate::access::snapshot::{CredentialSpec, Draft, OrganizationSpec};
use crate::clock::Timestamp;
use crate::gate::again::{Asked, Standing};
use crate::gate::judge::tests::{KEY, NOW, current, gateway, head, id, peer};
use crate::gate::judge::{Judge, Outcome};
use crate::net::peer::PeerVia;

const URI: &str = "spiffe://mesh/ns/orders/sa/api";
const OTHER: &str = "spiffe://mesh/ns/orders/sa/batch";
const HASH: [u8; 32] = [7; 32];
const SAID: Reason =
    Reason::AmbiguousCredentials("the request carries another credential than its client certificate names");

/// An account that a URI and a key stand for, one of a certificate's hash, and one of another URI that is disabled.
fn with(on: bool) -> Current {
    let account = |last, fingerprints| CredentialSpec {
        id: id(last),
        kind: CredentialKind::ServiceAccount,
        organization: id(1),
        fingerprints,
        enabled: true,
        expires_at: Timestamp::NEVER,
        enforcement: Enforcement::Enforce,
        grants: Grants::default(),
        access_list: Vec::new(),
        digest: None,
    };
    let mut draft = Draft::new();
    let mode = AccessListMode::Off;
    draft.organization(OrganizationSpec { id: id(1), name: "acme".into(), mode, network_sets: Vec::new() }).unwrap();
    let of_key = fingerprint::of_key(KEY.as_bytes());
    draft.credential(account(2, vec![fingerprint::of_certificate_uri(URI), of_key])).unwrap();
    let third = fingerprint::of_certificate_uri("spiffe://third");
    draft.credential(account(3, vec![fingerprint::of_certificate(&HASH), third])).unwrap();
    let disabled = account(4, vec![fingerprint::of_certificate_uri(OTHER)]);
    draft.credential(CredentialSpec { enabled: false, ..disabled }).unwrap();
    let mut settings = gateway();
    settings.credentials.client_certificates = on;
    Current { settings: Arc::new(settings), snapshot: Some(Arc::new(draft.finish(7))), ..current() }
}

fn showing(uris: &[&str], sha256: Option<[u8; 32]>, via: PeerVia) -> Peer {
    let certificate = shown(uris.iter().map(|uri| Box::from(*uri)).collect(), sha256);
    Peer { certificate, ..peer("203.0.113.9", via) }
}

/// The credential that a request of this peer passes as.
fn passes(current: &Current, peer: &Peer, lines: &[(&str, &str)]) -> Result<Id, Reason> {
    let head = head("GET", "/api", lines);
    match Judge::new().judge(current, peer, &head, NOW, &mut NoTrace).outcome {
        Outcome::Allow(permit) => match permit.grant() {
            Grant::Credential { credential, .. } => Ok(credential.id()),
            Grant::Public => panic!("the route is not public"),
        },
        Outcome::Deny(denial) => Err(denial.reason),
        Outcome::NotReady => panic!("there is a snapshot"),
    }
}

#[test]
fn c14_a_certificate_speaks_for_the_account_that_it_names() {
    let current = with(true);
    let (one, hash) = (showing(&["https://a/", URI], None, PeerVia::Tcp), showing(&[], Some(HASH), PeerVia::Tcp));
    assert_eq!(passes(&current, &one, &[]), Ok(id(2)));
    assert_eq!(passes(&current, &hash, &[]), Ok(id(3)));
    let disabled = passes(&current, &showing(&[OTHER], None, PeerVia::Tcp), &[]);
    assert!(matches!(disabled, Err(Reason::InvalidCredentials(_))), "{disabled:?}");
    // Two names of one account are one claim; of two accounts they are two.
    let twice = showing(&["spiffe://third"], Some(HASH), PeerVia::Tcp);
    assert_eq!(passes(&current, &twice, &[]), Ok(id(3)));
    let both = showing(&[URI], Some(HASH), PeerVia::Tcp);
    let two = Reason::AmbiguousCredentials("the client certificate names two service accounts");
    assert_eq!(passes(&current, &both, &[]), Err(two));
    assert_eq!(passes(&current, &both, &[("x-api-key", KEY)]), Err(two));
}

#[test]
fn c14_one_that_names_nobody_is_no_claim() {
    let current = with(true);
    for peer in [
        showing(&[], None, PeerVia::Tcp),
        showing(&["spiffe://mesh/ns/orders/sa/api2", "spiffe://mesh/ns/orders/sa"], Some([8; 32]), PeerVia::Tcp),
        // Whoever is behind a proxy of the PROXY protocol has shown nothing.
        showing(&[URI], Some(HASH), PeerVia::ProxyProtocol),
    ] {
        assert_eq!(passes(&current, &peer, &[]), Err(Reason::CredentialsRequired), "{peer:?}");
        assert_eq!(passes(&current, &peer, &[("x-api-key", KEY)]), Ok(id(2)));
    }
    // Nor is any where they are off.
    let one = showing(&[URI], None, PeerVia::Tcp);
    assert_eq!(passes(&with(false), &one, &[]), Err(Reason::CredentialsRequired));
}

#[test]
fn c14_beside_another_credential_it_has_to_agree() {
    let current = with(true);
    let (one, hash) = (showing(&[URI], None, PeerVia::Tcp), showing(&[], Some(HASH), PeerVia::Tcp));
    assert_eq!(passes(&current, &one, &[("x-api-key", KEY)]), Ok(id(2)));
    assert_eq!(passes(&current, &hash, &[("x-api-key", KEY)]), Err(SAID));
    // What proves nothing is refused as ever.
    let unknown = passes(&current, &one, &[("x-api-key", "0000000000000000")]);
    assert!(matches!(unknown, Err(Reason::InvalidCredentials(_))), "{unknown:?}");
    let broken = passes(&current, &one, &[("x-api-key", "short")]);
    assert!(matches!(broken, Err(Reason::MalformedCredentials(_))), "{broken:?}");
    let twice = passes(&current, &one, &[("x-api-key", KEY), ("x-api-key", KEY)]);
    assert!(matches!(twice, Err(Reason::AmbiguousCredentials(_))), "{twice:?}");
}

#[test]
fn c14_what_it_opened_stands_while_it_names_somebody() {
    let before = with(true);
    let head = head("GET", "/api", &[]);
    let verdict = Judge::new().judge(&before, &showing(&[URI], None, PeerVia::Tcp), &head, NOW, &mut NoTrace);
    let Outcome::Allow(permit) = verdict.outcome else { panic!("it was refused") };
    let standing = Standing::new(permit.client(), verdict.ground);
    let asked = Asked { host: "a", method: "GET", path: "/api" };
    assert_eq!(standing.decide(&before, asked, NOW), Ok(Timestamp::NEVER));
    let off = Reason::InvalidCredentials("the carrier of the credential is off now");
    assert_eq!(standing.decide(&with(false), asked, NOW), Err(off));
    let empty = Current { snapshot: Some(Arc::new(Draft::new().finish(8))), ..before };
    assert!(matches!(standing.decide(&empty, asked, NOW), Err(Reason::InvalidCredentials(_))));
}
