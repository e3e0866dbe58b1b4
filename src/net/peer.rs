//! Who is at the other end of an accepted connection, as the transport says it.
//!
//! Never reads a header of a request: that a peer speaks for somebody else is judged by `gate`.

use std::net::{IpAddr, SocketAddr};

/// The other end of an accepted connection. The address is canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The TCP peer, or the source that a trusted peer's PROXY header names; IPv4-mapped IPv6 is IPv4.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Where the address comes from.
    pub via: PeerVia,
    /// Whether TLS was terminated here.
    pub tls: bool,
    /// The address and port that the connection was accepted on.
    pub local: SocketAddr,
}

/// Where a peer's address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerVia {
    /// The TCP connection.
    Tcp,
    /// A PROXY protocol header.
    ProxyProtocol,
}

impl Peer {
    /// A peer whose address is the TCP connection's.
    pub fn tcp(remote: SocketAddr, local: SocketAddr) -> Self {
        Self { address: remote.ip().to_canonical(), port: remote.port(), via: PeerVia::Tcp, tls: false, local }
    }

    /// The same connection with the source that a PROXY header names.
    pub fn proxied(self, source: SocketAddr) -> Self {
        Self { address: source.ip().to_canonical(), port: source.port(), via: PeerVia::ProxyProtocol, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_canonical() {
        let local = "[::]:8080".parse().unwrap();
        let peer = Peer::tcp("[::ffff:10.0.0.5]:1234".parse().unwrap(), local);
        assert_eq!(peer.address, "10.0.0.5".parse::<IpAddr>().unwrap());
        let proxied = peer.proxied("[::ffff:203.0.113.9]:99".parse().unwrap());
        assert_eq!(proxied.address, "203.0.113.9".parse::<IpAddr>().unwrap());
        assert_eq!((proxied.port, proxied.via), (99, PeerVia::ProxyProtocol));
    }
}
