//! What is remembered stays within its bounds, and says no less than what was seen.

use proptest::prelude::*;

use super::*;
use crate::access::route::{Access, Preflight};

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(second)
}

fn seen(network: &str, met: Met, route: &str, second: i64) -> Sighting {
    let code = if met == Met::Allow { "" } else { "IP_ADDRESS_NOT_ON_ACCESS_LIST" };
    Sighting {
        network: network.parse().unwrap(),
        met,
        code: code.into(),
        route: route.into(),
        first: at(second),
        last: at(second),
        count: 1,
    }
}

fn told(known: &[Sighting]) -> Vec<(String, u64)> {
    known.iter().map(|one| (one.network.to_string(), one.count)).collect()
}

#[test]
fn what_is_alike_is_counted_together() {
    let mut known = Vec::new();
    for (second, network) in [(5, "192.0.2.1"), (3, "192.0.2.1"), (9, "192.0.2.1"), (4, "192.0.2.2")] {
        add(&mut known, seen(network, Met::Allow, "/", second));
    }
    add(&mut known, seen("192.0.2.1", Met::Deny, "/", 1));
    add(&mut known, seen("192.0.2.1", Met::Allow, "/a", 1));
    bound(&mut known);
    assert_eq!(known.len(), 4);
    assert_eq!((known[0].first, known[0].last, known[0].count), (at(3), at(9), 3));
}

#[test]
fn neighbours_become_a_network_and_strangers_do_not() {
    let mut known = Vec::new();
    for last in 0..64 {
        add(&mut known, seen(&format!("203.0.113.{last}"), Met::Allow, "/", 1));
    }
    bound(&mut known);
    assert!(known.len() == 64 && known.iter().all(|one| one.network.is_host()), "64 addresses are told one by one");
    for far in ["198.51.100.7", "2001:db8::1", "2001:db8::2"] {
        add(&mut known, seen(far, Met::Allow, "/", 2));
    }
    bound(&mut known);
    assert_eq!(known.len(), 48);
    let hosts = known.iter().filter(|one| one.network.is_host()).count();
    assert!(hosts >= 28, "no more is widened than need be: {:?}", told(&known));
    let is_told = |network: &str| known.iter().any(|one| one.network.to_string() == network);
    assert!(is_told("198.51.100.7/32"));
    assert_eq!(known.iter().map(|one| one.count).sum::<u64>(), 67);
    // What comes later from within a network is told as of it, whatever became of it.
    let wide = known.iter().find(|one| !one.network.is_host()).unwrap().network;
    add(&mut known, seen(&wide.last().to_string(), Met::Deny, "/", 3));
    assert_eq!(known.last().map(|one| one.network), Some(wide));
}

#[test]
fn very_many_routes_become_one() {
    let mut known = Vec::new();
    for number in 0..300 {
        add(&mut known, seen("192.0.2.1", Met::Allow, &format!("/{number}"), number));
    }
    bound(&mut known);
    assert_eq!((known.len(), &*known[0].route, known[0].count, known[0].last), (1, ANY_ROUTE, 300, at(299)));
}

#[test]
fn a_route_is_known_by_its_text() {
    let route = |host: Option<&str>, path: &str| Route {
        host: host.map(|host| HostPattern::parse(host).unwrap()),
        path: path.into(),
        methods: Box::default(),
        access: Access::Required,
        require_access_list: false,
        organizations: None,
        preflight: Preflight::Require,
        upgrades: Box::default(),
        upstream: 0,
    };
    let all = [
        (route(None, "/"), "/"),
        (route(None, "/api"), "/api"),
        (route(Some("api.example.com"), "/api"), "api.example.com/api"),
        (route(Some("*.example.com"), "/api"), "*.example.com/api"),
    ];
    for (one, text) in &all {
        assert_eq!(&*RouteName::Of(one).text(), *text);
        for (other, _) in &all {
            assert_eq!(RouteName::Of(other).is(text), one == other, "{text}");
        }
    }
    assert!(RouteName::None.is("") && !RouteName::None.is("/") && RouteName::Word(ADMIN_API).is(ADMIN_API));
}

proptest! {
    #[test]
    fn it_stays_bounded_and_covers_all_that_was_seen(
        requests in prop::collection::vec((0..4_u8, any::<u16>(), 0..6_u8, 0..3_u8, any::<bool>()), 0..500),
    ) {
        let mut known = Vec::new();
        let mut all = Vec::new();
        for (second, (kind, low, route, met, is_bounded)) in (0_i64..).zip(requests) {
            let address: IpAddr = match kind {
                0 => [203, 0, 113, low.to_be_bytes()[1]].into(),
                1 => [10, 0, low.to_be_bytes()[0], low.to_be_bytes()[1]].into(),
                2 => std::net::Ipv6Addr::new(0x2001, 0xdb8, low, 0, 0, 0, 0, 1).into(),
                _ => std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, low, 0, 0, 1).into(),
            };
            let met = [Met::Allow, Met::WouldDeny, Met::Deny][usize::from(met)];
            let one = seen(&address.to_string(), met, &format!("/{route}"), second);
            all.push(one.clone());
            add(&mut known, one);
            if is_bounded {
                bound(&mut known);
            }
        }
        bound(&mut known);
        let mut networks: Vec<Network> = known.iter().map(|one| one.network).collect();
        networks.sort_unstable();
        networks.dedup();
        prop_assert!(known.len() <= MOST_SIGHTINGS && networks.len() <= MOST_NETWORKS);
        prop_assert_eq!(known.iter().map(|one| one.count).sum::<u64>(), all.len() as u64);
        for one in &all {
            let is_told = known.iter().any(|told| {
                covers(told.network, one.network)
                    && told.met == one.met
                    && told.code == one.code
                    && (told.route == one.route || &*told.route == ANY_ROUTE)
                    && told.first <= one.first
                    && one.last <= told.last
            });
            prop_assert!(is_told, "{one:?}");
        }
    }

    #[test]
    fn the_edges_tell_whether_all_of_a_network_is_admitted(
        at in any::<u8>(), length in 0_u8..=8, list in prop::collection::vec((any::<u8>(), 0_u8..=8), 0..5),
    ) {
        let network = |at: u8, length: u8| Network::truncated([10, 0, 0, at].into(), 24 + length).unwrap();
        let (wide, list) = (network(at, length), list.into_iter().map(|(at, of)| network(at, of)).collect::<Vec<_>>());
        let is_admitted = |address: IpAddr| list.iter().any(|one| one.contains(address));
        let all = (0..=255).map(|at| IpAddr::from([10, 0, 0, at])).filter(|address| wide.contains(*address));
        let told: Vec<bool> = edges(wide, list.iter().copied()).into_iter().map(is_admitted).collect();
        let real: Vec<bool> = all.map(is_admitted).collect();
        for is in [true, false] {
            prop_assert_eq!(told.contains(&is), real.contains(&is));
        }
    }
}
