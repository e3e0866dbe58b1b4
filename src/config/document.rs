//! A YAML text with a name: read into a type, and asked afterwards where in it something stands.
//!
//! `serde_yaml` alone decides what the text means. Only when there is something to report is it scanned a second time,
//! for the places; so a good file of a hundred thousand keys is read once.
//! Never takes a duplicate key, an anchor, an alias or a tag, and never repeats a value that may be a secret.

mod blot;
mod marks;
mod mend;
mod overrides;
mod shape;

use std::cell::OnceCell;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::diagnostic::{Place, Problem, Problems, Related, Severity};
use marks::{Marks, Node};

pub use overrides::Override;

/// One step from a mapping or a sequence to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The value of a key.
    Key(Arc<str>),
    /// An element, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Where in a document something stands, by name.
pub type Path = Vec<Step>;

/// Builds a [`Path`] from keys and indices: `path!["gateway", "listen", 0, "address"]`.
macro_rules! document_path {
    ($($step:expr),* $(,)?) => { vec![$($crate::config::document::Step::from($step)),*] };
}
pub(crate) use document_path as path;

/// Something found at a path, before its line and column are known.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it is about. Where it does not exist, the nearest thing around it is shown.
    pub path: Path,
    /// Whether the key is meant, not its value.
    pub at_key: bool,
    /// Whether it refuses the document.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The way out, where the message does not say it.
    pub help: Option<String>,
    /// Another path of the same document that has to do with it, and what is there.
    pub related: Option<(Path, String)>,
}

impl Finding {
    /// An error about the value at a path.
    pub fn error(path: Path, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { path, at_key: false, severity: Severity::Error, message, help: None, related: None }
    }

    /// A warning about the value at a path.
    pub fn warning(path: Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message) }
    }

    /// The same, with the key underlined and not its value.
    pub fn at_key(self) -> Self {
        Self { at_key: true, ..self }
    }

    /// The same with a way out.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same with another place of the document.
    pub fn with_related(self, path: Path, message: impl Into<String>) -> Self {
        Self { related: Some((path, message.into())), ..self }
    }
}

/// A named YAML text.
pub struct Document {
    name: Arc<str>,
    text: String,
    overrides: Vec<Override>,
    strict: bool,
    marks: OnceCell<Marks>,
    /// Where something had to be taken out before the rest could be read, and where that was told.
    wounds: OnceCell<(Vec<Path>, Vec<Place>)>,
    /// Byte offset of each line.
    lines: OnceCell<Vec<usize>>,
}

