//! What becomes of a refusal.

use serde_json::json;

use super::*;

#[track_caller]
fn told(body: Value) -> (String, Option<String>) {
    let fault = refused(409, body);
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
