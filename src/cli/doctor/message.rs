//! Reads HTTP/1 as the most lenient upstream would: what a strict gateway let through shows.

use std::io::{self, BufRead, ErrorKind, Read};

/// Most bytes of one line, and of one body.
const MOST: u64 = 256 * 1024;

/// Most lines of a head.
const MOST_LINES: usize = 256;

/// A request or an answer.
#[derive(Debug, Clone)]
pub struct Message {
    /// The first line.
    pub line: String,
    /// Names as they came, in their order.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
}

impl Message {
    fn first(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(bytes)
}

/// The line of a chunk's size: it ends with CR and LF, so that a bare LF is part of its extension.
fn size(from: &mut impl BufRead) -> io::Result<u64> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n") {
        let before = bytes.len();
        from.by_ref().take(MOST).read_until(b'\n', &mut bytes)?;
        if bytes.len() == before || bytes.len() as u64 > MOST {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let digits = text.split([';', '\r', '\n', ' ']).next().unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| ErrorKind::InvalidData.into())
}

fn take(from: &mut impl BufRead, length: u64, to: &mut Vec<u8>) -> io::Result<()> {
    if length > MOST || to.len() as u64 + length > MOST {
        return Err(ErrorKind::InvalidData.into());
    }
    let got = from.take(length).read_to_end(to)?;
    if got as u64 == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// Reads one message.
///
/// # Errors
/// `UnexpectedEof` where it is not whole, `InvalidData` where even this reader makes no sense of it.
pub fn read(from: &mut impl BufRead) -> io::Result<Message> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut message = Message { line: text(line(from)?), headers: Vec::new(), body: Vec::new() };
    loop {
        let field = text(line(from)?);
        if field.is_empty() {
            break;
        }
        if message.headers.len() == MOST_LINES {
            return Err(ErrorKind::InvalidData.into());
        }
        // A folded line is a field of its own for those who never heard of folding.
        let (name, value) = field.trim_start().split_once(':').unwrap_or((&field, ""));
        message.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let is_coding = |(name, value): &(String, String)| {
        name.trim().eq_ignore_ascii_case("transfer-encoding") && value.to_ascii_lowercase().contains("chunked")
    };
    if message.headers.iter().any(is_coding) {
        loop {
            let length = size(from)?;
            if length == 0 {
                while !line(from)?.is_empty() {}
                break;
            }
            take(from, length, &mut message.body)?;
            line(from)?;
        }
    } else if let Some(length) = message.first("content-length") {
        let length = length.trim_start_matches('+').split(',').next().unwrap_or_default();
        let length = length.trim().parse().map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        take(from, length, &mut message.body)?;
    }
    Ok(message)
}
