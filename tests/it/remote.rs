//! The command line against the admin API: the program asks another run of itself that serves a store.

mod accounts;
mod apply;
mod login;
mod people;
mod promote;
mod rehearsal;
mod roles;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::admin::office::{CONFIGURATION, Key, OWNER, Office};
use crate::programs::PORTCULLIS;
use crate::served::Served;

/// A served store, and whoever asks it.
struct Remote {
    office: Office,
    home: tempfile::TempDir,
}

/// What a run leaves: exit code, standard output, standard error.
struct Ran(i32, String, String);

impl Remote {
    fn new() -> Self {
        Self::at(Office::open())
    }

    fn at(office: Office) -> Self {
        Self { office, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(PORTCULLIS);
        command.args(arguments.split_whitespace()).current_dir(self.home.path());
        command.env("HOME", self.home.path()).env_remove("XDG_CONFIG_HOME");
        command.env_remove("PORTCULLIS_API_KEY").env_remove("PORTCULLIS_API_URL");
        command.env_remove("PORTCULLIS_API_SESSION");
        command
    }

    /// By the owner.
    fn run(&self, arguments: &str) -> Ran {
        self.run_by(OWNER, arguments)
    }

    fn run_by(&self, key: &str, arguments: &str) -> Ran {
        let mut command = self.command(arguments);
        command.env("PORTCULLIS_API_URL", format!("http://{}", self.office.admin())).env("PORTCULLIS_API_KEY", key);
        Ran::of(&mut command, "")
    }

    /// By nothing but the arguments.
    fn plain(&self, arguments: &str, input: &str) -> Ran {
        Ran::of(&mut self.command(arguments), input)
    }

    /// What the API answered to a command that has to succeed.
    #[track_caller]
    fn json(&self, arguments: &str) -> Value {
        let ran = self.run(&format!("{arguments} --output json")).code(0);
        serde_json::from_str(&ran.1).unwrap_or_else(|fault| panic!("{fault}: {}", ran.1))
    }

    /// A new key of the organization.
    #[track_caller]
    fn key(&self, arguments: &str) -> Key {
        Key::of(&self.json(&format!("api-keys create {arguments}")))
    }

    #[track_caller]
    fn networks(&self, key: &Key) -> Vec<String> {
        let page = self.json(&format!("access-lists list --api-key {}", key.id));
        results(&page).iter().map(|entry| entry["cidrBlock"].as_str().unwrap().to_owned()).collect()
    }
}

impl Ran {
    fn of(command: &mut Command, input: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self(status.code().unwrap(), text(stdout), text(stderr))
    }

    #[track_caller]
    fn code(self, expected: i32) -> Self {
        assert_eq!(self.0, expected, "{}\n{}", self.1, self.2);
        self
    }

