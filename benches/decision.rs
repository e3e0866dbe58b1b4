//! What a decision costs: `authorize` of a header key against a hash and one look-up, the list check against a linear scan,
//! allocations, and resident bytes per credential. Prints ratios of one run; `benches/README.md` says what they must be.
//!
//! `cargo bench --bench decision` (a million credentials; `-- --credentials N` for fewer).

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use portcullis::access::client_address::ClientAddress;
use portcullis::access::credential::{AccessListMode, CredentialKind, Enforcement, Grants};
use portcullis::access::decision::{NoTrace, Proof, Question, authorize};
use portcullis::access::id::Id;
use portcullis::access::list::{AccessList, NetworkEntry};
use portcullis::access::network::Network;
use portcullis::access::route::{Access, Preflight, Route, RouteMatch, RouteTable};
use portcullis::access::snapshot::{CredentialSpec, Draft, EntrySpec, OrganizationSpec, Snapshot, Target};
use portcullis::clock::Timestamp;
use portcullis::live::fingerprint;

/// The program's own allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to mimalloc unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { mimalloc::MiMalloc.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { mimalloc::MiMalloc.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NETWORKS: usize = 10;
const ROUNDS: usize = 5;
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn key(number: usize) -> [u8; 45] {
    let mut random = Random(number as u64 ^ 0x5eed);
    let mut key = [b'-'; 45];
    for (at, place) in key.iter_mut().enumerate() {
        *place = match at {
            8 => b'.',
            17 | 22 | 27 | 32 => b'-',
            0..8 => b'a' + random.below(26) as u8,
            _ => b"0123456789abcdef"[random.below(16)],
        };
    }
    key
}

/// Ten /24 of the credential's own, below 224.0.0.0 so that higher addresses are on no list.
fn networks(number: usize) -> [Network; NETWORKS] {
    let mut random = Random(number as u64 ^ 0x0a0a);
    std::array::from_fn(|_| {
        let address = Ipv4Addr::from_bits((random.next() as u32 % 0xe000_0000) & 0xffff_ff00);
        Network::truncated(IpAddr::V4(address), 24).expect("24 is a prefix length of IPv4")
    })
}

fn id(number: usize) -> Id {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&(number as u64).to_be_bytes());
    Id::from_bytes(bytes)
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn compile(credentials: usize) -> Snapshot {
    let mut draft = Draft::new();
    let organization = id(0);
    let spec = OrganizationSpec {
        id: organization,
        name: "bench".into(),
        mode: AccessListMode::Required,
        network_sets: Vec::new(),
    };
    draft.organization(spec).expect("it is the only one");
    for number in 0..credentials {
        let entry = |network| EntrySpec { target: Target::Network(network), expires_at: Timestamp::NEVER };
        let spec = CredentialSpec {
            id: id(number + 1),
            kind: CredentialKind::ApiKey,
            organization,
            fingerprints: vec![fingerprint::of_key(&key(number))],
            enabled: true,
            expires_at: Timestamp::NEVER,
            enforcement: Enforcement::Enforce,
            grants: Grants { roles: "ORG_MEMBER".into(), ..Grants::default() },
            access_list: networks(number).map(entry).into(),
            digest: None,
        };
        draft.credential(spec).expect("keys differ");
    }
    let snapshot = draft.finish(1);
    // The draft's indexes belong to the price: they stay until the size has been read.
    std::mem::forget(draft);
    snapshot
}

