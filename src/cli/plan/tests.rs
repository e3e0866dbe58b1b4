//! A plan over the lines of a log is what deciding each of its requests by the whole judge says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::gate::explain::{self, Asked, Source};
use crate::live::fingerprint;
use crate::live::key_sets::KeySets;
use crate::live::published::Current;
use crate::net::peer::Certificate;

const CONFIGURATION: &str = "gateway:
  client_address: { trusted_proxies: [10.0.0.0/8] }
  routes:
    - { path: /api, upstream: echo }
    - { path: /open, upstream: echo, access: public }
    - { path: /listed, upstream: echo, require_access_list: true }
    - { path: /first, upstream: echo, organizations: [5f0000000000000000000000] }
  upstreams: { echo: { endpoints: [\"echo:\"] } }
directory: { file: directory.yaml }
";
const LISTS: [&str; 5] = [
    "",
    "[203.0.113.0/24]",
    "[203.0.113.0/25, \"2001:db8::/32\"]",
    "[{ cidr: 203.0.113.0/24, expires_at: 2026-01-01T00:00:00Z }]",
    "[198.51.100.7, 203.0.113.200]",
];
const PATHS: [&str; 7] = ["/api", "/api/x?open", "/open", "/listed/1", "/first", "/nothing", "/api/%2e%2e/open"];
const CLIENTS: [&str; 6] =
    ["203.0.113.9", "203.0.113.200", "::ffff:203.0.113.10", "2001:db8::7", "198.51.100.7", "192.0.2.1"];
const KEYS: usize = 6;
/// Begins after the expired entry.
const AT: i64 = 1_795_900_000;

/// Mode of each of two organizations; list, enforcement and state of each key.
type Made = ([usize; 2], Vec<(usize, bool, bool)>);

fn key(at: usize) -> String {
    format!("a-key-of-some-length-for-a-caller-{at}")
}

fn directory((modes, keys): &Made) -> String {
    let mut text = "organizations:\n".to_owned();
    for (organization, mode) in modes.iter().enumerate() {
        let mode = ["false", "report", "true"][*mode];
        write!(text, "  - id: 5f000000000000000000000{organization}\n    name: o{organization}\n").unwrap();
        write!(text, "    require_access_list: {mode}\n    api_keys:\n").unwrap();
        for (at, (list, reports, enabled)) in keys.iter().enumerate().filter(|(at, _)| at % 2 == organization) {
            let hash = fingerprint::of_key(key(at).as_bytes()).0.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            let enforcement = if *reports { "report" } else { "enforce" };
            let list = if LISTS[*list].is_empty() { String::new() } else { format!(", access_list: {}", LISTS[*list]) };
            writeln!(
                text,
                "      - {{ id: 5f000000000000000000001{at}, secret_sha256: {hash}, enabled: {enabled}, enforcement: {enforcement}{list} }}",
            )
            .unwrap();
        }
    }
    text
}

/// One request: whose ([`KEYS`] is somebody unknown, one more is nobody), from where, through how many proxies, which path,
/// and whether it passed.
type Asks = (usize, usize, usize, usize, bool);

fn line((who, client, proxies, path, passed): Asks, at: usize) -> String {
    let chain = CLIENTS[client].to_owned() + &", 10.0.0.2".repeat(proxies);
    let who = match who {
        KEYS => "unheard-of".to_owned(),
        who if who > KEYS => "-".to_owned(),
        who => format!("5f000000000000000000001{who}"),
    };
    let status = if passed { 200 } else { 403 };
    let at = AT + i64::try_from(at).unwrap();
    format!("{at}.5 \"{chain}\" {who} \"GET {} HTTP/1.1\" {status}\n", PATHS[path])
}

fn made() -> impl Strategy<Value = Made> {
    let mode = 0..3_usize;
    ([mode.clone(), mode], prop::collection::vec((0..LISTS.len(), any::<bool>(), prop::bool::weighted(0.8)), KEYS))
}

fn asked() -> impl Strategy<Value = Vec<Asks>> {
    prop::collection::vec((0..KEYS + 2, 0..CLIENTS.len(), 0..3_usize, 0..PATHS.len(), any::<bool>()), 0..60)
}

/// What becomes of requests: kind, whose, from where, code; how many, first and last.
type Told = BTreeMap<(&'static str, Option<String>, Option<String>, Option<String>), (u64, String, String)>;

fn add(told: &mut Told, key: (&'static str, Option<String>, Option<String>, Option<&str>), n: u64, times: [String; 2]) {
    let [first, last] = times;
    let row = told.entry((key.0, key.1, key.2, key.3.map(str::to_owned))).or_insert((0, first.clone(), last.clone()));
    row.0 += n;
    row.1 = first.min(row.1.clone());
    row.2 = last.max(row.2.clone());
}

/// By the judge, each request for itself.
fn decided(current: &Current, asks: &[Asks]) -> Told {
    let mut told = Told::new();
    for (at, (who, client, proxies, path, passed)) in asks.iter().copied().enumerate() {
        let address: IpAddr = CLIENTS[client].parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("h"));
        let peer = if proxies == 0 { address } else { IpAddr::from([10, 0, 0, 1]) };
        let chain = CLIENTS[client].to_owned() + &", 10.0.0.2".repeat(proxies.saturating_sub(1));
        headers.insert("x-forwarded-for", HeaderValue::from_str(&chain).unwrap());
        if who <= KEYS {
            headers.insert("x-api-key", HeaderValue::from_str(&key(if who == KEYS { 99 } else { who })).unwrap());
        }
        let head = explain::head(Method::GET, PATHS[path].parse().unwrap(), headers);
        let from = Source::Peer { address: peer, certificate: Certificate::default() };
        let report =
            explain::explain(current, &Asked { from, head, credential: None, at: Timestamp::from_unix_seconds(AT) });
        let kind = match (passed, report.outcome) {
            (true, "deny") => "newly refused",
            (false, "allow" | "would_deny") => "newly allowed",
            (true, "would_deny") => "reported",
            (true, "allow") | (false, "deny") => continue,
            other => panic!("{other:?}"),
        };
        let whose = (who < KEYS).then(|| format!("5f000000000000000000001{who}"));
        let address = whose.as_ref().map(|_| address.to_canonical().to_string());
        let at = shown(AT + i64::try_from(at).unwrap());
        add(&mut told, (kind, whose, address, report.code), 1, [at.clone(), at]);
    }
    told
}

fn planned(plan: &Plan) -> Told {
    let mut told = Told::new();
    let all =
        [("newly refused", &plan.newly_refused), ("newly allowed", &plan.newly_allowed), ("reported", &plan.reported)];
    for (kind, rows) in all {
        for row in rows {
            let whose = row.credential.as_ref().map(|credential| credential.id.clone());
            let times = [row.first.clone(), row.last.clone()];
            add(&mut told, (kind, whose, row.address.clone(), row.code), row.requests, times);
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_plan_says_what_the_judge_decides_of_each_line(made in made(), asks in asked()) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        file("directory.yaml", &directory(&made));
        let config = file("portcullis.yaml", CONFIGURATION);
        let log = asks.iter().enumerate().fold(String::new(), |text, (at, asks)| text + &line(*asks, at));
        let log = file("access.log", &log);

        let proposal = proposal::load(Some(&config), None, None).unwrap().map_err(|found| found.render(false)).unwrap();
        let pattern = "$msec \"$http_x_forwarded_for\" $remote_user \"$request\" $status";
        let named = [(Field::Address, "http_x_forwarded_for".to_owned())];
        let reading = Reading::new(Form::Nginx, Some(pattern), &named).unwrap();
        let how = How { form: Form::Nginx, reading, refused: &[401, 403], skips: false, most: 1_000 };
        let mut tally = Tally::default();
        tally.read(&log, &Progress::new(false), &how, &proposal).unwrap();
        let snapshot = Arc::new(proposal.directory.compile(1).unwrap());
        let judged = judged(&tally, &proposal, &snapshot, Timestamp::from_unix_seconds(AT));
        let plan = changes(&tally, &judged, &proposal);

        let settings = Arc::clone(&proposal.settings);
        let current =
            Current { generation: 1, settings, keys: Arc::new(KeySets::default()), own: None, receipt_key: None, snapshot: Some(snapshot) };
        prop_assert_eq!(planned(&plan), decided(&current, &asks));
        prop_assert_eq!((plan.lines, plan.requests), (asks.len() as u64, asks.len() as u64));
    }
}
