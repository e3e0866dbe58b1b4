//! Where organizations, credentials and access lists come from, and how they become a snapshot.
//!
//! `raw` mirrors a file, `source` reads files, `resolve` judges all of them at once, `model` is what is left;
//! `compare` tells two of them apart by the addresses that they admit.
//! Never takes a part of a directory: one fault refuses the whole of it.

pub mod bulk;
pub mod compare;
mod demonstration;
pub mod difference;
pub mod export;
pub mod foreign;
pub mod model;
pub mod provider_list;
mod ranges;
mod raw;
mod resolve;
mod source;
pub mod sqlite;
pub mod stored;
mod text;
mod written;

use std::path::{Path, PathBuf};

pub use demonstration::{DEMONSTRATION_KEYS, demonstration};
pub use model::Directory;
pub use written::{UnwritableRole, document};

use crate::access::id::Id;
use crate::config::diagnostic::{Place, Problem, Problems, Severity};

/// How much is read at most.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Bytes of all files together, inflated.
    pub largest: u64,
}

impl Default for LoadOptions {
    /// One gibibyte.
    fn default() -> Self {
        Self { largest: 1 << 30 }
    }
}

/// A directory that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What the files say.
    pub directory: Directory,
    /// What somebody should look at.
    pub warnings: Problems,
    /// SHA-256 of the names and the bytes of all files: equal where nothing changed.
    pub digest: [u8; 32],
}

/// Reads a directory: a YAML file, a `.gz` of it, or a folder of them merged into one.
///
/// # Errors
/// Every fault of every file, each with its place. Nothing of a faulty directory is returned.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Problems> {
    judged(path, options, |_| Problems::default()).loaded
}

/// A directory that was judged, good or not.
#[derive(Debug)]
pub struct Examined {
    /// What it says, or everything that refuses it.
    pub loaded: Result<Loaded, Problems>,
    /// Its organizations, where all of them could be told even if something else refuses it.
    pub organizations: Option<Vec<Id>>,
    /// Every file that was looked for, list files included, whether it could be read or not.
    pub files: Vec<PathBuf>,
}

/// As [`load`], with what a faulty directory still tells, and with warnings of what would stand still where it is served.
pub fn examine(path: &Path, options: &LoadOptions) -> Examined {
    judged(path, options, |(judged, files)| {
        let sets =
            judged.directory.organizations.iter().flat_map(|of| of.network_sets.iter().map(move |set| (of, set)));
        let fed = sets.filter(|(_, set)| set.source.is_some());
        let warning = fed.map(|(of, set)| {
            let place = judged.places.of_set(of.id, &set.name, files);
            let message = format!(
                "network set `{}` has a `source`, which a store asks and a file that is served does not: it holds what is \
                 written here; take its networks `from` a file that something else keeps current, or serve a store",
                set.name
            );
            let place = place.unwrap_or_else(|| Place::file(path.display().to_string()));
            Problem { severity: Severity::Warning, ..Problem::error(place, message) }
        });
        warning.collect()
    })
}

fn judged(
    path: &Path,
    options: &LoadOptions,
    more: impl FnOnce((&resolve::Judged, &[source::SourceFile])) -> Problems,
) -> Examined {
    let mut reader = source::Reader::new(options.largest);
    let (sources, problems) = reader.files(path);
    let mut judged = resolve::resolve(&sources, &mut reader, problems);
    let more = more((&judged, &sources));
    judged.problems.append(more);
    let (files, digest) = reader.finish();
    let organizations = judged.complete.then(|| judged.directory.organizations.iter().map(|one| one.id).collect());
    let loaded = judged.problems.unless_refused(Some(judged.directory));
    let loaded = loaded.map(|(directory, warnings)| Loaded { directory, warnings, digest });
    Examined { loaded, organizations, files }
}

/// Reads a directory from one text; list files are looked for in `folder`. `name` is what problems call the text.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str, folder: &Path) -> Result<(Directory, Problems), Problems> {
    let mut reader = source::Reader::new(LoadOptions::default().largest);
    let file = source::SourceFile::of_text(name, text, folder);
    let judged = resolve::resolve(&[file], &mut reader, Problems::default());
    judged.problems.unless_refused(Some(judged.directory))
}

/// Reads a directory from a text that came from elsewhere: list files are refused.
///
/// # Errors
/// As [`load`].
pub fn parse_alone(name: &str, text: &str) -> Result<(Directory, Problems), Problems> {
    let file = source::SourceFile::of_text(name, text, Path::new(""));
    let judged = resolve::resolve(&[file], &mut source::Reader::of_no_file(), Problems::default());
    judged.problems.unless_refused(Some(judged.directory))
}

/// The JSON Schema of a directory file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::File).to_value()
}

#[cfg(test)]
mod tests;
