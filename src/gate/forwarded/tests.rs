//! threats.md C1–C6, C8, C9, C12 on the derivation alone.

mod certified;

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::access::decision::NoTrace;
use crate::access::network::Networks;

const PROXY: &str = "10.0.0.1";
const XFF: &str = "x-forwarded-for";

fn networks(texts: &[&str]) -> Networks {
    texts.iter().map(|text| text.parse::<crate::access::network::Network>().unwrap()).collect()
}

fn rule(header: AddressHeader, hops: Option<usize>) -> ClientAddressRule {
    ClientAddressRule {
        trusted_proxies: networks(&["10.0.0.0/8", "2001:db8:f::/48"]),
        certified_proxies: Vec::new(),
        header,
        hops: hops.map(|hops| NonZeroUsize::new(hops).unwrap()),
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

type Expected<'t> = Result<(&'t str, AddressSource), AddressFault>;

fn at(peer: &str) -> Peer {
    Peer::tcp((peer.parse::<IpAddr>().unwrap(), 1).into(), "127.0.0.1:443".parse().unwrap())
}

#[track_caller]
fn check_rule(rule: &ClientAddressRule, peer: &str, lines: &[(&str, &str)], expected: Expected<'_>) -> Derived {
    let derived = derive(&at(peer), rule, &headers(lines), &mut NoTrace);
    let seen = derived.client.map(|client| (client.to_string(), derived.source));
    assert_eq!(seen, expected.map(|(client, source)| (client.to_owned(), source)), "{lines:?}");
    derived
}

#[track_caller]
fn xff(lines: &[&str], expected: Result<&str, AddressFault>) {
    let lines: Vec<_> = lines.iter().map(|line| (XFF, *line)).collect();
    let expected = expected.map(|client| (client, AddressSource::Header));
    check_rule(&rule(AddressHeader::XForwardedFor, None), PROXY, &lines, expected);
}

#[track_caller]
fn forwarded(lines: &[&str], expected: Result<&str, AddressFault>) {
    let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
    let expected = expected.map(|client| (client, AddressSource::Header));
    check_rule(&rule(AddressHeader::Forwarded, None), PROXY, &lines, expected);
}

#[test]
fn c1_header_of_an_untrusted_peer_is_not_read() {
    let rule = rule(AddressHeader::XForwardedFor, None);
    let long = "1.2.3.4,".repeat(20_000);
    for line in ["203.0.113.9", "garbage", "", long.as_str()] {
        let derived = check_rule(&rule, "192.0.2.1", &[(XFF, line)], Ok(("192.0.2.1", AddressSource::Peer)));
        assert!(!derived.peer_trusted);
        assert!(derived.chain.is_empty());
    }
    check_rule(&rule, "::ffff:192.0.2.1", &[], Ok(("192.0.2.1", AddressSource::Peer)));
}

#[test]
fn c2_the_rightmost_untrusted_hop_is_the_client() {
    xff(&["203.0.113.9"], Ok("203.0.113.9"));
    xff(&["198.51.100.1, 203.0.113.9"], Ok("203.0.113.9"));
    xff(&["198.51.100.1,203.0.113.9 ,\t10.0.0.2"], Ok("203.0.113.9"));
    xff(&["garbage, 203.0.113.9, 10.0.0.2"], Ok("203.0.113.9"));
    xff(&["203.0.113.9, ::ffff:10.0.0.2"], Ok("203.0.113.9"));
    xff(&["::ffff:203.0.113.9"], Ok("203.0.113.9"));
    xff(&["::a00:2, 10.0.0.2"], Ok("::a00:2"));
}

#[test]
fn the_chain_holds_the_verified_hops() {
    let rule = rule(AddressHeader::XForwardedFor, None);
    let lines = [(XFF, "1.1.1.1, 203.0.113.9, 10.0.0.3"), (XFF, "10.0.0.2")];
    let derived = check_rule(&rule, PROXY, &lines, Ok(("203.0.113.9", AddressSource::Header)));
    let chain: Vec<_> = derived.chain.iter().map(ToString::to_string).collect();
    assert_eq!(chain, ["203.0.113.9", "10.0.0.3", "10.0.0.2"]);
    assert!(derived.peer_trusted);
}

#[test]
fn c3_lines_are_one_list_in_wire_order() {
    xff(&["198.51.100.1", "203.0.113.9"], Ok("203.0.113.9"));
    xff(&["203.0.113.9", "10.0.0.2"], Ok("203.0.113.9"));
    xff(&["203.0.113.9, 10.0.0.3", "10.0.0.2"], Ok("203.0.113.9"));
}

#[test]
fn c4_what_is_no_address_ends_the_walk() {
    use AddressFault::{Empty, NotAnAddress};
    xff(&["203.0.113.9, garbage"], Err(NotAnAddress));
    xff(&["203.0.113.9, unknown"], Err(NotAnAddress));
    xff(&["203.0.113.9, _obf"], Err(NotAnAddress));
    xff(&["203.0.113.9, "], Err(Empty));
    xff(&["203.0.113.9,, 10.0.0.2"], Err(Empty));
    xff(&[""], Err(Empty));
    xff(&[" \t"], Err(Empty));
    xff(&["203.0.113.9", ""], Err(Empty));
    xff(&["203.0.113.9; 10.0.0.2"], Err(NotAnAddress));
    xff(&["203.0.113.9 10.0.0.2"], Err(NotAnAddress));
    xff(&["\"203.0.113.9\""], Err(NotAnAddress));
    xff(&["203.0.113.\u{e9}"], Err(NotAnAddress));
    // Left of the client nobody looks.
    xff(&["garbage, , 203.0.113.9"], Ok("203.0.113.9"));
}

#[test]
fn c5_spellings() {
    use AddressFault::NotAnAddress;
    for (text, client) in [
        ("203.0.113.9:56", "203.0.113.9"),
        ("203.0.113.9:0", "203.0.113.9"),
        ("203.0.113.9:65535", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1:443", "2001:db8::1:443"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("::1", "::1"),
    ] {
        xff(&[text], Ok(client));
    }
    for text in [
        "203.0.113.9:",
        "203.0.113.9:65536",
        "203.0.113.9:+80",
        "203.0.113.9:_p",
        "203.0.113.9:80:80",
        "[203.0.113.9]",
        "[203.0.113.9]:80",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]443",
        "[2001:db8::1]:",
        "[[2001:db8::1]]",
        "010.0.0.1",
        "0x0a.1",
        "0x0a.0.0.1",
        "10.1",
        "167772161",
        "10.0.0.1/32",
        "fe80::1%eth0",
        "[fe80::1%eth0]",
        "[fe80::1%1]:80",
        "1.2.3.4.5",
        "1.2.3.256",
        ":80",
        "[]",
        "[]:80",
        "localhost",
        "-1.2.3.4",
        "1.2.3.4\0",
    ] {
        // A NUL can't stand in a header value at all.
        if !text.contains('\0') {
            xff(&[text], Err(NotAnAddress));
        }
    }
}

#[test]
fn c6_length_is_bounded() {
    use AddressFault::TooLong;
    let many = vec!["10.0.0.2"; 10_000].join(",");
    xff(&[&many], Err(TooLong));
    xff(&[&"a".repeat(64 * 1024)], Err(TooLong));
    xff(&vec!["1.2.3.4"; 10_000], Err(TooLong));
    // Below the bound in bytes, above it in hops.
    let hops = vec!["10.0.0.2"; MOST_HOPS + 1].join(",");
    xff(&[&format!("203.0.113.9,{hops}")], Err(TooLong));
    let hops = vec!["10.0.0.2"; MOST_HOPS - 1].join(",");
    xff(&[&format!("203.0.113.9,{hops}")], Ok("203.0.113.9"));
    assert_eq!((MOST_HOPS, MOST_BYTES), (64, 8_192), "as decision.md says");
    let long = format!("{},203.0.113.9", "x".repeat(MOST_BYTES));
    xff(&[&long], Err(TooLong));
    xff(&[&long[13..]], Ok("203.0.113.9"));
    let empty = ",".repeat(10_000);
    xff(&[&empty], Err(TooLong));
    let single = rule(AddressHeader::Single(HeaderName::from_static("cf-connecting-ip")), None);
    check_rule(&single, PROXY, &[("cf-connecting-ip", &"1".repeat(10_000))], Err(TooLong));
}

#[test]
fn c8_a_single_valued_header_holds_one_address() {
    use AddressFault::{Empty, Missing, NotAnAddress, Repeated};
    let rule = rule(AddressHeader::Single(HeaderName::from_static("cf-connecting-ip")), None);
    let check = |lines: &[&str], expected: Result<&str, AddressFault>| {
        let lines: Vec<_> = lines.iter().map(|line| ("cf-connecting-ip", *line)).collect();
        check_rule(&rule, PROXY, &lines, expected.map(|client| (client, AddressSource::Header)));
    };
    check(&["203.0.113.9"], Ok("203.0.113.9"));
    check(&["10.0.0.9"], Ok("10.0.0.9"));
    check(&["203.0.113.9", "203.0.113.9"], Err(Repeated));
    check(&["203.0.113.9,198.51.100.1"], Err(Repeated));
    check(&["203.0.113.9,"], Err(Repeated));
    check(&[], Err(Missing));
    check(&[""], Err(Empty));
    check(&["unknown"], Err(NotAnAddress));
    check_rule(&rule, "192.0.2.1", &[], Ok(("192.0.2.1", AddressSource::Peer)));
}

#[test]
fn c9_only_the_configured_header_is_read() {
    let both = [(XFF, "203.0.113.9"), ("forwarded", "for=198.51.100.1"), ("x_forwarded_for", "192.0.2.66")];
    let (xff, forwarded) = (rule(AddressHeader::XForwardedFor, None), rule(AddressHeader::Forwarded, None));
    check_rule(&xff, PROXY, &both, Ok(("203.0.113.9", AddressSource::Header)));
    check_rule(&forwarded, PROXY, &both, Ok(("198.51.100.1", AddressSource::Header)));
    check_rule(&forwarded, PROXY, &both[..1], Ok((PROXY, AddressSource::Peer)));
    check_rule(&xff, PROXY, &both[1..], Ok((PROXY, AddressSource::Peer)));
}

#[test]
fn c12_several_trusted_hops_need_their_number() {
    let with = |hops, line: &str, expected: Result<&str, AddressFault>| {
        let rule = rule(AddressHeader::XForwardedFor, hops);
        check_rule(&rule, PROXY, &[(XFF, line)], expected.map(|client| (client, AddressSource::Header)));
    };
    with(None, "10.0.0.9", Ok("10.0.0.9"));
    with(None, "10.0.0.9, 10.0.0.2", Err(AddressFault::AllTrusted));
    with(Some(2), "10.0.0.9, 10.0.0.2", Ok("10.0.0.9"));
    // A client inside the trusted networks forges a hop before its own.
    with(Some(1), "10.0.0.66, 10.0.0.9", Ok("10.0.0.9"));
    with(Some(1), "203.0.113.66, 10.0.0.9", Ok("10.0.0.9"));
    with(Some(2), "203.0.113.66, 10.0.0.9, 10.0.0.2", Ok("10.0.0.9"));
    with(None, "203.0.113.66, 10.0.0.9, 10.0.0.2", Ok("203.0.113.66"));
    // Fewer hops than promised: an address outside still ends the walk; several inside tell nothing.
    with(Some(3), "203.0.113.9, 10.0.0.2", Ok("203.0.113.9"));
    with(Some(3), "10.0.0.9, 10.0.0.2", Err(AddressFault::AllTrusted));
    with(Some(3), "10.0.0.9", Ok("10.0.0.9"));
    with(Some(2), "garbage, 10.0.0.2", Err(AddressFault::NotAnAddress));
}

#[test]
fn forwarded_elements() {
    for (line, client) in [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=203.0.113.9", "203.0.113.9"),
        ("FOR=\"203.0.113.9:4711\"", "203.0.113.9"),
        ("for=203.0.113.9:4711", "203.0.113.9"),
        ("for=\"[2001:db8::1]\"", "2001:db8::1"),
        ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
        ("for=\"[2001:db8::1]:_hidden\"", "2001:db8::1"),
        ("for=\"2001:db8::1\"", "2001:db8::1"),
        ("for=[2001:db8::1]:80", "2001:db8::1"),
        ("for=\"203\\.0.113.9\"", "203.0.113.9"),
        ("for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
        // Read from the right, neither comma stands outside of the quotes.
        ("for=\"[2001:db8::1]:_x\";proto=https, For=203.0.113.9;by=\",a\\\",b\"", "203.0.113.9"),
        ("proto=https; for=203.0.113.9 ;by=\"a,b;for=1.2.3.4\"", "203.0.113.9"),
        (";;for=203.0.113.9;", "203.0.113.9"),
        ("host=\"\\\"\";for=203.0.113.9", "203.0.113.9"),
        ("for=198.51.100.1, for=203.0.113.9", "203.0.113.9"),
        ("for=203.0.113.9, for=10.0.0.2;by=\"x\\\\\"", "203.0.113.9"),
        // What a client leaves open on the left does not reach the proxies' elements on the right.
        ("for=\"198.51.100.1, for=203.0.113.9", "203.0.113.9"),
        ("for=\"198.51.100.1\\, for=\"203.0.113.9\"", "203.0.113.9"),
    ] {
        forwarded(&[line], Ok(client));
    }
    forwarded(&["for=203.0.113.9", "for=10.0.0.2"], Ok("203.0.113.9"));
}

#[test]
fn forwarded_elements_without_an_address() {
    use AddressFault::{Empty, NotAnAddress};
    for line in [
        "for=unknown",
        "for=_hidden",
        "for=\"_hidden:80\"",
        "proto=https",
        "for=",
        "for=\"\"",
        "for",
        "=203.0.113.9",
        "for =203.0.113.9",
        "for= 203.0.113.9",
        "for=203.0.113.9;for=203.0.113.9",
        "for=203.0.113.9;For=198.51.100.1",
        "for=\"203.0.113.9",
        "for=203.0.113.9\"",
        "for=\"203.0.113.9\"x",
        "for=203.0.113.9 proto=https",
        "for=203.0.113.9;proto",
        "for=203.0.113.9;proto=\"https",
        "203.0.113.9",
        "for=\"203.0.113.9\\\"",
        "for=\"\\",
        "for=203.0.113.9:_hidden:1",
        "for='203.0.113.9'",
        "for=\"[fe80::1%eth0]\"",
        "for=010.0.0.1",
        ";",
    ] {
        forwarded(&[&format!("for=198.51.100.1, {line}")], Err(NotAnAddress));
    }
    forwarded(&["for=203.0.113.9,"], Err(Empty));
    forwarded(&["for=203.0.113.9", " "], Err(Empty));
    let long = format!("for=\"{}203.0.113.9\"", "\\1".repeat(100));
    forwarded(&[&long], Err(NotAnAddress));
}

fn any_hop() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..4_u8).prop_map(|last| format!("10.0.0.{last}")),
        (0..4_u8).prop_map(|last| format!("203.0.113.{last}")),
        (0..4_u8).prop_map(|last| format!("[2001:db8:f::{last}]:80")),
        Just("unknown".to_owned()),
        Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn never_a_trusted_proxy_while_an_untrusted_hop_exists(
        lines in prop::collection::vec(prop::collection::vec(any_hop(), 1..4), 1..4),
    ) {
        let rule = rule(AddressHeader::XForwardedFor, None);
        let joined: Vec<String> = lines.iter().map(|hops| hops.join(", ")).collect();
        let lines: Vec<_> = joined.iter().map(|line| (XFF, line.as_str())).collect();
        let derived = derive(&at(PROXY), &rule, &headers(&lines), &mut NoTrace);
        if let Ok(client) = derived.client
            && rule.trusted_proxies.contains(client.ip())
        {
            let all = joined.join(",");
            let untrusted = all.split(',').any(|hop| hop.contains("203.0.113."));
            prop_assert!(!untrusted, "{all} gave {client}");
            prop_assert!(derived.chain.len() == 1);
        }
    }

    #[test]
    fn no_bytes_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            for (name, header) in [(X_FORWARDED_FOR, AddressHeader::XForwardedFor), (FORWARDED, AddressHeader::Forwarded)] {
                let mut headers = HeaderMap::new();
                headers.append(name, value.clone());
                let _ = derive(&at(PROXY), &rule(header, None), &headers, &mut NoTrace);
            }
        }
    }
}

#[test]
fn sources_have_the_words_of_the_log() {
    let words = [AddressSource::Peer, AddressSource::ProxyProtocol, AddressSource::Header].map(AddressSource::as_str);
    assert_eq!(words, ["peer", "proxy_protocol", "header"]);
}

/// As long as they may be, and one byte more.
#[test]
fn c6_the_bound_of_bytes_is_exact() {
    let padded = |length: usize| format!("{}203.0.113.9", " ".repeat(length - 11));
    xff(&[&padded(MOST_BYTES)], Ok("203.0.113.9"));
    xff(&[&padded(MOST_BYTES + 1)], Err(AddressFault::TooLong));
    let single = rule(AddressHeader::Single(HeaderName::from_static("cf-connecting-ip")), None);
    check_rule(
        &single,
        PROXY,
        &[("cf-connecting-ip", &padded(MOST_BYTES))],
        Ok(("203.0.113.9", AddressSource::Header)),
    );
    check_rule(&single, PROXY, &[("cf-connecting-ip", &padded(MOST_BYTES + 1))], Err(AddressFault::TooLong));
}
