//! Where the body of an answer ends, and its pieces without their framing (RFC 9112 §6, §7.1).

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{AnswerFault, MAX_FIELDS, MAX_HEAD};

/// Most bytes of one chunk's extensions, which nobody reads.
const MAX_EXTENSION: u16 = 4 * 1024;
/// Hexadecimal digits of a chunk's size: more than any chunk has, and less than overflows.
const MAX_DIGITS: u8 = 15;

/// Takes a body apart, piece by piece.
#[derive(Debug)]
pub struct Decoder(State);

#[derive(Debug)]
enum State {
    Length(u64),
    UntilClose,
    Chunked(Chunked),
    Over,
}

/// Where in a chunk the next byte stands.
#[derive(Debug)]
enum Chunked {
    /// In its size: the value and the digits so far.
    Size(u64, u8),
    /// Behind the size: blanks before an extension or the end of the line.
    Blank(u64),
    /// In its extensions, of which there were so many bytes.
    Extension(u64, u16),
    /// Before the LF of that line.
    SizeEnd(u64),
    /// In its data, of which so much is to come.
    Data(u64),
    /// Behind its data: before CR, then before LF.
    DataEnd,
    DataEndLf,
    /// In the trailers, with what has come of them.
    Trailers(Vec<u8>),
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of it.
    Data(Bytes),
    /// The fields behind it; the end follows.
    Trailers(HeaderMap),
    /// Its end.
    End,
    /// More has to be read first.
    Wanting,
}

impl Decoder {
    pub(super) fn none() -> Self {
        Self(State::Over)
    }

    pub(super) fn chunked() -> Self {
        Self(State::Chunked(Chunked::Size(0, 0)))
    }

    pub(super) fn of_length(length: u64) -> Self {
        Self(if length == 0 { State::Over } else { State::Length(length) })
    }

    pub(super) fn until_close() -> Self {
        Self(State::UntilClose)
    }

    /// Whether its end can be told from the body alone.
    #[must_use]
    pub fn ends_by_itself(&self) -> bool {
        !matches!(self.0, State::UntilClose)
    }

    /// Whether nothing of it is to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.0, State::Over)
    }

    /// Bytes that are to come, where that is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match self.0 {
            State::Over => Some(0),
            State::Length(left) => Some(left),
            State::UntilClose | State::Chunked(_) => None,
        }
    }

    /// The next piece, taken off the front of what has been read. Bytes that belong to it are all taken; none behind its end.
    ///
    /// # Errors
    /// [`AnswerFault::Malformed`] where chunks are not what they should be, [`AnswerFault::TooLarge`] for trailers.
    pub fn next(&mut self, read: &mut Bytes) -> Result<Piece, AnswerFault> {
        match &mut self.0 {
            State::Over => Ok(Piece::End),
            _ if read.is_empty() => Ok(Piece::Wanting),
            State::UntilClose => Ok(Piece::Data(read.split_to(read.len()))),
            State::Length(left) => {
                let piece = take(read, *left);
                *left -= piece.len() as u64;
                if *left == 0 {
                    self.0 = State::Over;
                }
                Ok(Piece::Data(piece))
            }
            State::Chunked(chunked) => {
                let piece = chunked.next(read)?;
                if matches!(piece, Piece::Trailers(_) | Piece::End) {
                    self.0 = State::Over;
                }
                Ok(piece)
            }
        }
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// [`AnswerFault::Early`] where that is not the end of the body.
    pub fn closed(&mut self) -> Result<(), AnswerFault> {
        match self.0 {
            State::Over | State::UntilClose => {
                self.0 = State::Over;
                Ok(())
            }
            State::Length(_) | State::Chunked(_) => Err(AnswerFault::Early),
        }
    }
}

/// As much of these bytes as there is, up to so many.
fn take(read: &mut Bytes, most: u64) -> Bytes {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(read.len());
    read.split_to(count)
}

impl Chunked {
    fn next(&mut self, read: &mut Bytes) -> Result<Piece, AnswerFault> {
        while !read.is_empty() {
            if let Self::Data(left) = self {
                let piece = take(read, *left);
                *left -= piece.len() as u64;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                return Ok(Piece::Data(piece));
            }
            let byte = read.get_u8();
            if let Self::Trailers(kept) = self {
                kept.push(byte);
                if kept.len() > MAX_HEAD {
                    return Err(AnswerFault::TooLarge);
                }
                if kept == b"\r\n" {
                    return Ok(Piece::End);
                }
                if kept.ends_with(b"\r\n\r\n") {
                    return trailers(kept).map(Piece::Trailers);
                }
                continue;
            }
            *self = self.step(byte).ok_or(AnswerFault::Malformed)?;
        }
        Ok(Piece::Wanting)
    }

    /// What follows on a byte of the framing. Lines end with CR LF and with nothing else: whoever took a bare LF for an end
    /// would see other chunks (RFC 9112 §2.2).
    fn step(&self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size(size, digits), _) if byte.is_ascii_hexdigit() && *digits < MAX_DIGITS => {
                let digit = (byte as char).to_digit(16)?;
                Self::Size(size << 4 | u64::from(digit), digits + 1)
            }
            (Self::Size(_, 0), _) => return None,
            (Self::Size(size, _) | Self::Blank(size), b' ' | b'\t') => Self::Blank(*size),
            (Self::Size(size, _) | Self::Blank(size), b';') => Self::Extension(*size, 0),
            (Self::Size(size, _) | Self::Extension(size, _), b'\r') => Self::SizeEnd(*size),
            (Self::Extension(size, count), b'\t' | b' '..=b'~' | 0x80..) if *count < MAX_EXTENSION => {
                Self::Extension(*size, count + 1)
            }
            (Self::SizeEnd(0), b'\n') => Self::Trailers(Vec::new()),
            (Self::SizeEnd(size), b'\n') => Self::Data(*size),
            (Self::DataEnd, b'\r') => Self::DataEndLf,
            (Self::DataEndLf, b'\n') => Self::Size(0, 0),
            _ => return None,
        })
    }
}

fn trailers(kept: &[u8]) -> Result<HeaderMap, AnswerFault> {
    let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let fields = match httparse::parse_headers(kept, &mut room) {
        Ok(httparse::Status::Complete((length, fields))) if length == kept.len() => fields,
        Err(httparse::Error::TooManyHeaders) => return Err(AnswerFault::TooLarge),
        _ => return Err(AnswerFault::Malformed),
    };
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| AnswerFault::Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| AnswerFault::Malformed)?;
        map.append(name, value);
    }
    Ok(map)
}
