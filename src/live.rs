//! What changes while the program runs: the published snapshot, settings and key sets.

pub mod endpoints;
pub mod fingerprint;
pub mod key_sets;
pub mod published;
