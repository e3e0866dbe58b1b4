//! THREATS H8 on the proof alone: a table of responses, each wrong in one way; the example of the RFC; and what a refusal may
//! tell by the operations that it takes.

mod parts;

use http::Request;

use super::header::parse;
use super::*;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement, Fingerprint, Grants};
use crate::access::decision::{self, NoTrace};
use crate::access::digest_secret::{DigestSecret, DigestUser};
use crate::access::snapshot::{CredentialSpec, Draft, OrganizationSpec};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const REALM: &str = "Portcullis";
const SECRET: &str = "40395d07-a353-4881-853b-43efa41339a1";
const NEXT: &str = "99995d07-a353-4881-853b-43efa41339a2";

fn hashed(algorithm: Algorithm, parts: &[&str]) -> Vec<u8> {
    let mut hash = Hash::new(algorithm);
    hash.update(parts.join(":").as_bytes());
    hash.finish().bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn secret(user: &str, realm: &str, key: &str, algorithms: &[Algorithm]) -> DigestSecret {
    let ha1 = |algorithm| algorithms.contains(&algorithm).then(|| hashed(algorithm, &[user, realm, key]));
    DigestSecret {
        realm: realm.into(),
        sha256: ha1(Algorithm::Sha256).map(|ha1| ha1.try_into().unwrap()),
        md5: ha1(Algorithm::Md5).map(|ha1| ha1.try_into().unwrap()),
    }
}

fn snapshot() -> Snapshot {
    let mut draft = Draft::new();
    let organization = "5f0000000000000000000001".parse().unwrap();
    let spec =
        OrganizationSpec { id: organization, name: "acme".into(), mode: AccessListMode::Off, network_sets: Vec::new() };
    draft.organization(spec).unwrap();
    let both = [Algorithm::Sha256, Algorithm::Md5];
    for (number, user, secrets) in [
        (1, "bothboth", vec![secret("bothboth", REALM, SECRET, &both)]),
        (2, "disabled", vec![secret("disabled", REALM, SECRET, &both)]),
        (3, "expiredd", vec![secret("expiredd", REALM, SECRET, &both)]),
        (4, "rotating", vec![secret("rotating", REALM, SECRET, &both), secret("rotating", REALM, NEXT, &both)]),
        (5, "onlymdfi", vec![secret("onlymdfi", REALM, SECRET, &[Algorithm::Md5])]),
        (6, "otherone", vec![secret("otherone", "Other", SECRET, &both)]),
        (7, "havenone", Vec::new()),
    ] {
        let name = fingerprint::of_digest_user([user.as_bytes()]);
        let spec = CredentialSpec {
            id: format!("5f000000000000000000001{number}").parse().unwrap(),
            kind: CredentialKind::ApiKey,
            organization,
            fingerprints: vec![fingerprint::of_key(format!("{user}.{SECRET}").as_bytes())],
            enabled: user != "disabled",
            expires_at: if user == "expiredd" { NOW } else { Timestamp::NEVER },
            enforcement: Enforcement::Enforce,
            grants: Grants::default(),
            access_list: Vec::new(),
            digest: (!secrets.is_empty()).then_some(DigestUser { name, secrets }),
        };
        draft.credential(spec).unwrap();
    }
    draft.finish(1)
}

fn settings() -> Digest {
    Digest { realm: REALM.into(), algorithms: vec![Algorithm::Sha256, Algorithm::Md5], nonce_key: None }
}

/// What a client sends; a test changes one thing of it.
#[derive(Clone)]
struct Attempt {
    user: String,
    key: &'static str,
    realm: &'static str,
    algorithm: Algorithm,
    written: Option<&'static str>,
    nonce: String,
    nc: &'static str,
    qop: &'static str,
    method: &'static str,
    uri: &'static str,
    /// Where it is another one than that of `uri`.
    target: Option<&'static str>,
}

impl Attempt {
    fn new(nonces: &Nonces, user: &str, algorithm: Algorithm) -> Self {
        let settings = Digest { algorithms: vec![algorithm], ..settings() };
        let challenge = nonces.challenges(&settings, NOW, false).next().unwrap();
        let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        Self {
            user: user.into(),
            key: SECRET,
            realm: REALM,
            algorithm,
            written: Some(algorithm.as_str()),
            nonce,
            nc: "00000001",
            qop: "auth",
            method: "GET",
            uri: "/api?a=1",
            target: None,
        }
    }

    fn line(&self) -> String {
        self.line_of(&hashed(self.algorithm, &[&self.user, self.realm, self.key]))
    }

    fn line_of(&self, ha1: &[u8]) -> String {
        let ha1 = hex(ha1);
        let ha2 = hex(&hashed(self.algorithm, &[self.method, self.uri]));
        let response = hex(&hashed(self.algorithm, &[&ha1, &self.nonce, self.nc, "0a4f113b", self.qop, &ha2]));
        let Self { user, realm, nonce, nc, qop, uri, .. } = self;
        let algorithm = self.written.map(|name| format!("algorithm={name}, ")).unwrap_or_default();
        format!(
            "username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", {algorithm}qop={qop}, nc={nc}, \
             cnonce=\"0a4f113b\", response=\"{response}\""
        )
    }

    fn prove(&self, nonces: &Nonces, now: Timestamp) -> Result<Fingerprint, (bool, &'static str)> {
        self.traced(nonces, now, &mut NoTrace)
    }

    fn traced<T: Trace>(
        &self,
        nonces: &Nonces,
        now: Timestamp,
        trace: &mut T,
    ) -> Result<Fingerprint, (bool, &'static str)> {
        self.judged(&self.line(), nonces, now, trace)
    }

    fn judged<T: Trace>(
        &self,
        line: &str,
        nonces: &Nonces,
        now: Timestamp,
        trace: &mut T,
    ) -> Result<Fingerprint, (bool, &'static str)> {
        let request = Request::builder().method(self.method).uri(self.target.unwrap_or(self.uri));
        let (head, ()) = request.body(()).unwrap().into_parts();
        match nonces.prove(line.as_bytes(), &settings(), &snapshot(), &head, now, trace) {
            Proof::Response(fingerprint) => Ok(fingerprint),
            Proof::Refused(why) => Err((false, why)),
            Proof::Stale(why) => Err((true, why)),
            Proof::Malformed(why) => panic!("malformed: {why}"),
            _ => panic!("no such proof comes of a response"),
        }
    }
}

fn nonces() -> Nonces {
    Nonces::new(NOW)
}

#[track_caller]
fn refused(attempt: &Attempt, nonces: &Nonces, stale: bool, word: &str) {
    match attempt.prove(nonces, NOW) {
        Err((told, why)) => assert!(told == stale && why.contains(word), "{told}: {why}"),
        Ok(_) => panic!("it passed; `{word}` was expected"),
    }
}

#[test]
fn the_example_of_the_rfc() {
    let ha1 = |algorithm| hashed(algorithm, &["Mufasa", "http-auth@example.org", "Circle of Life"]);
    for (algorithm, response) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        // RFC 7616 §3.9.1, line by line.
        let line = format!(
            "username=\"Mufasa\",\r\n realm=\"http-auth@example.org\",\r\n uri=\"/dir/index.html\",\r\n \
             algorithm={},\r\n nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\",\r\n nc=00000001,\r\n \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\",\r\n qop=auth,\r\n response=\"{response}\",\r\n \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
            algorithm.as_str()
        );
        let line = line.replace("\r\n", "");
        let Ok(presented) = parse(line.as_bytes()) else { panic!("it parses") };
        let (head, ()) = Request::builder().uri("/dir/index.html").body(()).unwrap().into_parts();
        let target = target(&head).unwrap();
        assert!(presented.uri.is(&target) && presented.count == 1);
        let expected = Expected { presented: &presented, algorithm, ha2: ha2(algorithm, &head, &target) };
        assert!(bool::from(expected.compare(&ha1(algorithm))));
        let mut wrong = ha1(algorithm);
        wrong[0] ^= 1;
        assert!(!bool::from(expected.compare(&wrong)));
    }
}