impl Document {
    /// A text under the name that problems are reported with.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Self {
            name: name.into(),
            text,
            overrides: Vec::new(),
            strict: false,
            marks: OnceCell::new(),
            wounds: OnceCell::new(),
            lines: OnceCell::new(),
        }
    }

    /// The same, with values from the environment in place of what is written.
    pub fn with_overrides(mut self, overrides: Vec<Override>) -> Self {
        self.overrides = overrides;
        self
    }

    /// The same, scanned and compared with its schema in any case: for documents with mappings whose keys are names, where only the scan sees one
    /// that is there twice.
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Reads the text. An empty text reads as an empty mapping.
    ///
    /// # Errors
    /// Every place where the text does not have the shape of `T`, or [`serde_yaml`]'s own word where none was found.
    pub fn parse<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Problems> {
        // The parser takes time that grows with the square of the depth; a scan stops at the first level too many.
        if (self.strict || self.seems_deep()) && self.marks().broken {
            return Err(self
                .marks()
                .findings
                .iter()
                .map(|found| self.problem_at(found))
                .collect::<Problems>()
                .sorted());
        }
        let overridden = (!self.overrides.is_empty()).then(|| self.marks().root.to_yaml());
        let text = overridden.as_deref().unwrap_or(&self.text);
        let fault = match serde_yaml::from_str::<T>(text) {
            Ok(value) if self.is_plain() => return Ok(value),
            Ok(value) if self.marks().findings.is_empty() => {
                // Ranges are told by the schema alone.
                let beyond = match self.strict {
                    true => shape::check(&self.marks().root, schemars::schema_for!(T).as_value()),
                    false => Vec::new(),
                };
                if beyond.is_empty() {
                    return Ok(value);
                }
                return Err(beyond.iter().map(|found| self.problem_at(found)).collect::<Problems>().sorted());
            }
            Ok(_) => None,
            Err(_) if self.marks().findings.is_empty() && self.marks().root.is_absent() => {
                return serde_yaml::from_str("{}").map_err(|fault| self.serde_problem(&fault).into());
            }
            Err(fault) => Some(fault),
        };
        let marks = self.marks();
        let mut problems: Problems = marks.findings.iter().map(|found| self.problem_at(found)).collect();
        if let Some(fault) = fault {
            if !marks.broken {
                let schema = schemars::schema_for!(T);
                let misshapen = shape::check(&marks.root, schema.as_value());
                misshapen.iter().for_each(|found| problems.push(self.problem_at(found)));
            }
            if problems.is_empty() {
                problems.push(self.serde_problem(&fault));
            }
        }
        Err(problems.sorted())
    }

    /// Reads the text, and where its shape is at fault as much of it as can be read: to be judged, never to be used.
    /// The faults of the shape come with it; findings that only follow from them are held back afterwards.
    pub fn parse_mended<T: DeserializeOwned + JsonSchema>(&self) -> (Option<T>, Problems) {
        let problems = match self.parse::<T>() {
            Ok(value) => return (Some(value), Problems::default()),
            Err(problems) => problems,
        };
        if self.marks().broken {
            return (None, problems);
        }
        let schema = schemars::schema_for!(T);
        let mut root = self.marks().root.clone();
        let Some(wounds) = mend::mend(&mut root, schema.as_value()) else {
            return (None, problems);
        };
        let told = problems.iter().map(|problem| problem.place.clone()).filter(|place| place.line > 0).collect();
        // A document is read once.
        let _ = self.wounds.set((wounds, told));
        (serde_yaml::from_str(&root.to_yaml()).ok(), problems)
    }

    /// Whether what belongs at a path may be in the text, but could not be read: it, what is around it, or an element of
    /// it or the name of one.
    pub fn lost(&self, path: &[Step]) -> bool {
        self.wounds.get().is_some_and(|(wounds, _)| {
            wounds.iter().any(|wound| {
                path.starts_with(wound)
                    || wound.strip_prefix(path).is_some_and(|further| match further {
                        [Step::Index(_)] => true,
                        [Step::Index(_), Step::Key(key)] => **key == *"name",
                        _ => false,
                    })
            })
        })
    }

    /// Whether a finding only follows from what could not be read: it is about something that stands in for it.
    pub fn holds_back(&self, finding: &Finding) -> bool {
        let Some((wounds, told)) = self.wounds.get() else {
            return false;
        };
        let stands_in = |path: &Path| wounds.iter().any(|wound| path.starts_with(wound));
        let related = finding.related.as_ref().is_some_and(|(path, _)| stands_in(path));
        // An alias, or a value with a tag, is read as something else than was meant.
        let told = |at: &marks::Mark| told.iter().any(|place| (place.line, place.column) == (at.line, at.column));
        related || stands_in(&finding.path) || self.marks().root.scalar_mark_of(&finding.path).is_some_and(told)
    }

    /// Gives a finding its line and column.
    pub fn locate(&self, finding: Finding) -> Problem {
        let place = self.place_of(&finding.path, finding.at_key);
        let related =
            finding.related.map(|(path, message)| Box::new(Related { place: self.place_of(&path, false), message }));
        Problem { severity: finding.severity, place, message: finding.message, help: finding.help, related }
    }

    /// Gives findings their lines and columns, in the order of the text.
    pub fn locate_all(&self, findings: Vec<Finding>) -> Problems {
        let told = findings.into_iter().filter(|finding| !self.holds_back(finding));
        told.map(|finding| self.locate(finding)).collect::<Problems>().sorted()
    }

    /// The place of what stands at a path, or of the nearest thing around it.
    pub fn place_of(&self, path: &[Step], at_key: bool) -> Place {
        let marks = self.marks();
        if marks.broken {
            return Place::file(Arc::clone(&self.name));
        }
        let (mark, found) = marks.root.mark_of(path, at_key);
        let secret = found && path.iter().any(|step| matches!(step, Step::Key(key) if blot::is_sensitive(key)));
        self.place(mark, secret && !at_key)
    }

    /// Whether there is no need of a scan: no character in the text that an anchor, an alias or a tag begins with.
    fn is_plain(&self) -> bool {
        !self.strict && self.overrides.is_empty() && !self.text.bytes().any(|byte| matches!(byte, b'&' | b'*' | b'!'))
    }

    /// Whether brackets seem to nest deeper than a scan goes; those of comments and strings are counted too.
    fn seems_deep(&self) -> bool {
        let mut depth = 0_usize;
        self.text.bytes().any(|byte| {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > marks::DEEPEST
        })
    }

    fn marks(&self) -> &Marks {
        self.marks.get_or_init(|| {
            let mut marks = marks::scan(&self.text);
            for one in &self.overrides {
                overrides::apply(one, &mut marks);
            }
            marks
        })
    }

    fn problem_at(&self, found: &marks::Found) -> Problem {
        let mut problem = Problem::error(self.place(&found.mark, found.secret), found.message.clone());
        problem.help.clone_from(&found.help);
        problem.related = found.related.as_ref().map(|(mark, message)| {
            Box::new(Related { place: self.place(mark, found.secret), message: message.clone() })
        });
        problem
    }

    fn serde_problem(&self, fault: &serde_yaml::Error) -> Problem {
        let message = blot::serde_message(&fault.to_string());
        let place = match fault.location() {
            Some(at) if self.overrides.is_empty() => {
                let mark = marks::Mark { line: at.line(), column: at.column(), length: 1, variable: None };
                self.place(&mark, false)
            }
            _ => Place::file(Arc::clone(&self.name)),
        };
        Problem::error(place, message)
    }

    fn place(&self, mark: &marks::Mark, secret: bool) -> Place {
        if let Some(variable) = &mark.variable {
            return Place::file(Arc::clone(variable));
        }
        let (line, column, length) = (mark.line, mark.column, mark.length.max(1));
        let excerpt = self.line(line).map(|text| blot::line(text, secret.then_some((column, length))).into());
        Place { file: Arc::clone(&self.name), line, column, length, excerpt }
    }

    fn line(&self, number: usize) -> Option<&str> {
        let lines = self.lines.get_or_init(|| {
            let ends = memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|at| at + 1);
            std::iter::once(0).chain(ends).collect()
        });
        let start = *lines.get(number.checked_sub(1)?)?;
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

impl Node {
    fn is_absent(&self) -> bool {
        matches!(&self.content, marks::Content::Absent)
    }
}

#[cfg(test)]
mod tests;
