//! The matcher against a naive scan, nesting and expiry.

use std::sync::Arc;

use super::*;
use crate::access::network::tests::{addresses, networks};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn client(text: &str) -> ClientAddress {
    ClientAddress::new(text.parse().unwrap())
}

fn list(entries: &[(&str, Timestamp)]) -> AccessList {
    AccessList::compile(
        entries
            .iter()
            .map(|(text, expires_at)| NetworkEntry { network: text.parse().unwrap(), expires_at: *expires_at }),
        [],
    )
}

#[track_caller]
fn check(list: &AccessList, address: &str, expected: Option<&str>) {
    let found = list.admits(client(address), NOW, &[]).map(|admitted| admitted.network.to_string());
    assert_eq!(found.as_deref(), expected, "{address}");
}

const NEVER: Timestamp = Timestamp::NEVER;

#[test]
fn the_narrowest_unexpired_entry_admits() {
    let list = list(&[
        ("10.0.0.0/8", NEVER),
        ("10.1.0.0/16", at(1_000)),
        ("10.1.2.0/24", at(1_001)),
        ("10.1.2.3", at(999)),
        ("2001:db8::/32", NEVER),
        ("2001:db8:1::/48", at(5)),
    ]);
    check(&list, "10.1.2.3", Some("10.1.2.0/24"));
    check(&list, "10.1.3.1", Some("10.0.0.0/8"));
    check(&list, "::ffff:10.9.9.9", Some("10.0.0.0/8"));
    check(&list, "11.0.0.0", None);
    check(&list, "9.255.255.255", None);
    check(&list, "2001:db8:1::1", Some("2001:db8::/32"));
    check(&list, "2001:db9::", None);
}

/// Long lists are searched and not counted through.
#[test]
fn a_long_list_is_exact_at_each_of_its_ends() {
    let entries: Vec<String> = (0..40).flat_map(|n| [format!("10.{n}.8.0/24"), format!("2001:db8:{n}::/48")]).collect();
    let entries: Vec<(&str, Timestamp)> = entries.iter().map(|text| (&**text, NEVER)).collect();
    let v4_alone: Vec<_> = entries.iter().copied().filter(|(text, _)| !text.contains(':')).collect();
    for list in [list(&entries), list(&v4_alone)] {
        for n in 0..40 {
            let expected = format!("10.{n}.8.0/24");
            check(&list, &format!("10.{n}.7.255"), None);
            check(&list, &format!("10.{n}.8.0"), Some(&expected));
            check(&list, &format!("10.{n}.8.255"), Some(&expected));
            check(&list, &format!("10.{n}.9.0"), None);
        }
    }
    check(&list(&entries), "2001:db8:20::1", Some("2001:db8:20::/48"));
    check(&list(&entries), "2001:db8:40::", None);
}

/// What an explanation calls nearest: what covers the address and has expired, then what begins most like it.
#[test]
fn the_nearest_entry_is_what_was_meant() {
    let sets = [Arc::new(NetworkSet {
        name: "office".into(),
        networks: super::AccessList::compile(
            [NetworkEntry { network: "198.51.100.0/24".parse().unwrap(), expires_at: NEVER }],
            [],
        ),
    })];
    let networks = [
        ("10.1.0.0/16", NEVER),
        ("10.2.3.0/24", at(999)),
        ("10.2.0.0/16", at(1_000)),
        ("192.0.2.7", NEVER),
        ("2001:db8:1::/48", NEVER),
        ("2001:db8:ffff::/48", NEVER),
    ];
    let list = AccessList::compile(
        networks.map(|(text, expires_at)| NetworkEntry { network: text.parse().unwrap(), expires_at }),
        [SetEntry { set: 0, expires_at: NEVER }],
    );
    for (address, network, expired_at, set) in [
        ("10.2.3.4", "10.2.3.0/24", Some(at(999)), None),
        ("10.2.4.4", "10.2.0.0/16", Some(at(1_000)), None),
        ("10.3.0.1", "10.2.3.0/24", None, None),
        ("10.0.0.1", "10.1.0.0/16", None, None),
        ("192.0.2.9", "192.0.2.7/32", None, None),
        ("198.51.101.1", "198.51.100.0/24", None, Some(0)),
        ("2001:db8:fffe::1", "2001:db8:ffff::/48", None, None),
        ("2001:db8:2::", "2001:db8:1::/48", None, None),
    ] {
        let nearest = list.nearest(client(address), NOW, &sets).unwrap();
        let seen = (nearest.network.to_string(), nearest.expired_at, nearest.set);
        assert_eq!(seen, (network.to_owned(), expired_at, set), "{address}");
    }
    assert!(AccessList::default().nearest(client("::1"), NOW, &sets).is_none());
}

