//! Endpoints whose addresses and health somebody else finds out.

use std::net::SocketAddr;

use super::harness::{Harness, OK, gateway, get, starts};
use super::told_upstream::Upstream;
use crate::config::settings::Endpoint;
use crate::live::endpoints::{Address, Place};

#[test]
fn a_name_follows_its_addresses_and_their_health() {
    let name = Endpoint::Net {
        https: false,
        http2: false,
        host: "nobody.invalid".into(),
        port: 80,
        authority: "nobody.invalid".parse().unwrap(),
    };
    let place = Place { upstream: "api".into(), endpoint: name.clone() };
    let harness = Harness::new(gateway(vec![name], |settings| settings.upstreams[0].ejection = None));
    starts(&harness.ask(&get("/", "")), "502");
    let (one, other) = (Upstream::new(|_| OK.into()), Upstream::new(|_| OK.into()));
    let tell = |addresses: &[(SocketAddr, bool)]| {
        let addresses: Vec<_> = addresses.iter().map(|(at, healthy)| Address { at: *at, healthy: *healthy }).collect();
        harness.endpoints.tell(&place, &addresses);
    };
    let ask = |times: usize| (0..times).for_each(|_| starts(&harness.ask(&get("/", "")), "200"));
    tell(&[(one.address, true)]);
    ask(3);
    assert_eq!((one.seen().len(), other.seen().len()), (3, 0));
    tell(&[(other.address, true)]);
    ask(3);
    assert_eq!((one.seen().len(), other.seen().len()), (3, 3));
    tell(&[(one.address, true), (other.address, true)]);
    ask(40);
    assert!(one.seen().len() > 10 && other.seen().len() > 10, "both have their share");
    let before = one.seen().len();
    tell(&[(one.address, false), (other.address, true)]);
    ask(10);
    assert_eq!(one.seen().len(), before);
    tell(&[(one.address, false), (other.address, false)]);
    let refused = harness.ask(&get("/", ""));
    starts(&refused, "503");
    assert!(refused.contains("UPSTREAM_OVERLOADED") && refused.contains("retry-after: 1\r\n"), "{refused}");
    tell(&[(one.address, true), (other.address, false)]);
    ask(1);
    assert_eq!(harness.metric("portcullis_upstream_endpoint_exchanges_total"), 57);
}
