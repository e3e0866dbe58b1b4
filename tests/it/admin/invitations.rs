//! An invitation is worth what its sender may still grant.

use serde_json::{Value, json};

use super::code;
use super::office::{Key, Office};

fn invited(office: &Office, authorization: &str, email: &str) -> Value {
    let path = format!("/api/v1/orgs/{}/invites", office.organization);
    let body = json!({"username": email, "roles": ["ORG_OWNER"]}).to_string();
    let made = office.raw("", "POST", &path, &body, authorization);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["token"].clone()
}

fn taken(office: &Office, token: &Value) -> crate::stage::Answer {
    let body = json!({"token": token, "password": "a password of the test 4711"}).to_string();
    office.call("", "POST", "/auth/accept", &body)
}

fn by_key(key: &Key) -> String {
    key.header() + "\r\n"
}

#[test]
fn of_a_key_that_is_gone_or_less_than_it_was() {
    let office = Office::open();
    let sender = || office.key(r#"["ORG_OWNER"]"#);
    let senders = [sender(), sender(), sender()];
    let tokens: Vec<Value> =
        senders.iter().map(|key| invited(&office, &by_key(key), &format!("{}@example.com", key.id))).collect();
    let [deleted, demoted, disabled] = senders.map(|key| format!("/apiKeys/{}", key.id));
    assert_eq!(office.own("DELETE", &deleted, "").status, 204);
    assert_eq!(office.own("PATCH", &demoted, r#"{"roles":["ORG_MEMBER"]}"#).status, 200);
    assert_eq!(office.own("PATCH", &disabled, r#"{"enabled":false}"#).status, 200);
    for token in &tokens {
        code(&taken(&office, token), 401, "INVITE_TOKEN_INVALID");
    }
    // Whoever is back in their rights has sent a good one.
    assert_eq!(office.own("PATCH", &disabled, r#"{"enabled":true}"#).status, 200);
    assert_eq!(taken(&office, &tokens[2]).status, 201);
    code(&taken(&office, &tokens[2]), 401, "INVITE_TOKEN_INVALID");
}

#[test]
fn of_a_person_who_left() {
    let office = Office::open();
    let first = office.own("POST", "/invites", r#"{"username":"ann@example.com","roles":["ORG_OWNER"]}"#).json();
    let ann = taken(&office, &first["token"]).json();
    let session = format!("Authorization: Bearer {}\r\n", ann["token"].as_str().unwrap());
    let [before, after] = ["ben@example.com", "cat@example.com"].map(|email| invited(&office, &session, email));
    assert_eq!(taken(&office, &before).status, 201);
    assert_eq!(office.own("DELETE", &format!("/users/{}", ann["userId"].as_str().unwrap()), "").status, 204);
    code(&taken(&office, &after), 401, "INVITE_TOKEN_INVALID");
    // Nobody has come in by it.
    let users = office.own("GET", "/users", "").json();
    assert_eq!(users["totalCount"], 1, "{users:#}");
}
