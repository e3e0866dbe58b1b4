//! Where in the file system a change may matter.
//!
//! Folders and not files are watched; what happens there to other files is none of our business.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows on one path.
const MOST_LINKS: u32 = 40;

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
        // Events name absolute paths.
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.file(path);
        // A link may lead to another folder, where the file itself changes.
        let real = &self.follow(path, &mut MOST_LINKS.clone());
        self.file(real);
        if path.is_dir() {
            for folder in [path, real] {
                self.folders.insert(folder.clone());
                self.whole.insert(folder.clone());
            }
        }
    }

    /// Where a path leads to. Each link on the way may be swapped for another one, that of a folder above included.
    fn follow(&mut self, path: &Path, links: &mut u32) -> PathBuf {
        let mut real = PathBuf::new();
        for part in path.components() {
            match part {
                Component::ParentDir => {
                    real.pop();
                }
                part => real.push(part),
            }
            let Ok(target) = std::fs::read_link(&real) else { continue };
            self.file(&real);
            // In circles it leads nowhere.
            let Some(fewer) = links.checked_sub(1) else { continue };
            *links = fewer;
            let target = folder_of(&real).join(target);
            real = self.follow(&target, links);
        }
        real
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
