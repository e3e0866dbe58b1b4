//! `portcullis profiles`: named connections, in a file of one's own.
//!
//! The file holds private keys and sessions. It is refused while anybody else may read it, written whole under another name
//! first, and never shown. [`super::login`] puts sessions into it.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::Url;
use super::secret::{Pair, Secret, Token};
use super::shown::{Column, Output, Shown, text};
use super::{Fault, arguments, told};
use crate::access::id::Id;

/// Arguments of `profiles`.
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub struct ProfilesArgs {
    #[command(subcommand)]
    command: Command,
    /// Form of the answer.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Output,
}

/// What is done with profiles.
#[derive(clap::Subcommand)]
enum Command {
    /// Make a profile, or make one anew; the key is asked for, or read from standard input.
    Set {
        /// Its name.
        #[arg(value_parser = name)]
        name: String,
        /// The admin API.
        #[arg(long, value_name = "URL", default_value = super::connection::DEFAULT_URL)]
        api_url: Url,
        /// Certificates (PEM) that the API is trusted by, and no others.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// The organization that is meant where none is named.
        #[arg(long = "org", value_name = "ID", value_parser = arguments::id)]
        organization: Option<Id>,
    },
    /// All profiles; the current one has an asterisk.
    List,
    /// One profile, without its private key.
    Show {
        /// Which one [default: the current one].
        name: Option<String>,
    },
    /// Make a profile the current one, which is used where nothing else is named.
    Use {
        /// Which one.
        name: String,
    },
    /// Delete a profile.
    Delete {
        /// Which one.
        name: String,
    },
}

/// A named connection. Has no `Debug`.
#[derive(Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) url: Url,
    pub(super) key: Option<Pair>,
    pub(super) session: Option<Session>,
    /// Who last signed in.
    pub(super) email: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) organization: Option<Id>,
}

/// A person's session. Has no `Debug`.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) token: Token,
    /// When it ends at the latest, as the API writes it.
    pub(super) ends: String,
}

impl Profile {
    /// One that calls by nothing yet.
    pub(super) fn new(name: String, url: Url) -> Self {
        Self { name, url, key: None, session: None, email: None, ca: None, organization: None }
    }

    /// What is called with: the session from `login` to `logout`, over or not, so that nobody acts as somebody else without
    /// having said so; the key otherwise.
    pub(super) fn secret(&self) -> Option<Secret> {
        let session = self.session.as_ref().map(|session| Secret::Session(session.token.clone()));
        session.or_else(|| self.key.clone().map(Secret::Key))
    }
}

/// All of them. Has no `Debug`.
#[derive(Clone, Default)]
pub(super) struct Profiles {
    current: Option<String>,
    all: Vec<Profile>,
}

/// Why there are no profiles to be had. Never holds a key.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum ProfilesFault {
    #[error("neither XDG_CONFIG_HOME nor HOME says where profiles are")]
    Nowhere,
    #[error("`{}` holds private keys or sessions, and others may read it (mode {mode:o})", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("`{}` can't be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{}` can't be written", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("`{}` is not a file of profiles{at}", path.display())]
    Faulty { path: PathBuf, at: String },
    #[error("profile `{profile}` in `{}`: {what}", path.display())]
    Profile { path: PathBuf, profile: String, what: String },
    #[error("there is no profile `{0}`")]
    Unknown(String, Vec<String>),
    #[error("standard input holds no key, which is publicKey:privateKey")]
    NoKey,
    #[error("the key can't be read")]
    Input(#[source] std::io::Error),
}

