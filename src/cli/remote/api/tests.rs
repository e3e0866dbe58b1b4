//! What becomes of a refusal.

use serde_json::json;

use super::*;

#[track_caller]
fn told(body: Value) -> (String, Option<String>) {
    told_to(&Asker::Key, body)
}

#[track_caller]
fn told_to(asker: &Asker<'_>, body: Value) -> (String, Option<String>) {
    let fault = refused(409, body, asker);
    (fault.to_string(), fault.way_out())
}

#[test]
fn a_refusal_is_told_with_its_code_and_the_way_out() {
    let (message, way_out) = told(json!({"errorCode": "CHANGE_REMOVES_RESTRICTION", "detail": "No."}));
    assert_eq!(message, "409 CHANGE_REMOVES_RESTRICTION: No.");
    assert!(way_out.unwrap().contains("--force"));
    let address = json!({"errorCode": "IP_ADDRESS_NOT_ON_ACCESS_LIST", "detail": "No.", "parameters": ["192.0.2.9"]});
    assert!(told(address).1.unwrap().contains("--ip 192.0.2.9"));
    assert_eq!(told(json!({"errorCode": "INVALID_ATTRIBUTE", "detail": "No."})).1, None);
}

#[test]
fn the_field_that_is_wrong_is_named_once() {
    let fields = json!({"fields": [{"field": "desc", "description": "too long"}]});
    let body = |detail: &str| json!({"errorCode": "X", "detail": detail, "badRequestDetail": fields});
    assert_eq!(told(body("It can't be.")).0, "409 X: It can't be. `desc`: too long");
    assert_eq!(told(body("`desc`: too long")).0, "409 X: `desc`: too long");
}

#[test]
fn a_terminal_obeys_no_refusal() {
    let (message, _) = told(json!({"errorCode": "X", "detail": "a\u{1b}[2Jb"}));
    assert_eq!(message, "409 X: a\u{fffd}[2Jb");
}

/// Who lacks a role is told which, and by which command it is granted to whoever asks.
#[test]
fn a_missing_role_is_named_with_what_grants_it() {
    let person = Asker::Person { profile: Some("work") };
    let way_out = |asker: &Asker<'_>, role: &str| {
        told_to(asker, json!({"errorCode": "INSUFFICIENT_ROLE", "detail": "No.", "parameters": [role]})).1.unwrap()
    };
    assert!(way_out(&Asker::Key, "ORG_OWNER").contains("`portcullis api-keys update ID --role ORG_OWNER`"));
    assert!(way_out(&Asker::Key, "GROUP_OWNER").contains("assign ID --project PROJECT_ID --role GROUP_OWNER`"));
    assert!(way_out(&person, "ORG_READ_ONLY").contains("`portcullis users update ID --role ORG_READ_ONLY`"));
    assert!(way_out(&person, "GROUP_USER_ADMIN").contains("users update ID --role GROUP_USER_ADMIN@PROJECT_ID`"));
    let own = told_to(&person, json!({"errorCode": "INSUFFICIENT_ROLE", "detail": "Nobody can."})).1;
    assert_eq!(own.as_deref(), Some("ask another owner of the organization"));
}

#[test]
fn a_session_that_is_over_names_the_command_that_makes_another() {
    let over = || json!({"errorCode": "INVALID_CREDENTIALS", "detail": "Over."});
    let named = told_to(&Asker::Person { profile: Some("work") }, over()).1;
    assert_eq!(named.as_deref(), Some("`portcullis login --profile work`"));
    let of_variable = told_to(&Asker::Person { profile: None }, over()).1.unwrap();
    assert!(of_variable.contains("PORTCULLIS_API_SESSION") && of_variable.contains("`portcullis login`"));
    assert!(told(over()).1.unwrap().contains("--key-file"));
}
