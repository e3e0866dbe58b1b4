//! `portcullis login`, `logout` and `password`: people at the command line.
//!
//! A password is typed without an echo, or read from a file or standard input; it is never an argument and never kept. What is
//! kept is the token of the session, in a profile.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::Method;
use serde_json::json;

use super::api::Api;
use super::connection::{
    Connection, ConnectionArgs, DEFAULT_URL, KEY_VARIABLE, SESSION_VARIABLE, SetupFault, URL_VARIABLE, Url,
};
use super::profiles::{self, COLUMNS, Profile, Profiles, ProfilesFault, Session};
use super::secret::{Secret, Token};
use super::shown::{Output, Shown, text};
use super::{Fault, arguments, told};
use crate::access::id::Id;

/// Most bytes of a line with a password or a token.
const LONGEST: u64 = 4096;

/// Name of the profile that `login` makes where there is none.
const FIRST: &str = "default";

/// Arguments of `login`.
#[derive(clap::Args)]
pub struct LoginArgs {
    /// Whose session it is; asked for where it is not known.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// A file with the password on its first line; `-` is standard input [default: asked on the terminal, or standard input].
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file with the token of an invitation (`-`: asked on the terminal, or a line of standard input), which is taken up with a password of your choice, or with your account's
    /// where you have one. With `--email`, also the token of a first start (`portcullis.db.sign-up-token`).
    #[arg(long, value_name = "FILE")]
    invite_file: Option<PathBuf>,
    /// The profile that keeps the session [default: the current one, or `default`].
    #[arg(long, value_name = "NAME", value_parser = profiles::name)]
    profile: Option<String>,
    /// The admin API [default: the profile's, or PORTCULLIS_API_URL, or http://127.0.0.1:8081].
    #[arg(long, alias = "url", value_name = "URL")]
    api_url: Option<Url>,
    /// Certificates (PEM) that the API is trusted by, and no others [default: the profile's].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The organization that is meant where none is named [default: the profile's].
    #[arg(long = "org", value_name = "ID", value_parser = arguments::id)]
    organization: Option<Id>,
    /// Form of the answer.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `logout`.
#[derive(clap::Args)]
pub struct LogoutArgs {
    /// Whose session is ended [default: the current profile's].
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// End all sessions of the person, on whichever machine they are.
    #[arg(long)]
    everywhere: bool,
    /// Forget the session without asking the API, where it can't be reached; it ends by itself.
    #[arg(long, conflicts_with = "everywhere")]
    forget: bool,
    /// Form of the answer.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `password`.
#[derive(clap::Args)]
pub struct PasswordArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Signs in.
///
/// # Errors
/// Standard output is closed, or no runtime is to be had.
pub fn login(args: LoginArgs) -> anyhow::Result<ExitCode> {
    let output = args.output;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    told(runtime.block_on(sign_in(args)), output)
}

/// Signs out.
///
/// # Errors
/// As [`login`].
pub fn logout(args: LogoutArgs) -> anyhow::Result<ExitCode> {
    let output = args.output;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    told(runtime.block_on(sign_out(args)), output)
}

/// Changes the password.
///
/// # Errors
/// As [`login`].
pub fn password(args: PasswordArgs) -> anyhow::Result<ExitCode> {
    let output = args.connection.output();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    told(runtime.block_on(change_password(&args.connection)), output)
}

/// The profile that is meant, as it will be; it may not be there yet.
fn target(args: &LoginArgs, path: &Path) -> Result<Profile, SetupFault> {
    let profiles = Profiles::read(path)?;
    let name = args.profile.as_deref().or(profiles.current_name()).unwrap_or(FIRST).to_owned();
    let variable = std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty() && args.profile.is_none());
    let asked = match (&args.api_url, variable) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(text)) => Some(text.parse().map_err(SetupFault::Url)?),
        (None, None) => None,
    };
    let mut profile = match (profiles.find(&name), asked) {
        (Some(known), Some(asked)) if known.url != asked => {
            return Err(SetupFault::Taken { name, own: known.url.clone(), asked });
        }
        (Some(known), _) => known.clone(),
        (None, Some(url)) => Profile::new(name, url),
        (None, None) => Profile::new(name, DEFAULT_URL.parse().map_err(SetupFault::Url)?),
    };
    if let Some(ca) = &args.ca {
        profile.ca = Some(std::path::absolute(ca).map_err(ProfilesFault::Input)?);
    }
    profile.organization = args.organization.or(profile.organization);
    Ok(profile)
}

