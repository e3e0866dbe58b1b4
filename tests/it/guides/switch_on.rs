//! The guide to switching lists on for three hundred keys: its commands are run while all of them are used, and no honest
//! caller is refused at any step; at the end every stranger is.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::{Guide, without_chance};
use crate::admin::office::{OWNER, Office};
use crate::admin::usage::CONFIGURATION;
use crate::stage::{Client, sha256, wait_for};

const CALLERS: u32 = 300;
const REQUESTS: u32 = 100_000;
const STRANGERS: usize = 50;
/// Seconds that the log is about: a week, which begins on 20 November 2026.
const LOGGED: u64 = 7 * 86_400;
/// Addresses that a caller is seen with in one round.
const IN_A_ROUND: usize = 4;
/// A week of the guide, in seconds of this test.
const WEEK: &str = "5s";

/// `SplitMix64`, always from the same seed: the guide prints what comes of it.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// An honest caller.
struct Caller {
    name: String,
    id: String,
    key: String,
    /// From where it called in the week of the log.
    before: Vec<IpAddr>,
    /// From where it calls now.
    now: Vec<IpAddr>,
}

impl Caller {
    fn new(at: u32, chance: &mut Chance) -> Self {
        let pool = |low: u64| IpAddr::V4(Ipv4Addr::new(100, 64, at as u8, low as u8));
        let (before, now): (Vec<IpAddr>, Option<IpAddr>) = match at {
            // A provider gives them another address of a /24 each time; most of it was seen in the week.
            260..280 => ((0..400).map(|_| pool(chance.below(256))).collect(), Some(pool(7))),
            // These seldom call: most of their /24 was not seen.
            297..300 => ((0..24).map(|_| pool(chance.below(200))).collect(), Some(pool(207))),
            // Another address of a /64 each day.
            280..297 => {
                let network = (0x2001_0db8_u128 << 96) | u128::from(at) << 64;
                let address = |chance: &mut Chance| Ipv6Addr::from_bits(network | u128::from(chance.next())).into();
                ((0..7).map(|_| address(chance)).collect(), Some(address(chance)))
            }
            // One to three machines that stay, some of them neighbours.
            _ => {
                let machine = |one: u64| Ipv4Addr::new(10, (at / 200) as u8, (at % 200) as u8, one as u8);
                let (first, step) = (chance.below(200), 1 + chance.below(3));
                ((0..1 + chance.below(3)).map(|one| machine(first + one * step).into()).collect(), None)
            }
        };
        let last = before.len().saturating_sub(IN_A_ROUND - usize::from(now.is_some()));
        let now = before[last..].iter().copied().chain(now).collect();
        Self {
            name: format!("caller-{at:03}"),
            id: format!("{:024x}", 0x5f00_0000_0000_0000_0001_0000_u128 + u128::from(at)),
            key: format!("a-key-that-was-made-elsewhere-{:016x}", chance.next()),
            before,
            now,
        }
    }

    fn request(&self, address: IpAddr) -> String {
        let key = &self.key;
        format!(
            "GET /v1/items HTTP/1.1\r\nHost: api.example.com\r\nX-API-Key: {key}\r\nX-Forwarded-For: {address}\r\n\r\n"
        )
    }
}

/// What nginx wrote before the gateway was there.
fn log(callers: &[Caller]) -> String {
    (0..REQUESTS).fold(String::new(), |mut text, at| {
        let caller = &callers[(at % CALLERS) as usize];
        let address = caller.before[(at / CALLERS) as usize % caller.before.len()];
        let second = u64::from(at) * LOGGED / u64::from(REQUESTS);
        let (day, hour, minute, second) = (20 + second / 86_400, second / 3600 % 24, second / 60 % 60, second % 60);
        let time = format!("{day}/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000");
        writeln!(text, "{address} - {} [{time}] \"GET /v1/items HTTP/1.1\" 200 512 \"-\" \"job/1\"", caller.name)
            .unwrap();
        text
    })
}

fn directory(organization: &str, callers: &[Caller]) -> String {
    let head = format!(
        "organizations:\n  - id: {organization}\n    name: acme\n    require_access_list: false\n    api_keys:\n"
    );
    callers.iter().fold(head, |mut text, one| {
        let hash = sha256(&one.key);
        writeln!(text, "      - {{ id: {}, description: {}, secret_sha256: {hash} }}", one.id, one.name).unwrap();
        text
    })
}

/// Honest callers that call again and again, all of them from each of their addresses in each round.
struct Traffic {
    rounds: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    calling: Option<JoinHandle<Vec<String>>>,
}

