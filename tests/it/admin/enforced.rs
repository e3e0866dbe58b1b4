//! 200 means enforced: on every worker, on new connections and on kept ones.

use super::office::{CONFIGURATION, Office};
use crate::stage::{Client, DEADLINE, Upstream, wait_for};

/// Flips of a list; `tests/campaign/enforced` makes ten thousand, and knows which worker it asks.
const FLIPS: usize = 150;

#[test]
fn what_was_answered_is_enforced_everywhere() {
    let office = Office::open();
    let key = office.key("[]");
    let path = format!("/api/v1/orgs/{}/apiKeys/{}/accessList?force=true", office.organization, key.id);
    let gateway = office.served.gateway();
    let request = format!("GET / HTTP/1.1\r\nHost: api.example.com\r\n{}\r\n\r\n", key.header());
    // The kernel spreads connections over the workers' sockets: of sixteen none is left without one but by 1 : 32 768.
    let mut kept: Vec<Client> = (0..16).map(|_| Client::connect(gateway)).collect();
    let mut admin = office.connect();
    let mut stale = Vec::new();
    for flip in 0..FLIPS {
        let (network, expected) = if flip % 2 == 0 { ("203.0.113.0/24", 403) } else { ("127.0.0.0/8", 200) };
        let body = format!("[{{\"cidrBlock\":\"{network}\"}}]");
        let answer = admin.send(super::office::request(super::OWNER, "PUT", &path, &body, ""));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut fresh: Vec<Client> = (0..4).map(|_| Client::connect(gateway)).collect();
        let statuses: Vec<u16> = fresh.iter_mut().chain(&mut kept).map(|client| client.send(&request).status).collect();
        if statuses.iter().any(|status| *status != expected) {
            stale.push((flip, statuses));
        }
    }
    assert!(stale.is_empty(), "{stale:?}");
    let log = std::fs::read_to_string(office.path("access.log")).unwrap();
    assert!(log.lines().count() > FLIPS, "the access log tells of these requests");
}

/// L6: a deleted key's open answer ends at once, and the record of changes says so.
#[test]
fn l6_what_a_change_ends_is_cut_and_written_down() {
    let (upstream, connections) = Upstream::by_hand();
    let to = format!("  upstreams: {{ api: {{ endpoints: [\"http://{}\"] }} }}\ndirectory:", upstream.address());
    let office = Office::open_with(&CONFIGURATION.replace("directory:", &to));
    let key = office.key("[]");
    let mut client = Client::connect(office.served.gateway());
    client.write(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", key.header()));
    let mut upstream = connections.recv_timeout(DEADLINE).unwrap();
    upstream.head().unwrap();
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    client.head().unwrap();
    assert_eq!(client.take(5), b"hello");
    assert_eq!(office.own("DELETE", &format!("/apiKeys/{}", key.id), "").status, 204);
    assert_eq!(client.rest(), "");
    assert!(upstream.is_closed());
    let mut event = serde_json::Value::Null;
    wait_for("the event", || {
        let page = office.own("GET", "/events?eventType=CREDENTIAL_EXCHANGES_REVOKED", "").json();
        event = page["results"][0].clone();
        event.is_object()
    });
    assert_eq!(event["targetId"], key.id);
    assert_eq!((&event["actorType"], &event["username"]), (&"SYSTEM".into(), &"gateway".into()));
    assert_eq!(event["detail"], "1 open, from 127.0.0.1: INVALID_CREDENTIALS");
}