/// In HTTP/2 the authority is a field of its own, and no part of what is signed.
#[test]
fn the_target_is_what_stands_in_the_request_line() {
    let of = |version, uri: &str| {
        let head = Request::builder().version(version).uri(uri).body(()).unwrap().into_parts().0;
        target(&head).map(|parts| String::from_utf8(parts.concat()).unwrap())
    };
    for (version, uri, expected) in [
        (http::Version::HTTP_11, "/a?b", Some("/a?b")),
        (http::Version::HTTP_11, "http://h/a?b", Some("http://h/a?b")),
        (http::Version::HTTP_10, "http://h/a?b", Some("http://h/a?b")),
        (http::Version::HTTP_2, "http://h/a?b", Some("/a?b")),
        (http::Version::HTTP_11, "h:443", None),
    ] {
        assert_eq!(of(version, uri).as_deref(), expected, "{version:?} {uri}");
    }
}

#[test]
fn right_responses() {
    let nonces = nonces();
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        let attempt = Attempt::new(&nonces, "bothboth", algorithm);
        let expected = fingerprint::of_key(format!("bothboth.{SECRET}").as_bytes());
        assert!(attempt.prove(&nonces, NOW).is_ok_and(|found| found == expected));
        for (name, key) in [("one of two", SECRET), ("the other", NEXT)] {
            let attempt = Attempt { key, ..Attempt::new(&nonces, "rotating", algorithm) };
            assert!(attempt.prove(&nonces, NOW).is_ok(), "{name}");
        }
    }
    for written in [None, Some("md5"), Some("\"MD5\"")] {
        assert!(Attempt { written, ..Attempt::new(&nonces, "onlymdfi", Algorithm::Md5) }.prove(&nonces, NOW).is_ok());
    }
    for (method, uri) in
        [("POST", "/api"), ("OPTIONS", "*"), ("GET", "http://a.example:80/x?y=%20"), ("GET", "/a//b/../c;d")]
    {
        let attempt = Attempt { method, uri, ..Attempt::new(&nonces, "bothboth", Algorithm::Sha256) };
        assert!(attempt.prove(&nonces, NOW).is_ok(), "{uri}");
    }
}

