//! From a request's head to a permit or a denial: the client address, the claim, the proof, and the one decision.
//!
//! Everything here is synchronous and waits for nothing: what it needs is in the published value it is given.

pub mod again;
pub mod browser;
pub mod caller;
pub mod certificate;
pub mod claim;
pub mod digest;
pub mod explain;
pub mod foresight;
pub mod forwarded;
pub mod judge;
pub mod receipt;
pub mod sanity;
pub mod spelling;
pub mod throttle;
pub mod token;
pub mod trace;
