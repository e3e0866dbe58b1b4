//! Stripes summed to what Prometheus reads; the page of metrics against the table.

use super::collect::METRICS;
use super::*;
use crate::clock::Timestamp;

#[test]
fn every_metric_has_a_value_and_stripes_are_summed() {
    let clock = Clock::manual(Timestamp::from_unix_seconds(100));
    let metrics = Metrics::new(clock.clone()).unwrap();
    let (one, other) = (metrics.stripe(), metrics.stripe());
    let upstream = one.upstream(&"api".into());
    upstream.request();
    upstream.queued(1);
    upstream.overloaded(Overload::CircuitOpen);
    upstream.endpoint("a:1").exchange(Exchange::TimedOut);
    upstream.endpoint("a:1").ejected();
    metrics.endpoints_checked([(("api".into(), "a:1".into()), false)].into());
    one.request(Outcome::Allow, Duration::from_micros(250));
    other.request(Outcome::Allow, Duration::from_micros(251));
    other.request(Outcome::Deny(Code::InvalidCredentials), Duration::from_secs(60));
    other.connection_opened();
    other.exchange_opened();
    let snapshot = crate::access::snapshot::Draft::new().finish(7);
    metrics.snapshot_applied(&snapshot, Duration::from_millis(5));
    metrics.log_dropped(3);
    clock.set(Timestamp::from_unix_seconds(142));
    let text = String::from_utf8(metrics.encode().unwrap().0).unwrap();
    for (name, ..) in METRICS {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} has no value:\n{text}");
    }
    for line in [
        r#"portcullis_requests_total{outcome="allow",code="OK"} 2"#,
        r#"portcullis_requests_total{outcome="deny",code="INVALID_CREDENTIALS"} 1"#,
        r#"portcullis_request_duration_seconds_bucket{le="0.00025"} 1"#,
        r#"portcullis_request_duration_seconds_bucket{le="10"} 2"#,
        r#"portcullis_request_duration_seconds_bucket{le="+Inf"} 3"#,
        r#"portcullis_upstream_requests_total{upstream="api"} 1"#,
        r#"portcullis_upstream_queued{upstream="api"} 1"#,
        r#"portcullis_upstream_overloads_total{upstream="api",reason="circuit_open"} 1"#,
        r#"portcullis_upstream_overloads_total{upstream="api",reason="queue_full"} 0"#,
        r#"portcullis_upstream_endpoint_exchanges_total{upstream="api",endpoint="a:1",outcome="timed_out"} 1"#,
        r#"portcullis_upstream_ejected{upstream="api",endpoint="a:1"} 1"#,
        r#"portcullis_upstream_endpoint_healthy{upstream="api",endpoint="a:1"} 0"#,
        "portcullis_snapshot_revision 7",
        "portcullis_snapshot_age_seconds 42",
        "portcullis_log_dropped_total 3",
        "portcullis_open_exchanges 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in:\n{text}");
    }
}

#[test]
fn the_reference_lists_exactly_these_metrics() {
    let page = include_str!("../../../docs/reference/metrics.md");
    for (name, ..) in METRICS {
        assert!(page.contains(&format!("`{name}`")), "docs/reference/metrics.md does not name {name}");
    }
    for word in page.split('`').filter(|word| word.starts_with("portcullis_")) {
        let name = word.split('{').next().unwrap_or(word);
        assert!(
            METRICS.iter().any(|(known, ..)| *known == name),
            "docs/reference/metrics.md names {name}, which is not there"
        );
    }
}
