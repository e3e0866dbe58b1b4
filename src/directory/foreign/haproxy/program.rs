//! What HAProxy's lines do, compiled: rules with their conditions, and what these look at.
//!
//! Never runs anything; what is not understood is said to be unknown.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use super::super::notebook::network;
use super::super::reasoning::{Entry, How, Part, Table};
use super::conditions::condition;
use super::lines::{Line, patterns};
use crate::config::diagnostic::{Place, Problems};

/// What is looked at.
#[derive(Clone)]
pub(in super::super) enum Fetch {
    Source,
    Header(String),
    /// How often a header is there.
    Count(String),
    Variable(String),
    Text(String),
    /// Something of the request that does not say who sends it, or how much there is of something.
    OfTheRequest,
    Unknown,
}

/// What is made of it.
#[derive(Clone)]
pub(in super::super) enum Step {
    Lowercase,
    Map(Rc<Patterns>),
    Concat(String, String, String),
    Unknown,
}

/// A fetch and the converters behind it.
#[derive(Clone)]
pub(in super::super) struct Expression {
    pub(in super::super) fetch: Fetch,
    pub(in super::super) steps: Vec<Step>,
}

/// Patterns with their places, to look for keys in them.
pub(in super::super) struct Patterns {
    pub(in super::super) table: Table,
    pub(in super::super) entries: Vec<(How, String, Place, String)>,
    pub(in super::super) ignores_case: bool,
    pub(in super::super) place: Place,
}

/// How something is compared.
pub(in super::super) enum Test {
    IsThere,
    Matches(Patterns),
    Number(String, i64),
    Unknown,
}

/// A condition by itself.
pub(in super::super) struct Acl {
    pub(in super::super) expression: Expression,
    pub(in super::super) test: Test,
}

/// A part of a condition.
pub(in super::super) enum Term {
    Named(String),
    Itself(Box<Acl>),
}

/// Alternatives, each of terms that all have to hold, with whether each is negated.
pub(in super::super) struct Condition {
    pub(in super::super) any: Vec<Vec<(bool, Term)>>,
    pub(in super::super) is_unless: bool,
}

/// A piece of a text that is put together.
pub(in super::super) enum Piece {
    Plain(String),
    Of(Expression),
    Unknown,
}

/// What a rule does where its condition holds.
pub(in super::super) enum Action {
    Refuse,
    LetIn,
    /// No further rule of this section is asked.
    Accept,
    SetVariable(String, Vec<Piece>),
    SetHeader(String, Vec<Piece>),
    /// To this backend; to any where it has no name.
    Backend(Option<String>),
    Nothing,
    Unknown,
}

/// A rule.
pub(in super::super) struct Rule {
    pub(in super::super) place: Place,
    pub(in super::super) action: Action,
    pub(in super::super) condition: Option<Condition>,
    /// What is asked first.
    pub(in super::super) phase: u8,
    pub(in super::super) words: Vec<String>,
}

/// Fetches that say what is asked for, or how much there is of something; those that end in `_` are the beginning of many.
const OF_THE_REQUEST: &[&str] = &[
    "base",
    "base_beg",
    "base_dir",
    "be_",
    "connslots",
    "dst",
    "dst_port",
    "fe_",
    "http_first_req",
    "method",
    "nbsrv",
    "path",
    "path_beg",
    "path_dir",
    "path_dom",
    "path_end",
    "path_len",
    "path_reg",
    "path_sub",
    "queue",
    "rand",
    "req.body_len",
    "req.body_size",
    "req.proto_http",
    "req.ver",
    "req_ver",
    "sc0_",
    "sc1_",
    "sc2_",
    "sc_",
    "src_bytes_",
    "src_conn_",
    "src_get_gpc0",
    "src_http_",
    "src_sess_",
    "ssl_fc",
    "ssl_fc_alpn",
    "ssl_fc_protocol",
    "ssl_fc_sni",
    "table_",
    "url_beg",
    "url_dir",
    "wait_end",
];

