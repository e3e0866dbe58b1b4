//! YAML and JSON of other programs as a tree that knows the place of everything in it: several documents in one text, anchors
//! and aliases included, which files of our own never have.
//!
//! Never decides what a value means, and never grows beyond its bound, however often an alias repeats.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::config::diagnostic::{Place, Problem, Problems};

/// Deeper than any file of these programs.
const DEEPEST: usize = 64;

/// Most values of one text, what aliases repeat included.
const MOST_VALUES: usize = 8_000_000;

/// A value and its place. Has no `Debug`: it may hold keys in clear.
#[derive(Clone)]
pub(super) struct Tree {
    pub(super) place: Place,
    value: Value,
    /// How many values it is made of.
    size: usize,
}

#[derive(Clone)]
enum Value {
    Scalar { text: Box<str>, plain: bool },
    Sequence(Vec<Tree>),
    Mapping(Vec<(Box<str>, Place, Tree)>),
}

impl Tree {
    /// What a mapping has under a key; nothing where it is null.
    pub(super) fn get(&self, key: &str) -> Option<&Tree> {
        self.entries().find(|(name, _, _)| *name == key).map(|(_, _, value)| value).filter(|value| !value.is_null())
    }

    /// What a path of keys leads to.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Tree> {
        path.iter().try_fold(self, |tree, key| tree.get(key))
    }

    /// Keys with their places and values; none where this is no mapping.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Place, &Tree)> {
        let all: &[_] = if let Value::Mapping(all) = &self.value { all } else { &[] };
        all.iter().map(|(key, place, value)| (&**key, place, value))
    }

    /// The elements of a sequence; none where this is no sequence.
    pub(super) fn items(&self) -> &[Tree] {
        if let Value::Sequence(all) = &self.value { all } else { &[] }
    }

    /// The elements that a mapping has under a key.
    pub(super) fn items_of(&self, key: &str) -> &[Tree] {
        self.get(key).map_or(&[], Tree::items)
    }

    /// A scalar's text.
    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Scalar { text, .. } = &self.value { Some(text) } else { None }
    }

    /// The text of what a mapping has under a key.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The texts of a sequence under a key, or the one text that stands there by itself.
    pub(super) fn texts_of(&self, key: &str) -> Vec<&str> {
        let Some(value) = self.get(key) else { return Vec::new() };
        value.text().into_iter().chain(value.items().iter().filter_map(Tree::text)).collect()
    }

    /// Whether this is the plain word `true` or `false`; nothing where it is neither.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        match self.text_of(key)? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// A collection that has begun and not ended.
struct Open {
    place: Place,
    elements: Vec<Tree>,
    is_mapping: bool,
    anchor: usize,
}

/// Reads every document of a text. An empty text has none.
///
/// # Errors
/// The first thing that can't be read, or everything that is said twice.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Tree>, Problems> {
    let name: Arc<str> = name.into();
    let mut scan = Scan {
        name,
        open: Vec::new(),
        anchors: HashMap::new(),
        left: MOST_VALUES,
        roots: Vec::new(),
        problems: Problems::default(),
    };
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let taken = match event {
            Ok((event, span)) => scan.take(event, span),
            Err(fault) => {
                // The parser's own words may repeat what stands there, which may be a key.
                let at = fault.marker();
                Err(Problem::error(scan.place(at.line(), at.col()), "this is not YAML"))
            }
        };
        if let Err(problem) = taken {
            return Err(problem.into());
        }
    }
    if scan.problems.is_empty() { Ok(scan.roots) } else { Err(scan.problems) }
}

struct Scan {
    name: Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Tree>,
    left: usize,
    roots: Vec<Tree>,
    problems: Problems,
}

impl Scan {
    fn place(&self, line: usize, column: usize) -> Place {
        Place { file: Arc::clone(&self.name), line, column: column + 1, length: 1, excerpt: None }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = self.place(span.start.line(), span.start.col());
        let (tree, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return Err(Problem::error(place, "tags (`!name`) are not taken; leave the tag out"));
                }
                let plain = matches!(style, ScalarStyle::Plain);
                (Tree { place, value: Value::Scalar { text: text.into(), plain }, size: 1 }, anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(tree) => (Tree { place, ..tree.clone() }, 0),
                None => return Err(Problem::error(place, "this alias is within what it repeats")),
            },
            Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return Err(Problem::error(place, "tags (`!name`) are not taken; leave the tag out"));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.open.len() >= DEEPEST => {
                return Err(Problem::error(place, format!("nested more than {DEEPEST} levels deep")));
            }
            Event::SequenceStart(anchor, None) => {
                self.open.push(Open { place, elements: Vec::new(), is_mapping: false, anchor });
                return Ok(());
            }
            Event::MappingStart(anchor, None) => {
                self.open.push(Open { place, elements: Vec::new(), is_mapping: true, anchor });
                return Ok(());
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let anchor = open.anchor;
                    (self.closed(open), anchor)
                }
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.left = match self.left.checked_sub(tree.size) {
            Some(left) => left,
            None => return Err(Problem::error(tree.place, format!("there are more than {MOST_VALUES} values"))),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        match self.open.last_mut() {
            Some(around) => around.elements.push(tree),
            None if tree.is_null() => {}
            None => self.roots.push(tree),
        }
        Ok(())
    }

    fn closed(&mut self, open: Open) -> Tree {
        let size = 1 + open.elements.iter().map(|one| one.size).sum::<usize>();
        if !open.is_mapping {
            return Tree { place: open.place, value: Value::Sequence(open.elements), size };
        }
        let mut pairs: Vec<(Box<str>, Place, Tree)> = Vec::with_capacity(open.elements.len() / 2);
        let mut seen: HashSet<Box<str>> = HashSet::new();
        let mut elements = open.elements.into_iter();
        while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
            let Value::Scalar { text, plain } = key.value else {
                self.problems.push(Problem::error(key.place, "a key has to be a word"));
                continue;
            };
            if plain && *text == *"<<" {
                self.problems.push(Problem::error(key.place, "merge keys (`<<`) are not taken; write the values out"));
                continue;
            }
            if !seen.insert(text.clone()) {
                self.problems.push(Problem::error(key.place.clone(), "this key is there twice; keep one"));
            }
            pairs.push((text, key.place, value));
        }
        Tree { place: open.place, value: Value::Mapping(pairs), size }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_documents_anchors_and_nulls() {
        let all = read("f", "a: &x {k: v, n: ~}\nb: *x\n---\n- true\n- \"null\"\n").ok().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].at(&["b", "k"]).and_then(Tree::text), Some("v"));
        assert!(all[0].at(&["a", "n"]).is_none());
        assert_eq!((all[0].get("b").unwrap().place.line, all[0].get("b").unwrap().place.column), (2, 4));
        assert_eq!(all[1].items()[1].text(), Some("null"));
        assert_eq!(all[1].items()[1].place.line, 5);
    }

    #[test]
    fn what_can_not_be_trusted_is_refused() {
        let deep = "[".repeat(100);
        let bomb: String = (1..40).fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, at| {
            let before = at - 1;
            text + &format!("a{at}: &a{at} [*a{before}, *a{before}, *a{before}, *a{before}]\n")
        });
        for text in ["a: 1\na: 2\n", "a: !x 1\n", "a: {<<: {b: 1}}\n", "a: &x [*x]\n", "{", &deep, &bomb] {
            assert!(read("f", text).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[-a&*x:\\[\\]{}<!~\"' \n,#|>]{0,60}") {
            let _ = read("f", &text);
        }
    }
}
