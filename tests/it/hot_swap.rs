//! The directory is swapped 200 times under load, 20 of them for a faulty one, and every access-log line is decided again by
//! an oracle that knows nothing of the product: it scans the model that the revision was written from.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::stage::{ACME, OPEN, Setting, sha256, wait_for};

const SWAPS: usize = 200;
const FAULTY_EVERY: usize = 10;
const KEYS: usize = 24;
const CLIENTS: usize = 4;

/// One key as a revision has it.
#[derive(Clone)]
struct Key {
    present: bool,
    enabled: bool,
    /// First address and prefix length.
    networks: Vec<(u32, u8)>,
}

/// One revision.
#[derive(Clone)]
struct Model {
    acme_requires: bool,
    keys: Vec<Key>,
}

/// SplitMix64: the same models in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn key_text(number: usize) -> String {
    let first = char::from(b'a' + u8::try_from(number).expect("there are fewer than 26 keys"));
    format!("{}.40395d07-a353-4881-853b-43efa4133{number:03}", String::from(first).repeat(8))
}

/// Addresses and networks come from one small corner, so that they meet often.
fn address(random: &mut Random) -> u32 {
    0xc000_0200 | u32::try_from(random.below(64)).expect("it is below 64")
}

fn model(revision: usize) -> Model {
    let mut random = Random(revision as u64);
    let keys = (0..KEYS)
        .map(|_| Key {
            present: random.below(10) > 0,
            enabled: random.below(10) > 0,
            networks: {
                let mut networks = BTreeMap::new();
                for _ in 0..random.below(5) {
                    let length = 26 + u8::try_from(random.below(7)).expect("it is below 7");
                    let mask = u32::MAX << (32 - length);
                    networks.insert((address(&mut random) & mask, length), ());
                }
                networks.into_keys().collect()
            },
        })
        .collect();
    Model { acme_requires: random.below(2) == 0, keys }
}

/// Even keys are acme's, odd ones open's.
fn yaml(model: &Model) -> String {
    let mut text = String::from("organizations:\n");
    for (parity, (id, name, requires)) in
        [(ACME, "acme", model.acme_requires), (OPEN, "open", false)].iter().enumerate()
    {
        text += &format!("  - id: {id}\n    name: {name}\n    require_access_list: {requires}\n    api_keys:\n");
        // One that is always there, so that the list is never empty.
        text += &format!(
            "      - {{ id: 5f00000000000000000009{parity:02}, secret_sha256: {} }}\n",
            sha256(&format!("always-there-{parity}-0123456789"))
        );
        for (number, key) in model.keys.iter().enumerate().filter(|(number, key)| number % 2 == parity && key.present) {
            let networks: Vec<String> = key
                .networks
                .iter()
                .map(|(start, length)| format!("{}/{length}", Ipv4Addr::from_bits(*start)))
                .collect();
            text += &format!(
                "      - {{ id: 5f00000000000000000001{number:02}, secret_sha256: {}, enabled: {}, access_list: [{}] }}\n",
                sha256(&key_text(number)),
                key.enabled,
                networks.join(", ")
            );
        }
    }
    text
}

/// The contract's table, read off naively.
fn decide(model: &Model, number: usize, client: u32) -> (u64, Option<&'static str>) {
    let key = &model.keys[number];
    if !key.present || !key.enabled {
        return (401, Some("INVALID_CREDENTIALS"));
    }
    if key.networks.is_empty() {
        return match number.is_multiple_of(2) && model.acme_requires {
            true => (403, Some("ORG_REQUIRES_ACCESS_LIST")),
            false => (200, None),
        };
    }
    let listed = key.networks.iter().any(|(start, length)| (client ^ start) >> (32 - length) == 0 || *length == 0);
    match listed {
        true => (200, None),
        false => (403, Some("IP_ADDRESS_NOT_ON_ACCESS_LIST")),
    }
}

#[test]
fn every_decision_under_200_swaps_is_the_oracles() {
    let stage = Setting::new()
        .workers(2)
        .gateway("client_address: { trusted_proxies: [127.0.0.1] }\nlimits: { failed_attempts: off }")
        .directory(&yaml(&model(1)))
        .set();
    let mut models = BTreeMap::from([(1, model(1))]);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));

    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (stage, stop, sent) = (&stage, &stop, &sent);
            scope.spawn(move || {
                let mut random = Random(client as u64 ^ 0xc11e_4700);
                let mut connection = stage.connect();
                while !stop.load(Relaxed) {
                    let number = usize::try_from(random.below(KEYS as u64)).expect("it is below 24");
                    let from = Ipv4Addr::from_bits(address(&mut random));
                    // The path tells the oracle what was asked; the log line has it again.
                    let answer = connection.send(format!(
                        "GET /{number}/{from} HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nX-Forwarded-For: 198.51.100.9, {from}\r\n\r\n",
                        key_text(number)
                    ));
                    // 0 would be a connection that was lost.
                    assert!(matches!(answer.status, 200 | 401 | 403), "{answer:?}");
                    sent.fetch_add(1, Relaxed);
                    std::thread::park_timeout(Duration::from_micros(500));
                }
            });
        }

        let failures = "portcullis_directory_reload_failures_total";
        let mut revision = 1;
        for swap in 1..=SWAPS {
            if swap % FAULTY_EVERY == 0 {
                let before = stage.metric(failures);
                let faulty = yaml(&model(revision + 1)).replacen("/2", &format!("/9{swap}"), 1) + "nonsense\n";
                stage.replace("directory.yaml", &faulty);
                wait_for("the refusal", || stage.metric(failures) > before);
                assert_eq!(stage.metric("portcullis_snapshot_revision"), revision as f64, "swap {swap}");
            } else {
                revision += 1;
                models.insert(revision as u64, model(revision));
                let next = yaml(&model(revision));
                stage.replace("directory.yaml", &next);
                stage.wait_for_revision(revision as f64);
            }
        }
        stop.store(true, Relaxed);
    });

    let log = stage.log_of(usize::try_from(sent.load(Relaxed)).expect("it fits"));
    assert_eq!(log.len() as u64, sent.load(Relaxed));
    assert_eq!(stage.metric("portcullis_log_dropped_total"), 0.0);
    assert!(log.len() > 5_000, "the load was no load: {}", log.len());
    let mut revisions = std::collections::BTreeSet::new();
    for line in &log {
        let revision = line["snapshot.revision"].as_u64().expect("every line names its revision");
        let mut parts = line["path"].as_str().expect("it is text").split('/').skip(1);
        let number: usize = parts.next().and_then(|text| text.parse().ok()).expect("the path begins with the key");
        let from: Ipv4Addr = parts.next().and_then(|text| text.parse().ok()).expect("the path ends with the address");
        let expected = decide(&models[&revision], number, from.to_bits());
        assert_eq!((line["status"].as_u64().unwrap_or(0), line["code"].as_str()), expected, "{line}");
        revisions.insert(revision);
    }
    // Nearly every revision has decided something.
    assert!(revisions.len() > SWAPS * 8 / 10, "{} revisions", revisions.len());
}
