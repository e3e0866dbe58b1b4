//! Proxies that are believed for what their certificate names (threats.md C13).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::clients::{demanding, showing};
use super::{Tls, certificate, connect_to};
use crate::http2::client::{Http2, play, request};
use crate::stage::{DEADLINE, KEY_OPEN, Setting, Stage, wait_for};

pub type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

const PROXY: &str = "spiffe://mesh/ns/edge/sa/proxy";

/// A certificate that names these URIs, and is its own authority.
pub fn naming(uris: &[&str]) -> Made {
    let mut parameters = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
    let names = uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap()));
    parameters.subject_alt_names.extend(names);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertifiedKey { cert: parameters.self_signed(&signing_key).unwrap(), signing_key }
}

/// Who is let in, and who of them is the proxy.
struct Cast {
    own: Made,
    proxy: Made,
    other: Made,
    bare: Made,
}

impl Cast {
    fn new() -> Self {
        Self {
            own: certificate(&["api.example.com"]),
            proxy: naming(&["https://proxy.example.com/", PROXY]),
            other: naming(&["spiffe://mesh/ns/edge/sa/proxy2", "spiffe://mesh/ns/edge/sa"]),
            bare: naming(&[]),
        }
    }

    fn setting(&self) -> Setting {
        demanding(&self.own, &[&self.proxy, &self.other, &self.bare])
            .gateway(&format!("client_address: {{ trusted_proxies: [{{ cidr: 127.0.0.0/8, san_uri: \"{PROXY}\" }}] }}"))
    }

    fn client(&self, shown: &Made) -> Arc<ClientConfig> {
        showing(&self.own, Some(shown))
    }
}

fn question() -> String {
    let header = format!("Host: api.example.com\r\nX-API-Key: {KEY_OPEN}\r\nX-Forwarded-For: 203.0.113.9");
    format!("GET / HTTP/1.1\r\n{header}\r\nX-Forwarded-Proto: ftp\r\n\r\n")
}

/// The client address that the upstream is told of a request on this connection.
fn told(stage: &Stage, tls: &mut Tls) -> String {
    let before = stage.upstream.seen().len();
    tls.write_all(question().as_bytes()).unwrap();
    let seen = stage.upstream.nth(before + 1);
    let mut answer = [0; 4096];
    assert!(tls.read(&mut answer).unwrap() > 0);
    let client = seen.header("x-portcullis-client-address").unwrap().to_owned();
    // What else a trusted proxy may say goes by the same rule.
    let believed = client == "203.0.113.9";
    assert_eq!(seen.header("x-forwarded-proto"), Some(if believed { "ftp" } else { "https" }));
    assert_eq!(seen.all("x-forwarded-for"), [if believed { "203.0.113.9, 127.0.0.1" } else { "127.0.0.1" }]);
    client
}

#[test]
fn c13_a_proxy_is_believed_for_what_its_certificate_names() {
    let cast = Cast::new();
    let stage = cast.setting().set();
    for (shown, expected) in [(&cast.proxy, "203.0.113.9"), (&cast.other, "127.0.0.1"), (&cast.bare, "127.0.0.1")] {
        let mut tls = connect_to(stage.gateway(), &cast.client(shown));
        // For as long as the connection lives.
        assert_eq!([told(&stage, &mut tls), told(&stage, &mut tls)], [expected, expected]);
    }
    let sources: Vec<_> = stage.log_of(6).iter().map(|line| line["client.source"].clone()).collect();
    assert_eq!(sources, ["header", "header", "peer", "peer", "peer", "peer"]);
}

