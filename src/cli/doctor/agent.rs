//! The agent: an upstream that answers each request with what it saw of it, and of others of the same probe.

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::message;

/// Before this stands the probe in a path.
pub const PREFIX: &str = "/portcullis-doctor/";

/// How the agent names itself.
pub const NAME: &str = "portcullis-doctor";

/// Most requests that are remembered.
const MOST_REMEMBERED: usize = 64;

/// Most connections at a time.
const MOST_CONNECTIONS: u32 = 64;

/// Longest silence of a connection.
const SILENCE: Duration = Duration::from_secs(30);

/// Arguments of `doctor agent`.
#[derive(Debug, clap::Args)]
pub struct AgentArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9099")]
    listen: SocketAddr,
}

/// A request as it arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Who is connected.
    pub peer: String,
    /// The request line.
    pub line: String,
    /// Names as they came, in their order.
    pub headers: Vec<(String, String)>,
    /// Length of the body without its framing.
    pub body_bytes: usize,
}

impl Seen {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// What the agent answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// [`NAME`].
    pub agent: String,
    /// Requests since it started.
    pub count: u64,
    /// The request that is answered.
    pub seen: Seen,
    /// All requests of the same probe, in their order.
    pub same_probe: Vec<Seen>,
}

#[derive(Default)]
struct Record {
    count: u64,
    last: VecDeque<Seen>,
}

/// Which probe a request line belongs to.
fn probe(line: &str) -> Option<&str> {
    let (_, after) = line.split_once(PREFIX)?;
    after.split(['/', ' ', '?', ';', '%']).next().filter(|probe| !probe.is_empty())
}

impl Record {
    fn add(&mut self, seen: Seen) -> Told {
        self.count += 1;
        if self.last.len() == MOST_REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(seen.clone());
        let same = |other: &&Seen| probe(&seen.line).is_some_and(|own| probe(&other.line) == Some(own));
        let same_probe = self.last.iter().filter(same).cloned().collect();
        Told { agent: NAME.to_owned(), count: self.count, seen, same_probe }
    }
}

/// Serves until it is interrupted.
///
/// # Errors
/// An address that can't be listened on.
pub fn run(args: &AgentArgs) -> anyhow::Result<ExitCode> {
    let busy = || format!("`{}` can't be listened on", args.listen);
    let listener = TcpListener::bind(args.listen).with_context(busy)?;
    println!("the agent listens on {}", listener.local_addr().with_context(busy)?);
    let record = Arc::new(Mutex::new(Record::default()));
    let open = Arc::new(AtomicU32::new(0));
    loop {
        let (stream, peer) = listener.accept().context("no connection can be accepted")?;
        if open.load(Ordering::Relaxed) >= MOST_CONNECTIONS {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let (record, open) = (Arc::clone(&record), Arc::clone(&open));
        std::thread::spawn(move || {
            serve(&stream, peer, &record);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Answers one connection's requests until it ends or makes no sense.
fn serve(stream: &TcpStream, peer: SocketAddr, record: &Mutex<Record>) {
    let _ = stream.set_read_timeout(Some(SILENCE));
    let _ = stream.set_write_timeout(Some(SILENCE));
    let _ = stream.set_nodelay(true);
    let mut requests = BufReader::new(stream);
    let mut answers = stream;
    while let Ok(request) = message::read(&mut requests) {
        let seen = Seen {
            peer: peer.to_string(),
            line: request.line,
            headers: request.headers,
            body_bytes: request.body.len(),
        };
        let told = record.lock().unwrap_or_else(PoisonError::into_inner).add(seen);
        let Ok(body) = serde_json::to_string(&told) else { return };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
        if answers.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).is_err() {
            return;
        }
    }
}
