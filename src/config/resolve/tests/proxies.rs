//! Proxies that are trusted for what their certificate names.

use super::{read, refused, taken};
use crate::config::settings::CertifiedProxy;

const URI: &str = "spiffe://mesh/ns/edge/sa/proxy";

/// A listener that asks its clients for a certificate.
const ASKING: &str = "  listen: [{address: 127.0.0.1:1, tls: {certificate: Cargo.toml, private_key: Cargo.toml, client_ca: Cargo.toml}}]\n";

fn with(proxies: &str) -> String {
    format!("gateway:\n{ASKING}  client_address: {{trusted_proxies: {proxies}}}")
}

#[test]
fn both_kinds_stand_in_one_list() {
    let settings = taken(&with(&format!("[10.0.0.0/8, {{cidr: 192.168.0.0/16, san_uri: '{URI}'}}, 192.0.2.1]")));
    let rule = &settings.gateway.client_address;
    let plain: Vec<_> = rule.trusted_proxies.iter().map(|network| network.to_string()).collect();
    assert_eq!(plain, ["10.0.0.0/8", "192.0.2.1/32"]);
    let certified = CertifiedProxy { network: "192.168.0.0/16".parse().unwrap(), san_uri: URI.into() };
    assert_eq!(rule.certified_proxies, [certified]);
}

#[test]
fn a_certificate_says_enough_for_any_network() {
    for network in ["0.0.0.0/0", "'::/0'", "10.0.0.0/7"] {
        let (_, warnings) = read(&with(&format!("[{{cidr: {network}, san_uri: '{URI}'}}]"))).unwrap();
        assert!(warnings.is_empty(), "{network}: {warnings}");
    }
    // A warning is at its own place among these.
    let (_, warnings) = read(&with(&format!("[{{cidr: 0.0.0.0/0, san_uri: '{URI}'}}, 32.0.0.0/3]"))).unwrap();
    let places: Vec<_> = warnings.iter().map(|one| one.place.to_string()).collect();
    assert_eq!(places, ["p.yaml:3:100"]);
    assert!(read(&with(&format!("[{{cidr: 0.0.0.0/0, san_uri: '{URI}'}}, 0.0.0.0/0]"))).is_err());
}

#[test]
fn each_faulty_proxy_is_refused_at_its_place() {
    for (proxy, column, part) in [
        ("{cidr: 10.0.0.5/8, san_uri: 'a:b'}", 45, "did you mean `10.0.0.0/8`?"),
        ("{cidr: '', san_uri: 'a:b'}", 45, "is not an IP address or network"),
        ("{cidr: 10.0.0.0/8}", 38, "key `san_uri` is missing"),
        ("{san_uri: 'a:b'}", 38, "key `cidr` is missing"),
        ("{cidr: 10.0.0.0/8, san_uri: 'a:b', san: b}", 73, "did you mean `san_uri`?"),
        ("{cidr: 10.0.0.0/8, san_uri: }", 57, "is no URI"),
        ("[10.0.0.0/8]", 38, "or a mapping of keys to values"),
        ("1.5", 38, "`1.5` is not an IP address or network"),
        ("-5", 38, "`-5` is not an IP address or network"),
        ("~", 38, "`~` is not an IP address or network"),
        ("5", 38, "`5` is not an IP address or network"),
        ("true", 38, "is not an IP address or network"),
    ] {
        refused(&with(&format!("[{proxy}]")), &format!("3:{column}"), part);
    }
    for uri in [
        "",
        " ",
        "proxy",
        "proxy.example.com",
        "/ns/edge",
        "spiffe:",
        "://mesh/a",
        "1a:b",
        "a b:c",
        "spiffe://mesh/a b",
        "spiffe://mesh/\u{e9}",
        "spiffe://mesh/%",
        "spiffe://mesh/%2",
        "spiffe://mesh/%zz",
        " spiffe://mesh/a",
        "spiffe://mesh/*\\",
    ] {
        refused(&with(&format!("[{{cidr: 10.0.0.0/8, san_uri: '{uri}'}}]")), "3:66", "is no URI");
    }
    for uri in ["spiffe://mesh/ns/edge/sa/proxy", "urn:uuid:0", "https://a.example.com:1/%2e?b#c", "x-1.y+z:%aF"] {
        taken(&with(&format!("[{{cidr: 10.0.0.0/8, san_uri: '{uri}'}}]")));
    }
}

#[test]
fn a_certificate_has_to_be_asked_for() {
    let proxies = format!("client_address: {{trusted_proxies: [{{cidr: 10.0.0.0/8, san_uri: '{URI}'}}]}}");
    let tls = "tls: {certificate: Cargo.toml, private_key: Cargo.toml}";
    for listen in [
        String::new(),
        format!("  listen: [{{address: 127.0.0.1:1, {tls}}}]\n"),
        // No certificate counts behind it.
        ASKING.replace("}}]", "}, proxy_protocol: {trusted: [10.0.0.1]}}]"),
    ] {
        let line = if listen.is_empty() { 2 } else { 3 };
        refused(&format!("gateway:\n{listen}  {proxies}"), &format!("{line}:57"), "no listener asks for one");
    }
    refused(&format!("admin: {{{proxies}}}"), "1:63", "the admin listener asks for none");
    // Where nobody can tell what the listeners are, that alone is the fault.
    let faults = read(&format!("gateway:\n  listen: 5\n  {proxies}")).unwrap_err();
    let lines: Vec<_> = faults.iter().map(|fault| fault.place.line).collect();
    assert_eq!(lines, [2], "{faults}");
}
