//! A call that is refused before its body was read: what becomes of the connection.

use super::code;
use super::office::{Office, request};
use crate::stage::Client;

const PATH: &str = "/api/v1/orgs";

/// The head and the body of a change without a credential.
fn change(length: usize, headers: &str) -> (String, String) {
    let whole = request("", "POST", PATH, &format!("{{\"name\":\"{}\"}}", "x".repeat(length)), headers);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    (format!("{head}\r\n\r\n"), body.to_owned())
}

/// Clients of Digest are refused first, always, and send the change again on the same connection.
#[test]
fn a_short_body_costs_no_connection() {
    let office = Office::open();
    let mut client = office.connect();
    for length in [10, 60_000] {
        let (head, body) = change(length, "");
        client.write(head);
        client.write(body);
        let answer = client.read(false);
        code(&answer, 401, "CREDENTIALS_REQUIRED");
        assert_eq!(answer.header("connection"), None);
        code(&client.send(request("", "GET", PATH, "", "")), 401, "CREDENTIALS_REQUIRED");
    }
}

/// Refused, and told that the connection ends with that; nothing comes before, such as `100 Continue`.
#[track_caller]
fn is_refused_and_ended(client: &mut Client) {
    let answer = client.read(false);
    code(&answer, 401, "CREDENTIALS_REQUIRED");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_long_one_ends_it_and_the_answer_says_so() {
    let office = Office::open();
    let mut client = office.connect();
    let (head, body) = change(100_000, "");
    client.write(head);
    client.write(body);
    is_refused_and_ended(&mut client);
}

/// After a moment for the one; at once for whoever waits to be asked for it (RFC 9110 §10.1.1).
#[test]
fn one_that_does_not_come_ends_it_and_is_never_asked_for() {
    let office = Office::open();
    for headers in ["", "Expect: 100-continue\r\n"] {
        let mut client = office.connect();
        client.write(change(10, headers).0);
        is_refused_and_ended(&mut client);
    }
}