fn connection(profile: &Profile, secret: Option<Secret>) -> Connection {
    let Profile { name, url, ca, organization, .. } = profile.clone();
    Connection { url, secret, profile: Some(name), ca, organization }
}

async fn sign_in(args: LoginArgs) -> Result<Shown, Fault> {
    let path = profiles::path().map_err(SetupFault::from)?;
    let profile = target(&args, &path)?;
    let api = Api::new(connection(&profile, None))?;
    let made = match &args.invite_file {
        Some(file) => {
            let token = line_of(file, "token")?;
            let password = match &args.password_file {
                Some(file) => line_of(file, "password")?,
                None => chosen("password")?,
            };
            match &args.email {
                Some(email) => {
                    let body = json!({"token": token, "email": email, "password": password});
                    api.post("/auth/signup", &body).await?
                }
                None => api.post("/auth/accept", &json!({"token": token, "password": password})).await?,
            }
        }
        None => {
            let email = match args.email.clone().or_else(|| profile.email.clone()) {
                Some(email) => email,
                None => asked_email()?,
            };
            let password = match &args.password_file {
                Some(file) => line_of(file, "password")?,
                None => typed(&format!("password of {}", super::plain(&email)), "password")?,
            };
            api.post("/auth/signin", &json!({"email": email, "password": password})).await?
        }
    };
    let session = made["token"].as_str().and_then(Token::parse).ok_or_else(|| api.stranger())?;
    // Somebody may have changed the file while a password was typed.
    let mut profiles = Profiles::read(&path).map_err(SetupFault::from)?;
    let now = profiles.find(&profile.name).filter(|now| now.url == profile.url).unwrap_or(&profile).clone();
    let old = now.session.clone();
    let signed_in = Profile {
        session: Some(Session { token: session, ends: text(&made, "expiresAt") }),
        email: Some(text(&made, "username")),
        ca: profile.ca,
        organization: profile.organization,
        ..now
    };
    profiles.put(signed_in.clone());
    profiles.write(&path).map_err(SetupFault::from)?;
    if let Some(old) = old {
        // Nobody could end it any more; mostly it is over.
        let api = Api::new(connection(&signed_in, Some(Secret::Session(old.token))))?;
        let _ = api.call(Method::POST, "/auth/signout", None).await;
    }
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let set = [KEY_VARIABLE, SESSION_VARIABLE, URL_VARIABLE].into_iter().find(is_set);
    if let Some(variable) = set {
        eprintln!("note: {variable} is set, and beats the current profile; `--profile {}` beats it", signed_in.name);
    } else if profiles.current_name() != Some(&signed_in.name) {
        let name = &signed_in.name;
        eprintln!("note: another profile is the current one: `--profile {name}`, or `portcullis profiles use {name}`");
    }
    Ok(Shown::One(profiles.shown(&signed_in), COLUMNS))
}