/// Nanoseconds a step, the median of several rounds.
fn measure(steps: usize, mut round: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / steps as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn row(what: &str, value: f64, unit: &str, verdict: Option<(f64, f64)>) {
    let verdict = verdict.map_or(String::new(), |(ratio, most)| {
        let word = if ratio <= most { "ok" } else { "MISSED" };
        format!("{ratio:>8.2}  ≤ {most:<5} {word}")
    });
    println!("{what:<58} {value:>9.1} {unit:<6} {verdict}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--credentials");
    let credentials = at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(1_000_000);

    let before = resident_bytes();
    let snapshot = compile(credentials);
    let resident = (resident_bytes() - before) as f64 / credentials as f64;

    println!("{credentials} credentials × {NETWORKS} distinct networks\n");
    row("resident, all indexes included", resident, "B/cred", Some((resident, 350.0)));

    decision(&snapshot, credentials);
    lists();
}

fn decision(snapshot: &Snapshot, credentials: usize) {
    let mut random = Random(1);
    let mut order: Vec<u32> = (0..credentials as u32).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    let walk: Vec<([u8; 45], ClientAddress)> = order
        .iter()
        .map(|&number| {
            let denied = random.below(10) == 0;
            let network = networks(number as usize)[random.below(NETWORKS)];
            let inside = match network.address() {
                IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() | random.below(256) as u32),
                IpAddr::V6(_) => unreachable!("the bench has IPv4 networks only"),
            };
            let address = if denied { Ipv4Addr::new(240, 0, 0, 1) } else { inside };
            (key(number as usize), ClientAddress::new(IpAddr::V4(address)))
        })
        .collect();

    let plain: HashMap<[u8; 32], u32> =
        order.iter().map(|&number| (fingerprint::of_key(&key(number as usize)).0, number)).collect();
    let table = RouteTable::new(vec![Route {
        host: None,
        path: "/".into(),
        methods: Box::default(),
        access: Access::Required,
        require_access_list: false,
        organizations: None,
        preflight: Preflight::Require,
        upgrades: Box::default(),
        upstream: 0,
    }]);
    let RouteMatch::Matched(route) = table.find("h", "GET", "/") else { unreachable!("the route matches everything") };

    let mut allowed = 0;
    let mut run = || {
        allowed = 0;
        for (key, client) in &walk {
            let question = Question {
                snapshot,
                client: Ok(*client),
                route: RouteMatch::Matched(route),
                preflight: false,
                proof: Proof::Key(fingerprint::of_key(key)),
                now: NOW,
            };
            allowed += usize::from(authorize(&question, &mut NoTrace).is_ok());
        }
        black_box(allowed);
    };
    run();
    let counted = ALLOCATIONS.load(Relaxed);
    run();
    let allocations = ALLOCATIONS.load(Relaxed) - counted;

    // Interleaved, so that the machine's moods meet both sides.
    let (mut ours, mut baseline, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure(walk.len(), &mut run));
        baseline.push(measure(walk.len(), || {
            for (key, _) in &walk {
                black_box(plain.get(&fingerprint::of_key(key).0));
            }
        }));
        hashes.push(measure(walk.len(), || {
            for (key, _) in &walk {
                black_box(fingerprint::of_key(key));
            }
        }));
    }
    let median = |rounds: &mut Vec<f64>| {
        rounds.sort_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    };
    let (ours, baseline, hash) = (median(&mut ours), median(&mut baseline), median(&mut hashes));
    let denied = 100.0 * (1.0 - allowed as f64 / walk.len() as f64);
    row("SHA-256 of the key", hash, "ns", None);
    row("SHA-256 + one look-up in a plain hash map", baseline, "ns", None);
    row(&format!("authorize, SHA-256 included, {denied:.1} % denied"), ours, "ns", Some((ours / baseline, 2.5)));
    row("allocations in one walk", allocations as f64, "", Some((allocations as f64, 0.0)));
}

fn lists() {
    let of = |count: usize| -> (AccessList, Vec<ipnet::IpNet>, Vec<ClientAddress>) {
        let mut random = Random(count as u64);
        let nets: Vec<ipnet::Ipv4Net> = (0..count)
            .map(|_| {
                let address = Ipv4Addr::from_bits(random.next() as u32 & 0xffff_ff00);
                ipnet::Ipv4Net::new(address, 24).expect("24 is a prefix length of IPv4")
            })
            .collect();
        let scanned = nets.iter().copied().map(ipnet::IpNet::V4).collect();
        let entry = |net: &ipnet::Ipv4Net| NetworkEntry {
            network: Network::truncated(IpAddr::V4(net.addr()), 24).expect("24 is a prefix length of IPv4"),
            expires_at: Timestamp::NEVER,
        };
        let list = AccessList::compile(nets.iter().map(entry), []);
        let asked = (0..4_096)
            .map(|at| {
                let hit = nets[random.below(count)].addr().to_bits() | random.below(256) as u32;
                let bits = if at % 10 == 0 { random.next() as u32 } else { hit };
                ClientAddress::new(IpAddr::V4(Ipv4Addr::from_bits(bits)))
            })
            .collect();
        (list, scanned, asked)
    };
    let repeats = 200;
    let check = |list: &AccessList, asked: &[ClientAddress]| {
        measure(repeats * asked.len(), || {
            for _ in 0..repeats {
                for client in asked {
                    black_box(list.admits(*client, NOW, &[]).is_some());
                }
            }
        })
    };
    let (list, nets, asked) = of(NETWORKS);
    let ours = check(&list, &asked);
    let scan = measure(repeats * asked.len(), || {
        for _ in 0..repeats {
            for client in &asked {
                let address = client.ip();
                black_box(black_box(&nets).iter().any(|net| net.contains(&address)));
            }
        }
    });
    row("list check, 10 networks", ours, "ns", Some((ours / scan, 0.25)));
    row("… a linear scan of ipnet", scan, "ns", None);
    let (list, _, asked) = of(100_000);
    let large = check(&list, &asked);
    row("list check, 100 000 networks", large, "ns", Some((large / ours, 8.0)));
}
