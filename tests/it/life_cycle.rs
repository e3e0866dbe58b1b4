//! From the first snapshot to the last answer: probes, signals, exit codes, and expiry by the data plane's own clock.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use portcullis::app::{self, Origin};
use portcullis::clock::{Clock, Timestamp};
use portcullis::config;
use portcullis::gate::digest::Nonces;
use portcullis::live::endpoints::Endpoints;
use portcullis::live::key_sets::KeySets;
use portcullis::live::published::{Outdated, Published};
use portcullis::net::listener::Sockets;
use portcullis::net::tls::files::TlsFiles;
use portcullis::proxy::{self, ProxyParts};
use portcullis::telemetry::access_log::AccessLog;
use portcullis::telemetry::metrics::Metrics;

use crate::programs::{PORTCULLIS, free_port, output, succeed};
use crate::served::Served;
use crate::stage::{Client, KEY, KEY_OPEN, START, Setting, Stage, Upstream, directory, wait_for};

fn header(key: &str) -> String {
    format!("X-API-Key: {key}")
}

/// What a data plane without a directory is started from, and what becomes of it.
fn data_plane(text: &str, run: impl FnOnce(ProxyParts<'_>)) {
    let (settings, _) = config::parse("test", text, std::path::Path::new("."), Vec::new()).unwrap();
    let clock = Clock::manual(START);
    let metrics = Arc::new(Metrics::new(clock.clone()).unwrap());
    let access_log = AccessLog::open(&settings.access_log, Arc::clone(&metrics)).unwrap();
    let published = Published::new(Arc::clone(&settings.gateway), Arc::new(KeySets::default())).unwrap();
    run(ProxyParts {
        sockets: &settings.sockets,
        listeners: &[Sockets::bind(settings.sockets.listen[0].address, 1).unwrap()],
        published: &published,
        clock: &clock,
        metrics: &metrics,
        access_log: &access_log,
        usage: &portcullis::live::usage::Usage::ignored(),
        tls: &TlsFiles::default(),
        endpoints: &Arc::new(Endpoints::default()),
        nonces: &Arc::new(Nonces::new(clock.now())),
        throttle: &Arc::default(),
        revocations: None,
        local: None,
    });
    access_log.close();
}

/// threats.md L1: the data plane runs, and there is no snapshot.
#[test]
fn nothing_is_allowed_before_the_first_snapshot() {
    let text = "gateway:\n  listen: [{ address: \"127.0.0.1:0\" }]\n  workers: 1\n  \
                routes: [{ path: /public, upstream: echo, access: public }, { path: /, upstream: echo }]\n\
                telemetry: { access_log: { to: off } }\ndirectory: { file: unread.yaml }\n";
    data_plane(text, |parts| {
        let running = proxy::start(parts).unwrap();
        running.open();
        let get = |path: &str| {
            let raw = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(KEY));
            Client::connect(running.local_addresses()[0]).send(raw).outcome()
        };
        for path in ["/", "/public", "/nowhere"] {
            assert_eq!(get(path), (503, "NOT_READY".into()), "{path}");
        }
        let (first, _) = portcullis::directory::parse("test", &directory(), std::path::Path::new(".")).unwrap();
        parts.published.publish_snapshot(Arc::new(first.compile(7).unwrap())).unwrap();
        assert_eq!(get("/").0, 200);
        // threats.md L5: an older revision that arrives late changes nothing.
        let empty = portcullis::directory::Directory::default();
        for revision in [6, 7] {
            let late = parts.published.publish_snapshot(Arc::new(empty.compile(revision).unwrap()));
            assert_eq!(late, Err(Outdated { offered: revision, published: 7 }));
        }
        assert_eq!(get("/").0, 200);
        running.drain(proxy::Drain::within(Duration::from_secs(1)));
        running.join();
    });
}

/// Who has connected is served, also where the end comes before anybody was accepted.
#[test]
fn a_drain_takes_what_waits_to_be_accepted() {
    let text = "gateway:\n  listen: [{ address: \"127.0.0.1:0\" }]\n  workers: 1\n\
                telemetry: { access_log: { to: off } }\ndirectory: { file: unread.yaml }\n";
    data_plane(text, |parts| {
        // Never opened: nobody accepts before the drain does.
        let running = proxy::start(parts).unwrap();
        let mut waiting: Vec<_> = (0..20).map(|_| Client::connect(running.local_addresses()[0])).collect();
        for client in &mut waiting {
            client.write(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(KEY)));
        }
        running.drain(proxy::Drain { idle: Duration::from_secs(10), ..proxy::Drain::within(Duration::from_secs(10)) });
        for client in &mut waiting {
            let answer = client.read(false);
            assert_eq!(
                (answer.status, answer.header("connection")),
                (503, Some("close")),
                "no directory, but an answer"
            );
        }
        running.join();
    });
}

