//! Nothing that was seen is left out, and nothing is admitted beyond a dense neighbourhood.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(seen: &[&str], expected: &[&str]) {
    let list = smallest(seen.iter().map(|text| text.parse().unwrap())).unwrap();
    let shown: Vec<String> = list.iter().map(|one| one.network.to_string()).collect();
    assert_eq!(shown, expected, "{seen:?}");
}

#[test]
fn addresses_become_a_network_only_where_it_is_densely_used() {
    check(&["203.0.113.9"], &["203.0.113.9/32"]);
    check(&["203.0.113.9", "203.0.113.9"], &["203.0.113.9/32"]);
    // Nothing is widened by what is whole.
    check(&["203.0.113.8", "203.0.113.9"], &["203.0.113.8/31"]);
    check(&["203.0.113.8", "203.0.113.10"], &["203.0.113.8/32", "203.0.113.10/32"]);
    check(&["203.0.113.8", "203.0.113.10", "203.0.113.12", "203.0.113.15"], &["203.0.113.8/29"]);
    check(&["203.0.113.8", "203.0.112.8"], &["203.0.112.8/32", "203.0.113.8/32"]);
    check(&["2001:db8::1", "2001:db8::2"], &["2001:db8::1/128", "2001:db8::2/128"]);
    check(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"], &["2001:db8::/64"]);
}

#[test]
fn no_network_is_wider_than_allowed() {
    let all = (0..=255_u8).flat_map(|last| [[203, 0, 112, last], [203, 0, 113, last]]).map(IpAddr::from);
    let list = smallest(all.map(Network::host)).unwrap();
    assert_eq!(
        list.iter().map(|one| one.network.to_string()).collect::<Vec<_>>(),
        ["203.0.112.0/24", "203.0.113.0/24"]
    );
    assert!(list.iter().all(|one| one.widened().is_none()));
    let sites = (0..16_u16).flat_map(|net| (1..5_u16).map(move |host| [0x2001, 0xdb8, 1, net, 0, 0, 0, host]));
    let list = smallest(sites.map(IpAddr::from).map(Network::host)).unwrap();
    assert_eq!((list[0].network.to_string(), list[0].seen, list.len()), ("2001:db8:1::/48".to_owned(), Some(64), 1));
    assert_eq!(list[0].widened().as_deref(), Some("2^80"));
}

#[test]
fn a_network_that_was_recorded_is_proposed_as_it_is_and_none_that_is_too_wide() {
    check(&["203.0.113.9", "203.0.113.0/28", "198.51.100.7"], &["198.51.100.7/32", "203.0.113.0/28"]);
    let list = smallest(["203.0.113.0/28".parse().unwrap()]).unwrap();
    assert_eq!((list[0].seen, list[0].widened().as_deref()), (None, Some("16")));
    for wide in ["203.0.112.0/23", "2001:db8::/47"] {
        assert!(smallest([wide.parse().unwrap()]).is_err(), "{wide}");
    }
}

proptest! {
    #[test]
    fn what_was_seen_is_admitted_and_counted_once(seen in prop::collection::btree_set(0..1024_u32, 1..300)) {
        let base = u32::from_be_bytes([198, 51, 100, 0]);
        let seen: Vec<IpAddr> = seen.into_iter().map(|one| Ipv4Addr::from_bits(base + one).into()).collect();
        let list = smallest(seen.iter().copied().map(Network::host)).unwrap();
        for address in &seen {
            prop_assert_eq!(list.iter().filter(|one| one.network.contains(*address)).count(), 1);
        }
        prop_assert_eq!(list.iter().filter_map(|one| one.seen).sum::<usize>(), seen.len());
        for one in &list {
            let size = 1_usize << (32 - one.network.prefix_len());
            prop_assert!(one.network.prefix_len() >= 24 && one.seen.unwrap() * 2 >= size);
        }
    }
}
