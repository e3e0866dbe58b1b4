//! Tests of `proxy::headers`.

use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::access::client_address::ClientAddress;
use crate::access::route::RouteTable;
use crate::config::settings::{self, AddressHeader, Gateway};
use crate::gate::forwarded::{AddressSource, Derived};
use crate::net::peer::Peer;

fn settings(change: impl FnOnce(&mut Gateway)) -> Gateway {
    let mut settings = Gateway {
        client_address: settings::ClientAddressRule {
            trusted_proxies: std::iter::empty().collect(),
            certified_proxies: Vec::new(),
            header: AddressHeader::XForwardedFor,
            hops: None,
        },
        credentials: settings::Credentials {
            headers: vec![HeaderName::from_static("x-api-key")],
            basic: true,
            bearer: false,
            digest: None,
            issuers: Vec::new(),
            client_certificates: false,
            forward: false,
            realm: "Portcullis".into(),
        },
        routes: RouteTable::default(),
        upstreams: Vec::new(),
        limits: settings::Limits {
            max_header_bytes: 32_768,
            max_headers: 100,
            max_body_bytes: None,
            max_connections: 1_000,
            max_streams: 100,
            clients: crate::config::settings::ClientLimits::default(),
        },
        timeouts: settings::Timeouts {
            header: Duration::from_secs(5),
            body_idle: Duration::from_secs(5),
            keep_alive: Duration::from_secs(5),
            tunnel_idle: Duration::from_secs(5),
            pace: None,
        },
        outbound: settings::Outbound { forwarded: false, identity_headers: true, overrides: false },
        receipt_keys: Vec::new(),
        feeds: Default::default(),
    };
    change(&mut settings);
    settings
}

fn pass(settings: &Gateway, trusted: bool, chain: &[&str], lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    let chain: Vec<IpAddr> = chain.iter().map(|hop| hop.parse().unwrap()).collect();
    let peer = Peer::tcp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    let client = ClientAddress::new(chain.first().copied().unwrap_or(peer.address));
    let derived = Derived {
        client: Ok(client),
        source: AddressSource::Peer,
        chain: chain.into_iter().collect(),
        peer_trusted: trusted,
    };
    let facts = Outbound { settings, peer: &peer, derived: &derived, client, identity: None, request_id: b"r1" };
    prepare(&mut headers, &facts).unwrap();
    headers
}

