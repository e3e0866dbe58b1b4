//! The form of receipts as the reference describes it, read by a program that shares no code with ours.

use std::process::Command;

use serde_json::Value;

use super::{refused, with_key};
use crate::programs::{package, program, succeed};
use crate::stage::{KEY_DISABLED, KEY_WITHOUT_LIST};

#[test]
fn node_opens_a_receipt_by_the_reference() {
    let stage = with_key(7);
    let read = |key: &str| -> Value {
        let mut command = Command::new(program("node"));
        command.arg(package().join("tests/clients/receipt.js")).arg(stage.path("receipts.key"));
        serde_json::from_str(&succeed(command.arg(refused(&stage, key)))).unwrap()
    };
    let record = read(KEY_WITHOUT_LIST);
    let expected = [
        ("revision", Value::from(1)),
        ("client", "127.0.0.1".into()),
        ("source", "peer".into()),
        ("peer", "127.0.0.1".into()),
        ("type", "API_KEY".into()),
        ("credential", "5f0000000000000000000022".into()),
        ("organization", "5f0000000000000000000001".into()),
        ("code", "ORG_REQUIRES_ACCESS_LIST".into()),
        ("hasReason", false.into()),
        ("route", "/".into()),
    ];
    for (name, value) in expected {
        assert_eq!(record[name], value, "{name}: {record:#}");
    }
    let disabled = read(KEY_DISABLED);
    assert_eq!((&disabled["code"], &disabled["hasReason"]), (&"INVALID_CREDENTIALS".into(), &true.into()));
    assert_eq!(disabled["credential"], "5f0000000000000000000024", "{disabled:#}");
}
