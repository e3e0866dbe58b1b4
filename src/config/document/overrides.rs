//! Values from the environment: `PORTCULLIS__GATEWAY__WORKERS=4` stands for `gateway.workers: 4`.
//!
//! A variable is judged exactly like what it stands for, and its faults name the variable. One that was only nearly written
//! like that is a fault, and not ignored.

use std::ffi::OsString;
use std::sync::Arc;

use super::marks::{self, Content, Found, Mark, Marks, Node};
use crate::config::variables;

/// What all variables that are read begin with.
const PREFIX: &str = "PORTCULLIS__";

/// One variable.
#[derive(Clone)]
pub struct Override {
    name: Arc<str>,
    keys: Vec<String>,
    value: Result<String, String>,
}

impl Override {
    /// The overrides among some environment variables, in the order of their names.
    pub fn among<N: Into<OsString>>(variables: impl IntoIterator<Item = (N, N)>) -> Vec<Self> {
        let new = |(name, value): (N, N)| Self::new(&name.into().to_string_lossy(), value.into());
        let mut found: Vec<Self> = variables.into_iter().filter_map(new).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// The overrides of this process's environment.
    pub fn from_environment() -> Vec<Self> {
        Self::among(std::env::vars_os())
    }

    fn new(name: &str, value: OsString) -> Option<Self> {
        let Some(keys) = name.strip_prefix(PREFIX) else {
            let meant = variables::meant(name)?;
            let fault = format!("this variable is not read; did you mean `{meant}`?");
            return Some(Self { name: name.into(), keys: Vec::new(), value: Err(fault) });
        };
        let keys = keys.split("__").map(str::to_ascii_lowercase).collect();
        let value = value.into_string().map_err(|_| "the value is not UTF-8; write it anew".to_owned());
        Some(Self { name: name.into(), keys, value })
    }
}

/// Puts the value where its name says, making the mappings on the way. Faults are added to the findings.
pub(super) fn apply(one: &Override, marks: &mut Marks) {
    let mark = Mark { variable: Some(Arc::clone(&one.name)), ..Mark::default() };
    let text = match &one.value {
        Ok(text) => text,
        Err(fault) => {
            marks.findings.push(Found::new(&mark, fault.clone()));
            return;
        }
    };
    let mut value = marks::scan(text);
    let fault = value.findings.iter().map(|found| found.message.clone()).next();
    if let Some(fault) = fault {
        marks.findings.push(Found::new(&mark, format!("the value is not one YAML value: {fault}")));
        return;
    }
    sign(&mut value.root, &mark);
    if let Content::Absent = value.root.content {
        value.root.content = Content::Scalar { text: "".into(), plain: true };
    }
    if let Err(message) = place(&mut marks.root, &one.keys, value.root, &mark) {
        marks.findings.push(Found::new(&mark, message));
    }
}

fn place(around: &mut Node, keys: &[String], value: Node, mark: &Mark) -> Result<(), String> {
    let [key, rest @ ..] = keys else {
        *around = value;
        return Ok(());
    };
    if key.is_empty() {
        return Err("the name has an empty part; write it like PORTCULLIS__GATEWAY__WORKERS".to_owned());
    }
    let nothing = match &around.content {
        Content::Absent => true,
        Content::Scalar { text, plain: true } => text.is_empty(),
        _ => false,
    };
    if nothing {
        around.content = Content::Mapping(Vec::new());
    }
    match &mut around.content {
        Content::Mapping(pairs) => {
            let known = pairs.iter().position(
                |(name, _)| matches!(&name.content, Content::Scalar { text, .. } if text.eq_ignore_ascii_case(key)),
            );
            let at = known.unwrap_or_else(|| {
                let name = Content::Scalar { text: key.as_str().into(), plain: true };
                let empty = Content::Scalar { text: "".into(), plain: true };
                pairs.push((Node { mark: mark.clone(), content: name }, Node { mark: mark.clone(), content: empty }));
                pairs.len() - 1
            });
            place(&mut pairs[at].1, rest, value, mark)
        }
        Content::Sequence(elements) => {
            let count = elements.len();
            let at: usize =
                key.parse().map_err(|_| format!("`{key}` has to be a position in a list of {count}, from 0"))?;
            let element = elements.get_mut(at);
            let element =
                element.ok_or_else(|| format!("there is no position {at} in a list of {count}; set the whole list"))?;
            place(element, rest, value, mark)
        }
        _ => Err(format!("there is a single value where `{key}` is looked for")),
    }
}

fn sign(node: &mut Node, mark: &Mark) {
    node.mark = mark.clone();
    match &mut node.content {
        Content::Sequence(elements) => elements.iter_mut().for_each(|one| sign(one, mark)),
        Content::Mapping(pairs) => pairs.iter_mut().for_each(|(key, value)| {
            sign(key, mark);
            sign(value, mark);
        }),
        _ => {}
    }
}
