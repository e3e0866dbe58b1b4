//! Who is at the other end of an accepted connection, as the transport says it.
//!
//! Never reads a header of a request: that a peer speaks for somebody else is judged by `gate`.

use std::net::{IpAddr, SocketAddr};

use crate::access::credential::Fingerprint;

/// The other end of an accepted connection. The address is canonical.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The certificate that was shown and verified; empty where none was.
    pub certificate: Certificate,
}

/// What counts of a client's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// URIs among its subject alternative names (RFC 5280 §4.2.1.6).
    pub san_uris: Box<[Box<str>]>,
    /// What the service accounts are found by that it may speak for: one for each URI, and one for all of it.
    pub names: Box<[Fingerprint]>,
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
        let address = remote.ip().to_canonical();
        Self { address, port: remote.port(), via: PeerVia::Tcp, tls: false, local, certificate: Certificate::default() }
    }

    /// The same connection with the source that a PROXY header names.
    pub fn proxied(self, source: SocketAddr) -> Self {
        Self { address: source.ip().to_canonical(), port: source.port(), via: PeerVia::ProxyProtocol, ..self }
    }

    /// Whether its certificate names exactly this URI. None counts for the source that a PROXY header names: nothing says that
    /// it was there that the certificate was shown.
    pub fn is_named(&self, uri: &str) -> bool {
        self.via == PeerVia::Tcp && self.certificate.san_uris.iter().any(|shown| **shown == *uri)
    }

    /// What its certificate may speak for, with the same exception.
    pub fn certificate_names(&self) -> &[Fingerprint] {
        if self.via == PeerVia::Tcp { &self.certificate.names } else { &[] }
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
        let proxied = peer.clone().proxied("[::ffff:203.0.113.9]:99".parse().unwrap());
        assert_eq!(proxied.address, "203.0.113.9".parse::<IpAddr>().unwrap());
        assert_eq!((proxied.port, proxied.via), (99, PeerVia::ProxyProtocol));
    }

    #[test]
    fn a_certificate_is_the_tcp_peers_own() {
        let peer = Peer::tcp("10.0.0.5:1234".parse().unwrap(), "127.0.0.1:443".parse().unwrap());
        let certificate = Certificate {
            san_uris: ["spiffe://mesh/a".into(), "spiffe://mesh/b".into()].into(),
            names: [Fingerprint([1; 32])].into(),
        };
        let shown = Peer { certificate, ..peer.clone() };
        assert_eq!(shown.certificate_names(), [Fingerprint([1; 32])]);
        assert!(shown.clone().proxied("10.0.0.5:1234".parse().unwrap()).certificate_names().is_empty());
        for (uri, expected) in [
            ("spiffe://mesh/a", true),
            ("spiffe://mesh/b", true),
            ("spiffe://mesh/", false),
            ("spiffe://mesh/a/", false),
            ("spiffe://MESH/a", false),
            ("", false),
        ] {
            assert_eq!(shown.is_named(uri), expected, "{uri}");
            assert!(!peer.is_named(uri), "{uri}");
            assert!(!shown.clone().proxied("10.0.0.5:1234".parse().unwrap()).is_named(uri), "{uri}");
        }
    }
}
