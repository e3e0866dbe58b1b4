//! The tree of a YAML text with line and column of everything in it, and what no document of ours may hold.
//!
//! Never decides what a value means; that is `serde_yaml`'s work.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::Step;
use super::blot;

/// Deeper than any document of ours, and far from the end of the stack.
pub(super) const DEEPEST: usize = 48;

/// A place in the text, or the environment variable that stands for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In characters.
    pub length: usize,
    pub variable: Option<Arc<str>>,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub mark: Mark,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// No document at all.
    Absent,
    Scalar {
        text: Box<str>,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// Something wrong, at its place.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub mark: Mark,
    pub message: String,
    pub help: Option<String>,
    pub related: Option<(Mark, String)>,
    pub secret: bool,
}

impl Found {
    pub(super) fn new(mark: &Mark, message: impl Into<String>) -> Self {
        Self { mark: mark.clone(), message: message.into(), help: None, related: None, secret: false }
    }
}

/// What a scan brought.
#[derive(Debug)]
pub(super) struct Marks {
    pub root: Node,
    pub findings: Vec<Found>,
    /// The text could not be scanned to its end.
    pub broken: bool,
}

/// A collection that has begun and not ended.
struct Open {
    mark: Mark,
    elements: Vec<Node>,
    mapping: bool,
}

/// Scans a text.
pub(super) fn scan(text: &str) -> Marks {
    let absent = Node { mark: Mark { line: 1, column: 1, length: 0, variable: None }, content: Content::Absent };
    let mut marks = Marks { root: absent, findings: Vec::new(), broken: false };
    let mut open: Vec<Open> = Vec::new();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(one) => one,
            Err(fault) => {
                let at = fault.marker();
                let mark = Mark { line: at.line(), column: at.col() + 1, length: 1, variable: None };
                marks
                    .findings
                    .push(Found::new(&mark, format!("this is not YAML: {}", blot::serde_message(fault.info()))));
                marks.broken = true;
                return marks;
            }
        };
        let mark = mark_of(span);
        let complete = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    marks.findings.push(Found::new(&mark, "a second document begins here; a file holds one"));
                    marks.broken = true;
                    return marks;
                }
                None
            }
            Event::Alias(_) => {
                marks.findings.push(Found::new(&mark, "aliases (`*name`) are not taken; write the value out"));
                Some(Node { mark, content: Content::Scalar { text: "".into(), plain: true } })
            }
            Event::Scalar(value, style, anchor, tag) => {
                refuse_anchor_and_tag(&mut marks.findings, &mark, anchor, tag.is_some());
                let plain = matches!(style, ScalarStyle::Plain);
                Some(Node { mark, content: Content::Scalar { text: value.into(), plain } })
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) if open.len() >= DEEPEST => {
                let _ = (anchor, tag);
                marks.findings.push(Found::new(&mark, format!("nested more than {DEEPEST} levels deep")));
                marks.broken = true;
                return marks;
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_anchor_and_tag(&mut marks.findings, &mark, anchor, tag.is_some());
                open.push(Open { mark, elements: Vec::new(), mapping: false });
                None
            }
            Event::MappingStart(anchor, tag) => {
                refuse_anchor_and_tag(&mut marks.findings, &mark, anchor, tag.is_some());
                open.push(Open { mark, elements: Vec::new(), mapping: true });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|one| one.close(&mut marks.findings)),
            _ => None,
        };
        if let Some(node) = complete {
            match open.last_mut() {
                Some(around) => around.elements.push(node),
                None => marks.root = node,
            }
        }
    }
    marks
}

fn refuse_anchor_and_tag(findings: &mut Vec<Found>, mark: &Mark, anchor: usize, tagged: bool) {
    if anchor > 0 {
        findings.push(Found::new(mark, "anchors (`&name`) are not taken; write the value out where it is needed"));
    }
    if tagged {
        findings.push(Found::new(mark, "tags (`!name`) are not taken; leave the tag out"));
    }
}

fn mark_of(span: Span) -> Mark {
    let length = if span.end.line() == span.start.line() { span.len() } else { 1 };
    Mark { line: span.start.line(), column: span.start.col() + 1, length, variable: None }
}