impl Patterns {
    /// Patterns with what each stands for; networks where `how` is none.
    pub(super) fn of(
        place: &Place,
        how: Option<How>,
        mut all: Vec<(Place, String, String)>,
        default: Option<&str>,
        ignores_case: bool,
    ) -> Self {
        let value = |text: &str| Some(vec![Part::Known(text.to_owned())]);
        let mut table = Table::of(default.and_then(value));
        let (mut entries, mut networks) = (Vec::new(), Vec::new());
        if how == Some(How::Beginning) {
            // The longest counts.
            all.sort_by_key(|(_, pattern, _)| std::cmp::Reverse(pattern.len()));
        }
        for (place, pattern, stands_for) in all {
            match how {
                None => match network(&pattern) {
                    Some(network) => networks.push((network, value(&stands_for))),
                    None => table.add(Entry::Unknown, None),
                },
                Some(how) => {
                    let compared = if ignores_case { pattern.to_ascii_lowercase() } else { pattern.clone() };
                    table.add(Entry::Text(how, compared), value(&stands_for));
                    entries.push((how, pattern, place, stands_for));
                }
            }
        }
        table.networks(networks);
        Self { table, entries, ignores_case, place: place.clone() }
    }
}

/// Cuts at commas that stand in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut all) = (0_usize, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&text[from..]);
    all
}

/// A name and what stands in parentheses behind it.
fn call(text: &str) -> (&str, Option<&str>) {
    match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').unwrap_or(rest))),
        None => (text, None),
    }
}

/// A fetch with converters, such as `req.hdr(x-api-key),map(keys.map)`.
///
/// # Errors
/// A file of patterns that can't be read.
pub(in super::super) fn expression(text: &str, place: &Place, base: &Path) -> Result<Expression, Problems> {
    let parts = parts(text);
    let (name, argument) = call(parts[0]);
    let header = || argument.unwrap_or_default().split(',').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fetch = match name {
        "src" => Fetch::Source,
        "hdr" | "req.hdr" | "req.fhdr" if header() == "host" => Fetch::OfTheRequest,
        "hdr" | "req.hdr" | "req.fhdr" | "reqhdr" => Fetch::Header(header()),
        "hdr_cnt" | "req.hdr_cnt" | "req.fhdr_cnt" => Fetch::Count(header()),
        "var" => Fetch::Variable(argument.unwrap_or_default().split(',').next().unwrap_or_default().to_owned()),
        "str" => Fetch::Text(argument.unwrap_or_default().to_owned()),
        name if OF_THE_REQUEST
            .iter()
            .any(|known| if known.ends_with('_') { name.starts_with(known) } else { name == *known }) =>
        {
            Fetch::OfTheRequest
        }
        _ => Fetch::Unknown,
    };
    let mut steps = Vec::new();
    for converter in &parts[1..] {
        let (name, argument) = call(converter);
        let mut arguments = argument.unwrap_or_default().split(',');
        steps.push(match name {
            "lower" => Step::Lowercase,
            "map" | "map_str" | "map_str_str" | "map_beg" | "map_beg_str" | "map_ip" | "map_ip_str" => {
                let how = match name {
                    "map_ip" | "map_ip_str" => None,
                    "map_beg" | "map_beg_str" => Some(How::Beginning),
                    _ => Some(How::Whole),
                };
                let (file, default) = (arguments.next().unwrap_or_default(), arguments.next());
                let entry = |(place, line): (Place, String)| {
                    let (key, value) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
                    (place, key.to_owned(), value.trim().to_owned())
                };
                let all = patterns(file, base)?.into_iter().map(entry).collect();
                Step::Map(Rc::new(Patterns::of(place, how, all, default, false)))
            }
            "concat" => {
                let mut next = || arguments.next().unwrap_or_default().to_owned();
                Step::Concat(next(), next(), next())
            }
            _ => Step::Unknown,
        });
    }
    Ok(Expression { fetch, steps })
}

/// A text with `%[…]` in it.
fn pieces(text: &str, place: &Place, base: &Path) -> Result<Vec<Piece>, Problems> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        all.push(Piece::Plain(rest[..at].to_owned()));
        let behind = &rest[at + 1..];
        rest = if let Some(inner) = behind.strip_prefix('[') {
            let (inner, after) = inner.split_once(']').unwrap_or((inner, ""));
            all.push(Piece::Of(expression(inner, place, base)?));
            after
        } else if let Some(after) = behind.strip_prefix("ci") {
            all.push(Piece::Of(Expression { fetch: Fetch::Source, steps: Vec::new() }));
            after
        } else if let Some(after) = behind.strip_prefix('%') {
            all.push(Piece::Plain("%".to_owned()));
            after
        } else {
            all.push(Piece::Unknown);
            ""
        };
    }
    all.push(Piece::Plain(rest.to_owned()));
    Ok(all)
}

