//! What a caller is proven by: a key, or the session of a person.
//!
//! Never shown: no `Debug`, no `Display`, no `Serialize`.

use crate::control::SESSION_PREFIX;
use crate::net::fetch::Proof;

/// Longest key or token.
const LONGEST: usize = 512;

/// `publicKey:privateKey`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair(String);

impl Pair {
    /// Reads a key as it is written down: with a colon, or with a dot as on the header. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (public, private) = text.split_once([':', '.'])?;
        let whole = is_visible(text) && !public.is_empty() && !private.is_empty();
        whole.then(|| Self(format!("{public}:{private}")))
    }

    /// As Basic takes it.
    pub(super) fn basic(&self) -> &str {
        &self.0
    }

    /// What may be shown of it.
    pub(super) fn public(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

/// The token of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Reads a token as signing in answers it. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let whole = text.strip_prefix(SESSION_PREFIX).is_some_and(|drawn| !drawn.is_empty()) && is_visible(text);
        whole.then(|| Self(text.to_owned()))
    }

    /// As Bearer takes it.
    pub(super) fn bearer(&self) -> &str {
        &self.0
    }
}

fn is_visible(text: &str) -> bool {
    text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Either of them.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Of a credential.
    Key(Pair),
    /// Of a person.
    Session(Token),
}

impl Secret {
    /// As a call carries it.
    pub(super) fn proof(&self) -> Proof<'_> {
        match self {
            Self::Key(pair) => Proof::Basic(pair.basic()),
            Self::Session(token) => Proof::Bearer(token.bearer()),
        }
    }

    /// What it is called.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Session(_) => "session",
        }
    }
}
