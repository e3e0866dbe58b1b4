//! Why not a `map` of nginx or a prefix tree of HAProxy: both compare key and address as one string.
//!
//! README claims that a caller can choose its address there by writing it behind its key; [`third_party`] shows it with
//! the real programs, and that the gateway refuses the same request.

mod third_party;
