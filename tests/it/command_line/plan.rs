//! `portcullis plan` as its user has it: a large log of another program, lists proposed from it, and strangers found by them.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Folder, Ran};
use crate::stage::sha256;

const KEYS: u32 = 300;
const REQUESTS: u32 = 100_000;
const STRANGERS: u32 = 50;

fn directory() -> String {
    let mut text =
        "organizations:\n  - id: 5f0000000000000000000001\n    name: acme\n    require_access_list: false\n    \
                    api_keys:\n"
            .to_owned();
    for key in 0..KEYS {
        let id = 0x5f00_0000_0000_0000_0001_0000_u128 + u128::from(key);
        let hash = sha256(&format!("a-key-of-some-length-{key}"));
        writeln!(text, "      - {{ id: {id:024x}, description: caller {key}, secret_sha256: {hash} }}").unwrap();
    }
    text
}

fn line(key: u32, address: &str, second: u32) -> String {
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!(
        "{address} - caller {key} [28/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET /v1 HTTP/1.1\" 200 5 \"-\" \"x\"\n"
    )
}

/// Each caller has up to six addresses, some of them neighbours.
fn honest() -> String {
    (0..REQUESTS).fold(String::new(), |mut text, at| {
        let key = at % KEYS;
        let own = (at / KEYS) % (1 + key % 6);
        text.push_str(&line(key, &format!("10.{}.{}.{}", key / 250, key % 250, 8 + own * (1 + key % 2)), at));
        text
    })
}

fn strangers() -> String {
    (0..STRANGERS).map(|at| line(at * 5, &format!("198.51.100.{}", at + 1), at)).collect()
}

fn planned(folder: &Folder, arguments: &str) -> (Option<i32>, Value) {
    let Ran(code, out, err) = folder.run(&format!("plan --output json --format nginx {arguments}"));
    (code, serde_json::from_str(&out).unwrap_or_else(|fault| panic!("{fault}: {out}{err}")))
}

fn requests(rows: &Value) -> u64 {
    rows.as_array().unwrap().iter().map(|row| row["requests"].as_u64().unwrap()).sum()
}

#[test]
fn lists_from_a_foreign_log_admit_the_honest_and_refuse_strangers() {
    let folder = Folder::new();
    folder.write("keys.yaml", directory());
    folder.write("honest.log", honest());
    folder.write("strangers.log", strangers());

    // Nobody has a list yet.
    let (code, plan) = planned(&folder, "-d keys.yaml --require acme --log strangers.log");
    assert_eq!((code, requests(&plan["newly_refused"])), (Some(2), u64::from(STRANGERS)));

    let (code, plan) = planned(&folder, "-d keys.yaml --log honest.log --propose proposed.yaml");
    assert_eq!((code, plan["lines"].as_u64(), plan["credentials"].as_u64()), (Some(0), Some(100_000), Some(300)));
    let widened = plan["proposed"].as_array().unwrap().iter().filter(|one| one["admits"].is_string());
    assert!(widened.clone().count() > 0, "neighbours were brought together");

    // As it stands, nothing is refused and strangers are reported; enforced, they alone are refused.
    let (code, plan) = planned(&folder, "-d proposed.yaml --require acme --log strangers.log");
    assert_eq!((code, requests(&plan["newly_refused"])), (Some(0), 0));
    assert_eq!(requests(&plan["reported"]), u64::from(STRANGERS));
    let (code, plan) =
        planned(&folder, "-d proposed.yaml --require acme --enforce all --log honest.log --log strangers.log");
    let refused = &plan["newly_refused"];
    assert_eq!((code, requests(refused)), (Some(2), u64::from(STRANGERS)));
    let is_stranger = |row: &Value| row["address"].as_str().unwrap().starts_with("198.51.100.");
    assert!(refused.as_array().unwrap().iter().all(is_stranger));
    let Ran(code, _, err) = folder.run("plan -d keys.yaml --format nginx --log strangers.log --propose proposed.yaml");
    assert_eq!(code, Some(1), "a file that is there is not written over: {err}");
}

