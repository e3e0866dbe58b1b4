//! `portcullis explain`: one hypothetical request, judged by the code that judges traffic, shown step by step.
//!
//! Never opens a socket, never prints a secret, and never forwards what it judged. What it says of a decision comes from the
//! trace of the judge itself.

mod recording;
mod report;

use std::io::{IsTerminal, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use serde_json::json;

use super::EX_CONFIG;
use crate::access::decision::{Permit, Supposed};
use crate::access::id::Id;
use crate::access::network::parse_address;
use crate::access::snapshot::Snapshot;
use crate::app::agree;
use crate::clock::{Clock, Timestamp};
use crate::config::diagnostic::{Place, Problems};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Gateway, JwksSource};
use crate::gate::judge::Judge;
use crate::live::key_sets::KeySets;
use crate::live::published::Current;
use crate::net::peer::{Peer, PeerVia};
use crate::{config, control, directory};
use recording::Recording;
use report::{Passed, Report};

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
    #[arg(long, value_name = "IP", value_parser = address)]
    peer: IpAddr,
    /// A header of the request, such as 'X-Forwarded-For: 203.0.113.9'. In wire order, as often as it stands.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A key, sent in the first configured key header; `-` reads it from standard input, so that it stays out of the
    /// shell's history.
    #[arg(long, value_name = "KEY", conflicts_with = "credential", value_parser = key)]
    key: Option<Key>,
    /// The id of a credential that is taken as proven, where its secret is not at hand.
    #[arg(long, value_name = "ID")]
    credential: Option<Id>,
    /// Path of the request; a query is allowed and not looked at.
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
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

fn moment(text: &str) -> Result<Timestamp, String> {
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
    let (current, notes) = match load(&args)? {
        Ok(loaded) => loaded,
        Err(problems) => {
            match args.output {
                Output::Text => eprintln!("{}", problems.render(std::io::stderr().is_terminal())),
                Output::Json => writeln!(std::io::stdout(), "{:#}", json!({ "ok": false, "problems": problems }))?,
            }
            return Ok(ExitCode::from(EX_CONFIG));
        }
    };
    let now = args.at.unwrap_or_else(|| clock.now());
    let head = request(&args, &current.settings)?;
    let mut report = explain(&current, args.peer, &head, args.credential, now);
    report.notes.extend(notes);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Text => write!(out, "{report}")?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    let allowed = matches!(report.outcome, "allow" | "would_deny");
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// Judges the request and reports.
fn explain(current: &Current, peer: IpAddr, head: &Parts, supposed: Option<Id>, now: Timestamp) -> Report {
    let port_zero = (IpAddr::from([0, 0, 0, 0]), 0).into();
    let peer = Peer { address: peer, port: 0, via: PeerVia::Tcp, tls: false, local: port_zero };
    let (judge, mut recording) = (Judge::new(), Recording::default());
    let mut report = match supposed {
        None => {
            let verdict = judge.judge(current, &peer, head, now, &mut recording);
            Report::new(&verdict, of_permit, recording, &current.settings)
        }
        Some(id) => {
            let verdict = judge.suppose(current, &peer, head, id, now, &mut recording);
            let mut report = Report::new(&verdict, of_supposed, recording, &current.settings);
            report.notes.push(format!("credential {id} was taken as proven; no secret was checked"));
            report
        }
    };
    let own_key = current.settings.credentials.digest.as_ref().is_some_and(|digest| digest.nonce_key.is_none());
    if own_key && report.steps.iter().any(|line| line.step == "claim" && line.found == "Digest") {
        report.notes.push(
            "nonces of a running gateway can't be judged here, since `gateway.credentials.digest.nonce_key_file` is not \
             set and its key is its own"
                .to_owned(),
        );
    }
    let name = report::header_name(&current.settings);
    if report.client_source == "peer" && head.headers.contains_key(name) {
        report.notes.push(format!(
            "`{name}` was not read, since {} is no trusted proxy; if it is yours, add it to \
             `gateway.client_address.trusted_proxies`",
            peer.address
        ));
    }
    report
}

fn of_permit<'p>(permit: &'p Permit<'_>) -> Passed<'p, 'p> {
    Passed { grant: permit.grant(), upstream: permit.route().upstream, would_deny: permit.would_deny() }
}

fn of_supposed<'p>(permit: &'p Supposed<'_>) -> Passed<'p, 'p> {
    Passed { grant: permit.grant(), upstream: permit.route().upstream, would_deny: permit.would_deny() }
}

/// The request that the arguments describe.
fn request(args: &ExplainArgs, settings: &Gateway) -> anyhow::Result<Parts> {
    let uri: http::Uri = args.path.parse().with_context(|| format!("`{}` is no request target", args.path))?;
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = args.method.clone();
    head.uri = uri;
    if let Some(host) = &args.host {
        let value = HeaderValue::from_str(host).with_context(|| format!("`{host}` is no host"))?;
        head.headers.insert(http::header::HOST, value);
    }
    for (name, value) in &args.headers {
        head.headers.append(name, value.clone());
    }
    if let Some(Key(key)) = &args.key {
        let Some(name) = settings.credentials.headers.first() else {
            bail!("--key needs a key header in `gateway.credentials.headers`; none is configured");
        };
        let key = if key == "-" { from_standard_input()? } else { key.clone() };
        // Without the source: it would repeat the key.
        let Ok(mut value) = HeaderValue::from_str(&key) else { bail!("the key can't stand in a header") };
        value.set_sensitive(true);
        head.headers.append(name, value);
    }
    Ok(head)
}

fn from_standard_input() -> anyhow::Result<String> {
    let mut key = String::new();
    std::io::stdin().take(64 * 1024).read_to_string(&mut key).context("no key could be read from standard input")?;
    Ok(key.trim_end_matches(['\r', '\n']).to_owned())
}

/// What the gateway would publish, and what is different here.
type Loaded = Result<(Current, Vec<String>), Problems>;

fn load(args: &ExplainArgs) -> anyhow::Result<Loaded> {
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
    let current = Current {
        generation: 1,
        settings: settings.gateway,
        keys: Arc::new(keys),
        own: own.map(Arc::new),
        snapshot: Some(Arc::new(snapshot)),
    };
    Ok(Ok((current, notes)))
}

fn compiled(path: &Path) -> anyhow::Result<Result<Snapshot, Problems>> {
    match directory::load(path, &directory::LoadOptions::default()) {
        Ok(loaded) => Ok(Ok(loaded.directory.compile(1)?)),
        Err(problems) => Ok(Err(problems)),
    }
}

#[cfg(test)]
mod tests;
