//! Digest authentication from outside: THREATS H8 line by line, what H1 and H7 say of it, and what its settings refuse.

mod caller;
mod settings;
mod third_party;

use std::collections::BTreeSet;

use crate::stage::{Answer, START, Setting, Stage};
use caller::{Algorithm, Attempt, Key, challenges};

const ACTIVE: Key = Key("mcpvrzod", "40395d07-a353-4881-853b-43efa41339a1");
const OTHER: Key = Key("othernet", "40395d07-a353-4881-853b-43efa41339a2");
const DISABLED: Key = Key("disabled", "40395d07-a353-4881-853b-43efa41339a4");
const EXPIRED: Key = Key("expiredk", "40395d07-a353-4881-853b-43efa41339a5");
const WITHOUT: Key = Key("withoutd", "40395d07-a353-4881-853b-43efa41339a6");
const NEXT: &str = "99995d07-a353-4881-853b-43efa41339a9";

/// Keys with HA1s for this realm: one that works, one that may not come from here, one that is off, one that has expired, and
/// one without any.
fn directory(realm: &str) -> String {
    let plain = |Key(public, private): Key, id: u8| {
        let secret = crate::stage::sha256(&format!("{public}.{private}"));
        format!("id: 5f00000000000000000000{id}, public_key: {public}, secret_sha256: \"{secret}\"")
    };
    let key = |key: Key, id: u8| format!("{}, digest: {}", plain(key, id), key.ha1s(realm));
    let (active, next) = (ACTIVE.ha1s(realm), Key(ACTIVE.0, NEXT).ha1s(realm));
    format!(
        "organizations:
  - id: 5f0000000000000000000001
    name: acme
    require_access_list: false
    api_keys:
      - {{ {}, digest: [{active}, {next}] }}
      - {{ {}, access_list: [192.0.2.1] }}
      - {{ {}, enabled: false }}
      - {{ {}, expires_at: 2026-01-01T00:00:00Z }}
      - {{ {} }}
",
        plain(ACTIVE, 21),
        key(OTHER, 22),
        key(DISABLED, 23),
        key(EXPIRED, 24),
        plain(WITHOUT, 25),
    )
}

const BOTH: &str = "credentials: { digest: { realm: Portcullis, algorithms: [SHA-256, MD5] } }";

fn setting() -> Setting {
    let limits = "limits: { failed_attempts: off }";
    Setting::new().directory(&directory("Portcullis")).gateway(BOTH).gateway(limits)
}

/// A first try with a fresh nonce for this algorithm.
fn attempt(stage: &Stage, key: Key, algorithm: Algorithm) -> Attempt {
    let asked = stage.get("/", &[]);
    let challenge = challenges(&asked).into_iter().find(|one| one.algorithm == algorithm.name()).unwrap();
    Attempt::new(key, algorithm, &challenge)
}

fn sent(stage: &Stage, attempt: &Attempt) -> Answer {
    stage.get(attempt.target(), &[&attempt.line()])
}

/// What became of it, and whether the client is told to try again.
fn outcome(answer: &Answer) -> (u16, bool) {
    let challenges = challenges(answer);
    let stale: BTreeSet<bool> = challenges.iter().map(|one| one.stale).collect();
    assert!(stale.len() <= 1, "one word for all: {challenges:?}");
    (answer.status, stale.contains(&true))
}

#[track_caller]
fn check(stage: &Stage, attempt: &Attempt, expected: (u16, bool)) {
    assert_eq!(outcome(&sent(stage, attempt)), expected, "H8: {}", attempt.line());
}

const PASSES: (u16, bool) = (200, false);
const REFUSED: (u16, bool) = (401, false);
const STALE: (u16, bool) = (401, true);

