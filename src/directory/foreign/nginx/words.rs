//! The directives of nginx's files, with what they include.
//!
//! Never runs anything, and never reads more than its bounds: files, depth, directives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::text as text_of;
use crate::config::diagnostic::{Place, Problem, Problems};

/// Blocks within blocks, and files within files.
const DEEPEST: usize = 32;

/// Directives of all files together.
const MOST: usize = 2_000_000;

/// Files that only say how bytes are named; whoever copies a configuration often leaves them behind.
const NOT_NEEDED: &[&str] =
    &["mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params", "proxy_params"];

/// A directive, or an entry of a map.
#[derive(Clone)]
pub(in super::super) struct Directive {
    pub(in super::super) place: Place,
    pub(in super::super) name: String,
    pub(in super::super) words: Vec<String>,
    pub(in super::super) block: Option<Vec<Directive>>,
}

impl Directive {
    /// The first word behind the name.
    pub(in super::super) fn word(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// What is in its block.
    pub(in super::super) fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Reads a file and everything that it includes.
///
/// # Errors
/// The first fault.
pub(in super::super) fn read(path: &Path) -> Result<Vec<Directive>, Problems> {
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut left = MOST;
    file(path, &base, DEEPEST, &mut left)
}

fn file(path: &Path, base: &Path, depth: usize, left: &mut usize) -> Result<Vec<Directive>, Problems> {
    let text = text_of(path)?;
    let directives = parse(&path.display().to_string(), &text, left)?;
    expand(directives, base, depth, left)
}

fn expand(all: Vec<Directive>, base: &Path, depth: usize, left: &mut usize) -> Result<Vec<Directive>, Problems> {
    let mut expanded = Vec::with_capacity(all.len());
    for mut directive in all {
        if let Some(block) = directive.block.take() {
            directive.block = Some(expand(block, base, depth, left)?);
        }
        let is_include = directive.name == "include" && directive.words.len() == 1 && directive.block.is_none();
        if !is_include {
            expanded.push(directive);
            continue;
        }
        if depth == 0 {
            return Err(Problem::error(directive.place, "files include each other too deep").into());
        }
        let files =
            included(directive.word(), base).map_err(|fault| Problems::from(Problem::error(directive.place, fault)))?;
        for path in files {
            expanded.extend(file(&path, base, depth - 1, left)?);
        }
    }
    Ok(expanded)
}

/// The files that an `include` names: as it is written, or beside the first file where that was copied from elsewhere.
fn included(name: &str, base: &Path) -> Result<Vec<PathBuf>, String> {
    let written = base.join(name);
    let beside = base.join(Path::new(name).file_name().unwrap_or_default());
    let pattern = written.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    if !pattern.contains(['*', '?', '[']) {
        return match [written, beside].into_iter().find(|path| path.is_file()) {
            Some(path) => Ok(vec![path]),
            None if NOT_NEEDED.contains(&pattern.as_str()) => Ok(Vec::new()),
            None => {
                Err(format!("`{}` is included, and is not there; copy it beside the first file", name.escape_debug()))
            }
        };
    }
    let folder = written.parent().unwrap_or(base);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Err(format!("the folder of `{}` can't be read; give the files themselves", name.escape_debug()));
    };
    let fits =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| matches(&pattern, name));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(fits).collect();
    if pattern.contains('[') {
        return Err(format!("`{}`: only `*` and `?` are understood", name.escape_debug()));
    }
    files.sort_unstable();
    Ok(files)
}

/// `*` is any text, `?` any character.
fn matches(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match wanted {
                '*' => reached[at] || at > 0 && next[at - 1],
                '?' => at > 0 && reached[at - 1],
                letter => at > 0 && reached[at - 1] && name[at - 1] == letter,
            };
        }
        reached = next;
    }
    reached[name.len()]
}

