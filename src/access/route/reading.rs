//! The ways in which servers read one path: decoded or not, with `\` and `;` meant or not, slashes merged or not.
//!
//! Each reading is a combination of five independent steps, so that an upstream that takes only some of them is covered.

/// Whether every server reads the path the same way, so that no other reading need be tried.
pub(super) fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let unusual = memchr::memchr3(b'%', b';', b'\\', bytes).is_some();
    !unusual && !bytes.windows(2).any(|pair| pair == b"//" || pair == b"/.")
}

/// Every reading of the path; the raw one is among them.
pub(super) fn all(path: &str) -> impl Iterator<Item = String> + '_ {
    (0u8..32).map(move |steps| read(path, steps))
}

fn read(path: &str, steps: u8) -> String {
    let has = |step: u8| steps & 1 << step != 0;
    let mut bytes = if has(0) { decoded(path.as_bytes()) } else { path.as_bytes().to_vec() };
    if has(1) {
        bytes.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
    }
    let mut segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').skip(1).collect();
    if has(2) {
        for segment in &mut segments {
            *segment = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        }
    }
    if has(3) {
        let last = segments.len().saturating_sub(1);
        let mut at = 0;
        segments.retain(|segment| {
            at += 1;
            !segment.is_empty() || at > last
        });
    }
    if has(4) {
        segments = without_dots(segments);
    }
    let mut reading = String::with_capacity(path.len());
    for segment in segments {
        reading.push('/');
        // Routes are plain ASCII more often than not; what is no UTF-8 can match none but a shorter prefix.
        reading.push_str(&String::from_utf8_lossy(segment));
    }
    reading
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

/// Percent-decodes once; what is no escape stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%'
            && let [high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            // Two hexadecimal digits make at most 255.
            out.push((high << 4 | low) as u8);
            rest = tail;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    out
}