#[track_caller]
fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn credentials_and_foreign_claims_are_gone_in_every_spelling() {
    let gone = [
        "x-api-key",
        "x_api_key",
        "x.api.key",
        "x-portcullis-org",
        "x_portcullis_roles",
        "x-portcullis.credential",
        "x_forwarded_for",
        "x-forwarded.proto",
        "x-real-ip",
        "x_real_ip",
        "forwarded",
        "proxy_connection",
        "keep-alive",
    ];
    let mut lines: Vec<(&str, &str)> = gone.iter().map(|name| (*name, "forged")).collect();
    lines.extend([("host", "api"), ("accept", "a"), ("accept", "b"), ("traceparent", "00-1"), ("x-apikey", "mine")]);
    let headers = pass(&settings(|_| {}), false, &[], &lines);
    for name in gone {
        assert_eq!(all(&headers, name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(all(&headers, "accept"), ["a", "b"]);
    assert_eq!(all(&headers, "traceparent"), ["00-1"]);
    assert_eq!(all(&headers, "x-apikey"), ["mine"]);
    assert_eq!(all(&headers, "x-forwarded-for"), ["10.0.0.1"]);
    assert_eq!(all(&headers, "x-portcullis-client-address"), ["10.0.0.1"]);
    assert_eq!(all(&headers, "x-portcullis-request-id"), ["r1"]);
}

#[test]
fn connection_cannot_remove_ours_or_the_framing() {
    let lines = [
        ("host", "api"),
        ("content-length", "3"),
        ("connection", "X-Portcullis-Client-Address, X-Forwarded-For, Host"),
        ("connection", "content-length, x-mine, close"),
        ("x-mine", "1"),
    ];
    let headers = pass(&settings(|_| {}), false, &[], &lines);
    assert_eq!(all(&headers, "host"), ["api"]);
    assert_eq!(all(&headers, "content-length"), ["3"]);
    assert_eq!(all(&headers, "x-forwarded-for"), ["10.0.0.1"]);
    assert_eq!(all(&headers, "x-portcullis-client-address"), ["10.0.0.1"]);
    assert!(!headers.contains_key("x-mine") && !headers.contains_key("connection"));
}

#[test]
fn only_a_trusted_peer_speaks_for_others() {
    let lines = [
        ("host", "api"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outside"),
        ("forwarded", "for=9.9.9.9"),
    ];
    let headers = pass(&settings(|_| {}), true, &["203.0.113.9", "10.0.0.7"], &lines);
    assert_eq!(all(&headers, "x-forwarded-for"), ["203.0.113.9, 10.0.0.7, 10.0.0.1"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
    assert_eq!(all(&headers, "x-forwarded-host"), ["outside"]);
    assert_eq!(all(&headers, "forwarded"), Vec::<&str>::new());
    let headers = pass(&settings(|_| {}), false, &[], &lines);
    assert_eq!(all(&headers, "x-forwarded-for"), ["10.0.0.1"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
    assert_eq!(all(&headers, "x-forwarded-host"), ["api"]);
}

#[test]
fn forwarded_is_made_where_asked() {
    let asked = settings(|settings| settings.outbound.forwarded = true);
    let headers = pass(&asked, true, &["2001:db8::9"], &[("host", "api:8080"), ("forwarded", "for=forged")]);
    assert_eq!(all(&headers, "forwarded"), ["for=\"[2001:db8::9]\", for=10.0.0.1;host=\"api:8080\";proto=http"]);
}

#[test]
fn authorization_of_a_scheme_that_is_off_is_the_upstreams() {
    let settings = settings(|_| {});
    assert_eq!(all(&pass(&settings, false, &[], &[("authorization", "Bearer x")]), "authorization"), ["Bearer x"]);
    assert!(all(&pass(&settings, false, &[], &[("authorization", "bAsIc eDp5")]), "authorization").is_empty());
    let forwards = self::settings(|settings| settings.credentials.forward = true);
    let lines = [("authorization", "Basic eDp5"), ("x-api-key", "k"), ("x_api_key", "k")];
    let headers = pass(&forwards, false, &[], &lines);
    assert_eq!(all(&headers, "authorization"), ["Basic eDp5"]);
    assert_eq!(all(&headers, "x-api-key"), ["k"]);
    assert!(all(&headers, "x_api_key").is_empty());
}

#[test]
fn trailers_are_announced_and_upgrades_are_not() {
    let lines = [("te", "deflate;q=0.5, trailers"), ("connection", "te, upgrade"), ("upgrade", "h2c")];
    let headers = pass(&settings(|_| {}), false, &[], &lines);
    assert_eq!(all(&headers, "te"), ["trailers"]);
    assert_eq!(all(&headers, "connection"), ["te"]);
    assert!(!asks_upgrade(&headers));
    assert!(!pass(&settings(|_| {}), false, &[], &[("te", "deflate")]).contains_key("te"));
}

#[test]
fn trailers_carry_nothing_that_is_ours() {
    let settings = settings(|_| {});
    let mut trailers = HeaderMap::new();
    for name in ["x-checksum", "x-portcullis-org", "x_forwarded_for", "x-api-key", "content-length", "authorization"] {
        trailers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("v"));
    }
    Names::of(&settings).clean_trailers(&mut trailers);
    assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-checksum"]);
}

#[test]
fn an_answer_loses_its_hop_by_hop_fields() {
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("connection", "x-hop"), ("x-hop", "1"), ("keep-alive", "timeout=5"), ("server", "up"), ("date", "d")]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    clean_answer(&mut headers);
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["date", "server"]);
}
