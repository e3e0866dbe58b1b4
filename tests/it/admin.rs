//! The admin API through real sockets: what it answers, what it refuses, and that the gateway enforces it.

pub mod accounts;
mod enforced;
mod every_operation;
mod explain;
mod feeds;
mod guards;
mod invitations;
mod network_sets;
pub mod office;
mod people;
mod receipts;
mod recent_use;
mod rehearsal;
mod shapes;
mod survives;
mod third_party;
mod traffic;
mod unlisted;
mod unread_bodies;
pub mod usage;

use serde_json::{Value, json};

use office::{Key, OWNER, Office};

#[track_caller]
fn code(answer: &crate::stage::Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json()["errorCode"].as_str()), (status, Some(code)), "{}", answer.text());
}

fn events(office: &Office, query: &str) -> Vec<String> {
    let page = office.own("GET", &format!("/events{query}"), "").json();
    let names =
        page["results"].as_array().unwrap().iter().map(|event| event["eventTypeName"].as_str().unwrap().to_owned());
    names.collect()
}

#[test]
fn a_key_and_its_list_live_and_die_and_the_gateway_follows() {
    let office = Office::open();
    let key = office.key("[\"ORG_MEMBER\", \"app:reader\"]");
    assert_eq!(office.through(&key).0, 200);
    let list = format!("/apiKeys/{}/accessList", key.id);
    let added = office.own(
        "POST",
        &format!("{list}?force=true"),
        r#"[{"cidrBlock":"203.0.113.0/24","comment":"office"},{"ipAddress":"::ffff:192.0.2.7"}]"#,
    );
    assert_eq!(added.status, 200, "{}", added.text());
    let networks = |page: &Value| -> Vec<String> {
        page["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["cidrBlock"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(networks(&added.json()), ["192.0.2.7/32", "203.0.113.0/24"]);
    assert_eq!(added.json()["totalCount"], 2);
    assert_eq!(office.through(&key), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    // What is there already changes nothing, also in another spelling.
    let again = office.own("POST", &list, r#"[{"ipAddress":"192.0.2.7"}]"#);
    assert_eq!((again.status, again.header("x-portcullis-revision")), (200, added.header("x-portcullis-revision")));
    code(
        &office.own("POST", &format!("{list}?strict=true"), r#"[{"ipAddress":"192.0.2.7"}]"#),
        409,
        "ADDRESS_ALREADY_IN_ACCESS_LIST",
    );
    // One entry, by its exact name.
    let entry = office.own("GET", &format!("{list}/203.0.113.0%2F24"), "").json();
    assert_eq!((entry["comment"].as_str(), entry.get("ipAddress")), (Some("office"), None));
    assert_eq!(office.own("GET", &format!("{list}/192.0.2.7"), "").json()["ipAddress"], "192.0.2.7");
    code(&office.own("GET", &format!("{list}/203.0.113.9"), ""), 404, "API_KEY_ACCESS_LIST_NOT_FOUND");
    let edited = office
        .own("PATCH", &format!("{list}/192.0.2.7"), r#"{"comment":"gone soon","expiresAt":"2099-01-01T00:00:00Z"}"#)
        .json();
    assert_eq!(
        (edited["comment"].as_str(), edited["expiresAt"].as_str()),
        (Some("gone soon"), Some("2099-01-01T00:00:00Z"))
    );
    let edited = office.own("PATCH", &format!("{list}/192.0.2.7"), r#"{"comment":null,"expiresAt":null}"#).json();
    assert_eq!((edited.get("comment"), edited.get("expiresAt")), (None, None));
    // Replaced whole, at the version that was read.
    let read = office.own("GET", &list, "");
    let version = read.header("etag").unwrap().to_owned();
    let put = |version: &str, body: &str| {
        let path = format!("/api/v1/orgs/{}{list}", office.organization);
        office.raw(OWNER, "PUT", &path, body, &format!("If-Match: {version}\r\n"))
    };
    let replaced = put(&version, r#"[{"cidrBlock":"127.0.0.0/8"}]"#);
    assert_eq!((replaced.status, networks(&replaced.json())), (200, vec!["127.0.0.0/8".to_owned()]));
    code(&put(&version, "[]"), 412, "VERSION_MISMATCH");
    assert_eq!(office.through(&key).0, 200);
    assert_eq!(office.own("DELETE", &format!("{list}/127.0.0.0%2F8?force=true"), "").status, 204);
    assert_eq!(office.own("PATCH", &format!("/apiKeys/{}", key.id), r#"{"enabled":false}"#).json()["enabled"], false);
    assert_eq!(office.through(&key), (401, "INVALID_CREDENTIALS".into()));
    office.own("PATCH", &format!("/apiKeys/{}", key.id), r#"{"enabled":true}"#);
    assert_eq!(office.through(&key).0, 200);
    assert_eq!(office.own("DELETE", &format!("/apiKeys/{}", key.id), "").status, 204);
    assert_eq!(office.through(&key), (401, "INVALID_CREDENTIALS".into()));
    code(&office.own("GET", &format!("/apiKeys/{}", key.id), ""), 404, "API_KEY_NOT_FOUND");
    let mut told = events(&office, "");
    told.reverse();
    assert_eq!(
        told,
        [
            "ORG_CREATED",
            "API_KEY_CREATED",
            "API_KEY_CREATED",
            "ACCESS_LIST_GUARD_OVERRIDDEN",
            "API_KEY_ACCESS_LIST_ENTRY_ADDED",
            "API_KEY_ACCESS_LIST_ENTRY_ADDED",
            "API_KEY_ACCESS_LIST_ENTRY_CHANGED",
            "API_KEY_ACCESS_LIST_ENTRY_CHANGED",
            "API_KEY_ACCESS_LIST_ENTRY_DELETED",
            "API_KEY_ACCESS_LIST_ENTRY_DELETED",
            "API_KEY_ACCESS_LIST_ENTRY_ADDED",
            "ACCESS_LIST_GUARD_OVERRIDDEN",
            "API_KEY_ACCESS_LIST_ENTRY_DELETED",
            "API_KEY_DISABLED",
            "API_KEY_ENABLED",
            "API_KEY_DELETED",
        ]
    );
    assert_eq!(
        events(&office, "?eventType=API_KEY_DISABLED&eventType=API_KEY_ENABLED"),
        ["API_KEY_ENABLED", "API_KEY_DISABLED"]
    );
    assert!(events(&office, "?maxDate=2020-01-01T00:00:00Z").is_empty());
    let event = office.own("GET", "/events?eventType=API_KEY_DELETED", "").json()["results"][0].clone();
    assert_eq!((event["publicKey"].as_str(), event["remoteAddress"].as_str()), (Some("ownerkey"), Some("127.0.0.1")));
    assert_eq!(event["targetPublicKey"].as_str(), Some(&key.pair[..8]));
    let one = office.own("GET", &format!("/events/{}", event["id"].as_str().unwrap()), "");
    assert_eq!(one.json()["id"], event["id"]);
}

#[test]
fn the_switch_is_turned_and_guarded() {
    let office = Office::open();
    let bare = office.key("[]");
    let settings = |body: &str, query: &str| office.own("PATCH", &format!("/settings{query}"), body);
    let list = |key: &Key| format!("/apiKeys/{}/accessList", key.id);
    // A list that admits everybody rules the switch out.
    let wide = office.key("[]");
    assert_eq!(
        office.own("POST", &list(&wide), r#"[{"cidrBlock":"0.0.0.0/1"},{"cidrBlock":"128.0.0.0/1"}]"#).status,
        200
    );
    let refused = settings(r#"{"apiAccessListRequired":true}"#, "?force=true");
    code(&refused, 409, "LISTS_COVER_EVERYTHING");
    assert_eq!(refused.json()["parameters"], json!([&wide.pair[..8]]));
    assert_eq!(office.own("DELETE", &format!("{}/128.0.0.0%2F1", list(&wide)), "").status, 204);
    // The owner would shut itself out.
    code(&settings(r#"{"apiAccessListRequired":true}"#, ""), 409, "CHANGE_EXCLUDES_CALLER");
    let owner = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    let own_list = format!("/apiKeys/{owner}/accessList");
    code(&office.own("POST", &own_list, r#"[{"ipAddress":"192.0.2.1"}]"#), 409, "CHANGE_EXCLUDES_CALLER");
    assert_eq!(office.own("POST", &own_list, r#"[{"cidrBlock":"127.0.0.0/8"}]"#).status, 200);
    // Report records what it would refuse; required refuses it, at once.
    let reported = settings(r#"{"apiAccessListMode":"report"}"#, "").json();
    assert_eq!(
        reported,
        json!({"apiAccessListMode": "report", "apiAccessListRequired": false, "maxServiceAccountSecretValidityInHours": 8760})
    );
    assert_eq!(office.through(&bare).0, 200);
    code(&settings(r#"{"apiAccessListRequired":true}"#, ""), 409, "CHANGE_EXCLUDES_RECENT_USE");
    let required = settings(r#"{"apiAccessListRequired":true}"#, "?force=true").json();
    assert_eq!(
        required,
        json!({"apiAccessListMode": "required", "apiAccessListRequired": true, "maxServiceAccountSecretValidityInHours": 8760})
    );
    assert_eq!(office.through(&bare), (403, "ORG_REQUIRES_ACCESS_LIST".into()));
    // Nothing lets the caller out of its own list now.
    let own_entry = format!("{own_list}/127.0.0.0%2F8?force=true");
    code(&office.own("DELETE", &own_entry, ""), 400, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST");
    code(
        &office.own("POST", &list(&bare), r#"[{"cidrBlock":"::/0"}]"#),
        400,
        "CANNOT_ADD_IP_ADDRESS_TO_API_KEY_ACCESS_LIST",
    );
    assert_eq!(office.own("POST", &list(&bare), r#"[{"cidrBlock":"127.0.0.0/8"}]"#).status, 200);
    assert_eq!(office.through(&bare).0, 200);
    let contradiction = r#"{"apiAccessListMode":"off","apiAccessListRequired":true}"#;
    code(&settings(contradiction, ""), 400, "INVALID_ATTRIBUTE");
    assert_eq!(settings(r#"{"apiAccessListRequired":false}"#, "").status, 200);
    // Where lists are optional again, an empty one means anywhere: that is asked twice.
    let entry = format!("{}/127.0.0.0%2F8", list(&bare));
    code(&office.own("DELETE", &entry, ""), 409, "CHANGE_REMOVES_RESTRICTION");
    let path = format!("/api/public/v1.0/orgs/{}{entry}", office.organization);
    assert_eq!(office.raw(OWNER, "DELETE", &path, "", "").status, 204, "as Cloud Manager does");
    let told = events(
        &office,
        "?eventType=ORG_PUBLIC_API_ACCESS_LIST_REQUIRED&eventType=ORG_PUBLIC_API_ACCESS_LIST_REPORTED&eventType=ORG_PUBLIC_API_ACCESS_LIST_NOT_REQUIRED&eventType=ACCESS_LIST_GUARD_OVERRIDDEN",
    );
    assert_eq!(
        told,
        [
            "ACCESS_LIST_GUARD_OVERRIDDEN",
            "ORG_PUBLIC_API_ACCESS_LIST_NOT_REQUIRED",
            "ORG_PUBLIC_API_ACCESS_LIST_REQUIRED",
            "ACCESS_LIST_GUARD_OVERRIDDEN",
            "ORG_PUBLIC_API_ACCESS_LIST_REPORTED",
        ]
    );
}

#[test]
fn a_key_is_rotated_without_a_gap() {
    let office = Office::open();
    let old = office.key("[]");
    let secrets = format!("/apiKeys/{}/secrets", old.id);
    let made = office.own("POST", &secrets, "");
    assert_eq!(made.status, 201, "{}", made.text());
    let private = made.json()["secret"].as_str().unwrap().to_owned();
    let new = Key { id: old.id.clone(), pair: format!("{}:{private}", &old.pair[..8]) };
    assert_eq!((office.through(&old).0, office.through(&new).0), (200, 200));
    code(&office.own("POST", &secrets, ""), 409, "LIMIT_REACHED");
    let shown = office.own("GET", &format!("/apiKeys/{}", old.id), "");
    assert!(!shown.text().contains(&private) && shown.text().contains(&private[24..]), "{}", shown.text());
    let last = made.json()["id"].as_str().unwrap().to_owned();
    let all: Vec<Value> = shown.json()["secrets"].as_array().unwrap().clone();
    let first = all.iter().find_map(|one| one["id"].as_str().filter(|id| *id != last)).unwrap().to_owned();
    assert_eq!(office.own("DELETE", &format!("{secrets}/{first}"), "").status, 204);
    assert_eq!((office.through(&old).0, office.through(&new).0), (401, 200));
    code(&office.own("DELETE", &format!("{secrets}/{last}"), ""), 400, "INVALID_ATTRIBUTE");
    code(&office.own("DELETE", &format!("{secrets}/{first}"), ""), 404, "SECRET_NOT_FOUND");
}

#[test]
fn nobody_does_more_than_their_roles_allow() {
    let office = Office::open();
    let project = office.own("POST", "/groups", r#"{"name":"billing"}"#);
    assert_eq!(project.status, 201, "{}", project.text());
    let project = project.json()["id"].as_str().unwrap().to_owned();
    code(&office.own("POST", "/groups", r#"{"name":"billing"}"#), 409, "ALREADY_EXISTS");
    let org = office.organization.clone();
    let (member, nobody) = (office.key(r#"["ORG_MEMBER"]"#), office.key("[]"));
    let in_project = |role: &str| {
        let body = format!(r#"{{"desc":"p","roles":["{role}"]}}"#);
        Key::of(&office.call(OWNER, "POST", &format!("/groups/{project}/apiKeys"), &body).json())
    };
    let (admin, reader) = (in_project("GROUP_USER_ADMIN"), in_project("GROUP_READ_ONLY"));
    let new_key = r#"{"desc":"x","roles":["GROUP_READ_ONLY"]}"#;
    let entry = r#"[{"ipAddress":"127.0.0.1"}]"#;
    let cases: Vec<(&Key, &str, String, &str, u16, &str)> = vec![
        (&member, "GET", format!("/orgs/{org}/apiKeys"), "", 200, ""),
        (&member, "POST", format!("/orgs/{org}/apiKeys"), r#"{"desc":"x"}"#, 403, "INSUFFICIENT_ROLE"),
        (
            &member,
            "PATCH",
            format!("/orgs/{org}/settings"),
            r#"{"apiAccessListRequired":false}"#,
            403,
            "INSUFFICIENT_ROLE",
        ),
        (&member, "POST", format!("/orgs/{org}/groups"), r#"{"name":"x"}"#, 403, "INSUFFICIENT_ROLE"),
        (&member, "DELETE", format!("/groups/{project}"), "", 403, "INSUFFICIENT_ROLE"),
        (&member, "POST", format!("/orgs/{org}/apiKeys/{}/accessList", reader.id), entry, 403, "INSUFFICIENT_ROLE"),
        (&nobody, "GET", "/orgs".into(), "", 200, ""),
        (&nobody, "GET", format!("/orgs/{org}"), "", 404, "ORG_NOT_FOUND"),
        (&nobody, "GET", format!("/groups/{project}"), "", 404, "GROUP_NOT_FOUND"),
        (&nobody, "GET", format!("/orgs/{org}/events"), "", 404, "ORG_NOT_FOUND"),
        (&reader, "GET", format!("/groups/{project}/apiKeys"), "", 200, ""),
        (&reader, "GET", format!("/groups/{project}/apiKeys/{}", reader.id), "", 200, ""),
        (&reader, "GET", format!("/orgs/{org}/apiKeys"), "", 403, "INSUFFICIENT_ROLE"),
        (&reader, "POST", format!("/groups/{project}/apiKeys"), new_key, 403, "INSUFFICIENT_ROLE"),
        (
            &admin,
            "POST",
            format!("/groups/{project}/apiKeys"),
            r#"{"desc":"x","roles":["GROUP_OWNER"]}"#,
            403,
            "INSUFFICIENT_ROLE",
        ),
        (&admin, "POST", format!("/groups/{project}/apiKeys"), new_key, 200, ""),
        // Its own list is not its own to widen by another's; that of a reader of its project is.
        (&admin, "POST", format!("/orgs/{org}/apiKeys/{}/accessList", reader.id), entry, 200, ""),
        (&admin, "POST", format!("/orgs/{org}/apiKeys/{}/accessList", member.id), entry, 404, "API_KEY_NOT_FOUND"),
        (
            &admin,
            "PATCH",
            format!("/groups/{project}/apiKeys/{}", admin.id),
            r#"{"roles":["GROUP_READ_ONLY"]}"#,
            403,
            "INSUFFICIENT_ROLE",
        ),
        (&admin, "DELETE", format!("/groups/{project}"), "", 403, "INSUFFICIENT_ROLE"),
    ];
    for (key, method, path, body, status, expected) in cases {
        let answer = office.call(&key.pair, method, &path, body);
        let found = answer.json()["errorCode"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status, found.as_str()), (status, expected), "{method} {path} {body}: {}", answer.text());
    }
    // A key that is in two projects is not one project's to let in.
    let assigned = office.call(
        OWNER,
        "POST",
        &format!("/groups/{project}/apiKeys/{}", member.id),
        r#"{"roles":["GROUP_READ_ONLY"]}"#,
    );
    assert_eq!(assigned.status, 204, "{}", assigned.text());
    let list = format!("/orgs/{org}/apiKeys/{}/accessList", member.id);
    code(&office.call(&admin.pair, "POST", &list, entry), 403, "INSUFFICIENT_ROLE");
    assert_eq!(office.call(&admin.pair, "DELETE", &format!("/groups/{project}/apiKeys/{}", member.id), "").status, 204);
    // The last owner stays, whatever way is tried.
    let owner = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    code(&office.own("DELETE", &format!("/apiKeys/{owner}"), ""), 409, "CANNOT_DELETE_LAST_OWNER");
    code(&office.own("PATCH", &format!("/apiKeys/{owner}"), r#"{"enabled":false}"#), 409, "CANNOT_DELETE_LAST_OWNER");
    code(&office.own("PATCH", &format!("/apiKeys/{owner}"), r#"{"roles":[]}"#), 403, "INSUFFICIENT_ROLE");
}

#[test]
fn organizations_are_apart_from_each_other() {
    let office = Office::open();
    let made = office.call(
        OWNER,
        "POST",
        "/orgs",
        r#"{"name":"other","apiAccessListMode":"required","apiKey":{"desc":"its owner","accessList":[{"ipAddress":"192.0.2.1"}]}}"#,
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let other = made.json()["id"].as_str().unwrap().to_owned();
    let owner = Key::of(&made.json()["apiKey"]);
    code(&office.call(OWNER, "GET", &format!("/orgs/{other}"), ""), 404, "ORG_NOT_FOUND");
    // Its first key came with a list.
    code(&office.call(&owner.pair, "GET", "/orgs", ""), 403, "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    assert_eq!(office.through(&owner), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    // Deleting an organization takes its keys with it.
    let third =
        office.call(OWNER, "POST", "/orgs", r#"{"name":"third","apiKey":{"desc":"owner","roles":["ORG_OWNER"]}}"#);
    let (id, key) = (third.json()["id"].as_str().unwrap().to_owned(), Key::of(&third.json()["apiKey"]));
    assert_eq!(office.through(&key).0, 200);
    let renamed = office.call(&key.pair, "PATCH", &format!("/orgs/{id}"), r#"{"name":"renamed"}"#);
    assert_eq!(renamed.json()["name"], "renamed");
    assert_eq!(office.call(&key.pair, "DELETE", &format!("/orgs/{id}"), "").status, 204);
    assert_eq!(office.through(&key), (401, "INVALID_CREDENTIALS".into()));
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").status, 200);
    // None that nobody could manage.
    for (body, expected, parameter) in [
        (r#"{"name":"x"}"#, "MISSING_ONE_OF_ATTRIBUTES", "apiKey"),
        (
            r#"{"name":"x","apiAccessListMode":"required","apiKey":{"desc":"x"}}"#,
            "MISSING_ONE_OF_ATTRIBUTES",
            "apiKey.accessList",
        ),
        (r#"{"name":"x","apiKey":{"desc":"x","roles":["ORG_MEMBER"]}}"#, "INVALID_ATTRIBUTE", "apiKey.roles"),
        (
            r#"{"name":"x","apiKey":{"desc":"x","accessList":[{"ipAddress":"x"}]}}"#,
            "INVALID_ATTRIBUTE",
            "apiKey.accessList[0].ipAddress",
        ),
    ] {
        let refused = office.call(OWNER, "POST", "/orgs", body);
        code(&refused, 400, expected);
        assert!(refused.text().contains(&format!("\"{parameter}\"")), "{}", refused.text());
    }
    office.own("POST", "/groups", r#"{"name":"p"}"#);
    code(&office.own("DELETE", "", ""), 409, "CANNOT_DELETE_ORG_ACTIVE_GROUPS");
}
