//! Settings: from the file as it is written to the frozen form that the program runs by.
//!
//! `raw` mirrors the file, `resolve` judges all of it at once, `settings` is what is left; `document` and `diagnostic`
//! know where in a file something stands, and serve the directory as well.
//! Never watches a file and never publishes anything; `app` does.

pub mod diagnostic;
pub mod document;
pub mod feed_source;
pub mod raw;
mod resolve;
pub mod settings;
pub mod strict;
pub mod units;
mod variables;

use std::path::Path;

use crate::access::id::Id;
use diagnostic::{Place, Problem, Problems};
use document::{Document, Override, Step};
use settings::{DirectorySource, Settings};

/// Largest configuration file that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A configuration that was judged, good or not.
#[derive(Debug)]
pub struct Examined {
    /// What it says, where nothing refuses it.
    pub settings: Option<Settings>,
    /// Everything that was found, warnings included.
    pub problems: Problems,
    /// Which directory it names, where that can be told, even if something else refuses the configuration: so that both
    /// can be judged in one run.
    pub directory: Option<DirectorySource>,
    /// What it names that the directory has to have.
    pub named: Named,
}

/// What a configuration names and the directory has to agree with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Every organization that its routes and issuers name.
    pub organizations: Vec<NamedOrganization>,
    /// The realm of Digest, where that is on, and where it stands.
    pub digest_realm: Option<(String, Place)>,
}

/// An organization that a route or an issuer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedOrganization {
    /// Which.
    pub id: Id,
    /// Where it is named.
    pub place: Place,
}

/// Reads a configuration file, or the defaults where there is none, under overrides from the environment.
/// Relative paths in it start at its folder. Returned with the settings: the warnings.
/// Only the defaults fall back to the demonstration directory; a file has to name its own.
///
/// # Errors
/// Every fault of the file, each with its place.
pub fn load(file: Option<&Path>, overrides: Vec<Override>) -> Result<(Settings, Problems), Problems> {
    examine(file, overrides).taken()
}

/// As [`load`], with what a faulty configuration still tells.
pub fn examine(file: Option<&Path>, overrides: Vec<Override>) -> Examined {
    let Some(file) = file else {
        return judge("the environment", "", Path::new("."), overrides);
    };
    match read(file) {
        Ok(text) => {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            examine_text(&file.display().to_string(), &text, folder, overrides)
        }
        Err(fault) => {
            let message = format!("the configuration can't be read: {fault}");
            Examined::unread(Problem::error(Place::file(file.display().to_string()), message).into())
        }
    }
}

/// Reads a configuration from a text; `name` is what problems call it.
///
/// # Errors
/// Every fault of the text, each with its place.
pub fn parse(
    name: &str,
    text: &str,
    folder: &Path,
    overrides: Vec<Override>,
) -> Result<(Settings, Problems), Problems> {
    examine_text(name, text, folder, overrides).taken()
}

/// As [`parse`], with what a faulty text still tells.
pub fn examine_text(name: &str, text: &str, folder: &Path, overrides: Vec<Override>) -> Examined {
    judge(name, text, folder, overrides)
}

fn judge(name: &str, text: &str, folder: &Path, overrides: Vec<Override>) -> Examined {
    let document = Document::new(name, text).strict().with_overrides(overrides);
    let (raw, mut problems) = document.parse_mended::<raw::Configuration>();
    let Some(raw) = raw else {
        return Examined::unread(problems);
    };
    let mut resolve = resolve::Resolve {
        folder,
        document: &document,
        findings: Vec::new(),
        directory: None,
        organizations: Vec::new(),
        digest_realm: None,
    };
    let settings = resolve.settings(&raw);
    let resolve::Resolve { findings, directory, organizations, digest_realm, .. } = resolve;
    problems.append(document.locate_all(findings));
    let problems = problems.sorted();
    let organizations = organizations
        .into_iter()
        .map(|(path, id)| NamedOrganization { id, place: document.place_of(&path, false) })
        .collect();
    let digest_realm = digest_realm.map(|(path, realm)| (realm, document.place_of(&path, false)));
    let named = Named { organizations, digest_realm };
    let directory = directory.filter(|_| !document.lost(&[Step::from("directory")]));
    Examined { settings: settings.filter(|_| !problems.has_errors()), problems, directory, named }
}

impl Examined {
    fn unread(problems: Problems) -> Self {
        Self { settings: None, problems, directory: None, named: Named::default() }
    }

    fn taken(self) -> Result<(Settings, Problems), Problems> {
        self.problems.unless_refused(self.settings)
    }
}

/// The JSON Schema of the configuration.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::Configuration).to_value()
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::{Error, Read};
    let mut text = Vec::new();
    std::fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(Error::other("it is larger than 16 MiB"));
    }
    String::from_utf8(text)
        .map_err(|fault| Error::other(format!("it is not UTF-8 at byte {}", fault.utf8_error().valid_up_to())))
}

#[cfg(test)]
pub(crate) mod tests;
