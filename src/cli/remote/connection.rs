//! Which API is asked, and by whom.
//!
//! An option beats a profile that is named, that beats the variables, and those beat the current profile. Of a profile the
//! session is used from `login` to `logout`, and its key otherwise; both go to the profile's own address and nowhere else.

use std::path::{Path, PathBuf};

use super::profiles::{Profile, Profiles, ProfilesFault};
use super::secret::{Pair, Secret, Token};
use super::shown::Output;
use crate::access::id::Id;

/// Where `portcullis serve` has its admin API.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8081";
/// The variable that names the API.
pub(super) const URL_VARIABLE: &str = "PORTCULLIS_API_URL";
/// The variable that holds a key.
pub(super) const KEY_VARIABLE: &str = "PORTCULLIS_API_KEY";
/// The variable that holds the token of a session.
pub(super) const SESSION_VARIABLE: &str = "PORTCULLIS_API_SESSION";

/// How the admin API is reached. Has no `Debug`, because of the key.
#[derive(clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// The admin API [default: PORTCULLIS_API_URL, or the profile's, or http://127.0.0.1:8081].
    #[arg(long, global = true, value_name = "URL")]
    api_url: Option<Url>,
    /// The key to call with [default: PORTCULLIS_API_KEY, PORTCULLIS_API_SESSION, or the session or key of the profile].
    /// Other users of this machine may see it.
    #[arg(long, global = true, value_name = "PUBLIC:PRIVATE", conflicts_with = "key_file")]
    key: Option<String>,
    /// A file that holds the key, such as the `.owner-key` of a first start; `-` is standard input.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A profile of `portcullis profiles` or `portcullis login`.
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// Certificates (PEM) that the API is trusted by, and no others.
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Form of the answer.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Output,
}

/// The address of an API: scheme, host and port, and a path where it lies below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(String);

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "an address is like https://gateway.example.com:8081".to_owned();
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().map(http::uri::Authority::as_str).ok_or_else(wrong)?;
        if authority.contains('@') {
            return Err("an address holds no key; give it by `--key-file` or PORTCULLIS_API_KEY".to_owned());
        }
        if uri.query().is_some() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/api/v1").unwrap_or(path);
        Ok(Self(format!("{}://{}{path}", uri.scheme_str().unwrap_or_default(), authority.to_ascii_lowercase())))
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which API, and by whom. Has no `Debug`.
pub struct Connection {
    pub(super) url: Url,
    /// `None` while somebody signs in.
    pub(super) secret: Option<Secret>,
    /// Where the secret is from, where that is a profile.
    pub(super) profile: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) organization: Option<Id>,
}

