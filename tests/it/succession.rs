//! A new process in the place of a running one, and sockets that a service manager passes: no request fails.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use command_fds::{CommandFdExt as _, FdMapping};
use serde_json::Value;

use crate::admin::office::{OWNER, Office};
use crate::programs::{PORTCULLIS, output};
use crate::served::Served;
use crate::stage::{Client, DEADLINE, KEY, Upstream, directory, wait_for};

const CONFIGURATION: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 2
  drain_timeout: 20s
directory: { file: directory.yaml }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
";

fn folder(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.yaml"), configuration).unwrap();
    std::fs::write(folder.path().join("directory.yaml"), directory()).unwrap();
    folder
}

/// The processes that were started by SIGUSR2, newest last. They belong to nobody when their predecessor has ended.
struct Successors<'a>(&'a Served);

impl Successors<'_> {
    fn ids(&self) -> Vec<u64> {
        let log = self.0.log();
        let started = log.iter().filter(|line| line["message"] == "a successor was started");
        started.filter_map(|line| line["pid"].as_u64()).collect()
    }

    fn run(id: u64) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Whoever adopts an ended process may take its time.
        state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    fn signal(id: u64, name: &str) {
        assert!(output(Command::new("kill").args(["-s", name, &id.to_string()])).status.success());
    }
}

impl Drop for Successors<'_> {
    fn drop(&mut self) {
        for id in self.ids().into_iter().filter(|id| Self::run(*id)) {
            Self::signal(id, "KILL");
        }
    }
}

/// How often the log has a line.
fn count(served: &Served, message: &str) -> usize {
    served.log().iter().filter(|line| line["message"] == message).count()
}

/// Ends whoever asks, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks without a pause until it is told to end; connections are kept as long as the gateway keeps them, or made anew for
/// each request.
fn ask(gateway: SocketAddr, keep: bool, until: &AtomicBool, answered: &AtomicUsize) {
    let mut client = Client::connect(gateway);
    while !until.load(Ordering::Relaxed) {
        let connection = if keep { "" } else { "Connection: close\r\n" };
        let answer = client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n{connection}\r\n"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answered.fetch_add(1, Ordering::Relaxed);
        if answer.header("connection") == Some("close") {
            client = Client::connect(gateway);
        }
    }
}

#[test]
fn no_request_fails_while_one_process_succeeds_another() {
    let folder = folder(CONFIGURATION);
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let (gateway, first) = (served.gateway(), u64::from(served.id()));
    let (end, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let successors = Successors(&served);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (end, answered) = (&end, &answered);
            scope.spawn(move || ask(gateway, number % 2 == 0, end, answered));
        }
        let _end = End(&end);
        let more = |count: usize| {
            let before = answered.load(Ordering::Relaxed);
            wait_for("requests are answered", || answered.load(Ordering::Relaxed) >= before + count);
        };
        more(100);
        Successors::signal(first, "USR2");
        wait_for("the successor serves", || count(&served, "the successor serves") == 1);
        more(100);
        wait_for("the predecessor ends", || count(&served, "stopped") == 1);
        more(100);
        // Whoever succeeded can be succeeded.
        Successors::signal(successors.ids()[0], "USR2");
        wait_for("the next one serves", || count(&served, "the successor serves") == 2);
        wait_for("the first successor ends", || count(&served, "stopped") == 2);
        more(100);
    });
    let ids = successors.ids();
    assert_eq!(ids.len(), 2);
    assert!(!Successors::run(ids[0]) && Successors::run(ids[1]));
    // All of them wrote their lines.
    let lines = || std::fs::read_to_string(folder.path().join("access.log")).unwrap().lines().count();
    Successors::signal(ids[1], "TERM");
    wait_for("the last one ends", || count(&served, "stopped") == 3);
    assert_eq!(lines(), answered.load(Ordering::Relaxed));
    drop(successors);
    assert_eq!(served.ended().code(), Some(0));
}

