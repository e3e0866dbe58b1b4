//! Lines as they are written, and what happens when nobody reads them.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::access::credential::CredentialKind;
use crate::clock::Clock;
use crate::problem::Code;
use crate::telemetry::Outcome;

fn line(path: &str) -> Line<'_> {
    Line {
        time: UNIX_EPOCH + Duration::from_millis(1_795_000_000_042),
        request_id: "r1",
        method: "GET",
        host: "api.example.com",
        path,
        query: Some("secret=1"),
        status: 403,
        outcome: Outcome::Deny(Code::IpAddressNotOnAccessList),
        reason: None,
        duration: Duration::from_micros(1_234),
        peer: "127.0.0.1".parse().unwrap(),
        client: Some("2001:db8::1".parse().unwrap()),
        source: ClientSource::Header,
        credential: Some((CredentialKind::ApiKey, "5f0000000000000000000021".parse().unwrap())),
        organization: Some("5f0000000000000000000001".parse().unwrap()),
        entry: Some("10.0.0.0/8".parse().unwrap()),
        revision: 9,
        upstream: Some("api"),
        endpoint: Some("127.0.0.1:3000"),
        attempts: 1,
        bytes_in: 1,
        bytes_out: 2,
        revoked: false,
    }
}

fn written(line: &Line<'_>, query: bool) -> String {
    let mut bytes = Vec::new();
    line.write(&mut bytes, &mut super::line::Stamp::default(), query);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_is_one_json_object_with_the_documented_fields() {
    let text = written(&line("/a"), false);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["time"], "2026-11-18T11:06:40.042Z");
    assert_eq!(value["client.address"], "2001:db8::1");
    assert_eq!(value["list.entry"], "10.0.0.0/8");
    assert_eq!(value["code"], "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    assert_eq!(value["duration_us"], 1_234);
    assert!(!text.contains("secret"));
    let page = include_str!("../../../docs/reference/access-log.md");
    for field in value.as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{field}`")), "docs/reference/access-log.md does not name {field}");
    }
    let with_query: serde_json::Value = serde_json::from_str(&written(&line("/a"), true)).unwrap();
    assert_eq!(with_query["query"], "secret=1");
}

#[test]
fn nothing_breaks_out_of_a_line() {
    let nasty = "/\"\\\n\r\t\u{1b}[31m\u{7f}\u{85}é😀\u{2028}";
    let text = written(&line(nasty), false);
    assert_eq!(text.lines().count(), 1);
    assert!(text.trim_end().bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["path"], nasty);
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let metrics = Arc::new(Metrics::new(Clock::system()).unwrap());
    let (queue, messages) = sync_channel(1);
    let mut recorder = Recorder {
        queue: Some(queue),
        metrics: Arc::clone(&metrics),
        refusals: Arc::default(),
        counting: Counting::new(Arc::default()),
        query: false,
        buffer: Vec::new(),
        lines: 0,
        stamp: super::line::Stamp::default(),
    };
    recorder.record(&line("/kept"));
    recorder.flush();
    recorder.record(&line("/lost"));
    recorder.record(&line("/lost"));
    recorder.flush();
    let text = String::from_utf8(metrics.encode().unwrap().0).unwrap();
    assert!(text.contains("portcullis_log_dropped_total 2"), "{text}");
    assert!(matches!(messages.try_recv(), Ok(Message::Lines { lines: 1, .. })));
}

#[test]
fn lines_reach_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let metrics = Arc::new(Metrics::new(Clock::system()).unwrap());
    let settings = AccessLogSettings { sink: AccessLogSink::File(path.clone()), query: false };
    let log = AccessLog::open(&settings, metrics).unwrap();
    let mut recorder = log.recorder();
    for _ in 0..1_000 {
        recorder.record(&line("/a"));
    }
    drop(recorder);
    log.close();
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1_000);
}
