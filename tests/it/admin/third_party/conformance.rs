//! The OpenAPI document against the API that it describes, by a validator and by schemathesis.

use std::collections::BTreeMap;
use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::admin::office::{Key, OWNER, Office};
use crate::programs::{output, package, program, succeed};

const PASSWORD: &str = "a password of the test 4711";

/// What nobody can do in such a run: the first owner has signed up, no list is held, and a credential deletes no organization
/// but its own.
const BEYOND_A_SESSION: [&str; 2] = ["signUp", "confirmHeldNetworks"];
const BEYOND_A_CREDENTIAL: [&str; 3] = ["signUp", "confirmHeldNetworks", "deleteOrganization"];

fn office() -> Office {
    Office::open_with(
        "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 1
  drain_timeout: 1s
  drain_idle: 10ms
  limits: { failed_attempts: off }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\" }
feeds: { allow_files: . }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
",
    )
}

fn invited(office: &Office, name: &str, roles: &str) -> String {
    let body = format!(r#"{{"username":"{name}@example.com","roles":{roles}}}"#);
    office.own("POST", "/invites", &body).json()["token"].as_str().unwrap().to_owned()
}

/// A person: the token of a session, and the id.
fn person(office: &Office, name: &str, roles: &str) -> (String, String) {
    let body = json!({"token": invited(office, name, roles), "password": PASSWORD}).to_string();
    let made = office.call("", "POST", "/auth/accept", &body).json();
    (made["token"].as_str().unwrap().to_owned(), made["userId"].as_str().unwrap().to_owned())
}

/// Something of everything, for calls to work on.
fn furnish(office: &Office) {
    for name in ["carol", "dave"] {
        person(office, name, r#"["ORG_MEMBER"]"#);
        invited(office, &format!("{name}.too"), r#"["ORG_MEMBER"]"#);
    }
    for name in ["billing", "shipping", "packing"] {
        let made = office.own("POST", "/groups", &json!({"name": name}).to_string()).json();
        for role in ["GROUP_READ_ONLY", "GROUP_USER_ADMIN"] {
            let path = format!("/groups/{}/apiKeys", made["id"].as_str().unwrap());
            let key = office.call(OWNER, "POST", &path, &json!({"desc": name, "roles": [role]}).to_string());
            let list = format!("/apiKeys/{}/accessList", Key::of(&key.json()).id);
            office.own("POST", &list, r#"[{"ipAddress":"203.0.113.1"},{"cidrBlock":"192.0.2.0/24"}]"#);
        }
        let account = json!({"name": name, "roles": ["GROUP_READ_ONLY"], "secretExpiresAfterHours": 8});
        let path = format!("/groups/{}/serviceAccounts", made["id"].as_str().unwrap());
        assert_eq!(office.call(OWNER, "POST", &path, &account.to_string()).status, 201);
        let account = json!({"name": name, "roles": ["ORG_MEMBER"], "secretExpiresAfterHours": 8});
        assert_eq!(office.own("POST", "/serviceAccounts", &account.to_string()).status, 201);
        let set = json!({"name": name, "networks": ["198.51.100.0/24"]});
        assert_eq!(office.own("POST", "/networkSets", &set.to_string()).status, 201);
    }
}

/// Runs schemathesis and returns the statuses that each operation was seen to answer.
#[track_caller]
fn run(office: &Office, authorization: &str, protected: &[&str], more: &[String]) -> BTreeMap<String, Vec<u16>> {
    let sessions = ["signOut", "signOutEverywhere", "changePassword"];
    let sessions: BTreeMap<&str, String> =
        sessions.into_iter().map(|id| (id, person(office, id, r#"["ORG_MEMBER"]"#).0)).collect();
    let report = office.path("conformance.json");
    let document = office.path("openapi.json");
    std::fs::write(&document, office.raw("", "GET", "/api/v1/openapi.json", "", "").text()).unwrap();
    let clients = package().join("tests/clients");
    let mut command = Command::new(program("schemathesis"));
    command
        .current_dir(office.folder())
        .env("SCHEMATHESIS_HOOKS", "conformance")
        .env("PYTHONPATH", &clients)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CONFORMANCE_AUTHORIZATION", authorization)
        .env("CONFORMANCE_PROTECTED", protected.join(","))
        .env("CONFORMANCE_PERSON", format!("bob@example.com:{PASSWORD}"))
        .env("CONFORMANCE_SESSIONS", json!(sessions).to_string())
        .env("CONFORMANCE_INVITATION", invited(office, "erin", r#"["ORG_MEMBER"]"#))
        .env("CONFORMANCE_DOCUMENT", &document)
        .env("CONFORMANCE_URL", format!("http://{}/api/v1", office.admin()))
        .env("CONFORMANCE_REPORT", &report)
        .args(["--config-file", &clients.join("schemathesis.toml").display().to_string(), "run"])
        .arg(&document)
        // The endpoints of OAuth stand below no prefix.
        .args(["--exclude-path-regex", r"^/(api/oauth|\.well-known)/"])
        .args(["--url", &format!("http://{}/api/v1", office.admin()), "--no-color", "--continue-on-failure"])
        // What a schema can't say is refused although it is right by it: host bits, a time that has passed, a role's place.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        .args(["--generation-with-security-parameters", "false", "--generation-database", "none", "--no-shrink"])
        .args(["--request-timeout", "20", "--warnings", "off"])
        .args(more);
    let done = output(&mut command);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap()
}

/// How long it looks: a little in every run, more in `tests/campaign/conformance`.
fn depth() -> Vec<String> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let little = || words("--seed 1 --phases examples,fuzzing,stateful");
    std::env::var("PORTCULLIS_TEST_CONFORMANCE").map_or_else(|_| little(), |text| words(&text))
}

#[track_caller]
fn reaches_nine_of_ten(office: &Office, seen: &BTreeMap<String, Vec<u16>>, beyond: &[&str]) {
    let document = office.raw("", "GET", "/api/v1/openapi.json", "", "").json();
    let paths = document["paths"].as_object().unwrap().values().filter(|path| path["servers"].is_null());
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let all: Vec<&str> = operations.filter_map(|one| one["operationId"].as_str()).collect();
    let succeeded = |id: &str| seen.get(id).is_some_and(|all| all.iter().any(|status| (200..300).contains(status)));
    let missed = all.iter().filter(|id| !succeeded(id) && !beyond.contains(*id));
    let missed: Vec<(&&str, Option<&Vec<u16>>)> = missed.map(|id| (id, seen.get(*id))).collect();
    assert!(missed.len() * 10 <= all.len(), "{} of {} operations never succeeded: {missed:?}", missed.len(), all.len());
    assert!(!seen.values().flatten().any(|status| *status >= 500), "{seen:?}");
}

#[test]
fn the_document_is_openapi() {
    let office = office();
    let document = office.path("openapi.json");
    std::fs::write(&document, office.raw("", "GET", "/api/v1/openapi.json", "", "").text()).unwrap();
    let said = succeed(Command::new(program("openapi-spec-validator")).arg(&document));
    assert!(said.contains("OK"), "{said}");
}

#[test]
fn the_api_is_as_its_document_says_to_a_person() {
    let office = office();
    let (ann, id) = person(&office, "ann", r#"["ORG_OWNER"]"#);
    let (_, bob) = person(&office, "bob", r#"["ORG_MEMBER"]"#);
    furnish(&office);
    let organization = office.organization.clone();
    let seen = run(&office, &format!("Bearer {ann}"), &[&organization, &id, &bob], &depth());
    reaches_nine_of_ten(&office, &seen, &BEYOND_A_SESSION);
}

#[test]
fn the_api_is_as_its_document_says_to_a_credential() {
    let office = office();
    let (_, bob) = person(&office, "bob", r#"["ORG_MEMBER"]"#);
    let keys: Value = office.own("GET", "/apiKeys", "").json();
    furnish(&office);
    let (organization, own) = (office.organization.clone(), keys["results"][0]["id"].as_str().unwrap().to_owned());
    let authorization = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(OWNER));
    let seen = run(&office, &authorization, &[&organization, &own, &bob], &depth());
    reaches_nine_of_ten(&office, &seen, &BEYOND_A_CREDENTIAL);
}
