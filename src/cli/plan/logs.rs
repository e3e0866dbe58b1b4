//! Lines of access logs, ours and those of others, read into the few fields that a plan needs.
//!
//! Never keeps a line and never guesses: a line that is not of the form that was said is a fault.

mod haproxy;
mod json;
mod pattern;
mod time;

use std::borrow::Cow;

use anyhow::bail;

pub(super) use time::Stamps;

/// The form of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// Our own access log.
    #[default]
    Portcullis,
    /// nginx: `combined`, or the `log_format` that `--pattern` gives.
    Nginx,
    /// Envoy: its default text format, or the one that `--pattern` gives.
    Envoy,
    /// HAProxy: `option httplog`, with or without the prefix of syslog.
    Haproxy,
    /// One JSON object a line, as nginx and Envoy can be told to write.
    Json,
}

/// What is read of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Field {
    /// The client's address, or a whole `X-Forwarded-For`.
    Address,
    /// What names the credential.
    Credential,
    /// When.
    Time,
    /// `METHOD target VERSION`.
    Request,
    /// The method, where it stands by itself.
    Method,
    /// The target, where it stands by itself.
    Path,
    /// The host.
    Host,
    /// The status.
    Status,
    /// Of our own log alone.
    #[value(skip)]
    Outcome,
    /// Of our own log alone.
    #[value(skip)]
    Code,
    /// Of our own log alone.
    #[value(skip)]
    Revoked,
}

/// What a line says; empty where it says nothing.
#[derive(Debug, Default)]
pub(super) struct Fields<'l> {
    pub(super) address: Cow<'l, str>,
    pub(super) credential: Cow<'l, str>,
    pub(super) time: Cow<'l, str>,
    request: Cow<'l, str>,
    method: Cow<'l, str>,
    path: Cow<'l, str>,
    pub(super) host: Cow<'l, str>,
    pub(super) status: u16,
    pub(super) outcome: Cow<'l, str>,
    pub(super) code: Cow<'l, str>,
    pub(super) is_revoked: bool,
}

impl<'l> Fields<'l> {
    fn set(&mut self, field: Field, text: Cow<'l, str>) {
        // What was not there is written as a dash by every one of them.
        let text = if text == "-" { Cow::default() } else { text };
        match field {
            Field::Address => self.address = text,
            Field::Credential => self.credential = text,
            Field::Time => self.time = text,
            Field::Request => self.request = text,
            Field::Method => self.method = text,
            Field::Path => self.path = text,
            Field::Host => self.host = text,
            Field::Status => self.status = text.parse().unwrap_or(0),
            Field::Outcome => self.outcome = text,
            Field::Code => self.code = text,
            Field::Revoked => self.is_revoked = text == "true",
        }
    }

    /// Method and target; `None` where what came was no request.
    pub(super) fn asked(&self) -> Option<(&str, &str)> {
        let (method, target) = match self.request.is_empty() {
            true => (&*self.method, &*self.path),
            false => {
                let (method, rest) = self.request.split_once(' ')?;
                (method, rest.rsplit_once(' ').map_or(rest, |(target, _)| target))
            }
        };
        let usual = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
        (!method.is_empty() && method.bytes().all(usual) && !target.is_empty()).then_some((method, target))
    }
}

/// Reads lines of one form.
#[derive(Debug)]
pub(super) enum Reading {
    Pattern(pattern::Pattern),
    Json(Vec<(String, Field)>),
    Haproxy { capture: usize },
}

/// What our own log calls things.
const OURS: [(&str, Field); 10] = [
    ("client.address", Field::Address),
    ("credential.id", Field::Credential),
    ("time", Field::Time),
    ("method", Field::Method),
    ("path", Field::Path),
    ("host", Field::Host),
    ("status", Field::Status),
    ("outcome", Field::Outcome),
    ("code", Field::Code),
    ("revoked", Field::Revoked),
];

impl Reading {
    /// For a form, its pattern, and fields that are called otherwise than usual.
    pub(super) fn new(form: Form, pattern: Option<&str>, named: &[(Field, String)]) -> anyhow::Result<Self> {
        if pattern.is_some() && !matches!(form, Form::Nginx | Form::Envoy) {
            bail!("--pattern is for the forms nginx and envoy");
        }
        match form {
            Form::Portcullis if !named.is_empty() => bail!("our own log has its own names; leave --field away"),
            Form::Portcullis => Ok(Self::Json(OURS.map(|(name, field)| (name.to_owned(), field)).into())),
            Form::Nginx => pattern::Pattern::nginx(pattern.unwrap_or(pattern::COMBINED), named).map(Self::Pattern),
            Form::Envoy => pattern::Pattern::envoy(pattern.unwrap_or(pattern::ENVOY), named).map(Self::Pattern),
            Form::Haproxy => haproxy::capture(named).map(|capture| Self::Haproxy { capture }),
            Form::Json => {
                match lacking(|field| named.iter().any(|(one, _)| *one == field)) {
                    Some("request") => {
                        bail!("say which attribute is the request line, or both method and path: --field request=NAME")
                    }
                    Some(name) => bail!("say which attribute of the JSON is the {name}: --field {name}=NAME"),
                    None => {}
                }
                Ok(Self::Json(named.iter().map(|(field, name)| (name.clone(), *field)).collect()))
            }
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, without what it says.
    pub(super) fn read<'l>(&self, line: &'l [u8]) -> Result<Fields<'l>, String> {
        match self {
            Self::Json(names) => json::read(line, names),
            Self::Pattern(pattern) => pattern.read(text(line)?),
            Self::Haproxy { capture } => haproxy::read(text(line)?, *capture),
        }
    }
}

/// The first thing that has to be known of each line and is not among the fields that there are.
fn lacking(has: impl Fn(Field) -> bool) -> Option<&'static str> {
    let needed = [
        (Field::Address, "address"),
        (Field::Credential, "credential"),
        (Field::Time, "time"),
        (Field::Status, "status"),
    ];
    let missing = needed.into_iter().find(|(field, _)| !has(*field)).map(|(_, name)| name);
    let is_asked = has(Field::Request) || (has(Field::Method) && has(Field::Path));
    missing.or((!is_asked).then_some("request"))
}

fn text(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line).map_err(|_| "it is no UTF-8".to_owned())
}

#[cfg(test)]
mod tests;
