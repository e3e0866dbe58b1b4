//! Certificates and authorities that are replaced while connections are served: taken whole, or refused whole.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::{Tls, ask, certificate, client, connect, connect_to, secured};
use crate::served::Served;
use crate::stage::{KEY_OPEN, Setting, Stage, directory, wait_for};

const REFUSALS: &str = "portcullis_configuration_reload_failures_total";

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

fn made() -> Made {
    certificate(&["api.example.com"])
}

/// Whether whoever trusts this certificate alone gets through the handshake.
fn trusted(gateway: SocketAddr, made: &Made) -> bool {
    let config = Arc::new(client(made, rustls::ALL_VERSIONS));
    let mut tls = connect_to(gateway, &config);
    tls.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").is_ok()
}

/// The key first, so that there is a moment at which the two do not go together.
fn put(stage: &Stage, made: &Made) {
    stage.replace("tls.key", made.signing_key.serialize_pem());
    stage.replace("tls.crt", made.cert.pem());
}

fn opened(stage: &Stage, made: &Made) -> Tls {
    let mut tls = connect(stage, &Arc::new(client(made, rustls::ALL_VERSIONS)));
    assert!(ask(&mut tls).starts_with("HTTP/1.1 200 OK\r\n"));
    tls
}

#[test]
fn new_handshakes_use_the_new_certificate_and_open_connections_go_on() {
    let (old, new) = (made(), made());
    let stage = secured(&old).set();
    let mut open = opened(&stage, &old);
    put(&stage, &new);
    wait_for("the new certificate", || trusted(stage.gateway(), &new));
    assert!(!trusted(stage.gateway(), &old));
    assert!(ask(&mut open).starts_with("HTTP/1.1 200 OK\r\n"));
    opened(&stage, &new);
}

#[test]
fn what_cannot_be_used_is_refused_and_the_old_certificate_stays() {
    let (old, new) = (made(), made());
    let stage = secured(&old).set();
    let (pem, nonsense) = (new.cert.pem(), "-----BEGIN CERTIFICATE-----\nAAAA");
    for (count, (what, text)) in
        (1..).zip([("the certificate of another key", pem.as_str()), ("no PEM", nonsense), ("an empty file", "")])
    {
        stage.replace("tls.crt", text);
        wait_for(what, || stage.metric(REFUSALS) == f64::from(count));
        assert!(trusted(stage.gateway(), &old), "{what}");
    }
    // What has nothing to do with it does not wait, and the refusal is told once.
    stage.replace("directory.yaml", directory().replace("192.0.2.0/24", "192.0.2.0/25"));
    stage.wait_for_revision(2.0);
    assert_eq!(stage.metric(REFUSALS), 3.0);
    std::fs::remove_file(stage.path("tls.crt")).unwrap();
    wait_for("no file", || stage.metric(REFUSALS) == 4.0);
    assert!(trusted(stage.gateway(), &old));
    put(&stage, &new);
    wait_for("the new certificate", || trusted(stage.gateway(), &new));
    opened(&stage, &new);
}

#[test]
fn a_faulty_configuration_does_not_keep_a_certificate_from_being_renewed() {
    let (old, new) = (made(), made());
    let stage = secured(&old).set();
    stage.replace("portcullis.yaml", stage.configuration().replace("upstream: api", "upstream: nowhere"));
    wait_for("the refusal", || stage.metric(REFUSALS) == 1.0);
    put(&stage, &new);
    wait_for("the new certificate", || trusted(stage.gateway(), &new));
    // And the other way round: a configuration whose files can't be used is refused with them.
    std::fs::write(stage.path("tls.crt"), "").unwrap();
    stage.replace("portcullis.yaml", stage.configuration().replace("path: /,", "path: /new,"));
    wait_for("both refusals", || stage.metric(REFUSALS) >= 3.0);
    assert_eq!(stage.metric("portcullis_configuration_applied_total"), 1.0);
    assert!(trusted(stage.gateway(), &new));
}

/// A connection that the former authority has let in is not used again either.
#[test]
fn a_changed_authority_of_an_upstream_is_used_and_a_bad_one_is_not() {
    let (right, wrong) = (certificate(&["api.internal"]), certificate(&["api.internal"]));
    let upstream = secured(&right).set();
    let tls = "{ ca: ca.crt, server_name: api.internal }";
    let address = upstream.gateway();
    let stage = Setting::new()
        .gateway(&format!("upstreams: {{ api: {{ endpoints: [\"https://{address}\"], tls: {tls} }} }}"))
        .gateway("credentials: { forward: true }")
        .file("ca.crt", right.cert.pem())
        .set();
    let status = || stage.get("/", &[&format!("X-API-Key: {KEY_OPEN}")]).status;
    let connections = || stage.metric("portcullis_upstream_connections_total{upstream=\"api\"}");
    assert_eq!((status(), status(), connections()), (200, 200, 1.0));

    for (count, text) in [(1.0, "-----BEGIN CERTIFICATE-----\nAAAA"), (2.0, "")] {
        stage.replace("ca.crt", text);
        wait_for("the bad authority", || stage.metric(REFUSALS) == count);
        assert_eq!((status(), connections()), (200, 1.0), "the old one stays");
    }
    stage.replace("ca.crt", wrong.cert.pem());
    wait_for("the other authority", || status() == 502);
    stage.replace("ca.crt", format!("{}{}", wrong.cert.pem(), right.cert.pem()));
    wait_for("both authorities", || status() == 200);
    // An unrelated reload keeps the connection.
    let before = connections();
    stage.replace("portcullis.yaml", stage.configuration().replace("path: /,", "path: /, methods: [GET],"));
    wait_for("the configuration", || stage.metric("portcullis_configuration_applied_total") == 2.0);
    assert_eq!((status(), connections()), (200, before));
    assert_eq!(stage.metric(REFUSALS), 2.0);
}

/// The folder itself is swapped by a link above it, which no watch sees.
#[test]
fn sighup_reads_certificates_again() {
    let (old, new) = (made(), made());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, made) in [("first", &old), ("second", &new)] {
        std::fs::create_dir_all(at("tls").join(name)).unwrap();
        std::fs::write(at("tls").join(name).join("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(at("tls").join(name).join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    }
    symlink("first", at("tls/live")).unwrap();
    std::fs::create_dir(at("etc")).unwrap();
    let tls = "{ certificate: ../tls/live/tls.crt, private_key: ../tls/live/tls.key }";
    let configuration = format!(
        "gateway:\n  listen: [{{ address: \"127.0.0.1:0\", tls: {tls} }}]\n  workers: 1\n\
         directory: {{ demonstration: true }}\ntelemetry: {{ listen: \"127.0.0.1:0\", access_log: {{ to: off }} }}\n"
    );
    std::fs::write(at("etc/portcullis.yaml"), configuration).unwrap();
    let mut served = Served::start(&at("etc"), "portcullis.yaml");
    assert!(trusted(served.gateway(), &old));
    symlink("second", at("tls/next")).unwrap();
    std::fs::rename(at("tls/next"), at("tls/live")).unwrap();
    served.signal("HUP");
    wait_for("the new certificate", || trusted(served.gateway(), &new));
    assert!(!trusted(served.gateway(), &old));
}