#[test]
fn v4_never_matches_embedded_forms() {
    let list = list(&[("0.0.0.1", NEVER), ("10.0.0.5", NEVER), ("0.0.0.0/0", NEVER)]);
    for address in ["::1", "::a00:5", "64:ff9b::a00:5", "2002:a00:5::"] {
        check(&list, address, None);
    }
}

#[test]
fn the_ends_of_the_space_are_exact() {
    let list = list(&[("255.255.255.254/32", NEVER), ("0.0.0.0/31", NEVER)]);
    check(&list, "255.255.255.255", None);
    check(&list, "255.255.255.254", Some("255.255.255.254/32"));
    check(&list, "255.255.255.253", None);
    check(&list, "0.0.0.1", Some("0.0.0.0/31"));
    check(&list, "0.0.0.2", None);
}

#[test]
fn a_list_of_expired_entries_is_not_empty() {
    let list = list(&[("10.0.0.0/8", at(1))]);
    assert!(!list.is_empty());
    check(&list, "10.0.0.1", None);
    assert!(AccessList::default().is_empty());
    assert!(!AccessList::compile([], [SetEntry { set: 0, expires_at: NEVER }]).is_empty());
}

#[test]
fn sets_are_looked_up_where_they_are() {
    let office = Arc::new(NetworkSet { name: "office".into(), networks: list(&[("198.51.100.0/24", NEVER)]) });
    let own = NetworkEntry { network: "198.51.0.0/16".parse().unwrap(), expires_at: NEVER };
    let both = AccessList::compile([own], [SetEntry { set: 0, expires_at: at(2_000) }]);
    let found = both.admits(client("198.51.100.7"), NOW, std::slice::from_ref(&office)).unwrap();
    assert_eq!((found.set, found.expires_at), (Some(0), at(2_000)));
    let found = both.admits(client("198.51.100.7"), at(2_000), std::slice::from_ref(&office)).unwrap();
    assert_eq!((found.set, found.network.prefix_len()), (None, 16));
    // Of equals the list's own entry is named.
    let equal = NetworkEntry { network: "198.51.100.0/24".parse().unwrap(), expires_at: NEVER };
    let equals = AccessList::compile([equal], [SetEntry { set: 0, expires_at: NEVER }]);
    let found = equals.admits(client("198.51.100.7"), NOW, std::slice::from_ref(&office)).unwrap();
    assert_eq!(found.set, None);
    // A reference that has expired is what refused, though its set's own entries last.
    let found = both.nearest(client("198.51.100.7"), at(2_000), std::slice::from_ref(&office)).unwrap();
    assert_eq!((found.set, found.expired_at), (Some(0), Some(at(2_000))));
    // A reference to a set that is not there admits nothing.
    let dangling = AccessList::compile([], [SetEntry { set: 3, expires_at: NEVER }]);
    assert_eq!(dangling.admits(client("198.51.100.7"), NOW, &[office]), None);
}

