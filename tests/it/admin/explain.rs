//! `/explain`: the gateway's own decision, told to whoever may see the credential, and to nobody else.

use serde_json::{Value, json};

use super::code;
use super::office::{Key, OWNER, Office};
use crate::stage::wait_for;

/// A key with a list, and the id of a project that has nothing to do with it.
fn listed(office: &Office) -> Key {
    let key = office.key(r#"["ORG_MEMBER"]"#);
    let list = format!("/apiKeys/{}/accessList", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status, 200);
    key
}

#[track_caller]
fn explained(office: &Office, caller: &str, asked: &Value) -> Value {
    let answer = office.call(caller, "POST", "/explain", &asked.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_hypothetical_request_is_judged_as_traffic_is() {
    let office = Office::open();
    let key = listed(&office);
    let asked = |address: &str| json!({"clientAddress": address, "credential": key.id, "path": "/things?q=1"});
    let told = explained(&office, OWNER, &asked("203.0.113.9"));
    assert_eq!(told["outcome"], "allow", "{told:#}");
    assert_eq!((&told["entry"], &told["orgId"]), (&json!("203.0.113.0/24"), &json!(office.organization)));
    let told = explained(&office, OWNER, &asked("198.51.100.1"));
    assert_eq!(told["errorCode"], "IP_ADDRESS_NOT_ON_ACCESS_LIST", "{told:#}");
    assert_eq!((&told["status"], &told["credential"]), (&json!(403), &json!(key.id)));
    assert!(told["fix"].as_str().unwrap().contains("198.51.100.1/32"), "{told:#}");
    // The key itself, as a client sends it, from where the program is asked and the gateway too.
    let line = key.header();
    let (name, value) = line.split_once(": ").unwrap();
    let asked = json!({"peerAddress": "127.0.0.1", "peerUris": ["a:b"], "headers": [{"name": name, "value": value}]});
    let told = explained(&office, OWNER, &asked);
    assert_eq!((told["status"].as_u64(), told["errorCode"].as_str()), (Some(403), Some(&*office.through(&key).1)));
    let secret = key.pair.split(':').nth(1).unwrap();
    assert!(!told.to_string().contains(secret), "{told:#}");
    // The credential may see itself, by any prefix.
    let list = format!("/apiKeys/{}/accessList?force=true", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"ipAddress":"127.0.0.1"}]"#).status, 200);
    let own = json!({"clientAddress": "198.51.100.1", "credential": key.id}).to_string();
    for prefix in ["/api/v1", "/api/public/v1.0", "/api/atlas/v2"] {
        let answer = office.raw(&key.pair, "POST", &format!("{prefix}/explain"), &own, "");
        assert_eq!((answer.status, answer.json()["outcome"].as_str()), (200, Some("deny")), "{}", answer.text());
    }
    // Nobody used anything by being explained.
    let shown = office.own("GET", &format!("/apiKeys/{}", key.id), "").json();
    assert!(!shown.to_string().contains("198.51.100.1"), "{shown:#}");
}

#[test]
fn a_line_of_the_access_log_is_judged_again() {
    let office = Office::open();
    let key = listed(&office);
    assert_eq!(office.through(&key).0, 403);
    let line = || -> Option<Value> {
        let log = std::fs::read_to_string(office.path("access.log")).ok()?;
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).find(|line: &Value| line["status"] == 403)
    };
    wait_for("the line of the access log", || line().is_some());
    let line = line().unwrap();
    let told = explained(&office, OWNER, &json!({"logged": line}));
    assert_eq!(told["errorCode"], line["code"], "{told:#}");
    assert_eq!(told["clientSource"], "given");
    assert!(!told["notes"].to_string().contains("the log says"), "{told:#}");
    let list = format!("/apiKeys/{}/accessList", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"ipAddress":"127.0.0.1"}]"#).status, 200);
    let told = explained(&office, OWNER, &json!({"logged": line}));
    assert_eq!(told["outcome"], "allow", "{told:#}");
    assert!(told["notes"].to_string().contains("the log says IP_ADDRESS_NOT_ON_ACCESS_LIST"), "{told:#}");
    code(&office.call(OWNER, "POST", "/explain", &json!({"logged": {}}).to_string()), 400, "INVALID_ATTRIBUTE");
}

#[test]
fn what_the_proxy_refuses_unjudged_is_explained_too() {
    let office = Office::open();
    let twice = json!([{"name": "Host", "value": "a.example.com"}, {"name": "Host", "value": "b.example.com"}]);
    let told = explained(&office, OWNER, &json!({"peerAddress": "192.0.2.1", "headers": twice}));
    assert_eq!((told["status"].as_u64(), told["errorCode"].as_str()), (Some(400), Some("MALFORMED_REQUEST")));
    let both = json!([{"name": "X-API-Key", "value": "a".repeat(20)}, {"name": "X-API-Key", "value": "b".repeat(20)}]);
    let told = explained(&office, OWNER, &json!({"peerAddress": "192.0.2.1", "headers": both}));
    assert_eq!((told["status"].as_u64(), told["errorCode"].as_str()), (Some(400), Some("AMBIGUOUS_CREDENTIALS")));
}

