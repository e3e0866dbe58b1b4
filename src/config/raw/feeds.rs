//! `feeds` as the file writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Word, WordOr};

/// From where network sets of the store may take their networks by themselves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Feeds {
    /// Hosts that lists are fetched from by https, such as `ip-ranges.amazonaws.com`, or with another port than 443
    /// `lists.example.com:8443`. Default: none, nothing is fetched.
    pub allow_hosts: Vec<WordOr<FeedHost>>,
    /// The folder that list files are read from. Relative to this file. Default: none, no file is read.
    pub allow_files: Option<String>,
    /// How long reading one list may take, from the look-up of its host to its last byte. Default: `30s`.
    pub timeout: Option<Word>,
}

/// A host that lists are fetched from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedHost {
    /// Its name or address, with its port where that is not 443.
    pub host: Word,
    /// It may be at a private address or on this machine, where `http` is taken too. Default: `false`.
    #[serde(default)]
    pub internal: bool,
}
