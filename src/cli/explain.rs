//! `portcullis explain`: one request, hypothetical, from the access log or by its receipt, judged by the code that judges traffic.
//!
//! Never opens a socket, never prints a secret, and never forwards what it judged. The explanation is [`crate::gate::explain`]'s, which
//! the admin API gives too.

use std::io::{IsTerminal, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::EX_CONFIG;
use crate::access::certificate_name::CertificateName;
use crate::access::client_id::ClientId;
use crate::access::id::Id;
use crate::access::network::parse_address;
use crate::access::record::CredentialName;
use crate::access::snapshot::Snapshot;
use crate::app::agree;
use crate::clock::{Clock, Timestamp};
use crate::config::diagnostic::{Place, Problems};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Gateway, JwksSource};
use crate::gate::certificate::shown;
use crate::gate::explain::{self, Asked, Logged, Report, Source};
use crate::gate::receipt;
use crate::live::key_sets::KeySets;
use crate::live::published::Current;
use crate::{config, control, directory};

/// The exit code of a request that would be refused.
const REFUSED: u8 = 2;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The configuration.
    #[arg(long, short, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
    /// A directory file or folder in place of the configured one.
    #[arg(long, short, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// The address that the connection comes from.
    #[arg(long, value_name = "IP", value_parser = address, required_unless_present_any = ["client_address", "logged", "receipt"])]
    peer: Option<IpAddr>,
    /// A URI that the peer's certificate names, as often as it names one.
    #[arg(long = "peer-uri", value_name = "URI", requires = "peer", conflicts_with = "client_address")]
    peer_uris: Vec<Box<str>>,
    /// The SHA-256 of the peer's certificate, in hexadecimal digits.
    #[arg(long, value_name = "SHA256", requires = "peer", conflicts_with = "client_address", value_parser = certificate)]
    peer_certificate: Option<CertificateHash>,
    /// The client address itself, however it would be derived.
    #[arg(long, value_name = "IP", value_parser = address, conflicts_with = "peer")]
    client_address: Option<IpAddr>,
    /// A line of the access log in place of all that describes a request; `-` reads it from standard input.
    #[arg(long, value_name = "LINE", conflicts_with_all = [
        "peer", "peer_uris", "peer_certificate", "client_address", "headers", "key", "credential", "path", "method", "host", "at",
    ])]
    logged: Option<String>,
    /// The `requestId` of a refusal, of any gateway that has the same keys; `-` reads it from standard input.
    #[arg(long, value_name = "ID", allow_hyphen_values = true, conflicts_with_all = [
        "logged", "peer", "peer_uris", "peer_certificate", "client_address", "headers", "key", "credential", "path", "method", "host", "at",
    ])]
    receipt: Option<String>,
    /// A header of the request, such as 'X-Forwarded-For: 203.0.113.9'. In wire order, as often as it stands.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A key, sent in the first configured key header; `-` reads it from standard input, so that it stays out of the
    /// shell's history.
    #[arg(long, value_name = "KEY", conflicts_with = "credential", value_parser = key)]
    key: Option<Key>,
    /// The id of an API key, or the client id of a service account, that is taken as proven where its secret is not at hand.
    #[arg(long, value_name = "ID", value_parser = credential)]
    credential: Option<CredentialName>,
    /// Path of the request; a query is allowed and not looked at.
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = target)]
    path: http::Uri,
    /// Method of the request.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: http::Method,
    /// Host of the request.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The moment to decide at, such as 2027-01-01T00:00:00Z; now where it is not given.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// The form of the answer.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

/// A key as it was typed. Shows itself to nobody.
#[derive(Clone)]
struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

fn address(text: &str) -> Result<IpAddr, String> {
    parse_address(text).map_err(|fault| fault.to_string())
}

