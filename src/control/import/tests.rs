//! Imports: what is added, what is passed over, what conflicts, and that export and import are each other's inverse.

use std::future::Future as _;
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
        let sets = "{ name: empty, networks: [] }, { name: fed, networks: [192.0.2.0/24], source: S }, { name: 'of: fice', networks: [198.51.100.0/24, 10.9.0.0/16], owner: é, comment: c }";
        let source = match at {
            0 => {
                "{ url: 'https://lists.example.com/a?b=c', form: aws, services: [EC2, \"a: b\"], regions: [é], every: 90m }"
            }
            _ => "{ file: partner/edge.txt }",
        };
        text += &format!("  network_sets: [{}]\n  api_keys:\n", sets.replace("S }", &format!("{source} }}")));
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
        text = text.replace(
            "roles: [ORG_MEMBER] }",
            "description: x, token: { issuer: i, subject: s@ }, certificate: { san_uri: 'a:s@' }, secrets: [T, U] }",
        );
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

/// The first key of [`file`], which owns the first organization.
fn owner() -> Actor {
    let kind = crate::access::credential::CredentialKind::ApiKey;
    let id = "7f0000000000000000000000".parse().unwrap();
    Actor { kind: super::super::ActorKind::Credential { id, kind }, address: None, rehearses: false }
}

