//! Killed in the middle of a change, of every kind that there is: afterwards the change is whole or absent, SQLite finds the file
//! sound, and what is enforced is what is stored.
//!
//! The program gets SIGKILL at the n-th write or sync of the thread that makes changes. How many there are is measured by letting
//! the same change through; what the store then holds is what it has to hold after a death, or else what it held before.

mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::sqlite;
use crate::admin::office::{OWNER, Office, request};
use crate::programs::{output, program};

/// A change, by the owner's key unless it says otherwise. `{names}` stand for what the template has.
struct Kind {
    name: &'static str,
    call: (&'static str, &'static str, &'static str),
    /// What is answered to whom, before and after: by the gateway, or by the admin API where a session asks.
    probe: Option<(&'static str, u16, u16)>,
    /// A pair, the token of a session, or nobody.
    by: Option<&'static str>,
    media_type: &'static str,
    everywhere: bool,
}

const fn kind(name: &'static str, method: &'static str, path: &'static str, body: &'static str) -> Kind {
    Kind { name, call: (method, path, body), probe: None, by: None, media_type: "application/json", everywhere: false }
}

impl Kind {
    const fn probe(self, header: &'static str, before: u16, after: u16) -> Self {
        Self { probe: Some((header, before, after)), ..self }
    }

    const fn by(self, caller: &'static str) -> Self {
        Self { by: Some(caller), ..self }
    }

    /// Killed at every call also where there is little time.
    const fn everywhere(self) -> Self {
        Self { everywhere: true, ..self }
    }

    const fn typed(self, media_type: &'static str) -> Self {
        Self { media_type, ..self }
    }
}

/// At which of so many calls to kill: at each with `PORTCULLIS_TEST_CRASHES=all`, as `tests/campaign/crashes` has it.
fn moments(everywhere: bool, count: usize) -> BTreeSet<usize> {
    match everywhere || std::env::var("PORTCULLIS_TEST_CRASHES").is_ok_and(|which| which == "all") {
        true => (1..=count).collect(),
        false => [1, count].into_iter().filter(|at| (1..=count).contains(at)).collect(),
    }
}

/// Tokens outlive a restart, and nothing is written but by changes.
const CONFIGURATION: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 1
  drain_timeout: 1s
  drain_idle: 10ms
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\", usage_interval: 1h, tokens: { issuer: \"https://admin.example.com\", per_minute: 1000 } }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: off } }
";

const IMPORTED: &str = r#"{"organization":{"id":"{o}","name":"acme","require_access_list":false,"network_sets":[{"name":"new","networks":["127.0.0.0/8"]}]}}
{"api_key":{"id":"5f00000000000000000000f1","secret_sha256":"ec03d46c9097a46f2365a831a1362b4678136566a7e99143bce40657376a964f","access_list":[{"set":"new"}]}}
{"api_key":{"id":"5f00000000000000000000f2","secret_sha256":"06d9dff693df42e2c4e92f8715de0c7d2a0d74bd653ff85713e0b2430f89d2df","access_list":["10.0.0.0/8"]}}
"#;

const APPLIED: &str = r#"{"organizations":[{"id":"{o}","name":"acme","require_access_list":false,"network_sets":[{"name":"office","networks":["10.0.0.0/8"]},{"name":"new","networks":[]}]}]}"#;

/// What the token of a session begins with.
const SESSION: &str = "pcl_session_";

const PASSWORD: &str = "a password of the test 4711";

const FORM: &str = "application/x-www-form-urlencoded";

/// A store with one of everything, closed; every kind begins with a copy of it.
struct Template {
    folder: tempfile::TempDir,
    /// What the names stand for.
    names: Vec<(&'static str, String)>,
    /// What it holds.
    held: String,
}

impl Template {
    fn new() -> Self {
        let office = Office::open_with(CONFIGURATION);
        let text = |shown: &serde_json::Value| shown.as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
        let mut names = vec![("o", office.organization.clone())];
        let key = |name: &'static str, pair: &'static str, list: &str, names: &mut Vec<(&'static str, String)>| {
            let body = format!("{{\"desc\":\"{name}\",\"roles\":[\"ORG_READ_ONLY\"],\"accessList\":{list}}}");
            let made = office.own("POST", "/apiKeys", &body).json();
            names.push((name, text(&made["id"])));
            names.push((pair, format!("X-API-Key: {}.{}", text(&made["publicKey"]), text(&made["privateKey"]))));
        };
        let done = |status: u16, answer: crate::stage::Answer| {
            assert_eq!(answer.status, status, "{}", answer.text());
            if status == 204 { serde_json::Value::Null } else { answer.json() }
        };
        done(201, office.own("POST", "/networkSets", r#"{"name":"office","networks":["127.0.0.0/8"]}"#));
        done(201, office.own("POST", "/networkSets", r#"{"name":"unused","networks":["10.0.0.0/8"]}"#));
        key("open", "open key", "[]", &mut names);
        key("listed", "listed key", r#"[{"cidrBlock":"127.0.0.0/8"},{"cidrBlock":"203.0.113.0/24"}]"#, &mut names);
        key("by set", "by set key", r#"[{"set":"office"}]"#, &mut names);
        let project = done(201, office.own("POST", "/groups", r#"{"name":"billing"}"#));
        names.push(("p", text(&project["id"])));
        names.push(("empty p", text(&done(201, office.own("POST", "/groups", r#"{"name":"empty"}"#))["id"])));
        let assigned = names.iter().find(|(name, _)| *name == "listed").unwrap().1.clone();
        let path = format!("/groups/{}/apiKeys", names.iter().find(|(name, _)| *name == "p").unwrap().1);
        done(204, office.call(OWNER, "POST", &format!("{path}/{assigned}"), r#"{"roles":["GROUP_READ_ONLY"]}"#));
        let secret = done(201, office.own("POST", &format!("/apiKeys/{assigned}/secrets"), ""));
        names.push(("second secret", text(&secret["id"])));
        let public = names.iter().find(|(name, _)| *name == "listed key").unwrap().1[..19].to_owned();
        names.push(("second key", format!("{public}.{}", text(&secret["secret"]))));
        let account =
            done(201, office.own("POST", "/serviceAccounts", r#"{"name":"batch","secretExpiresAfterHours":8}"#));
        names.push(("account", text(&account["clientId"])));
        names.push(("account secret", text(&account["secrets"][0]["id"])));
        let pair = format!("{}:{}", text(&account["clientId"]), text(&account["secrets"][0]["secret"]));
        let minted = office.raw(&pair, "POST", "/api/oauth/token", "grant_type=client_credentials", &content(FORM));
        let token = text(&done(200, minted)["access_token"]);
        names.push(("token", token.clone()));
        names.push(("bearer", format!("Authorization: Bearer {token}")));
        names.push(("account pair", pair));
        let other = done(201, office.call(OWNER, "POST", "/orgs", r#"{"name":"other","apiKey":{"desc":"k"}}"#));
        names.push(("other", text(&other["id"])));
        names.push((
            "other owner",
            format!("{}:{}", text(&other["apiKey"]["publicKey"]), text(&other["apiKey"]["privateKey"])),
        ));
        let invite =
            done(201, office.own("POST", "/invites", r#"{"username":"a@example.com","roles":["ORG_MEMBER"]}"#));
        names.push(("invite", text(&invite["id"])));
        names.push(("invite token", text(&invite["token"])));
        let ann = done(201, office.own("POST", "/invites", r#"{"username":"ann@example.com","roles":["ORG_MEMBER"]}"#));
        let accept = format!(r#"{{"token":"{}","password":"{PASSWORD}"}}"#, text(&ann["token"]));
        let ann = done(201, office.call("", "POST", "/auth/accept", &accept));
        names.push(("ann", text(&ann["userId"])));
        names.push(("session", text(&ann["token"])));
        let sign_in = format!(r#"{{"email":"ann@example.com","password":"{PASSWORD}"}}"#);
        let other = done(200, office.call("", "POST", "/auth/signin", &sign_in));
        names.push(("other session", text(&other["token"])));
        let folder = office.close();
        let held = held(&folder.path().join("store.db"));
        Self { folder, names, held }
    }

    fn filled(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// Serves a copy.
    fn served(&self) -> Office {
        let folder = tempfile::tempdir().unwrap();
        for file in ["store.db", "portcullis.yaml"] {
            std::fs::copy(self.folder.path().join(file), folder.path().join(file)).unwrap();
        }
        Office::again(folder)
    }

    fn status(&self, office: &Office, kind: &Kind) -> Option<u16> {
        let header = self.filled(kind.probe?.0);
        match header.contains(SESSION) {
            true => Some(office.raw("", "GET", "/api/v1/orgs", "", &format!("{header}\r\n")).status),
            false => Some(office.served.get("/", &[&header]).status),
        }
    }

    /// Makes the change, and returns the status of its answer; 0 where there was none.
    fn change(&self, office: &Office, kind: &Kind) -> u16 {
        let (method, path, body) = kind.call;
        let by = self.filled(kind.by.unwrap_or("{owner}")).replace("{owner}", OWNER);
        let path = if path.starts_with("/api/") { path.to_owned() } else { format!("/api/v1{path}") };
        let mut headers = if body.is_empty() { String::new() } else { content(kind.media_type) };
        let pair = if by.starts_with(SESSION) { "" } else { &by };
        if pair.is_empty() && !by.is_empty() {
            headers.push_str(&format!("Authorization: Bearer {by}\r\n"));
        }
        office.connect().send(request(pair, method, &self.filled(&path), &self.filled(body), &headers)).status
    }
}

fn content(media_type: &str) -> String {
    format!("Content-Type: {media_type}\r\n")
}

/// Everything in a store but uses, as text, its rows in no order.
fn held(store: &Path) -> String {
    let dump = sqlite(store, ".dump");
    let counted =
        ["credential_use", "recent_address", "entry_use", "traffic"].map(|table| format!("INSERT INTO {table} "));
    let mut rows: Vec<&str> = dump.lines().filter(|row| !counted.iter().any(|table| row.starts_with(table))).collect();
    rows.sort_unstable();
    rows.join("\n")
}

/// The same without what is another each time: drawn ids, hashes and names, and the time. `known` has none of them.
fn alike(held: &str, known: &str) -> BTreeMap<String, usize> {
    let is_known = |text: &str| known.contains(text);
    let known: BTreeSet<&str> = words(known).collect();
    let mut rows = BTreeMap::new();
    for row in held.lines() {
        // The hash of a password is no one word.
        let hash = row.find("$argon2id$").and_then(|at| row[at..].split('\'').next());
        let row = &hash.filter(|hash| !is_known(hash)).map_or(row.to_owned(), |hash| row.replace(hash, "…"));
        let mut shown = String::with_capacity(row.len());
        for word in words(row) {
            let hex = word.bytes().rev().take_while(u8::is_ascii_hexdigit).count();
            let is_time = word.len() == 10 && word.bytes().all(|byte| byte.is_ascii_digit());
            let may_be_drawn = hex >= 12 || matches!(word.len(), 4 | 8 | 40..);
            shown.push_str(if is_time || may_be_drawn && !known.contains(word) { "…" } else { word });
        }
        *rows.entry(shown).or_insert(0) += 1;
    }
    rows
}

/// Runs of letters, digits, `-` and `_`, and what is between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_');
    text.split_inclusive(move |one| !is_word(one)).flat_map(move |part| {
        let end = part.trim_end_matches(|one| !is_word(one)).len();
        [&part[..end], &part[end..]]
    })
}

#[track_caller]
fn survives(kinds: &[Kind]) {
    program("strace");
    let template = Template::new();
    let before = alike(&template.held, &template.held);
    for kind in kinds {
        let mut office = template.served();
        let expected = kind.probe.map(|(_, before, _)| before);
        assert_eq!(template.status(&office, kind), expected, "{}: before", kind.name);
        let (mut tracer, calls) = office.counted("pwrite64,fdatasync,fsync");
        let status = template.change(&office, kind);
        assert!((200..300).contains(&status), "{}: {status}", kind.name);
        let _ = output(Command::new("kill").arg(tracer.child().id().to_string()));
        let _ = tracer.child().wait();
        let calls = calls.join().unwrap();
        let counts = ["pwrite64", "fdatasync", "fsync"].map(|call| (call, calls.matches(&format!("{call}(")).count()));
        assert!(counts[0].1 > 0 && counts[1].1 + counts[2].1 > 0, "{}: {counts:?}", kind.name);
        let now = template.status(&office, kind);
        assert_eq!(now, kind.probe.map(|(_, _, after)| after), "{}", kind.name);
        let folder = office.close();
        let after = alike(&held(&folder.path().join("store.db")), &template.held);
        assert_ne!(after, before, "{}: nothing was changed", kind.name);
        for (call, count) in counts {
            let mut deaths = 0;
            for at in moments(kind.everywhere, count) {
                let mut office = template.served();
                let what = format!("{}: killed at {call} {at} of {count}", kind.name);
                assert_eq!(template.status(&office, kind), expected, "{what}: before");
                let mut tracer = office.injected(call, at);
                let status = template.change(&office, kind);
                let _ = output(Command::new("kill").arg(tracer.child().id().to_string()));
                let _ = tracer.child().wait();
                if status != 0 {
                    // A few pages less than when they were counted: names that are drawn lie elsewhere each time.
                    assert!(count - at < 8 && (200..300).contains(&status), "{what}: {status}");
                    continue;
                }
                deaths += 1;
                office.served.ended();
                let store = office.path("store.db");
                assert_eq!(sqlite(&store, "PRAGMA integrity_check"), "ok", "{what}");
                let found = alike(&held(&store), &template.held);
                let is_whole = found == after;
                let other = |other: &BTreeMap<String, usize>| -> Vec<String> {
                    found.iter().filter(|row| other.get(row.0) != Some(row.1)).map(|row| row.0.clone()).collect()
                };
                assert!(is_whole || found == before, "{what}: neither whole nor absent: {:#?}", other(&after));
                let office = office.revived();
                let enforced = kind.probe.map(|(_, before, after)| if is_whole { after } else { before });
                assert_eq!(template.status(&office, kind), enforced, "{what}: enforced is not what is stored");
            }
            assert!(deaths > 0 || count == 0, "{}: no {call} killed it", kind.name);
        }
    }
}

#[test]
fn l10_organizations_and_projects_are_whole_or_absent() {
    survives(&[
        kind("an organization is made", "POST", "/orgs", r#"{"name":"new","apiKey":{"desc":"k"}}"#),
        kind("an organization is renamed", "PATCH", "/orgs/{o}", r#"{"name":"renamed"}"#),
        kind("an organization is deleted", "DELETE", "/orgs/{other}", "").by("{other owner}"),
        kind("the switch is turned", "PATCH", "/orgs/{o}/settings?force=true", r#"{"apiAccessListRequired":true}"#)
            .probe("{open key}", 200, 403),
        kind("a project is made", "POST", "/orgs/{o}/groups", r#"{"name":"new"}"#),
        kind("a project is deleted", "DELETE", "/groups/{empty p}", ""),
    ]);
}

#[test]
fn l10_keys_are_whole_or_absent() {
    survives(&[
        kind(
            "a key is made",
            "POST",
            "/orgs/{o}/apiKeys",
            r#"{"desc":"n","roles":["ORG_MEMBER"],"accessList":[{"set":"office"}]}"#,
        ),
        kind("a key is edited", "PATCH", "/orgs/{o}/apiKeys/{open}", r#"{"enabled":false}"#).probe(
            "{open key}",
            200,
            401,
        ),
        kind("a key is deleted", "DELETE", "/orgs/{o}/apiKeys/{listed}", "").probe("{listed key}", 200, 401),
        kind("a private key is added", "POST", "/orgs/{o}/apiKeys/{open}/secrets", ""),
        kind("a private key is removed", "DELETE", "/orgs/{o}/apiKeys/{listed}/secrets/{second secret}", "").probe(
            "{second key}",
            200,
            401,
        ),
        kind("a key is assigned", "POST", "/groups/{p}/apiKeys/{open}", r#"{"roles":["GROUP_READ_ONLY"]}"#),
        kind("an assigned key is edited", "PATCH", "/groups/{p}/apiKeys/{listed}", r#"{"roles":["GROUP_OWNER"]}"#),
        kind("an assigned key is taken off", "DELETE", "/groups/{p}/apiKeys/{listed}", ""),
    ]);
}

#[test]
fn l10_lists_and_sets_are_whole_or_absent() {
    survives(&[
        kind(
            "entries are added",
            "POST",
            "/orgs/{o}/apiKeys/{open}/accessList?force=true",
            r#"[{"cidrBlock":"203.0.113.0/24"},{"set":"unused"}]"#,
        )
        .probe("{open key}", 200, 403),
        kind(
            "a list is replaced",
            "PUT",
            "/orgs/{o}/apiKeys/{listed}/accessList?force=true",
            r#"[{"cidrBlock":"10.0.0.0/8"}]"#,
        )
        .probe("{listed key}", 200, 403)
        .everywhere(),
        kind(
            "an entry is edited",
            "PATCH",
            "/orgs/{o}/apiKeys/{listed}/accessList/203.0.113.0%2F24",
            r#"{"comment":"office"}"#,
        ),
        kind("an entry is removed", "DELETE", "/orgs/{o}/apiKeys/{listed}/accessList/127.0.0.0%2F8?force=true", "")
            .probe("{listed key}", 200, 403),
        kind(
            "a set is made",
            "POST",
            "/orgs/{o}/networkSets",
            r#"{"name":"new","networks":["10.0.0.0/8","11.0.0.0/8"]}"#,
        ),
        kind("a set is replaced", "PUT", "/orgs/{o}/networkSets/office?force=true", r#"{"networks":["10.0.0.0/8"]}"#)
            .probe("{by set key}", 200, 403),
        kind("a set is deleted", "DELETE", "/orgs/{o}/networkSets/unused", ""),
    ]);
}

#[test]
fn l10_service_accounts_and_tokens_are_whole_or_absent() {
    survives(&[
        kind(
            "an account is made",
            "POST",
            "/orgs/{o}/serviceAccounts",
            r#"{"name":"new","secretExpiresAfterHours":8}"#,
        ),
        kind("an account is edited", "PATCH", "/orgs/{o}/serviceAccounts/{account}", r#"{"enabled":false}"#)
            .probe("{bearer}", 200, 401),
        kind("an account is deleted", "DELETE", "/orgs/{o}/serviceAccounts/{account}", "").probe("{bearer}", 200, 401),
        kind(
            "a secret is added",
            "POST",
            "/orgs/{o}/serviceAccounts/{account}/secrets",
            r#"{"secretExpiresAfterHours":8}"#,
        ),
        kind("a secret is removed", "DELETE", "/orgs/{o}/serviceAccounts/{account}/secrets/{account secret}", ""),
        kind(
            "an account's list is replaced",
            "PUT",
            "/orgs/{o}/serviceAccounts/{account}/accessList?force=true",
            r#"[{"cidrBlock":"10.0.0.0/8"}]"#,
        )
        .probe("{bearer}", 200, 403),
        kind(
            "an account is assigned",
            "POST",
            "/groups/{p}/serviceAccounts/{account}",
            r#"{"roles":["GROUP_READ_ONLY"]}"#,
        ),
        kind("a token is made", "POST", "/api/oauth/token", "grant_type=client_credentials")
            .by("{account pair}")
            .typed(FORM),
        kind("a token is revoked", "POST", "/api/oauth/revoke", "token={token}")
            .by("{account pair}")
            .typed(FORM)
            .probe("{bearer}", 200, 401),
    ]);
}

#[test]
fn l10_people_and_changes_in_bulk_are_whole_or_absent() {
    survives(&[
        kind(
            "somebody is invited",
            "POST",
            "/orgs/{o}/invites",
            r#"{"username":"b@example.com","roles":["ORG_MEMBER"]}"#,
        ),
        kind("an invitation is withdrawn", "DELETE", "/orgs/{o}/invites/{invite}", ""),
        kind(
            "a person's roles are changed",
            "PATCH",
            "/orgs/{o}/users/{ann}",
            r#"{"roles":["ORG_READ_ONLY",{"groupId":"{p}","roleName":"GROUP_OWNER"}]}"#,
        ),
        kind("a person is removed", "DELETE", "/orgs/{o}/users/{ann}", "").probe(ANN, 200, 401),
        kind("many keys are imported", "POST", "/import", IMPORTED).typed("application/x-ndjson").probe(
            "X-API-Key: imported-0123456789abcdef",
            401,
            200,
        ),
        kind("a directory is applied", "POST", "/apply?force=true", APPLIED).probe("{by set key}", 200, 403),
    ]);
}

/// Asks the admin API.
const ANN: &str = "Authorization: Bearer {other session}";

#[test]
fn l10_what_people_do_themselves_is_whole_or_absent() {
    let sign_in = r#"{"email":"ann@example.com","password":"a password of the test 4711"}"#;
    let change = r#"{"currentPassword":"a password of the test 4711","password":"another password 4712"}"#;
    let accept = r#"{"token":"{invite token}","password":"a password of the test 4711"}"#;
    survives(&[
        kind("somebody signs in", "POST", "/auth/signin", sign_in).by(""),
        kind("a password is changed", "POST", "/auth/password", change).by("{session}").probe(ANN, 200, 401),
        kind("an invitation is taken up", "POST", "/auth/accept", accept).by(""),
        kind("somebody signs out", "POST", "/auth/signout", "").by("{other session}").probe(ANN, 200, 401),
        kind("somebody signs out everywhere", "POST", "/auth/signoutEverywhere", "")
            .by("{session}")
            .probe(ANN, 200, 401),
    ]);
}
