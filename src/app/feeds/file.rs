//! A list file within the folder that the configuration allows, and nothing outside of it by whatever links.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Why a file is not read. Tells nothing of what is outside the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileFault {
    #[error("the file is not in the folder of `feeds.allow_files`, or can't be read")]
    NotThere,
    #[error("the file leads out of the folder of `feeds.allow_files`, and is not read")]
    Outside,
    #[error("the file has more than {} MiB; is it a list?", .0 >> 20)]
    TooLarge(usize),
}

/// All bytes of a file. `name` is relative to the folder.
pub(super) fn read(folder: &Path, name: &str, most: usize) -> Result<Vec<u8>, FileFault> {
    let folder = folder.canonicalize().map_err(|_| FileFault::NotThere)?;
    // Links within the folder are followed: a ConfigMap is made of them.
    let resolved = |name: &str| match folder.join(name).canonicalize() {
        Ok(path) if path.starts_with(&folder) => Ok(path),
        Ok(_) => Err(FileFault::Outside),
        Err(_) => Err(FileFault::NotThere),
    };
    let path = resolved(name)?;
    // Opening a pipe would wait for somebody to write.
    if !fs::metadata(&path).is_ok_and(|about| about.is_file()) {
        return Err(FileFault::NotThere);
    }
    let file = File::open(&path).map_err(|_| FileFault::NotThere)?;
    // What was opened is what is there still, by no link that was put in its way meanwhile.
    let opened = file.metadata().map_err(|_| FileFault::NotThere)?;
    let there = fs::metadata(resolved(name)?).map_err(|_| FileFault::NotThere)?;
    if (opened.dev(), opened.ino()) != (there.dev(), there.ino()) || !opened.is_file() {
        return Err(FileFault::Outside);
    }
    let mut bytes = Vec::new();
    let length = file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|_| FileFault::NotThere)?;
    if length > most { Err(FileFault::TooLarge(most)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn s2_only_what_lies_in_the_folder_is_read() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("lists");
        fs::create_dir_all(folder.join("..data")).unwrap();
        fs::write(around.path().join("secret"), "outside").unwrap();
        fs::write(folder.join("plain.txt"), "192.0.2.0/24").unwrap();
        fs::write(folder.join("..data/mounted.txt"), "198.51.100.0/24").unwrap();
        symlink("..data/mounted.txt", folder.join("mounted.txt")).unwrap();
        symlink("../secret", folder.join("out.txt")).unwrap();
        symlink("/etc", folder.join("etc")).unwrap();
        symlink("..", folder.join("up")).unwrap();
        let read = |name: &str| read(&folder, name, 16);
        assert_eq!(read("plain.txt").unwrap(), b"192.0.2.0/24");
        assert_eq!(read("mounted.txt").unwrap(), b"198.51.100.0/24");
        for name in ["out.txt", "etc/passwd", "../secret", "up/secret", "/etc/passwd", ".."] {
            assert_eq!(read(name), Err(FileFault::Outside), "{name}");
        }
        for name in ["nothing", "..data", "etc2/passwd"] {
            assert_eq!(read(name), Err(FileFault::NotThere), "{name}");
        }
        fs::write(folder.join("plain.txt"), [b'#'; 17]).unwrap();
        assert_eq!(read("plain.txt"), Err(FileFault::TooLarge(16)));
    }
}
