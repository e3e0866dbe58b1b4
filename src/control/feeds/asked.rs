//! Sources as they are asked for: of the right shape, and allowed by the configuration.

use std::time::Duration;

use super::super::Fault;
use super::SourceEdit;
use crate::access::feed::{Form, Origin, Source, Wanted};
use crate::access::record::NetworkSetRecord;
use crate::config::settings::{FeedAddress, Feeds};
use crate::config::units;
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

/// How often a list is read at most, and where nothing is said.
const SHORTEST: Duration = Duration::from_secs(60);
const USUAL: Duration = Duration::from_secs(6 * 3600);
/// Most names that are chosen, and the longest of them.
const MOST_NAMES: usize = 50;
const LONGEST_NAME: usize = 100;

/// A source as it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedSource {
    /// An address, or else a file.
    pub url: Option<String>,
    /// A file of the folder that the configuration allows.
    pub file: Option<String>,
    /// The name of a form.
    pub form: Option<String>,
    /// What is wanted of the list.
    pub services: Vec<String>,
    /// What is wanted of the list.
    pub regions: Vec<String>,
    /// A duration such as `6h`.
    pub every: Option<String>,
}

impl AskedSource {
    /// What is asked for.
    ///
    /// # Errors
    /// `INVALID_ATTRIBUTE` or `MISSING_ONE_OF_ATTRIBUTES`.
    pub fn parsed(self) -> Result<Source, Fault> {
        let wrong = |field: &str, why: String| Refusal::field(Code::InvalidAttribute, format!("source.{field}"), why);
        let origin = match (self.url, self.file) {
            (Some(url), None) => {
                FeedAddress::parse(&url).map_err(|why| wrong("url", why))?;
                Origin::Url(url)
            }
            (None, Some(file)) => {
                check_file(&file).map_err(|why| wrong("file", why))?;
                Origin::File(file)
            }
            (Some(_), Some(_)) => {
                return Err(wrong("file", "a source is at an address or in a file; keep one of both".into()).into());
            }
            (None, None) => {
                let detail = "A source has a `url` or a `file`.";
                return Err(Refusal::new(Code::MissingOneOfAttributes, detail).with("source.url").into());
            }
        };
        let form = match self.form.as_deref().map(|name| (name, Form::named(name))) {
            None => None,
            Some((_, Some(form))) => Some(form),
            Some(_) => {
                let names: Vec<&str> = Form::ALL.iter().map(|(name, _)| *name).collect();
                return Err(wrong("form", format!("it is none of {}", names.join(", "))).into());
            }
        };
        for (field, names) in [("services", &self.services), ("regions", &self.regions)] {
            let legal = |name: &String| {
                (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control)
            };
            if names.len() > MOST_NAMES || !names.iter().all(legal) {
                let why =
                    format!("up to {MOST_NAMES} names of 1 to {LONGEST_NAME} characters, without control characters");
                return Err(wrong(field, why).into());
            }
        }
        let every = match self.every.as_deref().map(units::duration) {
            None => USUAL,
            Some(Ok(every)) if every >= SHORTEST && every.subsec_nanos() == 0 => every,
            Some(Ok(_)) => return Err(wrong("every", "it is less than a minute; write 1m or more".into()).into()),
            Some(Err(why)) => return Err(wrong("every", why).into()),
        };
        let wanted = Wanted { services: self.services, regions: self.regions };
        Ok(Source { origin, form, wanted, every })
    }
}

/// A file of the folder, and nothing above it.
fn check_file(file: &str) -> Result<(), String> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control);
    match file.len() <= 500 && !file.contains('\\') && file.split('/').all(plain) {
        true => Ok(()),
        false => {
            Err("it is not the name of a file within the folder of `feeds.allow_files`, such as partner/edge.txt"
                .into())
        }
    }
}

/// Refuses what the configuration does not allow.
pub(super) fn allowed(feeds: &Feeds, source: &Source) -> Result<(), Refusal> {
    let (field, checked) = match &source.origin {
        Origin::Url(url) => {
            ("source.url", FeedAddress::parse(url).and_then(|address| feeds.host_of(&address).map(drop)))
        }
        Origin::File(_) if feeds.files.is_some() => return Ok(()),
        Origin::File(_) => ("source.file", Err(NO_FILES.to_owned())),
    };
    checked.map_err(|why| Refusal::field(Code::InvalidAttribute, field, why))
}

/// Refuses a source that the configuration does not allow, where the set does not have it already.
pub(in crate::control) fn check_allowed(
    rows: Rows<'_>,
    feeds: &Feeds,
    set: Option<&NetworkSetRecord>,
    edit: &SourceEdit,
) -> Result<(), Fault> {
    let SourceEdit::Becomes(Some(source)) = edit else { return Ok(()) };
    let present = set.map(|set| rows.feed(set.pk)).transpose()?.flatten();
    match present.is_some_and(|feed| feed.source == *source) {
        true => Ok(()),
        false => Ok(allowed(feeds, source)?),
    }
}

/// Why no file is read.
pub const NO_FILES: &str = "no file is read here: `feeds.allow_files` of the configuration names no folder; whoever runs the gateway can \
                        name one";
