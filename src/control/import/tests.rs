//! Imports: what is added, what is passed over, what conflicts, and that export and import are each other's inverse.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::*;
use crate::clock::Timestamp;
use crate::control::commit::Desk;
use crate::control::tests::told as decided;
use crate::directory::bulk::load;
use crate::directory::export::export;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_392_000);

fn clock() -> Clock {
    Clock::manual(NOW)
}

/// Two organizations; the keys are drawn from their numbers.
fn file(keys: usize) -> String {
    let mut text = String::from("organizations:\n");
    for (at, mode) in ["true", "report"].iter().enumerate() {
        text += &format!("- id: 5f00000000000000000000{at:02x}\n  name: \"org {at}\"\n  require_access_list: {mode}\n");
        text += &format!("  projects: [{{ id: 6f00000000000000000000{at:02x}, name: \"a: b\" }}]\n");
        let sets = "{ name: empty, networks: [] }, { name: 'of: fice', networks: [198.51.100.0/24, 10.9.0.0/16], owner: é, comment: c }";
        text += &format!("  network_sets: [{sets}]\n  api_keys:\n");
        for key in 0..keys {
            let public: String =
                format!("{:08}", at * 1_000 + key).bytes().map(|byte| char::from(byte - b'0' + b'a')).collect();
            let hash = |secret: usize| format!("{:064x}", (at << 32) + (key << 8) + secret + 0x0abc_def0);
            let ha1 = format!("{{ realm: Portcullis, sha256: '{}', md5: '{}' }}", hash(7), &hash(8)[32..]);
            text +=
                &format!("  - id: 7f{at:02x}{key:020x}\n    description: 'key \"{key}\"'\n    public_key: {public}\n");
            match key % 4 {
                0 => text += &format!("    secret_sha256: '{}'\n", hash(0)),
                1 => text += &format!("    secret_sha256: ['{}', '{}']\n    enabled: false\n", hash(1), hash(0)),
                2 => {
                    let second = ha1.replace(" }", ", secret: 2 }");
                    text += &format!("    secret_sha256: ['{}', '{}']\n    digest: {second}\n", hash(1), hash(0));
                }
                _ => text += &format!("    secret_sha256: '{}'\n    digest: {ha1}\n    enforcement: report\n", hash(0)),
            }
            text += "    roles: [ORG_OWNER, 'a: b:GROUP_OWNER', 'app:x.y']\n    access_list:\n";
            text += &format!(
                "    - 10.{key}.0.0/16\n    - {{ cidr: '2001:db8::{key:x}', comment: \"é: #\", expires_at: 2020-01-01T00:00:00Z }}\n    - {{ set: 'of: fice', comment: c }}\n"
            );
        }
        text += &format!(
            "  service_accounts:\n  - {{ client_id: pcl_sa_id_8f{at:022x}, name: batch, roles: [ORG_MEMBER] }}\n"
        );
        text = text
            .replace("roles: [ORG_MEMBER] }", "description: x, token: { issuer: i, subject: s@ }, secrets: [T, U] }");
        let secret = |number: usize| {
            format!("{{ sha256: '{:064x}', expires_at: 2027-0{number}-01T00:00:00Z }}", 0xdddd_0000 + 16 * at + number)
        };
        text = text.replace("s@", &format!("s{at}")).replace("[T, U]", &format!("[{}, {}]", secret(2), secret(1)));
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn run(store: &Path, file: &Path, is_rehearsal: bool) -> Result<Committed<Imported>, ImportFault> {
    let (bulk, _) = load(file).unwrap();
    import_into(store, &bulk, is_rehearsal, &clock(), &mut |_| {})
}

#[track_caller]
fn refused(store: &Path, file: &Path) -> Vec<(usize, String)> {
    match run(store, file, false) {
        Err(ImportFault::Refused(problems)) => {
            problems.iter().map(|one| (one.place.line, one.message.clone())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_exported_is_imported_without_loss_and_once_only() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.db"), folder.path().join("second.db"));
    let given = write(folder.path(), "given.yaml", &file(12));
    assert!(run(&first, &given, true).is_ok() && !first.exists(), "a look made a file");
    let done = run(&first, &given, false).unwrap();
    assert_eq!((done.value.organizations.added, done.value.projects.added), (2, 2));
    assert_eq!((done.value.keys.added, done.value.entries.added, done.value.accounts.added), (24, 72, 2));
    assert_eq!(done.value.network_sets, Count { added: 4, unchanged: 0 });
    let exported = export(&first).unwrap().unwrap();
    let given = write(folder.path(), "exported.yaml", &exported);
    run(&second, &given, false).unwrap();
    assert_eq!(export(&second).unwrap().unwrap(), exported);
    let again = run(&second, &given, false).unwrap();
    let counts = (again.value.keys.added, again.value.keys.unchanged, again.value.organizations.unchanged);
    assert_eq!((counts, again.revision), ((0, 24, 2), done.revision), "an import of what is there is no change");
    let desk = |path: &Path| Desk::new(Store::open(path, NOW).unwrap(), clock()).unwrap();
    let file = crate::directory::load(&given, &crate::directory::LoadOptions::default()).unwrap().directory;
    assert_eq!(decided(desk(&first).snapshot()), decided(desk(&second).snapshot()));
    assert_eq!(decided(desk(&first).snapshot()), decided(&file.compile(1).unwrap()));
}

#[test]
fn what_is_enforced_after_an_import_is_what_a_restart_enforces() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    run(&store, &write(folder.path(), "few.yaml", &file(3)), false).unwrap();
    let mut desk = Desk::new(Store::open(&store, NOW).unwrap(), clock()).unwrap();
    let before = decided(desk.snapshot());
    let (bulk, _) = load(&write(folder.path(), "more.yaml", &file(40))).unwrap();
    let rules = Rules::default();
    let mut add = |fails: bool| {
        desk.bulk_commit(Actor::system("test"), &rules, |change| {
            let plan = compared::plan(change.rows(), change.actor(), &rules, &bulk)?.unwrap();
            let imported = written::write(change, &bulk, plan, &mut |_| {})?;
            if fails { Err(Fault::Stopping) } else { Ok(imported) }
        })
    };
    assert!(add(true).is_err());
    assert_eq!(add(false).unwrap().value.keys, Count { added: 74, unchanged: 6 });
    let after = decided(desk.snapshot());
    assert_eq!(after.len() - before.len(), 74 + 38, "keys, and those of them that are users of Digest");
    drop(desk);
    assert_eq!(decided(Desk::new(Store::open(&store, NOW).unwrap(), clock()).unwrap().snapshot()), after);
}

#[test]
fn every_conflict_is_named_by_its_line_and_nothing_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    run(&store, &write(folder.path(), "there.yaml", &file(1)), false).unwrap();
    let before = export(&store).unwrap();
    let base = file(2);
    let changed = base
        .replacen("name: \"org 0\"", "name: renamed", 1)
        .replacen("10.9.0.0/16], owner: é", "10.8.0.0/16], owner: e", 1)
        .replacen("set: 'of: fice', comment: c", "set: empty, comment: c", 1)
        .replacen("'key \"0\"'", "another", 1)
        .replacen("10.0.0.0/16", "10.99.0.0/16", 1)
        .replacen("id: 7f0100000000000000000000", "id: 7f01000000000000000000ff", 1);
    let told = refused(&store, &write(folder.path(), "changed.yaml", &changed));
    let expected = [
        (2, "network set `of: fice` is there with another `networks`, `owner`"),
        (2, "organization 5f0000000000000000000000 is there with another `name`"),
        (8, "API key 7f0000000000000000000000 is there with another `description`, `access_list`"),
        (35, "its secret is another credential's already; make a new one"),
        (35, "public key `aaaabaaa` is another key's"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((line, message), (at, begin)) in told.iter().zip(expected) {
        assert!(*line == at && message.starts_with(begin), "{line}: {message}");
    }
    assert_eq!(export(&store).unwrap(), before);
    // All of it, or nothing: also what went well alone.
    assert!(!before.unwrap().contains("7f0000000000000000000001"));
}

#[test]
fn limits_and_rights_hold_for_whoever_asks_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    run(&store, &write(folder.path(), "there.yaml", &file(1)), false).unwrap();
    let extra = "{ name: extra, networks: [10.0.0.0/8, 11.0.0.0/8] }, { name: empty";
    let (bulk, _) = load(&write(folder.path(), "more.yaml", &file(3).replace("{ name: empty", extra))).unwrap();
    let desk = Desk::new(Store::open(&store, NOW).unwrap(), clock()).unwrap();
    let limits = Limits {
        entries_per_list: 1,
        api_keys_per_organization: 2,
        network_sets_per_organization: 2,
        ..Limits::default()
    };
    let strict = Rules { limits, digest_realm: Some("Other".into()), ..Rules::default() };
    let id = |text: &str| text.parse::<Id>().unwrap();
    let owner = Actor {
        kind: super::super::ActorKind::Credential {
            id: id("7f0000000000000000000000"),
            kind: crate::access::credential::CredentialKind::ApiKey,
            name: "x".into(),
        },
        address: None,
    };
    let conflicts = |actor: &Actor, rules: &Rules| -> Vec<String> {
        let plan = compared::plan(desk.rows(), actor, rules, &bulk).unwrap();
        plan.err().unwrap_or_default().into_iter().map(|one| one.message).collect()
    };
    let told = conflicts(&Actor::system("test"), &strict);
    let count = |part: &str| told.iter().filter(|message| message.contains(part)).count();
    assert_eq!(count("more than the 1 that `admin.entries_per_list` allows"), 6 + 2, "{told:#?}");
    assert_eq!(count("more than the 2 that `admin.api_keys_per_organization` allows"), 2, "{told:#?}");
    assert_eq!(count("would have 3 network sets, more than the 2 that are allowed"), 2, "{told:#?}");
    assert_eq!(count("another realm than `Other`"), 2, "{told:#?}");
    assert_eq!(conflicts(&Actor::system("test"), &Rules::default()), [""; 0]);
    let told = conflicts(&owner, &Rules::default());
    assert_eq!(told, ["There is no organization 5f0000000000000000000001 that you may see."]);
    let stranger = Actor { kind: super::super::ActorKind::Stranger, address: None };
    assert!(compared::plan(desk.rows(), &stranger, &Rules::default(), &bulk).is_err());
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_end() {
    let read = |feed: Feed| tokio::task::spawn_blocking(move || receive(std::io::BufReader::new(feed)));
    let line = Bytes::from_static(
        b"{\"organization\":{\"id\":\"5f0000000000000000000001\",\"name\":\"acme\",\"require_access_list\":true}}\n",
    );
    let (feeder, input) = feed();
    let reading = read(input);
    assert!(feeder.put(line.clone()).await);
    drop(feeder);
    assert!(matches!(reading.await.unwrap(), Err(ReceiveFault::Broken(_))));
    let (feeder, input) = feed();
    let reading = read(input);
    assert!(feeder.put(line.clone()).await);
    feeder.refuse(Refusal::new(Code::ContentTooLarge, "too much")).await;
    let fault = refused_by(reading.await.unwrap().unwrap_err());
    assert_eq!(fault.refusal().code, Code::ContentTooLarge);
    let (feeder, input) = feed();
    let reading = read(input);
    assert!(feeder.put(line).await);
    feeder.end().await;
    assert_eq!(reading.await.unwrap().unwrap().directory.organizations.len(), 1);
}

fn refused_by(fault: ReceiveFault) -> Fault {
    super::refused(fault)
}

/// List files may bring a network twice, which a file has always said and a store can't.
#[test]
fn of_two_entries_for_one_network_the_longer_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    std::fs::create_dir(folder.path().join("lists")).unwrap();
    write(folder.path(), "lists/partner.txt", "10.0.0.0/8\n198.51.100.0/24\n");
    let text = format!(
        "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: true\n  api_keys:\n  \
         - id: 5f0000000000000000000021\n    secret_sha256: '{:064x}'\n    access_list:\n    \
         - {{ cidr: 10.0.0.0/8, expires_at: 2020-01-01T00:00:00Z }}\n    - {{ file: lists/partner.txt }}\n",
        0xabc_def0
    );
    let done = run(&store, &write(folder.path(), "given.yaml", &text), false).unwrap();
    assert_eq!(done.value.entries, Count { added: 2, unchanged: 0 });
    assert!(!export(&store).unwrap().unwrap().contains("expires_at"));
}
