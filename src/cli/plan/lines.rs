//! The lines of a log: a file or standard input, packed by gzip or not, whatever it is called.
//!
//! Holds one line and no more of one than [`LONGEST`]: what is longer is not read, and said to be so.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, bail};
use flate2::bufread::MultiGzDecoder;

use crate::cli::import::Progress;

/// Longest line that is read, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// What other programs pack logs with, by what such a file begins with, and what unpacks it.
const UNKNOWN: [(&[u8], &str); 2] = [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz")];

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    /// Without the blanks at both ends.
    Text(&'l [u8]),
    /// It is longer than [`LONGEST`].
    TooLong,
}

/// The lines of one log.
pub(super) struct Lines {
    from: Box<dyn BufRead>,
    held: Vec<u8>,
}

impl Lines {
    /// Opens a log; `-` is standard input.
    ///
    /// # Errors
    /// It can't be opened, or is packed by something that is not read.
    pub(super) fn open(path: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let (from, length): (Box<dyn Read>, _) = match path.as_os_str() == "-" {
            true => (Box::new(io::stdin().lock()), None),
            false => {
                let file = File::open(path).with_context(|| format!("log `{}` can't be opened", path.display()))?;
                let about = file.metadata().ok().filter(std::fs::Metadata::is_file);
                (Box::new(file), about.map(|about| about.len()))
            }
        };
        progress.bytes(&format!("reading {}", path.display()), length);
        let watched = Watched { from, read: 0, of: length.unwrap_or(u64::MAX), progress: progress.clone() };
        Self::of(watched).with_context(|| format!("log `{}` can't be read", path.display()))
    }

    /// Of whatever is read from; what it begins with says whether it is packed.
    fn of(mut from: impl Read + 'static) -> anyhow::Result<Self> {
        let mut head = Vec::new();
        (&mut from).take(6).read_to_end(&mut head)?;
        if let Some((_, program)) = UNKNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
            bail!("it is packed by {program}; unpack it: {program} -dc FILE | portcullis plan --log - …");
        }
        let is_packed = head.starts_with(b"\x1f\x8b");
        let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(from));
        let from: Box<dyn BufRead> = match is_packed {
            true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole))),
            false => Box::new(whole),
        };
        Ok(Self { from, held: Vec::new() })
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// What reading or unpacking says.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.held.clear();
        let (mut any, mut is_long) = (false, false);
        loop {
            let read = match self.from.fill_buf() {
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read.is_empty() {
                break;
            }
            any = true;
            let end = memchr::memchr(b'\n', read);
            let part = &read[..end.unwrap_or(read.len())];
            is_long |= self.held.len() + part.len() > LONGEST;
            if !is_long {
                self.held.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        Ok(any.then(|| if is_long { Line::TooLong } else { Line::Text(self.held.trim_ascii()) }))
    }
}

/// Shows how much of it was read.
struct Watched<R> {
    from: R,
    read: u64,
    of: u64,
    progress: Progress,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        self.read += read as u64;
        self.progress.at(self.read, self.of);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
