//! `portcullis import --from PROGRAM --to FOLDER`: what another program keeps of keys and addresses, as a directory folder.
//!
//! Contacts nobody, changes no store, never overwrites a directory, and tells everything that has no equal.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::ImportArgs;
use crate::cli::check::count;
use crate::cli::remote::Output;
use crate::cli::{EX_CONFIG, EX_USAGE};
use crate::config::diagnostic::Problems;
use crate::directory::foreign::{Effect, Moved, Program, Wishes, translate};

/// What the file of a folder is called.
const FILE: &str = "directory.yaml";

/// Options of moving in.
#[derive(clap::Args)]
pub struct MovingArgs {
    /// Read files of another program, and write what they say as a directory folder: nothing is sent or stored.
    #[arg(long, value_name = "PROGRAM", requires = "to", help_heading = "Moving in")]
    from: Option<From>,
    /// The folder to write; it must not hold a directory yet.
    #[arg(long, value_name = "FOLDER", requires = "from", conflicts_with_all = ["store", "digest"], help_heading = "Moving in")]
    to: Option<PathBuf>,
    /// Name of the organization that is made. Default: that of the program.
    #[arg(long, value_name = "NAME", requires = "from", help_heading = "Moving in")]
    organization: Option<String>,
    /// Take only keys of this route of the other program; may be repeated.
    #[arg(long, value_name = "NAME", requires = "from", help_heading = "Moving in")]
    route: Vec<String>,
    /// The header that keys come in, where the other program does not say it: nginx, HAProxy. Default: the one that is
    /// known for it, such as X-API-Key.
    #[arg(long, value_name = "NAME", requires = "from", help_heading = "Moving in")]
    key_header: Option<String>,
    /// Give keys that may be used on some routes alone organizations of their own, which routes have to name.
    #[arg(long, requires = "from", help_heading = "Moving in")]
    split: bool,
}

/// A program that is moved from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum From {
    /// Kong Gateway: declarative files, as `deck gateway dump` writes them.
    Kong,
    /// Apache APISIX: its standalone file, or a file of ADC.
    Apisix,
    /// Envoy Gateway: manifests of SecurityPolicy and Secret.
    EnvoyGateway,
    /// HAProxy: its configuration, with ACL and map files.
    Haproxy,
    /// nginx: its configuration, with what it includes.
    Nginx,
}

impl From {
    fn program(self) -> (Program, &'static str) {
        match self {
            Self::Kong => (Program::Kong, "kong"),
            Self::Apisix => (Program::Apisix, "apisix"),
            Self::EnvoyGateway => (Program::EnvoyGateway, "envoy-gateway"),
            Self::Haproxy => (Program::Haproxy, "haproxy"),
            Self::Nginx => (Program::Nginx, "nginx"),
        }
    }
}

impl MovingArgs {
    /// Whether another program's files are meant.
    pub(super) fn is_asked_for(&self) -> bool {
        self.from.is_some()
    }
}

/// Translates, writes and tells.
///
/// # Errors
/// The folder can't be written, or standard output is closed.
pub(super) fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    // Clap asks for both or neither.
    let (Some(from), Some(to)) = (args.moving.from, &args.moving.to) else {
        anyhow::bail!("`--from` and `--to` go together");
    };
    let output = args.connection.output();
    let (program, name) = from.program();
    let organization = args.moving.organization.clone().unwrap_or_else(|| name.to_owned());
    if organization.is_empty() || organization.chars().count() > 64 {
        eprintln!("portcullis: the name of an organization has 1 to 64 characters");
        return Ok(ExitCode::from(EX_USAGE));
    }
    let file = to.join(FILE);
    if let Some(there) = held(to)? {
        eprintln!("portcullis: `{}` is there already; name another folder by `--to`, or take it away", there.display());
        return Ok(ExitCode::FAILURE);
    }
    let hash = |key: &str| super::hashed(key, args);
    let moving = &args.moving;
    let wishes = Wishes {
        organization,
        routes: moving.route.clone(),
        split: moving.split,
        header: moving.key_header.clone(),
        hash: &hash,
    };
    let moved = match translate(program, &args.files, &wishes) {
        Ok(moved) => moved,
        Err(problems) => return refused(&problems, output),
    };
    if !args.dry_run {
        fs::create_dir_all(to).with_context(|| format!("the folder `{}` can't be made", to.display()))?;
        let written = fs::OpenOptions::new().write(true).create_new(true).open(&file);
        let written = written.and_then(|mut file| file.write_all(moved.text.as_bytes()));
        written.with_context(|| format!("`{}` can't be written", file.display()))?;
    }
    tell(&moved, (!args.dry_run).then(|| file.display().to_string()), output)?;
    // What is left to be configured is no loss.
    let is_lossless = moved.notices.iter().all(|one| one.effect == Effect::Configure);
    Ok(if is_lossless { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// A directory file that the folder holds already, with which another one would be merged.
fn held(folder: &std::path::Path) -> anyhow::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault).with_context(|| format!("the folder `{}` can't be read", folder.display())),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ["yaml", "yml", "gz"].iter().any(|one| ending == *one)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn refused(problems: &Problems, output: Output) -> anyhow::Result<ExitCode> {
    match output {
        Output::Json => writeln!(io::stdout(), "{:#}", json!({ "problems": problems }))?,
        Output::Table => eprintln!("{}\n", problems.render(io::stderr().is_terminal())),
    }
    eprintln!("portcullis: nothing was imported: {}", count(problems.len(), "problem", "problems"));
    Ok(ExitCode::from(EX_CONFIG))
}

fn tell(moved: &Moved, file: Option<String>, output: Output) -> io::Result<()> {
    let mut out = io::stdout();
    if output == Output::Json {
        let told = json!({
            "file": file,
            "organizations": moved.organizations,
            "headers": moved.headers,
            "withoutEqual": moved.notices,
        });
        return writeln!(out, "{told:#}");
    }
    for notice in &moved.notices {
        writeln!(out, "{}: {}: {}", notice.place, notice.effect.as_str(), notice.message)?;
    }
    if !moved.notices.is_empty() {
        writeln!(out)?;
    }
    match file {
        Some(file) => writeln!(out, "wrote {file}")?,
        None => writeln!(out, "would write")?,
    }
    for one in &moved.organizations {
        let keys = count(one.api_keys, "API key", "API keys");
        let entries = count(one.access_list_entries, "entry", "entries");
        writeln!(out, "  organization `{}` ({}): {keys}, {} disabled, {entries}", one.name, one.id, one.disabled)?;
        if one.from_anywhere > 0 {
            let keys = count(one.from_anywhere, "key", "keys");
            writeln!(out, "    {keys} may be used from anywhere, so that it does not require lists")?;
        }
        if !one.routes.is_empty() {
            writeln!(
                out,
                "    each route for {} says `organizations: [{}]`, and no other route does",
                one.routes.join(", "),
                one.id
            )?;
        }
    }
    if !moved.headers.is_empty() {
        writeln!(out, "  portcullis.yaml says `gateway.credentials.headers: [{}]`", moved.headers.join(", "))?;
    }
    let lost = moved.notices.iter().filter(|one| one.effect != Effect::Configure).count();
    let left = moved.notices.len() - lost;
    writeln!(out, "{} without an equal, {left} to be configured", count(lost, "construct", "constructs"))
}
