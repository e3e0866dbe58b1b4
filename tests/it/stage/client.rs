//! A client that sends what it is told, byte for byte, and reads answers as RFC 9112 frames them.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use super::DEADLINE;

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code; 0 where the connection was closed without an answer.
    pub status: u16,
    /// Names in lower case, values as they came.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// Trailers of a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("it listens"))
    }

    /// Connects from another address of the loopback.
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None);
        let socket = socket.expect("a socket can be had");
        socket.bind(&SocketAddr::new(from, 0).into()).expect("it is an address of the loopback");
        socket.connect(&to.into()).expect("it listens");
        Self::of(socket.into())
    }

    /// The other end of a connection that was accepted, or one that was made elsewhere.
    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("the deadline is not zero");
        stream.set_nodelay(true).expect("it is a TCP socket");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes; a peer that has closed already is found out by reading.
    pub fn write(&mut self, raw: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(raw.as_ref());
    }

    /// Sends until nobody has taken anything for a while, or the peer has closed.
    pub fn fill_up(&mut self) {
        self.stream.set_write_timeout(Some(std::time::Duration::from_millis(100))).expect("the time is not zero");
        while self.stream.write(&[0; 64 * 1024]).is_ok() {}
        self.stream.set_write_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    }

    /// Sends bytes and reads one answer.
    pub fn send(&mut self, raw: impl AsRef<[u8]>) -> Answer {
        let head_only = raw.as_ref().starts_with(b"HEAD ");
        self.write(raw);
        self.read(head_only)
    }

    /// Reads a head, interim answers included: its first line and its fields. `None` where the connection ends before it.
    pub fn head(&mut self) -> Option<(String, Vec<(String, String)>)> {
        let end = self.until(b"\r\n\r\n")?;
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let text = String::from_utf8_lossy(&head);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        Some((first, lines.filter_map(field).collect()))
    }

    /// The same connection once more, for another thread; what was read ahead stays here.
    pub fn second(&self) -> Self {
        Self::of(self.stream.try_clone().expect("a descriptor is free"))
    }

    /// Everything that comes until the peer closes.
    pub fn rest(&mut self) -> String {
        while self.fill() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// Reads one answer, `head_only` where the request was a HEAD. Interim answers but 100 and 101 are passed over.
    pub fn read(&mut self, head_only: bool) -> Answer {
        loop {
            let Some(end) = self.until(b"\r\n\r\n") else {
                assert!(self.buffer.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.buffer));
                return Answer { status: 0, headers: Vec::new(), body: Vec::new(), trailers: Vec::new() };
            };
            let head: Vec<u8> = self.buffer.drain(..end).collect();
            let (status, headers) = parse(&head);
            if (102..200).contains(&status) {
                continue;
            }
            let mut answer = Answer { status, headers, body: Vec::new(), trailers: Vec::new() };
            if head_only || status < 200 || status == 204 || status == 304 {
                return answer;
            }
            if answer.header("transfer-encoding").is_some() {
                self.read_chunks(&mut answer);
            } else if let Some(length) = answer.header("content-length") {
                let length = length.parse().expect("a content length is a number");
                answer.body = self.take(length);
            } else {
                while self.fill() {}
                answer.body = std::mem::take(&mut self.buffer);
            }
            return answer;
        }
    }

    /// One chunk of a body that goes on; `None` where it has ended.
    pub fn chunk(&mut self) -> Option<String> {
        let end = self.until(b"\r\n")?;
        let line: Vec<u8> = self.buffer.drain(..end).collect();
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).expect("a size is hexadecimal");
        let chunk = self.take(size);
        self.take(2);
        (size > 0).then(|| String::from_utf8_lossy(&chunk).into_owned())
    }

    fn read_chunks(&mut self, answer: &mut Answer) {
        loop {
            let Some(end) = self.until(b"\r\n") else { return };
            let line: Vec<u8> = self.buffer.drain(..end).collect();
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            let size =
                usize::from_str_radix(text.split(';').next().unwrap_or(""), 16).expect("a chunk size is hexadecimal");
            if size == 0 {
                break;
            }
            answer.body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n");
        }
        loop {
            let Some(end) = self.until(b"\r\n") else { return };
            let line: Vec<u8> = self.buffer.drain(..end).collect();
            if line == b"\r\n" {
                return;
            }
            answer.trailers.extend(field(&String::from_utf8_lossy(&line)));
        }
    }

    /// Whether the peer closes (or resets) the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    /// Whether the peer resets the connection, without another byte.
    pub fn is_reset(&mut self) -> bool {
        let outcome = self.stream.read(&mut [0]);
        matches!(outcome, Err(fault) if fault.kind() == std::io::ErrorKind::ConnectionReset)
    }

    /// Whether there is nothing to read within the given time and the connection is still open.
    pub fn is_silent_for(&mut self, time: std::time::Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("the time is not zero");
        let mut byte = [0];
        let outcome = self.stream.read(&mut byte);
        self.stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
        if let Ok(1) = outcome {
            self.buffer.push(byte[0]);
        }
        let nothing = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
        matches!(outcome, Err(fault) if nothing.contains(&fault.kind()))
    }

    /// Closes the sending side.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Position after the first `pattern`, or `None` where the connection ends before.
    fn until(&mut self, pattern: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.buffer.windows(pattern.len()).position(|window| window == pattern) {
                return Some(at + pattern.len());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Exactly so many bytes, or fewer where the connection ends before.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.fill() {}
        self.buffer.drain(..length.min(self.buffer.len())).collect()
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                true
            }
            Err(fault) if fault.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(fault) => panic!("nothing came: {fault}"),
        }
    }
}

impl Answer {
    /// The first header of that name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.text()))
    }

    /// Status and error code; the code is empty where there is none.
    pub fn outcome(&self) -> (u16, String) {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        (self.status, body["errorCode"].as_str().unwrap_or_default().to_owned())
    }
}

/// Start line's second word as a number, and the fields.
fn parse(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
    (status.unwrap_or(0), lines.filter_map(field).collect())
}

/// `Name: value`.
pub(super) fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim_end_matches("\r\n").split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}
