//! The head of an answer (RFC 9112 §4, §6.3).
//!
//! Field values are slices of what was read: nothing is copied.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{AnswerFault, Decoder, MAX_FIELDS, MAX_HEAD};

/// A head and what it says of the rest.
#[derive(Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without a `Connection` that says only whether it stays open: that is `keeps`.
    pub fields: HeaderMap,
    /// Where its body ends.
    pub body: Decoder,
    /// Whether another answer may follow on the connection.
    pub keeps: bool,
}

/// Reads the head at the beginning of these bytes, and says how many it has; `None` where not all of it is there.
/// `to_head` says that the request was HEAD, to which no body comes.
///
/// # Errors
/// [`AnswerFault`], as early as it can be told.
pub fn read(bytes: &Bytes, to_head: bool) -> Result<Option<(Head, usize)>, AnswerFault> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut room) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(AnswerFault::TooLarge),
        Err(_) => return Err(AnswerFault::Malformed),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(AnswerFault::Malformed)?;
    let is_new = parsed.version == Some(1);
    let mut fields = HeaderMap::with_capacity(parsed.headers.len());
    let mut framing = Framing::default();
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| AnswerFault::Malformed)?;
        // Nothing is slower to find than an empty slice's place.
        let value = if field.value.is_empty() { Bytes::new() } else { bytes.slice_ref(field.value) };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| AnswerFault::Malformed)?;
        if framing.notes(&name, &value)? {
            fields.append(name, value);
        }
    }
    let body = framing.decide(status, to_head, is_new)?;
    let keeps = match is_new {
        true => !framing.says_close,
        false => framing.says_keep && !framing.says_close,
    };
    let keeps = keeps && body.ends_by_itself() && status != StatusCode::SWITCHING_PROTOCOLS;
    Ok(Some((Head { status, fields, body, keeps }, length)))
}

/// What the fields say of where the answer ends, noted as they pass.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    says_close: bool,
    says_keep: bool,
}

impl Framing {
    /// Whether anybody else has to know of the field.
    fn notes(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<bool, AnswerFault> {
        if *name == CONTENT_LENGTH {
            let length = length(value.as_bytes()).ok_or(AnswerFault::Ambiguous("Content-Length is not one number"))?;
            if self.length.replace(length).is_some() {
                return Err(AnswerFault::Ambiguous("it has more than one Content-Length"));
            }
        } else if *name == TRANSFER_ENCODING {
            if self.chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(AnswerFault::Ambiguous("it has a transfer coding other than chunked"));
            }
            self.chunked = true;
        } else if *name == CONNECTION {
            let mut says_more = false;
            for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                let (close, keep) = (token.eq_ignore_ascii_case(b"close"), token.eq_ignore_ascii_case(b"keep-alive"));
                self.says_close |= close;
                self.says_keep |= keep;
                says_more |= !(close || keep);
            }
            return Ok(says_more);
        }
        Ok(true)
    }

    /// RFC 9112 §6.3.
    fn decide(&self, status: StatusCode, to_head: bool, is_new: bool) -> Result<Decoder, AnswerFault> {
        if self.chunked && self.length.is_some() {
            return Err(AnswerFault::Ambiguous("it has both Content-Length and Transfer-Encoding"));
        }
        if self.chunked && !is_new {
            return Err(AnswerFault::Ambiguous("it has a transfer coding in HTTP/1.0"));
        }
        let has_none = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(match (to_head || has_none, self.chunked, self.length) {
            (true, _, _) => Decoder::none(),
            (false, true, _) => Decoder::chunked(),
            (false, false, Some(length)) => Decoder::of_length(length),
            (false, false, None) => Decoder::until_close(),
        })
    }
}

/// A number without sign, blanks or list.
fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}