impl Traffic {
    fn begin(gateway: SocketAddr, callers: Arc<Vec<Caller>>) -> Self {
        let (rounds, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, told) = (Arc::clone(&rounds), Arc::clone(&ends));
        let calling = std::thread::spawn(move || {
            let mut refused = Vec::new();
            let mut connection = Client::connect(gateway);
            while !told.load(Ordering::SeqCst) {
                for (caller, address) in callers.iter().flat_map(|one| one.now.iter().map(move |at| (one, *at))) {
                    let outcome = connection.send(caller.request(address)).outcome();
                    if outcome != (200, String::new()) {
                        refused.push(format!("{} from {address}: {outcome:?}", caller.name));
                    }
                }
                counted.fetch_add(1, Ordering::SeqCst);
            }
            refused
        });
        Self { rounds, ends, calling: Some(calling) }
    }

    /// Until everybody has called since now.
    fn whole_round(&self) {
        // One that has begun already is not whole.
        let wanted = self.rounds.load(Ordering::SeqCst) + 2;
        let is_over = || self.calling.as_ref().is_none_or(JoinHandle::is_finished);
        wait_for("a round of honest calls", || self.rounds.load(Ordering::SeqCst) >= wanted || is_over());
    }

    /// Who was refused.
    fn end(mut self) -> Vec<String> {
        self.ends.store(true, Ordering::SeqCst);
        self.calling.take().unwrap().join().unwrap()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
    }
}

/// Ids and times, and what depends on how fast this machine is: how long, and how often somebody has called meanwhile.
fn alike(text: &str) -> String {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_duration = |word: &str| {
        let number = word.strip_suffix(['d', 'h', 'm', 's']);
        number.is_some_and(|number| !number.is_empty() && is_number(number))
    };
    let line = |line: &str| {
        let mut words: Vec<String> = Vec::new();
        let is_of_now = line.starts_with("5f0000") || line.contains("the admin API");
        for word in line.split_whitespace() {
            let word = match is_of_now {
                // Such as `(ID)` and `TIME,`.
                true => without_chance(word.trim_matches(['(', ')', ','])),
                false => without_chance(word),
            };
            match &word {
                word if is_duration(word) && words.last().is_some_and(|last| last == "WHILE") => {}
                word if is_duration(word) => words.push("WHILE".to_owned()),
                // Of a row about a key: how many entries it has is told by the generator, how often it called is not.
                word if is_of_now && is_number(word) && words.len() != 2 => words.push("COUNT".to_owned()),
                word => words.push(word.clone()),
            }
        }
        words.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

#[test]
fn three_hundred_keys_get_lists_and_no_honest_caller_is_refused() {
    let office = Office::open_with(CONFIGURATION);
    let mut chance = Chance(2026);
    let callers: Vec<Caller> = (0..CALLERS).map(|at| Caller::new(at, &mut chance)).collect();
    fs::write(office.path("nginx.log"), log(&callers)).unwrap();
    fs::write(office.path("keys.yaml"), directory(&office.organization, &callers)).unwrap();
    let (callers, gateway) = (Arc::new(callers), office.served.gateway());

    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("HOME", office.folder().display().to_string()),
    ];
    let mut traffic = None;
    let guide = Guide { path: "docs/guides/switch-on.md", folder: office.folder(), variables: &variables, alike };
    let commands = guide.follow(|command, run| {
        let is_quiet = || {
            let page = office.own("GET", "/reporting?itemsPerPage=1", "").json();
            page["results"][0]["quietForSeconds"].as_i64().is_none_or(|quiet| quiet >= 6)
        };
        let loud = || {
            let page = office.own("GET", "/reporting?itemsPerPage=500", "").json();
            page["results"].as_array().unwrap().iter().filter(|one| one["lastWouldBeRefused"].is_object()).count()
        };
        if command.starts_with("portcullis promote |") {
            wait_for("what is recorded", || loud() == 3);
        }
        if command.contains("--quiet-for") {
            wait_for("the week of the guide", is_quiet);
        }
        run(&command.replace("7d", WEEK));
        if command.contains("apply -f") && !command.contains("--dry-run") {
            // The keys are there: nginx sends everybody here from now on.
            traffic.get_or_insert_with(|| Traffic::begin(gateway, Arc::clone(&callers)));
        }
        // Whatever a command has changed, everybody has called under it before the next.
        if let (Some(traffic), false) = (&traffic, command.contains('|')) {
            traffic.whole_round();
        }
    });
    assert_eq!(commands, 19);
    let traffic = traffic.expect("the guide applies a file");
    traffic.whole_round();
    let settings = office.own("GET", "/settings", "").json();
    assert_eq!(settings["apiAccessListMode"], "required");

    // A right key, and an address that its owner never had.
    let mut connection = Client::connect(gateway);
    for (at, caller) in callers.iter().step_by(CALLERS as usize / STRANGERS).enumerate() {
        let address = IpAddr::V4(Ipv4Addr::new(203, 0, 113, at as u8 + 1));
        let outcome = connection.send(caller.request(address)).outcome();
        assert_eq!(outcome, (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".to_owned()), "{} from {address}", caller.name);
        assert!(at < STRANGERS);
    }
    traffic.whole_round();
    assert_eq!(traffic.end(), Vec::<String>::new(), "honest callers that were refused");
}
