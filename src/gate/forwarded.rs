//! Who is the client: from the peer, the rule and the request's headers to one address and the hops that vouch for it.
//!
//! Never reads a header that a trusted peer did not send, never takes an address for a certificate that was asked for, never
//! skips an element that is no address, and never falls back to the hop before it (decision.md §3). Works in bounded time and, up to four hops, without allocating.

mod element;
mod spelling;

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::trace::{Hop, Trace};
use crate::access::client_address::ClientAddress;
use crate::access::decision::AddressFault;
use crate::access::network::Networks;
use crate::config::settings::{AddressHeader, CertifiedProxy, ClientAddressRule};
use crate::net::peer::{Peer, PeerVia};
use element::{Comma, Quoted};

/// `X-Forwarded-For`.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Most hops that are walked. Nobody stands behind sixty-four proxies.
pub const MOST_HOPS: usize = 64;

/// Most bytes that the lines of the header may have together.
pub const MOST_BYTES: usize = 8 * 1024;

/// Where the client address was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressSource {
    /// The TCP peer.
    Peer,
    /// The PROXY protocol header of the connection.
    ProxyProtocol,
    /// The configured header.
    Header,
}

impl AddressSource {
    /// The word for it in the access log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Header => "header",
        }
    }
}

/// What was derived for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The address that the decision is made on, or why there is none.
    pub client: Result<ClientAddress, AddressFault>,
    /// Where it comes from. With a fault: where it should have come from.
    pub source: AddressSource,
    /// The verified hops: the client first, then the trusted proxies, without the peer. Empty where the peer is the client
    /// and where there is a fault.
    pub chain: SmallVec<[IpAddr; 4]>,
    /// Whether the peer is a trusted proxy.
    pub peer_trusted: bool,
}

/// Whether a peer is a trusted proxy, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust<'r> {
    /// It is: its network is listed as it is.
    Listed,
    /// It is: its network is listed with this URI, which its certificate names.
    Certified(&'r str),
    /// It is not: its network is listed with this URI, which its certificate, if any, does not name.
    Uncertified(&'r str),
    /// It is not: no listed network holds it.
    Unlisted,
}

impl Trust<'_> {
    /// Whether its header is believed.
    pub const fn is_trusted(self) -> bool {
        matches!(self, Self::Listed | Self::Certified(_))
    }
}

/// Whether a peer is a trusted proxy.
pub fn trust<'r>(peer: &Peer, rule: &'r ClientAddressRule) -> Trust<'r> {
    if rule.trusted_proxies.contains(peer.address) {
        return Trust::Listed;
    }
    let mut asked = rule.certified_proxies.iter().filter(|proxy| proxy.network.contains(peer.address));
    let Some(CertifiedProxy { san_uri: first, .. }) = asked.clone().next() else { return Trust::Unlisted };
    match asked.find(|proxy| peer.is_named(&proxy.san_uri)) {
        Some(proxy) => Trust::Certified(&proxy.san_uri),
        None => Trust::Uncertified(first),
    }
}

/// Derives the client address. On the walk through the header a network makes a hop trusted only where it is listed as it is:
/// of a hop no certificate was seen.
pub fn derive<T: Trace>(peer: &Peer, rule: &ClientAddressRule, headers: &HeaderMap, trace: &mut T) -> Derived {
    let trusted = trust(peer, rule);
    trace.peer(peer, trusted);
    let peer_trusted = trusted.is_trusted();
    let itself = || Derived {
        client: Ok(ClientAddress::new(peer.address)),
        source: match peer.via {
            PeerVia::Tcp => AddressSource::Peer,
            PeerVia::ProxyProtocol => AddressSource::ProxyProtocol,
        },
        chain: SmallVec::new(),
        peer_trusted,
    };
    if !peer_trusted {
        return itself();
    }
    let walked = match &rule.header {
        AddressHeader::XForwardedFor => walk::<Comma, T>(headers, &X_FORWARDED_FOR, rule, trace),
        AddressHeader::Forwarded => walk::<Quoted, T>(headers, &FORWARDED, rule, trace),
        AddressHeader::Single(name) => single(headers, name, trace).map(Some),
    };
    match walked {
        Ok(None) => itself(),
        Ok(Some(chain)) => Derived {
            // A walk that ends well has met at least the client; without one the peer itself is all that is known.
            client: Ok(ClientAddress::new(chain.first().copied().unwrap_or(peer.address))),
            source: AddressSource::Header,
            chain,
            peer_trusted,
        },
        Err(fault) => {
            Derived { client: Err(fault), source: AddressSource::Header, chain: SmallVec::new(), peer_trusted }
        }
    }
}

