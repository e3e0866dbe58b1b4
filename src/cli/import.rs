//! `portcullis import`: organizations and keys in bulk, by the admin API of a running gateway or into a store that nobody serves.
//!
//! All problems are told at their places in the file, and nothing is added unless all of it is. Never keeps or repeats a key
//! in clear: it is hashed as it is read.

mod moving;
mod progress;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use serde_json::{Value, json};

use super::hash;
use super::remote::{self, Api, Column, ConnectionArgs, Fault, Output, Shown, text};
use crate::access::digest_secret::{REALM_FORM, is_realm};
use crate::clock::Clock;
use crate::config::diagnostic::{Problems, Severity};
use crate::control::{Count, ImportFault, Imported, import_into};
use crate::directory::bulk::{self, Bulk, HashedKey, Table};
use crate::directory::model::Organization;
use crate::directory::sqlite::{self, StoreFault};
use crate::directory::stored;

pub(super) use progress::Progress;

/// Arguments of `import`. Have no `Debug`, because of the key.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// What is to be added: a directory file (YAML or JSON, as `export` prints it), a folder of such, or a table
    /// whose name ends in `.csv`. With `--from`, files and folders of the other program.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Add to this store, which nothing may serve meanwhile, instead of asking the admin API. Made where there is none.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Only show what would be added, and every conflict.
    #[arg(long)]
    dry_run: bool,
    /// Take keys in clear that can be guessed (below 128 estimated bits).
    #[arg(long)]
    weak: bool,
    /// Also make the HA1s of Digest authentication for keys in clear, for this realm.
    #[arg(long, value_name = "REALM")]
    digest: Option<String>,
    #[command(flatten)]
    moving: moving::MovingArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

const COUNTS: &[Column] = &[
    Column::new("", |one| text(one, "what")),
    Column::new("added", |one| text(one, "added")),
    Column::new("there already", |one| text(one, "unchanged")),
];

/// Imports, and tells what came of it.
///
/// # Errors
/// Standard output is closed, or no runtime is to be had.
pub fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    if args.moving.is_asked_for() {
        return moving::run(&args);
    }
    let output = args.connection.output();
    let progress = Progress::new(output == Output::Table);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = imported(&args, &progress, &runtime);
    progress.end();
    remote::told(outcome.map(|answer| shown(answer, args.dry_run, output)), output)
}

fn imported(args: &ImportArgs, progress: &Progress, runtime: &tokio::runtime::Runtime) -> Result<Value, Fault> {
    if let Some(realm) = args.digest.as_ref().filter(|realm| !is_realm(realm)) {
        return Err(Fault::Usage(format!("`{}` is no realm, which is {REALM_FORM}", realm.escape_debug())));
    }
    if args.files.len() > 1 {
        return Err(Fault::Usage(
            "one file is imported at a time; give a folder for several, or name their program by `--from`".into(),
        ));
    }
    match &args.store {
        Some(store) => into_store(args, store, progress),
        None => {
            let api = Api::new(args.connection.connect()?)?;
            let bulk = read(args, progress, |named| runtime.block_on(api.organizations(named)))?;
            let (bulk, keys) = (Rc::new(bulk.0), bulk.1);
            progress.count("sending", keys);
            let bar = progress.clone();
            let mut is_sent = false;
            let sent = move |lines: u64| {
                bar.at(lines, keys);
                if lines >= keys && !is_sent {
                    is_sent = true;
                    bar.begin("compared and stored by the gateway");
                }
            };
            runtime.block_on(api.import(&bulk, args.dry_run, sent))
        }
    }
}

fn into_store(args: &ImportArgs, store: &Path, progress: &Progress) -> Result<Value, Fault> {
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| Fault::Store { path: store.display().to_string(), source };
    let (bulk, _) = read(args, progress, |_| organizations(store).map_err(|fault| failed(Box::new(fault))))?;
    let keys = bulk.credentials();
    progress.count(if args.dry_run { "comparing" } else { "storing" }, keys);
    let done = import_into(store, &bulk, args.dry_run, &Clock::system(), &mut |written| progress.at(written, keys));
    match done {
        Ok(done) => Ok(answer(&done.value, args.dry_run)),
        Err(ImportFault::Refused(problems)) => Err(Fault::Conflicting { problems, untold: 0 }),
        Err(fault) => Err(failed(Box::new(fault))),
    }
}

