//! Moving in: what other programs keep of keys and addresses, as a directory.
//!
//! Never admits more than the other program did, never keeps a key in clear, and drops nothing silently: every construct
//! that has no equal is a [`Notice`] with its place.

mod apisix;
mod envoy_gateway;
mod haproxy;
mod kong;
mod nginx;
mod notebook;
mod plugins;
mod reasoning;
mod rules;
mod tree;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::bulk::HashKey;
use crate::config::diagnostic::{Place, Problem, Problems};
use notebook::Notebook;
use tree::Tree;

pub use notebook::MovedOrganization;

/// Bytes of one file.
const LARGEST: u64 = 256 << 20;

/// A program that is moved from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Kong Gateway, by a declarative file of decK.
    Kong,
    /// Apache APISIX, by its standalone file or one of ADC.
    Apisix,
    /// Envoy Gateway, by its manifests.
    EnvoyGateway,
    /// HAProxy, by its configuration and what that names.
    Haproxy,
    /// nginx, by its configuration and what that includes.
    Nginx,
}

/// What is asked for.
pub struct Wishes<'w> {
    /// Name of the organization that is made.
    pub organization: String,
    /// The routes whose keys are wanted; all where it is empty.
    pub routes: Vec<String>,
    /// Whether keys that may be used on some routes alone get an organization of their own, which the route has to name.
    pub split: bool,
    /// The header that carries keys, for programs that do not say it.
    pub header: Option<String>,
    /// Hashes a key, or says what is wrong with it.
    pub hash: HashKey<'w>,
}

/// What becomes of a construct that has no equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Credentials are imported switched off.
    Disabled,
    /// It is not in the directory.
    LeftOut,
    /// Credentials may be used from fewer addresses than before.
    Narrower,
    /// Portcullis does not do it; it does not say who may call from where.
    Missing,
    /// It has an equal in the configuration, which an import does not write.
    Configure,
}

/// A construct that has no equal in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// What becomes of it.
    pub effect: Effect,
    /// What it is and why, without a secret.
    pub message: String,
}

/// What an import brought.
#[derive(Debug, Clone, Default)]
pub struct Moved {
    /// The directory file.
    pub text: String,
    /// The organizations in it.
    pub organizations: Vec<MovedOrganization>,
    /// Headers that keys come in.
    pub headers: Vec<String>,
    /// Everything that has no equal, by place.
    pub notices: Vec<Notice>,
}

impl Effect {
    /// As text says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::LeftOut => "left out",
            Self::Narrower => "narrower",
            Self::Missing => "missing",
            Self::Configure => "configure",
        }
    }
}

/// Translates files of another program, or names what makes them unreadable.
///
/// # Errors
/// Files that can't be read, or whose text is none of that program.
pub fn translate(program: Program, paths: &[PathBuf], wishes: &Wishes<'_>) -> Result<Moved, Problems> {
    let mut notebook = Notebook::new(wishes);
    match program {
        Program::Kong => kong::read(&trees(paths)?, &mut notebook)?,
        Program::Apisix => apisix::read(&trees(paths)?, &mut notebook)?,
        Program::EnvoyGateway => envoy_gateway::read(&trees(paths)?, &mut notebook)?,
        Program::Haproxy => haproxy::read(paths, &mut notebook)?,
        Program::Nginx => nginx::read(paths, &mut notebook)?,
    }
    let known = notebook.routes();
    if let Some(unknown) = wishes.routes.iter().find(|wanted| !known.contains(wanted)) {
        let message = format!("no route that asks for a key is called `{}`", notebook::shown(unknown));
        let file = paths.first().map_or_else(String::new, |path| path.display().to_string());
        return Err(Problem::error(Place::file(file), message).into());
    }
    let moved = notebook.finish();
    // What was written is judged as every directory is.
    super::parse_alone("directory.yaml", &moved.text)?;
    Ok(moved)
}

/// The documents of YAML and JSON files, and of all such files in folders.
fn trees(paths: &[PathBuf]) -> Result<Vec<Tree>, Problems> {
    let mut trees = Vec::new();
    let mut problems = Problems::default();
    for path in files(paths, &["yaml", "yml", "json"])? {
        match text(&path).and_then(|text| tree::read(&path.display().to_string(), &text)) {
            Ok(read) => trees.extend(read),
            Err(found) => problems.append(found),
        }
    }
    if problems.is_empty() { Ok(trees) } else { Err(problems) }
}

/// The files that are named, and those of named folders whose names end so, sorted.
fn files(paths: &[PathBuf], endings: &[&str]) -> Result<Vec<PathBuf>, Problems> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unread = |fault| {
            Problems::from(Problem::error(
                Place::file(path.display().to_string()),
                format!("the folder can't be read: {fault}"),
            ))
        };
        let mut within = Vec::new();
        for entry in fs::read_dir(path).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if endings.contains(&ending) && path.is_file() {
                within.push(path);
            }
        }
        if within.is_empty() {
            let message = format!("the folder holds no file that ends in .{}", endings.join(", ."));
            return Err(Problem::error(Place::file(path.display().to_string()), message).into());
        }
        within.sort_unstable();
        files.extend(within);
    }
    Ok(files)
}

fn text(path: &Path) -> Result<String, Problems> {
    let read = || {
        let mut text = String::new();
        let length = fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
        match length as u64 > LARGEST {
            true => Err(std::io::Error::other(format!("it is larger than {LARGEST} bytes"))),
            false => Ok(text),
        }
    };
    read().map_err(|fault| {
        Problem::error(Place::file(path.display().to_string()), format!("the file can't be read: {fault}")).into()
    })
}

#[cfg(test)]
mod tests;