/// What keeps an import from being made in a store with [`file`]`(1)`.
fn conflicts(actor: &Actor, text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    run(&store, &write(folder.path(), "there.yaml", &file(1)), false).unwrap();
    let (bulk, _) = load(&write(folder.path(), "new.yaml", text)).unwrap();
    let desk = Desk::new(Store::open(&store, NOW).unwrap(), clock()).unwrap();
    let plan = compared::plan(desk.rows(), actor, (&Rules::default(), None), &bulk, NOW).unwrap();
    plan.err().unwrap_or_default().into_iter().map(|one| one.message).collect()
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
    assert_eq!(done.value.network_sets, Count { added: 6, unchanged: 0 });
    let exported = export(&first).unwrap().unwrap();
    let given = write(folder.path(), "exported.yaml", &exported);
    run(&second, &given, false).unwrap();
    assert_eq!(export(&second).unwrap().unwrap(), exported);
    let url = r#""source":{"every":"90m","form":"aws","regions":["é"],"services":["EC2","a: b"],"url":"https://lists.example.com/a?b=c"}"#;
    let file = r#""source":{"every":"6h","file":"partner/edge.txt"}"#;
    assert!(exported.contains(url) && exported.contains(file), "{exported}");
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
            let plan = compared::plan(change.rows(), change.actor(), (&rules, None), &bulk, NOW)?.unwrap();
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
        .replacen(", { name: 'of: fice'", ",\n    { name: 'of: fice'", 1)
        .replacen("10.9.0.0/16], owner: é", "10.8.0.0/16], owner: e", 1)
        .replacen("192.0.2.0/24], source: { url", "192.0.3.0/24], source: { every: 1h, url", 1)
        .replacen(", every: 90m", "", 1)
        .replacen("set: 'of: fice', comment: c", "set: empty, comment: c", 1)
        .replacen("'key \"0\"'", "another", 1)
        .replacen("10.0.0.0/16", "10.99.0.0/16", 1)
        .replacen("id: 7f0100000000000000000000", "id: 7f01000000000000000000ff", 1);
    let told = refused(&store, &write(folder.path(), "changed.yaml", &changed));
    let expected = [
        (2, "organization 5f0000000000000000000000 is there with another `name`"),
        (6, "network set `fed` is there with another `networks`, `source`"),
        (7, "network set `of: fice` is there with another `networks`, `owner`"),
        (9, "API key 7f0000000000000000000000 is there with another `description`, `access_list`"),
        (36, "its secret is another credential's already; make a new one"),
        (36, "public key `aaaabaaa` is another key's"),
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
    let owner = owner();
    let conflicts = |actor: &Actor, rules: &Rules| -> Vec<String> {
        let plan = compared::plan(desk.rows(), actor, (rules, None), &bulk, NOW).unwrap();
        plan.err().unwrap_or_default().into_iter().map(|one| one.message).collect()
    };
    let told = conflicts(&Actor::system("test"), &strict);
    let count = |part: &str| told.iter().filter(|message| message.contains(part)).count();
    assert_eq!(count("more than the 1 that `admin.entries_per_list` allows"), 4 + 2, "{told:#?}");
    assert_eq!(count("more than the 2 that `admin.api_keys_per_organization` allows"), 2, "{told:#?}");
    assert_eq!(count("would have 4 network sets, more than the 2 that are allowed"), 2, "{told:#?}");
    assert_eq!(count("another realm than `Other`"), 2, "{told:#?}");
    // From where sets are fed, the configuration says; those that are there are as they were.
    let feeds = crate::config::settings::Feeds::default();
    let others = ["5f", "6f", "7f", "8f"]
        .iter()
        .fold(file(1), |text, id| text.replace(&format!("{id}0"), &format!("{}00", &id[..1])));
    let (others, _) = load(&write(folder.path(), "others.yaml", &others)).unwrap();
    for (bulk, count) in [(&bulk, 0), (&others, 2)] {
        let plan = compared::plan(desk.rows(), &Actor::system("test"), (&Rules::default(), Some(&feeds)), bulk, NOW);
        let told = plan.unwrap().err().unwrap_or_default();
        let fed = told.iter().filter(|one| one.network_set.as_deref() == Some("fed"));
        assert_eq!(fed.filter(|one| one.message.contains("`feeds.allow_")).count(), count, "{told:#?}");
    }
    assert_eq!(conflicts(&Actor::system("test"), &Rules::default()), [""; 0]);
    let told = conflicts(&owner, &Rules::default());
    assert_eq!(told, ["There is no organization 5f0000000000000000000001 that you may see."]);
    let stranger = Actor { kind: super::super::ActorKind::Stranger, address: None, rehearses: false };
    assert!(compared::plan(desk.rows(), &stranger, (&Rules::default(), None), &bulk, NOW).is_err());
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

/// An import makes nothing that the calls could not make one by one.
#[test]
fn what_a_call_would_be_refused_for_is_a_conflict() {
    #[track_caller]
    fn check(actor: &Actor, rest: &str, expected: &[&str]) {
        let head = "organizations:\n- id: 5f0000000000000000000000\n  name: \"org 0\"\n  require_access_list: true\n";
        let told = conflicts(actor, &format!("{head}{rest}\n"));
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (message, begin) in told.iter().zip(expected) {
            assert!(message.starts_with(begin), "`{begin}` does not begin: {message}");
        }
    }
    let key = |id: &str, list: &str| {
        format!("  api_keys: [{{ id: {id}, secret_sha256: '{:064x}', access_list: [{list}] }}]", 0x5ec2)
    };
    let new = "7f00000000000000000000ff";
    let account = |rest: &str| {
        format!("  service_accounts: [{{ client_id: pcl_sa_id_8f00000000000000000000ff, name: other, {rest} }}]")
    };
    let secret = |end: &str| account(&format!("secrets: [{{ sha256: '{:064x}', expires_at: {end} }}]", 0x5ec3));
    let set = |rest: &str| format!("  network_sets: [{{ name: twice, {rest} }}]");
    let owner = owner();
    check(&owner, &key(new, "10.0.0.0/8"), &[]);
    check(&owner, &key(new, "{ cidr: 10.0.0.0/8, comment: \"a\\tb\" }"), &["entry 10.0.0.0/8: `comment`: a comment"]);
    check(&owner, &key("8f0000000000000000000000", ""), &["id 8f0000000000000000000000 is taken"]);
    check(&owner, &secret("2027-11-01T00:00:00Z"), &[]);
    let longer = ["`secrets`: a secret would last longer than the 8760 hours that the organization allows"];
    check(&owner, &secret("2028-01-01T00:00:00Z"), &longer);
    // A backup is brought back as it was.
    check(&Actor::system("import"), &secret("2028-01-01T00:00:00Z"), &[]);
    let subject = account(&format!("token: {{ issuer: i, subject: {} }}", "s".repeat(1025)));
    check(&owner, &subject, &["`token.subject`: 1 to 1024 characters"]);
    let both = ["network set `twice`: `networks[0]` and `networks[1]` are both 10.0.0.0/8; keep one"];
    check(&Actor::system("import"), &set("networks: [10.0.0.0/8, 10.0.0.0/8]"), &both);
    check(&owner, &set("networks: [], owner: ''"), &["network set `twice`: `owner`: an owner has 1 to"]);
    check(
        &owner,
        "  max_service_account_secret_validity_in_hours: 720",
        &["organization 5f0000000000000000000000 is there with another `max_service_account_secret_validity_in_hours`"],
    );
}

#[test]
fn a_new_organization_comes_with_somebody_who_can_manage_it() {
    let check = |rest: &str, is_good: bool| {
        let text = format!(
            "organizations:\n- id: 5f00000000000000000000ee\n  name: new\n  require_access_list: true\n  \
             network_sets: [{{ name: none, networks: [] }}]\n  {rest}\n"
        );
        let told = conflicts(&owner(), &text);
        assert_eq!(told.is_empty(), is_good, "{rest}: {told:?}");
        assert!(told.iter().all(|one| one.starts_with("nobody could manage the new organization")), "{told:?}");
    };
    let key = |rest: &str| {
        format!(
            "api_keys: [{{ id: 7f00000000000000000000ee, secret_sha256: '{:064x}', roles: [ORG_OWNER], {rest} }}]",
            0xee
        )
    };
    check(&key("access_list: [10.0.0.0/8]"), true);
    check(&key("access_list: []"), false);
    check(&key("access_list: [{ set: none }]"), false);
    check(&key("access_list: [{ cidr: 10.0.0.0/8, expires_at: 2020-01-01T00:00:00Z }]"), false);
    check(&key("access_list: [10.0.0.0/8], expires_at: 2020-01-01T00:00:00Z"), false);
    check(&key("access_list: [10.0.0.0/8], enabled: false"), false);
    let account = |end: &str| {
        format!(
            "service_accounts: [{{ client_id: pcl_sa_id_8f00000000000000000000ee, name: a, roles: [ORG_OWNER], \
             access_list: [10.0.0.0/8], secrets: [{{ sha256: '{:064x}', expires_at: {end} }}] }}]",
            0xee
        )
    };
    check(&account("2027-01-01T00:00:00Z"), true);
    check(&account("2020-01-01T00:00:00Z"), false);
}

/// A description that a file leaves out is what the store has made of it.
#[test]
fn what_a_file_leaves_out_differs_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let text = format!(
        "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: false\n  api_keys:\n  \
         - {{ id: 7f0000000000000000000001, public_key: mcpvrzod, secret_sha256: '{:064x}' }}\n  \
         - {{ id: 7f0000000000000000000002, secret_sha256: '{:064x}' }}\n  service_accounts:\n  \
         - {{ client_id: pcl_sa_id_8f0000000000000000000001, name: batch, token: {{ issuer: i, subject: s }} }}\n",
        0xa1, 0xa2
    );
    let given = write(folder.path(), "given.yaml", &text);
    run(&store, &given, false).unwrap();
    let exported = export(&store).unwrap().unwrap();
    for part in ["description: \"mcpvrzod\"", "description: \"imported\"", "description: \"batch\""] {
        assert!(exported.contains(part), "{part} is not in {exported}");
    }
    assert_eq!(run(&store, &given, false).unwrap().value.keys, Count { added: 0, unchanged: 2 });
    // One that it says has to agree.
    write(folder.path(), "given.yaml", &text.replace("name: batch,", "name: batch, description: x,"));
    assert!(refused(&store, &given)[0].1.contains("is there with another `description`"));
}

#[test]
fn a_key_is_known_by_either_of_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let hash = |secret: u32| format!("{secret:064x}");
    let text = format!(
        "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: false\n  api_keys:\n  \
         - {{ id: 7f0000000000000000000001, description: d, secret_sha256: '{}' }}\n",
        hash(0xb2)
    );
    run(&store, &write(folder.path(), "given.yaml", &text), false).unwrap();
    let line = |secrets: &str| {
        format!(
            "{{\"organization\":{{\"id\":\"5f0000000000000000000001\",\"name\":\"acme\",\"require_access_list\":false}}}}\n\
             {{\"api_key\":{{\"id\":\"7f00000000000000000000ff\",\"secret_sha256\":[{secrets}]}},\"drawn\":true}}\n"
        )
    };
    let told = |secrets: &str| {
        let bulk = receive(line(secrets).as_bytes()).unwrap();
        match import_into(&store, &bulk, true, &clock(), &mut |_| {}) {
            Ok(done) => done.value.keys.unchanged.to_string(),
            Err(fault) => fault.to_string(),
        }
    };
    assert_eq!(told(&format!("\"{}\"", hash(0xb2))), "1");
    let both = told(&format!("\"{}\",\"{}\"", hash(0xb1), hash(0xb2)));
    assert!(both.contains("7f0000000000000000000001 is there with another `secret_sha256`"), "{both}");
}

