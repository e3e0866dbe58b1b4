//! Sockets: listening, the PROXY protocol and TLS on both sides.
//!
//! Knows addresses and bytes; never looks at a request, a credential or a list.

pub mod listener;
pub mod peer;
pub mod proxy_protocol;
pub mod tls;