/// The client of an address, or of a chain of them, that somebody else's log holds: from the right, the first that is not
/// trusted, and the leftmost where all are.
///
/// # Errors
/// An element that is no address.
pub fn of_log(chain: &[u8], trusted: &Networks) -> Result<IpAddr, AddressFault> {
    let mut rest = chain;
    loop {
        let (before, element) = Comma::split_last(rest);
        let address = Comma::address(element)?;
        match before.filter(|_| trusted.contains(address)) {
            Some(before) => rest = before,
            None => return Ok(address),
        }
    }
}

/// How the elements of a header that is walked are told apart and read.
trait Notation {
    /// Splits the last element off a line: what is left of it, and the element. `None` as what is left: it was the first.
    fn split_last(line: &[u8]) -> (Option<&[u8]>, &[u8]);
    /// The address that an element names.
    fn address(element: &[u8]) -> Result<IpAddr, AddressFault>;
}

/// Walks all lines of a header from the right end. `None` where there is no such header.
fn walk<N: Notation, T: Trace>(
    headers: &HeaderMap,
    name: &HeaderName,
    rule: &ClientAddressRule,
    trace: &mut T,
) -> Result<Option<SmallVec<[IpAddr; 4]>>, AddressFault> {
    let lines = headers.get_all(name);
    if lines.iter().next().is_none() {
        return Ok(None);
    }
    // The whole is measured first: what a proxy passed on at such length was not made by proxies.
    if lines.iter().map(HeaderValue::len).sum::<usize>() > MOST_BYTES {
        return Err(AddressFault::TooLong);
    }
    let mut chain = SmallVec::new();
    for line in lines.iter().rev() {
        let mut rest = Some(line.as_bytes());
        while let Some(line) = rest {
            let (before, element) = N::split_last(line);
            rest = before;
            if chain.len() == MOST_HOPS {
                return Err(AddressFault::TooLong);
            }
            let address = match N::address(element) {
                Ok(address) => address,
                Err(fault) => {
                    trace.hop(element, Hop::Unreadable(fault));
                    return Err(fault);
                }
            };
            chain.push(address);
            // With a known number of proxies, everything to the left of what they wrote is the client's own writing,
            // whatever it says.
            let outermost = rule.hops.is_some_and(|hops| chain.len() == hops.get());
            if outermost || !rule.trusted_proxies.contains(address) {
                trace.hop(element, Hop::Client(address));
                chain.reverse();
                return Ok(Some(chain));
            }
            trace.hop(element, Hop::Trusted(address));
        }
    }
    // Nothing but trusted addresses. A single one was written by the peer itself. Of several, the leftmost may be the
    // writing of a client inside the trusted networks.
    match chain.len() {
        1 => Ok(Some(chain)),
        _ => Err(AddressFault::AllTrusted),
    }
}

/// Reads a header that holds exactly one address.
fn single<T: Trace>(
    headers: &HeaderMap,
    name: &HeaderName,
    trace: &mut T,
) -> Result<SmallVec<[IpAddr; 4]>, AddressFault> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().ok_or(AddressFault::Missing)?.as_bytes();
    let read = if lines.next().is_some() || memchr::memchr(b',', line).is_some() {
        Err(AddressFault::Repeated)
    } else if line.len() > MOST_BYTES {
        Err(AddressFault::TooLong)
    } else {
        Comma::address(line)
    };
    match read {
        Ok(address) => {
            trace.hop(line, Hop::Client(address));
            Ok(SmallVec::from_iter([address]))
        }
        Err(fault) => {
            trace.hop(line, Hop::Unreadable(fault));
            Err(fault)
        }
    }
}

#[cfg(test)]
mod tests;
