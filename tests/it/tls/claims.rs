//! Client certificates as credentials of service accounts (decision.md §5).

use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::certificate;
use super::clients::{asked, demanding, showing};
use super::proxies::{Made, naming};
use crate::http2::client::{Http2, play, request};
use crate::programs::{PORTCULLIS, succeed};
use crate::stage::{KEY_OPEN, Setting, Stage, directory, wait_for};

const API: &str = "spiffe://mesh/ns/orders/sa/api";

/// Accounts beside the keys of the stage: one of a URI that has a list, and one of a whole certificate.
fn accounts(pinned: &str, list: &str) -> String {
    format!(
        "{}    service_accounts:\n\
         \x20     - {{ client_id: pcl_sa_id_5f0000000000000000000091, name: api, certificate: {{ san_uri: \"{API}\" }}, access_list: [{list}] }}\n\
         \x20     - {{ client_id: pcl_sa_id_5f0000000000000000000092, name: pinned, certificate: {{ sha256: '{pinned}' }} }}\n",
        directory()
    )
}

fn sha256(of: &Made) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, of.cert.der());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Cast {
    own: Made,
    api: Made,
    pinned: Made,
    stranger: Made,
}

impl Cast {
    fn new() -> Self {
        Self {
            own: certificate(&["api.example.com"]),
            api: naming(&[API]),
            pinned: naming(&[]),
            stranger: naming(&["spiffe://mesh/ns/orders/sa/api2"]),
        }
    }

    fn setting(&self) -> Setting {
        demanding(&self.own, &[&self.api, &self.pinned, &self.stranger])
            .directory(&accounts(&sha256(&self.pinned), "127.0.0.0/8"))
            .gateway("credentials: { client_certificates: on }")
    }

    /// The status and the code that a request with these lines gets from who shows this certificate.
    fn ask(&self, stage: &Stage, shown: &Made, lines: &str) -> String {
        let (config, lines) = (showing(&self.own, Some(shown)), format!("Host: api.example.com\r\n{lines}"));
        let answer = asked(stage, &config, "api.example.com", &lines).unwrap_or_default();
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        match answer.split("\"errorCode\":\"").nth(1) {
            Some(code) => format!("{status} {}", code.split('"').next().unwrap_or_default()),
            None => status,
        }
    }
}

#[test]
fn c14_a_certificate_is_the_credential_of_the_account_that_it_names() {
    let cast = Cast::new();
    let stage = cast.setting().set();
    let key = format!("X-API-Key: {KEY_OPEN}\r\n");
    assert_eq!(cast.ask(&stage, &cast.api, ""), "200");
    let seen = stage.upstream.nth(1);
    assert_eq!(seen.header("x-portcullis-credential"), Some("5f0000000000000000000091"));
    assert_eq!(seen.header("x-portcullis-credential-type"), Some("SERVICE_ACCOUNT"));
    assert_eq!(cast.ask(&stage, &cast.pinned, ""), "200");
    assert_eq!(stage.upstream.nth(2).header("x-portcullis-credential"), Some("5f0000000000000000000092"));
    // Who is named by nobody goes by what they carry, and nobody carries another's.
    assert_eq!(cast.ask(&stage, &cast.stranger, ""), "401 CREDENTIALS_REQUIRED");
    assert_eq!(cast.ask(&stage, &cast.stranger, &key), "200");
    assert_eq!(cast.ask(&stage, &cast.api, &key), "400 AMBIGUOUS_CREDENTIALS");
    // It is the account's own list that counts, from the next request on.
    stage.replace("directory.yaml", accounts(&sha256(&cast.pinned), "192.0.2.0/24"));
    wait_for("the other list", || cast.ask(&stage, &cast.api, "") == "403 IP_ADDRESS_NOT_ON_ACCESS_LIST");
    let line = stage.log().pop().unwrap();
    assert_eq!(
        (&line["credential.type"], &line["credential.id"]),
        (&"SERVICE_ACCOUNT".into(), &"5f0000000000000000000091".into())
    );
}

#[test]
fn it_is_the_credential_of_a_stream_too() {
    let cast = Cast::new();
    let stage = cast.setting().set();
    let mut config = Arc::unwrap_or_clone(showing(&cast.own, Some(&cast.api)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    play(async {
        let stream = tokio::net::TcpStream::connect(stage.gateway()).await.unwrap();
        let name = ServerName::try_from("api.example.com").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let mut client = Http2::over(stream, |builder| builder).await;
        assert_eq!(client.ask(request("GET", "/", &[])).await.unwrap().0.status, 200);
    });
    assert_eq!(stage.upstream.nth(1).header("x-portcullis-credential"), Some("5f0000000000000000000091"));
}

#[test]
fn an_explanation_takes_the_certificate_too() {
    let cast = Cast::new();
    let stage = cast.setting().set();
    let explain = |more: &[&str]| {
        let mut command = Command::new(PORTCULLIS);
        command.arg("explain").arg("--config").arg(stage.path("portcullis.yaml"));
        command.args(["--peer", "127.0.0.1"]).args(more);
        succeed(&mut command)
    };
    for more in [&["--peer-uri", API][..], &["--peer-certificate", &sha256(&cast.pinned)]] {
        let told = explain(more);
        assert!(told.contains("the peer's certificate names a service account"), "{told}");
    }
}