/// While the directory is read the gateway is alive and refuses; from then on it decides.
#[test]
fn a_gateway_listens_before_it_has_read_its_directory() {
    let folder = folder("echo:", "");
    let outlined = app::outline(Origin::File(folder.path().join("portcullis.yaml"))).unwrap();
    let opened = app::open_with(outlined, Clock::manual(START)).unwrap();
    let (gateway, telemetry) = (opened.gateway_addresses()[0], opened.telemetry_address());
    let get = |address: SocketAddr, path: &str| {
        let raw = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n\r\n", header(KEY));
        Client::connect(address).send(raw)
    };
    let mut kept = Client::connect(gateway);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(KEY));
    assert_eq!(kept.send(&request).outcome(), (503, "NOT_READY".into()));
    assert_eq!(get(telemetry, "/livez").status, 200);
    let ready = get(telemetry, "/readyz");
    assert_eq!((ready.status, ready.text().as_str()), (503, "not ready: no directory yet\n"));
    let running = opened.load().unwrap();
    assert_eq!(kept.send(&request).status, 200);
    assert_eq!(get(telemetry, "/readyz").status, 200);
    running.stop();
}

/// A pipe that nobody writes to is a directory that takes for ever.
fn endless(folder: &tempfile::TempDir) {
    let path = folder.path().join("directory.yaml");
    std::fs::remove_file(&path).unwrap();
    succeed(Command::new("mkfifo").arg(path));
}

#[test]
fn a_gateway_that_is_still_reading_ends_when_it_is_told_to() {
    let folder = folder("echo:", "");
    endless(&folder);
    let mut served = Served::open(folder.path(), "portcullis.yaml");
    wait_for("not ready", || served.telemetry("/readyz").status == 503);
    assert_eq!(served.telemetry("/livez").status, 200);
    assert_eq!(served.get("/", &[&header(KEY)]).outcome(), (503, "NOT_READY".into()));
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0));
}

#[test]
fn a_directory_that_is_refused_ends_a_gateway_that_has_none() {
    let folder = folder("echo:", "");
    endless(&folder);
    let mut served = Served::open(folder.path(), "portcullis.yaml");
    assert_eq!(served.get("/", &[&header(KEY)]).outcome(), (503, "NOT_READY".into()));
    // Whoever opens the other end lets it see that this is no file.
    drop(std::fs::OpenOptions::new().write(true).open(folder.path().join("directory.yaml")).unwrap());
    assert_eq!(served.ended().code(), Some(78));
    wait_for("the reason", || {
        served.log_has(|line| line.as_str().is_some_and(|text| text.contains("no ordinary file")))
    });
}

#[test]
fn the_probes_tell_of_a_gateway_that_serves() {
    let stage = Stage::new();
    let ready = stage.telemetry_page("/readyz");
    assert_eq!((ready.status, ready.text().as_str()), (200, "ready: directory revision 1\n"));
    assert_eq!(stage.telemetry_page("/livez").status, 200);
    assert_eq!(stage.telemetry_page("/nothing").status, 404);
    let page = stage.telemetry_page("/metrics");
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    assert_eq!(stage.metric("portcullis_snapshot_revision"), 1.0);
}

/// One clock decides, and nobody is asked: not a file, not a store.
#[test]
fn entries_and_credentials_expire_on_the_data_planes_clock() {
    let expiring = directory()
        .replace("127.0.0.1]", "{ cidr: 127.0.0.0/8, expires_at: 2026-11-23T01:00:00Z }]")
        .replace("5f0000000000000000000023, ", "5f0000000000000000000023, expires_at: 2026-11-23T02:00:00Z, ");
    let stage = Setting::new().directory(&expiring).set();
    let at = |seconds: i64| stage.clock.set(Timestamp::from_unix_seconds(START.unix_seconds() + seconds));
    let mut kept = stage.connect();
    let mut ask = |key: &str| {
        let raw = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(key));
        kept.send(raw).outcome().1
    };
    for (seconds, listed, open) in [
        (0, "", ""),
        (3599, "", ""),
        // A list whose entries have all expired is not empty: it admits nobody.
        (3600, "IP_ADDRESS_NOT_ON_ACCESS_LIST", ""),
        (7199, "IP_ADDRESS_NOT_ON_ACCESS_LIST", ""),
        (7200, "IP_ADDRESS_NOT_ON_ACCESS_LIST", "INVALID_CREDENTIALS"),
    ] {
        at(seconds);
        assert_eq!((ask(KEY).as_str(), ask(KEY_OPEN).as_str()), (listed, open), "after {seconds} s");
    }
    let reason = stage.log_of(10).pop().unwrap();
    assert_eq!(reason["code"], "INVALID_CREDENTIALS");
    assert!(reason["reason"].as_str().unwrap().contains("expired"), "{reason}");
}

