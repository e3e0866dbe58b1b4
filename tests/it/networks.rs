//! threats.md I: addresses and networks mean the same in a directory, in the configuration and in a header, and what is not
//! exactly one legal spelling is refused in all of them.

use std::path::Path;
use std::process::Command;

use crate::programs::{PORTCULLIS, output};
use crate::stage::{OPEN, Setting, Stage, sha256};

/// A row: threat, networks of a list, and client addresses with whether they are on it.
type Row = (&'static str, &'static [&'static str], &'static [(&'static str, bool)]);

const ROWS: &[Row] = &[
    (
        "I1",
        &["10.0.0.0/8"],
        &[
            ("::ffff:10.0.0.5", true),
            ("::FFFF:0A00:0005", true),
            ("[::ffff:10.0.0.5]:443", true),
            ("10.0.0.5", true),
            ("::ffff:11.0.0.5", false),
            ("::ffff:0:10.0.0.5", false),
        ],
    ),
    ("I1", &["::ffff:10.0.0.0/104"], &[("10.255.0.1", true), ("::ffff:10.0.0.5", true), ("::a00:5", false)]),
    ("I1", &["::ffff:10.0.0.5"], &[("10.0.0.5", true), ("10.0.0.4", false)]),
    (
        "I2",
        &["0.0.0.1", "10.0.0.5", "127.0.0.1"],
        &[("::1", false), ("::a00:5", false), ("::10.0.0.5", false), ("::7f00:1", false), ("10.0.0.5", true)],
    ),
    ("I2", &["::1", "::a00:5"], &[("0.0.0.1", false), ("10.0.0.5", false), ("127.0.0.1", false), ("::a00:5", true)]),
    (
        "I4",
        &["10.0.0.0/8"],
        &[
            ("64:ff9b::a00:5", false),
            ("2002:a00:5::", false),
            ("2002:0a00:0005::1", false),
            ("64:ff9b:1::a00:5", false),
        ],
    ),
    ("I4", &["64:ff9b::/96", "2002::/16"], &[("64:ff9b::a00:5", true), ("2002:a00:5::1", true), ("10.0.0.5", false)]),
    (
        "I6",
        &["255.255.255.254/32"],
        &[("255.255.255.254", true), ("255.255.255.255", false), ("255.255.255.253", false), ("0.0.0.0", false)],
    ),
    (
        "I6",
        &["255.255.255.254/31", "0.0.0.0/32"],
        &[
            ("255.255.255.254", true),
            ("255.255.255.255", true),
            ("255.255.255.253", false),
            ("0.0.0.0", true),
            ("0.0.0.1", false),
        ],
    ),
    (
        "I6 adjacent",
        &["10.0.0.0/32", "10.0.0.1/32", "10.0.0.2/31", "10.0.0.5/32", "192.0.2.128/25"],
        &[
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.0.0.1", true),
            ("10.0.0.3", true),
            ("10.0.0.4", false),
            ("10.0.0.5", true),
            ("10.0.0.6", false),
            ("192.0.2.127", false),
            ("192.0.2.128", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
        ],
    ),
    (
        "I6 nested",
        &["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1/32", "11.0.0.0/32"],
        &[("10.1.1.1", true), ("10.1.1.2", true), ("10.2.0.1", true), ("11.0.0.0", true), ("11.0.0.1", false)],
    ),
    (
        "I6 everything",
        &["0.0.0.0/0"],
        &[("0.0.0.0", true), ("255.255.255.255", true), ("::1", false), ("2001:db8::1", false)],
    ),
    (
        "I6 everything",
        &["::/0"],
        &[("::", true), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true), ("1.2.3.4", false)],
    ),
    ("I6 halves", &["0.0.0.0/1"], &[("127.255.255.255", true), ("128.0.0.0", false)]),
    (
        "I6 end of IPv6",
        &["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"],
        &[
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", true),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd", false),
            ("::", false),
        ],
    ),
    ("I6 v6", &["2001:db8::/33"], &[("2001:db8:7fff::1", true), ("2001:db8:8000::", false), ("2001:DB8:0::1", true)]),
];

/// Spellings that are no network, each with a word that its refusal has.
const REFUSED: &[(&str, &str, &str)] = &[
    ("I3", "010.0.0.1", "not an IP address"),
    ("I3", "10.0.0.010", "not an IP address"),
    ("I3", "0x0a.1", "not an IP address"),
    ("I3", "0x0a.0x0.0x0.0x1", "not an IP address"),
    ("I3", "0xa000001", "not an IP address"),
    ("I3", "10.1", "not an IP address"),
    ("I3", "10.0.1", "not an IP address"),
    ("I3", "167772161", "not an IP address"),
    ("I3", "010.0.0.0/8", "not an IP address"),
    ("I3", "10/8", "not an IP address"),
    ("I3", "10.0.0/24", "not an IP address"),
    ("I3", "10.0.0.0/08", "prefix length"),
    ("I3", "10.0.0.0/+8", "prefix length"),
    ("I3", "10.0.0.0/", "prefix length"),
    ("I3", "10.0.0.0/33", "prefix length"),
    ("I3", "10.0.0.0/8.0", "prefix length"),
    ("I3", "10.0.0.0/255.0.0.0", "prefix length"),
    ("I3", "10.0.0.0/8/8", "prefix length"),
    ("I3", "2001:db8::/129", "prefix length"),
    ("I3", "10.0.0.5/8", "did you mean `10.0.0.0/8`"),
    ("I3", "::ffff:10.0.0.5/104", "did you mean `10.0.0.0/8`"),
    ("I3", "2001:db8::1/32", "did you mean `2001:db8::/32`"),
    ("I3", "10.0.0.0-10.0.0.9", "not an IP address"),
    ("I3", "10.0.0.*", "not an IP address"),
    ("I3", "１０.0.0.1", "not an IP address"),
    ("I3", "2001:db8:::1", "not an IP address"),
    ("I3", "2001:db8::00001", "not an IP address"),
    ("I3", "[2001:db8::1]", "not an IP address"),
    ("I3", "10.0.0.1:80", "not an IP address"),
    ("I3", "localhost", "not an IP address"),
    ("I5", "fe80::1%eth0", "zone id"),
    ("I5", "fe80::1%25eth0", "zone id"),
    ("I5", "fe80::%1/64", "zone id"),
    ("I5", "::1%", "zone id"),
];

fn key(row: usize) -> String {
    format!("networks-row-{row:04}-of-the-table-40395d07")
}

/// `open`, which does not require lists, with one key a row; `list` writes a row's list.
fn directory(list: impl Fn(usize, &Row) -> String) -> String {
    let mut text = format!("organizations:\n  - id: {OPEN}\n    name: open\n    require_access_list: false\n");
    let quoted = |networks: &[&str]| networks.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
    text += "    network_sets:\n";
    for (at, (_, networks, _)) in ROWS.iter().enumerate() {
        text += &format!("      - {{ name: row-{at}, networks: [{}] }}\n", quoted(networks));
    }
    text += "    api_keys:\n";
    for (at, row) in ROWS.iter().enumerate() {
        text += &format!(
            "      - {{ id: 5f00000000000000000{:05x}, secret_sha256: \"{}\", access_list: [{}] }}\n",
            0x10000 + at,
            sha256(&key(at)),
            list(at, row)
        );
    }
    text
}

fn behind_a_proxy() -> Setting {
    Setting::new().gateway("client_address: { trusted_proxies: [127.0.0.1] }")
}

#[track_caller]
fn all_rows(stage: &Stage, form: &str) {
    for (at, (threat, networks, clients)) in ROWS.iter().enumerate() {
        for (client, listed) in *clients {
            let row = format!("{threat}: {client} on {networks:?} as {form}");
            let lines = [format!("X-API-Key: {}", key(at)), format!("X-Forwarded-For: {client}")];
            let answer = stage.get("/", &[&lines[0], &lines[1]]);
            match listed {
                true => assert_eq!(answer.status, 200, "{row}: {}", answer.text()),
                false => assert_eq!(answer.outcome(), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()), "{row}"),
            }
        }
    }
}

#[test]
fn i1_to_i6_in_a_list() {
    let quoted = |text: &&str| format!("{text:?}");
    let plain = |_, row: &Row| row.1.iter().map(quoted).collect::<Vec<_>>().join(", ");
    all_rows(&behind_a_proxy().directory(&directory(plain)).set(), "a list");
    // Backwards, and each with an expiry of its own, so that nothing can be merged.
    let detailed = |_, row: &Row| {
        let entries = row.1.iter().rev().enumerate();
        entries
            .map(|(at, text)| format!("{{ cidr: {text:?}, expires_at: {}-01-01T00:00:00Z }}", 2030 + at))
            .collect::<Vec<_>>()
            .join(", ")
    };
    all_rows(&behind_a_proxy().directory(&directory(detailed)).set(), "a list with expiries");
}

#[test]
fn i1_to_i6_in_a_network_set_and_a_list_file() {
    let set = |at, _: &Row| format!("{{ set: row-{at} }}");
    all_rows(&behind_a_proxy().directory(&directory(set)).set(), "a network set");
    let mut setting = behind_a_proxy();
    for (at, (_, networks, _)) in ROWS.iter().enumerate() {
        setting = setting.file(&format!("lists/{at}.txt"), format!("# a row\n{}\r\n\n", networks.join("\n")));
    }
    let file = |at, _: &Row| format!("{{ file: lists/{at}.txt }}");
    all_rows(&setting.directory(&directory(file)).set(), "a list file");
}

#[test]
fn i1_to_i6_in_trusted_proxies() {
    for (threat, networks, clients) in ROWS.iter().filter(|row| !row.0.contains("everything")) {
        let trusted = networks.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
        let stage = Setting::new()
            .gateway(&format!("client_address: {{ trusted_proxies: [127.0.0.1/32, {trusted}] }}"))
            .routes("[{ path: /, access: public, upstream: api }]")
            .set();
        for (hop, listed) in *clients {
            // On the list by its own right here.
            if *hop == "127.0.0.1" {
                continue;
            }
            let row = format!("{threat}: {hop} in {networks:?}");
            let answer = stage.get("/", &[&format!("X-Forwarded-For: 199.9.9.9, {hop}")]);
            assert_eq!(answer.status, 200, "{row}");
            let seen = stage.upstream.seen().pop().unwrap();
            let before_it = seen.header("x-portcullis-client-address") == Some("199.9.9.9");
            assert_eq!(before_it, *listed, "{row}: {seen:?}");
        }
    }
}

#[track_caller]
fn check(path: &Path) -> (Option<i32>, Vec<(u64, String)>) {
    let output = output(Command::new(PORTCULLIS).args(["check", "--output", "json"]).arg(path));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(&output.stderr)));
    let problems = answer["problems"].as_array().unwrap().iter();
    let errors = problems.filter(|problem| problem["severity"] == "error");
    let told =
        errors.map(|problem| (problem["line"].as_u64().unwrap(), problem["message"].as_str().unwrap().to_owned()));
    (output.status.code(), told.collect())
}

