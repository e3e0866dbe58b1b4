//! Sockets: listening, the PROXY protocol and TLS on both sides; and the one HTTP client.
//!
//! Knows addresses and bytes; never looks at a request, a credential or a list.

pub mod peer;
