//! What the file system says about files without their being read: equal where there is no need to read them again.
//!
//! Never trusted alone right after a change: two writes within one tick of the file system's clock look the same.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::clock::Timestamp;

/// The state of some files and folders, links followed; `None` where there is nothing to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamp(BTreeMap<PathBuf, Option<Facts>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Looks at these paths.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let facts = |path: &PathBuf| {
            let about = std::fs::metadata(path).ok()?;
            Some(Facts {
                device: about.dev(),
                inode: about.ino(),
                size: about.size(),
                modified: (about.mtime(), about.mtime_nsec()),
                changed: (about.ctime(), about.ctime_nsec()),
            })
        };
        Self(paths.into_iter().map(|path| (facts(&path), path)).map(|(facts, path)| (path, facts)).collect())
    }

    /// Whether the last change is long enough ago for a further one to show.
    pub(super) fn is_settled(&self, now: Timestamp) -> bool {
        self.0.values().flatten().all(|facts| facts.changed.0 + 1 < now.unix_seconds())
    }

    /// Whether no path that both know has changed.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self.0.iter().all(|(path, facts)| other.0.get(path).is_none_or(|known| known == facts))
    }
}
