//! threats.md H7 and H11: one answer for everything that is no valid credential, and one credential for each secret.

use std::collections::BTreeMap;
use std::process::Command;

use super::{basic, header};
use crate::programs::{PORTCULLIS, output};
use crate::stage::{
    ACME, Answer, KEY, KEY_DISABLED, KEY_EXPIRED, KEY_OPEN, OPEN, Setting, Stage, directory, sha256, wait_for,
};

const UNKNOWN: &str = "unknownk.40395d07-a353-4881-853b-43efa41339a9";
/// The public key is one that exists.
const WRONG: &str = "mcpvrzod.00000000-0000-0000-0000-000000000000";
/// Expires while the stage is on.
const EXPIRING: &str = "expiring.40395d07-a353-4881-853b-43efa41339a6";
/// Removed from the directory while the stage is on.
const REVOKED: &str = "revokedk.40395d07-a353-4881-853b-43efa41339a7";

/// Everything that a client can see, but for the request's own id.
fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, serde_json::Value, usize) {
    let mut body = answer.json();
    let id = body.as_object_mut().unwrap().remove("requestId").unwrap();
    let headers = answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
    (answer.status, headers, body, answer.body.len() - id.as_str().unwrap().len())
}

fn stage() -> Stage {
    let more = format!(
        "      - {{ id: 5f0000000000000000000026, secret_sha256: \"{}\", expires_at: 2026-11-24T00:00:00Z }}\n\
         \x20     - {{ id: 5f0000000000000000000027, secret_sha256: \"{}\" }}\n",
        sha256(EXPIRING),
        sha256(REVOKED)
    );
    let stage = Setting::new().directory(&(directory() + &more)).set();
    for key in [EXPIRING, REVOKED] {
        assert_eq!(stage.get("/", &[&header(key)]).status, 200);
    }
    stage.clock.set(portcullis::clock::Timestamp::from_unix_seconds(crate::stage::START.unix_seconds() + 86_400));
    let without: String =
        (directory() + &more).lines().filter(|line| !line.contains("000027")).map(|line| format!("{line}\n")).collect();
    stage.replace("directory.yaml", &without);
    stage.wait_for_revision(2.0);
    stage
}

#[test]
fn h7_unknown_wrong_disabled_expired_and_revoked_look_the_same() {
    let stage = stage();
    // Both that were allowed while the stage was set.
    let before = stage.log_of(2).len();
    let keys = [UNKNOWN, WRONG, KEY_DISABLED, KEY_EXPIRED, EXPIRING, REVOKED];
    let mut seen = BTreeMap::new();
    let mut connection = stage.connect();
    for key in keys {
        for line in [header(key), basic(key)] {
            let request = format!("GET /some/path HTTP/1.1\r\nHost: api.example.com\r\n{line}\r\n\r\n");
            let answer = connection.send(&request);
            assert_eq!(answer.outcome(), (401, "INVALID_CREDENTIALS".into()), "H7: {key}");
            assert!(!answer.text().contains("5f00000000"), "H7: {}", answer.text());
            seen.insert(format!("{:?}", visible(&answer)), key);
            // On a route that is not there, the same again.
            let nowhere = connection.send(request.replace("/some/path", "/nowhere/../some"));
            seen.insert(format!("{:?}", visible(&nowhere)), key);
        }
    }
    assert_eq!(seen.len(), 1, "H7: {seen:#?}");
    assert!(stage.upstream.seen().iter().all(|seen| seen.line == "GET / HTTP/1.1"), "H7");
    // The log tells them apart.
    let log = stage.log_of(before + keys.len() * 4);
    let reasons: Vec<&str> = log[before..].iter().step_by(4).map(|line| line["reason"].as_str().unwrap()).collect();
    for (key, (reason, word)) in keys.iter().zip(reasons.iter().zip([
        "no credential",
        "no credential",
        "disabled",
        "expired",
        "expired",
        "no credential",
    ])) {
        assert!(reason.contains(word), "H7: {key}: {reason}");
    }
    let denied = stage.metric("portcullis_requests_total{outcome=\"deny\",code=\"INVALID_CREDENTIALS\"}");
    assert!(denied as usize == keys.len() * 4, "H7: {denied}");
}

