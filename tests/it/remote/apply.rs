//! A directory file against a served store: what differs, made so in one change, and told.

use super::*;
use crate::stage::sha256;

const PRIVATE: &str = "40395d07-a353-4881-853b-43efa41339a2";

impl Remote {
    /// Writes the directory file: one organization, the served one.
    fn write(&self, rest: &str) {
        let owner = sha256(&OWNER.replacen(':', ".", 1));
        let text = format!("organizations:\n- id: {}\n{rest}", self.office.organization).replace("%owner", &owner);
        let text = text.replace("%key", &sha256(&format!("exportky.{PRIVATE}"))).replace("%id", &self.owner_id());
        std::fs::write(self.home.path().join("directory.yaml"), text).unwrap();
    }

    fn owner_id(&self) -> String {
        let keys = self.json("api-keys list");
        let owner = results(&keys).iter().find(|one| one["publicKey"] == "ownerkey").unwrap();
        owner["id"].as_str().unwrap().to_owned()
    }

    fn revision(&self) -> u64 {
        let events = self.json("events list --limit 1");
        results(&events)[0]["revision"].as_u64().unwrap()
    }
}

const OWNED: &str = "  name: acme
  require_access_list: false
  projects: [{ id: 5f0000000000000000000011, name: billing }]
  network_sets: [{ name: office, networks: [127.0.0.0/8] }]
  api_keys:
  - { id: 5f0000000000000000000021, description: export, public_key: exportky, secret_sha256: %key, roles: [billing:GROUP_READ_ONLY], access_list: [{ set: office }] }
  service_accounts:
  - { client_id: pcl_sa_id_5f0000000000000000000031, name: batch, token: { issuer: https://issuer.example.com, subject: s } }
";

fn export_key() -> Key {
    Key { id: "5f0000000000000000000021".into(), pair: format!("exportky:{PRIVATE}") }
}

#[test]
fn a_store_becomes_what_a_file_says_in_one_change() {
    let remote = Remote::new();
    remote.write(OWNED);
    let before = remote.revision();
    let found = remote.run("diff -f directory.yaml").code(2);
    let told = "ACTION  KIND             ID                                  NAME     CHANGES\n";
    assert!(found.1.starts_with(told), "{}", found.1);
    assert!(found.1.contains("create  network_set      office"), "{}", found.1);
    let rehearsed = remote.json("apply --dry-run -f directory.yaml");
    assert_eq!(rehearsed["totalCount"], 4);
    assert_eq!((remote.revision(), remote.office.through(&export_key()).0), (before, 401), "a look changed something");
    let done = remote.json("apply -f directory.yaml");
    assert_eq!(done["results"], rehearsed["results"]);
    assert_eq!(
        (rehearsed["rehearsal"]["newlyRefused"].as_array().map(Vec::len), done.get("rehearsal")),
        (Some(0), None)
    );
    assert_eq!(
        results(&done)[2]["changes"],
        serde_json::json!(["roles: +billing:GROUP_READ_ONLY", "access_list: +set:office"])
    );
    assert_eq!(remote.revision(), before + 1, "one change is one revision");
    assert_eq!(remote.office.through(&export_key()).0, 200);
    assert_eq!(remote.run("diff -f directory.yaml").code(0).1, "no difference\n");
    assert!(remote.run("apply -f directory.yaml").code(0).1.starts_with("nothing to do"));
    assert_eq!(remote.revision(), before + 1);
    // A set moves, a key is switched off, and both are what is told.
    remote.write(&OWNED.replace("127.0.0.0/8", "203.0.113.0/24"));
    remote.run("apply -f directory.yaml").refused(1, &["CHANGE_EXCLUDES_RECENT_USE", "127.0.0.1"]);
    let moved = remote.json("apply --force -f directory.yaml");
    assert_eq!(results(&moved)[0]["changes"][0], "networks: +203.0.113.0/24 -127.0.0.0/8");
    assert_eq!(remote.office.through(&export_key()), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    remote.write(&OWNED.replace("description: export", "description: export, enabled: false"));
    remote.run("apply -f directory.yaml").code(0);
    assert_eq!(remote.office.through(&export_key()).0, 401);
    // The secret is the file's too.
    remote.write(&OWNED.replace("%key", &"0f".repeat(32)));
    let withdrawn = remote.json("apply -f directory.yaml");
    assert_eq!(results(&withdrawn)[0]["changes"][0], "secret_sha256: 1 came, 1 went");
    assert_eq!(remote.office.through(&export_key()).0, 401);
    remote.write(OWNED);
    remote.run("apply -f directory.yaml").code(0);
    assert_eq!(remote.office.through(&export_key()).0, 200);
}

#[test]
fn what_a_file_does_not_name_goes_only_where_it_is_asked() {
    let remote = Remote::new();
    remote.write(OWNED);
    remote.run("apply -f directory.yaml").code(0);
    let bare = "  name: acme\n  require_access_list: false\n";
    remote.write(bare);
    assert_eq!(remote.run("diff -f directory.yaml").code(0).1, "no difference\n");
    // The calling key would go as well, and it is the last owner: then nothing goes.
    let parts = ["organizations[", "CANNOT_DELETE_LAST_OWNER: ", "409 APPLY_REFUSED: 1 of the steps"];
    remote.run("apply --prune -f directory.yaml").refused(1, &parts);
    remote.run("diff --prune -f directory.yaml").refused(1, &parts);
    assert_eq!(remote.office.through(&export_key()).0, 200);
    let owned = "  api_keys:\n  - { id: %id, public_key: ownerkey, secret_sha256: %owner, roles: [ORG_OWNER] }\n";
    remote.write(&format!("{bare}{owned}"));
    let gone = remote.json("apply --prune -f directory.yaml");
    let kinds: Vec<&str> = results(&gone).iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["api_key", "service_account", "network_set", "project"]);
    assert_eq!(remote.office.through(&export_key()).0, 401);
    assert!(results(&remote.json("network-sets list")).is_empty());
    remote.run("diff --prune -f directory.yaml").code(0);
}

#[test]
fn what_is_refused_is_told_whole_and_changes_nothing() {
    let remote = Remote::new();
    let before = remote.revision();
    // Faults of the file, all of them, and nobody is asked.
    remote.write(
        "  name: acme\n  require_access_list: maybe\n  network_sets: [{ name: office, networks: [127.0.0.1/8] }]\n",
    );
    let faulty = remote.plain("apply -f directory.yaml --api-url http://127.0.0.1:1 --key a:b", "").code(78);
    for part in ["directory.yaml:4:", "`maybe` is not one of `true`, `false`, `report`", "did you mean", "is at fault"]
    {
        assert!(faulty.2.contains(part), "`{part}` is not in:\n{}", faulty.2);
    }
    // Guards and rules, all of them.
    let foreign = remote.key("--desc foreign");
    let clash = sha256(&foreign.pair.replacen(':', ".", 1));
    let owner = "  api_keys:\n  - { id: %id, public_key: ownerkey, secret_sha256: %owner, roles: [ORG_OWNER], access_list: [203.0.113.0/24] }\n";
    let second = format!("  - {{ id: 5f0000000000000000000022, description: k, secret_sha256: {clash} }}\n");
    let bare = "  name: acme\n  require_access_list: false\n";
    remote.write(&format!("{bare}{owner}{second}"));
    let refused = remote.run("apply -f directory.yaml").code(1);
    for part in [
        "2 of the steps are refused",
        "CHANGE_EXCLUDES_CALLER: ",
        "ALREADY_EXISTS: Something else has the same secret",
        "= help: change the file; `--force`",
    ] {
        assert!(refused.2.contains(part), "`{part}` is not in:\n{}", refused.2);
    }
    // Whose secret it is, nobody is told.
    assert!(!refused.2.contains(&foreign.id) && !refused.2.contains(&foreign.pair[..8]), "{}", refused.2);
    remote.run("apply --force -f directory.yaml").refused(1, &["1 of the steps is refused", "ALREADY_EXISTS"]);
    assert_eq!(remote.revision(), before + 1, "only the foreign key came");
    remote.write(&format!("{bare}{owner}"));
    // A dry run tells that the caller would shut itself out, and of the guard that is passed by.
    let rehearsed = remote.run("apply --dry-run --force -f directory.yaml --output json").code(2);
    let rehearsed: Value = serde_json::from_str(&rehearsed.1).unwrap();
    assert_eq!((&rehearsed["totalCount"], &rehearsed["rehearsal"]["guards"][0]["refuses"]), (&1.into(), &false.into()));
    // Nobody gives themselves more, and whoever owns nothing applies nothing.
    let reader = remote.office.key(r#"["ORG_READ_ONLY"]"#);
    remote.run_by(&reader.pair, "diff -f directory.yaml").refused(1, &["INSUFFICIENT_ROLE"]);
    remote.write(&format!("{bare}{}", owner.replace("roles: [ORG_OWNER]", "roles: [ORG_OWNER, ORG_MEMBER]")));
    remote.run("apply --force -f directory.yaml").refused(1, &["INSUFFICIENT_ROLE: Nobody can change their own roles"]);
    // An organization of somebody else is none.
    let other = "organizations: [{ id: 5f00000000000000000000ff, name: new, require_access_list: true }]";
    std::fs::write(remote.home.path().join("directory.yaml"), other).unwrap();
    remote.run("apply -f directory.yaml").refused(1, &["MISSING_ONE_OF_ATTRIBUTES: nobody could manage"]);
}

#[test]
fn a_store_is_applied_to_another_without_loss() {
    let remote = Remote::new();
    remote.write(OWNED);
    remote.run("apply -f directory.yaml").code(0);
    remote.run(&format!("api-keys secrets add {}", export_key().id)).code(0);
    // A secret that was made before lasts longer than the next one may.
    remote.run("service-accounts create --name job --secret-hours 8000").code(0);
    remote.run("settings update --secret-hours 720").code(0);
    let drawn = remote.key("--desc drawn --set office --cidr 2001:db8::/32 --comment c --expires-at 2099-01-01");
    let exported = |office: &Office| {
        let store = office.path("store.db").display().to_string();
        remote.plain(&format!("export {store}"), "").code(0).1
    };
    let text = exported(&remote.office);
    std::fs::write(remote.home.path().join("exported.yaml"), &text).unwrap();
    let other = "otherkey:40395d07-a353-4881-853b-43efa41339a3";
    let second = Office::open_by(&[("PORTCULLIS_BOOTSTRAP_ORG", "other"), ("PORTCULLIS_BOOTSTRAP_API_KEY", other)]);
    let apply = |arguments: &str| {
        let mut command = remote.command(arguments);
        command.env("PORTCULLIS_API_URL", format!("http://{}", second.admin())).env("PORTCULLIS_API_KEY", other);
        Ran::of(&mut command, "")
    };
    apply("diff -f exported.yaml").code(2);
    apply("apply -f exported.yaml").code(0);
    let organization = format!("  - id: \"{}\"\n", remote.office.organization);
    let copy = exported(&second);
    let part = |text: &str| {
        let from = text.find(&organization).unwrap();
        let mut lines: Vec<String> = text[from..].lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(part(&copy), part(&text));
    assert!(copy.contains("\n    max_service_account_secret_validity_in_hours: 720\n"), "{copy}");
    for key in [export_key(), drawn] {
        assert_eq!(second.through(&key), remote.office.through(&key));
    }
    // By an owner of the new organization: the other one is not there for a key of the first.
    let mut command = remote.command("diff --prune -f exported.yaml");
    command.env("PORTCULLIS_API_URL", format!("http://{}", second.admin())).env("PORTCULLIS_API_KEY", OWNER);
    assert_eq!(Ran::of(&mut command, "").code(0).1, "no difference\n");
}

#[test]
fn the_secrets_of_an_account_are_the_files() {
    let remote = Remote::new();
    let account = |secrets: &str| {
        remote.write(&format!(
            "  name: acme\n  require_access_list: false\n  service_accounts:\n  - client_id: pcl_sa_id_5f0000000000000000000031\n    \
             name: batch\n    secrets: [{secrets}]\n"
        ));
    };
    let secret = |digit: &str, until: &str| format!("{{ sha256: \"{}\", expires_at: {until} }}", digit.repeat(32));
    let soon = "2020-01-01T00:00:00Z";
    account(&secret("0f", soon));
    remote.run("apply -f directory.yaml").code(0);
    remote.run("diff -f directory.yaml").code(0);
    account(&format!("{}, {}", secret("0f", soon), secret("1f", soon)));
    let changed = remote.json("apply -f directory.yaml");
    assert_eq!(results(&changed)[0]["changes"], serde_json::json!(["secrets: 1 came, 0 went"]));
    account(&secret("2f", "2199-01-01T00:00:00Z"));
    remote
        .run("apply -f directory.yaml")
        .refused(1, &["INVALID_ATTRIBUTE: `secrets`: a secret would last longer than the 8760 hours"]);
    let path = "/serviceAccounts/pcl_sa_id_5f0000000000000000000031";
    let shown = remote.office.own("GET", path, "").json();
    assert_eq!(shown["secrets"].as_array().unwrap().len(), 2);
    // HA1s are of the realm that is configured, if any, and both of them are kept.
    remote.write("  name: acme\n  require_access_list: false\n  api_keys:\n  - { id: 5f0000000000000000000021, description: d, public_key: exportky, secret_sha256: %key, digest: { realm: R, sha256: \"%key\" } }\n");
    remote.run("apply -f directory.yaml").refused(1, &["a store keeps both HA1s of a secret"]);
    remote.write("  name: acme\n  require_access_list: false\n  api_keys:\n  - { id: 5f0000000000000000000021, description: d, public_key: exportky, secret_sha256: %key, digest: { realm: R, sha256: \"%key\", md5: 00112233445566778899aabbccddeeff } }\n");
    remote.run("apply -f directory.yaml").code(0);
    remote.run("diff -f directory.yaml").code(0);
    assert_eq!(remote.office.through(&export_key()).0, 200);
}

/// From where a set is fed goes along by every way that a directory file goes.
#[test]
fn the_source_of_a_set_is_exported_applied_and_imported() {
    let lists = tempfile::tempdir().unwrap();
    std::fs::write(lists.path().join("edge.txt"), "192.0.2.0/24\n203.0.113.0/24\n").unwrap();
    let feeds = format!("feeds: {{ allow_files: \"{}\" }}\n", lists.path().display());
    let remote = Remote::at(Office::open_with(&format!("{CONFIGURATION}{feeds}")));
    let file = |source: &str| {
        format!(
            "  name: acme\n  require_access_list: false\n  network_sets:\n  - {{ name: edge, networks: [192.0.2.0/24]{source} }}\n"
        )
    };
    let fed = file(", source: { file: edge.txt, every: 2h }");
    remote.write(&fed);
    let made = remote.json("apply -f directory.yaml");
    let changes = serde_json::json!(["networks: +192.0.2.0/24", "source: none → file edge.txt every 2h"]);
    assert_eq!(results(&made)[0]["changes"], changes);
    // What the source gives is no difference to the file.
    let held = |shown: Value| shown["held"]["networks"].as_array().map(Vec::len);
    assert_eq!(held(remote.json("network-sets refresh edge")), Some(2), "twice as much is held");
    std::fs::write(lists.path().join("edge.txt"), "192.0.2.0/24\n192.0.3.0/27\n").unwrap();
    let taken = serde_json::json!(["192.0.2.0/24", "192.0.3.0/27"]);
    assert_eq!(remote.json("network-sets refresh edge")["networks"], taken);
    assert_eq!(remote.run("diff -f directory.yaml").code(0).1, "no difference\n");
    // Another one is a change with its event, and only from where the configuration allows.
    remote.write(&file(", source: { file: edge.txt, form: plain, every: 2h }"));
    remote.run("diff -f directory.yaml").code(2);
    remote.run("apply -f directory.yaml").code(0);
    let events = remote.json("events list --type NETWORK_SET_CHANGED --limit 1");
    assert_eq!(results(&events)[0]["detail"], "source: file edge.txt as plain every 2h");
    assert_eq!(remote.json("network-sets show edge")["networks"], taken);
    remote.write(&file(", source: { url: 'https://lists.example.com/', every: 2h }"));
    let refused = ["network_sets[edge]: INVALID_ATTRIBUTE: `source.url`", "feeds.allow_hosts"];
    for command in ["diff", "apply"] {
        remote.run(&format!("{command} -f directory.yaml")).refused(1, &refused);
    }
    // An export, imported, is the same export.
    let exported = |office: &Office| {
        let store = office.path("store.db").display().to_string();
        remote.plain(&format!("export {store}"), "").code(0).1
    };
    let text = exported(&remote.office);
    let source = r#""source":{"every":"2h","file":"edge.txt","form":"plain"}"#;
    assert!(text.contains(source), "{text}");
    std::fs::write(remote.home.path().join("exported.yaml"), &text).unwrap();
    remote.plain("import exported.yaml --store copy.db", "").code(0);
    assert_eq!(remote.plain("export copy.db", "").code(0).1, text);
    // Through the API it is the same again, and another is a conflict at the line of the set.
    remote.run("import exported.yaml").code(0);
    let line = 1 + text.lines().position(|line| line.contains(source)).unwrap();
    let other = text.replace(source, r#""source":{"every":"2h","url":"https://lists.example.com/"}"#);
    std::fs::write(remote.home.path().join("exported.yaml"), &other).unwrap();
    let told = format!("exported.yaml:{line}:");
    remote.run("import exported.yaml").refused(1, &[&told, "network set `edge` is there with another `source`"]);
    let new = other.replace(&remote.office.organization, "5f00000000000000000000ff").replace("ownerkey", "otherkey");
    let (id, hash) = (remote.owner_id(), sha256(&OWNER.replacen(':', ".", 1)));
    let new = new.replace(&id, "5f00000000000000000000fe").replace(&hash, &"0f".repeat(32));
    std::fs::write(remote.home.path().join("exported.yaml"), &new).unwrap();
    remote.run("import exported.yaml").refused(1, &[&told, "network set `edge`: `source.url`", "feeds.allow_hosts"]);
    // Served as it is, it holds what it held; `check` says that it stands still.
    std::fs::write(remote.home.path().join("exported.yaml"), &text).unwrap();
    let checked = remote.plain("check exported.yaml", "").code(0);
    assert!(
        format!("{}{}", checked.1, checked.2).contains("network set `edge` has a `source`"),
        "{} {}",
        checked.1,
        checked.2
    );
    // A file without it takes it away.
    remote.write(&file(""));
    remote.run("apply -f directory.yaml").code(0);
    let bare = remote.json("network-sets show edge");
    assert_eq!((bare.get("source"), &bare["networks"]), (None, &serde_json::json!(["192.0.2.0/24"])));
}
