//! HAProxy's HTTP log: `client:port [date] frontend backend/server timers status … {captures} "request"`.
//!
//! The credential is a captured request header, such as `http-request capture req.hdr(x-client) len 32`.

use std::borrow::Cow;

use anyhow::bail;

use super::{Field, Fields};

/// Which capture names the credential, counted from 0.
pub(super) fn capture(named: &[(Field, String)]) -> anyhow::Result<usize> {
    match named {
        [] => Ok(0),
        [(Field::Credential, name)] => match name.strip_prefix("capture").and_then(|at| at.parse::<usize>().ok()) {
            Some(at) if at > 0 => Ok(at - 1),
            _ => bail!("a log of HAProxy names the credential by a captured header: --field credential=capture1"),
        },
        _ => bail!("of a log of HAProxy only the credential can be named: --field credential=capture1"),
    }
}

pub(super) fn read(line: &str, capture: usize) -> Result<Fields<'_>, String> {
    let other = || "it is no line of HAProxy's HTTP log".to_owned();
    // Syslog may stand in front; the date in brackets is what nothing in front of it has.
    let mut words = line.split(' ').filter(|word| !word.is_empty()).peekable();
    let (client, date) = loop {
        let word = words.next().ok_or_else(other)?;
        if let Some(date) = words.peek().and_then(|next| next.strip_prefix('[')?.strip_suffix(']'))
            && word.contains(':')
        {
            break (word, date);
        }
    };
    // frontend, backend/server and timers stand between.
    let status = words.nth(4).ok_or_else(other)?;
    let mut fields = Fields::default();
    let request = line.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).ok_or_else(other)?.0;
    let before = &line[..line.len() - request.len()];
    let captured = before.split_once(" {").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(inside, _)| inside);
    let address = client.rsplit_once(':').ok_or_else(other)?.0;
    let values = [
        (Field::Address, address),
        (Field::Time, date),
        (Field::Status, status),
        (Field::Request, request),
        (Field::Credential, captured.split('|').nth(capture).unwrap_or("")),
    ];
    for (field, value) in values {
        fields.set(field, Cow::Borrowed(value));
    }
    Ok(fields)
}
