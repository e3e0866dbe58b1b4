//! Clients that have to show a certificate.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::{certificate, connect_as};
use crate::stage::{KEY_OPEN, Setting, Stage, wait_for};

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

/// A gateway whose clients have to show one of these certificates.
pub fn demanding(own: &Made, known: &[&Made]) -> Setting {
    Setting::new()
        .listen(
            "{ address: \"127.0.0.1:0\", tls: { certificate: tls.crt, private_key: tls.key, client_ca: clients.crt } }",
        )
        .file("tls.crt", own.cert.pem())
        .file("tls.key", own.signing_key.serialize_pem())
        .file("clients.crt", known.iter().map(|made| made.cert.pem()).collect::<String>())
}

pub fn showing(own: &Made, shown: Option<&Made>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(made) => {
            let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![made.cert.der().clone()], key).unwrap()
        }
    })
}

/// The status that a request for this host gets on a connection for this name, if any.
fn status(stage: &Stage, config: &Arc<ClientConfig>, name: &str, host: &str) -> Option<u16> {
    let lines = format!("Host: {host}\r\nX-API-Key: {KEY_OPEN}\r\n");
    asked(stage, config, name, &lines)?.split(' ').nth(1)?.parse().ok()
}

/// All that a request with these header lines is answered on a connection for this name, if it is.
pub fn asked(stage: &Stage, config: &Arc<ClientConfig>, name: &str, lines: &str) -> Option<String> {
    let mut tls = connect_as(name, stage.gateway(), config);
    tls.write_all(format!("GET / HTTP/1.1\r\n{lines}Connection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer);
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn who_shows_no_certificate_of_the_authority_is_not_let_in() {
    let (own, known, stranger) = (certificate(&["api.example.com"]), certificate(&["a"]), certificate(&["a"]));
    let stage = demanding(&own, &[&known]).set();
    let ask = |shown: Option<&Made>| status(&stage, &showing(&own, shown), "api.example.com", "api.example.com");
    assert_eq!([ask(Some(&known)), ask(None), ask(Some(&stranger))], [Some(200), None, None]);
    // The key is asked for all the same.
    assert_eq!(stage.upstream.seen().len(), 1);
    // Nobody goes on by an authority that is gone, and a bad file takes nobody's access.
    let config = showing(&own, Some(&known));
    assert_eq!(status(&stage, &config, "api.example.com", "api.example.com"), Some(200));
    stage.replace("clients.crt", "nonsense");
    wait_for("the refusal", || stage.metric("portcullis_configuration_reload_failures_total") == 1.0);
    assert_eq!(ask(Some(&known)), Some(200));
    stage.replace("clients.crt", stranger.cert.pem());
    wait_for("the other authority", || ask(Some(&stranger)) == Some(200));
    assert_eq!(status(&stage, &config, "api.example.com", "api.example.com"), None, "no session is resumed");
}

/// threats.md F5.
#[test]
fn f5_a_client_is_let_in_for_the_name_it_asked_for_alone() {
    let (own, known) = (certificate(&["api.example.com", "127.0.0.1"]), certificate(&["a"]));
    let stage = demanding(&own, &[&known]).set();
    let config = showing(&own, Some(&known));
    for (name, host, expected) in [
        ("api.example.com", "API.example.com:8443", 200),
        ("api.example.com", "api.example.com.", 200),
        ("api.example.com", "admin.example.com", 421),
        ("api.example.com", "127.0.0.1", 421),
        ("127.0.0.1", "api.example.com", 200), // asks for no name
    ] {
        assert_eq!(status(&stage, &config, name, host), Some(expected), "{name} {host}");
    }
    assert_eq!(stage.log_of(3)[2]["code"], "MISDIRECTED_REQUEST");
    // Where nobody shows a certificate, names are the routes' business.
    let stage = super::secured(&own).set();
    assert_eq!(status(&stage, &showing(&own, None), "api.example.com", "other.example.com"), Some(200));
}
