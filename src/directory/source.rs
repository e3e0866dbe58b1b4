//! Reads the files of a directory: a YAML file, a `.gz` of it, a folder of them, and the list files that they name.
//!
//! Never reads more than its bound, inflated bytes included, and never leaves the directory's folder for a list file.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::read::MultiGzDecoder;

use super::text::{Lines, Text};
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::document::Document;

/// The link that Kubernetes swaps when a mounted ConfigMap changes.
const KUBERNETES_LINK: &str = "..data";

/// A file of a directory, read.
pub(super) struct SourceFile {
    pub document: Text,
    /// Where its list files are.
    folder: PathBuf,
}

/// Reads files and remembers which it looked for.
pub(super) struct Reader {
    left: u64,
    /// Whether a text comes from elsewhere, so that no file of this machine is its own.
    alone: bool,
    files: Vec<PathBuf>,
    digest: Context,
}

impl SourceFile {
    /// A text that was read already; it has no list files.
    pub(super) fn of_lines(lines: Lines) -> Self {
        Self { document: Text::Lines(lines), folder: PathBuf::new() }
    }

    pub(super) fn of_text(name: &str, text: &str, folder: &Path) -> Self {
        Self { document: Text::Yaml(Document::new(name, text)), folder: folder.to_owned() }
    }
}

impl Reader {
    pub(super) fn new(largest: u64) -> Self {
        Self { left: largest, alone: false, files: Vec::new(), digest: Context::new(&SHA256) }
    }

    /// One that reads no file.
    pub(super) fn of_no_file() -> Self {
        Self { alone: true, ..Self::new(0) }
    }

    /// The files that were wanted, whether they could be read or not, and the digest of what was read.
    pub(super) fn finish(self) -> (Vec<PathBuf>, [u8; 32]) {
        let mut digest = [0; 32];
        // SHA-256 is 32 bytes long, so this never panics.
        digest.copy_from_slice(self.digest.finish().as_ref());
        (self.files, digest)
    }

    /// Reads the file, or all files of the folder in the order of their names.
    /// Files that can't be read are among the problems.
    pub(super) fn files(&mut self, path: &Path) -> (Vec<SourceFile>, Problems) {
        self.folder_or_file(path)
            .unwrap_or_else(|fault| (Vec::new(), Problem::error(Place::file(path.display().to_string()), fault).into()))
    }

    fn folder_or_file(&mut self, path: &Path) -> Result<(Vec<SourceFile>, Problems), String> {
        let (mut files, mut problems) = (Vec::new(), Problems::default());
        let mut keep = |read: Result<SourceFile, Problems>| match read {
            Ok(file) => files.push(file),
            Err(found) => problems.append(found),
        };
        let about = fs::metadata(path).map_err(|fault| format!("the directory can't be read: {fault}"))?;
        if !about.is_dir() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            keep(self.file(path, path, folder));
            return Ok((files, problems));
        }
        // Read behind the link, so that a swap in the middle cannot mix two revisions.
        let real = fs::canonicalize(path.join(KUBERNETES_LINK)).unwrap_or_else(|_| path.to_owned());
        let names = names(&real).map_err(|fault| format!("the folder can't be read: {fault}"))?;
        if names.is_empty() {
            return Err("the folder holds no file that ends in .yaml, .yml or .gz; put the directory there".to_owned());
        }
        for name in names {
            keep(self.file(&path.join(&name), &real.join(&name), &real));
        }
        Ok((files, problems))
    }

    fn file(&mut self, shown: &Path, real: &Path, folder: &Path) -> Result<SourceFile, Problems> {
        let text = self.text(shown, real).map_err(|fault| {
            let message = format!("the file can't be read: {fault}");
            Problem::error(Place::file(shown.display().to_string()), message)
        })?;
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            // A file that is just being written in place looks like this, and must not take everybody's access away.
            let problem = Problem::error(Place::file(shown.display().to_string()), "the file is empty");
            return Err(problem.with_help("where nobody is to have access, write `organizations: []`").into());
        }
        let document = Text::Yaml(Document::new(shown.display().to_string(), text));
        Ok(SourceFile { document, folder: folder.to_owned() })
    }

    /// The text of a list file that `beside` names, and the name to show; or what is wrong with it.
    pub(super) fn list(&mut self, beside: &SourceFile, name: &str) -> Result<(String, String), String> {
        if self.alone {
            return Err("a list file can't be named here; write its networks".into());
        }
        let path = Path::new(name);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if name.is_empty() || !inside {
            return Err(format!(
                "list file `{name}` is not below the directory's folder; name it relative to this file, without `..`"
            ));
        }
        let real = beside.folder.join(path);
        let shown = Path::new(&**beside.document.name()).parent().unwrap_or(Path::new("")).join(path);
        match self.text(&shown, &real) {
            Ok(text) => Ok((shown.display().to_string(), text)),
            Err(fault) => Err(format!("list file `{}` can't be read: {fault}", shown.display())),
        }
    }

    /// The text of one file, inflated where its name ends in `.gz`.
    pub(super) fn text(&mut self, shown: &Path, real: &Path) -> io::Result<String> {
        self.files.push(shown.to_owned());
        let file = fs::File::open(real)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no ordinary file"));
        }
        let mut bytes = Vec::new();
        let packed = real.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        match packed {
            true => MultiGzDecoder::new(io::BufReader::new(file)).take(self.left + 1).read_to_end(&mut bytes)?,
            false => file.take(self.left + 1).read_to_end(&mut bytes)?,
        };
        let length = bytes.len() as u64;
        self.left =
            self.left.checked_sub(length).ok_or_else(|| io::Error::other("the directory is larger than it may be"))?;
        // Names and lengths too, so that moving a line to another file is a change.
        self.digest.update(format!("{} {length}\n", shown.display()).as_bytes());
        self.digest.update(&bytes);
        String::from_utf8(bytes).map_err(|fault| {
            let at = fault.utf8_error().valid_up_to();
            let line = 1 + fault.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
            io::Error::other(format!("it is not UTF-8 in line {line}"))
        })
    }
}

/// Names of the directory files in a folder, sorted. Links are followed; names with a leading dot are left out.
fn names(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        let hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
        let extension =
            name.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
        if !hidden && matches!(extension.as_str(), "yaml" | "yml" | "gz") && !folder.join(&name).is_dir() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