/// Why there is no connection to ask by. Never holds a key.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum SetupFault {
    #[error("there is no key or session to call {0} with")]
    Nobody(Url),
    #[error("profile `{0}` has neither a session nor a key")]
    Empty(String),
    #[error("{SESSION_VARIABLE} holds no token of a session, which begins with {}", crate::control::SESSION_PREFIX)]
    Session,
    #[error("{KEY_VARIABLE} and {SESSION_VARIABLE} are both set")]
    Both,
    #[error("only a person has a password, and this would be asked by a key")]
    NoPerson,
    #[error("{from} holds no {what}")]
    Missing { what: &'static str, from: String },
    #[error("the two passwords differ")]
    Differ,
    #[error("{0} holds no key, which is publicKey:privateKey")]
    Key(String),
    #[error("{URL_VARIABLE}: {0}")]
    Url(String),
    #[error("the key can't be read from `{}`", path.display())]
    KeyFile { path: PathBuf, source: std::io::Error },
    #[error("profile `{name}` is for {own}; its {what} is not sent to {asked}")]
    Elsewhere { name: String, what: &'static str, own: Url, asked: Url },
    #[error("profile `{name}` is for {own}, and not for {asked}")]
    Taken { name: String, own: Url, asked: Url },
    #[error("the {what} can't be read from {from}")]
    Read { what: &'static str, from: String, source: std::io::Error },
    #[error(transparent)]
    Profiles(#[from] ProfilesFault),
}

impl SetupFault {
    pub(super) fn way_out(&self) -> Option<String> {
        match self {
            Self::Nobody(_) => Some(format!(
                "sign in by `portcullis login`, name a file by `--key-file` (a first start writes its owner's to \
                 `portcullis.db.owner-key`), set {KEY_VARIABLE}, or make a profile by `portcullis profiles set NAME`"
            )),
            Self::Empty(name) => Some(format!(
                "`portcullis login --profile {name}` signs in, `portcullis profiles set {name}` takes a key"
            )),
            Self::Both => Some("a call is made by one of them: unset the other".into()),
            Self::NoPerson => Some("sign in by `portcullis login`; a key is renewed by `api-keys secrets add`".into()),
            Self::Elsewhere { what: "session", asked, .. } => {
                Some(format!("`portcullis login --profile NAME --api-url {asked}` signs in there"))
            }
            Self::Elsewhere { what, .. } => Some(format!("give a {what} for that address, or another `--profile`")),
            Self::Taken { .. } => Some("`--profile NAME` keeps the session under another name".into()),
            Self::Profiles(fault) => fault.way_out(),
            Self::Session => Some("`portcullis login` makes one, and keeps it in a profile".into()),
            Self::Key(_)
            | Self::Url(_)
            | Self::KeyFile { .. }
            | Self::Missing { .. }
            | Self::Differ
            | Self::Read { .. } => None,
        }
    }
}

impl ConnectionArgs {
    /// The form of the answer.
    pub(in crate::cli) fn output(&self) -> Output {
        self.output
    }

    /// What is asked by which key.
    pub(in crate::cli) fn connect(&self) -> Result<Connection, SetupFault> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        self.resolve(variable, || Profiles::read(&super::profiles::path()?))
    }

    fn resolve(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        profiles: impl FnOnce() -> Result<Profiles, ProfilesFault>,
    ) -> Result<Connection, SetupFault> {
        let variable = |name: &str| variable(name).filter(|_| self.profile.is_none());
        let asked = match (&self.api_url, variable(URL_VARIABLE)) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(text)) => Some(text.parse().map_err(SetupFault::Url)?),
            (None, None) => None,
        };
        let given = match (&self.key, &self.key_file) {
            (Some(text), _) => Some(Secret::Key(Pair::parse(text).ok_or_else(|| SetupFault::Key("`--key`".into()))?)),
            (None, Some(path)) => Some(Secret::Key(read_key(path)?)),
            (None, None) => of_variables(variable(KEY_VARIABLE), variable(SESSION_VARIABLE))?,
        };
        // Whoever gives a key and names no profile asks for none.
        let profile: Option<Profile> = match (&self.profile, &given) {
            (Some(name), _) => Some(profiles()?.named(name)?),
            (None, Some(_)) => None,
            (None, None) => profiles()?.current()?,
        };
        let default = || Url(DEFAULT_URL.to_owned());
        let Some(profile) = profile else {
            let url = asked.unwrap_or_else(default);
            let secret = given.ok_or_else(|| SetupFault::Nobody(url.clone()))?;
            return Ok(Connection {
                url,
                secret: Some(secret),
                profile: None,
                ca: self.ca.clone(),
                organization: None,
            });
        };
        let url = asked.unwrap_or_else(|| profile.url.clone());
        let is_own = url == profile.url;
        let (secret, from) = match (given, profile.secret()) {
            (Some(given), _) => (given, None),
            (None, None) => return Err(SetupFault::Empty(profile.name)),
            (None, Some(own)) if is_own => (own, Some(profile.name)),
            (None, Some(own)) => {
                return Err(SetupFault::Elsewhere {
                    name: profile.name,
                    what: own.kind(),
                    own: profile.url,
                    asked: url,
                });
            }
        };
        Ok(Connection {
            url,
            secret: Some(secret),
            profile: from,
            ca: self.ca.clone().or(profile.ca.filter(|_| is_own)),
            organization: profile.organization.filter(|_| is_own),
        })
    }
}

fn of_variables(key: Option<String>, session: Option<String>) -> Result<Option<Secret>, SetupFault> {
    match (key, session) {
        (Some(_), Some(_)) => Err(SetupFault::Both),
        (Some(key), None) => {
            let pair = Pair::parse(&key).ok_or_else(|| SetupFault::Key(KEY_VARIABLE.into()))?;
            Ok(Some(Secret::Key(pair)))
        }
        (None, Some(token)) => Ok(Some(Secret::Session(Token::parse(&token).ok_or(SetupFault::Session)?))),
        (None, None) => Ok(None),
    }
}

fn read_key(path: &Path) -> Result<Pair, SetupFault> {
    let read = match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin().lock()),
        _ => std::fs::read_to_string(path),
    };
    let text = read.map_err(|source| SetupFault::KeyFile { path: path.to_owned(), source })?;
    Pair::parse(&text).ok_or_else(|| SetupFault::Key(format!("`{}`", path.display())))
}

#[cfg(test)]
mod tests;
