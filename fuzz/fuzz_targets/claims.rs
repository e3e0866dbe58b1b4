//! The reading of credential headers against one that collects every carrier first.
//!
//! Input: one byte of choices, then lines of `name: value`.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::access::credential::Fingerprint;
use portcullis::access::digest_secret::Algorithm;
use portcullis::config::settings::{Credentials, Digest};
use portcullis::gate::claim::{Claim, read};
use portcullis::live::fingerprint::of_key;

#[derive(Debug, PartialEq)]
enum Seen {
    Absent,
    Key(Fingerprint),
    Bearer(String),
    Digest(Vec<u8>),
    Refused,
}

/// RFC 4648 §4, by hand.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = String::new();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    for byte in &text[..text.len() - padding] {
        bits += &format!("{:06b}", ALPHABET.iter().position(|known| known == byte)?);
    }
    let whole = bits.len() / 8 * 8;
    if bits[whole..].contains('1') || bits.len() - whole != padding * 2 {
        return None;
    }
    Some((0..whole).step_by(8).map(|at| u8::from_str_radix(&bits[at..at + 8], 2).unwrap()).collect())
}

fn visible(text: &[u8]) -> bool {
    text.iter().all(|byte| (0x21..=0x7e).contains(byte))
}

fn of_header(value: &[u8]) -> Seen {
    if value.len() < 16 || value.len() > 512 || !visible(value) { Seen::Refused } else { Seen::Key(of_key(value)) }
}

/// `None` where the line is not ours.
fn of_authorization(value: &[u8], basic: bool, bearer: bool, digest: bool) -> Option<Seen> {
    let text = String::from_utf8_lossy(value);
    let scheme = text.split([' ', '\t']).next().unwrap().to_ascii_lowercase();
    let token = text[scheme.len()..].trim_start_matches(' ').as_bytes();
    match scheme.as_str() {
        "basic" if basic => {
            let decoded = base64(token).filter(|decoded| visible(decoded));
            // Longer than a key with its separator can be; whether just above the bound is refused or unknown is the same.
            let decoded = decoded.filter(|decoded| decoded.len() <= 512);
            let at = decoded.as_ref().and_then(|decoded| decoded.iter().position(|byte| *byte == b':'));
            Some(match (decoded, at) {
                (Some(mut decoded), Some(at)) => {
                    decoded[at] = b'.';
                    Seen::Key(of_key(&decoded))
                }
                _ => Seen::Refused,
            })
        }
        "bearer" if bearer => {
            let body = String::from_utf8_lossy(token).trim_end_matches('=').to_owned();
            let legal = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
            let good = !body.is_empty() && body.chars().all(legal);
            Some(if good { Seen::Bearer(String::from_utf8_lossy(token).into_owned()) } else { Seen::Refused })
        }
        // What it says is another target's business.
        "digest" if digest => {
            Some(Seen::Digest(value[scheme.len()..].iter().skip_while(|byte| **byte == b' ').copied().collect()))
        }
        _ => None,
    }
}

fn naive(lines: &[(String, Vec<u8>)], basic: bool, bearer: bool, digest: bool) -> Seen {
    let values = |wanted: &str| -> Vec<&Vec<u8>> {
        lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value).collect()
    };
    let mut carriers = Vec::new();
    for name in ["x-api-key", "x-other-key"] {
        match &values(name)[..] {
            [] => {}
            [one] => carriers.push(of_header(one)),
            _ => return Seen::Refused,
        }
    }
    let authorization = values("authorization");
    let ours: Vec<Seen> =
        authorization.iter().filter_map(|value| of_authorization(value, basic, bearer, digest)).collect();
    if !ours.is_empty() && authorization.len() > 1 {
        return Seen::Refused;
    }
    carriers.extend(ours);
    let Some(first) = carriers.pop() else { return Seen::Absent };
    // A token or a response agrees with nothing, and whatever is refused refuses all.
    let alone = matches!(first, Seen::Bearer(_) | Seen::Digest(_));
    match carriers.iter().all(|other| *other == first) && (!alone || carriers.is_empty()) {
        true => first,
        false => Seen::Refused,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choices, rest)) = data.split_first() else { return };
    let (basic, bearer, digest) = (choices & 1 == 0, choices & 2 == 0, choices & 4 != 0);
    let mut headers = HeaderMap::new();
    let mut lines = Vec::new();
    for line in rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(64) {
        let Some(at) = line.windows(2).position(|pair| pair == b": ") else { continue };
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(&line[at + 2..]))
        else {
            continue;
        };
        lines.push((name.to_string(), value.as_bytes().to_vec()));
        headers.append(name, value);
    }
    let credentials = Credentials {
        headers: vec![HeaderName::from_static("x-api-key"), HeaderName::from_static("x-other-key")],
        basic,
        bearer,
        digest: digest.then(|| Digest {
            realm: "Portcullis".into(),
            algorithms: vec![Algorithm::Sha256],
            nonce_key: None,
        }),
        issuers: Vec::new(),
        client_certificates: false,
        forward: false,
        realm: "Portcullis".into(),
    };
    let seen = match read(&headers, &credentials) {
        Claim::Absent => Seen::Absent,
        Claim::HeaderKey(key) => Seen::Key(of_key(key)),
        Claim::Basic(fingerprint) => Seen::Key(fingerprint),
        Claim::Bearer(token) => Seen::Bearer(token.to_owned()),
        Claim::Digest(parameters) => Seen::Digest(parameters.to_vec()),
        Claim::Malformed(_) | Claim::Ambiguous(_) => Seen::Refused,
    };
    assert_eq!(seen, naive(&lines, basic, bearer, digest), "{lines:?}");
});
