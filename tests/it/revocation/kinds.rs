//! One open exchange of each kind that may last: a WebSocket, a streamed answer, an upload.

use std::net::SocketAddr;
use std::sync::mpsc::Receiver;

use crate::stage::{Client, DEADLINE};

pub const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
pub const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

/// Each with its upstream's side.
pub struct Kinds {
    websocket: (Client, Client),
    stream: (Client, Client),
    upload: (Client, Client),
}

impl Kinds {
    /// Opens them with this header line. All three are let through.
    #[track_caller]
    pub fn open(gateway: SocketAddr, connections: &Receiver<Client>, credential: &str) -> Self {
        let begin = |method: &str, lines: &str, body: &str, answer: &str| {
            let mut client = Client::connect(gateway);
            client.write(format!("{method} /stream HTTP/1.1\r\nHost: a\r\n{credential}\r\n{lines}\r\n{body}"));
            let mut upstream = connections.recv_timeout(DEADLINE).expect("the gateway connects");
            upstream.head().expect("the request reaches the upstream");
            upstream.write(answer);
            (client, upstream)
        };
        let mut websocket = begin("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "", AGREE);
        assert!(websocket.0.head().unwrap().0.contains("101"));
        let mut stream = begin("GET", "", "", CHUNKED);
        assert!(stream.0.head().unwrap().0.contains("200"));
        assert_eq!(stream.0.take(10), b"5\r\nhello\r\n");
        let mut upload = begin("POST", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", "");
        assert_eq!(upload.1.take(10), b"5\r\nhello\r\n");
        Self { websocket, stream, upload }
    }

    /// All three are open and pass what is said.
    #[track_caller]
    pub fn go_on(&mut self) {
        self.websocket.1.write([0x81, 2, b'o', b'k']);
        assert_eq!(self.websocket.0.take(4), [0x81, 2, b'o', b'k']);
        self.stream.1.write("2\r\nok\r\n");
        assert_eq!(self.stream.0.take(7), b"2\r\nok\r\n");
        self.upload.0.write("2\r\nok\r\n");
        assert_eq!(self.upload.1.take(7), b"2\r\nok\r\n");
    }

    /// Waits until all three have ended by this code, on both sides.
    #[track_caller]
    pub fn end_by(self, status: u16, code: &str) {
        let (mut client, mut upstream) = self.websocket;
        assert_eq!(client.take(2), [0x88, code.len() as u8 + 2], "{code}");
        assert_eq!(client.take(2), [3, 240], "1008: policy violation");
        assert_eq!(client.take(code.len()), code.as_bytes());
        assert!(client.is_closed());
        assert!(upstream.is_closed());
        let (mut client, mut upstream) = self.stream;
        assert_eq!(client.rest(), "", "{code}");
        assert!(upstream.is_closed());
        let (mut client, mut upstream) = self.upload;
        let answer = client.read(false);
        assert_eq!(answer.outcome(), (status, code.to_owned()));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(upstream.is_closed());
    }
}
