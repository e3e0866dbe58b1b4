//! Real nginx behind the gateway, killed and restarted while requests run; names whose addresses change.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::raw;
use crate::programs::{PORTCULLIS, Running, eventually, free_port, nginx, serves};
use crate::stage::{Client, KEY_OPEN, Setting, directory, wait_for};

const CLIENTS: usize = 4;

/// An nginx of one process that answers everything with its own number.
struct Node {
    folder: tempfile::TempDir,
    address: String,
    text: String,
    running: Option<Running>,
}

impl Node {
    fn new(number: usize, host: &str, port: u16) -> Self {
        let text = format!(
            "keepalive_requests 50;\nserver {{ listen {host}:{port}; location / {{ return 200 \"{number}\"; }} }}"
        );
        let folder = tempfile::tempdir().unwrap();
        let mut node = Self { folder, address: format!("{host}:{port}"), text, running: None };
        node.start();
        node
    }

    fn start(&mut self) {
        self.running = Some(nginx(self.folder.path(), &self.text));
        eventually("nginx listens", Duration::from_secs(20), || std::net::TcpStream::connect(&self.address).map(drop));
    }

    /// In the middle of whatever it does.
    fn kill(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child().kill().unwrap();
        running.child().wait().unwrap();
    }

    /// Lets it finish what it has.
    fn quit(&mut self) {
        let mut running = self.running.take().unwrap();
        let id = running.child().id().to_string();
        assert!(Command::new("kill").args(["-QUIT", &id]).status().unwrap().success());
        running.child().wait().unwrap();
    }
}

#[test]
fn nginx_endpoints_die_and_return_and_no_idempotent_request_fails() {
    let mut nodes: Vec<Node> = (0..3).map(|number| Node::new(number, "127.0.0.1", free_port())).collect();
    let endpoints: Vec<String> = nodes.iter().map(|node| format!("\"http://{}\"", node.address)).collect();
    let more = "ejection: { failures: 3, first: 50ms, longest: 200ms }, retries: { percent: 20, reserve: 200 }";
    let configuration = format!("upstreams: {{ api: {{ endpoints: [{}], {more} }} }}", endpoints.join(", "));
    let stage = Setting::new().workers(2).gateway(&configuration).set();
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (stage, stop, sent, failed) = (&stage, &stop, &sent, &failed);
            scope.spawn(move || {
                let methods = ["GET", "HEAD", "DELETE", "PUT"];
                let mut client = stage.connect();
                for at in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let method = methods[at % methods.len()];
                    let answer = client.send(raw(&format!("{method} /{number}/{at}"), "", ""));
                    sent.fetch_add(1, Ordering::Relaxed);
                    if answer.status != 200 {
                        failed.lock().unwrap().push((method, answer.outcome()));
                        client = stage.connect();
                    }
                }
            });
        }
        let after = |more: u64| {
            let goal = sent.load(Ordering::Relaxed) + more;
            wait_for("requests", || sent.load(Ordering::Relaxed) >= goal);
        };
        after(200);
        for round in 0..12 {
            let at = round % nodes.len();
            match round % 4 {
                3 => nodes[at].quit(),
                _ => nodes[at].kill(),
            }
            after(150);
            if round % 4 == 2 {
                // Two of three at once.
                let other = (at + 1) % nodes.len();
                nodes[other].kill();
                after(150);
                nodes[other].start();
            }
            nodes[at].start();
            after(100);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {sent:?} failed: {failed:?}", failed.len());
    assert!(stage.metric("portcullis_upstream_retries_total{upstream=\"api\"}") > 0.0, "nobody was hit while asked");
    let all = stage.log_of(usize::try_from(sent.into_inner()).unwrap());
    assert!(all.iter().all(|line| line["status"] == 200), "what the log says is what the clients saw");
    assert!(all.iter().any(|line| line["upstream.attempts"] == 2));
    for node in &nodes {
        assert!(all.iter().any(|line| line["upstream.endpoint"] == node.address), "{} had no share", node.address);
    }
}

/// A name in a hosts file of the gateway's own, which is rewritten while it serves.
#[test]
fn a_name_that_changes_its_addresses_is_followed() {
    let port = free_port();
    let nodes: Vec<Node> = (1..=3).map(|number| Node::new(number, &format!("127.0.0.{number}"), port)).collect();
    let folder = tempfile::tempdir().unwrap();
    let gateway = free_port();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let hosts = |numbers: &[u8]| {
        let lines: Vec<String> = numbers.iter().map(|number| format!("127.0.0.{number} backend.test\n")).collect();
        // In place: the mount is of the file itself.
        write("hosts", lines.concat());
    };
    write("directory.yaml", directory());
    write(
        "portcullis.yaml",
        format!(
            "gateway:\n  listen: [{{ address: \"127.0.0.1:{gateway}\" }}]\n  workers: 1\n  \
             routes: [{{ path: /, upstream: api }}]\n  upstreams:\n    api: {{ endpoints: \
             [\"http://backend.test:{port}\"], resolve_interval: 100ms }}\ndirectory: {{ file: directory.yaml }}\n\
             telemetry: {{ listen: \"127.0.0.1:0\", access_log: {{ to: off }} }}\n"
        ),
    );
    hosts(&[1]);
    // A view of the file system of its own, in which /etc/hosts is ours.
    let mut command = Command::new("unshare");
    let script = "mount --bind hosts /etc/hosts && exec \"$0\" serve --config portcullis.yaml --log-level error";
    command.args(["-m", "sh", "-c", script, PORTCULLIS]).current_dir(&folder).stdin(Stdio::null());
    let _running = Running::start(&mut command);
    serves(gateway, "/");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], gateway));
    let mut client = Client::connect(address);
    let mut ask = || {
        let answer = client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY_OPEN}\r\n\r\n"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    };
    let mut share = |numbers: &[u8]| {
        let expected: std::collections::BTreeSet<String> = numbers.iter().map(u8::to_string).collect();
        wait_for("the new addresses", || (0..30).map(|_| ask()).collect::<std::collections::BTreeSet<_>>() == expected);
    };
    share(&[1]);
    for numbers in [&[2][..], &[1, 3], &[1, 2, 3], &[3]] {
        hosts(numbers);
        share(numbers);
    }
    // A name that is gone changes nothing.
    hosts(&[]);
    (0..50).for_each(|_| assert_eq!(ask(), "3"));
    drop(nodes);
}
