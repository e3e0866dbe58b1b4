//! What scanners of TLS find.

use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use portcullis::clock::Clock;

use crate::programs::{output, program, succeed};
use crate::stage::{Setting, Stage};

/// A gateway with a certificate as authorities issue them: scanners judge its dates and uses as well.
fn issued() -> Stage {
    let day = |from_now: i64| {
        let moment = Clock::system().now().unix_seconds() + 24 * 3600 * from_now;
        let date = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(moment).unwrap()).date();
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // With the name of what it signs it would look as if that had signed itself.
    authority.distinguished_name.push(DnType::CommonName, "Authority of the tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (authority.not_before, authority.not_after) = (day(-2), day(300));
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (day(-2), day(120));
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    Setting::new()
        .listen("{ address: \"127.0.0.1:0\", tls: { certificate: tls.crt, private_key: tls.key } }")
        .file("tls.crt", leaf.pem())
        .file("tls.key", key.serialize_pem())
        .file("ca.crt", authority.pem())
        .set()
}

/// Mozilla's "intermediate" configuration: versions, ciphers, curves, the certificate, and the known attacks.
#[test]
fn sslyze_finds_nothing() {
    let stage = issued();
    let told = succeed(
        Command::new(program("sslyze"))
            .args(["--mozilla_config=intermediate", "--certinfo_ca_file"])
            .arg(stage.path("ca.crt"))
            .arg(format!("localhost:{}", stage.gateway().port())),
    );
    assert!(told.contains("OK - Compliant"), "{told}");
}

#[test]
fn testssl_finds_nothing_of_weight() {
    let stage = issued();
    let (found, authority) = (stage.path("found.json"), stage.path("ca.crt"));
    let mut command = Command::new(program("testssl"));
    // Protocols, ciphers and their order, what the server shows, and attacks; not what old clients would agree on.
    command.args("--quiet --color 0 --warnings off --ip 127.0.0.1 -p -s -f -P -S -U".split(' '));
    command.arg("--add-ca").arg(&authority).arg("--jsonfile").arg(&found);
    let ran = output(command.arg(format!("localhost:{}", stage.gateway().port())));
    let text = std::fs::read_to_string(&found).unwrap_or_else(|_| panic!("{ran:?}"));
    let found: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(found.len() > 50, "{text}");
    let passed = |id: &str| found.iter().any(|one| one["id"] == id && one["severity"] == "OK");
    for id in ["TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "secure_renego", "cipherlist_STRONG", "cert_chain_of_trust"] {
        assert!(passed(id), "{id}: {text}");
    }
    // Clients may choose among ciphers that are all good: they know whether they have AES in hardware. Revocation and CAA
    // are matters of the certificate and its zone.
    let known = ["cipher_order", "cert_revocation", "DNS_CAArecord"];
    let of_weight = |one: &&serde_json::Value| {
        let severity = one["severity"].as_str().unwrap_or_default();
        ["LOW", "MEDIUM", "HIGH", "CRITICAL"].contains(&severity)
    };
    let left: Vec<_> = found
        .iter()
        .filter(of_weight)
        .filter(|one| !known.iter().any(|known| one["id"].as_str().is_some_and(|id| id.starts_with(known))))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}
