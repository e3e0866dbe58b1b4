//! The parameters of `Authorization: Digest` (RFC 7616 §3.4, RFC 9110 §11.2), read strictly and without allocating.
//!
//! Never takes the first of two: a parameter that stands twice refuses the line. What is not known is ignored, as the RFC has
//! it; what is known and not supported (`username*`, `userhash`) is refused plainly, not guessed at.

/// Most characters of a user name, a realm and a client's nonce: they are hashed, some of them several times.
pub const LONGEST: usize = 512;

/// The parameters of a line. Has no `Debug`: a response lets its reader test guesses.
pub struct Presented<'h> {
    /// Who calls.
    pub username: Text<'h>,
    /// For which realm.
    pub realm: Text<'h>,
    /// The gateway's nonce.
    pub nonce: Text<'h>,
    /// The target that the response is for.
    pub uri: Text<'h>,
    /// The response's bytes: 16 or 32.
    pub response: Response,
    /// The name of the hash; where it is absent, MD5 is meant.
    pub algorithm: Option<Text<'h>>,
    /// The quality of protection.
    pub qop: Text<'h>,
    /// The count of the nonce as it is written, 8 hexadecimal digits.
    pub nc: Text<'h>,
    /// The count; at least 1.
    pub count: u32,
    /// The client's nonce.
    pub cnonce: Text<'h>,
}

/// A value: a token, or what stands between quotes, with its escapes.
#[derive(Clone, Copy)]
pub struct Text<'h>(&'h [u8]);

impl<'h> Text<'h> {
    /// The value without its escapes, in parts.
    pub fn parts(&self) -> impl Iterator<Item = &'h [u8]> {
        let mut rest = Some(self.0);
        std::iter::from_fn(move || {
            let text = rest?;
            // A character that is escaped is no backslash that escapes: it begins the next part.
            let from = usize::from(text.first() == Some(&b'\\'));
            let escaped = &text[from..];
            let end = escaped.iter().skip(from).position(|byte| *byte == b'\\').map(|at| at + from);
            let (part, next) = match end {
                Some(end) => (&escaped[..end], Some(&escaped[end..])),
                None => (escaped, None),
            };
            rest = next;
            Some(part)
        })
    }

    /// The value without its escapes.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        self.parts().flatten().copied()
    }

    /// Whether the value is that of these parts together.
    pub fn is(&self, parts: &[&[u8]]) -> bool {
        self.bytes().eq(parts.iter().copied().flatten().copied())
    }

    fn length(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }
}

/// A response, decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Response {
    bytes: [u8; 32],
    length: usize,
}

impl Response {
    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

const FORM: &str = "what follows `Digest` is not a list of `name=value`";
const TWICE: &str = "a parameter of Digest stands twice";

/// Reads the parameters.
///
/// # Errors
/// What is wrong, for the operator; nothing of the line is repeated.
pub fn parse(line: &[u8]) -> Result<Presented<'_>, &'static str> {
    let mut known = [None; NAMES.len()];
    let mut rest = line;
    while let Some((name, value)) = parameter(&mut rest)? {
        if name.eq_ignore_ascii_case(b"username*") {
            return Err("Digest with `username*` is not supported; send `username`");
        }
        if name.eq_ignore_ascii_case(b"userhash") && !value.bytes().eq(*b"false") {
            return Err("Digest with `userhash` is not supported; send `username` as it is");
        }
        if let Some(at) = NAMES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            && known[at].replace(value).is_some()
        {
            return Err(TWICE);
        }
    }
    let [username, realm, nonce, uri, response, algorithm, qop, nc, cnonce, _] = known;
    let all = (username, realm, nonce, uri, response, qop, nc, cnonce);
    let (Some(username), Some(realm), Some(nonce), Some(uri), Some(response), Some(qop), Some(nc), Some(cnonce)) = all
    else {
        return Err("Digest needs username, realm, nonce, uri, response, qop, nc and cnonce");
    };
    if [username, realm, cnonce].iter().any(|text| text.length() > LONGEST) || cnonce.length() == 0 {
        return Err("a user name, realm or cnonce of Digest has 1 to 512 characters");
    }
    let count = count(&nc).ok_or("the nc of Digest is not 8 hexadecimal digits, or 0")?;
    let response = decoded(&response).ok_or("the response of Digest is not 32 or 64 hexadecimal digits")?;
    Ok(Presented { username, realm, nonce, uri, response, algorithm, qop, nc, count, cnonce })
}

/// What may stand once.
const NAMES: [&str; 10] =
    ["username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce", "userhash"];

/// Takes the next parameter off the list; `None` at its end. Elements may be empty (RFC 9110 §5.6.1.2).
fn parameter<'h>(rest: &mut &'h [u8]) -> Result<Option<(&'h [u8], Text<'h>)>, &'static str> {
    let text = skip(rest, b" \t,");
    if text.is_empty() {
        *rest = text;
        return Ok(None);
    }
    let (name, text) = token(text).ok_or(FORM)?;
    let text = skip(skip(text, b" \t").strip_prefix(b"=").ok_or(FORM)?, b" \t");
    let (value, text) = match text.strip_prefix(b"\"") {
        Some(text) => quoted(text)?,
        None => token(text).ok_or(FORM)?,
    };
    *rest = skip(text, b" \t");
    match rest.first() {
        None | Some(b',') => Ok(Some((name, Text(value)))),
        Some(_) => Err(FORM),
    }
}

/// What stands before the closing quote, and what comes behind it.
fn quoted(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\t' | b' '..=b'~' if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok((&text[..at], &text[at + 1..])),
            b'\t' | b' '..=b'~' => {}
            _ => return Err("the parameters of Digest are visible ASCII"),
        }
    }
    Err("a quoted parameter of Digest has no end")
}

/// RFC 9110 §5.6.2, and what comes behind it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let (token, rest) = text.split_at(text.iter().position(|byte| !belongs(byte)).unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, rest))
}

/// The text without these characters at its beginning.
fn skip<'h>(text: &'h [u8], blanks: &[u8]) -> &'h [u8] {
    &text[text.iter().position(|byte| !blanks.contains(byte)).unwrap_or(text.len())..]
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn count(text: &Text<'_>) -> Option<u32> {
    let add = |count: u32, byte| Some(count << 4 | u32::from(digit(byte)?));
    let count = text.bytes().try_fold(0, add).filter(|_| text.length() == 8)?;
    (count > 0).then_some(count)
}

fn decoded(text: &Text<'_>) -> Option<Response> {
    let length = text.length() / 2;
    if !matches!(text.length(), 32 | 64) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in text.bytes().enumerate() {
        bytes[at / 2] = bytes[at / 2] << 4 | digit(byte)?;
    }
    Some(Response { bytes, length })
}