#[test]
fn the_nearest_is_the_expired_cover_or_the_longest_shared_prefix() {
    let list = list(&[("10.0.0.0/8", at(1)), ("203.0.113.0/24", NEVER), ("203.0.0.0/24", NEVER)]);
    let nearest = list.nearest(client("10.1.1.1"), NOW, &[]).unwrap();
    assert_eq!((nearest.network.to_string(), nearest.expired_at), ("10.0.0.0/8".into(), Some(at(1))));
    let nearest = list.nearest(client("203.0.112.255"), NOW, &[]).unwrap();
    assert_eq!((nearest.network.to_string(), nearest.expired_at), ("203.0.113.0/24".into(), None));
    assert_eq!(list.nearest(client("2001:db8::1"), NOW, &[]), None);
    // The bits that differ decide, not those that are set; an expired entry elsewhere is not what refused.
    let list = self::list(&[("128.0.0.0/8", NEVER), ("10.64.0.0/10", at(1))]);
    let nearest = list.nearest(client("10.0.0.1"), NOW, &[]).unwrap();
    assert_eq!((nearest.network.to_string(), nearest.expired_at), ("10.64.0.0/10".into(), None));
    let list = self::list(&[("10.0.0.0/8", NEVER)]);
    assert_eq!(list.nearest(client("10.0.0.1"), NOW, &[]).unwrap().expired_at, None);
    let list = self::list(&[("2001:db8::/48", NEVER), ("2001:db8:ff::/48", NEVER)]);
    assert_eq!(list.nearest(client("2001:db8:f0::1"), NOW, &[]).unwrap().network.to_string(), "2001:db8:ff::/48");
}

#[test]
fn what_a_list_holds_can_be_read_back_and_weighed() {
    let plain = list(&[("10.0.0.0/8", NEVER), ("192.0.2.1", NEVER)]);
    let texts = |list: &AccessList| list.entries().map(|entry| entry.network.to_string()).collect::<Vec<_>>();
    assert_eq!(texts(&plain), ["10.0.0.0/8", "192.0.2.1/32"]);
    assert!(plain.set_entries().is_empty());
    // Two counts, and eight bytes an entry.
    assert_eq!(plain.heap_bytes(), 16 + 2 * 8);
    assert_eq!(AccessList::default().heap_bytes(), 16);
    let reference = SetEntry { set: 4, expires_at: at(7) };
    let entries = ["10.0.0.0/8", "2001:db8::/32", "2001:db8::1"];
    let entries = entries.map(|text| NetworkEntry { network: text.parse().unwrap(), expires_at: at(9) });
    let full = AccessList::compile(entries, [reference]);
    assert_eq!(texts(&full), ["10.0.0.0/8", "2001:db8::/32", "2001:db8::1/128"]);
    assert!(full.entries().all(|entry| entry.expires_at == at(9)));
    assert_eq!(full.set_entries(), [reference]);
    // The nodes, the parents of those that nest, the expiries and the reference, besides the form itself.
    let held = (8 + 2 * 32) + 2 * 4 + 3 * 8 + size_of::<SetEntry>();
    assert_eq!(full.heap_bytes(), 16 + size_of::<Full>() + held);
}

#[test]
fn equal_lists_are_equal_whatever_the_order() {
    let one = list(&[("10.0.0.0/8", NEVER), ("10.0.0.1", at(5)), ("::1", NEVER)]);
    let other = list(&[("::1", NEVER), ("10.0.0.1", at(5)), ("10.0.0.1", at(4)), ("10.0.0.0/8", NEVER)]);
    assert_eq!(one, other);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn admits_exactly_as_a_scan_does(
        entries in prop::collection::vec((networks(), prop_oneof![Just(NEVER), (998i64..1_003).prop_map(at)]), 0..24),
        address in addresses(),
    ) {
        let entries: Vec<_> =
            entries.into_iter().map(|(network, expires_at)| NetworkEntry { network, expires_at }).collect();
        let list = AccessList::compile(entries.iter().copied(), []);
        let found = list.admits(ClientAddress::new(address), NOW, &[]);
        let naive = entries.iter()
            .filter(|entry| entry.network.contains(address) && NOW < entry.expires_at)
            .map(|entry| (entry.network.prefix_len(), entry.expires_at, entry.network))
            .max();
        prop_assert_eq!(
            found.map(|found| (found.network.prefix_len(), found.expires_at, found.network)),
            naive,
        );
        prop_assert_eq!(list.is_empty(), entries.is_empty());
    }
}
