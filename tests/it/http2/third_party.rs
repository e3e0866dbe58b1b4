//! Clients of others: curl, nghttp and h2load (nghttp2), as they come.

use std::process::Command;

use super::setting;
use crate::programs::{program, succeed};
use crate::stage::{KEY, Stage};
use crate::tls::{certificate, secured};

fn key() -> String {
    format!("X-API-Key: {KEY}")
}

/// The same stage with TLS.
fn encrypted() -> Stage {
    secured(&certificate(&["localhost"])).set()
}

#[test]
fn curl_asks_sends_and_is_refused() {
    for (stage, scheme) in [(setting().set(), "http"), (encrypted(), "https")] {
        let url = format!("{scheme}://{}/x", stage.gateway());
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        std::fs::write(&large, vec![b'x'; 3_000_000]).unwrap();
        let curl = |arguments: &[&str]| {
            let mut command = Command::new(program("curl"));
            command.args(["-sSk", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]);
            command.arg(if scheme == "http" { "--http2-prior-knowledge" } else { "--http2" });
            succeed(command.args(arguments).arg(&url))
        };
        let file = large.to_str().unwrap();
        assert_eq!(curl(&["-H", &key()]), "2 200");
        assert_eq!(curl(&["-H", &key(), "-T", file]), "2 200");
        assert_eq!(stage.upstream.nth(2).body.len(), 3_000_000);
        assert_eq!(curl(&["-I"]), "2 401");
        // Whether it is refused before, while or after it sends: it sees why.
        for _ in 0..5 {
            assert_eq!(curl(&["-T", file]), "2 401");
        }
    }
}

#[test]
fn h2load_keeps_many_streams_busy() {
    for (stage, scheme) in [(setting().workers(2).set(), "http"), (encrypted(), "https")] {
        let url = format!("{scheme}://{}/x", stage.gateway());
        let told =
            succeed(Command::new(program("h2load")).args(["-n", "2000", "-c", "4", "-m", "50", "-H", &key(), &url]));
        assert!(told.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{told}");
        assert!(told.contains("2000 2xx"), "{told}");
    }
}

/// What goes over the wire, as another implementation reads it.
#[test]
fn nghttp_reads_limits_and_answers() {
    let stage = setting().set();
    let url = format!("http://{}/x", stage.gateway());
    let told = succeed(Command::new(program("nghttp")).args(["-nv", "-H", &key(), &url]));
    for told_so in
        ["SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100", "SETTINGS_MAX_HEADER_LIST_SIZE(0x06):65536", ":status: 200"]
    {
        assert!(told.contains(told_so), "{told}");
    }
    assert!(!told.contains("recv RST_STREAM") && !told.contains("recv GOAWAY"), "{told}");
}