/// Compiles a line that decides something; none where it does not.
///
/// # Errors
/// A file of patterns that can't be read.
pub(in super::super) fn rule(line: &Line, base: &Path) -> Result<Option<Rule>, Problems> {
    let place = &line.place;
    let (phase, words) = match (line.words[0].as_str(), line.words.get(1).map(String::as_str)) {
        ("tcp-request", Some("connection" | "session")) => (0, &line.words[2..]),
        ("tcp-request", Some("content")) => (1, &line.words[2..]),
        ("http-request", _) => (2, &line.words[1..]),
        ("use_backend" | "default_backend", _) => (3, &line.words[..]),
        ("redirect", _) => (2, &line.words[..]),
        ("block" | "reqdeny" | "reqideny" | "reqtarpit" | "reqallow", _) => {
            return Ok(Some(Rule {
                place: place.clone(),
                action: Action::Unknown,
                condition: None,
                phase: 2,
                words: line.words.clone(),
            }));
        }
        _ => return Ok(None),
    };
    let split = words.iter().position(|word| word == "if" || word == "unless");
    let (does, rest) = words.split_at(split.unwrap_or(words.len()));
    let condition = match rest.split_first() {
        Some((word, rest)) => Some(condition(place, rest, base, word == "unless")?),
        None => None,
    };
    let (name, argument) = call(does.first().map_or("", String::as_str));
    let text = |at: usize| does.get(at).map_or("", String::as_str);
    let status = does.iter().position(|word| word == "status").and_then(|at| text(at + 1).parse::<u16>().ok());
    let action = match name {
        "deny" | "tarpit" | "reject" | "silent-drop" => Action::Refuse,
        // It asks for a proof of another kind.
        "auth" => Action::Unknown,
        "return" if status.is_some_and(|status| status >= 400) => Action::Refuse,
        "return" => Action::LetIn,
        "allow" | "accept" => Action::Accept,
        "set-var" => Action::SetVariable(
            argument.unwrap_or_default().to_owned(),
            vec![Piece::Of(expression(&does[1..].concat(), place, base)?)],
        ),
        "set-var-fmt" => Action::SetVariable(argument.unwrap_or_default().to_owned(), pieces(text(1), place, base)?),
        "unset-var" => Action::SetVariable(argument.unwrap_or_default().to_owned(), vec![Piece::Unknown]),
        "set-header" => Action::SetHeader(text(1).to_ascii_lowercase(), pieces(text(2), place, base)?),
        "add-header" | "replace-header" | "replace-value" | "del-header" => {
            Action::SetHeader(text(1).to_ascii_lowercase(), vec![Piece::Unknown])
        }
        "use_backend" => Action::Backend(Some(text(1).to_owned()).filter(|name| !name.contains('%'))),
        "default_backend" => Action::Backend(Some(text(1).to_owned())),
        "cache-use"
        | "capture"
        | "disable-l7-retry"
        | "do-resolve"
        | "early-hint"
        | "normalize-uri"
        | "redirect"
        | "replace-path"
        | "replace-pathq"
        | "replace-uri"
        | "sc-add-gpc"
        | "sc-inc-gpc"
        | "sc-inc-gpc0"
        | "sc-inc-gpc1"
        | "sc-set-gpt"
        | "sc-set-gpt0"
        | "set-bandwidth-limit"
        | "set-dst"
        | "set-dst-port"
        | "set-log-level"
        | "set-mark"
        | "set-method"
        | "set-nice"
        | "set-path"
        | "set-pathq"
        | "set-priority-class"
        | "set-priority-offset"
        | "set-query"
        | "set-src"
        | "set-src-port"
        | "set-timeout"
        | "set-tos"
        | "set-uri"
        | "strict-mode"
        | "track-sc0"
        | "track-sc1"
        | "track-sc2"
        | "wait-for-body"
        | "wait-for-handshake"
        | "expect-proxy"
        | "expect-netscaler-cip" => Action::Nothing,
        _ => Action::Unknown,
    };
    Ok(Some(Rule { place: place.clone(), action, condition, phase, words: line.words.clone() }))
}

impl Expression {
    /// Every header that is looked at.
    pub(in super::super) fn headers(&self, to: &mut BTreeSet<String>) {
        if let Fetch::Header(name) | Fetch::Count(name) = &self.fetch {
            to.insert(name.clone());
        }
    }

    /// Whether this says what is asked for, and not who asks.
    pub(in super::super) fn is_of_the_request(&self) -> bool {
        matches!(self.fetch, Fetch::OfTheRequest)
    }
}
