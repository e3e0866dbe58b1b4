//! Whom the switch would refuse, and turning it together with the lists that they lack.

use serde_json::json;

use super::office::{Key, Office};
use super::usage::{CONFIGURATION, from};
use crate::stage::wait_for;

/// The switch and the entries, in one call.
fn turned(office: &Office, additions: &serde_json::Value) -> (u16, String) {
    let body = json!({"apiAccessListMode": "required", "accessListAdditions": additions});
    office.own("PATCH", "/settings", &body.to_string()).outcome()
}

#[test]
fn the_switch_is_turned_together_with_the_lists_that_it_needs() {
    let office = Office::open_with(CONFIGURATION);
    let [used, listed] = ["[]", "[]"].map(|roles| office.key(roles));
    let account = r#"{"name":"batch","description":"batch","secretExpiresAfterHours":8}"#;
    let account = office.own("POST", "/serviceAccounts", account).json()["clientId"].as_str().unwrap().to_owned();
    let list = format!("/apiKeys/{}/accessList", listed.id);
    assert_eq!(office.own("POST", &list, r#"[{"ipAddress":"192.0.2.1"}]"#).status, 200);
    assert_eq!(from(&office, &used, "203.0.113.9"), 200);
    let unlisted = || office.own("GET", "/unlisted", "").json();
    let is_used = |one: &serde_json::Value| one["recentAddresses"].as_array().is_some_and(|all| !all.is_empty());
    wait_for("the uses", || unlisted()["results"].as_array().unwrap().iter().filter(|one| is_used(one)).count() == 2);
    let told = unlisted();
    // The one that was used, the owner's, and the account; not the one that has a list.
    assert_eq!(told["totalCount"], 3, "{told:#}");
    let all = told["results"].as_array().unwrap();
    let of = |id: &str| all.iter().find(|one| one["apiKeyId"] == id).unwrap_or_else(|| panic!("{told:#}"));
    assert_eq!((&of(&used.id)["name"], &of(&used.id)["lastUsedAddress"]), (&json!("a key"), &json!("203.0.113.9")));
    assert_eq!(of(&used.id)["recentAddresses"][0]["address"], "203.0.113.9");
    // Those that were used come first.
    assert!(all[2]["clientId"] == json!(account) && all[2].get("lastUsed").is_none(), "{told:#}");
    let last = office.own("GET", "/unlisted?itemsPerPage=1&pageNum=3", "").json();
    assert_eq!((&last["totalCount"], &last["results"][0]["clientId"]), (&json!(3), &json!(account)));

    let owner = all.iter().filter_map(|one| one["apiKeyId"].as_str()).find(|id| *id != used.id).unwrap();
    let addition = |key: &str, address: &str| json!({"apiKeyId": key, "entries": [{"ipAddress": address}]});
    let own = addition(owner, "127.0.0.1");
    for (additions, code) in [
        (json!([]), "CHANGE_EXCLUDES_CALLER"),
        (json!([own]), "CHANGE_EXCLUDES_RECENT_USE"),
        (json!([own, addition(&used.id, "203.0.113.0/24")]), "INVALID_ATTRIBUTE"),
        (json!([own, {"entries": []}]), "INVALID_ATTRIBUTE"),
        (json!([own, {"apiKeyId": used.id, "entries": []}]), "INVALID_ATTRIBUTE"),
        // Judged one after the other, the first half would exclude what the second admits.
        (json!([own, addition(&used.id, "192.0.2.7"), addition(&used.id, "203.0.113.9")]), "INVALID_ATTRIBUTE"),
        (json!([own, {"apiKeyId": "x", "entries": []}]), "INVALID_ATTRIBUTE"),
        (json!([own, addition(&"0".repeat(24), "203.0.113.9")]), "API_KEY_NOT_FOUND"),
    ] {
        assert_eq!(turned(&office, &additions).1, code, "{additions}");
    }
    // Nothing of what was refused has happened.
    assert_eq!(unlisted()["totalCount"], 3);
    let client = json!({"clientId": account, "entries": [{"cidrBlock": "198.51.100.0/24", "comment": "batch"}]});
    assert_eq!(turned(&office, &json!([own, addition(&used.id, "203.0.113.9"), client])), (200, String::new()));
    assert_eq!(office.own("GET", "/settings", "").json()["apiAccessListMode"], "required");
    assert_eq!(unlisted()["totalCount"], 0);
    assert_eq!((from(&office, &used, "203.0.113.9"), from(&office, &used, "203.0.113.8")), (200, 403));
    let list = office.own("GET", &format!("/serviceAccounts/{account}/accessList"), "").json();
    assert_eq!(
        (&list["results"][0]["cidrBlock"], &list["results"][0]["comment"]),
        (&json!("198.51.100.0/24"), &json!("batch"))
    );
    // One change: the events of it have one revision.
    let events = office.own("GET", "/events?itemsPerPage=4", "").json();
    let revisions: Vec<_> = events["results"].as_array().unwrap().iter().map(|one| one["revision"].clone()).collect();
    assert!(revisions.iter().all(|one| *one == revisions[0]), "{events:#}");
}

#[test]
fn whoever_does_not_own_the_organization_puts_nothing_on_lists() {
    let office = Office::open();
    let (reader, bare) = (office.key(r#"["ORG_READ_ONLY"]"#), office.key("[]"));
    let path = format!("/orgs/{}", office.organization);
    let call = |key: &Key, method: &str, path: &str, body: &str| office.call(&key.pair, method, path, body).outcome().1;
    assert_eq!(call(&reader, "GET", &format!("{path}/unlisted"), ""), "");
    assert_eq!(call(&bare, "GET", &format!("{path}/unlisted"), ""), "ORG_NOT_FOUND");
    let body = json!({"accessListAdditions": [{"apiKeyId": bare.id, "entries": [{"ipAddress": "192.0.2.1"}]}]});
    assert_eq!(call(&reader, "PATCH", &format!("{path}/settings"), &body.to_string()), "INSUFFICIENT_ROLE");
    let list = office.own("GET", &format!("/apiKeys/{}/accessList", bare.id), "").json();
    assert_eq!(list["totalCount"], 0);
}