#[test]
fn what_can_not_be_told_ends_the_plan() {
    let folder = Folder::new();
    folder.write("keys.yaml", directory());
    folder.write("odd.log", format!("{}nonsense\n", line(0, "10.0.0.8", 0)));
    let Ran(code, out, err) = folder.run("plan -d keys.yaml --format nginx --log odd.log");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("odd.log:2") && err.contains("--skip-unreadable") && !err.contains("nonsense"), "{err}");
    let (code, plan) = planned(&folder, "-d keys.yaml --log odd.log --skip-unreadable");
    assert_eq!((code, plan["unreadable"].as_u64(), plan["requests"].as_u64()), (Some(0), Some(1), Some(1)));
    folder.write("many.log", honest());
    let Ran(code, _, err) = folder.run("plan -d keys.yaml --format nginx --log many.log --most 100");
    assert!(code == Some(1) && err.contains("--most"), "{err}");
    for wrong in ["--require nobody", "--enforce nobody"] {
        let Ran(code, _, err) = folder.run(&format!("plan -d keys.yaml --format nginx --log many.log {wrong}"));
        assert!(code == Some(1) && !err.is_empty(), "{wrong}: {err}");
    }
    folder.write("long.log", format!("{}{}\n{}", line(1, "10.0.0.8", 0), "x".repeat(100_000), line(1, "10.0.0.8", 0)));
    let Ran(code, out, err) = folder.run("plan -d keys.yaml --format nginx --log long.log");
    assert_eq!((code, out.as_str()), (Some(1), ""), "a plan of a part of a log looks like one of the whole");
    assert!(err.contains("long.log:2") && err.contains("more than 64 KiB; --skip-unreadable"), "{err}");
    let Ran(code, out, err) = folder.run("plan -d keys.yaml --format nginx --log long.log --skip-unreadable");
    assert!(code == Some(0) && out.ends_with("; too long to be read: 1 line\n"), "{out}{err}");
    // Who is not known, and a key that somebody logged, are not shown.
    folder.write(
        "other.log",
        "10.0.0.8 - a-key-of-another [28/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"\n",
    );
    let Ran(code, out, _) = folder.run("plan -d keys.yaml --format nginx --log other.log");
    assert!(code == Some(2) && out.contains("does not know") && !out.contains("a-key-of"), "{out}");
}

#[test]
fn a_set_that_is_fed_holds_what_the_store_says() {
    let folder = Folder::new();
    let file = |networks: &str, source: &str| {
        format!(
            "organizations:\n  - id: 5f0000000000000000000001\n    name: acme\n    require_access_list: false\n    network_sets: \
             [{{ name: edge, networks: [{networks}]{source} }}]\n    api_keys:\n      - {{ id: 5f0000000000000000000021, \
             description: caller 0, secret_sha256: {}, access_list: [{{ set: edge }}] }}\n",
            sha256("a-key-of-some-length")
        )
    };
    folder.write("stored.yaml", file("10.0.0.0/8", ""));
    let Ran(code, out, err) = folder.run("import stored.yaml --store store.db");
    assert_eq!(code, Some(0), "{out}{err}");
    folder.write("portcullis.yaml", "directory: { sqlite: store.db }\n");
    folder.write("fed.yaml", file("", ", source: { url: 'https://lists.example.com/' }"));
    folder.write("seen.log", line(0, "10.0.0.8", 0));
    let (code, plan) = planned(&folder, "-d fed.yaml --config portcullis.yaml --log seen.log");
    assert_eq!((code, requests(&plan["newly_refused"])), (Some(0), 0), "an apply leaves the set as it is");
    // Where nothing says what it holds, it is what the file says.
    let (code, plan) = planned(&folder, "-d fed.yaml --log seen.log");
    assert_eq!((code, requests(&plan["newly_refused"])), (Some(2), 1));
}

#[test]
fn our_own_log_says_what_was_decided() {
    let folder = Folder::new();
    let row = |outcome: &str, credential: &str, address: &str| {
        format!(
            "{{\"time\":\"2026-11-28T09:00:00.5Z\",\"method\":\"GET\",\"host\":\"h\",\"path\":\"/\",\"status\":200,{outcome}{credential},\
             \"client.address\":\"{address}\"}}\n"
        )
    };
    let named = ",\"credential.id\":\"5f0000000000000000000021\"";
    // Refused then, and on the list now; let through then although the upstream failed, and on no list now.
    let refused = row("\"outcome\":\"deny\",\"code\":\"IP_ADDRESS_NOT_ON_ACCESS_LIST\"", named, "192.0.2.77");
    let failed = row("\"outcome\":\"error\",\"code\":\"UPSTREAM_TIMEOUT\"", named, "198.51.100.9");
    let nobody = row("\"outcome\":\"deny\",\"code\":\"CREDENTIALS_REQUIRED\"", "", "192.0.2.77");
    folder.write("access.log", format!("{refused}{nobody}{failed}"));
    let Ran(code, out, err) = folder.run("plan -c portcullis.yaml --log access.log --output json");
    let plan: Value = serde_json::from_str(&out).unwrap_or_else(|fault| panic!("{fault}: {out}{err}"));
    assert_eq!((code, requests(&plan["newly_refused"]), requests(&plan["newly_allowed"])), (Some(2), 1, 1), "{out}");
}
