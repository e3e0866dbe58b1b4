//! Sources as they are asked for: of the right shape, and allowed by the configuration.

use super::super::Fault;
use super::SourceEdit;
use crate::access::feed::{Origin, Source};
use crate::access::record::NetworkSetRecord;
use crate::config::feed_source::{FeedSource, SourceFault};
use crate::config::settings::{FeedAddress, Feeds};
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

impl FeedSource {
    /// What is asked for.
    ///
    /// # Errors
    /// `INVALID_ATTRIBUTE` or `MISSING_ONE_OF_ATTRIBUTES`.
    pub fn parsed(self) -> Result<Source, Fault> {
        self.judged().map_err(|SourceFault { attribute, why }| match attribute {
            Some(attribute) => Refusal::field(Code::InvalidAttribute, format!("source.{attribute}"), why).into(),
            None => {
                let detail = "A source has a `url` or a `file`.";
                Refusal::new(Code::MissingOneOfAttributes, detail).with("source.url").into()
            }
        })
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