#[test]
fn h8_line_by_line() {
    let stage = setting().set();
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        let fresh = || attempt(&stage, ACTIVE, algorithm);
        // Reused, reordered, out of the window.
        let first = fresh();
        check(&stage, &first, PASSES);
        check(&stage, &first, STALE);
        for nc in ["00000005", "00000003", "00000004"] {
            check(&stage, &first.clone().nc(nc), PASSES);
            check(&stage, &first.clone().nc(nc), STALE);
        }
        check(&stage, &first.clone().nc("00000080"), PASSES);
        check(&stage, &first.clone().nc("00000006"), STALE);
        check(&stage, &first.clone().nc("00000041"), PASSES);
        // Foreign and altered nonces.
        let other = setting().set();
        check(&stage, &attempt(&other, ACTIVE, algorithm), REFUSED);
        check(&stage, &fresh().nonce("dcd98b7102dd2f0e8b11d0f600bfb0c093"), REFUSED);
        let altered = fresh();
        let nonce = altered.nonce.clone();
        let (head, tail) = nonce.split_at(12);
        let turned = if tail.starts_with('A') { "B" } else { "A" };
        check(&stage, &altered.clone().nonce(&format!("{head}{turned}{}", &tail[1..])), REFUSED);
        check(&stage, &altered, PASSES);
        // A nonce of another algorithm.
        let foreign = attempt(&stage, ACTIVE, algorithm.other());
        check(&stage, &fresh().nonce(&foreign.nonce), REFUSED);
        // Another target than the request's.
        for target in ["/other", "/?", "//", "/%2f", "/a/.."] {
            check(&stage, &fresh().sent_to(target), REFUSED);
        }
        check(&stage, &fresh().qop("auth-int"), REFUSED);
        check(&stage, &Attempt { key: Key(ACTIVE.0, "wrong"), ..fresh() }, REFUSED);
        check(&stage, &Attempt { realm: "Other".into(), ..fresh() }, REFUSED);
        check(&stage, &Attempt { method: "POST", ..fresh() }, REFUSED);
        // The second of two secrets while one is being replaced.
        check(&stage, &Attempt { key: Key(ACTIVE.0, NEXT), ..fresh() }, PASSES);
        // A nonce lives for a minute.
        let now = START.unix_seconds();
        let late = fresh();
        stage.clock.set(portcullis::clock::Timestamp::from_unix_seconds(now + 59));
        check(&stage, &late, PASSES);
        stage.clock.set(portcullis::clock::Timestamp::from_unix_seconds(now + 60));
        check(&stage, &late.clone().nc("00000002"), STALE);
        check(&stage, &late.nonce(&foreign.nonce), REFUSED);
        stage.clock.set(START);
    }
}

