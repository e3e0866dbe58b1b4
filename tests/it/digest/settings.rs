//! The realm and the nonce key: what is refused, what a reload takes over, and what is never written anywhere.

use std::process::Command;

use super::caller::{Algorithm, Attempt, Key, challenges};
use super::{ACTIVE, BOTH, DISABLED, PASSES, REFUSED, attempt, check, directory, setting};
use crate::programs::{PORTCULLIS, output};
use crate::stage::{START, Setting, wait_for};

fn checked(stage: &crate::stage::Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(PORTCULLIS);
    let output = output(command.arg("check").args(arguments).current_dir(stage.path("")));
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_realm_that_stored_ha1s_do_not_have_is_refused_and_the_keys_are_named() {
    let stage = setting().set();
    let good = stage.configuration().to_owned();
    stage.replace("other.yaml", good.replace("realm: Portcullis", "realm: Elsewhere"));
    let (code, said) = checked(&stage, &["other.yaml"]);
    assert_eq!(code, Some(78), "{said}");
    for id in ["5f0000000000000000000021", "5f0000000000000000000022", "`Elsewhere`", "`Portcullis`"] {
        assert!(said.contains(id), "{id}: {said}");
    }
    assert!(!said.contains("5f0000000000000000000025"), "that key has none: {said}");
    assert_eq!(checked(&stage, &["portcullis.yaml"]).0, Some(0));
    // Where Digest is off, nobody is refused by a realm.
    stage.replace("off.yaml", good.replace(BOTH, "credentials: { digest: off }"));
    assert_eq!(checked(&stage, &["off.yaml"]).0, Some(0));

    // A running gateway keeps what it has: first the configuration alone, then the directory alone.
    let before = attempt(&stage, ACTIVE, Algorithm::Sha256);
    let refused = "portcullis_configuration_reload_failures_total";
    stage.replace("portcullis.yaml", good.replace("realm: Portcullis", "realm: Elsewhere"));
    wait_for("the refusal", || stage.metric(refused) >= 1.0);
    assert_eq!(challenges(&stage.get("/", &[]))[0].realm, "Portcullis");
    check(&stage, &before, PASSES);
    // Both together are taken.
    stage.replace("directory.yaml", directory("Elsewhere"));
    wait_for("the new realm", || challenges(&stage.get("/", &[]))[0].realm == "Elsewhere");
    check(&stage, &before.clone().nc("00000002"), REFUSED);
    check(&stage, &Attempt { realm: "Elsewhere".into(), ..before.nc("00000003") }, REFUSED);
    check(&stage, &attempt(&stage, ACTIVE, Algorithm::Md5), PASSES);
}

const WITH_KEY: &str = "credentials: { digest: { realm: Portcullis, nonce_key_file: nonce.key } }";

fn with_key(key: [u8; 32]) -> Setting {
    Setting::new().directory(&directory("Portcullis")).gateway(WITH_KEY).file("nonce.key", key)
}

#[test]
fn gateways_with_one_key_take_each_others_nonces_and_a_new_key_ends_them() {
    let (one, two, three) = (with_key([7; 32]).set(), with_key([7; 32]).set(), with_key([8; 32]).set());
    let asked = attempt(&one, ACTIVE, Algorithm::Sha256);
    check(&three, &asked, REFUSED);
    check(&two, &asked, PASSES);
    // Another key file is another configuration, although no word of it has changed.
    let held = attempt(&two, ACTIVE, Algorithm::Sha256);
    two.replace("nonce.key", [8; 32]);
    let hang_on = attempt(&three, ACTIVE, Algorithm::Sha256);
    wait_for("the new key", || super::sent(&two, &hang_on).status == 200);
    check(&two, &held, REFUSED);
}

#[test]
fn no_digest_without_the_algorithm() {
    let stage = with_key([7; 32]).set();
    let offered: Vec<String> = challenges(&stage.get("/", &[])).into_iter().map(|one| one.algorithm).collect();
    assert_eq!(offered, ["SHA-256"], "MD5 is on only where it is named");
    let asked = attempt(&stage, ACTIVE, Algorithm::Sha256);
    check(&stage, &Attempt { algorithm: Algorithm::Md5, ..asked.clone() }, REFUSED);
    check(&stage, &asked, PASSES);
}

#[test]
fn explain_goes_through_it_step_by_step() {
    let stage = with_key([7; 32]).set();
    let explained = |attempt: &Attempt, seconds: i64| {
        let at = portcullis::clock::Timestamp::from_unix_seconds(START.unix_seconds() + seconds).to_string();
        let mut command = Command::new(PORTCULLIS);
        command.args(["explain", "--config"]).arg(stage.path("portcullis.yaml"));
        command.args(["--peer", "127.0.0.1", "--at", &at, "--header", &attempt.line()]);
        let said = output(&mut command);
        (said.status.code(), String::from_utf8_lossy(&said.stdout).into_owned())
    };
    let asked = attempt(&stage, ACTIVE, Algorithm::Sha256);
    let (code, said) = explained(&asked, 1);
    assert_eq!(code, Some(0), "{said}");
    for line in ["claim           Digest", "nonce           of this gateway", "proof           the Digest response is"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    // It uses nothing up.
    check(&stage, &asked, PASSES);
    let (code, said) = explained(&asked, 60);
    assert!(code == Some(2) && said.contains("nonce has expired") && said.contains("try again"), "{said}");
    let (code, said) = explained(&Attempt { key: Key(ACTIVE.0, "wrong"), ..asked.clone() }, 1);
    assert!(code == Some(2) && said.contains("response is wrong"), "{said}");
    let (code, said) = explained(&asked.nonce("\", realm=\""), 1);
    assert!(code == Some(2) && said.contains("proof           a parameter of Digest stands twice"), "{said}");
}

#[test]
fn h6_no_ha1_and_no_response_is_written_anywhere() {
    let stage = setting().set();
    let mut secrets = Vec::new();
    let mut told = String::new();
    for key in [ACTIVE, DISABLED, Key(ACTIVE.0, "wrong-secret-4711")] {
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            let attempt = attempt(&stage, key, algorithm);
            let line = attempt.line();
            secrets.extend([key.1.to_owned(), key.ha1(algorithm, "Portcullis"), attempt.response()]);
            for line in [line.clone(), line.clone() + ", nc=1", line.replace("nc=", "cn="), line.replace('"', "")] {
                told += &format!("{:?}\n", stage.get("/", &[&line]));
            }
        }
    }
    // A directory and a configuration that are refused for what is in them.
    let shifted = directory("Portcullis").replace("md5: \"", "md5: \"f");
    stage.replace("broken.yaml", shifted);
    told += &checked(&stage, &["broken.yaml"]).1;
    stage.replace("other.yaml", stage.configuration().replace("realm: Portcullis", "realm: Elsewhere"));
    told += &checked(&stage, &["other.yaml"]).1;
    told += &format!("{:?}{}", stage.log_of(24), stage.telemetry_page("/metrics").text());
    for secret in secrets {
        assert!(!told.contains(&secret), "H6: {secret}");
    }
}
