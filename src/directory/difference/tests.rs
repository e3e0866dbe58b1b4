//! What differs is told in an order that works, and nothing else is told.

use super::*;
use crate::directory::{Directory, document, parse, parse_alone};
use std::path::Path;

const HASH: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Of one organization; `%h` is a hash.
fn directory(rest: &str) -> Directory {
    let text = format!("organizations:\n- id: 5f0000000000000000000001\n{rest}").replace("%h", HASH);
    match parse("a file", &text, Path::new("")) {
        Ok((directory, _)) => directory,
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

/// The steps from one file to another, each as a line.
#[track_caller]
fn check(old: Option<&str>, new: &str, prune: bool, expected: &[&str]) {
    let (old, new) = (old.map(directory), directory(new));
    let found = difference(old.as_ref().map(|old| &old.organizations[0]), &new.organizations[0], prune);
    let line = |step: &Step| {
        let subject = match &step.subject {
            Subject::Organization => "organization",
            Subject::Switch => "switch",
            Subject::SecretHours => "secrets",
            Subject::Project(_) => "project",
            Subject::NetworkSet(_) => "network_set",
            Subject::Credential(CredentialKind::ApiKey, _) => "api_key",
            Subject::Credential(CredentialKind::ServiceAccount, _) => "service_account",
        };
        format!("{:?} {subject} {} [{}]", step.action, step.name, step.changes.join("; "))
    };
    assert_eq!(found.steps.iter().map(line).collect::<Vec<_>>(), expected);
    assert_eq!(found.conflicts, []);
}

const EMPTY: &str = "  name: acme\n  require_access_list: false\n";

const FULL: &str = "  name: acme
  require_access_list: false
  projects: [{ id: 5f0000000000000000000011, name: billing }]
  network_sets: [{ name: office, networks: [198.51.100.0/24, 203.0.113.7], owner: net }]
  api_keys:
  - { id: 5f0000000000000000000021, description: export, public_key: mcpvrzod, secret_sha256: %h, roles: [ORG_MEMBER, billing:GROUP_OWNER], access_list: [{ set: office, comment: c }, 10.0.0.0/8] }
  service_accounts:
  - { client_id: pcl_sa_id_5f0000000000000000000031, name: batch, token: { issuer: https://i, subject: s }, certificate: { san_uri: 'a:b' } }
";

#[test]
fn what_is_the_same_is_not_told() {
    check(Some(FULL), FULL, true, &[]);
    // What the new one does not name is left alone.
    check(Some(FULL), EMPTY, false, &[]);
    check(Some(EMPTY), EMPTY, true, &[]);
}

#[test]
fn things_come_before_what_refers_to_them() {
    let parts = [
        "Create project billing []",
        "Create network_set office [networks: +198.51.100.0/24 +203.0.113.7/32]",
        "Create api_key export [roles: +ORG_MEMBER +billing:GROUP_OWNER; access_list: +set:office +10.0.0.0/8]",
        "Create service_account batch []",
    ];
    check(Some(EMPTY), FULL, true, &parts);
    let whole: Vec<&str> = std::iter::once("Create organization acme []").chain(parts).collect();
    check(None, FULL, true, &whole);
}

#[test]
fn things_go_after_what_refers_to_them_and_only_where_it_is_asked() {
    let gone = [
        "Delete api_key export []",
        "Delete service_account batch []",
        "Delete network_set office []",
        "Delete project billing []",
    ];
    check(Some(FULL), EMPTY, true, &gone);
}

#[test]
fn a_named_thing_becomes_exactly_what_is_said() {
    let other = FULL
        .replace("203.0.113.7], owner: net", "192.0.2.0/24], comment: moved")
        .replace(
            "description: export",
            "description: nightly, enabled: false, enforcement: report, expires_at: 2099-01-01T00:00:00Z",
        )
        .replace("%h", "[%h, aa1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0]")
        .replace("[ORG_MEMBER, billing:GROUP_OWNER]", "[billing:GROUP_OWNER, app:x]")
        .replace("comment: c }, 10.0.0.0/8", "comment: d }, 10.1.0.0/16")
        .replace("subject: s", "subject: t")
        .replace("'a:b'", "'a:c'");
    let key = "Update api_key nightly [description: export → nightly; secret_sha256: 1 came, 0 went; enabled: true → false; \
               expires_at: never → 2099-01-01T00:00:00Z; enforcement: enforce → report; roles: +app:x -ORG_MEMBER; \
               access_list: +10.1.0.0/16 ~set:office -10.0.0.0/8]";
    check(
        Some(FULL),
        &other,
        false,
        &[
            "Update network_set office [networks: +192.0.2.0/24 -203.0.113.7/32; owner: net → none; comment: none → moved]",
            key,
            "Update service_account batch [token: https://i s → https://i t; certificate: uri:a:b → uri:a:c]",
        ],
    );
    // What a file does not say of a description stays.
    check(Some(FULL), &FULL.replace("description: export, ", ""), false, &[]);
}

#[test]
fn the_source_of_a_set_is_the_files_and_what_it_gives_is_not() {
    let set = |networks: &str, source: &str| {
        format!("{EMPTY}  network_sets: [{{ name: edge, networks: [{networks}]{source} }}]\n")
    };
    let hourly = set("192.0.2.0/24", ", source: { url: 'https://a.example/x', every: 1h }");
    let made = "Create network_set edge [networks: +192.0.2.0/24; source: none → https://a.example/x every 1h]";
    check(Some(EMPTY), &hourly, false, &[made]);
    // What it has given since stays.
    check(Some(&hourly.replace("192.0.2.0/24", "203.0.113.0/24")), &hourly, true, &[]);
    let daily = set("", ", source: { url: 'https://a.example/x', every: 24h, form: plain }");
    let turned =
        "Update network_set edge [source: https://a.example/x every 1h → https://a.example/x as plain every 24h]";
    check(Some(&hourly), &daily, false, &[turned]);
    check(
        Some(&set("10.0.0.0/8", "")),
        &hourly,
        false,
        &["Update network_set edge [source: none → https://a.example/x every 1h]"],
    );
    let gone =
        "Update network_set edge [networks: +10.0.0.0/8 -192.0.2.0/24; source: https://a.example/x every 1h → none]";
    check(Some(&hourly), &set("10.0.0.0/8", ""), false, &[gone]);
}

#[test]
fn the_switch_is_loosened_first_and_tightened_last() {
    let renamed = |mode: &str| FULL.replace("acme", "other").replace("list: false", &format!("list: {mode}"));
    let steps = ["Update organization other [name: acme → other]", "Create network_set x []"];
    let set = "name: x, networks: [] }, { name: office";
    let with_set = |mode: &str| renamed(mode).replace("name: office", set);
    let tightened = "Update switch other [require_access_list: false → true]";
    check(Some(FULL), &with_set("true"), false, &[steps[0], steps[1], tightened]);
    let strict = FULL.replace("list: false", "list: true");
    let loosened = "Update switch other [require_access_list: true → report]";
    check(Some(&strict), &with_set("report"), false, &[steps[0], loosened, steps[1]]);
}

#[test]
fn secrets_may_last_longer_before_they_come_and_shorter_after() {
    let with = |hours: &str, rest: &str| {
        EMPTY.to_owned() + "  max_service_account_secret_validity_in_hours: " + hours + "\n" + rest
    };
    let set = "  network_sets: [{ name: x, networks: [] }]\n";
    let step = |change: &str| format!("Update secrets acme [max_service_account_secret_validity_in_hours: {change}]");
    let (longer, shorter) = (step("8 → 9"), step("9 → 8"));
    check(Some(&with("8", "")), &with("9", set), false, &[&longer, "Create network_set x []"]);
    check(Some(&with("9", "")), &with("8", set), false, &["Create network_set x []", &shorter]);
    // Whoever says nothing leaves it as it is, and a new organization begins with the most.
    check(Some(&with("9", "")), EMPTY, true, &[]);
    check(None, &with("9", ""), false, &["Create organization acme []", &step("8760 → 9")]);
    check(None, &with("8760", ""), false, &["Create organization acme []"]);
}

#[test]
fn what_can_not_become_another_is_a_conflict() {
    for (from, to, expected) in [
        ("name: billing", "name: b", "project 5f0000000000000000000011 is `billing`, and projects keep their names"),
        ("mcpvrzod", "aaaaaaaa", "has the public key mcpvrzod, and keys keep theirs"),
    ] {
        let new = FULL.replace(from, to).replace("billing:", if from.contains("billing") { "b:" } else { "billing:" });
        let (old, new) = (directory(FULL), directory(&new));
        let found = difference(Some(&old.organizations[0]), &new.organizations[0], true);
        assert_eq!(found.steps, []);
        let [(_, message)] = found.conflicts.as_slice() else { panic!("{:?}", found.conflicts) };
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_is_rendered_is_read_as_the_same() {
    let fed = "  network_sets: [{ name: edge, networks: [], source: { file: a/b.txt, form: aws, services: [x], regions: [y, z], every: 61s } }]\n";
    for text in [EMPTY, FULL, &format!("{EMPTY}{fed}")] {
        let whole = directory(text);
        let sent = document(&whole).unwrap().to_string();
        let (read, _) = parse_alone("the body", &sent).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let found = difference(Some(&read.organizations[0]), &whole.organizations[0], true);
        assert_eq!(found, Difference::default());
        let found = difference(Some(&whole.organizations[0]), &read.organizations[0], true);
        assert_eq!(found, Difference::default());
    }
    // A file of this machine is not read for whoever sends a text.
    let text = "{\"organizations\":[{\"id\":\"5f0000000000000000000001\",\"name\":\"a\",\"require_access_list\":false,\
                \"api_keys\":[{\"id\":\"5f0000000000000000000021\",\"secret_sha256\":\"%h\",\"access_list\":[{\"file\":\"Cargo.toml\"}]}]}]}";
    let problems = parse_alone("the body", &text.replace("%h", HASH)).unwrap_err();
    assert!(problems.render(false).contains("a list file can't be named here"), "{}", problems.render(false));
}