/// threats.md L7: whatever is published in between, each line of the log is decided by the state that it names, whole.
#[test]
fn a_request_never_mixes_two_revisions() {
    // In odd revisions the key has this machine on its list; in even ones it has not, and another key is the one that has.
    let (odd, even) =
        (directory(), directory().replace("[192.0.2.0/24, \"2001:db8::/32\", 127.0.0.1]", "[192.0.2.0/24]"));
    let even = even.replace("acme\n    require_access_list: true", "acme\n    require_access_list: report");
    let stage = Stage::new();
    for revision in 2..=12 {
        stage.replace("directory.yaml", if revision % 2 == 0 { &even } else { &odd });
        while stage.metric("portcullis_snapshot_revision") < f64::from(revision) {
            stage.get("/", &[&header(KEY)]);
            stage.get("/", &[&header(crate::stage::KEY_WITHOUT_LIST)]);
        }
    }
    for line in stage.log() {
        let odd = line["snapshot.revision"].as_u64().unwrap() % 2 == 1;
        let wanted = match (line["credential.id"].as_str().unwrap(), odd) {
            ("5f0000000000000000000021", true) => "allow",
            ("5f0000000000000000000022", false) => "would_deny",
            _ => "deny",
        };
        assert_eq!(line["outcome"], wanted, "{line}");
    }
}

/// threats.md L9, as far as there is use to count: a refused request reaches no upstream and admits by no entry.
#[test]
fn a_refused_request_counts_as_refused_only() {
    let stage = Setting::new().directory(&directory().replace(", 127.0.0.1]", "]")).set();
    assert_eq!(stage.get("/", &[&header(KEY)]).status, 403);
    let line = stage.log_of(1).remove(0);
    assert_eq!((line["outcome"].as_str(), line["status"].as_u64()), (Some("deny"), Some(403)));
    assert!(line.get("list.entry").is_none() && line.get("upstream").is_none(), "{line}");
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"deny\",code=\"IP_ADDRESS_NOT_ON_ACCESS_LIST\"}"), 1.0);
    assert_eq!(stage.metric("portcullis_requests_total{outcome=\"allow\",code=\"OK\"}"), 0.0);
    assert_eq!(stage.metric("portcullis_upstream_requests_total{upstream=\"api\"}"), 0.0);
    assert!(stage.upstream.seen().is_empty());
}

/// A folder with a configuration on free ports, the usual directory, and this upstream.
fn folder(upstream: &str, more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "gateway:\n  listen: [{{ address: \"127.0.0.1:0\" }}]\n  workers: 2\n  drain_timeout: 20s\n  \
         routes: [{{ path: /, upstream: api }}]\n  upstreams: {{ api: {{ endpoints: [\"{upstream}\"] }} }}\n{more}\
         directory: {{ file: directory.yaml }}\n\
         telemetry: {{ listen: \"127.0.0.1:0\", access_log: {{ to: file, file: access.log }} }}\n"
    );
    std::fs::write(folder.path().join("portcullis.yaml"), configuration).unwrap();
    std::fs::write(folder.path().join("directory.yaml"), directory()).unwrap();
    folder
}

/// threats.md L13 for HTTP/1.1: not ready, no new connection, the open request ends as if nothing were, exit 0.
#[test]
fn sigterm_drains() {
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let upstream = Upstream::answering(move |_| {
        let _ = held.lock().unwrap().recv_timeout(crate::stage::DEADLINE);
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec()
    });
    let folder = folder(&format!("http://{}", upstream.address()), "");
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    assert_eq!(served.telemetry("/readyz").status, 200);
    let mut idle = Client::connect(served.gateway());
    let mut open = Client::connect(served.gateway());
    open.write(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(KEY)));
    upstream.nth(1);
    served.signal("TERM");
    wait_for("not ready", || served.telemetry("/readyz").status == 503);
    assert_eq!(served.telemetry("/livez").status, 200, "it is alive until it ends");
    assert!(idle.is_closed());
    wait_for("no new connection", || std::net::TcpStream::connect(served.gateway()).is_err());
    let_go.send(()).unwrap();
    let answer = open.read(false);
    assert_eq!((answer.status, answer.text().as_str(), answer.header("connection")), (200, "late", Some("close")));
    assert!(open.is_closed());
    assert_eq!(served.ended().code(), Some(0));
    let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    assert_eq!(log.lines().count(), 1, "the last line is written: {log}");
}

