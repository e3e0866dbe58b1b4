//! Files that hold a secret key. Never repeats a byte of one.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::Resolve;
use crate::config::document::{Finding, Path};

/// Fewest bytes of a key: as many as the hash has.
const SHORTEST: usize = 32;

/// Most bytes of a key; more is another file.
const LONGEST: u64 = 4096;

/// What a key is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    /// What it is called.
    pub(super) name: &'static str,
    /// What whoever has it can do.
    pub(super) power: &'static str,
}

/// A key as it was read.
pub(super) struct KeyFile {
    pub(super) file: PathBuf,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Of these bytes.
    pub(super) sha256: [u8; 32],
}

impl Resolve<'_> {
    /// The key in a file.
    pub(super) fn key_file(&mut self, at: Path, text: &str, purpose: Purpose) -> Option<KeyFile> {
        let file = self.readable_file(at.clone(), text)?;
        let (bytes, mode) = match read(&file) {
            Ok(read) => read,
            Err(fault) => {
                self.error(at, format!("file `{}` can't be read: {fault}", file.display()));
                return None;
            }
        };
        let (name, Purpose { name: what, power }) = (file.display(), purpose);
        if bytes.len() < SHORTEST || bytes.len() as u64 > LONGEST {
            let message = format!(
                "file `{name}` is no {what}: it has {} bytes, and a key has {SHORTEST} to {LONGEST} random ones; \
                 `head -c 32 /dev/urandom` makes them",
                bytes.len()
            );
            self.error(at, message);
            return None;
        }
        if mode & 0o004 != 0 {
            let message =
                format!("everybody on this machine can read `{name}`, and whoever has it can {power}; `chmod 600` it");
            self.findings.push(Finding::warning(at, message));
        }
        let mut sha256 = [0; 32];
        // SHA-256 is 32 bytes long, so this never panics.
        sha256.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        Some(KeyFile { file, bytes, sha256 })
    }
}

/// The bytes of a file, one more than a key may have at most, and its mode.
fn read(file: &PathBuf) -> std::io::Result<(Zeroizing<Vec<u8>>, u32)> {
    let file = File::open(file)?;
    let mode = file.metadata()?.mode();
    // Never grows, which would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 64));
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}
