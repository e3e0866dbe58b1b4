//! Several certificates on one listener, sessions that outlive a renewal, and key exchange that outlives quantum computers.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{HandshakeKind, NamedGroup};

use super::{ask, certificate, client, connect, connect_as, secured};
use crate::stage::{Setting, Stage, wait_for};

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

const FILES: [&str; 3] = ["first", "api", "wild"];

fn set(made: &[Made; 3]) -> Stage {
    let listed = FILES.map(|file| format!("{{ certificate: {file}.crt, private_key: {file}.key }}")).join(", ");
    let listen = format!("{{ address: \"127.0.0.1:0\", tls: {{ certificates: [{listed}] }} }}");
    let setting = FILES.iter().zip(made).fold(Setting::new().listen(&listen), |setting, (file, made)| {
        setting
            .file(&format!("{file}.crt"), made.cert.pem())
            .file(&format!("{file}.key"), made.signing_key.serialize_pem())
    });
    setting.set()
}

/// Whether whoever trusts this certificate alone, and asks for this name, gets through the handshake.
fn shows(gateway: SocketAddr, name: &str, made: &Made) -> bool {
    let mut tls = connect_as(name, gateway, &Arc::new(client(made, rustls::ALL_VERSIONS)));
    tls.conn.complete_io(&mut tls.sock).is_ok()
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let made = || [&["api.example.com"][..], &["admin.example.com", "127.0.0.1"], &["*.example.org"]].map(certificate);
    let [api, first, wild] = made();
    let made = [first, api, wild];
    let [first, api, wild] = &made;
    let stage = set(&made);
    let gateway = stage.gateway();
    for (name, expected) in
        [("api.example.com", api), ("admin.example.com", first), ("a.example.org", wild), ("127.0.0.1", first)]
    {
        assert!(shows(gateway, name, expected), "{name}");
    }
    // Nobody's name: the first, which is not good for it.
    assert!(!shows(gateway, "nobody.example.com", api) && !shows(gateway, "nobody.example.com", first));
    // One is renewed, and one that can't be used keeps all of them as they were.
    let renewed = certificate(&["a.example.org"]);
    stage.replace("wild.crt", "nonsense");
    let refused = "portcullis_configuration_reload_failures_total";
    wait_for("the refusal", || stage.metric(refused) == 1.0);
    assert!(shows(gateway, "a.example.org", wild) && shows(gateway, "api.example.com", api));
    stage.replace("wild.key", renewed.signing_key.serialize_pem());
    stage.replace("wild.crt", renewed.cert.pem());
    wait_for("the renewed certificate", || shows(gateway, "a.example.org", &renewed));
    assert!(shows(gateway, "api.example.com", api) && !shows(gateway, "b.example.org", &renewed));
}

#[test]
fn sessions_are_resumed_by_any_worker_and_after_a_renewal() {
    let old = certificate(&["api.example.com"]);
    let stage = secured(&old).workers(2).set();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        // Trusts the authority of its first handshake alone: what follows is resumed or fails.
        let config = Arc::new(client(&old, &[version]));
        ask(&mut connect(&stage, &config));
        for _ in 0..8 {
            let mut again = connect(&stage, &config);
            ask(&mut again);
            assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }
    let config = Arc::new(client(&old, rustls::ALL_VERSIONS));
    ask(&mut connect(&stage, &config));
    let new = certificate(&["api.example.com"]);
    stage.replace("tls.key", new.signing_key.serialize_pem());
    stage.replace("tls.crt", new.cert.pem());
    wait_for("the new certificate", || shows(stage.gateway(), "api.example.com", &new));
    let mut again = connect(&stage, &config);
    assert!(ask(&mut again).starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn keys_are_exchanged_by_a_hybrid_where_the_client_knows_it() {
    let made = certificate(&["api.example.com"]);
    let stage = secured(&made).set();
    let exchanged = |offered: &[NamedGroup]| {
        let mut config = client(&made, &[&rustls::version::TLS13]);
        let mut provider = (**config.crypto_provider()).clone();
        provider.kx_groups.retain(|group| offered.contains(&group.name()));
        assert_eq!(provider.kx_groups.len(), offered.len());
        config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates({
                let mut roots = rustls::RootCertStore::empty();
                roots.add(made.cert.der().clone()).unwrap();
                roots
            })
            .with_no_client_auth();
        let mut tls = connect(&stage, &Arc::new(config));
        tls.conn.complete_io(&mut tls.sock).unwrap();
        tls.conn.negotiated_key_exchange_group().map(|group| group.name())
    };
    let hybrid = NamedGroup::X25519MLKEM768;
    assert_eq!(exchanged(&[NamedGroup::X25519, NamedGroup::secp256r1, hybrid]), Some(hybrid));
    assert_eq!(exchanged(&[NamedGroup::X25519, NamedGroup::secp256r1]), Some(NamedGroup::X25519));
    assert_eq!(exchanged(&[NamedGroup::secp256r1]), Some(NamedGroup::secp256r1));
}
