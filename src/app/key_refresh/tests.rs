//! The job, round by round, on files and a server on loopback.

use std::sync::Mutex;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::access::id::Id;
use crate::clock::Timestamp;
use crate::config::settings::JwtAlgorithm;
use crate::gate::judge::tests::gateway;
use crate::live::key_sets::tests::Forge;

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn issuer(name: &str, jwks: JwksSource) -> Issuer {
    Issuer {
        issuer: name.into(),
        audience: "portcullis".into(),
        jwks,
        algorithms: vec![JwtAlgorithm::ES256],
        organizations: vec!["5f0000000000000000000001".parse::<Id>().unwrap()],
    }
}

fn settings(issuers: Vec<Issuer>) -> Arc<Gateway> {
    let mut gateway = gateway();
    gateway.credentials.issuers = issuers;
    Arc::new(gateway)
}

fn document(kids: &[&str]) -> String {
    let forge = Forge::p256();
    json!({ "keys": kids.iter().map(|kid| forge.jwk(kid)).collect::<Vec<_>>() }).to_string()
}

/// The issuer and the number of keys of each attempt.
type Told = Arc<Mutex<Vec<(String, Option<usize>)>>>;

fn job(settings: &Arc<Gateway>, clock: &Clock) -> (KeyRefresh, Arc<Published>, Told) {
    let wish = RefreshWish::default();
    let keys = load(settings, &KeySets::new(wish.clone()), clock).unwrap();
    let published = Published::new(Arc::clone(settings), Arc::new(keys)).unwrap();
    let told = Told::default();
    let tell = {
        let told = Arc::clone(&told);
        move |issuer: &str, outcome: Result<usize, &KeyFault>| told.lock().unwrap().push((issuer.into(), outcome.ok()))
    };
    (KeyRefresh::new(Arc::clone(&published), clock.clone(), wish, tell), published, told)
}

fn kids(published: &Published, issuer: &str) -> Vec<&'static str> {
    let current = published.current();
    let set = current.keys.of(issuer);
    ["one", "two"].into_iter().filter(|kid| set.is_some_and(|set| set.knows(kid))).collect()
}

#[tokio::test]
async fn a_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, document(&["one"])).unwrap();
    let clock = Clock::manual(START);
    let settings = settings(vec![issuer("https://a", JwksSource::File(path.clone()))]);
    let (mut job, published, told) = job(&settings, &clock);
    assert_eq!(kids(&published, "https://a"), ["one"]);

    let now = Instant::now();
    let generation = published.current().generation;
    job.round(now).await;
    assert_eq!(published.current().generation, generation, "an unchanged file is no news");
    std::fs::write(&path, document(&["two"])).unwrap();
    job.round(now).await;
    assert_eq!(kids(&published, "https://a"), ["one"], "not due yet");
    job.round(now + FILE_INTERVAL).await;
    assert_eq!(kids(&published, "https://a"), ["two"]);

    // A broken one changes nothing, and is told.
    std::fs::write(&path, "nonsense").unwrap();
    job.round(now + 2 * FILE_INTERVAL).await;
    assert_eq!(kids(&published, "https://a"), ["two"]);
    assert_eq!(told.lock().unwrap().last(), Some(&("https://a".to_owned(), None)));

    // What has not changed for long is marked as fresh again.
    std::fs::write(&path, document(&["two"])).unwrap();
    job.round(now + 3 * FILE_INTERVAL).await;
    clock.set(Timestamp::from_unix_seconds(START.unix_seconds() + 3600));
    job.round(now + 4 * FILE_INTERVAL).await;
    assert_eq!(published.current().keys.of("https://a").unwrap().fetched_at(), clock.now());
}

#[test]
fn the_first_load_names_every_broken_file() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, broken) = (folder.path().join("missing"), folder.path().join("broken"));
    std::fs::write(&broken, "{\"keys\":[]}").unwrap();
    let issuers = vec![issuer("https://a", JwksSource::File(missing)), issuer("https://b", JwksSource::File(broken))];
    let faults = load(&settings(issuers), &KeySets::default(), &Clock::manual(START)).unwrap_err();
    assert!(matches!(&faults[..], [KeyFault::Unreadable { .. }, KeyFault::Refused { .. }]), "{faults:?}");
}

#[test]
fn a_reload_keeps_what_was_fetched_and_drops_what_is_gone() {
    let clock = Clock::manual(START);
    let mut before = KeySets::default();
    for name in ["https://kept", "https://gone"] {
        before.insert(name, KeySet::parse(document(&["one"]).as_bytes(), START).unwrap());
    }
    let url = JwksSource::Url { url: http::Uri::from_static("https://kept/keys"), ca: None, token_file: None };
    let after = load(&settings(vec![issuer("https://kept", url)]), &before, &clock).unwrap();
    assert!(after.of("https://kept").is_some() && after.of("https://gone").is_none());
}

#[tokio::test]
async fn a_url_is_fetched_with_the_token_of_the_file() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/openid/v1/jwks", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        for body in [None, Some(document(&["one"])), Some(document(&["one", "two"]))] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            let allowed =
                String::from_utf8(asked).unwrap().to_lowercase().contains("authorization: bearer pod-token\r\n");
            let answer = match body {
                Some(body) if allowed => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
                _ => "HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n".into(),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "pod-token\n").unwrap();
    let source = JwksSource::Url { url, ca: None, token_file: Some(token) };
    let (mut job, published, told) = job(&settings(vec![issuer("https://a", source)]), &Clock::manual(START));
    assert!(published.current().keys.of("https://a").is_none(), "nothing is fetched before the first round");

    let now = Instant::now();
    job.round(now).await;
    assert!(published.current().keys.of("https://a").is_none());
    job.round(now + FIRST_RETRY.mul_f64(1.2)).await;
    assert_eq!(kids(&published, "https://a"), ["one"]);
    // Somebody names a key that nobody knows: not at once, but long before the usual time.
    job.hurry(now + FIRST_RETRY + HASTE / 2);
    job.round(now + FIRST_RETRY + HASTE / 2).await;
    assert_eq!(kids(&published, "https://a"), ["one"]);
    job.hurry(now + 2 * HASTE);
    job.round(now + 2 * HASTE).await;
    assert_eq!(kids(&published, "https://a"), ["one", "two"]);
    let told: Vec<_> = told.lock().unwrap().iter().map(|(_, keys)| *keys).collect();
    assert_eq!(told, [None, Some(1), Some(2)]);
}

#[test]
fn pauses() {
    let url = JwksSource::Url { url: http::Uri::from_static("https://a/"), ca: None, token_file: None };
    let seconds = |failures, jitter| pause(&url, failures, jitter).as_secs_f64();
    assert!((seconds(0, 0) - 270.0).abs() < 0.1 && (seconds(0, 255) - 330.0).abs() < 0.1);
    assert!(seconds(1, 128) < seconds(2, 128) && seconds(2, 128) < seconds(3, 128));
    assert!(seconds(40, 255) <= 330.1 && seconds(u32::MAX, 255) <= 330.1);
    assert_eq!(pause(&JwksSource::File("a".into()), 9, 0), FILE_INTERVAL);
}
