//! An upstream that records what it is sent and answers what it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

type Answer = dyn Fn(&str) -> String + Send + Sync;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Keep,
    Close,
    Early,
}

impl Upstream {
    pub(crate) fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(answer), Manner::Keep)
    }

    /// Closes each connection after one answer without having said so.
    pub(crate) fn closing(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(answer), Manner::Close)
    }

    /// Answers as soon as the head has come.
    pub(crate) fn early(answer: &'static str) -> Self {
        Self::start(Arc::new(move |_: &str| answer.into()), Manner::Early)
    }

    fn start(answer: Arc<Answer>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let upstream = Self { address, seen: Arc::clone(&seen), connections: Arc::clone(&connections) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &*answer, &seen, manner));
            }
        });
        upstream
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, seen: &Mutex<Vec<String>>, manner: Manner) {
    while let Some(request) = read_message(&mut stream, manner == Manner::Early) {
        seen.lock().unwrap().push(request.clone());
        if stream.write_all(answer(&request).as_bytes()).is_err() || manner == Manner::Close {
            return;
        }
    }
}

/// Reads one answer of known length.
pub(crate) fn read_answer(stream: &mut TcpStream) -> String {
    read_message(stream, false).unwrap_or_default()
}

/// A head, and the body that it announces. One byte at a time: a test has time.
fn read_message(stream: &mut TcpStream, head_only: bool) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        read_byte(stream, &mut text)?;
    }
    let head = String::from_utf8_lossy(&text).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    if !head_only {
        if head.contains("transfer-encoding: chunked") {
            let start = text.len();
            while !(text[start..].ends_with(b"\r\n\r\n") && text[start..].windows(3).any(|part| part == b"0\r\n")) {
                read_byte(stream, &mut text)?;
            }
        }
        for _ in 0..length.unwrap_or(0) {
            read_byte(stream, &mut text)?;
        }
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn read_byte(stream: &mut TcpStream, text: &mut Vec<u8>) -> Option<()> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    text.push(byte[0]);
    Some(())
}
