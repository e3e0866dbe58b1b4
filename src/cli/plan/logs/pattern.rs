//! Text logs by their own format: nginx's `log_format` and Envoy's command operators.
//!
//! A variable reaches to the text that stands behind it in the format: both programs escape the quote of a quoted variable.

use std::borrow::Cow;

use anyhow::bail;

use super::{Field, Fields, lacking};

/// nginx's predefined format.
pub(super) const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// Envoy's default format.
pub(super) const ENVOY: &str = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%""#;

const OF_NGINX: [(&str, Field); 13] = [
    ("remote_addr", Field::Address),
    ("remote_user", Field::Credential),
    ("time_local", Field::Time),
    ("time_iso8601", Field::Time),
    ("msec", Field::Time),
    ("request", Field::Request),
    ("request_method", Field::Method),
    ("request_uri", Field::Path),
    ("uri", Field::Path),
    ("host", Field::Host),
    ("http_host", Field::Host),
    ("server_name", Field::Host),
    ("status", Field::Status),
];

const OF_ENVOY: [(&str, Field); 8] = [
    ("REQ(X-FORWARDED-FOR)", Field::Address),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Field::Address),
    ("START_TIME", Field::Time),
    ("REQ(:METHOD)", Field::Method),
    ("REQ(X-ENVOY-ORIGINAL-PATH?:PATH)", Field::Path),
    ("REQ(:PATH)", Field::Path),
    ("REQ(:AUTHORITY)", Field::Host),
    ("RESPONSE_CODE", Field::Status),
];

/// A format, taken apart: the text in front, then each variable with the text behind it.
#[derive(Debug)]
pub(in crate::cli::plan) struct Pattern {
    first: String,
    parts: Vec<(Option<Field>, String)>,
}

impl Pattern {
    pub(super) fn nginx(format: &str, named: &[(Field, String)]) -> anyhow::Result<Self> {
        let legal = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let split = |rest: &str| match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, _)) => Some((name.to_owned(), name.len() + 2)),
            None => {
                let length = rest.bytes().take_while(legal).count();
                (length > 0).then(|| (rest[..length].to_owned(), length))
            }
        };
        Self::of(format, '$', split, &OF_NGINX, named)
    }

    pub(super) fn envoy(format: &str, named: &[(Field, String)]) -> anyhow::Result<Self> {
        // An argument may be a format of time, which holds `%`.
        let split = |rest: &str| {
            let mut depth = 0_usize;
            let end = rest.bytes().position(|byte| {
                match byte {
                    b'(' => depth += 1,
                    b')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                byte == b'%' && depth == 0
            })?;
            let name = rest[..end].split_once(":%").map_or(&rest[..end], |(name, _)| name);
            let name = if name.starts_with("START_TIME") { "START_TIME" } else { name };
            (end > 0).then(|| (name.to_owned(), end + 1))
        };
        Self::of(format, '%', split, &OF_ENVOY, named)
    }

    fn of(
        format: &str,
        sign: char,
        split: impl Fn(&str) -> Option<(String, usize)>,
        usual: &[(&str, Field)],
        named: &[(Field, String)],
    ) -> anyhow::Result<Self> {
        let mut first = None;
        let mut parts: Vec<(Option<Field>, String)> = Vec::new();
        let (mut rest, mut names) = (format, Vec::new());
        while let Some((before, after)) = rest.split_once(sign) {
            let Some((name, length)) = split(after) else {
                bail!("the pattern has a `{sign}` that begins no variable");
            };
            match (parts.last_mut(), first.is_none()) {
                (_, true) => first = Some(before.to_owned()),
                (Some((_, literal)), _) if !before.is_empty() => before.clone_into(literal),
                _ => bail!("variable `{name}` follows another with nothing between; nobody can tell where it begins"),
            }
            let bare = |text: &str| text.trim_matches(['$', '%', '{', '}']).to_owned();
            let said = named.iter().find(|(_, other)| bare(other) == name).map(|(field, _)| *field);
            // What was named otherwise is read from there alone.
            let is_said = |field: Field| named.iter().any(|(one, _)| *one == field);
            let usual = usual.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
            parts.push((said.or(usual.filter(|field| !is_said(*field))), String::new()));
            names.push(name);
            rest = &after[length..];
        }
        if let Some((_, literal)) = parts.last_mut() {
            rest.clone_into(literal);
        }
        if let Some(name) = lacking(|field| parts.iter().any(|(one, _)| *one == Some(field))) {
            let names = names.join(", ");
            bail!("the pattern does not say the {name}; name one of its variables by --field {name}=…: {names}");
        }
        Ok(Self { first: first.unwrap_or_default(), parts })
    }

    pub(super) fn read<'l>(&self, line: &'l str) -> Result<Fields<'l>, String> {
        let other = || "it is not of the form that was said".to_owned();
        let mut rest = line.strip_prefix(self.first.as_str()).ok_or_else(other)?;
        let mut fields = Fields::default();
        for (at, (field, literal)) in self.parts.iter().enumerate() {
            let is_last = at + 1 == self.parts.len();
            let end = match (is_last, literal.is_empty()) {
                (true, true) => rest.len(),
                // More may have been added behind what we know of.
                _ => memchr::memmem::find(rest.as_bytes(), literal.as_bytes()).ok_or_else(other)?,
            };
            let (value, after) = rest.split_at(end);
            if let Some(field) = field {
                fields.set(*field, Cow::Borrowed(value));
            }
            rest = &after[literal.len()..];
        }
        Ok(fields)
    }
}
