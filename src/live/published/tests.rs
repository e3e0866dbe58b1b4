//! Publishing and reading: nothing is torn, nothing goes backwards.

use super::*;
use crate::access::route::RouteTable;
use crate::access::snapshot::Draft;
use crate::config::settings::{AddressHeader, ClientAddressRule, Credentials, Gateway, Limits, Outbound, Timeouts};
use std::time::Duration;

fn settings() -> Arc<Gateway> {
    let second = Duration::from_secs(1);
    Arc::new(Gateway {
        client_address: ClientAddressRule {
            trusted_proxies: std::iter::empty().collect(),
            certified_proxies: Vec::new(),
            header: AddressHeader::XForwardedFor,
            hops: None,
        },
        credentials: Credentials {
            headers: Vec::new(),
            basic: false,
            bearer: false,
            digest: None,
            issuers: Vec::new(),
            client_certificates: false,
            forward: false,
            realm: "Portcullis".into(),
        },
        routes: RouteTable::default(),
        upstreams: Vec::new(),
        limits: Limits {
            max_header_bytes: 1,
            max_headers: 1,
            max_body_bytes: None,
            max_connections: 1,
            max_streams: 1,
            clients: crate::config::settings::ClientLimits::default(),
        },
        timeouts: Timeouts { header: second, body_idle: second, keep_alive: second, tunnel_idle: second, pace: None },
        outbound: Outbound { forwarded: false, identity_headers: true, overrides: false },
        receipt_keys: Vec::new(),
        feeds: Default::default(),
    })
}

fn snapshot(revision: u64) -> Arc<Snapshot> {
    Arc::new(Draft::new().finish(revision))
}

#[test]
fn an_older_revision_that_arrives_late_is_ignored() {
    let published = Published::new(settings(), Arc::default()).unwrap();
    let mut reader = Reader::new(Arc::clone(&published));
    assert!(reader.current().snapshot.is_none());
    published.publish_snapshot(snapshot(5)).unwrap();
    assert_eq!(published.publish_snapshot(snapshot(4)), Err(Outdated { offered: 4, published: 5 }));
    assert_eq!(published.publish_snapshot(snapshot(5)), Err(Outdated { offered: 5, published: 5 }));
    assert_eq!(reader.current().snapshot.as_ref().unwrap().revision(), 5);
    published.publish_settings(settings(), Arc::default());
    assert_eq!(reader.current().snapshot.as_ref().unwrap().revision(), 5);
    assert_eq!(reader.current().generation, 3);
}

#[test]
fn many_swaps_under_readers_are_seen_in_order_and_freed() {
    let published = Published::new(settings(), Arc::default()).unwrap();
    let first = snapshot(1);
    published.publish_snapshot(Arc::clone(&first)).unwrap();
    let watch = Arc::downgrade(&first);
    drop(first);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut reader = Reader::new(Arc::clone(&published));
            scope.spawn(move || {
                let mut last = 0;
                while last < 5_000 {
                    let revision = reader.current().snapshot.as_ref().map_or(0, |snapshot| snapshot.revision());
                    assert!(revision >= last, "{revision} after {last}");
                    last = revision;
                }
            });
        }
        for revision in 2..=5_000 {
            published.publish_snapshot(snapshot(revision)).unwrap();
            // What was published before a call is seen by it, on every thread.
            assert_eq!(published.current().snapshot.as_ref().unwrap().revision(), revision);
        }
    });
    while watch.upgrade().is_some() {
        std::thread::yield_now();
    }
}
