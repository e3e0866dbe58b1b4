//! What has to hold for every operation there is, by the OpenAPI document and not by a list that could forget some.

use serde_json::{Value, json};

use super::office::{Key, OWNER, Office, request};
use crate::stage::Answer;

/// An operation of the document.
struct Operation {
    id: String,
    method: String,
    path: String,
    body: Option<String>,
    is_for_strangers: bool,
    /// Whether it takes `dryRun`.
    is_foreseen: bool,
}

fn operations(office: &Office) -> Vec<Operation> {
    let document = office.raw("", "GET", "/api/v1/openapi.json", "", "").json();
    let mut all = Vec::new();
    // What stands below no prefix has another form.
    for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(_, item)| item["servers"].is_null()) {
        for (method, one) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            let schema = &one["requestBody"]["content"]["application/json"]["schema"];
            let name = schema["$ref"].as_str().or_else(|| schema["items"]["$ref"].as_str());
            all.push(Operation {
                id: one["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                body: (!schema.is_null()).then(|| name.unwrap_or_default().rsplit('/').next().unwrap().to_owned()),
                is_for_strangers: one["security"] == json!([]),
                is_foreseen: one["parameters"].as_array().unwrap().iter().any(|one| one["name"] == "dryRun"),
            });
        }
    }
    assert!(all.len() >= 49, "{}", all.len());
    all
}

impl Operation {
    /// Its path, each name in it replaced.
    fn at(&self, of: impl Fn(&str) -> String) -> String {
        let part = |part: &str| match part.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, rest)) => format!("{}{rest}", of(name)),
            None => part.to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    fn nowhere(&self) -> String {
        self.at(|name| match name {
            "clientId" => format!("pcl_sa_id_{}", "0".repeat(24)),
            "entry" => "192.0.2.1".into(),
            _ => "0".repeat(24),
        })
    }

    /// A body that is right by its form; `None` where this test knows none.
    fn good(&self) -> Option<&'static str> {
        Some(match self.body.as_deref() {
            None => "",
            Some("NewApiKey") => r#"{"desc":"x"}"#,
            Some("ApiKeyEdit") => r#"{"desc":"x","enabled":false}"#,
            Some("AskedEntry") => r#"[{"ipAddress":"192.0.2.1"}]"#,
            Some("EntryEdit") => r#"{"comment":"x"}"#,
            Some("Rename") => r#"{"name":"x"}"#,
            Some("SettingsEdit") => r#"{"apiAccessListMode":"report"}"#,
            Some("NewProject") => r#"{"name":"x"}"#,
            Some("UserEdit" | "Assigned") => r#"{"roles":["GROUP_READ_ONLY"]}"#,
            Some("AskedInvite") => r#"{"username":"mallory@example.com","roles":["ORG_OWNER"]}"#,
            Some("NetworkSetContent") => r#"{"networks":[]}"#,
            Some("HeldConfirmation") => r#"{"id":"x"}"#,
            Some("NewServiceAccount") => r#"{"name":"x","secretExpiresAfterHours":8}"#,
            Some("ServiceAccountEdit") => r#"{"name":"x","enabled":false}"#,
            Some("AskedExplanation") => r#"{"clientAddress":"192.0.2.1"}"#,
            Some("AskedSecret") => r#"{"secretExpiresAfterHours":8}"#,
            Some(_) => return None,
        })
    }
}

