//! Every cause ends every kind of exchange, by the code that a new request would get.

use portcullis::clock::Timestamp;

use super::kinds::Kinds;
use super::{by_hand, unlisted};
use crate::stage::{KEY, KEY_OPEN, START, Setting, Stage, directory};

const ROLES: &str = "roles: [ORG_MEMBER";

/// Opens one of each kind, lets something happen, and sees all of them end.
#[track_caller]
fn check(key: &str, before: &str, happens: impl FnOnce(&Stage), status: u16, code: &str) {
    let (stage, connections) = by_hand(Setting::new().directory(before));
    let mut open = Kinds::open(stage.gateway(), &connections, &format!("X-API-Key: {key}"));
    open.go_on();
    happens(&stage);
    open.end_by(status, code);
    for line in stage.log_of(3) {
        assert_eq!((&line["code"], &line["revoked"]), (&code.into(), &true.into()), "{line:#}");
    }
    assert_eq!(stage.metric(&format!("portcullis_revoked_exchanges_total{{reason=\"{code}\"}}")), 3.0);
}

fn with(addition: &str) -> String {
    directory().replace(ROLES, &format!("{addition}\n        {ROLES}"))
}

fn in_a_minute(stage: &Stage) {
    stage.clock.set(Timestamp::from_unix_seconds(START.unix_seconds() + 60));
}

const NOT_LISTED: &str = "IP_ADDRESS_NOT_ON_ACCESS_LIST";
const INVALID: &str = "INVALID_CREDENTIALS";

#[test]
fn l6_a_key_that_is_disabled_deleted_or_expires_ends_all_kinds() {
    let replaced = |with: String| move |stage: &Stage| stage.replace("directory.yaml", with);
    check(KEY, &directory(), replaced(with("enabled: false")), 401, INVALID);
    let another = directory().replace(&crate::stage::sha256(KEY), &crate::stage::sha256("another.secret"));
    check(KEY, &directory(), replaced(another), 401, INVALID);
    check(KEY, &with("expires_at: 2026-11-23T00:01:00Z"), in_a_minute, 401, INVALID);
}

#[test]
fn l6_an_entry_that_is_removed_or_expires_ends_all_kinds() {
    check(KEY, &directory(), |stage| stage.replace("directory.yaml", unlisted()), 403, NOT_LISTED);
    let entry = "{ cidr: 127.0.0.1, expires_at: 2026-11-23T00:01:00Z }]";
    check(KEY, &directory().replace("127.0.0.1]", entry), in_a_minute, 403, NOT_LISTED);
}

#[test]
fn l6_a_switch_that_is_flipped_ends_all_kinds() {
    let required = directory().replace("require_access_list: false", "require_access_list: true");
    let flip = move |stage: &Stage| stage.replace("directory.yaml", required);
    check(KEY_OPEN, &directory(), flip, 403, "ORG_REQUIRES_ACCESS_LIST");
}
