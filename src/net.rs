//! Sockets: listening, the PROXY protocol and TLS on both sides; and the one HTTP client of the jobs.
//!
//! Knows addresses and bytes; never looks at a request, a credential or a list.

pub mod answer;
pub mod fetch;
pub mod inherited;
pub mod linger;
pub mod listener;
pub mod peer;
pub mod proxy_protocol;
pub mod public_address;
pub mod received;
pub mod server;
pub mod tls;
