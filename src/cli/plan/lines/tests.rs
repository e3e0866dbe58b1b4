//! Lines of every length, packed and not.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// Gives what it has in small parts, as a pipe may.
struct Slowly(io::Cursor<Vec<u8>>);

impl Read for Slowly {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = to.len().min(3);
        self.0.read(&mut to[..most])
    }
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(text).unwrap();
    to.finish().unwrap()
}

/// Texts of the lines; `None` for those that are too long.
fn read(bytes: impl Into<Vec<u8>>) -> io::Result<Vec<Option<String>>> {
    let mut lines = Lines::of(Slowly(io::Cursor::new(bytes.into()))).map_err(io::Error::other)?;
    let mut all = Vec::new();
    while let Some(line) = lines.next()? {
        all.push(match line {
            Line::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
            Line::TooLong => None,
        });
    }
    Ok(all)
}

#[track_caller]
fn check(bytes: impl Into<Vec<u8>>, expected: &[Option<&str>]) {
    let expected: Vec<_> = expected.iter().map(|line| line.map(str::to_owned)).collect();
    assert_eq!(read(bytes).unwrap(), expected);
}

#[test]
fn lines_are_told_apart() {
    check("", &[]);
    check("a", &[Some("a")]);
    check("a\nb\r\n\n  c ", &[Some("a"), Some("b"), Some(""), Some("c")]);
}

#[test]
fn what_is_packed_is_told_by_its_content() {
    check(packed(b"a\nb\n"), &[Some("a"), Some("b")]);
    // As `cat` of two packed files leaves it.
    check([packed(b"a\nb"), packed(b"c\nd\n")].concat(), &[Some("a"), Some("bc"), Some("d")]);
    let whole = packed(&b"a line of some length\n".repeat(100));
    assert!(read(&whole[..whole.len() / 2]).is_err(), "half a file is not taken for all of it");
    for (magic, program) in UNKNOWN {
        let fault = Lines::of(io::Cursor::new(magic.to_vec())).err().unwrap().to_string();
        assert!(fault.contains(&format!("{program} -dc")), "{fault}");
    }
}

#[test]
fn a_line_that_is_too_long_is_passed_over_and_never_held() {
    let (fits, over) = ("x".repeat(LONGEST), "y".repeat(LONGEST + 1));
    check(format!("a\n{fits}\n{over}\nb\n{over}"), &[Some("a"), Some(&fits), None, Some("b"), None]);
    let mut lines = Lines::of(io::repeat(b'z').take(50_000_000)).unwrap();
    assert_eq!(lines.next().unwrap(), Some(Line::TooLong));
    assert!(lines.held.capacity() <= 2 * (LONGEST + BUFFER), "{}", lines.held.capacity());
}
