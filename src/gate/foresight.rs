//! What a proposed directory and its routes would make of a request that was seen before, by the decision's own code.
//!
//! Never a permit that could be forwarded: of what is decided only the outcome is told. What a request presented is not judged
//! again; whoever was named is taken as proven.

mod recorded;

use crate::access::client_address::ClientAddress;
use crate::access::credential::Fingerprint;
use crate::access::decision::{NoTrace, Proof, Question, authorize};
use crate::access::route::RouteMatch;
use crate::access::snapshot::Snapshot;
use crate::clock::Timestamp;
use crate::problem::Code;

pub use recorded::{Turn, Way, addresses, fate, turn};

/// Whose a request was.
#[derive(Debug, Clone, Copy)]
pub enum Who {
    /// Of the credential that is found by this.
    Credential(Fingerprint),
    /// It named somebody whom the directory does not know.
    Unknown,
    /// It named nobody.
    Nobody,
}

/// A request that passes: what would have refused it, had that not been set to report.
pub type Passing = Option<Code>;

/// Decides the request.
///
/// # Errors
/// The code that it would be refused with.
pub fn foresee(
    snapshot: &Snapshot,
    who: Who,
    client: ClientAddress,
    route: RouteMatch<'_>,
    now: Timestamp,
) -> Result<Passing, Code> {
    let proof = match who {
        Who::Credential(fingerprint) => Proof::Key(fingerprint),
        Who::Unknown => Proof::Refused("no credential of the directory is named so"),
        Who::Nobody => Proof::Absent,
    };
    let question = Question { snapshot, client: Ok(client), route, preflight: false, proof, now };
    match authorize(&question, &mut NoTrace) {
        Ok(permit) => Ok(permit.would_deny().map(Code::from)),
        Err(denial) => Err(denial.reason.into()),
    }
}
