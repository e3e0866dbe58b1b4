//! Tests of `config::variables`.

use super::*;

#[test]
fn the_name_that_was_meant_is_told() {
    for (name, expected) in [
        ("PORTCULLIS_GATEWAY_WORKERS", "PORTCULLIS__GATEWAY__WORKERS"),
        ("PORTCULLIS_GATEWAY__WORKERS", "PORTCULLIS__GATEWAY__WORKERS"),
        ("portcullis_gateway_workers", "PORTCULLIS__GATEWAY__WORKERS"),
        ("PORTCULLIS_GATEWAY_WROKERS_NOW", "PORTCULLIS__GATEWAY__WROKERS_NOW"),
        ("PORTCULLIS_GATEWAY", "PORTCULLIS__GATEWAY"),
        ("PORTCULLIS_GATEWAY_DRAIN_TIMEOUT", "PORTCULLIS__GATEWAY__DRAIN_TIMEOUT"),
        ("PORTCULLIS_GATEWAY_LISTEN_0_TLS_PRIVATE_KEY", "PORTCULLIS__GATEWAY__LISTEN__0__TLS__PRIVATE_KEY"),
        ("PORTCULLIS_GATEWAY_CLIENT_ADDRESS_TRUSTED_PROXIES", "PORTCULLIS__GATEWAY__CLIENT_ADDRESS__TRUSTED_PROXIES"),
        ("PORTCULLIS_GATEWAY_UPSTREAMS_API_TLS_SERVER_NAME", "PORTCULLIS__GATEWAY__UPSTREAMS__API__TLS__SERVER_NAME"),
        ("PORTCULLIS_TELEMETRY_ACCESS_LOG_TO", "PORTCULLIS__TELEMETRY__ACCESS_LOG__TO"),
        ("PORTCULLIS_DIRECTORY_FILE", "PORTCULLIS__DIRECTORY__FILE"),
    ] {
        assert_eq!(meant(name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    for name in [
        "PORTCULLIS",
        "PORTCULLIS_",
        "PORTCULLIS__GATEWAY__WORKERS",
        "PORTCULLIS_CONFIG",
        "PORTCULLIS_LOG",
        "PORTCULLIS_VERSION",
        "PORTCULLIS_GATEWAYS_WORKERS",
        // What Kubernetes tells of Services called `portcullis` and `portcullis-gateway`.
        "PORTCULLIS_SERVICE_HOST",
        "PORTCULLIS_PORT_8080_TCP_ADDR",
        "PORTCULLIS_GATEWAY_SERVICE_HOST",
        "PORTCULLIS_GATEWAY_SERVICE_PORT_HTTP",
        "PORTCULLIS_GATEWAY_PORT",
        "PORTCULLIS_GATEWAY_PORT_8080_TCP",
        "GATEWAY_WORKERS",
        "PÖRTCULLIS_GATEWAY_WORKERS",
        "PORTCULLISÄ",
    ] {
        assert_eq!(meant(name), None, "{name}");
    }
}