/// A kept connection that rests has the same time as others, and what comes within it is answered.
#[test]
fn a_drain_serves_who_rests() {
    let upstream = Upstream::start();
    let folder = folder(&format!("http://{}", upstream.address()), "");
    let path = folder.path().join("portcullis.yaml");
    let text =
        std::fs::read_to_string(&path).unwrap().replace("drain_timeout: 20s", "drain_timeout: 20s\n  drain_idle: 10s");
    std::fs::write(&path, text).unwrap();
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let mut resting = [Client::connect(served.gateway()), Client::connect(served.gateway())];
    let ask = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(KEY));
    assert!(resting.iter_mut().all(|client| client.send(&ask).status == 200));
    let rest = || served.telemetry("/metrics").text().contains("\nportcullis_resting_connections 2\n");
    wait_for("rest", rest);
    served.signal("TERM");
    wait_for("not ready", || served.telemetry("/readyz").status == 503);
    for client in &mut resting {
        let answer = client.send(&ask);
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(client.is_closed());
    }
    assert_eq!(served.ended().code(), Some(0));
}

/// What does not end by itself is ended by the deadline.
#[test]
fn a_drain_has_a_deadline() {
    let upstream = Upstream::scripted(|_, _| {
        std::thread::park_timeout(crate::stage::DEADLINE * 2);
        false
    });
    let folder = folder(&format!("http://{}", upstream.address()), "");
    let path = folder.path().join("portcullis.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace("drain_timeout: 20s", "drain_timeout: 1s");
    std::fs::write(&path, text).unwrap();
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let mut open = Client::connect(served.gateway());
    open.write(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(KEY)));
    upstream.nth(1);
    served.signal("INT");
    assert_eq!(served.ended().code(), Some(0));
    assert!(open.is_closed());
}

#[test]
fn sighup_reads_everything_again_and_ends_nothing() {
    let issued = |name: &str| {
        let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (pair.cert.pem(), pair.signing_key.serialize_pem(), pair.cert.der().to_vec())
    };
    let folder = folder("echo:", "");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let (first, second) = (issued("first.example"), issued("second.example"));
    let put = |(chain, key, _): &(String, String, Vec<u8>)| {
        write("tls.pem", chain);
        write("tls.key", key);
    };
    put(&first);
    let text = std::fs::read_to_string(folder.path().join("portcullis.yaml")).unwrap();
    let tls = "{ address: \"127.0.0.1:0\" }, { address: \"127.0.0.1:0\", tls: { certificate: tls.pem, private_key: tls.key } }";
    write("portcullis.yaml", &text.replace("{ address: \"127.0.0.1:0\" }", tls));
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let secure = served.log().iter().filter_map(|line| line["address"].as_str()?.parse().ok()).nth(1).unwrap();
    assert_eq!(certificate_of(secure), first.2);
    let mut kept = Client::connect(served.gateway());
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", header(KEY));
    assert_eq!(kept.send(&request).status, 200);

    put(&second);
    write("directory.yaml", &directory().replace(", 127.0.0.1]", "]"));
    served.signal("HUP");
    wait_for("the certificate", || certificate_of(secure) == second.2);
    wait_for("the directory", || kept.send(&request).status == 403);
    // A broken one stays out.
    let refusals = || {
        let page = served.telemetry("/metrics").text();
        let value = |line: &str| line.strip_prefix("portcullis_configuration_reload_failures_total ")?.parse().ok();
        page.lines().find_map(value).unwrap_or(0.0_f64)
    };
    let before = refusals();
    write("tls.key", "no key");
    wait_for("the refusal", || refusals() > before);
    served.signal("HUP");
    assert_eq!(certificate_of(secure), second.2);
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0));
}

/// The certificate that a listener shows.
fn certificate_of(address: std::net::SocketAddr) -> Vec<u8> {
    let seen = Command::new("sh")
        .args(["-c", &format!("echo | openssl s_client -connect {address} 2>/dev/null | openssl x509 -outform DER")])
        .output()
        .unwrap();
    seen.stdout
}

