//! What a form or a query holds: names and values, in the order in which they came.

use crate::problem::{Code, Refusal};

/// Most fields of one form: a list that is pasted is one field.
const MOST_FIELDS: usize = 10_000;

/// Names and values.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Of `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// `CONTENT_TOO_LARGE` where there are too many fields.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if fields.len() == MOST_FIELDS {
                let detail = format!("A form has at most {MOST_FIELDS} fields.");
                return Err(Refusal::new(Code::ContentTooLarge, detail));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// Of fields with one value each.
    pub(super) fn of<const N: usize>(fields: [(&str, String); N]) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The first value of a field, as it was typed.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The same without blanks at its ends.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same, where there is anything in it.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The same, or what stands for nothing.
    pub(super) fn or<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.given(name).unwrap_or(otherwise)
    }

    /// Whether a box is ticked or a button was pressed.
    pub(super) fn is_on(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// Every value of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// All fields.
    pub(super) fn fields(&self) -> &[(String, String)] {
        &self.0
    }
}
