//! TLS on both sides, through rustls as a client would use it.

mod claims;
mod clients;
mod names;
mod proxies;
mod renewal;
mod shown;
mod third_party;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::stage::{Client, DEADLINE, KEY_OPEN, Setting, Stage, wait_for};

/// A certificate for these names that is its own authority.
pub fn certificate(names: &[&str]) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

pub fn secured(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Setting {
    Setting::new()
        .listen("{ address: \"127.0.0.1:0\", tls: { certificate: tls.crt, private_key: tls.key } }")
        .file("tls.crt", made.cert.pem())
        .file("tls.key", made.signing_key.serialize_pem())
}

fn client(made: &rcgen::CertifiedKey<rcgen::KeyPair>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.enable_early_data = true;
    config
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(stage: &Stage, config: &Arc<ClientConfig>) -> Tls {
    connect_to(stage.gateway(), config)
}

fn connect_to(gateway: SocketAddr, config: &Arc<ClientConfig>) -> Tls {
    connect_as("api.example.com", gateway, config)
}

fn connect_as(name: &str, gateway: SocketAddr, config: &Arc<ClientConfig>) -> Tls {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(gateway).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream)
}

fn ask(tls: &mut Tls) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: api.example.com\r\nX-API-Key: {KEY_OPEN}\r\n\r\n");
    tls.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\nhello") && tls.read(&mut byte).unwrap_or(0) == 1 {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn both_versions_are_served_to_clients_of_http_1_1() {
    let made = certificate(&["api.example.com"]);
    let stage = secured(&made).set();
    for (version, expected) in
        [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let config = Arc::new(client(&made, &[version]));
        let mut tls = connect(&stage, &config);
        for _ in 0..2 {
            assert!(ask(&mut tls).starts_with("HTTP/1.1 200 OK\r\n"));
        }
        assert_eq!((tls.conn.protocol_version(), tls.conn.alpn_protocol()), (Some(expected), Some(&b"http/1.1"[..])));
    }
    assert!(stage.upstream.seen().iter().all(|seen| seen.header("x-forwarded-proto") == Some("https")));
}

#[test]
fn a_connection_rests_and_is_served_again() {
    let made = certificate(&["api.example.com"]);
    let stage = secured(&made).set();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut tls = connect(&stage, &Arc::new(client(&made, &[version])));
        for _ in 0..2 {
            assert!(ask(&mut tls).starts_with("HTTP/1.1 200 OK\r\n"));
            wait_for("rest", || stage.metric("portcullis_resting_connections") == 1.0);
        }
        drop(tls);
        wait_for("the end", || stage.metric("portcullis_open_connections") == 0.0);
    }
    // A drain says good-bye to who rests.
    let mut tls = connect(&stage, &Arc::new(client(&made, &[&rustls::version::TLS13])));
    assert!(ask(&mut tls).starts_with("HTTP/1.1 200 OK\r\n"));
    wait_for("rest", || stage.metric("portcullis_resting_connections") == 1.0);
    drop(stage);
    assert_eq!(tls.read(&mut [0]).unwrap(), 0, "a cut would be an error");
}

#[test]
fn the_version_of_http_is_agreed_on() {
    let made = certificate(&["api.example.com"]);
    let agreed = |stage: &Stage, offered: &[&str]| {
        let mut config = client(&made, &[&rustls::version::TLS13]);
        config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let mut tls = connect(stage, &Arc::new(config));
        // Nothing but the handshake.
        let shaken = tls.conn.complete_io(&mut tls.sock).map(drop).map_err(drop);
        shaken.map(|()| tls.conn.alpn_protocol().map(|protocol| String::from_utf8(protocol.to_vec()).unwrap()))
    };
    let (both, first) = (secured(&made).set(), Ok(Some("h2".to_owned())));
    for (offered, expected) in
        [(&["http/1.1", "h2"][..], first.clone()), (&["h2"], first), (&[], Ok(None)), (&["spdy/3"], Err(()))]
    {
        assert_eq!(agreed(&both, offered), expected, "{offered:?}");
    }
    let tls = "tls: { certificate: tls.crt, private_key: tls.key }";
    let alone = secured(&made).listen(&format!("{{ address: \"127.0.0.1:0\", http2: off, {tls} }}")).set();
    assert_eq!(agreed(&alone, &["h2", "http/1.1"]), Ok(Some("http/1.1".into())));
    assert_eq!(agreed(&alone, &["h2"]), Err(()));
}

/// threats.md F7: a session is resumed, but no data comes before its handshake.
#[test]
fn f7_early_data_is_never_taken() {
    let made = certificate(&["api.example.com"]);
    let stage = secured(&made).set();
    let config = Arc::new(client(&made, &[&rustls::version::TLS13]));
    ask(&mut connect(&stage, &config));
    let mut resumed = connect(&stage, &config);
    assert!(resumed.conn.early_data().is_none(), "the ticket allows early data");
    assert!(ask(&mut resumed).starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(resumed.conn.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn what_is_no_tls_is_closed_and_counted() {
    let made = certificate(&["api.example.com"]);
    let stage = secured(&made).gateway("timeouts: { header: 300ms }").set();
    // Plain HTTP, nonsense, a fragment of a handshake, silence.
    for bytes in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"\xff\xff\xff\xff\xff\xff", b"\x16\x03\x01", b""] {
        let mut plain = Client::connect(stage.gateway());
        plain.write(bytes);
        assert!(!plain.rest().contains("HTTP"), "{bytes:?}");
    }
    crate::stage::wait_for("the count", || stage.metric("portcullis_connections_refused_total") == 4.0);
    assert!(stage.log().is_empty() && stage.upstream.seen().is_empty());
    // A client that does not trust us asks nothing.
    let mut stranger = connect(&stage, &Arc::new(client(&certificate(&["api.example.com"]), rustls::ALL_VERSIONS)));
    assert!(stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").is_err());
}

/// An upstream is verified by its own authority and for its own name, or not spoken to.
#[test]
fn an_https_upstream_is_verified() {
    let made = certificate(&["api.internal"]);
    let upstream = secured(&made).set();
    for (what, tls, expected) in [
        ("its authority and its name", "{ ca: ca.crt, server_name: api.internal }", 200),
        ("another name", "{ ca: ca.crt, server_name: other.internal }", 502),
        ("the endpoint's own address", "{ ca: ca.crt }", 502),
        ("the system's authorities", "{ server_name: api.internal }", 502),
        ("another authority", "{ ca: other.crt, server_name: api.internal }", 502),
    ] {
        let address = upstream.gateway();
        let stage = Setting::new()
            .gateway(&format!("upstreams: {{ api: {{ endpoints: [\"https://{address}\"], tls: {tls} }} }}"))
            .gateway("credentials: { forward: true }")
            .file("ca.crt", made.cert.pem())
            .file("other.crt", certificate(&["api.internal"]).cert.pem())
            .set();
        let before = upstream.upstream.seen().len();
        for _ in 0..2 {
            let answer = stage.get("/", &[&format!("X-API-Key: {KEY_OPEN}")]);
            assert_eq!(answer.status, expected, "{what}: {}", answer.text());
        }
        if expected == 200 {
            assert_eq!(stage.metric("portcullis_upstream_connections_total{upstream=\"api\"}"), 1.0);
        } else {
            assert_eq!(stage.log_of(2)[1]["code"], "UPSTREAM_UNREACHABLE", "{what}");
            assert_eq!(upstream.upstream.seen().len(), before, "{what}: nothing was sent");
        }
    }
}