#[test]
fn h8_a_count_is_used_on_one_worker_or_the_other() {
    let stage = setting().workers(2).set();
    let attempt = attempt(&stage, ACTIVE, Algorithm::Sha256);
    // Connections are spread over the workers: of so many each has some.
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", attempt.line());
    let passed: usize = std::thread::scope(|scope| {
        let one = || usize::from(stage.send(&request).status == 200);
        let all: Vec<_> = (0..40).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(passed, 1, "H8");
    assert_eq!(stage.upstream.seen().len(), 1, "H8");
    check(&stage, &attempt.nc("00000002"), PASSES);
}

#[test]
fn the_target_is_that_of_the_request_line() {
    let stage = setting().set();
    for target in ["/a?b=c&d=%20", "/a/b//c", "/%7Euser;x=1", "/a?", "http://api.example.com/a?b"] {
        let attempt = attempt(&stage, ACTIVE, Algorithm::Sha256).to(target);
        assert_eq!(sent(&stage, &attempt).status, 200, "{target}");
    }
    let attempt = attempt(&stage, ACTIVE, Algorithm::Sha256).to("/upload");
    let attempt = Attempt { method: "PUT", ..attempt };
    let head = format!("PUT /upload HTTP/1.1\r\nHost: a\r\n{}\r\nContent-Length: 4\r\n\r\nbody", attempt.line());
    assert_eq!(stage.send(head).status, 200);
}

#[test]
fn h7_one_answer_and_the_log_tells_why() {
    let stage = setting().set();
    let unknown = Key("nobodyis", ACTIVE.1);
    let rows = [
        (unknown, "no key with HA1s"),
        (WITHOUT, "no key with HA1s"),
        (Key(ACTIVE.0, "wrong"), "response is wrong"),
        (DISABLED, "disabled"),
        (EXPIRED, "expired"),
    ];
    let mut seen = BTreeSet::new();
    let mut asked = 0;
    for (key, reason) in rows {
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            let attempt = attempt(&stage, key, algorithm);
            // The second try would be stale, had the first been right.
            for _ in 0..2 {
                let answer = sent(&stage, &attempt);
                assert_eq!(answer.outcome(), (401, "INVALID_CREDENTIALS".into()), "H7: {}", key.0);
                let mut body = answer.json();
                body.as_object_mut().unwrap().remove("requestId");
                let headers: Vec<(String, usize)> = answer
                    .headers
                    .iter()
                    .filter(|(name, _)| name != "date")
                    .map(|(name, value)| (name.clone(), value.len()))
                    .collect();
                let words: Vec<_> =
                    challenges(&answer).into_iter().map(|one| (one.realm, one.algorithm, one.stale)).collect();
                seen.insert(format!("{body} {headers:?} {words:?}"));
            }
            asked += 3;
            let log = stage.log_of(asked);
            assert!(log[asked - 1]["reason"].as_str().unwrap().contains(reason), "H7: {}", log[asked - 1]);
        }
    }
    assert_eq!(seen.len(), 1, "H7: {seen:#?}");
    // Only a holder of the secret learns that the address was the reason.
    let holder = attempt(&stage, OTHER, Algorithm::Sha256);
    assert_eq!(sent(&stage, &holder).outcome(), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    assert_eq!(sent(&stage, &Attempt { key: Key(OTHER.0, "wrong"), ..holder }).status, 401);
}

#[test]
fn h1_one_carrier_alone() {
    let stage = setting().set();
    let line = || attempt(&stage, ACTIVE, Algorithm::Sha256).line();
    let key = format!("X-API-Key: {}.{}", ACTIVE.0, ACTIVE.1);
    for (lines, expected) in [
        (vec![line()], (200, "")),
        // Even the same key: nobody could tell before it is verified.
        (vec![key.clone(), line()], (400, "AMBIGUOUS_CREDENTIALS")),
        (vec![line(), line()], (400, "AMBIGUOUS_CREDENTIALS")),
        (vec![line(), "Authorization: Basic YTpi".into()], (400, "AMBIGUOUS_CREDENTIALS")),
        (vec!["Authorization: Negotiate x".into(), line()], (400, "AMBIGUOUS_CREDENTIALS")),
        (vec!["Authorization: Digest".into()], (400, "MALFORMED_CREDENTIALS")),
        (vec!["Authorization: digest username=\"a\"".into()], (400, "MALFORMED_CREDENTIALS")),
        (vec![line() + ", nc=00000001"], (400, "MALFORMED_CREDENTIALS")),
        (vec![line() + ", userhash=true"], (400, "MALFORMED_CREDENTIALS")),
        (vec![line().replace("username=", "username*=")], (400, "MALFORMED_CREDENTIALS")),
        (vec![line().replace("nc=00000001", "nc=1")], (400, "MALFORMED_CREDENTIALS")),
        (vec![line().replace("Digest ", "DIGEST   ")], (200, "")),
        (vec![line() + ", opaque=\"\", unknown=1"], (200, "")),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = stage.get("/", &lines);
        match answer.status {
            200 => assert_eq!(expected.0, 200, "H1: {lines:?}"),
            _ => assert_eq!(answer.outcome(), (expected.0, expected.1.into()), "H1: {lines:?}"),
        }
    }
}

#[test]
fn what_reaches_the_upstream() {
    let forwarding = BOTH.replace("{ digest", "{ forward: true, digest");
    let kept = Setting::new().directory(&directory("Portcullis")).gateway(&forwarding).set();
    let off = Setting::new().directory(&directory("Portcullis")).set();
    let removed = setting().set();
    let line = attempt(&removed, ACTIVE, Algorithm::Sha256).line();
    assert_eq!(removed.get("/", &[&line]).status, 200);
    assert_eq!(removed.upstream.seen().pop().unwrap().header("authorization"), None);
    let kept_line = attempt(&kept, ACTIVE, Algorithm::Md5).line();
    assert_eq!(kept.get("/", &[&kept_line]).status, 200);
    assert_eq!(kept.upstream.seen().pop().unwrap().header("authorization"), Some(&kept_line[15..]));
    // Where it is off it is the upstream's business, well-formed or not.
    let key = format!("X-API-Key: {}.{}", ACTIVE.0, ACTIVE.1);
    for foreign in [&*line, "Authorization: Digest"] {
        assert_eq!(off.get("/", &[&key, foreign]).status, 200);
        assert_eq!(off.upstream.seen().pop().unwrap().header("authorization"), Some(&foreign[15..]));
        assert_eq!(off.get("/", &[foreign]).outcome(), (401, "CREDENTIALS_REQUIRED".into()));
    }
    assert!(challenges(&off.get("/", &[])).is_empty());
}

#[test]
fn every_401_asks_in_the_same_way() {
    let stage = setting().set();
    let used = attempt(&stage, ACTIVE, Algorithm::Sha256);
    check(&stage, &used, PASSES);
    let wrong = format!("X-API-Key: mcpvrzod.{NEXT}x");
    let mut nonces = BTreeSet::new();
    for (lines, stale) in [(vec![], false), (vec![wrong], false), (vec![used.line()], true)] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = stage.get("/", &lines);
        let asked: Vec<&str> =
            answer.headers.iter().filter(|(name, _)| name == "www-authenticate").map(|(_, value)| &**value).collect();
        let schemes: Vec<&str> = asked.iter().map(|value| value.split(' ').next().unwrap()).collect();
        assert_eq!(schemes, ["Digest", "Digest", "Basic"], "each alone in its line, Digest first");
        let read = challenges(&answer);
        let words: Vec<_> = read.iter().map(|one| (&*one.algorithm, &*one.realm, &*one.qop, one.stale)).collect();
        assert_eq!(words, [("SHA-256", "Portcullis", "auth", stale), ("MD5", "Portcullis", "auth", stale)]);
        nonces.extend(read.into_iter().map(|one| one.nonce));
    }
    assert_eq!(nonces.len(), 6, "every nonce is fresh");
}
