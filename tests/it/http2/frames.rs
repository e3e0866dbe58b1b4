//! A client of HTTP/2 that a test holds by each of its frames: what a library would never do, or not at that moment.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::stage::{DEADLINE, KEY, Stage};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;

/// Ends a stream, or acknowledges.
const END_OR_ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// One frame (RFC 9113 §4.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The last stream that a GOAWAY names.
    pub fn last_stream(&self) -> u32 {
        assert_eq!(self.kind, GOAWAY, "{self:?}");
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// One connection.
pub struct Frames(TcpStream);

impl Frames {
    /// To the gateway, with the preface said and no settings.
    pub fn connect(stage: &Stage) -> Self {
        let mut stream = TcpStream::connect(stage.gateway()).expect("the gateway listens");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut client = Self(stream);
        client.send(SETTINGS, 0, 0, &[]);
        client
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.0.write_all(&frame);
    }

    /// Says that this frame was read.
    pub fn acknowledge(&mut self, frame: &Frame) {
        let payload = if frame.kind == PING { &frame.payload[..] } else { &[] };
        self.send(frame.kind, END_OR_ACK, 0, payload);
    }

    /// `GET /` with the key, whole; nothing of it is compressed (RFC 7541 §6).
    pub fn get(&mut self, stream: u32) {
        // Method, path and scheme by their numbers, then two literals.
        let mut block = vec![0x82, 0x84, 0x86, 0x41, 1, b'a', 0];
        for text in ["x-api-key", KEY] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
        self.send(HEADERS, END_HEADERS | END_OR_ACK, stream, &block);
    }

    /// The next frame; `None` where the connection ends.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of a kind; those before it are passed over.
    pub fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().expect("the connection is open");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Whether nothing comes within this time, and the connection stays open.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        let outcome = self.0.peek(&mut [0]);
        self.0.set_read_timeout(Some(DEADLINE)).unwrap();
        let nothing = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
        matches!(outcome, Err(fault) if nothing.contains(&fault.kind()))
    }
}