#[test]
fn h8_wrong_in_one_way() {
    let nonces = nonces();
    let of = |user| Attempt::new(&nonces, user, Algorithm::Sha256);
    let good = || of("bothboth");
    let with_nonce = |nonce: String| Attempt { nonce, ..good() };
    refused(&Attempt { key: NEXT, ..good() }, &nonces, false, "response is wrong");
    refused(&Attempt { key: "", ..good() }, &nonces, false, "response is wrong");
    refused(&of("nobodyis"), &nonces, false, "no key with HA1s");
    refused(&of("havenone"), &nonces, false, "no key with HA1s");
    refused(&of("BOTHBOTH"), &nonces, false, "no key with HA1s");
    refused(&of("onlymdfi"), &nonces, false, "no HA1 for this");
    refused(&of("otherone"), &nonces, false, "no HA1 for this");
    refused(&Attempt { realm: "Other", ..of("otherone") }, &nonces, false, "realm");
    refused(&Attempt { qop: "auth-int", ..good() }, &nonces, false, "qop");
    refused(&Attempt { written: Some("SHA-256-sess"), ..good() }, &nonces, false, "algorithm");
    refused(&Attempt { written: Some("SHA-512-256"), ..good() }, &nonces, false, "algorithm");
    // Another algorithm's nonce, and a response by another hash than the name's.
    let md5 = Attempt::new(&nonces, "bothboth", Algorithm::Md5);
    refused(&with_nonce(md5.nonce.clone()), &nonces, false, "nonce is not");
    refused(&Attempt { written: Some("SHA-256"), ..md5.clone() }, &nonces, false, "nonce is not");
    refused(&Attempt { written: None, ..good() }, &nonces, false, "nonce is not");
    refused(&Attempt { algorithm: Algorithm::Md5, ..good() }, &nonces, false, "response is wrong");
    // Another gateway's, with a key of its own.
    refused(
        &with_nonce(Attempt::new(&Nonces::new(NOW), "bothboth", Algorithm::Sha256).nonce),
        &nonces,
        false,
        "nonce is not",
    );
    for nonce in ["", "x", "AAAA", &"A".repeat(64), &"=".repeat(64), &"A".repeat(4096)] {
        refused(&with_nonce(nonce.to_owned()), &nonces, false, "nonce is not");
    }
    refused(&with_nonce(good().nonce + "A"), &nonces, false, "nonce is not");
    for uri in ["/api", "/api?a=2", "/API?a=1", "/api?a=%31", "//api?a=1", "http://a/api?a=1"] {
        refused(&Attempt { uri, target: Some("/api?a=1"), ..good() }, &nonces, false, "uri");
    }
    refused(&Attempt { uri: "/api", target: Some("http://a/api"), ..good() }, &nonces, false, "uri");
    // Nothing of all that has used a count.
    assert_eq!(nonces.windows.nonces(), 0);
}