/// Writes one spelling a line and demands that each of them is refused at its own line, and nothing else.
#[track_caller]
fn refused_at_load(name: &str, before: &str, line: impl Fn(&str) -> String, after: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checked.yaml");
    let lines: String = REFUSED.iter().map(|row| line(row.1)).collect();
    std::fs::write(&file, format!("{before}{lines}{after}")).unwrap();
    let (status, problems) = check(&file);
    assert_eq!(status, Some(78), "{name}");
    let first = before.lines().count() as u64 + 1;
    for (at, (threat, text, word)) in REFUSED.iter().enumerate() {
        let line = first + at as u64;
        let told: Vec<&str> = problems.iter().filter(|told| told.0 == line).map(|told| told.1.as_str()).collect();
        assert!(told.len() == 1 && told[0].contains(word), "{threat}: {name}: `{text}` was answered {told:?}");
    }
    assert_eq!(problems.len(), REFUSED.len(), "{name}: {problems:#?}");
}

#[test]
fn i3_i5_refused_at_load() {
    let organization = format!("organizations:\n  - id: {OPEN}\n    name: open\n    require_access_list: false\n");
    let key = format!(
        "    api_keys:\n      - id: 5f0000000000000000000023\n        secret_sha256: \"{}\"\n        access_list:\n",
        sha256("a")
    );
    let (list, set) = (
        format!("{organization}{key}"),
        format!("{organization}    network_sets:\n      - name: one\n        networks:\n"),
    );
    let (double, bare) =
        (|text: &str| format!("          - \"{text}\"\n"), |text: &str| format!("          - {text}\n"));
    refused_at_load("a list", &list, double, "");
    refused_at_load("`cidr`", &list, |text| format!("          - {{ cidr: '{text}', comment: a }}\n"), "");
    refused_at_load("a network set", &set, double, "");
    // Without quotes YAML has its own ideas of some of them.
    let plain: Vec<_> = REFUSED.iter().filter(|row| !row.1.starts_with(['[', ':'])).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checked.yaml");
    for row in plain {
        for before in [&list, &set] {
            std::fs::write(&file, format!("{before}{}", bare(row.1))).unwrap();
            let (status, problems) = check(&file);
            assert_eq!(status, Some(78), "{}: `{}` without quotes", row.0, row.1);
            assert!(problems.len() == 1 && problems[0].1.contains(row.2), "{}: `{}`: {problems:?}", row.0, row.1);
        }
    }
    let trusted = "gateway:\n  client_address:\n    trusted_proxies:\n";
    let directory = "directory: { demonstration: true }\n";
    refused_at_load("trusted proxies", trusted, |text| format!("      - \"{text}\"\n"), directory);
    let proxy = "gateway:\n  listen:\n    - address: \"127.0.0.1:0\"\n      proxy_protocol:\n        trusted:\n";
    refused_at_load("the PROXY protocol", proxy, double, directory);
}

