//! What is remembered of the use of credentials and of entries: how often, when last, and from where.
//!
//! Never takes part in a decision. A denied request counts nothing and refreshes no last use: it is a last denial, and no
//! more (threats.md L9).

use super::client_address::ClientAddress;
use crate::clock::Timestamp;

/// Distinct addresses that are remembered of one credential.
pub const MOST_ADDRESSES: usize = 16;

/// A use: when, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub address: ClientAddress,
}

/// How an entry was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryUse {
    /// Requests that it admitted.
    pub count: u64,
    /// The last of them.
    pub last: LastUse,
}

/// A request that was refused, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDenial {
    /// The code that it was, or would have been, answered with.
    pub code: String,
    /// From where, where that could be told.
    pub address: Option<ClientAddress>,
    /// When.
    pub at: Timestamp,
    /// Whether it was refused; what is set to report only passes.
    pub enforced: bool,
}

/// How a credential was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialUse {
    /// The last request that passed.
    pub last: Option<LastUse>,
    /// The last one that did not, or would not have.
    pub denial: Option<LastDenial>,
    /// The last uses from up to [`MOST_ADDRESSES`] addresses, newest first.
    pub recent: Vec<LastUse>,
}