/// Takes a text apart.
///
/// # Errors
/// The first place where it is not as nginx writes it.
pub(in super::super) fn parse(name: &str, text: &str, left: &mut usize) -> Result<Vec<Directive>, Problems> {
    let file: Arc<str> = name.into();
    let mut reader =
        Reader { letters: text.trim_start_matches('\u{feff}').chars().collect(), at: 0, line: 1, column: 1 };
    let mut open: Vec<Vec<Directive>> = vec![Vec::new()];
    let mut words: Vec<(String, Place)> = Vec::new();
    let place = |line: usize, column: usize| Place { file: Arc::clone(&file), line, column, length: 1, excerpt: None };
    let fault = |place: Place, message: &str| Err(Problem::error(place, message).into());
    loop {
        reader.skip();
        let here = place(reader.line, reader.column);
        match reader.peek() {
            None if words.is_empty() && open.len() == 1 => return Ok(open.pop().unwrap_or_default()),
            None => return fault(here, "the file ends within a directive or a block"),
            Some('}') => {
                reader.next();
                let (Some(block), true) = (open.pop(), words.is_empty() && !open.is_empty()) else {
                    return fault(here, "this `}` closes nothing");
                };
                if let Some(around) = open.last_mut().and_then(|all| all.last_mut()) {
                    around.block = Some(block);
                }
            }
            Some(end @ (';' | '{')) => {
                reader.next();
                let mut all = std::mem::take(&mut words).into_iter();
                let Some((name, at)) = all.next() else { return fault(here, "a directive has a name") };
                *left = match left.checked_sub(1) {
                    Some(left) => left,
                    None => return fault(here, "there are too many directives"),
                };
                let directive = Directive { place: at, name, words: all.map(|(word, _)| word).collect(), block: None };
                if let Some(level) = open.last_mut() {
                    level.push(directive);
                }
                if end == '{' {
                    if open.len() >= DEEPEST {
                        return fault(here, "blocks are nested too deep");
                    }
                    open.push(Vec::new());
                }
            }
            Some(_) => match reader.word() {
                Some(word) => words.push((word, here)),
                None => return fault(here, "this quotation does not end"),
            },
        }
    }
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    line: usize,
    column: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        (self.line, self.column) = if letter == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        Some(letter)
    }

    fn skip(&mut self) {
        while let Some(letter) = self.peek() {
            match letter {
                '#' => {
                    while self.peek().is_some_and(|letter| letter != '\n') {
                        self.next();
                    }
                }
                letter if letter.is_whitespace() => {
                    self.next();
                }
                _ => return,
            }
        }
    }

    /// A word, with or without quotation marks; none where these do not end.
    fn word(&mut self) -> Option<String> {
        let quote = self.peek().filter(|letter| matches!(letter, '"' | '\''));
        if quote.is_some() {
            self.next();
        }
        let mut word = String::new();
        loop {
            match (self.peek(), quote) {
                (None, Some(_)) => return None,
                (None, None) => return Some(word),
                (Some(letter), Some(quote)) if letter == quote => {
                    self.next();
                    return Some(word);
                }
                (Some(letter), None)
                    if letter.is_whitespace() || matches!(letter, ';' | '{') && !word.ends_with('$') =>
                {
                    return Some(word);
                }
                (Some('\\'), _) => {
                    self.next();
                    match self.next() {
                        Some(letter @ ('"' | '\'' | '\\')) => word.push(letter),
                        Some('t') => word.push('\t'),
                        Some('r') => word.push('\r'),
                        Some('n') => word.push('\n'),
                        Some(letter) => word.extend(['\\', letter]),
                        None => word.push('\\'),
                    }
                }
                (Some(letter), _) => {
                    self.next();
                    word.push(letter);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(all: &[Directive]) -> String {
        all.iter()
            .map(|one| {
                let inner = one.block.as_ref().map(|block| format!("{{{}}}", shape(block))).unwrap_or_default();
                format!(
                    "[{}]{inner}",
                    std::iter::once(&one.name).chain(&one.words).cloned().collect::<Vec<_>>().join("|")
                )
            })
            .collect()
    }

    #[test]
    fn words_quotations_comments_and_blocks() {
        let cases = [
            ("a b  'c d' \"e;{\" ; # x;\nf { g; }", Some("[a|b|c d|e;{][f]{[g]}")),
            ("map \"$a@${b}c\" $d { ~^x\\.y\\\\z 1; }", Some("[map|$a@${b}c|$d]{[~^x\\.y\\z|1]}")),
            ("a {", None),
            ("}", None),
            ("a 'b", None),
            ("a", None),
            (";", None),
            ("", Some("")),
        ];
        for (text, expected) in cases {
            let parsed = parse("f", text, &mut 100).ok();
            assert_eq!(parsed.map(|all| shape(&all)).as_deref(), expected, "{text}");
        }
        assert!(parse("f", "a; b; c;", &mut 2).is_err());
        assert_eq!(parse("f", "\n  a;", &mut 9).ok().unwrap()[0].place.column, 3);
    }

    #[test]
    fn names_of_files() {
        for (pattern, name, fits) in
            [("*.conf", "a.conf", true), ("*.conf", "a.conf2", false), ("a?c*", "abcd", true), ("*", "", true)]
        {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[a$\\{}; \n#'\"\\\\]{0,80}") {
            let _ = parse("f", &text, &mut 100);
        }
    }
}
