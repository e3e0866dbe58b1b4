//! Answers of HTTP/1.1 against a reading that has all bytes at once and takes lines apart as text.
//!
//! Input: one byte whose lowest bit says that the request was HEAD and whose others cut the rest into pieces; then the answer,
//! behind which the connection ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::net::answer::{AnswerFault, MAX_FIELDS, MAX_HEAD, Piece, read};

/// What of an answer matters to who passes it on.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    keeps: bool,
    left: usize,
}

fn in_pieces(answer: &[u8], piece: usize, to_head: bool) -> Result<Seen, AnswerFault> {
    let mut coming = answer.chunks(piece);
    let mut held = bytes::Bytes::new();
    let head = loop {
        if let Some((head, length)) = read(&held, to_head)? {
            held = held.slice(length..);
            break head;
        }
        let next = coming.next().ok_or(AnswerFault::Early)?;
        held = [&held[..], next].concat().into();
    };
    let named = |map: &http::HeaderMap| {
        let mut all: Vec<_> = map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    let fields = named(&head.fields);
    let (mut decoder, mut body, mut trailers) = (head.body, Vec::new(), Vec::new());
    loop {
        match decoder.next(&mut held)? {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Trailers(map) => trailers = named(&map),
            Piece::End => break,
            Piece::Wanting => match coming.next() {
                Some(next) => held = [&held[..], next].concat().into(),
                None => decoder.closed()?,
            },
        }
    }
    let left = held.len() + coming.map(<[u8]>::len).sum::<usize>();
    Ok(Seen { status: head.status.as_u16(), fields, body, trailers, keeps: head.keeps, left })
}

/// A line without its end, and what follows. The end is LF, with or without CR.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let text = &bytes[..end];
    Some((text.strip_suffix(b"\r").unwrap_or(text), &bytes[end + 1..]))
}

fn field(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&text[..colon], &text[colon + 1..]);
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let first = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let last = value.iter().rposition(|byte| !blank(byte)).map_or(first, |at| at + 1);
    let value = &value[first..last];
    let good = !name.is_empty()
        && name.iter().all(token)
        && value.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 127);
    good.then(|| (String::from_utf8_lossy(name).to_lowercase(), value.to_vec()))
}

/// Fields up to the empty line, in the order of their names.
fn fields(mut rest: &[u8]) -> Option<(Vec<(String, Vec<u8>)>, &[u8])> {
    let mut all = Vec::new();
    loop {
        let (text, behind) = line(rest)?;
        rest = behind;
        if text.is_empty() {
            all.sort_by(|one: &(String, Vec<u8>), other| one.0.cmp(&other.0));
            return (all.len() <= MAX_FIELDS).then_some((all, rest));
        }
        all.push(field(text)?);
    }
}

fn chunks(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end])
            .ok()
            .map_or_else(|| String::from_utf8_lossy(&rest[..end]).into_owned(), str::to_owned);
        let size = size.split(';').next()?.trim_end_matches([' ', '\t']).to_owned();
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::try_from(u64::from_str_radix(&size, 16).ok()?).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some((body, rest));
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest[size..].strip_prefix(b"\r\n")?;
    }
}

/// `None` where this reading sees no answer; the other may refuse more, but what it lets through is read the same.
fn at_once(answer: &[u8], to_head: bool) -> Option<Seen> {
    // Empty lines before an answer are skipped.
    let mut start = answer;
    while let Some(rest) = start.strip_prefix(b"\r\n").or_else(|| start.strip_prefix(b"\n")) {
        start = rest;
    }
    let (first, rest) = line(start)?;
    let is_new = first.starts_with(b"HTTP/1.1 ");
    if !is_new && !first.starts_with(b"HTTP/1.0 ") {
        return None;
    }
    let status: u16 = std::str::from_utf8(first.get(9..12)?).ok()?.parse().ok()?;
    let (mut fields, rest) = fields(rest)?;
    let all =
        |name: &str| fields.iter().filter(|field| field.0 == name).map(|field| field.1.clone()).collect::<Vec<_>>();
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    let says = |token: &str| {
        let lines = all("connection").into_iter();
        lines
            .map(|line| String::from_utf8_lossy(&line).to_ascii_lowercase())
            .any(|line| line.split(',').any(|one| one.trim() == token))
    };
    let (mut body, mut trailers, mut ends) = (Vec::new(), Vec::new(), true);
    let left;
    if to_head || status < 200 || status == 204 || status == 304 {
        left = rest;
    } else if !codings.is_empty() {
        let (read, behind) = chunks(rest)?;
        let (named, behind) = self::fields(behind)?;
        (body, trailers, left) = (read, named, behind);
    } else if let Some(length) = lengths.first() {
        let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        body = rest.get(..length)?.to_vec();
        left = &rest[length..];
    } else {
        (body, ends, left) = (rest.to_vec(), false, &[][..]);
    }
    let keeps = ends && status != 101 && !says("close") && (is_new || says("keep-alive"));
    // Whether it stays open is told once.
    fields.retain(|(name, value)| {
        let line = String::from_utf8_lossy(value).to_ascii_lowercase();
        name != "connection" || line.split(',').any(|one| !matches!(one.trim(), "close" | "keep-alive"))
    });
    Some(Seen { status, fields, body, trailers, keeps, left: left.len() })
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, answer)) = data.split_first() else { return };
    let (to_head, piece) = (how & 1 == 1, usize::from(how >> 1) + 1);
    if answer.len() > MAX_HEAD {
        return;
    }
    let cut = in_pieces(answer, piece, to_head);
    let uncut = in_pieces(answer, answer.len().max(1), to_head);
    assert_eq!(cut, uncut, "how it is cut up makes no difference");
    if let Ok(seen) = uncut {
        assert_eq!(Some(seen), at_once(answer, to_head));
    }
});
