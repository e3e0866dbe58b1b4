//! The domain: who a credential is, what its list admits, and the one decision made of both.
//!
//! Pure and synchronous: no I/O, no clock of its own, no serde, no async runtime. Everything above asks it; it asks nobody.

pub mod address_text;
pub mod certificate_name;
pub mod client_address;
pub mod client_id;
pub mod credential;
pub mod decision;
pub mod digest_secret;
pub mod feed;
pub mod id;
pub mod list;
pub mod network;
pub mod record;
pub mod role;
pub mod route;
pub mod snapshot;
pub mod target;
pub mod token_id;
pub mod traffic;
pub mod usage;
