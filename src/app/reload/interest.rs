//! Where in the file system a change may matter.
//!
//! Folders and not files are watched; what happens there to other files is none of our business.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where a change matters.
#[derive(Debug, Default)]
pub(in crate::app) struct Interest {
    /// Folders to watch.
    pub(in crate::app) folders: HashSet<PathBuf>,
    /// Names of files in any of them.
    names: HashSet<OsString>,
    /// Folders in which every file counts.
    whole: HashSet<PathBuf>,
    /// What changes all the time and says nothing.
    noise: Option<OsString>,
}

impl Interest {
    /// Whether an event at this path may matter: an access log beside the configuration changes all the time and does not.
    pub(in crate::app) fn concerns(&self, path: &Path) -> bool {
        if self.noise.is_some() && path.file_name() == self.noise.as_deref() {
            return false;
        }
        self.folders.contains(path)
            || path.parent().is_some_and(|folder| self.whole.contains(folder))
            // Kubernetes swaps a link of this name.
            || path.file_name().is_none_or(|name| name == "..data" || self.names.contains(name))
    }

    /// A file, or a folder in which every file counts.
    pub(super) fn path(&mut self, path: &Path) {
        self.file(path);
        // A link may lead to another folder, where the file itself changes.
        if let Ok(real) = path.canonicalize() {
            self.file(&real);
        }
        if path.is_dir() {
            self.folders.insert(path.to_owned());
            self.whole.insert(path.to_owned());
        }
    }

    /// A file that changes all the time and says nothing.
    pub(super) fn noise(&mut self, path: &Path) {
        self.noise = path.file_name().map(OsString::from);
    }

    /// Every file of the folders counts: what is missing may be one whose name is not known yet.
    pub(super) fn everything(&mut self) {
        self.whole.clone_from(&self.folders);
    }

    fn file(&mut self, path: &Path) {
        let folder = folder_of(path);
        self.names.extend(path.file_name().map(OsString::from));
        // A folder that is not there can't be watched; the one that it will be made in can.
        if !folder.exists() {
            self.file(&folder);
        }
        self.folders.insert(folder);
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