#[test]
fn what_stands_in_for_an_ha1_opens_nothing() {
    let nonces = nonces();
    for user in ["bothboth", "nobodyis", "havenone", "onlymdfi", "otherone", "rotating", "disabled"] {
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            let attempt = Attempt::new(&nonces, user, algorithm);
            for ha1 in [&DUMMY[..hash::length(algorithm)], &DUMMY, &[], &[0; 32][..hash::length(algorithm)]] {
                let told = attempt.judged(&attempt.line_of(ha1), &nonces, NOW, &mut NoTrace);
                assert!(told.is_err_and(|(stale, _)| !stale), "{user}");
            }
        }
    }
}

#[test]
fn h8_every_character_of_a_nonce_counts() {
    let nonces = nonces();
    let good = Attempt::new(&nonces, "bothboth", Algorithm::Sha256);
    for at in 0..good.nonce.len() {
        let mut nonce = good.nonce.clone();
        let other = if &nonce[at..=at] == "A" { "B" } else { "A" };
        nonce.replace_range(at..=at, other);
        refused(&Attempt { nonce, ..good.clone() }, &nonces, false, "nonce is not");
    }
    assert!(good.prove(&nonces, NOW).is_ok());
}

#[test]
fn h8_a_count_is_used_once() {
    let nonces = nonces();
    let first = Attempt::new(&nonces, "bothboth", Algorithm::Sha256);
    let with = |nc| Attempt { nc, ..first.clone() };
    assert!(first.prove(&nonces, NOW).is_ok());
    refused(&first, &nonces, true, "used before");
    // Parallel clients reorder within the window.
    for nc in ["00000040", "00000003", "00000002", "0000003F"] {
        assert!(with(nc).prove(&nonces, NOW).is_ok(), "{nc}");
        refused(&with(nc), &nonces, true, "used before");
    }
    refused(&with("0000003f"), &nonces, true, "used before");
    assert!(with("00000042").prove(&nonces, NOW).is_ok());
    // 0x42 - 0x02 is 64: out of the window whether it was used or not.
    refused(&with("00000002"), &nonces, true, "used before");
    assert!(with("ffffffff").prove(&nonces, NOW).is_ok());
    refused(&with("00000043"), &nonces, true, "used before");
    // Whoever has not the key learns nothing of it, and uses nothing up.
    refused(&Attempt { key: NEXT, ..with("ffffffff") }, &nonces, false, "response is wrong");
    refused(&Attempt { key: NEXT, ..with("fffffffe") }, &nonces, false, "response is wrong");
    assert!(with("fffffffe").prove(&nonces, NOW).is_ok());
    assert_eq!(nonces.windows.nonces(), 1);
}

#[test]
fn h8_nonces_live_for_a_minute() {
    let nonces = nonces();
    let at = |seconds: i64| Timestamp::from_unix_seconds(NOW.unix_seconds() + seconds);
    let attempt = Attempt::new(&nonces, "bothboth", Algorithm::Sha256);
    let with = |nc| Attempt { nc, ..attempt.clone() };
    assert!(with("00000001").prove(&nonces, at(0)).is_ok());
    assert!(with("00000002").prove(&nonces, at(59)).is_ok());
    let expired = Err((true, "the Digest nonce has expired"));
    let told = |attempt: &Attempt, seconds| attempt.prove(&nonces, at(seconds)).map(|_| ());
    assert_eq!(told(&with("00000003"), 60), expired);
    // Whoever asks: nobody is told who exists.
    assert_eq!(told(&Attempt { user: "nobodyis".into(), ..with("00000003") }, 60), expired);
    assert_eq!(told(&Attempt { key: NEXT, ..with("00000003") }, 4_000_000_000), expired);
    assert_eq!(told(&with("00000003"), -61), expired);
    // A clock that goes back brings nothing to life that has been forgotten.
    let other = Attempt::new(&nonces, "bothboth", Algorithm::Sha256);
    assert_eq!(told(&other, 30), Ok(()));
    let later = Nonces::new(at(100));
    assert!(Attempt::new(&later, "bothboth", Algorithm::Sha256).prove(&later, at(100)).is_err_and(|(stale, _)| stale));
}