    /// It failed with this exit code, and told all of this on standard error alone.
    #[track_caller]
    fn refused(self, expected: i32, parts: &[&str]) {
        let ran = self.code(expected);
        assert_eq!(ran.1, "");
        for part in parts {
            assert!(ran.2.contains(part), "`{part}` is not in:\n{}", ran.2);
        }
    }
}

pub(super) fn results(page: &Value) -> &[Value] {
    page["results"].as_array().unwrap_or_else(|| panic!("{page:#}"))
}

#[test]
fn a_key_and_its_list_are_managed_and_the_gateway_follows() {
    let remote = Remote::new();
    let key =
        remote.key("--desc ci --role ORG_READ_ONLY --role app:reader --current-ip --cidr 203.0.113.0/24 --comment x");
    assert_eq!(remote.office.through(&key).0, 200);
    assert_eq!(remote.networks(&key), ["127.0.0.1/32", "203.0.113.0/24"]);
    let on = |command: &str| remote.run(&format!("access-lists {command} --api-key {}", key.id));
    let others = "replace --cidr 203.0.113.0/24 --ip 2001:DB8::1 --expires-at 2099-01-01";
    on(others).refused(
        1,
        &["409 CHANGE_EXCLUDES_RECENT_USE", "was used from 127.0.0.1", "= help: `--dry-run` tells", "say `--force`"],
    );
    let replaced = on(&format!("{others} --force")).code(0);
    assert!(
        replaced
            .1
            .starts_with("NETWORK          COMMENT  EXPIRES               CREATED               COUNT  LAST USED"),
        "{}",
        replaced.1
    );
    assert_eq!(remote.office.through(&key), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    on("create --ip 127.0.0.1").code(0);
    assert_eq!(remote.office.through(&key).0, 200);
    on("update 2001:db8::1 --comment six --expires-at never").code(0);
    let entry = remote.json(&format!("access-lists show 2001:db8::1/128 --api-key {}", key.id));
    assert_eq!((entry["comment"].as_str(), entry.get("expiresAt")), (Some("six"), None));
    on("update 2001:db8::1 --comment=").code(0);
    assert_eq!(remote.json(&format!("access-lists show 2001:db8::1 --api-key {}", key.id)).get("comment"), None);
    on("delete 2001:db8::1").code(0);
    on("delete 127.0.0.1 --force").code(0);
    assert_eq!(remote.networks(&key), ["203.0.113.0/24"]);
    // The last entry is asked about twice.
    let help = ["409 CHANGE_REMOVES_RESTRICTION: Without its last entry", "= help: `--dry-run` tells", "say `--force`"];
    on("delete 203.0.113.0/24").refused(1, &help);
    on("replace --none").refused(1, &help);
    on("replace --none --force").code(0);
    assert_eq!(remote.office.through(&key).0, 200);
    // More than one page of the record; the newest first.
    let all = remote.json("events list");
    let types: Vec<&str> = results(&all).iter().map(|one| one["eventTypeName"].as_str().unwrap()).collect();
    assert_eq!(types[..2], ["API_KEY_ACCESS_LIST_ENTRY_DELETED", "ACCESS_LIST_GUARD_OVERRIDDEN"]);
    assert_eq!(results(&remote.json("events list --limit 2")).len(), 2);
    let created = remote.json("events list --type api-key-created --since 2020-01-01 --until 2099-01-01T00:00:00Z");
    assert_eq!(results(&created).len(), 2);
    assert!(results(&remote.json("events list --until 2020-01-01")).is_empty());
    let id = results(&created)[0]["id"].as_str().unwrap();
    assert_eq!(remote.json(&format!("events show {id}"))["eventTypeName"], "API_KEY_CREATED");
}

#[test]
fn keys_are_changed_rotated_and_deleted() {
    let remote = Remote::new();
    let key = remote.key("--desc ci");
    let update = |changes: &str| remote.json(&format!("api-keys update {} {changes}", key.id));
    assert_eq!(update("--disable")["enabled"], false);
    assert_eq!(remote.office.through(&key).0, 401);
    assert_eq!(update("--enable --expires-at 2099-01-01T10:00:00Z")["expiresAt"], "2099-01-01T10:00:00Z");
    assert_eq!(remote.office.through(&key).0, 200);
    let changed = update("--expires-at never --role ORG_MEMBER --desc other --enforcement report");
    let roles = (changed["roles"][0]["roleName"].as_str(), changed["desc"].as_str(), changed["enforcement"].as_str());
    assert_eq!((roles, changed.get("expiresAt")), ((Some("ORG_MEMBER"), Some("other"), Some("report")), None));
    assert_eq!(update("--no-roles")["roles"], Value::Array(Vec::new()));
    remote.run(&format!("api-keys update {}", key.id)).refused(64, &["name what is to be changed"]);
    let made = remote.json(&format!("api-keys secrets add {}", key.id));
    let new = Key { id: key.id.clone(), pair: format!("{}:{}", &key.pair[..8], made["secret"].as_str().unwrap()) };
    assert_eq!((remote.office.through(&key).0, remote.office.through(&new).0), (200, 200));
    let secrets = remote.json(&format!("api-keys secrets list {}", key.id));
    let old = results(&secrets).iter().find(|one| one["id"] != made["id"]).unwrap()["id"].as_str().unwrap().to_owned();
    remote.run(&format!("api-keys secrets remove {} {old}", key.id)).code(0);
    assert_eq!((remote.office.through(&key).0, remote.office.through(&new).0), (401, 200));
    // On a project.
    let project = remote.json("projects create billing")["id"].as_str().unwrap().to_owned();
    remote.run(&format!("api-keys assign {} --project {project} --role GROUP_READ_ONLY", key.id)).code(0);
    let listed = remote.run(&format!("api-keys list --project {project}")).code(0);
    assert!(listed.1.contains(&format!("GROUP_READ_ONLY@{project}")), "{}", listed.1);
    remote.run(&format!("api-keys unassign {} --project {project}", key.id)).code(0);
    assert!(results(&remote.json(&format!("api-keys list --project {project}"))).is_empty());
    assert_eq!(remote.json(&format!("projects show {project}"))["name"], "billing");
    let deleted = remote.run(&format!("projects delete {project}")).code(0);
    assert_eq!(deleted.1, format!("project {project} is deleted\n"));
    assert!(results(&remote.json("projects list")).is_empty());
    remote.run(&format!("api-keys delete {}", key.id)).code(0);
    assert_eq!(remote.office.through(&new).0, 401);
    remote.run(&format!("api-keys show {}", key.id)).refused(1, &["404 API_KEY_NOT_FOUND"]);
}

#[test]
fn an_organization_is_made_with_a_key_that_manages_it() {
    let remote = Remote::new();
    let made = remote.run("orgs create second --owner-key boss -o json").code(0);
    let made: Value = serde_json::from_str(&made.1).unwrap();
    let owner = Key::of(&made["apiKey"]);
    assert_eq!(made["apiKey"]["desc"], "boss");
    let by_owner = |arguments: &str| remote.run_by(&owner.pair, arguments);
    assert!(by_owner("orgs show").code(0).1.contains("second"));
    by_owner("orgs update --name renamed").code(0);
    // The switch would shut the caller out, until it has a list.
    by_owner("settings update --access-lists required").refused(1, &["409 CHANGE_EXCLUDES_CALLER", "`--force`"]);
    by_owner(&format!("access-lists create --current-ip --api-key {}", owner.id)).code(0);
    assert_eq!(
        by_owner("settings update --access-lists required").code(0).1,
        "access lists  required\nsecret hours  8760\n"
    );
    assert_eq!(by_owner("settings show").code(0).1, "access lists  required\nsecret hours  8760\n");
    let id = made["id"].as_str().unwrap();
    remote.run(&format!("orgs delete {id}")).refused(1, &["404 ORG_NOT_FOUND"]);
    by_owner(&format!("orgs delete {id}")).code(0);
    by_owner("orgs list").refused(1, &["401 INVALID_CREDENTIALS", "= help: call with a key"]);
    // One that requires lists from the start has a way in from the start.
    remote
        .run("orgs create third --access-lists required")
        .refused(1, &["400 MISSING_ONE_OF_ATTRIBUTES", "= help: name its first networks: `--ip`, `--cidr` or"]);
    let made = remote.run("orgs create third --access-lists required --current-ip").code(0);
    assert!(made.1.contains("private key  ") && made.2 == "The private key is shown this once. Keep it now.\n");
}

#[test]
fn all_pages_are_followed() {
    let configuration = "gateway: { listen: [{ address: \"127.0.0.1:0\" }], workers: 1 }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\", entries_per_list: 2000 }
telemetry: { listen: \"127.0.0.1:0\" }
";
    let remote = Remote { office: Office::open_with(configuration), home: tempfile::tempdir().unwrap() };
    let key = remote.key("--desc wide");
    let many: Vec<String> = (0..1203).map(|at| format!("--ip 10.1.{}.{}", at / 250, at % 250)).collect();
    let written = remote.json(&format!("access-lists create --api-key {} {}", key.id, many.join(" ")));
    assert_eq!((results(&written).len(), written["totalCount"].as_u64()), (1203, Some(1203)));
    let mut networks = remote.networks(&key);
    networks.sort();
    networks.dedup();
    assert_eq!(networks.len(), 1203);
    let lines = remote.run(&format!("access-lists list --api-key {}", key.id)).code(0).1.lines().count();
    assert_eq!(lines, 1204);
    assert_eq!(results(&remote.json("events list --limit 777")).len(), 777);
}

#[test]
fn profiles_hold_connections_and_keep_their_keys() {
    let remote = Remote::new();
    let url = format!("http://{}", remote.office.admin());
    let private = OWNER.split(':').nth(1).unwrap();
    let hides = |ran: Ran| {
        assert!(!ran.1.contains(private) && !ran.2.contains(private), "{}{}", ran.1, ran.2);
        ran
    };
    remote.plain("profiles show", "").refused(78, &["`portcullis profiles set NAME` makes one"]);
    remote.plain("profiles set work", "no key\n").refused(78, &["standard input holds no key"]);
    hides(remote.plain(&format!("profiles set work --api-url {url}"), &format!("{OWNER}\n")).code(0));
    hides(remote.plain("profiles set other --api-url https://other.example.com", "otherkey:o").code(0));
    let listed = hides(remote.plain("profiles list", "").code(0)).1;
    assert!(listed.contains("work*") && listed.contains("other ") && listed.contains("ownerkey"), "{listed}");
    hides(remote.plain("profiles show -o json", "").code(0));
    // The first one is the current one.
    assert!(remote.plain("orgs list", "").code(0).1.contains("acme"));
    remote.plain("profiles use other", "").code(0);
    assert!(remote.plain("orgs list --profile work", "").code(0).1.contains("acme"));
    let elsewhere = format!("profile `other` is for https://other.example.com; its key is not sent to {url}");
    remote.plain(&format!("orgs list --api-url {url}"), "").refused(78, &[&elsewhere]);
    remote.plain("profiles delete other", "").code(0);
    remote
        .plain("orgs list", "")
        .refused(78, &["there is no key or session to call http://127.0.0.1:8081 with", "--key-file"]);
    remote.plain("profiles use other", "").refused(78, &["there is no profile `other`", "there are work"]);
    // A file that others may read is not used.
    let file = remote.home.path().join(".config/portcullis/profiles.yaml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    remote.plain("orgs list --profile work", "").refused(78, &["others may read it (mode 644)", "`chmod 600 "]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, format!("profiles: [{{ name: work, api_url: '{url}', api_key: '{private}' }}]")).unwrap();
    hides(remote.plain("orgs list --profile work", "").code(78));
}

#[test]
fn a_key_comes_from_a_file_too() {
    let remote = Remote::new();
    let url = format!("http://{}", remote.office.admin());
    std::fs::write(remote.home.path().join("owner-key"), format!("{OWNER}\n")).unwrap();
    assert!(remote.plain(&format!("orgs list --api-url {url}/ --key-file owner-key"), "").code(0).1.contains("acme"));
    assert!(remote.plain(&format!("orgs list --api-url {url} --key-file -"), OWNER).code(0).1.contains("acme"));
    assert!(remote.plain(&format!("orgs list --api-url {url} --key {OWNER}"), "").code(0).1.contains("acme"));
    let nowhere = format!("orgs list --api-url {url} --key-file nowhere");
    remote.plain(&nowhere, "").refused(78, &["the key can't be read from `nowhere`"]);
}

#[test]
fn what_can_not_be_asked_says_why() {
    let remote = Remote::new();
    let unreachable = remote.plain("orgs list --key a:b --api-url http://127.0.0.1:1", "");
    unreachable.refused(1, &["http://127.0.0.1:1", "Connection refused", "start it with `portcullis serve`"]);
    let gateway =
        remote.plain(&format!("orgs list --key {OWNER} --api-url http://{}", remote.office.served.gateway()), "");
    gateway.refused(1, &["and not as the admin API does", "8081 by default"]);
    let in_clear = remote.plain("orgs list --key a:b --api-url http://192.0.2.1:8081", "");
    in_clear.refused(1, &["in clear", "https"]);
    // A refusal is JSON for programs, and told on standard error all the same.
    let refused = remote.run("projects show 000000000000000000000000 --output json").code(1);
    let body: Value = serde_json::from_str(&refused.1).unwrap();
    assert_eq!(body["errorCode"], "GROUP_NOT_FOUND");
    assert!(refused.2.starts_with("portcullis: 404 GROUP_NOT_FOUND: "), "{}", refused.2);
    for (wrong, told) in [
        ("access-lists create --api-key 000000000000000000000000", "name a network"),
        ("access-lists create --api-key 000000000000000000000000 --cidr 10.0.0.5/8", "did you mean `10.0.0.0/8`?"),
        ("access-lists create --api-key 000000000000000000000000 --ip 010.0.0.1", "010.0.0.1"),
        ("access-lists list", "--api-key <ID>|--service-account <CLIENT_ID>"),
        ("api-keys create --desc x --expires-at tomorrow", "2027-06-01T12:00:00Z"),
        ("events list --limit 0", "--limit"),
        ("orgs delete", "<ID>"),
        ("settings update --access-lists maybe", "[possible values: off, report, required]"),
        ("orgs list --api-url 127.0.0.1:8081", "an address is like"),
    ] {
        remote.run(wrong).refused(64, &[told]);
    }
    // A key in the place of something else is not repeated.
    let private = OWNER.split(':').nth(1).unwrap();
    for misplaced in [
        format!("api-keys show {OWNER}"),
        format!("access-lists list --api-key {OWNER}"),
        format!("api-keys {OWNER}"),
        format!("orgs list {OWNER}"),
        format!("profiles set work {OWNER}"),
        format!("profiles set {OWNER}"),
        format!("orgs list --api-url https://{OWNER}@example.com"),
    ] {
        let ran = remote.run(&misplaced).code(64);
        assert!(!ran.2.contains(private), "{}", ran.2);
    }
}

/// What is enforced from the file is what is enforced from the store.
#[test]
fn a_store_is_exported_to_a_file_that_is_served_the_same() {
    let remote = Remote::new();
    let project = remote.json("projects create billing")["id"].as_str().unwrap().to_owned();
    remote.run("network-sets create office --cidr 127.0.0.0/8 --cidr 2001:db8::/32 --owner o'net --comment x").code(0);
    remote.run("network-sets create nobody --ip 203.0.113.1").code(0);
    remote.run("network-sets create unused --ip 203.0.113.1").code(0);
    let keys = [
        remote.key("--desc here --role app:reader --current-ip"),
        remote.key("--desc elsewhere --cidr 203.0.113.0/24 --comment o'ffice"),
        remote.key("--desc off --expires-at 2099-01-01"),
        remote.key("--desc nowhere --enforcement report --cidr 2001:db8::/32"),
        remote.key("--desc desk --set office --set nobody"),
    ];
    remote.run(&format!("access-lists replace --api-key {} --set nobody", keys[1].id)).code(0);
    remote.run(&format!("api-keys update {} --disable", keys[2].id)).code(0);
    remote.run(&format!("api-keys assign {} --project {project} --role GROUP_READ_ONLY", keys[0].id)).code(0);
    remote.run(&format!("api-keys secrets add {}", keys[0].id)).code(0);
    let store = remote.office.path("store.db").display().to_string();
    let exported = remote.plain(&format!("export {store}"), "").code(0).1;
    for key in &keys {
        assert!(!exported.contains(&key.pair[9..]), "the file holds a key");
    }
    assert!(exported.contains(
        "{\"comment\":\"x\",\"name\":\"office\",\"networks\":[\"127.0.0.0/8\",\"2001:db8::/32\"],\"owner\":\"o'net\"}"
    ));
    assert!(exported.contains("- {\"name\":\"unused\"") && exported.contains("- {\"set\":\"office\"}"), "{exported}");
    std::fs::write(remote.home.path().join("directory.yaml"), &exported).unwrap();
    assert!(remote.plain("check directory.yaml", "").code(0).1.starts_with("good: 1 organization, 6 credentials"));
    let configuration = "gateway: { listen: [{ address: \"127.0.0.1:0\" }], workers: 1 }
directory: { file: directory.yaml }
telemetry: { listen: \"127.0.0.1:0\" }
";
    std::fs::write(remote.home.path().join("file.yaml"), configuration).unwrap();
    let served = Served::start(remote.home.path(), "file.yaml");
    for key in &keys {
        assert_eq!(served.get("/", &[&key.header()]).outcome(), remote.office.through(key), "{}", key.id);
    }
    // What a file would say otherwise is not written.
    let sly = remote.json("projects create app")["id"].as_str().unwrap().to_owned();
    remote.run(&format!("api-keys assign {} --project {sly} --role GROUP_OWNER", keys[1].id)).code(0);
    remote.plain(&format!("export {store}"), "").refused(1, &["role on project `app`"]);
    remote.plain("export nowhere.db", "").refused(1, &["there is no store at `nowhere.db`"]);
}

#[test]
fn network_sets_are_managed_and_referred_to() {
    let remote = Remote::new();
    remote.run("network-sets create office --cidr 203.0.113.0/24 --ip 127.0.0.1 --owner net").code(0);
    let key = remote.key("--desc ci --set office");
    assert_eq!(remote.office.through(&key).0, 200);
    remote
        .run("network-sets update office --remove 127.0.0.1")
        .refused(1, &["CHANGE_EXCLUDES_RECENT_USE", "`--force`"]);
    remote.run("network-sets update office --remove 127.0.0.1 --force").code(0);
    assert_eq!(remote.office.through(&key), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    let set = remote.json("network-sets update office --cidr 127.0.0.0/8 --comment desks --owner=");
    assert_eq!((set["comment"].as_str(), set.get("owner"), &set["accessListCount"]), (Some("desks"), None, &1.into()));
    assert_eq!(remote.office.through(&key).0, 200);
    let set = remote.json("network-sets update office --add 203.0.113.0/24 --add 127.0.0.0/8");
    assert_eq!((&set["comment"], set["networks"].as_array().unwrap().len()), (&"desks".into(), 2));
    assert_eq!(results(&remote.json("network-sets list"))[0], remote.json("network-sets show office"));
    let entry = remote.json(&format!("access-lists show set:office --api-key {}", key.id));
    assert_eq!(entry["set"], "office");
    remote.run("network-sets update office").refused(64, &["name what is to be changed"]);
    remote.run("network-sets update office --remove 10.0.0.0/8").refused(64, &["does not hold 10.0.0.0/8"]);
    remote.run("network-sets create office --cidr 10.0.0.1/8").refused(64, &["did you mean `10.0.0.0/8`?"]);
    remote
        .run("network-sets delete office")
        .refused(1, &["NETWORK_SET_IN_USE", "= help: `portcullis access-lists delete"]);
    remote
        .run("network-sets show home")
        .refused(1, &["NETWORK_SET_NOT_FOUND", "= help: `portcullis network-sets list`"]);
    remote.run(&format!("access-lists create --api-key {} --ip 127.0.0.1", key.id)).code(0);
    remote.run(&format!("access-lists delete set:office --api-key {}", key.id)).code(0);
    remote.run("network-sets delete office").code(0);
    assert!(results(&remote.json("network-sets list")).is_empty());
}

#[test]
fn sources_of_network_sets_are_managed() {
    let lists = tempfile::tempdir().unwrap();
    let feeds = format!("feeds: {{ allow_files: \"{}\" }}\n", lists.path().display());
    let remote = Remote::at(Office::open_with(&format!("{CONFIGURATION}{feeds}")));
    let list = |text: &str| std::fs::write(lists.path().join("aws.json"), text).unwrap();
    let of = |network: &str| {
        format!(
            "{{\"prefixes\": [{{\"ip_prefix\": \"{network}\", \"service\": \"EC2\", \"region\": \"x\"}}], \"ipv6_prefixes\": []}}"
        )
    };
    list(&of("192.0.2.0/24"));
    let made = remote.json("network-sets create edge --source aws.json --form aws --service EC2 --region x");
    let source =
        serde_json::json!({"file": "aws.json", "form": "aws", "services": ["EC2"], "regions": ["x"], "every": "6h"});
    assert_eq!(made["source"], source);
    assert_eq!(remote.json("network-sets refresh edge")["networks"], serde_json::json!(["192.0.2.0/24"]));
    // What is not named stays.
    let set = remote.json("network-sets update edge --every 90m --comment x");
    assert_eq!((&set["source"]["every"], &set["source"]["file"]), (&"90m".into(), &"aws.json".into()));
    list(&of("198.51.100.0/24"));
    let set = remote.json("network-sets refresh edge");
    assert_eq!(set["held"]["networks"], serde_json::json!(["198.51.100.0/24"]), "{set:#}");
    let id = set["held"]["id"].as_str().unwrap().to_owned();
    let told = remote.run("network-sets show edge").code(0).1;
    assert!(told.contains("100 % of its addresses would come") && told.contains(&id), "{told}");
    assert_eq!((&set["refresh"]["state"], &set["refresh"]["since"]), (&"held".into(), &set["held"]["since"]));
    remote.run("network-sets create plain --cidr 10.0.0.0/8").code(0);
    let listed = remote.run("network-sets list").code(0).1;
    let row = |name: &str| listed.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(listed.starts_with("NAME   NETWORKS      STATE  SINCE"), "{listed}");
    assert!(row("edge").contains("held") && !row("plain").contains("held"), "{listed}");
    let stuck = remote.run("network-sets list --stuck").code(0).1;
    assert!(stuck.contains("100 % of its addresses would come") && !stuck.contains("plain"), "{stuck}");
    assert!(stuck.contains(&remote.office.organization), "{stuck}");
    remote.run("network-sets delete plain").code(0);
    // Only what was looked at, and never whatever there is.
    remote.run("network-sets confirm edge").refused(64, &["<ID>"]);
    list(&of("203.0.113.0/24"));
    let set = remote.json("network-sets refresh edge");
    remote.run(&format!("network-sets confirm edge {id}")).refused(1, &["VERSION_MISMATCH", "look at it first"]);
    assert_eq!(remote.json("network-sets show edge")["networks"], serde_json::json!(["192.0.2.0/24"]));
    list(&of("198.51.100.0/24"));
    remote.json("network-sets refresh edge");
    assert_ne!(set["held"]["id"], id.as_str());
    assert_eq!(
        remote.json(&format!("network-sets confirm edge {id}"))["networks"],
        serde_json::json!(["198.51.100.0/24"])
    );
    remote.run(&format!("network-sets confirm edge {id}")).refused(1, &["holds no list back"]);
    // A directory file that names the source does not undo what that has given.
    let file = |network: &str| {
        let text = format!(
            "organizations:\n- id: {}\n  name: acme\n  require_access_list: false\n  network_sets:\n  - {{ name: edge, networks: \
             [{network}], comment: y, source: {{ file: aws.json, form: aws, services: [EC2], regions: [x], every: 90m }} }}\n",
            remote.office.organization
        );
        std::fs::write(remote.home.path().join("acme.yaml"), text).unwrap();
        remote.run("apply -f acme.yaml")
    };
    file("192.0.2.0/24").code(0);
    let set = remote.json("network-sets show edge");
    assert_eq!((&set["comment"], &set["networks"][0]), (&"y".into(), &"198.51.100.0/24".into()));
    let set = remote.json("network-sets update edge --no-source");
    assert_eq!((set.get("source"), &set["networks"][0]), (None, &"198.51.100.0/24".into()));
    remote.run("network-sets update edge --every 1h").refused(64, &["`--source LIST`"]);
    remote.run("network-sets create other --source a --from b").refused(64, &["--from"]);
    remote.run("network-sets create other --source https://a.example/").refused(1, &["feeds.allow_hosts"]);
}

#[test]
fn the_api_is_described_without_a_running_one() {
    let remote = Remote::new();
    let printed: Value = serde_json::from_str(&remote.plain("openapi", "").code(0).1).unwrap();
    let served = remote.office.raw(OWNER, "GET", "/api/v1/openapi.json", "", "").json();
    assert_eq!(printed, served);
}

/// Something in front of the admin listener terminates TLS, with a certificate of nobody's authority.
#[test]
fn a_private_authority_is_trusted_where_it_is_named() {
    let remote = Remote::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let write = |name: &str, text: String| std::fs::write(remote.home.path().join(name), text).unwrap();
    write("cert.pem", made.cert.pem());
    write("key.pem", made.signing_key.serialize_pem());
    std::fs::set_permissions(remote.home.path().join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let configuration = format!(
        "gateway:
  listen: [{{ address: \"127.0.0.1:0\", tls: {{ certificate: cert.pem, private_key: key.pem }} }}]
  workers: 1
  credentials: {{ forward: true }}
  routes: [{{ path: /, upstream: admin, access: public }}]
  upstreams: {{ admin: {{ endpoints: [\"http://{}\"] }} }}
directory: {{ demonstration: true }}
telemetry: {{ listen: \"127.0.0.1:0\" }}
",
        remote.office.admin()
    );
    write("front.yaml", configuration);
    let front = Served::start(remote.home.path(), "front.yaml");
    let url = format!("https://localhost:{}", front.gateway().port());
    let stranger = remote.plain(&format!("orgs list --api-url {url} --key {OWNER}"), "");
    stranger.refused(1, &[&url, "TLS with", "`--ca FILE`"]);
    assert!(
        remote.plain(&format!("orgs list --api-url {url} --key {OWNER} --ca cert.pem"), "").code(0).1.contains("acme")
    );
    remote.plain(&format!("profiles set front --api-url {url} --ca cert.pem"), OWNER).code(0);
    assert!(remote.plain("orgs list", "").code(0).1.contains("acme"));
    remote.plain(&format!("orgs list --api-url {url} --key {OWNER} --ca nowhere.pem"), "").refused(1, &["nowhere.pem"]);
}
