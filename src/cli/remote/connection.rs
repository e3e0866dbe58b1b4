//! Which API is asked, and by whom.
//!
//! An option beats a profile that is named, that beats the variables, and those beat the current profile. A profile's key goes
//! to the profile's own address and nowhere else.

use std::path::{Path, PathBuf};

use super::profiles::{Profile, Profiles, ProfilesFault};
use super::secret::Pair;
use super::shown::Output;
use crate::access::id::Id;

/// Where `portcullis serve` has its admin API.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8081";
/// The variable that names the API.
const URL_VARIABLE: &str = "PORTCULLIS_API_URL";
/// The variable that holds a key.
const KEY_VARIABLE: &str = "PORTCULLIS_API_KEY";

/// How the admin API is reached. Has no `Debug`, because of the key.
#[derive(clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// The admin API [default: PORTCULLIS_API_URL, or the profile's, or http://127.0.0.1:8081].
    #[arg(long, global = true, value_name = "URL")]
    api_url: Option<Url>,
    /// The key to call with [default: PORTCULLIS_API_KEY, or the profile's]. Other users of this machine may see it.
    #[arg(long, global = true, value_name = "PUBLIC:PRIVATE", conflicts_with = "key_file")]
    key: Option<String>,
    /// A file that holds the key, such as the `.owner-key` of a first start; `-` is standard input.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A profile of `portcullis profiles`.
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
    pub(super) key: Pair,
    pub(super) ca: Option<PathBuf>,
    pub(super) organization: Option<Id>,
}

/// Why there is no connection to ask by. Never holds a key.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum SetupFault {
    #[error("there is no key to call {0} with")]
    NoKey(Url),
    #[error("{0} holds no key, which is publicKey:privateKey")]
    Key(String),
    #[error("{URL_VARIABLE}: {0}")]
    Url(String),
    #[error("the key can't be read from `{}`", path.display())]
    KeyFile { path: PathBuf, source: std::io::Error },
    #[error("profile `{name}` is for {own}; its key is not sent to {asked}")]
    Elsewhere { name: String, own: Url, asked: Url },
    #[error(transparent)]
    Profiles(#[from] ProfilesFault),
}

impl SetupFault {
    pub(super) fn way_out(&self) -> Option<String> {
        match self {
            Self::NoKey(_) => Some(format!(
                "name a file by `--key-file` (a first start writes its owner's to `portcullis.db.owner-key`), set \
                 {KEY_VARIABLE}, or make a profile by `portcullis profiles set NAME`"
            )),
            Self::Elsewhere { .. } => Some("give a key for that address, or another `--profile`".into()),
            Self::Profiles(fault) => fault.way_out(),
            Self::Key(_) | Self::Url(_) | Self::KeyFile { .. } => None,
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
        let given = match (&self.key, &self.key_file, variable(KEY_VARIABLE)) {
            (Some(text), ..) => Some(Pair::parse(text).ok_or_else(|| SetupFault::Key("`--key`".into()))?),
            (None, Some(path), _) => Some(read_key(path)?),
            (None, None, Some(text)) => Some(Pair::parse(&text).ok_or_else(|| SetupFault::Key(KEY_VARIABLE.into()))?),
            (None, None, None) => None,
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
            let key = given.ok_or_else(|| SetupFault::NoKey(url.clone()))?;
            return Ok(Connection { url, key, ca: self.ca.clone(), organization: None });
        };
        let url = asked.unwrap_or_else(|| profile.url.clone());
        let is_own = url == profile.url;
        let key = match given {
            Some(key) => key,
            None if is_own => profile.key,
            None => return Err(SetupFault::Elsewhere { name: profile.name, own: profile.url, asked: url }),
        };
        Ok(Connection {
            url,
            key,
            ca: self.ca.clone().or(profile.ca.filter(|_| is_own)),
            organization: profile.organization.filter(|_| is_own),
        })
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