/// Whoever lets everybody in is told so, by an import as by the calls.
#[test]
fn what_admits_everybody_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let text = format!(
        "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: false\n  \
         max_service_account_secret_validity_in_hours: 720\n  \
         network_sets: [{{ name: all, networks: ['::/0'] }}, {{ name: few, networks: [10.0.0.0/8] }}]\n  api_keys:\n  \
         - {{ id: 7f0000000000000000000001, secret_sha256: '{:064x}', access_list: [{{ set: all }}] }}\n  \
         - {{ id: 7f0000000000000000000002, secret_sha256: '{:064x}', access_list: [{{ set: few }}] }}\n",
        0xc1, 0xc2
    );
    run(&store, &write(folder.path(), "given.yaml", &text), false).unwrap();
    let told = sqlite::read(&store, |rows| rows.events(&crate::access::record::EventFilter::default(), 0, 100));
    let (events, _) = told.unwrap().unwrap();
    let count = |name: &str| events.iter().filter(|one| one.event == name).count();
    assert_eq!((count("NETWORK_SET_CREATED"), count("NETWORK_SET_COVERS_EVERYTHING")), (2, 1));
    assert_eq!((count("API_KEY_CREATED"), count("API_KEY_ACCESS_LIST_COVERS_EVERYTHING")), (2, 1));
    assert_eq!(count("ORG_SERVICE_ACCOUNT_SECRET_VALIDITY_CHANGED"), 1);
    assert!(export(&store).unwrap().unwrap().contains("max_service_account_secret_validity_in_hours: 720"));
}

