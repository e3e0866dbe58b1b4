//! What the API tells of the use of keys and entries, and what a crash leaves of it.

use serde_json::{Value, json};

use super::office::{Key, OWNER, Office};
use crate::stage::wait_for;

/// Callers say where they are; what is counted is written at once. There is one worker, which knows what came last within a
/// second.
pub const CONFIGURATION: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 1
  drain_timeout: 1s
  drain_idle: 10ms
  client_address: { trusted_proxies: [\"127.0.0.1/32\"] }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\", usage_interval: 50ms }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
";

/// What the gateway answers to a key from an address.
pub fn from(office: &Office, key: &Key, address: &str) -> u16 {
    office.served.get("/", &[&key.header(), &format!("X-Forwarded-For: {address}")]).status
}

fn shown(office: &Office, key: &Key) -> Value {
    office.own("GET", &format!("/apiKeys/{}", key.id), "").json()
}

fn entry(office: &Office, key: &Key, name: &str) -> Value {
    office.own("GET", &format!("/apiKeys/{}/accessList/{name}", key.id), "").json()
}

fn addresses(key: &Value) -> Vec<&str> {
    key["recentAddresses"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect()
}

#[test]
fn entries_and_keys_tell_of_their_use() {
    let office = Office::open_with(CONFIGURATION);
    let key = office.key("[]");
    let fresh = shown(&office, &key);
    assert_eq!((fresh.get("lastUsed"), fresh.get("lastDenial"), &fresh["recentAddresses"]), (None, None, &json!([])));
    // Also of a key whose list is empty.
    assert_eq!(from(&office, &key, "198.51.100.1"), 200);
    wait_for("the first use", || addresses(&shown(&office, &key)) == ["198.51.100.1"]);
    let list = format!("/apiKeys/{}/accessList?force=true", key.id);
    let body = r#"[{"cidrBlock":"203.0.113.0/24"},{"ipAddress":"203.0.113.9"}]"#;
    let made = office.own("POST", &list, body).json();
    assert_eq!((&made["results"][0]["count"], made["results"][0].get("lastUsed")), (&json!(0), None));
    for (address, times) in [("203.0.113.9", 3), ("203.0.113.7", 2)] {
        for _ in 0..times {
            assert_eq!(from(&office, &key, address), 200);
        }
    }
    wait_for("the uses", || entry(&office, &key, "203.0.113.0%2F24")["count"] == 2);
    let wide = entry(&office, &key, "203.0.113.0%2F24");
    assert!(wide["lastUsed"].as_str().is_some_and(|at| at.ends_with('Z')), "{wide:#}");
    assert_eq!(wide["lastUsedAddress"], "203.0.113.7");
    wait_for("the narrow entry", || entry(&office, &key, "203.0.113.9")["count"] == 3);
    wait_for("the addresses", || shown(&office, &key)["lastUsedAddress"] == "203.0.113.7");
    let used = shown(&office, &key);
    let mut all = addresses(&used);
    all.sort_unstable();
    assert_eq!(all, ["198.51.100.1", "203.0.113.7", "203.0.113.9"]);
    // threats.md L9: what is denied counts nothing and refreshes no last use.
    assert_eq!(from(&office, &key, "192.0.2.66"), 403);
    wait_for("the denial", || shown(&office, &key).get("lastDenial").is_some());
    let denied = shown(&office, &key);
    let denial = &denied["lastDenial"];
    assert_eq!(
        (&denial["code"], &denial["address"], &denial["outcome"]),
        (&json!("IP_ADDRESS_NOT_ON_ACCESS_LIST"), &json!("192.0.2.66"), &json!("deny"))
    );
    assert_eq!((&denied["lastUsed"], &denied["recentAddresses"]), (&used["lastUsed"], &used["recentAddresses"]));
    // What is only reported is a use and a denial.
    let reporting = format!("/apiKeys/{}", key.id);
    assert_eq!(office.own("PATCH", &reporting, r#"{"enforcement":"report"}"#).status, 200);
    assert_eq!(from(&office, &key, "192.0.2.67"), 200);
    wait_for("what would be denied", || shown(&office, &key)["lastDenial"]["outcome"] == "would_deny");
    wait_for("the reported use", || shown(&office, &key)["lastUsedAddress"] == "192.0.2.67");
    let revision = office.own("GET", &reporting, "").header("etag").map(str::to_owned);
    assert!(from(&office, &key, "192.0.2.67") == 200);
    // Nothing of it is a change of the directory.
    assert_eq!(office.own("GET", &reporting, "").header("etag").map(str::to_owned), revision);
    // One that is deleted and made again begins anew.
    assert_eq!(office.own("DELETE", &format!("/apiKeys/{}/accessList/203.0.113.9?force=true", key.id), "").status, 204);
    assert_eq!(office.own("POST", &list, r#"[{"ipAddress":"203.0.113.9"}]"#).status, 200);
    assert_eq!(entry(&office, &key, "203.0.113.9")["count"], 0);
    assert_eq!(entry(&office, &key, "203.0.113.0%2F24")["count"], 2);
}

#[test]
fn calls_of_the_admin_api_are_uses_too() {
    let office = Office::open_with(CONFIGURATION);
    let key = office.key("[\"ORG_MEMBER\"]");
    assert_eq!(office.call(&key.pair, "GET", "/orgs", "").status, 200);
    wait_for("the use", || addresses(&shown(&office, &key)) == ["127.0.0.1"]);
    assert_eq!(
        office
            .own("POST", &format!("/apiKeys/{}/accessList?force=true", key.id), r#"[{"ipAddress":"192.0.2.1"}]"#)
            .status,
        200
    );
    assert_eq!(office.call(&key.pair, "GET", "/orgs", "").status, 403);
    wait_for("the denial", || shown(&office, &key)["lastDenial"]["address"] == "127.0.0.1");
}

#[test]
fn the_last_sixteen_addresses_are_kept() {
    let office = Office::open_with(CONFIGURATION);
    let key = office.key("[]");
    for number in 0..40 {
        assert_eq!(from(&office, &key, &format!("2001:db8::{number:x}")), 200);
    }
    wait_for("the last one", || shown(&office, &key)["lastUsedAddress"] == "2001:db8::27");
    let used = shown(&office, &key);
    let expected: Vec<String> = (24..40).rev().map(|number| format!("2001:db8::{number:x}")).collect();
    assert_eq!(addresses(&used), expected);
}

/// Calls that are refused although the key was proven are events, each kind of them once.
#[test]
fn refused_calls_of_the_admin_api_are_events() {
    let office = Office::open_with(CONFIGURATION);
    let key = office.key("[\"ORG_MEMBER\"]");
    assert_eq!(
        office.own("POST", &format!("/apiKeys/{}/accessList", key.id), r#"[{"ipAddress":"192.0.2.1"}]"#).status,
        200
    );
    for _ in 0..5 {
        assert_eq!(office.call(&key.pair, "GET", "/orgs", "").status, 403);
        // Whose call that is nobody knows.
        let (public, _) = key.pair.split_once(':').unwrap();
        let wrong = format!("{public}:40395d07-a353-4881-853b-43efa41339a2");
        assert_eq!(office.call(&wrong, "GET", "/orgs", "").status, 401);
    }
    let page = office.own("GET", "/events?eventType=API_KEY_CALL_REFUSED", "").json();
    assert_eq!(page["totalCount"], 1, "{page:#}");
    let event = &page["results"][0];
    assert_eq!(
        (&event["detail"], &event["remoteAddress"], &event["apiKeyId"]),
        (&json!("IP_ADDRESS_NOT_ON_ACCESS_LIST"), &json!("127.0.0.1"), &json!(key.id)),
        "{event:#}"
    );
    assert_eq!(office.own("PATCH", &format!("/apiKeys/{}", key.id), r#"{"enabled":false}"#).status, 200);
    assert_eq!(office.call(&key.pair, "GET", "/orgs", "").status, 401);
    assert_eq!(office.own("GET", "/events?eventType=API_KEY_CALL_REFUSED", "").json()["totalCount"], 2);
    assert_eq!(office.own("GET", "/events?eventType=SERVICE_ACCOUNT_CALL_REFUSED", "").json()["totalCount"], 0);
    // The address that a list has to name, where clients of Cloud Manager ask for it.
    let seen = office.raw(OWNER, "GET", "/api/private/ipinfo", "", "").json();
    assert_eq!((&seen["currentIpv4Address"], &seen["ipAddress"]), (&json!("127.0.0.1"), &json!("127.0.0.1")));
    assert_eq!(office.raw("", "GET", "/api/private/ipinfo", "", "").status, 401);
}

/// A crash loses what was counted since the last writing, and nothing that was written; an orderly stop loses nothing.
#[test]
fn a_crash_loses_one_writing_at_most_and_a_stop_none() {
    let office = Office::open_with(CONFIGURATION);
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList?force=true", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"cidrBlock":"198.51.100.0/24"}]"#).status, 200);
    let count = |office: &Office| entry(office, &key, "198.51.100.0%2F24")["count"].as_u64().unwrap();
    for _ in 0..5 {
        assert_eq!(from(&office, &key, "198.51.100.7"), 200);
    }
    wait_for("five uses", || count(&office) == 5);
    let office = office.reopen("KILL");
    assert_eq!(count(&office), 5, "what was written is there after a crash");
    // Nothing has time to be written by itself.
    let slow = CONFIGURATION.replace("50ms", "1h");
    std::fs::write(office.path("portcullis.yaml"), slow).unwrap();
    let office = office.reopen("TERM");
    for _ in 0..3 {
        assert_eq!(from(&office, &key, "198.51.100.8"), 200);
    }
    let office = office.reopen("KILL");
    assert_eq!(count(&office), 5, "what was not written is lost");
    for _ in 0..3 {
        assert_eq!(from(&office, &key, "198.51.100.8"), 200);
    }
    let office = office.reopen("TERM");
    assert_eq!(count(&office), 8, "a stop writes what there is");
    assert_eq!(shown(&office, &key)["lastUsedAddress"], "198.51.100.8");
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").status, 200);
}