impl ProfilesFault {
    pub(super) fn way_out(&self) -> Option<String> {
        match self {
            Self::Open { path, .. } => Some(format!(
                "`chmod 600 {}`, and make new keys and sign in anew if others have read it",
                path.display()
            )),
            Self::Unknown(_, known) if known.is_empty() => {
                Some("`portcullis profiles set NAME` makes one, and so does `portcullis login`".into())
            }
            Self::Unknown(_, known) => Some(format!("there are {}", known.join(", "))),
            _ => None,
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfiles {
    #[serde(default)]
    current: Option<String>,
    #[serde(default)]
    profiles: Vec<RawProfile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    name: String,
    api_url: String,
    #[serde(default)]
    api_key: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    session_ends: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    ca: Option<PathBuf>,
    #[serde(default)]
    org: Option<String>,
}

/// Where the profiles are.
///
/// # Errors
/// [`ProfilesFault::Nowhere`].
pub(super) fn path() -> Result<PathBuf, ProfilesFault> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    Ok(base.ok_or(ProfilesFault::Nowhere)?.join("portcullis/profiles.yaml"))
}

pub(super) fn name(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    match (1..=64).contains(&text.len()) && text.bytes().all(legal) {
        true => Ok(text.to_owned()),
        false => Err("a name is 1 to 64 of letters, digits, `.`, `_` and `-`".to_owned()),
    }
}

impl Profiles {
    /// Reads the file; one that is not there holds none.
    ///
    /// # Errors
    /// A [`ProfilesFault`] naming the file.
    pub(super) fn read(path: &Path) -> Result<Self, ProfilesFault> {
        let fault = |source| ProfilesFault::Read { path: path.to_owned(), source };
        let mut file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(absent) if absent.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(fault(source)),
        };
        // Of the file that was opened, and not of whatever has its name by then.
        let mode = file.metadata().map_err(fault)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(ProfilesFault::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(fault)?;
        Self::parse(path, &text)
    }

    /// Reads the text of the file at this path.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ProfilesFault> {
        // The message of the parser may repeat a value, and that may be a key.
        let raw: RawProfiles = serde_yaml::from_str(text).map_err(|fault| {
            let place = fault.location().map(|at| format!(": line {}, column {}", at.line(), at.column()));
            ProfilesFault::Faulty { path: path.to_owned(), at: place.unwrap_or_default() }
        })?;
        let mut all: Vec<Profile> = Vec::with_capacity(raw.profiles.len());
        for one in raw.profiles {
            let wrong = |what: &str| ProfilesFault::Profile {
                path: path.to_owned(),
                profile: one.name.escape_debug().to_string(),
                what: what.to_owned(),
            };
            if all.iter().any(|other| other.name == one.name) {
                return Err(wrong("there are two of this name"));
            }
            let no_key = || wrong("`api_key` is not publicKey:privateKey");
            let key = one.api_key.as_ref().map(|key| Pair::parse(key).ok_or_else(no_key));
            let no_session = || wrong("`session` is not the token of one");
            let session = one.session.as_ref().map(|token| Token::parse(token).ok_or_else(no_session));
            all.push(Profile {
                name: name(&one.name).map_err(|fault| wrong(&fault))?,
                url: one.api_url.parse().map_err(|fault: String| wrong(&fault))?,
                key: key.transpose()?,
                session: session
                    .transpose()?
                    .map(|token| Session { token, ends: one.session_ends.unwrap_or_default() }),
                email: one.email,
                ca: one.ca,
                organization: one.org.map(|id| arguments::id(&id).map_err(|fault| wrong(&fault))).transpose()?,
            });
        }
        Ok(Self { current: raw.current, all })
    }

    /// The name of the current one.
    pub(super) fn current_name(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// One by its name, where there is one.
    pub(super) fn find(&self, name: &str) -> Option<&Profile> {
        self.all.iter().find(|one| one.name == name)
    }

    /// Puts one in the place of whichever has its name. The first one becomes the current one.
    pub(super) fn put(&mut self, profile: Profile) {
        self.current.get_or_insert_with(|| profile.name.clone());
        match self.all.iter_mut().find(|one| one.name == profile.name) {
            Some(one) => *one = profile,
            None => self.all.push(profile),
        }
    }

    /// One by its name.
    pub(super) fn named(self, name: &str) -> Result<Profile, ProfilesFault> {
        let known: Vec<String> = self.all.iter().map(|one| one.name.clone()).collect();
        let found = self.all.into_iter().find(|one| one.name == name);
        found.ok_or_else(|| ProfilesFault::Unknown(name.chars().take(64).collect(), known))
    }

    /// The current one, where there is one.
    pub(super) fn current(self) -> Result<Option<Profile>, ProfilesFault> {
        let Some(name) = self.current.clone() else { return Ok(None) };
        self.named(&name).map(Some)
    }

    /// The text of the file. Every value is quoted as JSON, which YAML reads the same.
    fn written(&self) -> String {
        let mut text = String::from("# Written by `portcullis profiles`. It holds secrets: nobody else may read it.\n");
        if let Some(current) = &self.current {
            text.push_str(&format!("current: {}\n", json!(current)));
        }
        text.push_str("profiles:\n");
        for one in &self.all {
            let mut line = |name: &str, value: &str| text.push_str(&format!("{name}: {}\n", json!(value)));
            line("  - name", &one.name);
            line("    api_url", &one.url.to_string());
            if let Some(key) = &one.key {
                line("    api_key", key.basic());
            }
            if let Some(session) = &one.session {
                line("    session", session.token.bearer());
                line("    session_ends", &session.ends);
            }
            if let Some(email) = &one.email {
                line("    email", email);
            }
            if let Some(ca) = &one.ca {
                line("    ca", &ca.to_string_lossy());
            }
            if let Some(id) = one.organization {
                line("    org", &id.to_string());
            }
        }
        text
    }

    /// Writes the file anew, readable by its owner alone from its first byte on.
    pub(super) fn write(&self, path: &Path) -> Result<(), ProfilesFault> {
        let write = || {
            let folder = path.parent().unwrap_or(Path::new("/"));
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let fresh = path.with_extension(format!("yaml.{}", std::process::id()));
            let written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).and_then(
                |mut file| {
                    file.write_all(self.written().as_bytes())?;
                    file.sync_all()?;
                    std::fs::rename(&fresh, path)
                },
            );
            if written.is_err() {
                // What is left of it is of no use, and holds keys.
                let _ = std::fs::remove_file(&fresh);
            }
            written
        };
        write().map_err(|source| ProfilesFault::Write { path: path.to_owned(), source })
    }

    pub(super) fn shown(&self, one: &Profile) -> Value {
        let mut shown = json!({
            "name": one.name,
            "current": self.current.as_ref() == Some(&one.name),
            "apiUrl": one.url.to_string(),
        });
        if let Some(key) = &one.key {
            shown["publicKey"] = json!(key.public());
        }
        if let Some(session) = &one.session {
            shown["username"] = json!(one.email);
            shown["sessionExpiresAt"] = json!(session.ends);
        }
        if let Some(id) = one.organization {
            shown["orgId"] = json!(id.to_string());
        }
        if let Some(ca) = &one.ca {
            shown["ca"] = json!(ca.to_string_lossy());
        }
        shown
    }
}

pub(super) const COLUMNS: &[Column] = &[
    Column::new("name", |one| format!("{}{}", text(one, "name"), if one["current"] == true { "*" } else { "" })),
    Column::new("api url", |one| text(one, "apiUrl")),
    Column::new("signed in", |one| text(one, "username")),
    Column::new("until", |one| text(one, "sessionExpiresAt")),
    Column::new("public key", |one| text(one, "publicKey")),
    Column::new("organization", |one| text(one, "orgId")),
    Column::new("ca", |one| text(one, "ca")),
];

/// Runs `profiles`.
///
/// # Errors
/// Standard output is closed.
pub fn run(args: ProfilesArgs) -> anyhow::Result<ExitCode> {
    let done = path().and_then(|path| done(args.command, &path));
    told(done.map_err(|fault| Fault::Setup(fault.into())), args.output)
}

fn done(command: Command, path: &Path) -> Result<Shown, ProfilesFault> {
    let mut profiles = Profiles::read(path)?;
    match command {
        Command::Set { name, api_url, ca, organization } => {
            let ca = ca.map(std::path::absolute).transpose().map_err(ProfilesFault::Input)?;
            let key = ask()?;
            let mut told = format!("profile `{name}` calls {api_url} with key {}", key.public());
            let mut profile = Profile { key: Some(key), ca, organization, ..Profile::new(name, api_url) };
            if let Some(old) = profiles.find(&profile.name).filter(|old| old.url == profile.url) {
                (profile.session, profile.email) = (old.session.clone(), old.email.clone());
            }
            if profile.session.is_some() {
                told.push_str(&format!(
                    " after `portcullis logout --profile {}`; until then by its session",
                    profile.name
                ));
            }
            profiles.put(profile);
            profiles.write(path)?;
            Ok(Shown::Done(told))
        }
        Command::List => {
            let all: Vec<Value> = profiles.all.iter().map(|one| profiles.shown(one)).collect();
            Ok(Shown::Many(json!({"results": all}), COLUMNS))
        }
        Command::Show { name } => {
            let one = match name.or_else(|| profiles.current.clone()) {
                Some(name) => profiles.clone().named(&name)?,
                None => return Err(ProfilesFault::Unknown("current".into(), Vec::new())),
            };
            Ok(Shown::One(profiles.shown(&one), COLUMNS))
        }
        Command::Use { name } => {
            let one = profiles.clone().named(&name)?;
            profiles.current = Some(name);
            profiles.write(path)?;
            Ok(Shown::Done(format!("profile `{}` is the current one", one.name)))
        }
        Command::Delete { name } => {
            let one = profiles.clone().named(&name)?;
            profiles.all.retain(|other| other.name != name);
            profiles.current = profiles.current.filter(|current| *current != name);
            profiles.write(path)?;
            let goes_on = match (one.key, one.session) {
                (Some(_), None) => "; its key still works".to_owned(),
                (None, None) => String::new(),
                (key, Some(Session { ends, .. })) => {
                    let and_key = if key.is_some() { " and its key still work, the session" } else { " still works," };
                    format!("; its session{and_key} until {ends} at the latest")
                }
            };
            Ok(Shown::Done(format!("profile `{}` is deleted{goes_on}", one.name)))
        }
    }
}

/// Asks for a key, which is not echoed; without a terminal it is read from standard input.
fn ask() -> Result<Pair, ProfilesFault> {
    let text = match std::io::stdin().is_terminal() {
        true => rpassword::prompt_password("key (publicKey:privateKey): "),
        false => std::io::read_to_string(std::io::stdin().lock().take(4096)),
    };
    Pair::parse(&text.map_err(ProfilesFault::Input)?).ok_or(ProfilesFault::NoKey)
}

#[cfg(test)]
mod tests;