#[test]
fn a_key_that_is_off_uses_nothing_up() {
    // Otherwise a second try would tell that the first was right.
    let nonces = nonces();
    for user in ["disabled", "expiredd"] {
        let attempt = Attempt::new(&nonces, user, Algorithm::Sha256);
        assert!(attempt.prove(&nonces, NOW).is_ok() && attempt.prove(&nonces, NOW).is_ok(), "the decision refuses it");
    }
    assert_eq!(nonces.windows.nonces(), 0);
}

#[derive(Default, PartialEq, Debug)]
struct Steps(Vec<DigestStep>);

impl decision::Trace for Steps {
    const RECORDS: bool = true;
    fn step(&mut self, _: decision::Step<'_>) {}
}

impl Trace for Steps {
    fn digest(&mut self, step: DigestStep) {
        self.0.push(step);
    }
}

#[test]
fn h7_every_user_costs_the_same() {
    let nonces = nonces();
    let steps = |attempt: Attempt| {
        let mut steps = Steps::default();
        let _ = attempt.traced(&nonces, NOW, &mut steps);
        steps
    };
    let expected = Steps(vec![DigestStep::Nonce { issued: NOW }, DigestStep::Compared, DigestStep::Compared]);
    for user in ["bothboth", "nobodyis", "havenone", "disabled", "expiredd", "rotating", "onlymdfi", "otherone"] {
        for key in [SECRET, NEXT, "wrong"] {
            for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
                assert_eq!(steps(Attempt { key, ..Attempt::new(&nonces, user, algorithm) }), expected, "{user}");
            }
        }
    }
}

#[test]
fn challenges_are_complete_and_fresh() {
    let nonces = nonces();
    let all = |settings: &Digest, stale| nonces.challenges(settings, NOW, stale).collect::<Vec<_>>();
    let both = all(&settings(), false);
    let form = |algorithm| format!("Digest realm=\"Portcullis\", qop=\"auth\", algorithm={algorithm}, nonce=\"");
    assert!(both.len() == 2 && both[0].starts_with(&form("SHA-256")) && both[1].starts_with(&form("MD5")));
    assert!(all(&settings(), true).iter().all(|challenge| challenge.ends_with("\", stale=true")));
    assert_ne!(both, all(&settings(), false));
    assert_eq!(all(&Digest { algorithms: vec![Algorithm::Md5], ..settings() }, false).len(), 1);
}

#[test]
fn gateways_with_one_key_know_each_others_nonces() {
    let key = |bytes: &[u8]| crate::config::settings::NonceKey {
        file: "nonce.key".into(),
        key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        sha256: [0; 32],
    };
    let with = |bytes: &[u8]| Digest { nonce_key: Some(key(bytes)), ..settings() };
    let (one, other) = (nonces(), nonces());
    let challenge = one.challenges(&with(&[7; 32]), NOW, false).next().unwrap();
    let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let line = Attempt { nonce, ..Attempt::new(&one, "bothboth", Algorithm::Sha256) }.line();
    let (head, ()) = Request::builder().uri("/api?a=1").body(()).unwrap().into_parts();
    let prove = |settings: &Digest| other.prove(line.as_bytes(), settings, &snapshot(), &head, NOW, &mut NoTrace);
    assert!(matches!(prove(&with(&[8; 32])), Proof::Refused(_)));
    assert!(matches!(prove(&Digest { realm: "Other".into(), ..with(&[7; 32]) }), Proof::Refused(_)));
    assert!(matches!(prove(&with(&[7; 32])), Proof::Response(_)));
    assert!(matches!(prove(&with(&[7; 32])), Proof::Stale(_)));
    // One that has started since then can't know whether it was used before.
    let later = Timestamp::from_unix_seconds(NOW.unix_seconds() + 1);
    let restarted = Nonces::new(later);
    let told = restarted.prove(line.as_bytes(), &with(&[7; 32]), &snapshot(), &head, later, &mut NoTrace);
    assert!(matches!(told, Proof::Stale(_)));
}
