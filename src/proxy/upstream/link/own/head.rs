//! A request in the words of HTTP/1.1: its head, and the framing of its body (RFC 9112 §3, §7.1).

use bytes::{BufMut as _, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use http_body::Body as _;

use crate::proxy::body::RequestBody;

/// How an upstream sees where the request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Behind the head.
    None,
    /// After so many bytes, of which these are left.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// Writes a request's head. How it ends is said here and by nobody else: a client's words for it are left out.
pub(super) fn encode(head: &Parts, body: &RequestBody, to: &mut BytesMut) -> Framing {
    let framing = match body.size_hint().exact() {
        _ if body.is_end_stream() => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    to.reserve(256 + target.len() + head.headers.len() * 48);
    to.put_slice(head.method.as_str().as_bytes());
    to.put_u8(b' ');
    if !target.starts_with(['/', '*']) {
        // The client left the empty path out (RFC 9112 §3.2.1).
        to.put_u8(b'/');
    }
    to.put_slice(target.as_bytes());
    to.put_slice(b" HTTP/1.1\r\n");
    for (name, value) in &head.headers {
        // A request may say that its body is empty.
        let is_empty = framing == Framing::None && *name == CONTENT_LENGTH && value.as_bytes() == b"0";
        if *name != TRANSFER_ENCODING && *name != CONTENT_LENGTH || is_empty {
            field(name, value.as_bytes(), to);
        }
    }
    match framing {
        Framing::None => {}
        Framing::Length(length) => field(&CONTENT_LENGTH, itoa::Buffer::new().format(length).as_bytes(), to),
        Framing::Chunked => field(&TRANSFER_ENCODING, b"chunked", to),
    }
    to.put_slice(b"\r\n");
    framing
}

fn field(name: &HeaderName, value: &[u8], to: &mut BytesMut) {
    to.put_slice(name.as_str().as_bytes());
    to.put_slice(b": ");
    to.put_slice(value);
    to.put_slice(b"\r\n");
}

impl Framing {
    /// Writes what stands before a piece of so many bytes, and gives what stands behind it; `None` where it was not to come.
    pub(super) fn frame(&mut self, length: usize, is_last: bool, to: &mut BytesMut) -> Option<&'static [u8]> {
        match self {
            Self::None => None,
            Self::Length(left) => {
                *left = left.checked_sub(length as u64)?;
                (!is_last || *left == 0).then_some(b"")
            }
            Self::Chunked => {
                to.put_slice(format!("{length:x}\r\n").as_bytes());
                Some(if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" })
            }
        }
    }

    /// Writes the end; `None` where it was not to come yet.
    pub(super) fn end(self, to: &mut BytesMut) -> Option<()> {
        self.end_with(None, to)
    }

    /// Writes the end, with trailers where the framing has a place for them.
    pub(super) fn end_with(self, trailers: Option<&HeaderMap>, to: &mut BytesMut) -> Option<()> {
        match self {
            Self::None | Self::Length(0) => Some(()),
            Self::Length(_) => None,
            Self::Chunked => {
                to.put_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    field(name, value.as_bytes(), to);
                }
                to.put_slice(b"\r\n");
                Some(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn how_it_ends_is_said_by_us_alone() {
        for (lines, expected) in [
            (&[][..], ""),
            (&[("content-length", "0")], "content-length: 0\r\n"),
            (&[("content-length", "5"), ("x", "y")], "x: y\r\n"),
            (&[("transfer-encoding", "chunked"), ("content-length", "0")], "content-length: 0\r\n"),
            (&[("a", "1"), ("b", ""), ("a", "2")], "a: 1\r\na: 2\r\nb: \r\n"),
        ] {
            let mut request = http::Request::builder().method("POST").uri("/x?y");
            for (name, value) in lines {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let mut to = BytesMut::new();
            assert_eq!(encode(&parts, &RequestBody::none(), &mut to), Framing::None);
            assert_eq!(text(&to), format!("POST /x?y HTTP/1.1\r\n{expected}\r\n"));
        }
    }

    #[test]
    fn a_body_of_a_known_length_has_it_to_the_byte() {
        let (mut framing, mut to) = (Framing::Length(5), BytesMut::new());
        assert_eq!(framing.frame(3, false, &mut to), Some(&b""[..]));
        assert_eq!(framing.end(&mut to), None, "two bytes are missing");
        assert_eq!(Framing::Length(5).frame(3, true, &mut to), None, "two bytes will be missing");
        assert_eq!(framing.frame(3, false, &mut to), None, "one byte too many");
        assert_eq!(framing.frame(2, true, &mut to), Some(&b""[..]));
        assert_eq!(framing.end(&mut to), Some(()));
        assert!(to.is_empty());
    }

    #[test]
    fn a_body_of_unknown_length_is_chunked() {
        let (mut framing, mut to) = (Framing::Chunked, BytesMut::new());
        assert_eq!(framing.frame(26, false, &mut to), Some(&b"\r\n"[..]));
        assert_eq!(framing.frame(1, true, &mut to), Some(&b"\r\n0\r\n\r\n"[..]));
        assert_eq!(text(&to.split()), "1a\r\n1\r\n");
        let trailers: HeaderMap = [("x-sum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect();
        framing.end_with(Some(&trailers), &mut to).unwrap();
        assert_eq!(text(&to), "0\r\nx-sum: 1\r\n\r\n");
    }
}
