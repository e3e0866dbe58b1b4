//! The provider by which people sign in to the console, as the file writes it.
//! Never judges a value.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Word;
use crate::config::settings::JwtAlgorithm;

/// A provider of OpenID Connect by which people sign in to the console.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SingleSignOn {
    /// Its exact name: an `https` address, below which `/.well-known/openid-configuration` tells the rest.
    pub issuer: String,
    /// What the provider calls this console.
    pub client_id: String,
    /// File with the secret that goes with it. Relative to this file. Default: none, as a public client.
    pub client_secret_file: Option<String>,
    /// PEM file with the CA of the provider. Default: the system's.
    pub ca: Option<String>,
    /// What people call the provider. Default: the host of `issuer`.
    pub called: Option<Word>,
    /// The address by which browsers know the console, such as `https://admin.example.com`. Default: the issuer of tokens.
    pub console: Option<Word>,
    /// Signature algorithms of its ID tokens. Default: `[RS256, ES256]`.
    pub algorithms: Option<Vec<JwtAlgorithm>>,
    /// Who comes in without having been invited. Default: nobody.
    pub newcomers: Option<Newcomers>,
}

/// Who comes in without having been invited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Newcomers {
    /// What stands after the `@` of their email addresses, one of these exactly.
    pub domains: Vec<Word>,
    /// Id of the organization that they join.
    pub organization: Word,
    /// Their roles on it; `ORG_OWNER` is for people who are invited.
    pub roles: Vec<Word>,
}
