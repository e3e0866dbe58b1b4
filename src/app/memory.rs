//! In pages of what size the system gives memory: small ones, and huge ones where the directory is large.
//!
//! The allocator asks for huge pages (2 MiB on x86-64), of which a gateway with a small directory fills one in ten; with a large
//! one they spare most misses of the translation cache. Nothing else depends on it, so that whatever fails is only logged.

use std::path::Path;

use crate::config::settings::DirectorySource;

/// Bytes on the disk from which on a directory is large: the credentials of 8 MiB take about as much when they are compiled.
const LARGE: u64 = 8 << 20;
/// What `.gz` makes of text like this, at least.
const INFLATED: u64 = 4;

/// Small pages until a large directory comes. Called before anything is read: pages that are there already stay as they are.
pub fn begin() {
    huge_pages(false);
}

/// Huge pages from here on where this directory is large. They stay on when it shrinks.
pub(super) fn prepare(source: &DirectorySource) {
    let size = match source {
        DirectorySource::Demonstration => 0,
        DirectorySource::File(path) => size(path),
        // The newest changes may be in the `-wal` file, which is emptied before it gets large.
        DirectorySource::Sqlite(path) => size(path),
    };
    if size >= LARGE {
        huge_pages(true);
    }
}

/// What a file, or the files of a folder, hold; nothing where they can't be looked at, which whoever reads them tells.
fn size(path: &Path) -> u64 {
    let Ok(about) = std::fs::metadata(path) else { return 0 };
    if !about.is_dir() {
        let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
        return if is_compressed { about.len().saturating_mul(INFLATED) } else { about.len() };
    }
    let Ok(files) = std::fs::read_dir(path) else { return 0 };
    let files = files.flatten().map(|file| file.path());
    files.filter(|file| file.is_file()).map(|file| size(&file)).fold(0, u64::saturating_add)
}

/// For this process and all its threads: `PR_SET_THP_DISABLE` of prctl(2).
fn huge_pages(on: bool) {
    if let Err(fault) = rustix::thread::disable_transparent_huge_pages(!on) {
        tracing::debug!(on, error = %fault, "the system's huge pages are used as it likes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_folder_are_added_up_and_compressed_ones_count_as_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| std::fs::write(folder.path().join(name), vec![b' '; bytes]).unwrap();
        write("one.yaml", 100);
        write("two.yaml", 50);
        assert_eq!(size(folder.path()), 150);
        assert_eq!(size(&folder.path().join("two.yaml")), 50);
        write("three.yaml.gz", 10);
        assert_eq!(size(folder.path()), 190);
        assert_eq!(size(&folder.path().join("missing.yaml")), 0);
    }
}
