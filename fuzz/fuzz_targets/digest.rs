//! The parameters of `Authorization: Digest` against a reading that copies every character into lists first.
//!
//! Input: what follows the word `Digest`.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use portcullis::gate::digest::header::parse;

#[derive(Debug, PartialEq)]
struct Seen {
    texts: Vec<Vec<u8>>,
    algorithm: Option<Vec<u8>>,
    response: Vec<u8>,
    count: u32,
}

/// One character, and whether it stood between quotes.
type Letters = Vec<(u8, bool)>;

/// Takes quotes and escapes away and keeps, of each character, whether it was within them; `None` where they don't add up.
fn letters(line: &[u8]) -> Option<(Letters, usize)> {
    let (mut out, mut within, mut pairs) = (Letters::new(), false, 0);
    let mut rest = line.iter();
    while let Some(&byte) = rest.next() {
        match (within, byte) {
            (false, b'"') => {
                (within, pairs) = (true, pairs + 1);
                // A mark for the beginning, so that an empty text is there.
                out.push((0, true));
            }
            (true, b'"') => {
                within = false;
                out.push((1, true));
            }
            (true, b'\\') => {
                let next = *rest.next()?;
                if !(next == b'\t' || (b' '..=b'~').contains(&next)) {
                    return None;
                }
                out.push((next, true));
            }
            (true, byte) if !(byte == b'\t' || (b' '..=b'~').contains(&byte)) => return None,
            (within, byte) => out.push((byte, within)),
        }
    }
    (!within).then_some((out, pairs))
}

fn trimmed(mut letters: &[(u8, bool)]) -> &[(u8, bool)] {
    let blank = |one: Option<&(u8, bool)>| matches!(one, Some((b' ' | b'\t', false)));
    while blank(letters.first()) {
        letters = &letters[1..];
    }
    while blank(letters.last()) {
        letters = &letters[..letters.len() - 1];
    }
    letters
}

fn token(letters: &[(u8, bool)]) -> Option<Vec<u8>> {
    let legal =
        |(byte, within): &(u8, bool)| !within && (byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
    (!letters.is_empty() && letters.iter().all(legal)).then(|| letters.iter().map(|one| one.0).collect())
}

fn value(letters: &[(u8, bool)]) -> Option<Vec<u8>> {
    let quoted = |inner: &[(u8, bool)]| -> Option<Vec<u8>> {
        // Another mark inside: a second text right behind the first.
        let whole = inner.iter().all(|(byte, within)| *within && !matches!(byte, 0 | 1));
        whole.then(|| inner.iter().map(|one| one.0).collect())
    };
    match letters {
        [(0, true), inner @ .., (1, true)] => quoted(inner),
        _ => token(letters),
    }
}

fn naive(line: &[u8]) -> Option<Seen> {
    let (letters, _) = letters(line)?;
    let mut found: HashMap<String, Vec<u8>> = HashMap::new();
    let known = ["username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce", "userhash"];
    for element in letters.split(|one| *one == (b',', false)) {
        let element = trimmed(element);
        if element.is_empty() {
            continue;
        }
        let at = element.iter().position(|one| *one == (b'=', false))?;
        let name = String::from_utf8(token(trimmed(&element[..at]))?).ok()?.to_ascii_lowercase();
        let value = value(trimmed(&element[at + 1..]))?;
        if name == "username*" || name == "userhash" && value != b"false" {
            return None;
        }
        if known.contains(&&*name) && found.insert(name, value).is_some() {
            return None;
        }
    }
    let text = |name: &str| found.get(name).cloned();
    let texts: Option<Vec<Vec<u8>>> =
        ["username", "realm", "cnonce", "nonce", "uri", "qop", "nc"].into_iter().map(text).collect();
    let texts = texts?;
    if texts[..3].iter().any(|text| text.len() > 512) || texts[2].is_empty() {
        return None;
    }
    let hexadecimal = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let nc = String::from_utf8(texts[6].clone()).ok().filter(|nc| nc.len() == 8 && hexadecimal(nc.as_bytes()))?;
    let count = u32::from_str_radix(&nc, 16).ok().filter(|count| *count > 0)?;
    let response = text("response").filter(|text| matches!(text.len(), 32 | 64) && hexadecimal(text))?;
    let response = String::from_utf8(response).ok()?;
    let response = (0..response.len() / 2).map(|at| u8::from_str_radix(&response[2 * at..2 * at + 2], 16).unwrap());
    Some(Seen { texts, algorithm: text("algorithm"), response: response.collect(), count })
}

fuzz_target!(|line: &[u8]| {
    let seen = parse(line).ok().map(|presented| {
        let texts = [
            &presented.username,
            &presented.realm,
            &presented.cnonce,
            &presented.nonce,
            &presented.uri,
            &presented.qop,
            &presented.nc,
        ];
        for text in texts {
            let whole: Vec<u8> = text.bytes().collect();
            assert!(text.is(&[&whole]) && !text.is(&[&whole, b"x"]));
            assert_eq!(text.parts().collect::<Vec<_>>().concat(), whole);
        }
        Seen {
            texts: texts.iter().map(|text| text.bytes().collect()).collect(),
            algorithm: presented.algorithm.map(|text| text.bytes().collect()),
            response: presented.response.as_slice().to_vec(),
            count: presented.count,
        }
    });
    assert_eq!(seen, naive(line), "{:?}", line.escape_ascii().to_string());
});
