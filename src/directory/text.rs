//! The text that a directory came from: YAML, or one thing a line (rows of a CSV file, lines of an import).
//!
//! Findings are made by path alone; here they get their place. Never repeats a line that may hold a secret.

use std::sync::Arc;

use crate::config::diagnostic::{Place, Problem, Related};
use crate::config::document::{Document, Finding, Step};

/// A text, judged by [`super::resolve`].
pub(super) enum Text {
    /// Knows the places of everything in it.
    Yaml(Document),
    /// Knows the line of each organization and key.
    Lines(Lines),
}

/// Which line brought what.
pub(super) struct Lines {
    name: Arc<str>,
    /// What people call the attributes that have another name in the file, such as columns.
    called: &'static [(&'static str, &'static str)],
    organizations: Vec<OfOrganization>,
}

/// The lines of an organization and its credentials.
struct OfOrganization {
    line: usize,
    keys: Vec<usize>,
    accounts: Vec<usize>,
}

impl Lines {
    pub(super) fn new(name: impl Into<Arc<str>>, called: &'static [(&'static str, &'static str)]) -> Self {
        Self { name: name.into(), called, organizations: Vec::new() }
    }

    /// The next organization came in this line.
    pub(super) fn organization(&mut self, line: usize) {
        self.organizations.push(OfOrganization { line, keys: Vec::new(), accounts: Vec::new() });
    }

    /// The next key of an organization came in this line.
    pub(super) fn key(&mut self, organization: usize, line: usize) {
        self.organizations[organization].keys.push(line);
    }

    /// The next service account of an organization came in this line.
    pub(super) fn account(&mut self, organization: usize, line: usize) {
        self.organizations[organization].accounts.push(line);
    }

    /// The whole line with this number.
    pub(super) fn place(&self, line: usize) -> Place {
        Place { file: Arc::clone(&self.name), line, column: 1, length: 1, excerpt: None }
    }

    fn line_of(&self, path: &[Step]) -> usize {
        let index = |at: usize| match path.get(at) {
            Some(Step::Index(index)) => Some(*index),
            _ => None,
        };
        let Some(of) = index(1).and_then(|at| self.organizations.get(at)) else { return 0 };
        let lines = match path.get(2) {
            Some(Step::Key(name)) if **name == *"api_keys" => &of.keys,
            Some(Step::Key(name)) if **name == *"service_accounts" => &of.accounts,
            _ => return of.line,
        };
        index(3).and_then(|at| lines.get(at)).copied().unwrap_or(of.line)
    }

    /// The attribute that a path is about, as people call it.
    fn attribute(&self, path: &[Step]) -> Option<String> {
        let is_member =
            matches!(path.get(2), Some(Step::Key(name)) if matches!(&**name, "api_keys" | "service_accounts"));
        match path.get(if is_member { 4 } else { 2 }) {
            Some(Step::Key(name)) => {
                let called = self.called.iter().find(|(known, _)| **known == **name);
                Some(called.map_or_else(|| name.to_string(), |(_, called)| (*called).to_owned()))
            }
            _ => None,
        }
    }
}

impl Text {
    pub(super) fn name(&self) -> &Arc<str> {
        match self {
            Self::Yaml(document) => document.name(),
            Self::Lines(lines) => &lines.name,
        }
    }

    /// Whether what belongs at a path may be written, but could not be read.
    pub(super) fn lost(&self, path: &[Step]) -> bool {
        matches!(self, Self::Yaml(document) if document.lost(path))
    }

    /// Whether a finding only follows from what could not be read.
    pub(super) fn holds_back(&self, finding: &Finding) -> bool {
        matches!(self, Self::Yaml(document) if document.holds_back(finding))
    }

    /// Gives a finding its place.
    pub(super) fn locate(&self, finding: Finding) -> Problem {
        match self {
            Self::Yaml(document) => document.locate(finding),
            Self::Lines(lines) => {
                let message = match lines.attribute(&finding.path) {
                    Some(name) => format!("`{name}`: {}", finding.message),
                    None => finding.message,
                };
                let place = lines.place(lines.line_of(&finding.path));
                let related = finding
                    .related
                    .map(|(path, message)| Box::new(Related { place: lines.place(lines.line_of(&path)), message }));
                Problem { severity: finding.severity, place, message, help: finding.help, related }
            }
        }
    }

    /// The place of what stands at a path.
    pub(super) fn place_of(&self, path: &[Step]) -> Place {
        match self {
            Self::Yaml(document) => document.place_of(path, false),
            Self::Lines(lines) => lines.place(lines.line_of(path)),
        }
    }
}