#[test]
fn i3_i5_refused_in_a_list_file_and_on_reload() {
    let with_file = |_, _: &Row| "{ file: list.txt }".to_owned();
    let stage = behind_a_proxy().directory(&directory(with_file)).file("list.txt", "192.0.2.1\n").set();
    let refusals = "portcullis_directory_reload_failures_total";
    let before = stage.metric(refusals);
    let all: String = REFUSED.iter().map(|row| format!("{}\n", row.1)).collect();
    stage.replace("list.txt", format!("192.0.2.1\n{all}203.0.113.9\n"));
    crate::stage::wait_for("the refusal", || stage.metric(refusals) > before);
    // The last good list serves on.
    let key = format!("X-API-Key: {}", key(0));
    assert_eq!(stage.get("/", &[&key, "X-Forwarded-For: 192.0.2.1"]).status, 200, "I3");
    assert_eq!(stage.get("/", &[&key, "X-Forwarded-For: 203.0.113.9"]).status, 403, "I3");
    let (status, problems) = check(&stage.path("directory.yaml"));
    assert_eq!(status, Some(78), "I3");
    for (threat, text, word) in REFUSED {
        assert!(problems.iter().any(|told| told.1.contains(word)), "{threat}: `{text}`");
    }
}

#[test]
fn i3_i5_refused_in_a_header() {
    let stage = behind_a_proxy().routes("[{ path: /, access: public, upstream: api }]").set();
    // With a port or in brackets they are addresses there (decision.md §3.4).
    for (threat, text, _) in REFUSED.iter().filter(|row| !matches!(row.1, "10.0.0.1:80" | "[2001:db8::1]")) {
        for line in [format!("X-Forwarded-For: {text}"), format!("X-Forwarded-For: 203.0.113.9, {text}")] {
            let answer = stage.get("/", &[&line]);
            assert_eq!(answer.outcome(), (403, "CLIENT_ADDRESS_UNRESOLVED".into()), "{threat}: {line}");
        }
    }
    assert!(stage.upstream.seen().is_empty());
}

#[test]
fn i3_i5_refused_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.yaml");
    std::fs::write(&file, "directory: { demonstration: true }\n").unwrap();
    for (threat, text, _) in REFUSED {
        let explain = output(Command::new(PORTCULLIS).args(["explain", "--config"]).arg(&file).args(["--peer", text]));
        assert_eq!(explain.status.code(), Some(64), "{threat}: --peer {text}");
    }
}
