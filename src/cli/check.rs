//! `portcullis check`: every problem of a configuration and a directory, or what a new one would change.
//!
//! Never changes anything and never contacts anybody.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::EX_CONFIG;
use super::compare;
use crate::app::agree;
use crate::config::diagnostic::{Place, Problem, Problems, Severity};
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Settings};
use crate::config::{self};
use crate::directory::{self, Directory, LoadOptions};
use crate::live::key_sets::KeySets;
use crate::net::tls::files::TlsFiles;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A configuration, or a directory: a YAML file, a `.gz` of it, or a folder.
    #[arg(value_name = "FILE", required_unless_present_any = ["config", "directory"])]
    file: Option<PathBuf>,
    /// The configuration; the directory that it names is checked as well.
    #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// A directory, in place of the one that the configuration names.
    #[arg(long, short, value_name = "PATH", conflicts_with = "file")]
    directory: Option<PathBuf>,
    /// A new configuration or directory: lists who would newly be refused or allowed. Exits with 2 where anybody would
    /// be refused.
    #[arg(long, value_name = "NEW")]
    against: Option<PathBuf>,
    /// Form of the answer.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// Form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What was read.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) settings: Option<Settings>,
    pub(super) directory: Option<Directory>,
    pub(super) problems: Problems,
}

/// Checks, and answers on standard output; problems in text go to standard error.
///
/// # Errors
/// Standard output or standard error is closed.
pub fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let (config, directory) = match args.file {
        Some(file) if is_directory(&file) => (None, Some(file)),
        Some(file) => (Some(file), None),
        None => (args.config, args.directory),
    };
    let old = read(config.as_deref(), directory.as_deref());
    let Some(against) = args.against else {
        return answer(&old, args.output);
    };
    let new = match is_directory(&against) {
        true => read(None, Some(&against)),
        false => read(Some(&against), None),
    };
    for one in [&old, &new] {
        if one.problems.has_errors() {
            return answer(one, args.output);
        }
    }
    let compared = compare::Compared::of(&old, &new);
    let text = match args.output {
        Output::Text => compared.to_string(),
        Output::Json => serde_json::to_string_pretty(&compared)?,
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(if compared.refuses_something() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn answer(checked: &Checked, output: Output) -> anyhow::Result<ExitCode> {
    let problems = &checked.problems;
    match output {
        Output::Json => {
            let answer = json!({ "ok": !problems.has_errors(), "problems": problems });
            writeln!(std::io::stdout(), "{answer:#}")?;
        }
        Output::Text => {
            let mut to = std::io::stderr();
            if !problems.is_empty() {
                writeln!(to, "{}\n", problems.render(to.is_terminal()))?;
            }
            let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
            let counted = count(errors, "error", "errors");
            let warned = count(problems.len() - errors, "warning", "warnings");
            match errors {
                0 => writeln!(std::io::stdout(), "good: {}; {warned}", checked.summary())?,
                _ => writeln!(to, "refused: {counted}, {warned}")?,
            }
        }
    }
    Ok(if problems.has_errors() { ExitCode::from(EX_CONFIG) } else { ExitCode::SUCCESS })
}

pub(super) fn count(count: usize, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

impl Checked {
    fn summary(&self) -> String {
        let settings = self.settings.as_ref().map(|settings| {
            let gateway = &settings.gateway;
            let routes = count(gateway.routes.iter().count(), "route", "routes");
            format!("{routes}, {}", count(gateway.upstreams.len(), "upstream", "upstreams"))
        });
        let directory = self.directory.as_ref().map(|directory| {
            let organizations = count(directory.organizations.len(), "organization", "organizations");
            format!("{organizations}, {}", count(directory.credentials().count(), "credential", "credentials"))
        });
        settings.into_iter().chain(directory).collect::<Vec<_>>().join(", ")
    }
}

/// Reads both, problems of both together.
pub(super) fn read(config: Option<&Path>, directory: Option<&Path>) -> Checked {
    let mut checked = Checked::default();
    let (mut named, mut source) = (config::Named::default(), None);
    if let Some(file) = config {
        let examined = config::examine(Some(file), Override::from_environment());
        checked.problems.append(examined.problems);
        if let Some(settings) = &examined.settings {
            let place = Place::file(file.display().to_string());
            let material = agree::material(&place, settings, &KeySets::default(), &TlsFiles::default());
            checked.problems.append(material.err().unwrap_or_default());
        }
        checked.settings = examined.settings;
        (named, source) = (examined.named, examined.directory);
    }
    let source = directory.map(|path| DirectorySource::File(path.to_owned())).or(source);
    let known = match source {
        Some(DirectorySource::File(path)) => {
            let examined = directory::examine(&path, &LoadOptions::default());
            match examined.loaded {
                Ok(loaded) => {
                    checked.problems.append(loaded.warnings);
                    checked.directory = Some(loaded.directory);
                }
                Err(problems) => checked.problems.append(problems),
            }
            examined.organizations
        }
        Some(DirectorySource::Sqlite(path)) => match directory::sqlite::look(&path) {
            Ok(stored) => stored.map(|snapshot| snapshot.organizations().map(|one| one.id()).collect()),
            Err(fault) => {
                checked.problems.push(Problem::error(Place::file(path.display().to_string()), fault.to_string()));
                None
            }
        },
        Some(DirectorySource::Demonstration) => {
            let directory = checked.directory.insert(directory::demonstration());
            Some(directory.organizations.iter().map(|one| one.id).collect())
        }
        None => None,
    };
    if let Some(known) = known {
        checked.problems.append(agree::unknown_organizations(&named.organizations, known));
    }
    if let Some(directory) = &checked.directory {
        let stored = directory
            .credentials()
            .flat_map(|(_, credential)| credential.digest.iter().map(|secret| (credential.id, &*secret.realm)));
        checked.problems.append(agree::foreign_realms(&named, stored));
    }
    checked
}

/// Whether a path is a directory of ours and no configuration: a folder, something packed, or a file with organizations.
fn is_directory(path: &Path) -> bool {
    let packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    if packed || path.is_dir() {
        return true;
    }
    let text = std::fs::read(path).unwrap_or_default();
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let begins = |text: &[u8]| {
        let text = text.strip_prefix(b"\"").unwrap_or(text);
        // A document of JSON has its limits first.
        let starts = |name: &str| {
            let after = text.strip_prefix(name.as_bytes());
            after.is_some_and(|after| after.starts_with(b":") || after.starts_with(b"\":"))
        };
        starts("organizations") || starts("limits")
    };
    match text.trim_ascii_start().strip_prefix(b"{") {
        Some(inner) => begins(inner.trim_ascii_start()),
        None => text.split(|byte| *byte == b'\n').any(begins),
    }
}

#[cfg(test)]
mod tests;
