//! threats.md C13: proxies that are believed for what their certificate names.

use super::*;
use crate::config::settings::CertifiedProxy;

const EDGE: &str = "spiffe://mesh/ns/edge/sa/proxy";
const MESH: &str = "spiffe://mesh/ns/mesh/sa/proxy";

/// 10.0.0.0/8 is listed as it is, and a part of it with a certificate too.
fn asking() -> ClientAddressRule {
    let proxies =
        [("192.168.0.0/16", EDGE), ("192.168.7.0/24", MESH), ("10.9.0.0/16", EDGE), ("2001:db8:e::/48", EDGE)];
    let certified =
        |(network, uri): (&str, &str)| CertifiedProxy { network: network.parse().unwrap(), san_uri: uri.into() };
    ClientAddressRule { certified_proxies: proxies.map(certified).into(), ..rule(AddressHeader::XForwardedFor, None) }
}

fn showing(peer: &str, uris: &[&str]) -> Peer {
    let uris = uris.iter().map(|uri| Box::from(*uri)).collect();
    Peer { certificate: crate::gate::certificate::shown(uris, None), ..at(peer) }
}

#[test]
fn c13_a_peer_is_trusted_for_what_its_certificate_names() {
    let rule = asking();
    for (peer, uris, expected) in [
        ("192.168.1.1", &[EDGE][..], Trust::Certified(EDGE)),
        ("192.168.1.1", &["https://a.example.com/", EDGE], Trust::Certified(EDGE)),
        ("::ffff:192.168.1.1", &[EDGE], Trust::Certified(EDGE)),
        ("2001:db8:e::1", &[EDGE], Trust::Certified(EDGE)),
        ("192.168.1.1", &[], Trust::Uncertified(EDGE)),
        ("192.168.1.1", &[MESH], Trust::Uncertified(EDGE)),
        ("192.168.1.1", &["spiffe://mesh/ns/edge/sa/proxy/"], Trust::Uncertified(EDGE)),
        ("192.168.1.1", &["spiffe://MESH/ns/edge/sa/proxy"], Trust::Uncertified(EDGE)),
        ("192.168.1.1", &["spiffe://mesh/ns/edge/sa/prox", ""], Trust::Uncertified(EDGE)),
        // Either name will do where networks overlap.
        ("192.168.7.1", &[MESH], Trust::Certified(MESH)),
        ("192.168.7.1", &[EDGE], Trust::Certified(EDGE)),
        // What is listed as it is needs none.
        ("10.9.0.1", &[], Trust::Listed),
        ("10.9.0.1", &[MESH], Trust::Listed),
        // Nobody is trusted for a certificate alone.
        ("192.0.2.1", &[EDGE, MESH], Trust::Unlisted),
        ("2001:db8:e:ffff:ffff:ffff:ffff:ffff", &[], Trust::Uncertified(EDGE)),
        ("2001:db8:d::1", &[EDGE], Trust::Unlisted),
    ] {
        let peer = showing(peer, uris);
        let found = trust(&peer, &rule);
        assert_eq!(found, expected, "{peer:?}");
        let derived = derive(&peer, &rule, &headers(&[(XFF, "203.0.113.9")]), &mut NoTrace);
        let (client, source) = match expected.is_trusted() {
            true => ("203.0.113.9".parse().unwrap(), AddressSource::Header),
            false => (peer.address, AddressSource::Peer),
        };
        assert_eq!((derived.client.unwrap().ip(), derived.source), (client, source), "{peer:?}");
        assert_eq!(derived.peer_trusted, expected.is_trusted(), "{peer:?}");
    }
}

#[test]
fn c13_of_a_hop_no_certificate_was_seen() {
    let rule = asking();
    let peer = showing("192.168.1.1", &[EDGE]);
    for (line, client) in [
        // The hop is where such proxies are, and nobody knows whether it is one.
        ("203.0.113.9, 192.168.1.2", "192.168.1.2"),
        ("203.0.113.9, 192.168.1.1", "192.168.1.1"),
        // 10.0.0.0/8 is listed as it is.
        ("203.0.113.9, 10.9.0.1", "203.0.113.9"),
        ("192.168.1.2, 10.9.0.1", "192.168.1.2"),
    ] {
        let derived = derive(&peer, &rule, &headers(&[(XFF, line)]), &mut NoTrace);
        assert_eq!(derived.client.unwrap().to_string(), client, "{line}");
    }
}

#[test]
fn c13_the_source_of_a_proxy_header_has_shown_no_certificate() {
    let peer = showing("192.0.2.1", &[EDGE]).proxied("192.168.1.1:1".parse().unwrap());
    let derived = derive(&peer, &asking(), &headers(&[(XFF, "203.0.113.9")]), &mut NoTrace);
    assert_eq!(derived.client.unwrap().to_string(), "192.168.1.1");
    assert_eq!((derived.source, derived.peer_trusted), (AddressSource::ProxyProtocol, false));
}

/// A single-valued header has to be there where the peer is trusted, and is nobody's business where it is not.
#[test]
fn c13_other_headers_are_read_or_left_alike() {
    let single = AddressHeader::Single(HeaderName::from_static("cf-connecting-ip"));
    let rule = ClientAddressRule { header: single, ..asking() };
    let client = |uris: &[&str], lines: &[(&str, &str)]| {
        let derived = derive(&showing("192.168.1.1", uris), &rule, &headers(lines), &mut NoTrace);
        derived.client.map(|client| client.to_string())
    };
    let line = [("cf-connecting-ip", "203.0.113.9")];
    assert_eq!(client(&[EDGE], &line), Ok("203.0.113.9".into()));
    assert_eq!(client(&[EDGE], &[]), Err(AddressFault::Missing));
    assert_eq!(client(&[MESH], &line), Ok("192.168.1.1".into()));
    assert_eq!(client(&[], &[]), Ok("192.168.1.1".into()));
}