impl Open {
    fn close(self, findings: &mut Vec<Found>) -> Node {
        if !self.mapping {
            return Node { mark: self.mark, content: Content::Sequence(self.elements) };
        }
        let mut pairs = Vec::with_capacity(self.elements.len() / 2);
        let mut elements = self.elements.into_iter();
        while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
            pairs.push((key, value));
        }
        let mut seen: HashMap<&str, &Mark> = HashMap::new();
        for (key, _) in &pairs {
            let Content::Scalar { text, .. } = &key.content else {
                findings.push(Found::new(&key.mark, "a key has to be a word"));
                continue;
            };
            if let Some(first) = seen.insert(text, &key.mark) {
                let mut found =
                    Found::new(&key.mark, format!("{} is there twice; keep one", super::shape::named(text)));
                found.related = Some((first.clone(), "the first is here".to_owned()));
                findings.push(found);
            }
        }
        Node { mark: self.mark, content: Content::Mapping(pairs) }
    }
}

impl Node {
    /// The mark at a path and `true`, or that of the nearest thing around it and `false`.
    pub(super) fn mark_of(&self, path: &[Step], at_key: bool) -> (&Mark, bool) {
        let mut node = self;
        let mut mark = &self.mark;
        for (at, step) in path.iter().enumerate() {
            let last = at + 1 == path.len();
            let next = match (step, &node.content) {
                (Step::Key(wanted), Content::Mapping(pairs)) => pairs
                    .iter()
                    .find(|(key, _)| matches!(&key.content, Content::Scalar { text, .. } if **text == **wanted))
                    .map(|(key, value)| {
                        (if last && at_key || value.is_empty() { &key.mark } else { &value.mark }, value)
                    }),
                (Step::Index(index), Content::Sequence(elements)) => elements.get(*index).map(|one| (&one.mark, one)),
                _ => None,
            };
            let Some((next_mark, next)) = next else {
                return (mark, false);
            };
            (mark, node) = (next_mark, next);
        }
        (mark, true)
    }

    /// The mark of the scalar at a path.
    pub(super) fn scalar_mark_of(&self, path: &[Step]) -> Option<&Mark> {
        let mut node = self;
        for step in path {
            node = match (step, &node.content) {
                (Step::Key(wanted), Content::Mapping(pairs)) => pairs
                    .iter()
                    .find(|(key, _)| matches!(&key.content, Content::Scalar { text, .. } if **text == **wanted))
                    .map(|(_, value)| value)?,
                (Step::Index(index), Content::Sequence(elements)) => elements.get(*index)?,
                _ => return None,
            };
        }
        matches!(node.content, Content::Scalar { .. }).then_some(&node.mark)
    }

    /// Nothing was written after the key.
    fn is_empty(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if text.is_empty() || **text == *"~")
    }

    /// The tree as YAML again, for a parser that is to see overridden values. Plain scalars stay plain, so that they
    /// mean what they meant.
    pub(super) fn to_yaml(&self) -> String {
        let mut yaml = String::new();
        self.write_yaml(&mut yaml);
        yaml
    }

    fn write_yaml(&self, yaml: &mut String) {
        match &self.content {
            Content::Absent => yaml.push_str("{}"),
            Content::Scalar { text, plain: true } if stays_plain(text) => {
                yaml.push_str(if text.is_empty() { "~" } else { text });
            }
            Content::Scalar { text, .. } => yaml.push_str(&serde_json::Value::from(&**text).to_string()),
            Content::Sequence(elements) => {
                yaml.push('[');
                for one in elements {
                    one.write_yaml(yaml);
                    yaml.push_str(", ");
                }
                yaml.push(']');
            }
            Content::Mapping(pairs) => {
                yaml.push('{');
                for (key, value) in pairs {
                    key.write_yaml(yaml);
                    yaml.push_str(": ");
                    // Nothing stays nothing: the parser takes it for an empty list or mapping, and `~` for neither.
                    if !matches!(&value.content, Content::Scalar { text, plain: true } if text.is_empty()) {
                        value.write_yaml(yaml);
                    }
                    yaml.push_str(", ");
                }
                yaml.push('}');
            }
        }
    }
}

/// Whether a plain scalar might be something else than a string, and can stand in a flow collection as it is.
fn stays_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'~'))
}