#[track_caller]
fn is_refusal(operation: &Operation, answer: &Answer, statuses: &[u16]) {
    let what = format!("{} {} {}: {} {}", operation.id, operation.method, operation.path, answer.status, answer.text());
    assert!(statuses.contains(&answer.status), "{what}");
    let body = answer.json();
    assert!(body["errorCode"].is_string() && body["detail"].is_string(), "{what}");
    assert_eq!(body["status"], answer.status, "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
}

#[test]
fn each_refuses_callers_without_a_credential() {
    let office = Office::open();
    for operation in operations(&office).iter().filter(|one| !one.is_for_strangers) {
        let answer = office.call("", &operation.method, &operation.nowhere(), operation.good().unwrap_or("{}"));
        is_refusal(operation, &answer, &[401]);
        let answer = office.call("ownerkey:wrong", &operation.method, &operation.nowhere(), "");
        is_refusal(operation, &answer, &[401]);
    }
}

#[test]
fn each_refuses_a_body_that_is_not_its_own() {
    let office = Office::open();
    let huge = |mebibytes: usize| format!("{{\"name\":\"{}\"}}", "x".repeat(mebibytes << 20));
    for operation in &operations(&office) {
        let caller = if operation.is_for_strangers { "" } else { OWNER };
        let path = format!("/api/v1{}", operation.nowhere());
        let send = |body: &str, headers: &str| office.raw(caller, &operation.method, &path, body, headers);
        if operation.body.is_none() {
            if operation.method != "GET" {
                // An import reads lines, and says so of everything else.
                let status = if operation.id == "importDirectory" { 415 } else { 400 };
                is_refusal(operation, &send("{}", ""), &[status]);
            }
            continue;
        }
        is_refusal(operation, &send("{}", "Content-Type: text/plain\r\n"), &[415]);
        is_refusal(operation, &send("{}", "Content-Type: application/x-www-form-urlencoded\r\n"), &[415]);
        // A directory may be larger than anything else.
        let most = if operation.id == "applyDirectory" { 32 } else { 1 };
        is_refusal(operation, &send(&huge(most), ""), &[413]);
        for body in ["", "{", "5", "\"text\"", "null", "true", "[5]", "[[]]", "[[[[1]]]]"] {
            is_refusal(operation, &send(body, ""), &[400]);
        }
        let unknown = match operation.body.as_deref() {
            Some("AskedEntry") => r#"[{"nobody":1}]"#,
            _ if operation.id == "applyDirectory" => r#"{"organizations":[],"nobody":1}"#,
            _ => r#"{"nobody":1}"#,
        };
        let answer = send(unknown, "");
        is_refusal(operation, &answer, &[400]);
        assert!(answer.text().contains("nobody"), "{}: {}", operation.id, answer.text());
    }
}

#[test]
fn each_refuses_other_methods_queries_and_conditions() {
    let office = Office::open();
    for operation in &operations(&office) {
        let caller = if operation.is_for_strangers { "" } else { OWNER };
        let path = format!("/api/v1{}", operation.nowhere());
        let other = office.raw(caller, "TRACE", &path, "", "");
        is_refusal(operation, &other, &[405]);
        assert!(other.header("allow").unwrap().contains(&operation.method), "{}", operation.id);
        let answer = office.raw(caller, &operation.method, &format!("{path}?nobody=1"), "", "");
        is_refusal(operation, &answer, &[400]);
        assert!(answer.text().contains("nobody"), "{}: {}", operation.id, answer.text());
        if matches!(operation.method.as_str(), "POST" | "DELETE") {
            let answer =
                office.raw(caller, &operation.method, &path, operation.good().unwrap_or("{}"), "If-Match: \"1\"\r\n");
            is_refusal(operation, &answer, &[412]);
        }
        for other_site in ["Origin: https://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
            let answer = office.raw(caller, &operation.method, &path, operation.good().unwrap_or("{}"), other_site);
            match operation.method.as_str() {
                "GET" => assert_ne!(answer.json()["errorCode"], "CROSS_SITE_REQUEST", "{}", operation.id),
                _ => {
                    is_refusal(operation, &answer, &[403]);
                    assert_eq!(answer.json()["errorCode"], "CROSS_SITE_REQUEST", "{}", operation.id);
                }
            }
        }
    }
}

/// What there is of an organization, by the names of paths.
struct Belongings(Vec<(&'static str, String)>);

fn belongings(office: &Office) -> Belongings {
    let made = |path: &str, body: &str| office.own("POST", path, body).json();
    let id = |shown: &Value, name: &str| shown[name].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
    let project = id(&made("/groups", r#"{"name":"billing"}"#), "id");
    let body = r#"{"desc":"p","roles":["GROUP_READ_ONLY"],"accessList":[{"ipAddress":"192.0.2.1"}]}"#;
    let key = Key::of(&office.call(OWNER, "POST", &format!("/groups/{project}/apiKeys"), body).json());
    let secret = id(&made(&format!("/apiKeys/{}/secrets", key.id), ""), "id");
    let account = id(&made("/serviceAccounts", r#"{"name":"batch","secretExpiresAfterHours":8}"#), "clientId");
    let invite = id(&made("/invites", r#"{"username":"ann@example.com","roles":["ORG_MEMBER"]}"#), "id");
    let token = id(&made("/invites", r#"{"username":"ben@example.com","roles":["ORG_MEMBER"]}"#), "token");
    let accept = format!(r#"{{"token":"{token}","password":"a password of the test 4711"}}"#);
    let user = id(&office.call("", "POST", "/auth/accept", &accept).json(), "userId");
    assert_eq!(made("/networkSets", r#"{"name":"office","networks":["192.0.2.0/24"]}"#)["name"], "office");
    for list in [format!("/serviceAccounts/{account}/accessList"), format!("/apiKeys/{}/accessList", key.id)] {
        assert!(made(&list, r#"[{"ipAddress":"192.0.2.1"}]"#)["totalCount"].is_number());
    }
    let roles = r#"{"roles":["GROUP_READ_ONLY"]}"#;
    let assign = format!("/groups/{project}/serviceAccounts/{account}");
    assert_eq!(office.call(OWNER, "POST", &assign, roles).status, 200);
    let event = id(&office.own("GET", "/events", "").json()["results"][0], "id");
    Belongings(vec![
        ("orgId", office.organization.clone()),
        ("groupId", project),
        ("apiUserId", key.id),
        ("secretId", secret),
        ("clientId", account),
        ("inviteId", invite),
        ("eventId", event),
        ("entry", "192.0.2.1".into()),
        ("setName", "office".into()),
        ("userId", user),
    ])
}

#[test]
fn each_change_of_a_thing_heeds_its_version() {
    let office = Office::open();
    let Belongings(ids) = belongings(&office);
    let events = office.own("GET", "/events", "").json()["totalCount"].clone();
    let mut asked = 0;
    for operation in operations(&office).iter().filter(|one| matches!(one.method.as_str(), "PUT" | "PATCH")) {
        let path = operation.at(|name| match ids.iter().find(|(known, _)| *known == name) {
            Some((_, id)) => id.clone(),
            None => panic!("{}: {name}", operation.path),
        });
        let body = operation.good().unwrap_or_else(|| panic!("{}", operation.id));
        for prefix in ["/api/v1", "/api/public/v1.0", "/api/atlas/v2"] {
            let answer =
                office.raw(OWNER, &operation.method, &format!("{prefix}{path}"), body, "If-Match: \"999999\"\r\n");
            is_refusal(operation, &answer, &[412]);
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked}");
    assert_eq!(office.own("GET", "/events", "").json()["totalCount"], events, "nothing was changed");
}

#[test]
fn each_change_is_rehearsed_without_a_trace_or_not_at_all() {
    let office = Office::open();
    let Belongings(ids) = belongings(&office);
    let events = || office.own("GET", "/events", "").json()["totalCount"].clone();
    let before = events();
    let mut asked = 0;
    for operation in operations(&office).iter().filter(|one| one.method != "GET" && !one.is_for_strangers) {
        let path = operation.at(|name| match ids.iter().find(|(known, _)| *known == name) {
            Some((_, id)) => id.clone(),
            None => panic!("{}: {name}", operation.path),
        });
        let send = |prefix: &str, query: &str, headers: &str| {
            let path = format!("{prefix}{path}?dryRun=true{query}");
            office.raw(OWNER, &operation.method, &path, operation.good().unwrap_or("{}"), headers)
        };
        if !operation.is_foreseen {
            let answer = send("/api/v1", "", "");
            is_refusal(operation, &answer, &[400]);
            assert!(answer.text().contains("`dryRun` is not for this operation"), "{}", answer.text());
            continue;
        }
        // These two have a body of their own.
        if matches!(operation.id.as_str(), "applyDirectory" | "importDirectory") {
            continue;
        }
        asked += 1;
        for prefix in ["/api/v1", "/api/public/v1.0", "/api/atlas/v2"] {
            let answer = send(prefix, "", "");
            // What is not so is refused as it would be otherwise: the set is on a list, the organization has a project.
            let refused = [
                ("deleteOrganization", "CANNOT_DELETE_ORG_ACTIVE_GROUPS"),
                ("confirmHeldNetworks", "RESOURCE_NOT_FOUND"),
            ];
            match refused.iter().find(|(id, _)| *id == operation.id) {
                Some((_, code)) => assert_eq!(answer.json()["errorCode"], *code, "{}: {}", operation.id, answer.text()),
                None => {
                    assert_eq!(answer.status, 200, "{}: {}", operation.id, answer.text());
                    assert_eq!(answer.json()["dryRun"], true, "{}: {}", operation.id, answer.text());
                    assert!(answer.header("etag").is_none() && answer.header("x-portcullis-revision").is_none());
                }
            }
        }
    }
    assert!(asked >= 20, "{asked}");
    assert_eq!(events(), before, "nothing was changed");
    // All of it is there still.
    let gone = operations(&office);
    for operation in gone.iter().filter(|one| one.method == "GET" && one.path.contains("{apiUserId}")) {
        let path = operation.at(|name| ids.iter().find(|(known, _)| *known == name).unwrap().1.clone());
        assert_eq!(office.call(OWNER, "GET", &path, "").status, 200, "{}", operation.path);
    }
}

#[test]
fn none_reaches_into_another_organization() {
    let office = Office::open();
    let Belongings(of_others) = belongings(&office);
    let made = office.call(OWNER, "POST", "/orgs", r#"{"name":"evil","apiKey":{"desc":"owner of evil"}}"#).json();
    let (mallory, evil) = (Key::of(&made["apiKey"]), made["id"].as_str().unwrap().to_owned());
    // Somebody without any role in the very organization sees as little.
    let nobody = office.key("[]");
    let events = office.own("GET", "/events", "").json()["totalCount"].clone();
    for operation in operations(&office).iter().filter(|one| one.path.contains('{')) {
        let id = |name: &str| match of_others.iter().find(|(known, _)| *known == name) {
            Some((_, id)) => id.clone(),
            None => "0".repeat(24),
        };
        // All of theirs; and theirs below an organization that is the caller's own.
        for (caller, own) in [(&mallory, false), (&mallory, true), (&nobody, false)] {
            let is_ours = own && operation.path.matches('{').count() > 1 && operation.path.starts_with("/orgs/");
            if own && !is_ours {
                continue;
            }
            let path = operation.at(|name| if is_ours && name == "orgId" { evil.clone() } else { id(name) });
            for prefix in ["/api/v1", "/api/public/v1.0", "/api/atlas/v2"] {
                let answer = office.raw(
                    &caller.pair,
                    &operation.method,
                    &format!("{prefix}{path}"),
                    operation.good().unwrap_or("{}"),
                    "",
                );
                let refused: &[u16] = if operation.good().is_some() { &[403, 404] } else { &[400, 403, 404] };
                is_refusal(operation, &answer, refused);
            }
        }
    }
    assert_eq!(office.own("GET", "/events", "").json()["totalCount"], events, "nothing was changed");
    for (name, list) in [("mallory", "/orgs"), ("mallory", "/groups")] {
        let seen = office.call(&mallory.pair, "GET", list, "").text();
        assert!(!seen.contains(&office.organization), "{name} {list}: {seen}");
    }
}

#[test]
fn roles_do_not_grow_by_themselves() {
    let office = Office::open();
    let org = office.organization.clone();
    let project = office.own("POST", "/groups", r#"{"name":"billing"}"#).json()["id"].as_str().unwrap().to_owned();
    let made = office.call(OWNER, "POST", "/orgs", r#"{"name":"other","apiKey":{"desc":"other"}}"#).json();
    let other = made["id"].as_str().unwrap().to_owned();
    // An administrator of a project who sees every key of the organization.
    let admin = office.key(&format!(r#"["ORG_READ_ONLY",{{"groupId":"{project}","roleName":"GROUP_USER_ADMIN"}}]"#));
    let bare = office.key("[]");
    let assign = format!("/groups/{project}/apiKeys/{}", bare.id);
    let roles = r#"{"roles":["GROUP_READ_ONLY"]}"#;
    super::code(&office.call(&admin.pair, "POST", &assign, roles), 403, "INSUFFICIENT_ROLE");
    let secrets = format!("/orgs/{org}/apiKeys/{}/secrets", bare.id);
    super::code(&office.call(&admin.pair, "POST", &secrets, ""), 403, "INSUFFICIENT_ROLE");
    assert_eq!(office.call(OWNER, "POST", &assign, roles).status, 204, "an owner may");
    for role in ["ORG_OWNER", "ORG_MEMBER", "GATEWAY", "app:root"] {
        let body = format!(r#"{{"desc":"x","roles":["{role}"]}}"#);
        let answer = office.call(&admin.pair, "POST", &format!("/groups/{project}/apiKeys"), &body);
        super::code(&answer, 400, "INVALID_ATTRIBUTE");
        let own = format!("/orgs/{org}/apiKeys/{}", admin.id);
        let answer = office.call(&admin.pair, "PATCH", &own, &format!(r#"{{"roles":["{role}"]}}"#));
        super::code(&answer, 403, "INSUFFICIENT_ROLE");
    }
    // A role names the organization that it is for, or none.
    let body = format!(r#"{{"desc":"x","roles":[{{"orgId":"{other}","roleName":"ORG_OWNER"}}]}}"#);
    super::code(&office.own("POST", "/apiKeys", &body), 400, "INVALID_ATTRIBUTE");
    let body = format!(r#"{{"desc":"x","roles":[{{"orgId":"{org}","roleName":"GROUP_OWNER"}}]}}"#);
    super::code(&office.call(OWNER, "POST", &format!("/groups/{project}/apiKeys"), &body), 400, "INVALID_ATTRIBUTE");
    let body = format!(r#"{{"desc":"x","roles":[{{"orgId":"{org}","roleName":"ORG_MEMBER"}}]}}"#);
    assert_eq!(office.own("POST", "/apiKeys", &body).status, 200);
    // What is the server's to say is not taken from a body.
    for field in ["id", "publicKey", "privateKey", "created", "links", "secrets", "orgId", "revision", "organization"] {
        let body = json!({"desc": "x", field: "5f0000000000000000000001"}).to_string();
        super::code(&office.own("POST", "/apiKeys", &body), 400, "UNKNOWN_ATTRIBUTE");
    }
}

#[test]
fn the_listener_outlives_abuse() {
    let office = Office::open();
    let key = office.key("[]");
    // Slow heads and slow bodies, until their deadlines.
    let mut head = office.connect();
    head.write("GET /api/v1/orgs HTTP/1.1\r\nHost: a");
    let mut body = office.connect();
    body.write(request(OWNER, "POST", "/api/v1/orgs", "", "Content-Type: application/json\r\nContent-Length: 50\r\n"));
    body.write("{\"name\"");
    // More connections than are allowed: whoever has been idle longest makes room.
    let held: Vec<_> = (0..700).map(|_| office.connect()).collect();
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").status, 200);
    assert_eq!(office.through(&key).0, 200);
    drop(held);
    for (lines, length) in [(1, 200_000), (1_000, 50)] {
        let headers: String = (0..lines).map(|at| format!("X-{at}: {}\r\n", "x".repeat(length))).collect();
        let mut client = office.connect();
        client.write(format!("GET /api/v1/orgs HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        let told = client.rest();
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 431") || told.starts_with("HTTP/1.1 400"), "{told}");
    }
    // Requests in one go are answered one after the other.
    let mut client = office.connect();
    client.write(request(OWNER, "GET", "/api/v1/orgs", "", "").repeat(20));
    for _ in 0..20 {
        assert_eq!(client.read(false).status, 200);
    }
    assert_eq!(body.read(false).outcome(), (408, "REQUEST_TIMEOUT".into()));
    assert!(head.rest().is_empty() || head.is_closed());
    assert_eq!(office.through(&key).0, 200);
}
