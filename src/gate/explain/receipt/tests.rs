//! What a receipt says, and what is made of it on the directory of now.

use super::*;
use crate::access::record::CredentialName;
use crate::gate::judge::tests::{NOW, current, gateway, id};

fn record() -> Record {
    Record {
        at: u64::try_from(NOW.unix_seconds()).unwrap() * 1000 + 123,
        revision: 6,
        code: Code::IpAddressNotOnAccessList,
        reason: None,
        client: Some(ClientAddress::new("203.0.112.9".parse().unwrap())),
        source: ClientSource::Header,
        peer: "10.0.0.1".parse().unwrap(),
        owner: Some((CredentialName::api_key(id(2)), id(1))),
        route: RouteSeen::of(gateway().routes.find("a", "GET", "/api/things")),
    }
}

/// Outcome, code, and each part has to stand somewhere in the text.
#[track_caller]
fn check(record: &Record, outcome: &str, code: Option<&str>, parts: &[&str]) -> Report {
    let report = explain_receipt(&current(), record);
    let text = report.to_string();
    assert_eq!((report.outcome, report.code), (outcome, code), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    report
}

#[test]
fn a_refusal_by_the_list_is_told_with_the_list_and_the_way_out() {
    let parts = [
        "receipt         403 IP_ADDRESS_NOT_ON_ACCESS_LIST at 2027-01-15T08:00:00Z on revision 6",
        "peer            10.0.0.1",
        "client address  203.0.112.9, from header",
        "route           the request matched route `/api`",
        "organization    5f0000000000000000000001 (acme) requires access lists",
        "no entry admits the address; 203.0.113.0/24 comes nearest",
        "entries         203.0.113.0/24",
        "add 203.0.112.9/32",
        "portcullis access-lists create --org 5f0000000000000000000001 --api-key 5f0000000000000000000002 --ip 203.0.112.9",
    ];
    let report = check(&record(), "deny", Some("IP_ADDRESS_NOT_ON_ACCESS_LIST"), &parts);
    assert!(report.notes.is_empty() && report.client_source == "header", "{report}");
    let told = report.receipt.unwrap();
    assert_eq!((told.revision, told.status, &*told.peer_address), (6, 403, "10.0.0.1"));
}

#[test]
fn what_is_different_now_is_noted() {
    let listed = Record { client: Some(ClientAddress::new("203.0.113.9".parse().unwrap())), ..record() };
    let noted = "the receipt says IP_ADDRESS_NOT_ON_ACCESS_LIST, on revision 6; this is what revision 7 makes of it";
    check(&listed, "allow", None, &[noted]);
    let rate = Record { code: Code::RateLimited, reason: Some("the credential's request rate is spent"), ..listed };
    check(&rate, "allow", None, &["the receipt says RATE_LIMITED (the credential's request rate is spent)"]);
    let gone = Record { owner: Some((CredentialName::api_key(id(9)), id(1))), ..record() };
    check(&gone, "deny", Some("INVALID_CREDENTIALS"), &["no credential has this id"]);
    let moved = Record { route: RouteSeen::Matched(1), ..record() };
    check(&moved, "deny", Some("IP_ADDRESS_NOT_ON_ACCESS_LIST"), &["a route that is configured no more"]);
}

#[test]
fn what_proved_nothing_is_told_as_it_was() {
    let unproven = |code, reason| Record { code, reason, owner: None, ..record() };
    let wrong = unproven(Code::InvalidCredentials, Some("the token has expired"));
    check(&wrong, "deny", Some("INVALID_CREDENTIALS"), &["the token has expired", "give the client a credential"]);
    let parts = ["what the request presented proved no credential"];
    check(&wrong.without_owner(), "deny", Some("INVALID_CREDENTIALS"), &parts);
    let none = unproven(Code::CredentialsRequired, None);
    check(&none, "deny", Some("CREDENTIALS_REQUIRED"), &["carries no credential", "a key in `x-api-key`"]);
    let throttled = unproven(Code::RateLimited, Some("no credential has this secret, token subject or certificate"));
    check(&throttled, "deny", Some("RATE_LIMITED"), &["fails so often from 203.0.112.9/32"]);
    let fault = AddressFault::AllTrusted.as_str();
    let unresolved = Record { client: None, ..unproven(Code::ClientAddressUnresolved, Some(fault)) };
    check(&unresolved, "deny", Some("CLIENT_ADDRESS_UNRESOLVED"), &["client address  none, from header", "`hops`"]);
    let nowhere = Record { route: RouteSeen::NotFound, ..unproven(Code::CredentialsRequired, None) };
    check(&nowhere, "deny", Some("CREDENTIALS_REQUIRED"), &["the request matched none"]);
    let ambiguous = Record { route: RouteSeen::Ambiguous, ..unproven(Code::CredentialsRequired, None) };
    check(&ambiguous, "deny", Some("CREDENTIALS_REQUIRED"), &["different routes"]);
}
