//! Where a network set takes its networks from by itself, as a directory file and the API write it, and what is legal of it.
//!
//! Never says whether a source is allowed: that is the configuration's, and asked where one is given to a set.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::FeedAddress;
use super::units;
use crate::access::feed::{Form, Origin, Source, Wanted};

/// How often a list is read at most, and where nothing is said.
const SHORTEST: Duration = Duration::from_secs(60);
const USUAL: Duration = Duration::from_secs(6 * 3600);
/// Most names that are chosen, and the longest of them.
const MOST_NAMES: usize = 50;
const LONGEST_NAME: usize = 100;

/// Where a store takes the networks of a set from by itself: `url` or `file`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeedSource {
    /// An `https` address on a host that `feeds.allow_hosts` of the configuration names. This or `file`. Whoever sees the set sees
    /// it: no secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file within the folder that `feeds.allow_files` of the configuration names. This or `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How it is written: `aws`, `google`, `azure`, `cloudflare`, `github` or `plain`. Default: found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// Services of the list that are taken. Default: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Regions of the list that are taken. Default: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// How often it is asked, from `1m` to `720h`. Default: `6h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
}

/// What is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFault {
    /// In which attribute; `None`: it has neither `url` nor `file`.
    pub attribute: Option<&'static str>,
    /// What is wrong.
    pub why: String,
}

impl FeedSource {
    /// As it is written.
    pub fn of(source: &Source) -> Self {
        let (url, file) = match &source.origin {
            Origin::Url(url) => (Some(url.clone()), None),
            Origin::File(file) => (None, Some(file.clone())),
        };
        Self {
            url,
            file,
            form: source.form.map(|form| form.as_str().to_owned()),
            services: source.wanted.services.clone(),
            regions: source.wanted.regions.clone(),
            every: Some(source.every()),
        }
    }

    /// What is meant.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn judged(self) -> Result<Source, SourceFault> {
        let wrong = |attribute, why| SourceFault { attribute: Some(attribute), why };
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
                return Err(wrong("file", "a source is at an address or in a file; keep one of both".into()));
            }
            (None, None) => {
                return Err(SourceFault { attribute: None, why: "a source has a `url` or a `file`".into() });
            }
        };
        let form = match self.form.as_deref().map(|name| (name, Form::named(name))) {
            None => None,
            Some((_, Some(form))) => Some(form),
            Some(_) => {
                let names: Vec<&str> = Form::ALL.iter().map(|(name, _)| *name).collect();
                return Err(wrong("form", format!("it is none of {}", names.join(", "))));
            }
        };
        for (attribute, names) in [("services", &self.services), ("regions", &self.regions)] {
            let legal = |name: &String| {
                (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control)
            };
            if names.len() > MOST_NAMES || !names.iter().all(legal) {
                let why =
                    format!("up to {MOST_NAMES} names of 1 to {LONGEST_NAME} characters, without control characters");
                return Err(wrong(attribute, why));
            }
        }
        let every = match self.every.as_deref().map(units::duration) {
            None => USUAL,
            Some(Ok(every)) if every >= SHORTEST && every.subsec_nanos() == 0 => every,
            Some(Ok(_)) => return Err(wrong("every", "it is less than a minute; write 1m or more".into())),
            Some(Err(why)) => return Err(wrong("every", why)),
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