/// Reads the file; where it is a table, the organizations that are there are asked for, with the names that rows have for
/// theirs where all of them have one. Tells the number of lines, too.
fn read(
    args: &ImportArgs,
    progress: &Progress,
    there: impl FnOnce(Option<&HashSet<String>>) -> Result<Vec<Organization>, Fault>,
) -> Result<(Bulk, u64), Fault> {
    // Clap asks for one, and `imported` refuses more.
    let file = &args.files[0];
    progress.begin(&format!("reading {}", file.display()));
    let read = match bulk::is_table(file) {
        true => {
            let table = Table::open(file).map_err(Fault::Faulty)?;
            table.read(&there(table.organizations().as_ref())?, &|key| hashed(key, args))
        }
        false => bulk::load(file),
    };
    let (bulk, warnings) = read.map_err(Fault::Faulty)?;
    let warnings: Problems = warnings.iter().filter(|one| one.severity == Severity::Warning).cloned().collect();
    if !warnings.is_empty() && args.connection.output() == Output::Table {
        progress.end();
        eprintln!("{}\n", warnings.render(false));
    }
    let lines = bulk.credentials() + bulk.directory.organizations.len() as u64;
    Ok((bulk, lines))
}

fn hashed(key: &str, args: &ImportArgs) -> Result<HashedKey, String> {
    let hashed = hash::one(key.as_bytes(), args.weak, args.digest.as_deref()).map_err(|wrong| wrong.to_string())?;
    Ok(HashedKey {
        public_key: hashed.public_key,
        secret_sha256: hashed.secret_sha256,
        digest: hashed.digest.map(|made| (made.realm, made.sha256, made.md5)),
    })
}

/// The organizations of a store, with their projects.
fn organizations(store: &Path) -> Result<Vec<Organization>, StoreFault> {
    let found = sqlite::read(store, |rows| {
        let all = rows.organizations()?.into_iter();
        all.map(|row| stored::organization(rows, &row)).collect::<Result<Vec<_>, StoreFault>>()
    })?;
    Ok(found.unwrap_or_default())
}

/// As the API would have told it.
fn answer(imported: &Imported, is_rehearsal: bool) -> Value {
    let count = |count: Count| json!({"added": count.added, "unchanged": count.unchanged});
    let mut answer = json!({
        "organizations": count(imported.organizations),
        "projects": count(imported.projects),
        "networkSets": count(imported.network_sets),
        "apiKeys": count(imported.keys),
        "serviceAccounts": count(imported.accounts),
        "accessListEntries": count(imported.entries),
    });
    if is_rehearsal && !imported.first.is_empty() {
        let added = imported.first.iter();
        let added = added.map(|one| json!({"kind": one.kind, "id": one.id.to_string(), "name": one.name}));
        answer["wouldAdd"] = added.collect();
    }
    answer
}

fn shown(answer: Value, is_rehearsal: bool, output: Output) -> Shown {
    if output == Output::Json {
        return Shown::Many(answer, COUNTS);
    }
    if is_rehearsal {
        for one in answer["wouldAdd"].as_array().into_iter().flatten() {
            println!(
                "{}",
                remote::plain(&format!("+ {} {} {}", text(one, "kind"), text(one, "id"), text(one, "name")))
            );
        }
    }
    let row = |what: &str, name: &str| {
        let count = &answer[name];
        json!({"what": what, "added": count["added"].to_string(), "unchanged": count["unchanged"].to_string()})
    };
    let rows = [
        row("organizations", "organizations"),
        row("projects", "projects"),
        row("network sets", "networkSets"),
        row("API keys", "apiKeys"),
        row("service accounts", "serviceAccounts"),
        row("entries", "accessListEntries"),
    ];
    Shown::Many(json!({ "results": rows }), COUNTS)
}