/// What is open stays with the process that it began with, until it ends by itself.
#[test]
fn an_open_answer_goes_on_in_the_predecessor() {
    let (upstream, connections) = Upstream::by_hand();
    let endpoint = format!(
        "  routes: [{{ path: /, upstream: api }}]\n  upstreams: {{ api: {{ endpoints: [\"http://{}\"] }} }}\ndirectory",
        upstream.address()
    );
    let folder = folder(&CONFIGURATION.replacen("directory", &endpoint, 1));
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let mut client = Client::connect(served.gateway());
    client.write(format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    let mut answering = connections.recv_timeout(DEADLINE).unwrap();
    answering.head().unwrap();
    answering.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla");
    client.head().unwrap();
    served.signal("USR2");
    let successors = Successors(&served);
    wait_for("the successor serves", || count(&served, "draining") == 1);
    answering.write("te");
    assert_eq!(client.take(4), b"late");
    assert!(client.is_closed());
    wait_for("the predecessor ends", || count(&served, "stopped") == 1);
    drop(successors);
    assert_eq!(served.ended().code(), Some(0));
}

#[test]
fn a_successor_that_can_not_serve_changes_nothing() {
    let folder = folder(CONFIGURATION);
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let put = |text: &str| std::fs::write(folder.path().join("portcullis.yaml"), text).unwrap();
    let header = format!("X-API-Key: {KEY}");
    put("gateway: { workrs: 2 }\n");
    served.signal("USR2");
    wait_for("the fault", || count(&served, "there is no successor; this process goes on") == 1);
    let told = served.log_has(|line| line["error"].as_str().is_some_and(|text| text.starts_with("it ended before")));
    assert!(told, "{:#?}", served.log());
    assert!(served.log_has(|line| line.as_str().is_some_and(|text| text.contains("workrs"))), "{:#?}", served.log());
    assert_eq!(served.get("/", &[&header]).status, 200);
    // An address that somebody else has is told by the successor, and again nothing has changed.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    put(&CONFIGURATION.replace("127.0.0.1:0\" }]", &format!("{}\" }}]", taken.local_addr().unwrap())));
    served.signal("USR2");
    wait_for("the fault", || count(&served, "there is no successor; this process goes on") == 2);
    assert_eq!(served.get("/", &[&header]).status, 200);
    put(CONFIGURATION);
    served.signal("USR2");
    let successors = Successors(&served);
    wait_for("the successor serves", || count(&served, "stopped") == 1);
    assert_eq!(served.get("/", &[&header]).status, 200);
    drop(successors);
    assert_eq!(served.ended().code(), Some(0));
}

const STORE: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 2
  drain_timeout: 20s
  drain_idle: 10ms
  routes: [{ path: /, upstream: api }]
  upstreams: { api: { endpoints: [\"http://UPSTREAM\"] } }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\" }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
";

/// The store goes along; what the successor changes ends what is still open in the predecessor, and no use is lost.
#[test]
fn a_store_goes_to_the_successor_and_its_changes_are_enforced_in_both() {
    let (upstream, connections) = Upstream::by_hand();
    let mut office = Office::open_with(&STORE.replace("UPSTREAM", &upstream.address().to_string()));
    let key = office.key("[]");
    let mut client = Client::connect(office.served.gateway());
    client.write(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", key.header()));
    let mut answering = connections.recv_timeout(DEADLINE).unwrap();
    answering.head().unwrap();
    answering.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    client.head().unwrap();
    office.served.signal("USR2");
    let successors = Successors(&office.served);
    wait_for("the successor serves", || count(&office.served, "draining") == 1);
    let used = || office.own("GET", &format!("/apiKeys/{}", key.id), "").json()["lastUsed"].is_string();
    wait_for("the use that the predecessor counted", used);
    let list = format!("/apiKeys/{}/accessList?force=true", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status, 200);
    assert!(client.rest().ends_with("1\r\na\r\n"));
    wait_for("the predecessor ends", || count(&office.served, "stopped") == 1);
    let log = std::fs::read_to_string(office.folder().join("access.log")).unwrap();
    let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(line["revoked"], true, "{line:#}");
    assert_eq!(office.through(&key), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    drop(successors);
}

/// A store that was lent comes back where nobody came to serve it.
#[test]
fn a_store_comes_back_from_a_successor_that_can_not_serve() {
    let upstream = Upstream::start();
    let mut office = Office::open_with(&STORE.replace("UPSTREAM", &upstream.address().to_string()));
    let configuration = office.folder().join("portcullis.yaml");
    // An organization that is not there is noticed when the store has been asked for and read.
    let good = std::fs::read_to_string(&configuration).unwrap();
    let unknown = good.replace("upstream: api }", "upstream: api, organizations: [5f00000000000000000000ff] }");
    std::fs::write(&configuration, unknown).unwrap();
    office.served.signal("USR2");
    wait_for("the fault", || count(&office.served, "there is no successor; this process goes on") == 1);
    let key = office.key("[]");
    assert_eq!(office.through(&key).0, 200);
    // Nor is anything told of a store that was never asked for.
    std::fs::write(&configuration, "gateway: 5\n").unwrap();
    office.served.signal("USR2");
    wait_for("the fault", || count(&office.served, "there is no successor; this process goes on") == 2);
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").status, 200);
    assert!(!office.served.log_has(|line| line.to_string().contains("taken back")), "{:#?}", office.served.log());
}

fn given(command: &mut Command, sockets: Vec<TcpListener>) {
    command.env("LISTEN_FDS", sockets.len().to_string());
    let mappings = (3..).zip(sockets).map(|(child_fd, socket)| FdMapping { parent_fd: socket.into(), child_fd });
    command.fd_mappings(mappings.collect()).unwrap();
}

fn serve(folder: &Path) -> Command {
    let mut command = Command::new(PORTCULLIS);
    command.args(["serve", "--config", "portcullis.yaml"]).current_dir(folder);
    command
}

/// `sd_listen_fds(3)`, `sd_notify(3)`: whoever connects before the program is there waits and is served.
#[test]
fn a_service_manager_passes_sockets_and_is_told() {
    let sockets: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let configuration = CONFIGURATION.replacen("127.0.0.1:0", &addresses[0].to_string(), 1).replacen(
        "127.0.0.1:0",
        &addresses[1].to_string(),
        1,
    );
    let folder = folder(&configuration);
    let told = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    told.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut early = Client::connect(addresses[0]);
    early.write(format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
    let mut command = serve(folder.path());
    given(&mut command, sockets);
    let mut served = Served::watch(command.env("NOTIFY_SOCKET", folder.path().join("notify")));
    assert!([200, 503].contains(&early.read(false).status), "it may not have read its directory yet");
    let word = || {
        let mut buffer = [0; 256];
        let length = told.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let ready = word();
    assert!(ready.contains("READY=1") && ready.contains(&format!("MAINPID={}", served.id())), "{ready}");
    assert_eq!(served.gateway(), addresses[0]);
    // More workers than sockets: each of them accepts.
    assert_eq!(served.get("/", &[&format!("X-API-Key: {KEY}")]).status, 200);
    served.signal("TERM");
    assert_eq!(word().trim(), "STOPPING=1");
    assert_eq!(served.ended().code(), Some(0));
}

#[test]
fn a_socket_that_nothing_listens_on_is_refused() {
    let folder = folder(CONFIGURATION);
    let socket = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut command = serve(folder.path());
    given(&mut command, vec![socket]);
    let refused = output(&mut command);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains(&address.to_string()) && told.contains("gateway.listen"), "{told}");
    // A file is no socket.
    let mut command = serve(folder.path());
    let file = std::fs::File::open(folder.path().join("portcullis.yaml")).unwrap();
    command.env("LISTEN_FDS", "1");
    command.fd_mappings(vec![FdMapping { parent_fd: file.into(), child_fd: 3 }]).unwrap();
    let refused = output(&mut command);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("descriptor 3"), "{told}");
}

/// Whoever has connected when the program is told to stop is served.
#[test]
fn a_connection_that_waits_to_be_accepted_is_served_at_the_end() {
    let folder = folder(&CONFIGURATION.replace("workers: 2", "workers: 1"));
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let gateway = served.gateway();
    // Stopped, it accepts nothing; the kernel completes the handshakes all the same.
    served.signal("STOP");
    let mut waiting: Vec<_> = (0..20).map(|_| Client::connect(gateway)).collect();
    served.signal("TERM");
    served.signal("CONT");
    for client in &mut waiting {
        let answer = client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        assert_eq!(answer.status, 200);
    }
    assert_eq!(served.ended().code(), Some(0));
}
