//! Receipts of refusals: sealed by one gateway, opened on any that has the key, and by nobody else (threats.md H13).

mod third_party;

use std::process::Command;

use portcullis::gate::receipt::{self, LENGTH, ReceiptFault, Record};
use portcullis::problem::Code;

use crate::programs::{PORTCULLIS, output};
use crate::stage::{KEY, KEY_DISABLED, KEY_WITHOUT_LIST, Setting, Stage, wait_for};

const KEYS: &str = "receipts: { key_files: [receipts.key] }";

fn with_key(byte: u8) -> Stage {
    Setting::new().gateway(KEYS).file("receipts.key", [byte; 32]).set()
}

/// The id of a refusal.
#[track_caller]
fn refused(stage: &Stage, key: &str) -> String {
    let answer = stage.get("/v1/things", &[&format!("X-API-Key: {key}")]);
    assert!(matches!(answer.status, 401 | 403), "{}", answer.text());
    answer.json()["requestId"].as_str().unwrap().to_owned()
}

/// What the configuration of a stage, as it is now, makes of a receipt.
fn opened(stage: &Stage, id: &str) -> Result<Record, ReceiptFault> {
    let (settings, _) = portcullis::config::load(Some(&stage.path("portcullis.yaml")), Vec::new()).unwrap();
    receipt::open(&settings.gateway, None, id)
}

/// What the command line says of one, and its exit code.
fn explained(stage: &Stage, id: &str) -> (String, Option<i32>) {
    let mut command = Command::new(PORTCULLIS);
    let said = output(command.args(["explain", "--config"]).arg(stage.path("portcullis.yaml")).args(["--receipt", id]));
    (String::from_utf8([said.stdout, said.stderr].concat()).unwrap(), said.status.code())
}

#[test]
fn any_gateway_that_has_the_key_opens_a_receipt_and_no_other() {
    let (one, other, foreign) = (with_key(1), with_key(1), with_key(2));
    let id = refused(&one, KEY_WITHOUT_LIST);
    let (told, code) = explained(&other, &id);
    assert_eq!(code, Some(2), "{told}");
    for part in ["403 ORG_REQUIRES_ACCESS_LIST at ", "127.0.0.1, from peer", "5f0000000000000000000022", "give 5f00"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("\ncommand"), "a file is changed by hand: {told}");
    let (told, code) = explained(&foreign, &id);
    assert_eq!(
        (told.lines().next(), code),
        (Some("portcullis: it can't be opened with the keys that are here"), Some(1))
    );
    let changed = format!("{}{}", if id.starts_with('A') { 'B' } else { 'A' }, &id[1..]);
    assert_eq!(explained(&one, &changed).0, told, "a changed one is told as a foreign one");
    // What its bearer may not know, the operator is told.
    let (told, _) = explained(&other, &refused(&one, KEY_DISABLED));
    assert!(told.contains("the credential is disabled"), "{told}");
}

#[test]
fn a_gateway_without_a_key_keeps_its_receipts_to_itself() {
    let stage = Stage::new();
    let id = refused(&stage, KEY_WITHOUT_LIST);
    assert_eq!(id.len(), LENGTH);
    let (told, code) = explained(&stage, &id);
    assert!(told.contains("gateway.receipts.key_files") && code == Some(1), "{told}");
}

#[test]
fn the_log_has_the_same_id_and_what_is_let_through_or_fails_has_a_plain_one() {
    let gone = "upstreams: { api: { endpoints: [\"http://127.0.0.1:1\"] } }\nlimits: { max_body_bytes: 1B }";
    let stage = with_key(1);
    let id = refused(&stage, KEY_WITHOUT_LIST);
    assert_eq!(stage.get("/", &[&format!("X-API-Key: {KEY}")]).status, 200);
    let log = stage.log_of(2);
    assert_eq!(log[0]["request_id"], id.as_str());
    let plain = log[1]["request_id"].as_str().unwrap();
    assert_eq!(stage.upstream.seen()[0].all("x-portcullis-request-id"), [plain]);
    let is_plain = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_plain(plain), "{plain}");
    let failing = Setting::new().gateway(gone).set();
    let large = format!("POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: 2\r\n\r\nab");
    let insane = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned();
    let unreachable = format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
    for (request, status) in [(large, 413), (insane, 400), (unreachable, 502)] {
        let answer = failing.send(request);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(is_plain(answer.json()["requestId"].as_str().unwrap()), "{}", answer.text());
    }
}

#[test]
fn keys_are_rotated_without_a_restart_and_old_receipts_open_on() {
    let stage = with_key(1);
    let first = refused(&stage, KEY_WITHOUT_LIST);
    stage.replace("next.key", [2; 32]);
    stage.replace("portcullis.yaml", stage.configuration().replace("[receipts.key]", "[next.key, receipts.key]"));
    let alone = with_key(2);
    wait_for("the next key to seal", || opened(&alone, &refused(&stage, KEY_WITHOUT_LIST)).is_ok());
    assert_eq!(opened(&stage, &first).map(|record| record.code), Ok(Code::OrgRequiresAccessList));
    assert_eq!(opened(&alone, &first), Err(ReceiptFault::Unopened));
    // Another key in the same file is noticed too.
    stage.replace("next.key", [3; 32]);
    let third = with_key(3);
    wait_for("the third key to seal", || opened(&third, &refused(&stage, KEY_WITHOUT_LIST)).is_ok());
}
