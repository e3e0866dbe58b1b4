//! `portcullis diff` and `portcullis apply`: a directory file against the store of a running gateway.
//!
//! The file is read and judged here, whole, before anything is asked; what differs is told and done by the API, in one change.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::api::{Api, by_option};
use super::connection::ConnectionArgs;
use super::shown::{Column, Output, Shown, plain, text};
use super::{Fault, told};
use crate::cli::EX_CONFIG;
use crate::directory::{LoadOptions, document as written, load};

/// From the first byte of the directory to the last of the answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Differences were found.
const DIFFERENT: u8 = 2;

/// A directory and how it is compared.
#[derive(clap::Args)]
struct Source {
    /// The directory file, a `.gz` of it, or a folder of them. What it does not name is left alone.
    #[arg(short, long, value_name = "PATH")]
    file: PathBuf,
    /// Let go projects, network sets and credentials of the named organizations that the file does not name.
    #[arg(long)]
    prune: bool,
    /// Do it although a guard would refuse it; that is recorded.
    #[arg(long)]
    force: bool,
}

/// What `diff` takes.
#[derive(clap::Args)]
pub struct DiffArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What `apply` takes.
#[derive(clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    source: Source,
    /// Only tell what would be done, and whom it would refuse or let in, by what is recorded of the last 30 days; exit code 2
    /// where it would refuse anybody, or a guard would refuse it.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

const COLUMNS: &[Column] = &[
    Column::new("action", |one| text(one, "action")),
    Column::new("kind", |one| text(one, "kind")),
    Column::new("id", |one| text(one, "id")),
    Column::new("name", |one| text(one, "name")),
    Column::new("changes", changes),
];

fn changes(one: &Value) -> String {
    let all = one["changes"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

/// Shows what a directory would change: 0 where nothing, 2 where something.
///
/// # Errors
/// Standard output is closed, or no runtime is to be had.
pub fn diff(args: DiffArgs) -> anyhow::Result<ExitCode> {
    let output = args.connection.output();
    let Some(document) = document(&args.source.file, output)? else { return Ok(ExitCode::from(EX_CONFIG)) };
    match ask(&args.connection, &args.source, &document, true)? {
        Ok(found) => {
            let differs = count(&found) > 0;
            let code = print(found, output, "no difference")?;
            Ok(if differs { ExitCode::from(DIFFERENT) } else { code })
        }
        Err(fault) => refused(fault, output),
    }
}

/// Makes the store what a directory says, and tells what was done.
///
/// # Errors
/// As [`diff`].
pub fn apply(args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let output = args.connection.output();
    let Some(document) = document(&args.source.file, output)? else { return Ok(ExitCode::from(EX_CONFIG)) };
    match ask(&args.connection, &args.source, &document, args.dry_run)? {
        Ok(mut done) => {
            let rehearsal = match output {
                Output::Table => done["rehearsal"].take(),
                Output::Json => done["rehearsal"].clone(),
            };
            let code = print(done, output, "nothing to do: the store is what the file says")?;
            match (rehearsal, output) {
                (Value::Null, _) => Ok(code),
                (told_of, Output::Table) => told(Ok(Shown::Rehearsed(told_of)), output),
                (told_of, Output::Json) => Ok(ExitCode::from(Shown::Rehearsed(told_of).exit_code())),
            }
        }
        Err(fault) => refused(fault, output),
    }
}

/// The directory as it is sent, or nothing where it is at fault, which was told.
fn document(path: &Path, output: Output) -> anyhow::Result<Option<Value>> {
    match load(path, &LoadOptions::default()) {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                eprintln!("{}\n", loaded.warnings.render(std::io::stderr().is_terminal()));
            }
            Ok(Some(written(&loaded.directory)?))
        }
        Err(problems) => {
            if output == Output::Json {
                writeln!(std::io::stdout(), "{:#}", json!({ "problems": problems }))?;
            } else {
                eprintln!("{}\n", problems.render(std::io::stderr().is_terminal()));
            }
            eprintln!("portcullis: `{}` is at fault; nothing was asked or changed", path.display());
            Ok(None)
        }
    }
}

fn ask(
    connection: &ConnectionArgs,
    source: &Source,
    document: &Value,
    is_rehearsal: bool,
) -> anyhow::Result<Result<Value, Fault>> {
    let flags = [("dryRun", is_rehearsal), ("prune", source.prune), ("force", source.force)];
    let query: Vec<String> = flags.iter().filter(|(_, on)| *on).map(|(name, _)| format!("{name}=true")).collect();
    let path = format!("/apply?{}", query.join("&"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    Ok(connection.connect().map_err(Fault::from).and_then(|connection| {
        let api = Api::new(connection)?.patient(PATIENCE);
        runtime.block_on(api.call(Method::POST, &path, Some(document)))
    }))
}

fn count(found: &Value) -> u64 {
    found["totalCount"].as_u64().unwrap_or_default()
}

fn print(found: Value, output: Output, nothing: &str) -> anyhow::Result<ExitCode> {
    let total = count(&found);
    let named = found["results"].as_array().map_or(0, Vec::len) as u64;
    if total == 0 && output == Output::Table {
        return told(Ok(Shown::Done(nothing.to_owned())), output);
    }
    let code = told(Ok(Shown::Many(found, COLUMNS)), output)?;
    if total > named && output == Output::Table {
        eprintln!("… and {} more", total - named);
    }
    Ok(code)
}

/// Every step that was refused on a line of its own.
fn refused(fault: Fault, output: Output) -> anyhow::Result<ExitCode> {
    let Fault::Refused { status, code, body, way_out, .. } = fault else { return told(Err(fault), output) };
    for one in body["badRequestDetail"]["fields"].as_array().into_iter().flatten() {
        eprintln!("{}", plain(&by_option(&format!("{}: {}", text(one, "field"), text(one, "description")))));
    }
    let detail = plain(&by_option(&text(&body, "detail")));
    told(Err(Fault::Refused { status, code, detail, way_out, body }), output)
}