fn credential(text: &str) -> Result<CredentialName, String> {
    match text.parse::<ClientId>() {
        Ok(client) => Ok(CredentialName::service_account(client)),
        Err(_) => text.parse::<Id>().map(CredentialName::api_key).map_err(|fault| fault.to_string()),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the form that clap wants")]
fn key(text: &str) -> Result<Key, String> {
    Ok(Key(text.to_owned()))
}

/// The value stays out of the message: it may be a secret.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written like 'Name: value'")?;
    let name = name.trim().parse().map_err(|_| "the header's name is not one")?;
    let mut value = HeaderValue::from_bytes(value.trim().as_bytes())
        .map_err(|_| format!("the value of `{name}` can't stand in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// A path, or a whole URL as a client of a proxy would send it.
fn target(text: &str) -> Result<http::Uri, String> {
    let target: http::Uri = text.parse().map_err(|_| format!("`{text}` can't stand in a request"))?;
    match target.scheme().is_none() && target.authority().is_some() {
        true => Err(format!("path `{text}` does not begin with `/`; write `/{text}`")),
        false => Ok(target),
    }
}

pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let at: jiff::Timestamp =
        text.parse().map_err(|_| format!("`{text}` is no moment; write it like 2027-01-01T00:00:00Z"))?;
    Ok(Timestamp::from_unix_seconds(at.as_second()))
}

/// Explains one request: exit code 0 where it is allowed, 2 where it is refused, 78 where a file is faulty.
///
/// # Errors
/// Arguments that make no request, or an output that can't be written.
pub fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let Loaded { current, notes, is_store } = match load(&args)? {
        Ok(loaded) => loaded,
        Err(problems) => {
            match args.output {
                Output::Text => eprintln!("{}", problems.render(std::io::stderr().is_terminal())),
                Output::Json => writeln!(std::io::stdout(), "{:#}", json!({ "ok": false, "problems": problems }))?,
            }
            return Ok(ExitCode::from(EX_CONFIG));
        }
    };
    let mut report = match &args.receipt {
        Some(text) => of_receipt(&current, text, is_store)?,
        None => of_request(&args, &current, clock.now())?,
    };
    report.notes.extend(notes);
    // A file is changed by whoever writes it.
    report.command = report.command.filter(|_| is_store);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Text => write!(out, "{report}")?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    let allowed = matches!(report.outcome, "allow" | "would_deny");
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn of_request(args: &ExplainArgs, current: &Current, now: Timestamp) -> anyhow::Result<Report> {
    let logged = args.logged.as_deref().map(line).transpose()?;
    let asked = match &logged {
        Some(logged) => logged.asked().context("the line of the access log can't be explained")?,
        None => request(args, &current.settings, now)?,
    };
    let mut report = explain::explain(current, &asked);
    if let Some(logged) = logged {
        logged.compare(&mut report, current.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision()));
    }
    Ok(report)
}

/// What a receipt tells, opened with the keys that the configuration names, and that of the store.
fn of_receipt(current: &Current, text: &str, is_store: bool) -> anyhow::Result<Report> {
    let text = if text == "-" { from_standard_input("receipt")? } else { text.to_owned() };
    let settings = &current.settings;
    if settings.receipt_keys.is_empty() && !is_store {
        bail!(
            "there is no key to open receipts with: where the directory is a file, each process makes its own and keeps it to \
             itself; name the files of `gateway.receipts.key_files`"
        );
    }
    let record = receipt::open(settings, current.receipt_key.as_deref(), text.trim())?;
    Ok(explain::explain_receipt(current, &record))
}

/// SHA-256 of a certificate.
#[derive(Debug, Clone, Copy)]
struct CertificateHash([u8; 32]);

fn certificate(text: &str) -> Result<CertificateHash, String> {
    match CertificateName::sha256(text) {
        Ok(CertificateName::Sha256(hash)) => Ok(CertificateHash(hash)),
        Ok(CertificateName::SanUri(_)) => Err("this is a URI; give it as `--peer-uri`".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// The line of the access log.
fn line(text: &str) -> anyhow::Result<Logged> {
    let text = if text == "-" { from_standard_input("line")? } else { text.to_owned() };
    let line = serde_json::from_str(&text).context("`--logged` takes a line of the access log, which is JSON")?;
    Ok(Logged::read(line)?)
}

/// The request that the arguments describe.
fn request(args: &ExplainArgs, settings: &Gateway, now: Timestamp) -> anyhow::Result<Asked> {
    let from = match (args.peer, args.client_address) {
        (Some(address), _) => {
            let hash = args.peer_certificate.map(|CertificateHash(hash)| hash);
            Source::Peer { address, certificate: shown(args.peer_uris.clone().into(), hash) }
        }
        (None, Some(client)) => Source::Client(client),
        (None, None) => {
            bail!("say where the request comes from: `--peer`, `--client-address`, `--logged` or `--receipt`")
        }
    };
    let target = args.path.clone();
    let mut headers = HeaderMap::new();
    if let Some(host) = &args.host {
        let value = HeaderValue::from_str(host).with_context(|| format!("`{host}` is no host"))?;
        headers.insert(http::header::HOST, value);
    }
    for (name, value) in &args.headers {
        headers.append(name, value.clone());
    }
    if let Some(Key(key)) = &args.key {
        let Some(name) = settings.credentials.headers.first() else {
            bail!("--key needs a key header in `gateway.credentials.headers`; none is configured");
        };
        let key = if key == "-" { from_standard_input("key")? } else { key.clone() };
        // Without the source: it would repeat the key.
        let Ok(mut value) = HeaderValue::from_str(&key) else { bail!("the key can't stand in a header") };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let head = explain::head(args.method.clone(), target, headers);
    Ok(Asked { from, head, credential: args.credential, at: args.at.unwrap_or(now) })
}

fn from_standard_input(what: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().take(64 * 1024).read_to_string(&mut text);
    read.with_context(|| format!("no {what} could be read from standard input"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What a gateway would publish.
struct Loaded {
    current: Current,
    /// What is different here.
    notes: Vec<String>,
    /// Whether the directory is changed by the admin API.
    is_store: bool,
}

fn load(args: &ExplainArgs) -> anyhow::Result<Result<Loaded, Problems>> {
    let settings = match config::load(args.config.as_deref(), Override::from_environment()) {
        Ok((settings, _)) => settings,
        Err(problems) => return Ok(Err(problems)),
    };
    let source = match (&args.directory, settings.directory) {
        (Some(path), _) => DirectorySource::File(path.clone()),
        (None, configured) => configured,
    };
    let snapshot = match &source {
        DirectorySource::Demonstration => directory::demonstration().compile(1)?,
        DirectorySource::Sqlite(path) => match directory::sqlite::look(path) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => bail!("there is no store `{}` yet; `portcullis serve` makes it", path.display()),
            Err(fault) => return Err(fault).context(format!("the store `{}` can't be read", path.display())),
        },
        DirectorySource::File(path) => match compiled(path)? {
            Ok(snapshot) => snapshot,
            Err(problems) => return Ok(Err(problems)),
        },
    };
    let mut notes = Vec::new();
    let place = Place::file(args.config.as_deref().map_or("the defaults".into(), Path::to_string_lossy));
    let keys = match agree::key_sets(&place, &settings.gateway, &KeySets::default()) {
        Ok(keys) => keys,
        Err(problems) => return Ok(Err(problems)),
    };
    for issuer in &settings.gateway.credentials.issuers {
        if matches!(issuer.jwks, JwksSource::Url { .. }) {
            notes.push(format!("keys of issuer {} are not fetched here: its tokens show as refused", issuer.issuer));
        }
    }
    let own = match (&source, &settings.admin) {
        (DirectorySource::Sqlite(path), Some(admin)) => control::own_issuer(path, &admin.issuer(admin.listen))?,
        _ => None,
    };
    // One of an older version has none, and is not asked where nobody needs it.
    let receipt_key = match (&source, &args.receipt) {
        (DirectorySource::Sqlite(path), Some(_)) => control::own_receipt_key(path)?,
        _ => None,
    };
    let current = Current {
        generation: 1,
        settings: settings.gateway,
        keys: Arc::new(keys),
        own: own.map(Arc::new),
        receipt_key: receipt_key.map(Arc::new),
        snapshot: Some(Arc::new(snapshot)),
    };
    Ok(Ok(Loaded { current, notes, is_store: matches!(source, DirectorySource::Sqlite(_)) }))
}

fn compiled(path: &Path) -> anyhow::Result<Result<Snapshot, Problems>> {
    match directory::load(path, &directory::LoadOptions::default()) {
        Ok(loaded) => Ok(Ok(loaded.directory.compile(1)?)),
        Err(problems) => Ok(Err(problems)),
    }
}

#[cfg(test)]
mod tests;
