//! Handshakes with certificates made on the spot.

use super::*;

fn files(folder: &Path) -> CertificateFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = CertificateFiles { certificate: folder.join("tls.crt"), private_key: folder.join("tls.key") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.private_key, made.signing_key.serialize_pem()).unwrap();
    files
}

fn one(files: CertificateFiles) -> ListenTls {
    ListenTls { certificates: vec![files], client_ca: None }
}

#[test]
fn a_pair_is_read_and_early_data_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let (_, config) = server_config(&one(files(folder.path()))).unwrap();
    assert_eq!(config.max_early_data_size, 0);
    assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let source = TlsAcceptorSource::new(Arc::clone(&config), true);
    let (_, other) = server_config(&one(files(folder.path()))).unwrap();
    source.replace(Arc::clone(&other));
    assert!(Arc::ptr_eq(&source.current(), &other));
    let alone = TlsAcceptorSource::new(config, false);
    assert_eq!(alone.current().alpn_protocols, [b"http/1.1".to_vec()]);
    alone.replace(other);
    assert_eq!(alone.current().alpn_protocols, [b"http/1.1".to_vec()]);
}

#[test]
fn faults_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(folder.path());
    let absent = one(CertificateFiles { certificate: folder.path().join("absent.crt"), ..good.clone() });
    assert!(server_config(&absent).unwrap_err().to_string().contains("absent.crt"));
    let empty = folder.path().join("empty.crt");
    std::fs::write(&empty, "").unwrap();
    assert!(matches!(
        server_config(&one(CertificateFiles { certificate: empty, ..good.clone() })),
        Err(TlsFault::NoCertificate { .. })
    ));
    let other = tempfile::tempdir().unwrap();
    let foreign = one(CertificateFiles { private_key: files(other.path()).private_key, ..good.clone() });
    assert!(matches!(server_config(&foreign), Err(TlsFault::Pair { .. })));
    let second = ListenTls { certificates: vec![good, foreign.certificates[0].clone()], client_ca: None };
    assert!(matches!(server_config(&second), Err(TlsFault::Pair { .. })));
}

#[test]
fn upstreams_are_verified_by_their_own_ca_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ca = files(folder.path()).certificate;
    assert!(client_side(&UpstreamFiles { ca: Some(ca), certificate: None }).is_ok());
    let (chains, config) = client_side(&UpstreamFiles::default()).unwrap();
    assert!(chains.is_empty() && !config.client_auth_cert_resolver.has_certs());
    let named = UpstreamTls { server_name: Some("api.internal".to_owned()), ..UpstreamTls::default() };
    assert_eq!(server_name(&named, "10.0.0.1").unwrap().to_str(), "api.internal");
    assert_eq!(server_name(&UpstreamTls::default(), "10.0.0.1").unwrap().to_str(), "10.0.0.1");
    assert!(server_name(&UpstreamTls::default(), "not a name").is_err());
}

#[test]
fn an_upstream_is_shown_a_certificate_that_goes_with_its_key() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let good = files(folder.path());
    let shown = |certificate: &CertificateFiles| {
        client_side(&UpstreamFiles { ca: Some(good.certificate.clone()), certificate: Some(certificate.clone()) })
    };
    let (chains, config) = shown(&good).unwrap();
    assert!(chains.len() == 2 && config.client_auth_cert_resolver.has_certs());
    let foreign = CertificateFiles { private_key: files(other.path()).private_key, ..good.clone() };
    assert!(matches!(shown(&foreign), Err(TlsFault::Pair { .. })));
}
