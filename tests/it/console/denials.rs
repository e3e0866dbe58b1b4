//! Refused requests, in a table and as they come.

use std::net::IpAddr;

use super::visitor::Visitor;
use crate::admin::office::{CONFIGURATION, Key, Office};
use crate::stage::{Client, wait_for};

/// Calls the gateway from an address of the loopback; tells the request id of a refusal.
fn refused(office: &Office, address: &str, key: &Key) -> String {
    let address: IpAddr = address.parse().unwrap();
    let mut client = Client::connect_from(address, office.served.gateway());
    let answer = client.send(format!("GET /v1/things?secret=1 HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", key.header()));
    assert_eq!(answer.status, 403, "{}", answer.text());
    answer.json()["requestId"].as_str().unwrap().to_owned()
}

fn listed(office: &Office) -> Key {
    let body = r#"{"desc":"listed","accessList":[{"ipAddress":"192.0.2.1"}]}"#;
    Key::of(&office.own("POST", "/apiKeys", body).json())
}

#[test]
fn a_refused_request_is_shown_explained_and_put_right() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let denials = format!("/orgs/{}/denials", office.organization);
    assert!(ann.look(&denials).contains("Nothing was refused since"));
    let key = listed(&office);
    let id = refused(&office, "127.0.0.9", &key);
    wait_for("the refusal", || ann.look(&denials).contains(&id));
    for what in ["127.0.0.9", "IP_ADDRESS_NOT_ON_ACCESS_LIST", ">listed</a>", "the connection itself", "GET a/v1/"] {
        assert!(ann.page.contains(what), "{what}: {}", ann.page);
    }
    assert!(!ann.page.contains("secret=1"));
    assert!(ann.page.contains(">Add this address</button>"));
    let why = ann.look(&format!("/explain?request={id}")).to_owned();
    assert!(why.contains(">refused<") && why.contains("value=\"127.0.0.9\""), "{why}");
    ann.done(&format!("/orgs/{}/credentials/{}/list/add", office.organization, key.id), &[("entries", "127.0.0.9")]);
    assert!(ann.look(&format!("/explain?request={id}")).contains(">allowed<"));
    // What is on the list by now is not offered again.
    let page = ann.look(&denials);
    assert!(page.contains("on the list now") && !page.contains(">Add this address</button>"), "{page}");
    let shown = office.own("GET", "/denials", "").json();
    assert_eq!((&shown["totalCount"], &shown["results"][0]["requestId"]), (&1.into(), &id.as_str().into()));
    assert_eq!(shown["results"][0]["clientAddress"], "127.0.0.9");
    let unknown = ann.request("GET", "/explain?request=0000", "", "");
    assert!(unknown.status == 404 && unknown.text().contains("the id of no refusal that can be opened"));
    // Others see nothing of it.
    ann.look("/orgs/new");
    ann.done("/orgs/new", &[("name", "other")]);
    let invited = Visitor::with_roles(&office, "ben@example.com", r#"["ORG_READ_ONLY"]"#);
    drop(invited);
    assert_eq!(office.call("", "GET", &format!("/orgs/{}/denials", office.organization), "").status, 401);
}

#[test]
fn refused_requests_are_told_as_they_come_until_the_session_ends() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let key = listed(&office);
    let cookies: Vec<String> = ann.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut stream = office.connect();
    let path = format!("/orgs/{}/denials/stream", office.organization);
    stream.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", cookies.join("; ")));
    let (first, headers) = stream.head().unwrap();
    assert!(first.contains("200"), "{first}");
    assert!(headers.iter().any(|(name, value)| name == "content-type" && value == "text/event-stream"));
    assert!(headers.iter().any(|(name, _)| name == "content-security-policy"));
    assert!(stream.chunk().unwrap().contains("still here"));
    let id = refused(&office, "127.0.0.9", &key);
    let told = stream.chunk().unwrap();
    assert!(told.contains(">Add this address</button>"), "{told}");
    assert!(told.contains("data: <tr>") && told.contains(&id) && told.contains("127.0.0.9"), "{told}");
    ann.look("/account");
    ann.done("/sign-out", &[]);
    refused(&office, "127.0.0.9", &key);
    assert_eq!(stream.chunk(), None, "whoever is signed out hears no more");
}

#[test]
fn a_log_that_is_off_hides_no_refusal() {
    let office = Office::open_with(
        &CONFIGURATION.replace("access_log: { to: file, file: access.log }", "access_log: { to: off }"),
    );
    let key = listed(&office);
    let id = refused(&office, "127.0.0.9", &key);
    wait_for("the refusal", || office.own("GET", "/denials", "").text().contains(&id));
}
