//! The public keys of foreign token issuers.

/// Key sets by issuer.
#[derive(Debug, Default)]
pub struct KeySets;
