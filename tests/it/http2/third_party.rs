//! Clients of others: curl, nghttp and h2load (nghttp2), and gRPC on both sides, as they come.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::setting;
use crate::programs::{Running, eventually, free_port, nginx, package, program, succeed};
use crate::stage::{KEY, KEY_WITHOUT_LIST, Stage};
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

/// gRPC's own client and server: calls of every kind, large messages, statuses, deadlines, cancellation and refusals.
#[test]
fn grpc_passes_through() {
    let script = package().join("tests/clients/grpc-calls.py");
    let mut command = Command::new(program("http-clients-python"));
    let mut server = Running::start(command.arg(&script).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut address = String::new();
    BufReader::new(server.child().stdout.take().unwrap()).read_line(&mut address).unwrap();
    let upstream = format!("upstreams: {{ api: {{ endpoints: [\"h2c://{}\"] }} }}", address.trim());
    let stage = setting().gateway(&upstream).workers(2).set();
    let mut command = Command::new(program("http-clients-python"));
    let gateway = stage.gateway().to_string();
    let told = succeed(command.arg(&script).args(["call", &gateway, KEY, KEY_WITHOUT_LIST]));
    let expected = [
        "unary b'hello' 5",
        "large True",
        "counts b'499'",
        "adds b'6'",
        "echoes 20 b'19'",
        "fails ('FAILED_PRECONDITION', 'not today: ä', 'test')",
        "deadline DEADLINE_EXCEEDED",
        "noticed b'yes'",
        "told b'x-forwarded-for,x-forwarded-host,x-forwarded-proto,x-portcullis-client-address,\
         x-portcullis-credential,x-portcullis-credential-type,x-portcullis-org,x-portcullis-projects,\
         x-portcullis-request-id,x-portcullis-roles'",
        "no key UNAUTHENTICATED",
        "stranger PERMISSION_DENIED",
        "unknown UNIMPLEMENTED",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

/// nginx as an upstream of HTTP/2 with TLS, and as one that can't.
#[test]
fn nginx_speaks_http2_behind_tls_where_it_is_asked_to() {
    let made = certificate(&["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let (able, unable) = (free_port(), free_port());
    let server = |listen: &str| {
        format!(
            "server {{ listen {listen}; ssl_certificate {at}/tls.crt; ssl_certificate_key {at}/tls.key;\n\
             location / {{ return 200 \"$server_protocol $host\"; }} }}\n"
        )
    };
    let both = [format!("127.0.0.1:{able} ssl http2"), format!("127.0.0.1:{unable} ssl")].map(|listen| server(&listen));
    let _nginx = nginx(folder.path(), &both.concat());
    for port in [able, unable] {
        eventually("nginx listens", Duration::from_secs(20), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).map(drop)
        });
    }
    let before = |port: u16| {
        let endpoint = format!("endpoints: [\"h2://127.0.0.1:{port}\"], tls: {{ ca: ca.crt, server_name: localhost }}");
        setting().file("ca.crt", made.cert.pem()).gateway(&format!("upstreams: {{ api: {{ {endpoint} }} }}")).set()
    };
    let stage = before(able);
    for _ in 0..2 {
        let answer = stage.get("/", &[&key()]);
        assert_eq!((answer.status, answer.text().as_str()), (200, "HTTP/2.0 api.example.com"));
    }
    let answer = before(unable).get("/", &[&key()]);
    assert_eq!(answer.status, 502, "{}", answer.text());
}
