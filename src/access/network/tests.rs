//! Spellings of networks, and what the strict parser says of each.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn accepts(input: &str, expected: &str) {
    assert_eq!(input.parse::<Network>().map(|network| network.to_string()), Ok(expected.to_owned()));
}

#[track_caller]
fn refuses(input: &str, message: &str) {
    let fault = input.parse::<Network>().expect_err(input).to_string();
    assert!(fault.contains(message), "{fault}");
}

#[test]
fn legal_spellings_become_canonical() {
    accepts("10.0.0.5", "10.0.0.5/32");
    accepts("10.0.0.0/8", "10.0.0.0/8");
    accepts("0.0.0.0/0", "0.0.0.0/0");
    accepts("::ffff:10.0.0.0/104", "10.0.0.0/8");
    accepts("::ffff:10.0.0.5", "10.0.0.5/32");
    accepts("2001:DB8:0:0::/32", "2001:db8::/32");
    accepts("2001:db8::1", "2001:db8::1/128");
    accepts("255.255.255.254/32", "255.255.255.254/32");
}

#[test]
fn everything_else_is_refused_with_the_way_out() {
    refuses("10.0.0.5/8", "did you mean `10.0.0.0/8`?");
    refuses("::ffff:10.0.0.5/104", "did you mean `10.0.0.0/8`?");
    refuses("2001:db8::1/32", "did you mean `2001:db8::/32`?");
    for text in ["010.0.0.0/8", "0x0a.1", "10.1", "167772161", "", " 10.0.0.1", "10.0.0.1 ", "10.0.0.256", "1.2.3.4:56"]
    {
        refuses(text, "is not an IP address or network");
    }
    for text in ["10.0.0.0/08", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "::/129", "::/-1"] {
        refuses(text, "prefix length");
    }
    refuses("fe80::1%eth0", "zone id");
    refuses("fe80::%eth0/64", "zone id");
}

#[test]
fn a_fault_repeats_only_the_beginning_and_no_control_characters() {
    let message = "`10.0.0.x` is not an IP address; write it like 203.0.113.9 or 2001:db8::1";
    assert_eq!(parse_address("10.0.0.x").unwrap_err().to_string(), message);
    let zone =
        "`fe80::1%eth0` has a zone id, which means nothing outside one machine; leave out everything from `%` on";
    assert_eq!(parse_address("fe80::1%eth0").unwrap_err().to_string(), zone);
    let fault = "\u{1b}[31m".repeat(1000).parse::<Network>().unwrap_err().to_string();
    assert!(fault.len() < 600 && !fault.contains('\u{1b}'), "{fault}");
}

#[test]
fn a_network_tells_what_it_is() {
    let network = |text: &str| text.parse::<Network>().unwrap();
    for (text, covers_family, is_host) in [
        ("0.0.0.0/0", true, false),
        ("::/0", true, false),
        ("0.0.0.0/1", false, false),
        ("192.0.2.1", false, true),
        ("2001:db8::1", false, true),
        ("192.0.2.0/31", false, false),
    ] {
        assert_eq!((network(text).covers_family(), network(text).is_host()), (covers_family, is_host), "{text}");
    }
    assert_eq!(network("192.0.2.0/30").last().to_string(), "192.0.2.3");
    assert_eq!(format!("{:?}", network("192.0.2.0/30")), "Network(192.0.2.0/30)");
    assert_eq!(Network::from(Ipv4Addr::LOCALHOST), network("127.0.0.1"));
    assert!(Networks::default().is_empty() && !Networks::from_iter([network("::1")]).is_empty());
    assert_eq!(Networks::from_iter([network("::1"), network("10.0.0.0/8")]).iter().count(), 2);
    assert!(Network::truncated(Ipv4Addr::LOCALHOST.into(), 33).is_none());
}

#[test]
fn families_never_mix() {
    let network: Network = "0.0.0.0/0".parse().unwrap();
    assert!(!network.contains("::1".parse().unwrap()));
    let network: Network = "::/0".parse().unwrap();
    assert!(!network.contains("10.0.0.1".parse().unwrap()));
}

#[test]
fn sets_merge_without_widening() {
    let set: Networks =
        ["255.255.255.254/32", "255.255.255.252/31", "10.0.0.0/9"].iter().map(|text| text.parse().unwrap()).collect();
    for (address, expected) in [
        ("255.255.255.255", false),
        ("255.255.255.254", true),
        ("255.255.255.252", true),
        ("255.255.255.251", false),
        ("10.127.255.255", true),
        ("10.128.0.0", false),
        ("0.0.0.0", false),
    ] {
        assert_eq!(set.contains(address.parse().unwrap()), expected, "{address}");
    }
    assert!(!set.covers_a_family());
    let halves: Networks = ["128.0.0.0/1", "0.0.0.0/1"].iter().map(|text| text.parse().unwrap()).collect();
    assert!(halves.covers_a_family());
    assert!("::/0".parse().into_iter().collect::<Networks>().covers_a_family());
}

/// Any network, biased towards a small corner of the address space so that they nest and touch.
pub(crate) fn networks() -> impl Strategy<Value = Network> {
    prop_oneof![
        (0u32..64, 24u8..=32).prop_map(|(low, len)| (IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | low << 2)), len)),
        (any::<u32>(), 0u8..=32).prop_map(|(bits, len)| (IpAddr::V4(Ipv4Addr::from_bits(bits)), len)),
        (0u128..64, 120u8..=128)
            .prop_map(|(low, len)| (IpAddr::V6(Ipv6Addr::from_bits(0x2001 << 112 | low << 2)), len)),
        (any::<u128>(), 0u8..=128).prop_map(|(bits, len)| (IpAddr::V6(Ipv6Addr::from_bits(bits)), len)),
    ]
    .prop_map(|(address, len)| Network::truncated(address, len).expect("the length fits the family"))
}

/// Any canonical address, biased like [`networks`].
pub(crate) fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u32..256).prop_map(|low| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | low))),
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        (0u128..256).prop_map(|low| IpAddr::V6(Ipv6Addr::from_bits(0x2001 << 112 | low))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical()),
    ]
}

proptest! {
    #[test]
    fn display_then_parse_is_identity(network in networks()) {
        prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
    }

    #[test]
    fn a_set_answers_as_a_scan_does(list in prop::collection::vec(networks(), 0..20), address in addresses()) {
        let set: Networks = list.iter().copied().collect();
        prop_assert_eq!(set.contains(address), list.iter().any(|network| network.contains(address)));
    }
}
