//! A body that goes on when its answer is over is revoked and waited for as before.

use super::{CODE, by_hand, get, next, unlisted};
use crate::stage::{Client, Setting, Stage, wait_for};

/// An upload that has had its whole answer, and has said nothing since. Returns both ends.
fn answered(setting: Setting) -> (Stage, Client, Client) {
    let (stage, connections) = by_hand(setting);
    let mut client = stage.connect();
    client.write(get("Transfer-Encoding: chunked\r\n").replace("GET", "POST") + "5\r\nhello\r\n");
    let mut upstream = next(&connections);
    upstream.head().expect("the request reaches the upstream");
    assert_eq!(upstream.take(10), b"5\r\nhello\r\n");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.read(false).text(), "ok");
    assert_eq!(stage.log_of(1)[0]["outcome"], "allow", "the answer is over");
    (stage, client, upstream)
}

/// The same, and it has gone on.
fn outliving(setting: Setting) -> (Stage, Client, Client) {
    let (stage, mut client, mut upstream) = answered(setting);
    client.write("2\r\nok\r\n");
    assert_eq!(upstream.take(7), b"2\r\nok\r\n");
    (stage, client, upstream)
}

#[test]
fn l6_an_upload_that_outlives_its_answer_is_cut() {
    let (stage, mut client, mut upstream) = outliving(Setting::new());
    stage.replace("directory.yaml", unlisted());
    assert!(client.is_closed());
    assert!(upstream.is_closed());
    let metric = format!("portcullis_revoked_exchanges_total{{reason=\"{CODE}\"}}");
    wait_for("the metric", || stage.metric(&metric) == 1.0);
}

/// What ends in order is no longer there to be revoked.
#[test]
fn l6_an_upload_that_has_ended_after_its_answer_leaves_nothing_behind() {
    let (stage, mut client, mut upstream) = outliving(Setting::new());
    client.write("0\r\n\r\n");
    assert_eq!(upstream.take(5), b"0\r\n\r\n");
    // The connection is the next request's, and that is refused anew.
    stage.replace("directory.yaml", unlisted());
    stage.wait_for_revision(2.0);
    assert_eq!(client.send(get("")).outcome(), (403, CODE.into()));
    assert_eq!(stage.metric(&format!("portcullis_revoked_exchanges_total{{reason=\"{CODE}\"}}")), 0.0);
}

#[test]
fn an_upload_that_stops_after_its_answer_is_not_waited_for() {
    for begin in [answered, outliving] {
        let (stage, mut client, mut upstream) = begin(Setting::new().gateway("timeouts: { body_idle: 300ms }"));
        assert!(client.is_closed());
        assert!(upstream.is_closed());
        wait_for("the connection to end", || stage.metric("portcullis_open_connections") == 0.0);
    }
}

/// An upstream that is not read from by its client, or does not read itself, hides nothing.
#[test]
fn l6_an_upload_that_its_upstream_does_not_read_is_cut() {
    let (stage, connections) = by_hand(Setting::new());
    let mut client = stage.connect();
    client.write(get("Content-Length: 1000000000\r\n").replace("GET", "POST"));
    let mut upstream = next(&connections);
    upstream.head().expect("the request reaches the upstream");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nokok");
    client.fill_up();
    stage.replace("directory.yaml", unlisted());
    wait_for("the connection to end", || stage.metric("portcullis_open_connections") == 0.0);
    // What it was sent is there to be read, and then the connection ends.
    assert!(!upstream.rest().is_empty());
    assert!(stage.log_of(1).len() == 1);
}

#[test]
fn a_client_that_does_not_read_is_told_of_in_the_log() {
    let (stage, connections) = by_hand(Setting::new().gateway("timeouts: { body_idle: 300ms }"));
    let (_client, mut upstream) =
        super::begin(&stage, &connections, &get(""), "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    upstream.fill_up();
    let line = &stage.log_of(1)[0];
    assert_eq!((&line["status"], &line["code"]), (&200.into(), &"REQUEST_TIMEOUT".into()), "{line:#}");
}