#[test]
fn what_is_refused_leaves_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let text = "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: false\n  \
                network_sets: [{ name: x, networks: [10.0.0.0/8, 10.0.0.0/8] }]\n";
    let given = write(folder.path(), "given.yaml", text);
    assert_eq!(refused(&folder.path().join("new.db"), &given).len(), 1);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["given.yaml"]);
}

#[test]
fn lines_at_fault_are_counted_all() {
    let told = |faults: &[(usize, &str)], more: usize| {
        let refusal =
            faults_in_lines(faults.iter().map(|(line, text)| (*line, None, (*text).to_owned())).collect(), more);
        (refusal.detail.split(" are at fault").next().unwrap().to_owned(), refusal.parameters, refusal.fields.len())
    };
    assert_eq!(told(&[(3, "b"), (1, "a"), (1, "c")], 0), ("2 lines of the import".into(), vec!["2".into()], 3));
    let all: Vec<(usize, &str)> = (1..=1_200).map(|line| (line, "a")).collect();
    assert_eq!(told(&all, 0), ("1200 lines of the import".into(), vec!["1200".into()], 1_000));
    let lines = "{}\n".repeat(1_500);
    let refusal = refused_by(receive(lines.as_bytes()).unwrap_err()).refusal();
    assert_eq!((refusal.parameters, refusal.fields.len()), (vec!["1500".into()], 1_000));
    assert!(refusal.detail.starts_with("1500 lines of the import are at fault, of which the first 1000 are named"));
}

/// Whoever asked goes away, and the import is received still: the next one waits for its end.
#[tokio::test]
async fn the_turn_is_kept_as_long_as_anything_of_an_import_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let control = crate::control::tests::served(folder.path());
    let (feeder, input) = feed();
    let turn = control.turn_to_import().await;
    let actor = Actor::system("test");
    {
        let importing = control.import(&actor, turn, input, true);
        tokio::pin!(importing);
        // Once: reading has begun.
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(importing.as_mut().poll(cx).is_pending())).await;
        assert!(polled, "it ended before anything came");
    }
    assert!(control.importing.try_lock().is_err(), "nobody has the turn of an import that is received");
    drop(feeder);
    drop(control.turn_to_import().await);
}
