//! The lines of HAProxy's files, by section, and the files of patterns that they name.
//!
//! Never reads a file twice, and never takes a missing one for an empty one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::text as text_of;
use crate::config::diagnostic::{Place, Problem, Problems};

/// Keywords that begin a section.
const SECTIONS: &[&str] = &[
    "backend",
    "cache",
    "crt-list",
    "crt-store",
    "defaults",
    "dynamic-update",
    "fcgi-app",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "log-forward",
    "log-profile",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

/// A line in words.
pub(in super::super) struct Line {
    pub(in super::super) place: Place,
    pub(in super::super) words: Vec<String>,
}

/// A section with its lines.
pub(in super::super) struct Section {
    pub(in super::super) kind: String,
    pub(in super::super) name: String,
    pub(in super::super) place: Place,
    pub(in super::super) lines: Vec<Line>,
}

/// Reads a file.
///
/// # Errors
/// The first line that is not as HAProxy writes it.
pub(in super::super) fn read(path: &Path) -> Result<Vec<Section>, Problems> {
    parse(&path.display().to_string(), &text_of(path)?)
}

/// Takes a text apart.
///
/// # Errors
/// As [`read`].
pub(in super::super) fn parse(name: &str, text: &str) -> Result<Vec<Section>, Problems> {
    let file: Arc<str> = name.into();
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let column = 1 + line.chars().take_while(|letter| letter.is_whitespace()).count();
        let place = Place { file: Arc::clone(&file), line: index + 1, column, length: 1, excerpt: None };
        let words =
            words(line).ok_or_else(|| Problems::from(Problem::error(place.clone(), "this quotation does not end")))?;
        let Some(first) = words.first() else { continue };
        if SECTIONS.contains(&first.as_str()) {
            let name = words.get(1).cloned().unwrap_or_default();
            sections.push(Section { kind: first.clone(), name, place, lines: Vec::new() });
            continue;
        }
        match sections.last_mut() {
            Some(section) => section.lines.push(Line { place, words }),
            None => {
                return Err(Problem::error(
                    place,
                    "a section of HAProxy begins with `global`, `defaults`, `frontend`, `backend` or `listen`",
                )
                .into());
            }
        }
    }
    Ok(sections)
}

/// The words of a line up to a comment; none where a quotation does not end.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut all, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = (Vec::new(), None, None);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().push(letters.next().unwrap_or('\\')),
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, Some(mark)) if letter == mark => quote = None,
            ('#', None) => break,
            (letter, None) if letter.is_whitespace() => all.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    all.extend(word.take());
    quote.is_none().then_some(all)
}

/// The lines of a file of patterns: as it is named, or beside the first file where that was copied from elsewhere.
///
/// # Errors
/// The file can't be read.
pub(in super::super) fn patterns(name: &str, base: &Path) -> Result<Vec<(Place, String)>, Problems> {
    let beside = base.join(Path::new(name).file_name().unwrap_or_default());
    let found: PathBuf =
        [base.join(name), beside].into_iter().find(|path| path.is_file()).unwrap_or_else(|| base.join(name));
    let file: Arc<str> = found.display().to_string().into();
    let text = text_of(&found)?;
    let line = |(index, line): (usize, &str)| {
        let line = line.trim();
        let place = Place { file: Arc::clone(&file), line: index + 1, column: 1, length: 1, excerpt: None };
        (!line.is_empty() && !line.starts_with('#')).then(|| (place, line.to_owned()))
    };
    Ok(text.lines().enumerate().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_quotations_and_comments() {
        let cases = [
            ("  acl x src 10.0.0.0/8 # office", Some("acl|x|src|10.0.0.0/8")),
            (
                r#"http-request set-var-fmt(txn.c) "%[src] @" 'a#b'"#,
                Some("http-request|set-var-fmt(txn.c)|%[src] @|a#b"),
            ),
            (r"a\ b \#c", Some("a b|#c")),
            (r#"a "b"#, None),
            (r#"a """#, Some("a|")),
            ("#", Some("")),
        ];
        for (line, expected) in cases {
            assert_eq!(words(line).map(|all| all.join("|")).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn sections_have_names_and_places() {
        let sections = parse("f", "global\n\tdaemon\nfrontend api\n  bind :80\n").ok().unwrap();
        let shown: Vec<_> = sections
            .iter()
            .map(|one| (one.kind.as_str(), one.name.as_str(), one.place.line, one.lines.len()))
            .collect();
        assert_eq!(shown, [("global", "", 1, 1), ("frontend", "api", 3, 1)]);
        assert_eq!(sections[1].lines[0].place.column, 3);
        assert!(parse("f", "bind :80\n").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[a {}\\\\\n#'\"]{0,80}") {
            let _ = parse("f", &text);
        }
    }
}
