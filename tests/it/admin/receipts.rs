//! Receipts at the admin API and on the command line of a store: opened for whoever may see the credential, also after a
//! restart, and told to nobody else.

use std::process::Command;

use serde_json::{Value, json};

use super::code;
use super::office::{Key, OWNER, Office};
use crate::programs::{PORTCULLIS, succeed};

/// A key with a list that the loopback is not on.
fn listed(office: &Office) -> Key {
    let body = r#"{"desc":"listed","roles":["ORG_MEMBER"],"accessList":[{"cidrBlock":"203.0.113.0/24"}]}"#;
    Key::of(&office.own("POST", "/apiKeys", body).json())
}

/// The id of a refusal at the gateway.
#[track_caller]
fn refused(office: &Office, header: &str) -> String {
    let answer = office.served.get("/v1/things", &[header]);
    assert!(matches!(answer.status, 401 | 403), "{}", answer.text());
    answer.json()["requestId"].as_str().unwrap().to_owned()
}

#[track_caller]
fn explained(office: &Office, caller: &str, receipt: &str) -> Value {
    let answer = office.call(caller, "POST", "/explain", &json!({"receipt": receipt}).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_receipt_is_opened_put_right_and_opened_after_a_restart() {
    let office = Office::open();
    let key = listed(&office);
    let receipt = refused(&office, &key.header());
    let told = explained(&office, OWNER, &receipt);
    assert_eq!((&told["outcome"], &told["errorCode"]), (&json!("deny"), &json!("IP_ADDRESS_NOT_ON_ACCESS_LIST")));
    assert_eq!((&told["credential"], &told["orgId"]), (&json!(key.id), &json!(office.organization)));
    assert_eq!((&told["receipt"]["status"], &told["receipt"]["peerAddress"]), (&json!(403), &json!("127.0.0.1")));
    assert!(told["steps"].to_string().contains("203.0.113.0/24 comes nearest"), "{told:#}");
    // The command that would put it right does.
    let mut command = told["command"].as_str().unwrap().split(' ');
    assert_eq!(command.next(), Some("portcullis"));
    let mut command = {
        let mut program = Command::new(PORTCULLIS);
        program.args(command);
        program
    };
    command.env("PORTCULLIS_API_URL", format!("http://{}", office.admin())).env("PORTCULLIS_API_KEY", OWNER);
    succeed(command.env("HOME", office.folder()));
    assert_eq!(office.through(&key).0, 200);
    let told = explained(&office, OWNER, &receipt);
    assert_eq!(told["outcome"], "allow");
    assert!(told["notes"][0].as_str().unwrap().contains("the receipt says IP_ADDRESS_NOT_ON_ACCESS_LIST"), "{told:#}");
    let office = office.reopen("TERM");
    assert_eq!(explained(&office, OWNER, &receipt)["receipt"]["errorCode"], "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    // Beside the program that serves the store, by its file.
    let mut command = Command::new(PORTCULLIS);
    command.args(["explain", "--config", "portcullis.yaml", "--output", "json", "--receipt", &receipt]);
    let told: Value = serde_json::from_str(&succeed(command.current_dir(office.folder()))).unwrap();
    assert_eq!(
        (&told["outcome"], &told["receipt"]["code"]),
        (&json!("allow"), &json!("IP_ADDRESS_NOT_ON_ACCESS_LIST"))
    );
    // Of a credential that is gone, those who see the organization are told still.
    assert_eq!(office.own("DELETE", &format!("/apiKeys/{}", key.id), "").status, 204);
    assert_eq!(explained(&office, OWNER, &receipt)["reason"], "no credential has this id");
}

#[test]
fn h13_what_is_not_to_be_seen_is_told_as_what_can_not_be_opened() {
    let office = Office::open();
    let hidden = listed(&office);
    let made = office.call(OWNER, "POST", "/orgs", r#"{"name":"other","apiKey":{"desc":"owner"}}"#).json();
    let stranger = Key::of(&made["apiKey"]);
    let receipt = refused(&office, &hidden.header());
    let ask = |receipt: &str| {
        let answer = office.call(&stranger.pair, "POST", "/explain", &json!({"receipt": receipt}).to_string());
        code(&answer, 404, "RESOURCE_NOT_FOUND");
        answer.json()["detail"].clone()
    };
    let changed = format!("{}{}", if receipt.starts_with('A') { 'B' } else { 'A' }, &receipt[1..]);
    assert_eq!(ask(&receipt), ask(&changed));
    code(
        &office.call(OWNER, "POST", "/explain", r#"{"receipt":"0123456789abcdef0123456789abcdef"}"#),
        404,
        "RESOURCE_NOT_FOUND",
    );
    // Disabled or unknown: a stranger can't tell the one from the other, who may see it can.
    assert_eq!(office.own("PATCH", &format!("/apiKeys/{}", hidden.id), r#"{"enabled":false}"#).status, 200);
    let disabled = refused(&office, &hidden.header());
    let unknown = refused(&office, "X-API-Key: nosuchky.40395d07-a353-4881-853b-43efa41339a1");
    let told = |receipt: &str| {
        let mut told = explained(&office, &stranger.pair, receipt);
        told["receipt"]["created"] = Value::Null;
        told["receipt"]["revision"] = Value::Null;
        told["steps"][0] = Value::Null;
        told
    };
    assert_eq!(told(&disabled), told(&unknown));
    assert!(!told(&disabled).to_string().contains(&hidden.id));
    assert_eq!(explained(&office, OWNER, &disabled)["receipt"]["reason"], "the credential is disabled");
    let bare = office.key("[]");
    code(
        &office.call(&bare.pair, "POST", "/explain", &json!({"receipt": unknown}).to_string()),
        403,
        "INSUFFICIENT_ROLE",
    );
}
