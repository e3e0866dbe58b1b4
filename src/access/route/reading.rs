//! The ways in which servers read one path: decoded or not, with `\` and `;` meant or not, slashes merged or not.
//!
//! Each reading is a combination of independent steps, so that an upstream that takes only some of them, or takes path
//! parameters off before it decodes, is covered.

/// Whether every server reads the path the same way, so that no other reading need be tried.
pub(super) fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let unusual = memchr::memchr3(b'%', b';', b'\\', bytes).is_some();
    !unusual && !bytes.windows(2).any(|pair| pair == b"//" || pair == b"/.")
}

/// Steps of a reading, in the order in which they are taken.
mod step {
    /// All but `/` and `\` is decoded, so that segments stay what they are (RFC 3986 §6.2.2.2, WHATWG URL) …
    pub const EARLY_DECODING: u16 = 1;
    /// … path parameters go …
    pub const EARLY_PARAMETERS: u16 = 1 << 1;
    /// … and dot segments, before anything else is decoded.
    pub const EARLY_DOTS: u16 = 1 << 2;
    /// What is escaped is decoded, all but `/` and `\`.
    pub const DECODING: u16 = 1 << 3;
    /// These two as well.
    pub const ALL: u16 = 1 << 4;
    /// `\` becomes `/`.
    pub const BACKSLASHES: u16 = 1 << 5;
    /// `;` and what follows it in a segment goes.
    pub const PARAMETERS: u16 = 1 << 6;
    /// Empty segments go.
    pub const SLASHES: u16 = 1 << 7;
    /// Dot segments go.
    pub const DOTS: u16 = 1 << 8;
    /// How many combinations there are.
    pub const COMBINATIONS: u16 = 1 << 9;
}

/// Most bytes that all readings of a path may have together. Nobody needs a path that comes near to it.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// The steps that change anything about this path.
fn steps_of(path: &[u8]) -> u16 {
    let holds = |byte| memchr::memchr(byte, path).is_some();
    let escapes =
        |wanted: &[u8]| path.windows(3).any(|three| three[0] == b'%' && three[1..].eq_ignore_ascii_case(wanted));
    let mut steps = step::SLASHES | step::DOTS;
    let percent = holds(b'%');
    // `%25` may hide one of the others from a server that decodes twice.
    let separators = percent && (escapes(b"2f") || escapes(b"5c") || escapes(b"25"));
    let mut add = |needed: bool, more: u16| steps |= if needed { more } else { 0 };
    add(percent, step::DECODING | step::ALL);
    add(separators, step::EARLY_DECODING);
    add(percent && holds(b';'), step::EARLY_PARAMETERS);
    add(percent && path.windows(2).any(|two| two == b"/." || two == b"/%"), step::EARLY_DOTS);
    add(holds(b'\\') || separators, step::BACKSLASHES);
    add(holds(b';') || percent && escapes(b"3b") || separators, step::PARAMETERS);
    steps
}

/// The combinations of these steps.
fn combinations(steps: u16) -> impl Iterator<Item = u16> {
    (0..step::COMBINATIONS)
        .filter(move |&taken| taken & !steps == 0 && (taken & step::ALL == 0 || taken & step::DECODING != 0))
}

/// Whether trying every reading would cost more than a request is worth.
pub(super) fn is_too_intricate(path: &str) -> bool {
    combinations(steps_of(path.as_bytes())).count() * path.len() > MOST_BYTES
}

/// Every reading of the path; the raw one is among them.
pub(super) fn all(path: &str) -> impl Iterator<Item = String> + '_ {
    combinations(steps_of(path.as_bytes())).map(|taken| read(path.as_bytes(), taken))
}

fn read(path: &[u8], taken: u16) -> String {
    let takes = |step: u16| taken & step != 0;
    let mut bytes = match takes(step::EARLY_DECODING) {
        true => decoded(path, false),
        false => path.to_vec(),
    };
    if takes(step::EARLY_PARAMETERS | step::EARLY_DOTS) {
        let mut segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').skip(1).collect();
        if takes(step::EARLY_PARAMETERS) {
            segments.iter_mut().for_each(|segment| *segment = without_parameters(segment));
        }
        if takes(step::EARLY_DOTS) {
            segments = without_dots(segments);
        }
        bytes = joined(&segments);
    }
    if takes(step::DECODING) {
        bytes = decoded(&bytes, takes(step::ALL));
    }
    if takes(step::BACKSLASHES) {
        bytes.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
    }
    let mut segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').skip(1).collect();
    if takes(step::PARAMETERS) {
        segments.iter_mut().for_each(|segment| *segment = without_parameters(segment));
    }
    if takes(step::SLASHES) {
        let last = segments.len().saturating_sub(1);
        let mut at = 0;
        segments.retain(|segment| {
            at += 1;
            !segment.is_empty() || at > last
        });
    }
    if takes(step::DOTS) {
        segments = without_dots(segments);
    }
    // Routes are plain ASCII more often than not; what is no UTF-8 can match none but a shorter prefix.
    String::from_utf8_lossy(&joined(&segments)).into_owned()
}

fn joined(segments: &[&[u8]]) -> Vec<u8> {
    let mut path = Vec::with_capacity(segments.iter().map(|segment| segment.len() + 1).sum());
    for segment in segments {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    path
}

fn without_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|byte| *byte == b';').next().unwrap_or_default()
}

/// RFC 3986 §5.2.4.
fn without_dots(segments: Vec<&[u8]>) -> Vec<&[u8]> {
    let mut kept: Vec<&[u8]> = Vec::with_capacity(segments.len());
    let last = segments.len().saturating_sub(1);
    for (at, segment) in segments.into_iter().enumerate() {
        match segment {
            b"." if at == last => kept.push(b""),
            b"." => {}
            b".." => {
                kept.pop();
                if at == last {
                    kept.push(b"");
                }
            }
            _ => kept.push(segment),
        }
    }
    kept
}

/// Percent-decodes once, `/` and `\` only where they are wanted; what is no escape stays.
fn decoded(path: &[u8], separators: bool) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%'
            && let [high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            // Two hexadecimal digits make at most 255.
            let value = (high << 4 | low) as u8;
            match !separators && matches!(value, b'/' | b'\\') {
                true => out.extend_from_slice(&rest[..3]),
                false => out.push(value),
            }
            rest = tail;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    out
}