#[test]
fn whether_something_is_a_credential_is_told_to_those_who_may_see_it() {
    let office = Office::open();
    let project = office.own("POST", "/groups", r#"{"name":"billing"}"#).json()["id"].as_str().unwrap().to_owned();
    let hidden = listed(&office);
    let outsider = office.key(&format!(r#"[{{"groupId":"{project}","roleName":"GROUP_USER_ADMIN"}}]"#));
    let made = office.call(OWNER, "POST", "/orgs", r#"{"name":"other","apiKey":{"desc":"owner"}}"#).json();
    let stranger = Key::of(&made["apiKey"]);
    for caller in [&outsider, &stranger] {
        // By its id: as if there were none.
        for id in [hidden.id.as_str(), "000000000000000000000000"] {
            let asked = json!({"clientAddress": "203.0.113.9", "credential": id}).to_string();
            let answer = office.call(&caller.pair, "POST", "/explain", &asked);
            code(&answer, 404, "API_KEY_NOT_FOUND");
        }
        // By its secret: as a wrong one.
        let by = |key: &str| {
            let headers = json!([{"name": "X-API-Key", "value": key}]);
            explained(&office, &caller.pair, &json!({"peerAddress": "203.0.113.9", "headers": headers}))
        };
        let right = by(&hidden.pair.replacen(':', ".", 1));
        assert_eq!(right["errorCode"], "INVALID_CREDENTIALS", "{right:#}");
        assert_eq!(right, by("nosuchky.40395d07-a353-4881-853b-43efa41339a1"));
        let own = by(&caller.pair.replacen(':', ".", 1));
        assert_eq!((&own["outcome"], &own["credential"]), (&json!("allow"), &json!(caller.id)), "{own:#}");
    }
    let asked = json!({"clientAddress": "192.0.2.1"}).to_string();
    let bare = office.key("[]");
    code(&office.call(&bare.pair, "POST", "/explain", &asked), 403, "INSUFFICIENT_ROLE");
}

#[test]
fn each_faulty_question_is_refused() {
    let office = Office::open();
    let many: Vec<Value> = (0..101).map(|_| json!({"name": "a", "value": "b"})).collect();
    for (asked, fault, told) in [
        (json!({}), "MISSING_ONE_OF_ATTRIBUTES", "peerAddress"),
        (json!({"path": "/"}), "MISSING_ONE_OF_ATTRIBUTES", "clientAddress"),
        (json!({"peerAddress": "::1", "clientAddress": "::1"}), "INVALID_ATTRIBUTE", "clientAddress"),
        (json!({"clientAddress": "::1", "peerUris": ["a:b"]}), "INVALID_ATTRIBUTE", "peerUris"),
        (json!({"logged": {}, "peerUris": ["a:b"]}), "INVALID_ATTRIBUTE", "logged"),
        (json!({"peerAddress": "010.0.0.1"}), "INVALID_ATTRIBUTE", "peerAddress"),
        (json!({"clientAddress": "10.0.0.0/8"}), "INVALID_ATTRIBUTE", "clientAddress"),
        (json!({"clientAddress": "::1", "method": "G T"}), "INVALID_ATTRIBUTE", "method"),
        (json!({"clientAddress": "::1", "path": "no path"}), "INVALID_ATTRIBUTE", "path"),
        (json!({"clientAddress": "::1", "host": "a\nb"}), "INVALID_ATTRIBUTE", "host"),
        (json!({"clientAddress": "::1", "credential": "x"}), "INVALID_ATTRIBUTE", "credential"),
        (json!({"clientAddress": "::1", "at": "soon"}), "INVALID_ATTRIBUTE", "at"),
        (json!({"clientAddress": "::1", "headers": [["a", "b"]]}), "INVALID_ATTRIBUTE", "headers[0]"),
        (
            json!({"clientAddress": "::1", "headers": [{"name": "a b", "value": ""}]}),
            "INVALID_ATTRIBUTE",
            "headers[0].name",
        ),
        (
            json!({"clientAddress": "::1", "headers": [{"name": "a", "value": "s3cret\n"}]}),
            "INVALID_ATTRIBUTE",
            "headers[0].value",
        ),
        (json!({"clientAddress": "::1", "headers": many}), "INVALID_ATTRIBUTE", "headers"),
        (json!({"logged": {}, "path": "/"}), "INVALID_ATTRIBUTE", "logged"),
        (json!({"receipt": "x", "path": "/"}), "INVALID_ATTRIBUTE", "receipt"),
        (json!({"receipt": "x", "logged": {}}), "INVALID_ATTRIBUTE", "receipt"),
        (json!({"logged": {"time": "x"}}), "INVALID_ATTRIBUTE", "logged"),
        (json!({"logged": []}), "INVALID_ATTRIBUTE", "logged"),
        (json!({"clientAddress": "::1", "secret": 1}), "UNKNOWN_ATTRIBUTE", "secret"),
    ] {
        let answer = office.call(OWNER, "POST", "/explain", &asked.to_string());
        code(&answer, 400, fault);
        assert!(answer.text().contains(told) && !answer.text().contains("s3cret"), "{asked}: {}", answer.text());
    }
}
