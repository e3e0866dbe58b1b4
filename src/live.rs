//! What changes while the program runs: the published snapshot, settings and key sets, and what is counted of their use.

pub mod crowd;
pub mod endpoints;
pub mod fingerprint;
pub mod key_sets;
pub mod own_issuer;
pub mod published;
pub mod rates;
mod striped;
pub mod usage;