async fn sign_out(args: LogoutArgs) -> Result<Shown, Fault> {
    let path = profiles::path().map_err(SetupFault::from)?;
    let profiles = Profiles::read(&path).map_err(SetupFault::from)?;
    let profile = match args.profile {
        Some(name) => profiles.named(&name).map_err(SetupFault::from)?,
        None => profiles
            .current()
            .map_err(SetupFault::from)?
            .ok_or_else(|| SetupFault::from(ProfilesFault::Unknown("current".into(), Vec::new())))?,
    };
    let name = profile.name.clone();
    let Some(session) = profile.session.clone() else {
        return Ok(Shown::Done(format!("nobody is signed in by profile `{name}`")));
    };
    let done = match args.forget {
        true => format!(
            "the session of profile `{name}` is forgotten; it ends by itself, at {} at the latest",
            session.ends
        ),
        false => {
            let api = Api::new(connection(&profile, Some(Secret::Session(session.token.clone()))))?;
            let action = if args.everywhere { "/auth/signoutEverywhere" } else { "/auth/signout" };
            match api.call(Method::POST, action, None).await {
                Ok(_) if args.everywhere => format!("all sessions of {} are ended", text_of(&profile.email)),
                Ok(_) => format!("{} is signed out of profile `{name}`", text_of(&profile.email)),
                Err(Fault::Refused { status: 401, .. }) => format!("the session of profile `{name}` was over already"),
                Err(fault) => {
                    eprintln!(
                        "the session is still in profile `{name}`, to be ended later; `portcullis logout --profile {name} \
                         --forget` takes it out of there alone"
                    );
                    return Err(fault);
                }
            }
        }
    };
    // What somebody else put there meanwhile stays.
    let mut profiles = Profiles::read(&path).map_err(SetupFault::from)?;
    if let Some(now) =
        profiles.find(&name).filter(|one| one.session.as_ref().is_some_and(|now| now.token == session.token))
    {
        let without = Profile { session: None, ..now.clone() };
        profiles.put(without);
        profiles.write(&path).map_err(SetupFault::from)?;
    }
    Ok(Shown::Done(done))
}

fn text_of(email: &Option<String>) -> &str {
    email.as_deref().unwrap_or("the person")
}

async fn change_password(args: &ConnectionArgs) -> Result<Shown, Fault> {
    let connection = args.connect()?;
    if !matches!(connection.secret, Some(Secret::Session(_))) {
        return Err(SetupFault::NoPerson.into());
    }
    let api = Api::new(connection)?;
    let present = typed("present password", "password")?;
    let new = chosen("new password")?;
    api.post("/auth/password", &json!({"currentPassword": present, "password": new})).await?;
    Ok(Shown::Done("the password is changed, and all your other sessions are ended".into()))
}

/// The address of whoever signs in.
fn asked_email() -> Result<String, Fault> {
    if !std::io::stdin().is_terminal() {
        return Err(Fault::Usage("name the person by `--email`".into()));
    }
    eprint!("email: ");
    std::io::stderr().flush()?;
    Ok(first_line(std::io::stdin().lock(), "email address", "the terminal")?)
}

/// A secret that is typed and not echoed; without a terminal, the next line of standard input.
fn typed(prompt: &str, what: &'static str) -> Result<String, SetupFault> {
    let read = |source| SetupFault::Read { what, from: "the terminal".into(), source };
    match std::io::stdin().is_terminal() {
        true => rpassword::prompt_password(format!("{prompt}: ")).map_err(read),
        false => first_line(std::io::stdin().lock(), what, "standard input"),
    }
}

/// A new password, typed twice where nobody sees what is typed.
pub(in crate::cli) fn chosen(prompt: &str) -> Result<String, SetupFault> {
    let password = typed(prompt, "password")?;
    if std::io::stdin().is_terminal() && typed(&format!("{prompt} again"), "password")? != password {
        return Err(SetupFault::Differ);
    }
    Ok(password)
}

/// The first line of a file, without its end.
fn line_of(path: &Path, what: &'static str) -> Result<String, SetupFault> {
    if path.as_os_str() == "-" {
        return typed(what, what);
    }
    let from = format!("`{}`", path.display());
    match std::fs::File::open(path) {
        Ok(file) => first_line(std::io::BufReader::new(file), what, &from),
        Err(source) => Err(SetupFault::Read { what, from, source }),
    }
}

/// What is left in the reader stays there: a second secret may be on the next line.
fn first_line(mut reader: impl std::io::BufRead, what: &'static str, from: &str) -> Result<String, SetupFault> {
    let mut line = String::new();
    let read = reader.by_ref().take(LONGEST).read_line(&mut line);
    read.map_err(|source| SetupFault::Read { what, from: from.to_owned(), source })?;
    let line = line.trim_end_matches(['\r', '\n']);
    match line.is_empty() {
        true => Err(SetupFault::Missing { what, from: from.to_owned() }),
        false => Ok(line.to_owned()),
    }
}
