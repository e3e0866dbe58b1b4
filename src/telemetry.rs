//! What operators see: metrics, the access log and the program's own log.
//!
//! Nothing here decides anything, and nothing here is waited for on the way of a request.

pub mod access_log;
pub mod activity;
pub mod logging;
pub mod metrics;
pub mod refusals;

use crate::problem::Code;

/// What became of one request, as log, metric and event all say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Forwarded, and answered by the upstream.
    Allow,
    /// Forwarded, though a rule that is set to report would have refused it.
    WouldDeny(Code),
    /// Refused by a rule.
    Deny(Code),
    /// Neither: the request, the upstream or the gateway failed.
    Error(Code),
}

impl Outcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::WouldDeny(_) => "would_deny",
            Self::Deny(_) => "deny",
            Self::Error(_) => "error",
        }
    }

    /// The code, where there is one.
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Allow => None,
            Self::WouldDeny(code) | Self::Deny(code) | Self::Error(code) => Some(code),
        }
    }
}
