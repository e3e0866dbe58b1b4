//! `portcullis import` into a served store: enforced when answered, all or nothing, whatever becomes of the connection.

mod third_party;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::admin::office::{Key, OWNER, Office};
use crate::programs::PORTCULLIS;
use crate::stage::wait_for;

/// By the owner, in the office's folder: exit code, standard output, standard error.
fn run(office: &Office, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(PORTCULLIS);
    command.args(arguments).current_dir(office.folder()).env("HOME", office.folder());
    command.env("PORTCULLIS_API_URL", format!("http://{}", office.admin())).env("PORTCULLIS_API_KEY", OWNER);
    let ran = crate::programs::output(&mut command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

fn write(office: &Office, name: &str, text: &str) {
    std::fs::write(office.path(name), text).unwrap();
}

const PRIVATE: &str = "40395d07-a353-4881-853b-43efa4133901";

/// A table of keys with these public keys, which may come from here.
fn table(public_keys: &[&str]) -> String {
    let row = |public: &&str| format!("{public},{PRIVATE},127.0.0.0/8;203.0.113.0/24\n");
    format!("public_key,private_key,networks\n{}", public_keys.iter().map(row).collect::<String>())
}

fn key(public: &str) -> Key {
    Key { id: String::new(), pair: format!("{public}:{PRIVATE}") }
}

#[test]
fn what_was_imported_is_enforced_and_no_key_is_kept() {
    let office = Office::open();
    write(&office, "keys.csv", &table(&["aaaaaaaa", "bbbbbbbb"]));
    let before = office.call(OWNER, "GET", "/orgs", "").header("x-portcullis-revision").map(str::to_owned);
    let (code, out, err) = run(&office, &["import", "keys.csv", "--dry-run", "--output", "json"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((told["apiKeys"]["added"].as_u64(), told["wouldAdd"].as_array().unwrap().len()), (Some(2), 2));
    assert_eq!(office.through(&key("aaaaaaaa")).0, 401, "a look changed something");
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").header("x-portcullis-revision"), before.as_deref());
    let (code, out, err) = run(&office, &["import", "keys.csv"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("API keys          2      0") && err.contains("sending"), "{out}{err}");
    assert_eq!((office.through(&key("aaaaaaaa")).0, office.through(&key("bbbbbbbb")).0), (200, 200));
    let (code, out, _) = run(&office, &["import", "keys.csv", "--output", "json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()["apiKeys"]["unchanged"].as_u64()), (0, Some(2)));
    let events = office.own("GET", "/events?eventType=DIRECTORY_IMPORTED", "").json();
    assert_eq!(events["totalCount"], 1, "{events:#}");
    // Whatever the program keeps or tells, it is no private key.
    for file in std::fs::read_dir(office.folder()).unwrap().flatten() {
        if file.file_name() != "keys.csv" {
            let held = std::fs::read(file.path()).unwrap();
            assert!(!held.windows(PRIVATE.len()).any(|part| part == PRIVATE.as_bytes()), "{:?}", file.path());
        }
    }
}

/// Sets come with a file, and rows of a table refer to those that are there.
#[test]
fn network_sets_are_imported_and_referred_to() {
    let office = Office::open();
    office.own("POST", "/networkSets", r#"{"name":"here","networks":["127.0.0.0/8"]}"#);
    let rows = table(&["aaaaaaaa"]).replace("127.0.0.0/8;", "set:here;");
    write(&office, "keys.csv", &rows);
    let (code, out, err) = run(&office, &["import", "keys.csv"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("network sets      0      1"), "{out}");
    assert_eq!(office.through(&key("aaaaaaaa")).0, 200);
    office.own("PUT", "/networkSets/here?force=true", r#"{"networks":["10.0.0.0/8"]}"#);
    assert_eq!(office.through(&key("aaaaaaaa")).0, 403);
    let (_, exported, _) = run(&office, &["export", "store.db"]);
    write(&office, "exported.yaml", &exported);
    let (code, out, err) = run(&office, &["import", "exported.yaml"]);
    assert!(code == 0 && out.contains("network sets      0      1"), "what is exported is there: {out}{err}");
    write(&office, "exported.yaml", &exported.replace("[\"10.0.0.0/8\"]", "[\"10.0.0.0/9\"]"));
    let (code, _, err) = run(&office, &["import", "exported.yaml"]);
    assert!(code == 1 && err.contains("network set `here` is there with another `networks`"), "{err}");
    let hash = crate::stage::sha256(&key("bbbbbbbb").pair.replace(':', "."));
    let organization = &office.organization;
    let set = r#"network_sets: [{ name: there, networks: [127.0.0.0/8] }]"#;
    let text = format!(
        "organizations:\n- id: {organization}\n  name: acme\n  require_access_list: false\n  {set}\n  api_keys:\n  \
         - {{ id: 5f0000000000000000000021, secret_sha256: {hash}, access_list: [{{ set: there, comment: c }}] }}\n"
    );
    write(&office, "set.yaml", &text);
    let (code, out, err) = run(&office, &["import", "set.yaml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(office.through(&key("bbbbbbbb")).0, 200);
    office.own("PUT", "/networkSets/there?force=true", r#"{"networks":[]}"#);
    assert_eq!(office.through(&key("bbbbbbbb")).0, 403);
}

#[test]
fn every_line_at_fault_is_named_at_its_place_and_nothing_is_added() {
    let office = Office::open();
    // The office allows 6 keys and 5 entries.
    write(&office, "keys.csv", &table(&["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "eeeeeeee", "ffffffff"]));
    let (code, out, err) = run(&office, &["import", "keys.csv"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("keys.csv:2:1") && err.contains("more than the 6 that"), "{err}");
    let (code, out, _) = run(&office, &["import", "keys.csv", "--output", "json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, told["problems"][0]["file"].as_str(), told["problems"][0]["line"].as_u64()),
        (1, Some("keys.csv"), Some(2))
    );
    write(&office, "weak.csv", "public_key,private_key\nbbbbbbbb,11111111-1111-4111-8111-111111111111\n");
    let (code, _, err) = run(&office, &["import", "weak.csv"]);
    assert_eq!(code, 78);
    assert!(err.contains("could be guessed") && err.contains("weak.csv:2:1"), "{err}");
    assert!(!err.contains("11111111"), "{err}");
    assert_eq!(run(&office, &["import", "weak.csv", "--weak"]).0, 0);
    assert_eq!(office.own("GET", "/apiKeys", "").json()["totalCount"], 2);
}

#[test]
fn a_call_is_held_to_its_form_and_its_callers_roles() {
    let office = Office::open();
    let plain = office.key("[\"ORG_READ_ONLY\"]");
    let call = |key: &str, body: &str, media_type: &str| {
        let answer = office.raw(key, "POST", "/api/v1/import", body, &format!("Content-Type: {media_type}\r\n"));
        (answer.status, answer.json()["errorCode"].as_str().map(str::to_owned))
    };
    let line =
        "{\"organization\":{\"id\":\"5f0000000000000000000001\",\"name\":\"x\",\"require_access_list\":false}}\n";
    assert_eq!(call(OWNER, line, "application/json"), (415, Some("UNSUPPORTED_MEDIA_TYPE".into())));
    assert_eq!(call(&plain.pair, line, "application/x-ndjson"), (403, Some("INSUFFICIENT_ROLE".into())));
    assert_eq!(call("", line, "application/x-ndjson"), (401, Some("CREDENTIALS_REQUIRED".into())));
    // A key can't make what nobody could manage.
    assert_eq!(call(OWNER, line, "application/x-ndjson"), (409, Some("IMPORT_REFUSED".into())));
    assert_eq!(call(OWNER, "{", "application/x-ndjson"), (409, Some("IMPORT_REFUSED".into())));
    assert_eq!(call(OWNER, "", "application/x-ndjson"), (200, None));
}

/// A connection that breaks in the middle must not leave half of an import.
#[test]
fn a_body_that_breaks_off_adds_nothing() {
    let office = Office::open();
    let organization = &office.organization;
    let line = format!(
        "{{\"organization\":{{\"id\":\"{organization}\",\"name\":\"acme\",\"require_access_list\":false,\"projects\":[]}}}}\n\
         {{\"api_key\":{{\"id\":\"5f0000000000000000000021\",\"secret_sha256\":\"{:064}\"}}}}\n",
        1
    );
    let whole =
        crate::admin::office::request(OWNER, "POST", "/api/v1/import", &line, "Content-Type: application/x-ndjson\r\n");
    let longer =
        whole.replacen(&format!("Content-Length: {}", line.len()), &format!("Content-Length: {}", line.len() + 10), 1);
    let mut broken = std::net::TcpStream::connect(office.admin()).unwrap();
    broken.write_all(longer.as_bytes()).unwrap();
    broken.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut broken, &mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "{}", String::from_utf8_lossy(&rest));
    // The next import waits for that one to be over.
    let (code, out, err) = run(&office, &["import", "none.yaml"]);
    assert_eq!((code, out.as_str()), (78, ""), "{err}");
    assert_eq!(office.own("GET", "/apiKeys", "").json()["totalCount"], 1);
    let done = office.connect().send(whole);
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(office.own("GET", "/apiKeys", "").json()["totalCount"], 2);
}

#[test]
fn a_store_that_is_served_is_not_written_from_beside() {
    let office = Office::open();
    write(&office, "keys.csv", &table(&["aaaaaaaa"]));
    let (code, _, err) = run(&office, &["import", "keys.csv", "--store", "store.db"]);
    assert_eq!(code, 1);
    assert!(err.contains("is served by another process"), "{err}");
    assert_eq!(run(&office, &["import", "keys.csv", "--store", "store.db", "--dry-run"]).0, 0);
    let folder = office.close();
    let mut command = Command::new(PORTCULLIS);
    command.args(["import", "keys.csv", "--store", "store.db"]).current_dir(folder.path()).stdout(Stdio::null());
    assert!(crate::programs::output(&mut command).status.success());
    let office = Office::again(folder);
    assert_eq!(office.through(&key("aaaaaaaa")).0, 200);
    let done = run(&office, &["export", "store.db"]);
    write(&office, "exported.yaml", &done.1);
    assert_eq!(run(&office, &["import", "exported.yaml"]).0, 0, "what is exported is there");
    wait_for("the gateway", || office.through(&key("aaaaaaaa")).0 == 200);
}

/// More lines than an answer names are counted all the same.
#[test]
fn a_thousand_conflicts_and_more_are_counted() {
    let office = Office::open();
    let organization = &office.organization;
    let head = format!(
        "limits: {{ entries_per_list: 200 }}\norganizations:\n- id: {organization}\n  name: acme\n  \
         require_access_list: false\n  api_keys:\n"
    );
    let key = |number: usize| {
        format!(
            "  - {{ id: {number:024x}, secret_sha256: '{number:064x}', access_list: [{{ cidr: 10.0.0.0/8, comment: \"\\a\" }}] }}\n"
        )
    };
    write(&office, "many.yaml", &(head + &(1..=1_100).map(key).collect::<String>()));
    let (code, _, err) = run(&office, &["import", "many.yaml"]);
    // The organization's line says that there would be too many keys.
    assert!(
        code == 1 && err.contains("1000 conflicts, and 101 more lines are at fault"),
        "{}",
        &err[err.len() - 300..]
    );
}

/// Whoever is refused before all is sent is told why, however much there was to send.
#[test]
fn an_early_refusal_is_told_as_what_it_is() {
    let office = Office::open();
    let plain = office.key("[\"ORG_READ_ONLY\"]");
    let organization = &office.organization;
    let key = |number: usize| format!("  - {{ id: {number:024x}, secret_sha256: '{number:064x}' }}\n");
    let text = format!(
        "organizations:\n- id: {organization}\n  name: acme\n  require_access_list: false\n  api_keys:\n{}",
        (1..=20_000).map(key).collect::<String>()
    );
    write(&office, "many.yaml", &text);
    for (pair, told) in [(&*plain.pair, "INSUFFICIENT_ROLE"), ("nobodyis:1", "INVALID_CREDENTIALS")] {
        let (code, _, err) = run(&office, &["import", "many.yaml", "--key", pair]);
        assert!(code == 1 && err.contains(told), "{err}");
    }
}

/// Of an organization that no row names nothing is asked but its name.
#[test]
fn rows_of_a_table_name_their_organization() {
    let office = Office::open();
    let rows = |named: &str| {
        table(&["aaaaaaaa"])
            .replace("public_key", "organization,public_key")
            .replace("aaaaaaaa", &format!("{named},aaaaaaaa"))
    };
    write(&office, "keys.csv", &rows("nobody"));
    let (code, _, err) = run(&office, &["import", "keys.csv"]);
    assert!(code == 78 && err.contains("there is no organization `nobody`"), "{err}");
    for named in [office.organization.as_str(), office.own("GET", "", "").json()["name"].as_str().unwrap()] {
        write(&office, "keys.csv", &rows(named));
        let (code, out, err) = run(&office, &["import", "keys.csv"]);
        assert_eq!(code, 0, "{out}{err}");
    }
    assert_eq!(office.through(&key("aaaaaaaa")).0, 200);
}
