//! Tests of `directory::compare`.

use std::path::Path;

use super::*;
use crate::directory::parse;

const HASH: &str = "0f00000000000000000000000000000000000000000000000000000000000001";

/// A directory with one key; `mode`, further keys of the API key.
fn directory(mode: &str, further: &str) -> Directory {
    let text = format!(
        "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: {mode}\n  network_sets: [{{name: o, networks: [10.0.0.0/8]}}]\n  api_keys:\n  - {{id: 5f0000000000000000000021, secret_sha256: {HASH}{further}}}\n"
    );
    parse("d.yaml", &text, Path::new(".")).unwrap_or_else(|problems| panic!("{problems}")).0
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

/// Newly allowed and newly refused now.
#[track_caller]
fn check(old: (&str, &str), new: (&str, &str), allowed: &[&str], refused: &[&str]) {
    let comparison = compare(&directory(old.0, old.1), &directory(new.0, new.1), now());
    let period = comparison.credentials.first().and_then(|one| one.periods.first());
    let (found_allowed, found_refused) =
        period.map(|period| (period.newly_allowed.clone(), period.newly_refused.clone())).unwrap_or_default();
    assert_eq!(
        (found_allowed.iter().map(String::as_str).collect::<Vec<_>>(), found_refused),
        (allowed.to_vec(), refused.iter().map(ToString::to_string).collect()),
        "{old:?} → {new:?}"
    );
    assert_eq!(comparison.refuses_something(), !refused.is_empty());
}

#[test]
fn what_is_newly_allowed_and_refused() {
    let everything: &[&str] = &["0.0.0.0/0", "::/0"];
    check(("true", ", access_list: [10.0.0.0/24]"), ("true", ", access_list: [10.0.0.0/25, 10.0.0.128/25]"), &[], &[]);
    check(("true", ", access_list: [10.0.0.0/24]"), ("true", ", access_list: [10.0.0.0/25]"), &[], &["10.0.0.128/25"]);
    check(("true", ", access_list: [{set: o}]"), ("true", ", access_list: [10.0.0.0/7]"), &["11.0.0.0/8"], &[]);
    check(("false", ""), ("true", ""), &[], everything);
    check(("true", ""), ("report", ""), everything, &[]);
    check(("false", ""), ("report", ""), &[], &[]);
    check(
        ("true", ", access_list: [10.0.0.1]"),
        ("true", ", access_list: [10.0.0.1], enabled: false"),
        &[],
        &["10.0.0.1/32"],
    );
    check(
        ("true", ", access_list: [10.0.0.1], enforcement: report"),
        ("true", ", access_list: [0.0.0.0/1]"),
        &[],
        &["128.0.0.0/1", "::/0"],
    );
    check(
        ("true", ", access_list: [10.0.0.1]"),
        ("true", ", access_list: [{cidr: 10.0.0.1, expires_at: 2020-01-01T00:00:00Z}]"),
        &[],
        &["10.0.0.1/32"],
    );
    check(
        ("false", ", access_list: [10.0.0.1]"),
        ("false", ", access_list: [10.0.0.1], roles: [GATEWAY]"),
        &[],
        &["10.0.0.1/32"],
    );
}

#[test]
fn later_moments_are_compared_too() {
    let old = directory("true", ", access_list: [10.0.0.1]");
    let new = directory("true", ", access_list: [{cidr: 10.0.0.1, expires_at: 2099-01-01T00:00:00Z}]");
    let comparison = compare(&old, &new, now());
    let expected = Period {
        from: Some("2099-01-01T00:00:00Z".to_owned()),
        newly_allowed: Vec::new(),
        newly_refused: vec!["10.0.0.1/32".to_owned()],
    };
    assert_eq!(comparison.credentials[0].periods, [expected]);
    assert!(comparison.refuses_something());
    assert!(!compare(&new, &old, now()).refuses_something());
}

#[test]
fn a_withdrawn_secret_refuses() {
    let old = directory("true", ", access_list: [10.0.0.1]");
    let mut new = old.clone();
    new.organizations[0].credentials[0].fingerprints = vec![crate::access::credential::Fingerprint([9; 32])];
    let comparison = compare(&old, &new, now());
    assert_eq!(comparison.credentials[0].changes, [Change::SecretWithdrawn, Change::SecretAdded]);
    assert!(comparison.refuses_something());
}

#[test]
fn credentials_and_organizations_come_and_go() {
    let (full, empty) = (directory("true", ", access_list: [10.0.0.1]"), Directory::default());
    let gone = compare(&full, &empty, now());
    assert_eq!(gone.credentials[0].changes, [Change::Gone]);
    assert_eq!((gone.organizations[0].from, gone.organizations[0].to), (Some("required"), None));
    assert!(gone.refuses_something());
    let new = compare(&empty, &full, now());
    assert_eq!(new.credentials[0].changes, [Change::New]);
    assert!(!new.refuses_something());
    assert!(compare(&full, &full, now()).is_empty());
}