#[test]
fn c13_each_stream_of_http_2_goes_by_the_certificate_of_its_connection() {
    let cast = Cast::new();
    let stage = cast.setting().set();
    let lines = [("x-api-key", KEY_OPEN), ("x-forwarded-for", "203.0.113.9")];
    for (shown, expected) in [(&cast.proxy, "203.0.113.9"), (&cast.other, "127.0.0.1")] {
        let before = stage.upstream.seen().len();
        let mut config = Arc::unwrap_or_clone(cast.client(shown));
        config.alpn_protocols = vec![b"h2".to_vec()];
        play(async {
            let stream = tokio::net::TcpStream::connect(stage.gateway()).await.unwrap();
            let name = ServerName::try_from("api.example.com").unwrap();
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
            let mut client = Http2::over(stream, |builder| builder).await;
            for _ in 0..2 {
                assert_eq!(client.ask(request("GET", "/", &lines)).await.unwrap().0.status, 200);
            }
        });
        for count in [1, 2] {
            let seen = stage.upstream.nth(before + count);
            assert_eq!(seen.header("x-portcullis-client-address"), Some(expected));
        }
    }
}

/// The certificate was shown once; what it has to name is asked for each request.
#[test]
fn c13_a_reload_reaches_connections_that_are_open() {
    let cast = Cast::new();
    let stage = cast.setting().set();
    let mut tls = connect_to(stage.gateway(), &cast.client(&cast.other));
    assert_eq!(told(&stage, &mut tls), "127.0.0.1");
    let text = stage.configuration().replace(&format!("{PROXY}\""), &format!("{PROXY}2\""));
    assert_ne!(text, stage.configuration());
    stage.replace("portcullis.yaml", text);
    wait_for("the other name", || stage.metric("portcullis_configuration_applied_total") == 2.0);
    assert_eq!(told(&stage, &mut tls), "203.0.113.9");
    stage.replace("portcullis.yaml", stage.configuration());
    wait_for("the first name", || stage.metric("portcullis_configuration_applied_total") == 3.0);
    assert_eq!(told(&stage, &mut tls), "127.0.0.1");
}

/// C10: what a PROXY header names is not who has shown the certificate.
#[test]
fn c13_behind_the_proxy_protocol_no_certificate_counts() {
    let cast = Cast::new();
    let tls = "tls: { certificate: tls.crt, private_key: tls.key, client_ca: clients.crt }";
    let proxied = format!("{{ address: \"127.0.0.1:0\", proxy_protocol: {{ trusted: [127.0.0.1] }}, {tls} }}");
    let stage = cast.setting().listen(&format!("{proxied}, {{ address: \"127.0.0.1:0\", {tls} }}")).set();
    for (header, expected) in [
        ("PROXY TCP4 127.0.0.2 127.0.0.1 4711 443\r\n", "127.0.0.2"),
        ("PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\n", "192.0.2.1"),
    ] {
        let before = stage.upstream.seen().len();
        let mut stream = TcpStream::connect(stage.gateway()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(header.as_bytes()).unwrap();
        let name = ServerName::try_from("api.example.com").unwrap();
        let connection = rustls::ClientConnection::new(cast.client(&cast.proxy), name).unwrap();
        let mut tls = Tls::new(connection, stream);
        tls.write_all(question().as_bytes()).unwrap();
        let seen = stage.upstream.nth(before + 1);
        assert_eq!(seen.header("x-portcullis-client-address"), Some(expected));
    }
}

/// Connections of a proxy are many clients', also where that is known from the handshake on only.
#[test]
fn a_certified_proxy_has_as_many_connections_as_it_likes() {
    let cast = Cast::new();
    let stage = cast.setting().gateway("limits: { connections_per_address: 1 }").set();
    let mut kept: Vec<Tls> = Vec::new();
    for _ in 0..3 {
        let mut tls = connect_to(stage.gateway(), &cast.client(&cast.proxy));
        assert_eq!(told(&stage, &mut tls), "203.0.113.9");
        kept.push(tls);
    }
    let mut first = connect_to(stage.gateway(), &cast.client(&cast.other));
    assert_eq!(told(&stage, &mut first), "127.0.0.1");
    assert_eq!(stage.metric("portcullis_connections_over_limit_total"), 0.0);
    let mut second = connect_to(stage.gateway(), &cast.client(&cast.other));
    assert!(second.write_all(question().as_bytes()).is_err() || second.read(&mut [0]).is_err());
    wait_for("the count", || stage.metric("portcullis_connections_over_limit_total") == 1.0);
}
