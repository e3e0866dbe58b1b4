//! Whoever has just been using a key is not shut out by mistake.

use super::office::{Key, OWNER, Office};
use super::usage::{CONFIGURATION, from};
use super::{code, events};

/// Nothing is written by itself, so that a guard that looked only at the store would see nothing.
fn office() -> Office {
    Office::open_with(&CONFIGURATION.replace("50ms", "1h"))
}

fn overridden(office: &Office) -> Vec<String> {
    let page = office.own("GET", "/events?eventType=ACCESS_LIST_GUARD_OVERRIDDEN", "").json();
    page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["detail"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_list_asks_about_who_would_be_refused() {
    let office = office();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    assert_eq!((from(&office, &key, "198.51.100.1"), from(&office, &key, "198.51.100.2")), (200, 200));
    let body = r#"[{"cidrBlock":"203.0.113.0/24"},{"ipAddress":"198.51.100.2"}]"#;
    let refused = office.own("POST", &list, body);
    code(&refused, 409, "CHANGE_EXCLUDES_RECENT_USE");
    assert_eq!(refused.json()["parameters"], serde_json::json!(["198.51.100.1"]));
    assert!(refused.json()["detail"].as_str().unwrap().contains("`?force=true`"), "{}", refused.text());
    assert_eq!(from(&office, &key, "198.51.100.1"), 200, "what is refused changes nothing");
    assert_eq!(office.own("POST", &format!("{list}?force=true"), body).status, 200);
    assert_eq!(overridden(&office), ["CHANGE_EXCLUDES_RECENT_USE: 198.51.100.1"]);
    // It is refused already: that is no news.
    assert_eq!(office.own("PUT", &list, r#"[{"ipAddress":"198.51.100.2"}]"#).status, 200);
    code(&office.own("PUT", &list, r#"[{"ipAddress":"198.51.100.3"}]"#), 409, "CHANGE_EXCLUDES_RECENT_USE");
    assert_eq!(office.own("POST", &list, r#"[{"ipAddress":"198.51.100.3"}]"#).status, 200);
    code(&office.own("DELETE", &format!("{list}/198.51.100.2"), ""), 409, "CHANGE_EXCLUDES_RECENT_USE");
    // Clients of Cloud Manager know no such guard; what it would have refused is recorded.
    let path = format!("/api/public/v1.0/orgs/{}{list}/198.51.100.2", office.organization);
    assert_eq!(office.raw(OWNER, "DELETE", &path, "", "").status, 204);
    assert_eq!(overridden(&office)[0], "CHANGE_EXCLUDES_RECENT_USE: 198.51.100.2");
    // Whoever takes a key out of the wrong hands is not asked.
    let key = office.key("[]");
    assert_eq!(from(&office, &key, "198.51.100.9"), 200);
    assert_eq!(office.own("PATCH", &format!("/apiKeys/{}", key.id), r#"{"enabled":false}"#).status, 200);
    assert_eq!(office.own("DELETE", &format!("/apiKeys/{}", key.id), "").status, 204);
}

#[test]
fn enforcement_and_the_switch_ask_too() {
    let office = office();
    let key = office.key("[]");
    let path = format!("/apiKeys/{}", key.id);
    assert_eq!(office.own("PATCH", &path, r#"{"enforcement":"report"}"#).status, 200);
    assert_eq!(office.own("POST", &format!("{path}/accessList"), r#"[{"ipAddress":"203.0.113.1"}]"#).status, 200);
    assert_eq!((from(&office, &key, "203.0.113.1"), from(&office, &key, "203.0.113.2")), (200, 200));
    let refused = office.own("PATCH", &path, r#"{"enforcement":"enforce"}"#);
    code(&refused, 409, "CHANGE_EXCLUDES_RECENT_USE");
    assert_eq!(refused.json()["parameters"], serde_json::json!(["203.0.113.2"]));
    assert_eq!(office.own("PATCH", &format!("{path}?force=true"), r#"{"enforcement":"enforce"}"#).status, 200);
    // The owner has a list, and another key has none.
    let owner = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    let own = office.own("POST", &format!("/apiKeys/{owner}/accessList"), r#"[{"ipAddress":"127.0.0.1"}]"#);
    assert_eq!(own.status, 200, "{}", own.text());
    let bare = office.key("[]");
    assert_eq!(from(&office, &bare, "198.51.100.4"), 200);
    let settings = |query: &str| office.own("PATCH", &format!("/settings{query}"), r#"{"apiAccessListRequired":true}"#);
    let refused = settings("");
    code(&refused, 409, "CHANGE_EXCLUDES_RECENT_USE");
    assert_eq!(refused.json()["parameters"], serde_json::json!(["198.51.100.4"]));
    assert_eq!(from(&office, &bare, "198.51.100.4"), 200);
    assert_eq!(settings("?force=true").status, 200);
    assert_eq!(from(&office, &bare, "198.51.100.4"), 403);
    assert_eq!(overridden(&office)[0], "CHANGE_EXCLUDES_RECENT_USE: 198.51.100.4");
    assert!(events(&office, "").contains(&"ORG_PUBLIC_API_ACCESS_LIST_REQUIRED".to_owned()));
}

/// A key that calls the admin API uses itself; of its own address the guards of the caller speak.
#[test]
fn the_caller_is_asked_once() {
    let office = office();
    let owner = Key {
        id: office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned(),
        pair: OWNER.to_owned(),
    };
    let list = format!("/apiKeys/{}/accessList", owner.id);
    code(&office.own("POST", &list, r#"[{"ipAddress":"192.0.2.1"}]"#), 409, "CHANGE_EXCLUDES_CALLER");
    assert_eq!(office.own("POST", &list, r#"[{"ipAddress":"127.0.0.1"}]"#).status, 200);
    assert_eq!(overridden(&office), Vec::<String>::new());
}

#[test]
fn a_network_set_asks_for_every_list_that_uses_it() {
    let office = office();
    let body = r#"{"name":"office","networks":["203.0.113.0/24","198.51.100.0/24"]}"#;
    assert_eq!(office.own("POST", "/networkSets", body).status, 201);
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"set":"office"}]"#).status, 200);
    assert_eq!(from(&office, &key, "198.51.100.1"), 200);
    let grown = r#"{"networks":["203.0.113.0/24","198.51.100.0/24","192.0.2.0/24"]}"#;
    assert_eq!(office.own("PUT", "/networkSets/office", grown).status, 200, "who loses nothing is not asked about");
    let narrowed = r#"{"networks":["203.0.113.0/24"]}"#;
    let refused = office.own("PUT", "/networkSets/office", narrowed);
    code(&refused, 409, "CHANGE_EXCLUDES_RECENT_USE");
    assert_eq!(refused.json()["parameters"], serde_json::json!(["198.51.100.1"]));
    assert_eq!(from(&office, &key, "198.51.100.1"), 200, "what is refused changes nothing");
    assert_eq!(office.own("PUT", "/networkSets/office?force=true", narrowed).status, 200);
    assert_eq!(from(&office, &key, "198.51.100.1"), 403);
}
