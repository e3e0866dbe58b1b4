//! What a snapshot says of its own size: what each part adds, and what is let go of again.

use super::*;
use crate::access::list::AccessList;

fn draft(credentials: u16) -> Draft {
    let mut draft = Draft::new();
    draft.organization(organization(1, AccessListMode::Off)).unwrap();
    for number in 0..credentials {
        draft.credential(distinct(number, &[])).unwrap();
    }
    draft
}

/// One of many credentials: they need more ids than a byte has.
fn distinct(number: u16, list: &[&str]) -> CredentialSpec {
    let [high, low] = number.to_be_bytes();
    CredentialSpec {
        id: Id::from_bytes([0x5f, 2, 0, 0, 0, 0, 0, 0, 0, 0, high, low]),
        ..credential(1, 1, &[number], list)
    }
}

#[test]
fn each_part_is_counted() {
    // A pointer and a byte of hash at two thirds of load, the record, and the two counts of its handle.
    let each = |credentials: usize| credentials * 27 / 2 + credentials * (size_of::<Credential>() + 16);
    let (some, more) = (draft(100).finish(1).bytes(), draft(300).finish(1).bytes());
    assert_eq!(more - some, each(300) - each(100));

    let mut draft = draft(100);
    let grown = |draft: &mut Draft, spec: CredentialSpec| {
        let before = draft.finish(1).bytes();
        draft.credential(spec).unwrap();
        let after = draft.finish(1);
        after.bytes() - before - (each(after.len()) - each(after.len() - 1))
    };
    let list = grown(&mut draft, distinct(1_000, &["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"]));
    let compiled = draft.finish(1).find(&fingerprint(1_000)).unwrap().list().clone();
    assert_eq!(list, compiled.heap_bytes() + size_of::<AccessList>() * 3 / 2);
    assert_eq!(grown(&mut draft, distinct(1_001, &["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"])), 0, "shared");
    let grants = Grants { roles: "ORG_OWNER".into(), projects: "5f0000000000000000000011".into(), gateway: false };
    let same = grants.clone();
    let told = grown(&mut draft, CredentialSpec { grants, ..distinct(1_002, &[]) });
    assert_eq!(told, size_of::<Grants>() + 9 + 24 + 4 * 8);
    assert_eq!(grown(&mut draft, CredentialSpec { grants: same, ..distinct(1_003, &[]) }), 0, "shared");

    // 1 024 shards come with the first user; each user is a slot at two thirds of load, a holder and its HA1s.
    let user = |number: u16, secrets| {
        let digest = Some(digest_user(number, secrets));
        CredentialSpec { digest, ..distinct(number, &[]) }
    };
    let holder = 27 / 2 + size_of::<DigestHolder>() + size_of::<DigestSecret>() + 16;
    assert_eq!(grown(&mut draft, user(2_000, 1)), 1_024 * 8 + holder);
    assert_eq!(grown(&mut draft, user(2_001, 1)), holder);

    let before = draft.finish(1).bytes();
    let now = Timestamp::from_unix_seconds(1_000);
    let tokens = (1..=5).map(|at| (TokenId([at; 16]), Timestamp::from_unix_seconds(1_100))).collect();
    draft.revoke(Revoked { tokens, now });
    assert_eq!(draft.finish(1).bytes() - before, 5 * size_of::<(TokenId, Timestamp)>() * 2);
}

/// What is counted for a list without expiries or nesting is what its entries take.
#[test]
fn plain_lists_take_eight_bytes_an_entry() {
    let mut draft = draft(0);
    for (number, entries) in [(1, 1), (2, 10), (3, 200)] {
        let texts: Vec<String> = (0..entries).map(|at| format!("10.{at}.{number}.0/24")).collect();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        draft.credential(distinct(number, &texts)).unwrap();
        let snapshot = draft.finish(1);
        assert_eq!(snapshot.find(&fingerprint(number)).unwrap().list().heap_bytes(), 16 + 8 * entries);
    }
}

/// Lists and grants that no credential has any more are let go of, not at each change but before they gather.
#[test]
fn what_nobody_holds_is_let_go_of() {
    let mut draft = draft(0);
    draft.credential(distinct(1, &["192.0.2.1"])).unwrap();
    let lean = draft.finish(1).bytes();
    let mut number = 0;
    let mut come_and_go = |draft: &mut Draft| {
        number += 1;
        let list = format!("10.{}.{}.0/24", number / 256, number % 256);
        let grants = Grants { roles: format!("app:{number}").into(), ..Grants::default() };
        draft.credential(CredentialSpec { grants, ..distinct(2, &[&list]) }).unwrap();
        draft.remove(&fingerprint(2)).unwrap();
    };
    // The first credential's are held too, so that 1 024 of each are there after the last of these.
    for _ in 0..1_022 {
        come_and_go(&mut draft);
    }
    let fat = draft.finish(2).bytes();
    assert!(fat > lean + 1_022 * 24, "{fat} {lean}");
    come_and_go(&mut draft);
    assert_eq!(draft.finish(3).bytes(), lean);
    // Two are needed more now: one list is twice that of the last time.
    for _ in 0..1_024 {
        come_and_go(&mut draft);
    }
    assert!(draft.finish(4).bytes() > lean + 1_024 * 24);
    come_and_go(&mut draft);
    assert_eq!(draft.finish(5).bytes(), lean);
    assert_eq!(draft.finish(5).find(&fingerprint(1)).unwrap().list().entries().count(), 1);
}
