//! An upstream that writes down what reaches it, byte for byte, and answers as the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::client::{Client, field};
use super::{DEADLINE, wait_for};

/// A request as the upstream saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET /path HTTP/1.1`.
    pub line: String,
    /// Names in lower case, in the order and number in which they came.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// Trailers of a chunked body.
    pub trailers: Vec<(String, String)>,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

impl Seen {
    /// The first header of that name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

type Script = Arc<dyn Fn(&Seen, &mut TcpStream) -> bool + Send + Sync>;

/// A listener on a port of its own; its threads end with the connections.
pub struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    /// Answers everything with `200` and the body `hello`.
    pub fn start() -> Self {
        Self::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec())
    }

    /// The same at this address, which nobody else listens on.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("the port is free again");
        Self::on(listener, |_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_ok())
    }

    /// Answers each request with these bytes and keeps the connection.
    pub fn answering(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted(move |seen, stream| stream.write_all(&answer(seen)).is_ok())
    }

    /// Lets the script write what it likes; the connection is closed where it returns `false`.
    pub fn scripted(script: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port is free"), script)
    }

    fn on(listener: TcpListener, script: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Script = Arc::new(script);
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (record, script) = (Arc::clone(&record), Arc::clone(&script));
                let Ok(stream) = stream else { return };
                std::thread::spawn(move || serve(stream, connection, &record, &script));
            }
        });
        Self { address, seen }
    }

    /// Hands every connection to the test, which reads and writes on it by hand; nothing is recorded.
    pub fn by_hand() -> (Self, Receiver<Client>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (give, take) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if give.send(Client::of(stream)).is_err() {
                    return;
                }
            }
        });
        (Self { address, seen: Arc::default() }, take)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that has reached it so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while it holds the lock").clone()
    }

    /// The last request, as soon as there are this many.
    pub fn nth(&self, count: usize) -> Seen {
        wait_for("a request at the upstream", || self.seen().len() >= count);
        self.seen().swap_remove(count - 1)
    }
}

fn serve(stream: TcpStream, connection: usize, record: &Mutex<Vec<Seen>>, script: &Script) {
    let _ = stream.set_read_timeout(Some(DEADLINE + Duration::from_secs(20)));
    let _ = stream.set_nodelay(true);
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut requests = BufReader::new(stream);
    while let Some(seen) = read(&mut requests, &mut answers, connection) {
        record.lock().expect("no test panics while it holds the lock").push(seen.clone());
        if !script(&seen, &mut answers) {
            return;
        }
    }
}

fn line(from: &mut BufReader<TcpStream>) -> Option<String> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.strip_suffix("\r\n").map(str::to_owned)
}

fn read(from: &mut BufReader<TcpStream>, answers: &mut TcpStream, connection: usize) -> Option<Seen> {
    let mut seen = Seen { line: line(from)?, headers: Vec::new(), body: Vec::new(), trailers: Vec::new(), connection };
    loop {
        let text = line(from)?;
        if text.is_empty() {
            break;
        }
        seen.headers.push(field(&text).unwrap_or((text, String::new())));
    }
    if seen.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        answers.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if let Some(length) = seen.header("content-length").and_then(|text| text.parse().ok()) {
        seen.body = vec![0; length];
        from.read_exact(&mut seen.body).ok()?;
    } else if seen.header("transfer-encoding").is_some() {
        loop {
            let size = usize::from_str_radix(line(from)?.split(';').next()?, 16).ok()?;
            if size == 0 {
                break;
            }
            let start = seen.body.len();
            seen.body.resize(start + size, 0);
            from.read_exact(&mut seen.body[start..]).ok()?;
            line(from)?;
        }
        loop {
            let text = line(from)?;
            if text.is_empty() {
                break;
            }
            seen.trailers.extend(field(&text));
        }
    }
    Some(seen)
}
