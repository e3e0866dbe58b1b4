//! What the gateway shows to upstreams that ask who it is.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::certificate;
use crate::stage::{KEY_OPEN, Setting, wait_for};

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

/// An upstream that lets in whoever shows one of these certificates, and tells which it was.
fn demanding(own: &Made, admitted: &[&Made]) -> (SocketAddr, Receiver<Vec<u8>>) {
    let mut roots = RootCertStore::empty();
    for made in admitted {
        roots.add(made.cert.der().clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, tell) = (Arc::clone(&config), tell.clone());
            std::thread::spawn(move || {
                let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream.unwrap());
                let (mut head, mut byte) = (Vec::new(), [0]);
                while tls.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        let shown = tls.conn.peer_certificates().unwrap()[0].to_vec();
                        let _ = tell.send(shown);
                        let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
                    }
                }
            });
        }
    });
    (address, told)
}

fn before(address: SocketAddr, tls: &str) -> Setting {
    Setting::new().gateway(&format!("upstreams: {{ api: {{ endpoints: [\"https://{address}\"], tls: {tls} }} }}"))
}

#[test]
fn an_upstream_that_asks_is_shown_the_certificate_and_its_renewal() {
    let (own, old, new) = (certificate(&["api.internal"]), certificate(&["gateway"]), certificate(&["gateway"]));
    let (address, told) = demanding(&own, &[&old, &new]);
    let ca = "ca: ca.crt, server_name: api.internal";
    let stage = before(address, &format!("{{ {ca}, certificate: own.crt, private_key: own.key }}"))
        .file("ca.crt", own.cert.pem())
        .file("own.crt", old.cert.pem())
        .file("own.key", old.signing_key.serialize_pem())
        .set();
    let ask = || {
        let answer = stage.get("/", &[&format!("X-API-Key: {KEY_OPEN}")]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        told.recv_timeout(crate::stage::DEADLINE).unwrap()
    };
    assert_eq!(ask(), old.cert.der().to_vec());
    // What can't be used is refused, and the old one goes on.
    let refused = "portcullis_configuration_reload_failures_total";
    stage.replace("own.crt", new.cert.pem());
    wait_for("the refusal", || stage.metric(refused) == 1.0);
    assert_eq!(ask(), old.cert.der().to_vec());
    stage.replace("own.key", new.signing_key.serialize_pem());
    wait_for("the renewed certificate", || ask() == new.cert.der().to_vec());

    // Who has nothing to show is not let in, and told so.
    let stage = before(address, &format!("{{ {ca} }}")).file("ca.crt", own.cert.pem()).set();
    let refused = stage.get("/", &[&format!("X-API-Key: {KEY_OPEN}")]);
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(told.try_recv().is_err());
}
