//! By whom people may be vouched for who sign in to the console.
//!
//! Frozen like the rest of the settings; `control::single_sign_on` goes by it. The client's secret is not in it: its file is
//! read whenever it is needed.

use std::path::PathBuf;

use super::JwtAlgorithm;
use crate::access::id::Id;

/// A provider of OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleSignOn {
    /// Exact `iss`; an `https` address, or one of this machine.
    pub issuer: String,
    /// What the provider calls this console.
    pub client_id: String,
    /// Where the secret that goes with it is; `None`: a public client.
    pub secret_file: Option<PathBuf>,
    /// CA certificates (PEM) in place of the system's.
    pub ca: Option<PathBuf>,
    /// What people call the provider.
    pub called: String,
    /// Scheme and authority by which browsers know the console; `None`: those of the issuer of tokens.
    pub console: Option<String>,
    /// Pinned signature algorithms; never empty.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Who comes in without having been invited; `None`: nobody.
    pub newcomers: Option<Newcomers>,
}

/// Who comes in without having been invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomers {
    /// Domains of email addresses in small letters; never empty.
    pub domains: Vec<String>,
    /// The organization that they join.
    pub organization: Id,
    /// Names of their roles on it; never empty, and never that of an owner.
    pub roles: Vec<String>,
}

impl Newcomers {
    /// Whether somebody with this address may come in.
    pub fn admit(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        domain.is_some_and(|domain| self.domains.contains(&domain))
    }
}