#[test]
fn h7_the_address_is_told_to_holders_of_the_secret_alone() {
    let stage = Setting::new().gateway("client_address: { trusted_proxies: [127.0.0.1] }").set();
    let from = "X-Forwarded-For: 203.0.113.9";
    let (holder, stranger) = (stage.get("/", &[&header(KEY), from]), stage.get("/", &[&header(WRONG), from]));
    assert_eq!(holder.outcome(), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()), "H7");
    assert_eq!(stranger.outcome(), (401, "INVALID_CREDENTIALS".into()), "H7");
    assert!(!stranger.text().contains("203.0.113.9"), "H7");
    // Disabled and expired keys have no list to be told of.
    for key in [KEY_DISABLED, KEY_EXPIRED] {
        assert_eq!(visible(&stage.get("/", &[&header(key), from])), visible(&stranger), "H7: {key}");
    }
}

#[test]
fn h11_two_credentials_with_one_secret_are_refused() {
    let key = |id: u32, hash: &str| format!("      - {{ id: 5f00000000000000000001{id:02}, secret_sha256: {hash} }}\n");
    let account = |id: u32, subject: &str| {
        format!(
            "      - {{ client_id: pcl_sa_id_5f00000000000000000002{id:02}, name: account{id}, token: {{ issuer: i, subject: {subject} }} }}\n"
        )
    };
    let organization = |id: &str, name: &str, rest: &str| {
        format!("  - id: {id}\n    name: {name}\n    require_access_list: false\n{rest}")
    };
    let (one, two) = (format!("\"{}\"", sha256("one")), format!("\"{}\"", sha256("two")));
    let upper = one.to_ascii_uppercase();
    let both = format!("[{one}, {two}]");
    let keys = |hashes: &[&str]| {
        let keys: String = hashes.iter().enumerate().map(|(at, hash)| key(at as u32, hash)).collect();
        format!("    api_keys:\n{keys}")
    };
    let rows = [
        ("one organization", organization(ACME, "acme", &keys(&[&one, &one]))),
        ("in capitals", organization(ACME, "acme", &keys(&[&one, &upper]))),
        ("the second of two", organization(ACME, "acme", &keys(&[&two, &format!("[\"{}\", {two}]", sha256("three"))]))),
        ("within one key", organization(ACME, "acme", &keys(&[&format!("[{one}, {one}]")]))),
        ("both of both", organization(ACME, "acme", &keys(&[&both, &both]))),
        (
            "two organizations",
            organization(ACME, "acme", &keys(&[&one]))
                + &organization(OPEN, "open", &format!("    api_keys:\n{}", key(77, &one))),
        ),
        (
            "one token subject",
            organization(ACME, "acme", &format!("    service_accounts:\n{}{}", account(1, "s"), account(2, "s"))),
        ),
        (
            "one token subject in two organizations",
            organization(ACME, "acme", &format!("    service_accounts:\n{}", account(1, "s")))
                + &organization(OPEN, "open", &format!("    service_accounts:\n{}", account(2, "s"))),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.yaml");
    for (row, organizations) in &rows {
        std::fs::write(&file, format!("organizations:\n{organizations}")).unwrap();
        let checked = output(Command::new(PORTCULLIS).arg("check").arg(&file));
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(78), "H11: {row}: {said}");
    }
    let good = organization(ACME, "acme", &keys(&[&one, &two]));
    std::fs::write(&file, format!("organizations:\n{good}")).unwrap();
    let checked = output(Command::new(PORTCULLIS).arg("check").arg(&file));
    assert_eq!(checked.status.code(), Some(0), "H11: {}", String::from_utf8_lossy(&checked.stderr));
    // In two files of one folder.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), format!("organizations:\n{good}")).unwrap();
    let second = organization(OPEN, "open", &format!("    api_keys:\n{}", key(77, &two)));
    std::fs::write(folder.path().join("b.yaml"), format!("organizations:\n{second}")).unwrap();
    let checked = output(Command::new(PORTCULLIS).arg("check").arg(folder.path()));
    assert_eq!(checked.status.code(), Some(78), "H11: {}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn h11_a_reload_with_one_secret_twice_is_refused_whole() {
    let stage = Stage::new();
    let twice = directory().replace(&sha256(KEY_OPEN), &sha256(KEY));
    let refusals = "portcullis_directory_reload_failures_total";
    stage.replace("directory.yaml", &twice);
    wait_for("the refusal", || stage.metric(refusals) >= 1.0);
    assert_eq!(stage.get("/", &[&header(KEY_OPEN)]).status, 200, "H11");
    assert_eq!(stage.get("/", &[&header(KEY)]).status, 200, "H11");
    let seen = stage.upstream.seen().pop().unwrap();
    assert_eq!(seen.header("x-portcullis-org"), Some(ACME), "H11");
    assert_eq!(stage.metric("portcullis_snapshot_revision"), 1.0, "H11");
}
