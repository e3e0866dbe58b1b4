//! Lines as the access log writes them, and lines that it never would.

use serde_json::{Value, json};

use super::*;
use crate::gate::explain::explain;
use crate::gate::judge::tests::current;

/// A refusal as it is logged, with some fields in place of others; `null` takes one away.
fn line(with: &Value) -> Value {
    let mut line = json!({
        "time": "2027-01-15T08:00:00.123Z", "request_id": "0123456789abcdef", "method": "GET", "host": "api.example.com",
        "path": "/api/things", "status": 403, "outcome": "deny", "code": "IP_ADDRESS_NOT_ON_ACCESS_LIST",
        "duration_us": 80, "peer.address": "10.0.0.1", "client.address": "203.0.112.9", "client.source": "header",
        "credential.type": "API_KEY", "credential.id": "5f0000000000000000000002",
        "org.id": "5f0000000000000000000001", "snapshot.revision": 7, "bytes_in": 0, "bytes_out": 300,
    });
    for (name, value) in with.as_object().unwrap() {
        match value {
            Value::Null => drop(line.as_object_mut().unwrap().remove(name)),
            value => line[name] = value.clone(),
        }
    }
    line
}

#[track_caller]
fn told(with: &Value) -> Report {
    let logged = Logged::read(line(with)).unwrap();
    let current = current();
    let mut report = explain(&current, &logged.asked().unwrap());
    logged.compare(&mut report, 9);
    report
}

#[test]
fn a_refusal_is_judged_again() {
    let report = told(&json!({}));
    assert_eq!((report.outcome, report.code), ("deny", Some("IP_ADDRESS_NOT_ON_ACCESS_LIST")));
    assert_eq!(report.client_address.as_deref(), Some("203.0.112.9"));
    assert!(report.to_string().contains("203.0.113.0/24 comes nearest"), "{report}");
    assert!(!report.notes.iter().any(|note| note.contains("the log says")), "{report}");
}

#[test]
fn what_is_different_now_is_noted() {
    let report = told(&json!({"client.address": "203.0.113.9"}));
    assert_eq!(report.outcome, "allow");
    let noted = "the log says IP_ADDRESS_NOT_ON_ACCESS_LIST, on revision 7; this is what revision 9 makes of it";
    assert!(report.notes.iter().any(|note| note == noted), "{report}");
}

#[test]
fn what_was_presented_is_not_in_the_log() {
    let with = json!({
        "credential.id": null, "credential.type": null, "org.id": null, "status": 401, "code": "INVALID_CREDENTIALS",
        "reason": "the credential has expired",
    });
    let report = told(&with);
    assert_eq!(report.code, Some("CREDENTIALS_REQUIRED"));
    let noted = "the log says INVALID_CREDENTIALS (the credential has expired), on revision 7; what it presented is not \
                 logged and could not be judged again";
    assert!(report.notes.iter().any(|note| note == noted), "{report}");
    let public = told(&json!({"credential.id": null, "code": null, "outcome": "allow", "path": "/open"}));
    assert!(!public.notes.iter().any(|note| note.contains("the log says")), "{public}");
}

#[test]
fn the_kind_of_the_credential_is_known() {
    let logged = Logged::read(line(&json!({"credential.type": "SERVICE_ACCOUNT"}))).unwrap();
    let name = logged.asked().unwrap().credential.unwrap();
    assert_eq!(name.to_string(), "pcl_sa_id_5f0000000000000000000002");
}

#[test]
fn other_lines_are_none() {
    for with in [json!({"time": null}), json!({"method": null}), json!({"path": 5}), json!({"outcome": null})] {
        assert!(matches!(Logged::read(line(&with)), Err(LoggedFault::NotALine(_))), "{with}");
    }
    for (name, value) in [
        ("time", "yesterday"),
        ("method", "G T"),
        ("path", "a path"),
        ("host", "a\nb"),
        ("client.address", "010.0.0.1"),
        ("credential.id", "x"),
    ] {
        let logged = Logged::read(line(&json!({name: value}))).unwrap();
        assert!(matches!(logged.asked(), Err(LoggedFault::Field(field)) if field == name), "{name}");
    }
    let logged = Logged::read(line(&json!({"client.address": null}))).unwrap();
    assert!(matches!(logged.asked(), Err(LoggedFault::NoAddress)));
}