/// Every problem of a start is printed at once, with its place, and the exit code says whose fault it is.
#[test]
fn a_start_with_faulty_files_names_every_problem() {
    let run = |folder: &tempfile::TempDir| {
        let ended = output(Command::new(PORTCULLIS).args(["serve", "--config", "portcullis.yaml"]).current_dir(folder));
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let check = |folder: &tempfile::TempDir, places: &[&str]| {
        let (code, told) = run(folder);
        assert_eq!(code, Some(78), "{told}");
        for place in places {
            assert!(told.contains(place), "{place} is not in:\n{told}");
        }
    };
    let faulty = folder("echo:", "  worker: 3\n  limits: { max_headers: none }\n");
    check(&faulty, &["portcullis.yaml:7:3", "did you mean `workers`?", "portcullis.yaml:8:26"]);

    let faulty =
        folder("https://127.0.0.1:1\"], tls: { ca: missing.pem }, pool_max_idle: 1, connect_timeout: 1s #", "");
    let text = std::fs::read_to_string(faulty.path().join("portcullis.yaml")).unwrap();
    std::fs::write(faulty.path().join("portcullis.yaml"), text.replace(" #\"] } }", " } }")).unwrap();
    check(&faulty, &["portcullis.yaml:6:70", "missing.pem"]);

    let faulty = folder("echo:", "");
    let text = directory().replace("192.0.2.0/24", "192.0.2.1/24").replace("[ORG_MEMBER", "[ORG_MEMBR");
    std::fs::write(faulty.path().join("directory.yaml"), text).unwrap();
    check(&faulty, &["did you mean `192.0.2.0/24`?", "directory.yaml:10:", "ORG_MEMBR"]);

    let gone = folder("echo:", "");
    std::fs::remove_file(gone.path().join("directory.yaml")).unwrap();
    check(&gone, &["the directory can't be read: No such file or directory", "directory.yaml"]);
    std::fs::remove_file(gone.path().join("portcullis.yaml")).unwrap();
    check(&gone, &["portcullis.yaml", "can't be read: No such file or directory"]);
}

/// What is wrong with the machine and not with a file is a failure, told in one line.
#[test]
fn a_port_in_use_is_a_failure_that_names_it() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (what, from) in
        [("gateway", "listen: [{ address: \"127.0.0.1:0\""), ("telemetry", "listen: \"127.0.0.1:0\", access")]
    {
        let folder = folder("echo:", "");
        let path = folder.path().join("portcullis.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(from, &from.replace("127.0.0.1:0", &address))).unwrap();
        let ended = output(Command::new(PORTCULLIS).args(["serve", "--config"]).arg(&path));
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{what}: {told}");
        assert!(
            told.lines().last().is_some_and(|line| line.contains(&address) && line.contains("in use")),
            "{what}: {told}"
        );
    }
}

/// The kernel lets sockets of one user share a port, as the workers do; a second gateway must not get half of the requests.
#[test]
fn a_port_of_another_gateway_is_in_use() {
    let first = Stage::new();
    let address = first.gateway().to_string();
    let folder = folder("echo:", "");
    let path = folder.path().join("portcullis.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let listen = "listen: [{ address: \"127.0.0.1:0\"";
    std::fs::write(&path, text.replace(listen, &listen.replace("127.0.0.1:0", &address))).unwrap();
    let ended = output(Command::new(PORTCULLIS).args(["serve", "--config"]).arg(&path));
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains(&address) && told.contains("in use"), "{told}");
    assert_eq!(first.get("/", &[]).status, 401);
}

/// Memory is had in small pages, of which a small directory fills most, and in huge ones once a large one comes. `THP_enabled`
/// is told by proc(5) whatever the machine's own setting is.
#[test]
fn only_a_large_directory_takes_huge_pages() {
    let folder = folder("echo:", "");
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let status = format!("/proc/{}/status", served.id());
    let huge = || {
        let status = std::fs::read_to_string(&status).unwrap();
        status.lines().find_map(|line| line.strip_prefix("THP_enabled:")).unwrap().trim() == "1"
    };
    assert!(!huge());

    let path = folder.path().join("directory.yaml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    let line = format!("# {}\n", "-".repeat(8 << 10));
    text.extend(std::iter::repeat_n(line.as_str(), 1 << 10));
    std::fs::write(&path, text).unwrap();
    wait_for("huge pages", huge);
}
