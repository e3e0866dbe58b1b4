//! A network without host bits, the strict spelling of addresses, and plain sets of networks.
//!
//! Never guesses: what is not exactly one legal spelling is refused with the way out (decision.md §3.4, §4).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An IPv4 or IPv6 network: no host bits, and never an IPv4-mapped IPv6 one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

/// Why a text is no address or no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum NetworkFault {
    #[error("`{0}` is not an IP address or network; write it like 203.0.113.9, 203.0.113.0/24 or 2001:db8::/32")]
    NotANetwork(String),
    #[error("`{0}` is not an IP address; write it like 203.0.113.9 or 2001:db8::1")]
    NotAnAddress(String),
    #[error("`{0}` has a zone id, which means nothing outside one machine; leave out everything from `%` on")]
    ZoneId(String),
    #[error("prefix length `{prefix}` of `{text}` is not a whole number from 0 to {most} without leading zeros")]
    Prefix { text: String, prefix: String, most: u8 },
    #[error("network `{given}` has host bits set; did you mean `{meant}`?")]
    HostBits { given: String, meant: Network },
}

/// Longest text that an error repeats.
const SHOWN: usize = 64;

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_default).collect()
}

/// Parses one address strictly: dotted quad or RFC 4291 text, no leading zeros, no short, octal or hexadecimal forms,
/// no zone id, no port. The result is canonical (IPv4-mapped IPv6 becomes IPv4).
///
/// # Errors
/// A [`NetworkFault`] that repeats at most 64 characters of the text.
pub fn parse_address(text: &str) -> Result<IpAddr, NetworkFault> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical()),
        Err(_) if text.contains('%') => Err(NetworkFault::ZoneId(shown(text))),
        Err(_) => Err(NetworkFault::NotAnAddress(shown(text))),
    }
}

impl Network {
    /// The network of exactly one address.
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }

    /// From an address and a prefix length; the host bits are cut off. `None` where the prefix is too long.
    /// A mapped IPv6 network of at least 96 bits becomes the IPv4 network that it is.
    pub fn truncated(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let net = IpNet::new(address, prefix_len).ok()?.trunc();
        if let IpNet::V6(v6) = net
            && prefix_len >= 96
            && let Some(v4) = v6.addr().to_ipv4_mapped()
        {
            return Ipv4Net::new(v4, prefix_len - 96).ok().map(|net| Self(IpNet::V4(net)));
        }
        Some(Self(net))
    }

    /// First address.
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// Last address.
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }

    /// Number of fixed leading bits.
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether it holds exactly one address.
    pub fn is_host(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// Whether it is all of IPv4 or all of IPv6.
    pub fn covers_family(&self) -> bool {
        self.0.prefix_len() == 0
    }

    /// Whether the canonical address lies in it. An IPv4 address never lies in an IPv6 network, nor the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.0, address) {
            (IpNet::V4(net), IpAddr::V4(address)) => net.contains(&address),
            (IpNet::V6(net), IpAddr::V6(address)) => net.contains(&address),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkFault;

    /// Parses an address or a CIDR block, strictly.
    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        let (address_text, prefix_text) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        // `std::net` first: ipnet's own parser takes leading zeros.
        let Ok(address) = address_text.parse::<IpAddr>() else {
            return Err(match text.contains('%') {
                true => NetworkFault::ZoneId(shown(text)),
                false => NetworkFault::NotANetwork(shown(text)),
            });
        };
        let Some(prefix_text) = prefix_text else {
            return Ok(Self::host(address));
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = strict_prefix(prefix_text).filter(|prefix| *prefix <= most);
        let truncated = prefix.and_then(|prefix| Self::truncated(address, prefix));
        let (Some(prefix), Some(network)) = (prefix, truncated) else {
            return Err(NetworkFault::Prefix { text: shown(text), prefix: shown(prefix_text), most });
        };
        let exact = IpNet::new(address, prefix).is_ok_and(|net| net == net.trunc());
        if !exact {
            return Err(NetworkFault::HostBits { given: shown(text), meant: network });
        }
        Ok(network)
    }
}

fn strict_prefix(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

impl From<Ipv4Addr> for Network {
    fn from(address: Ipv4Addr) -> Self {
        Self::host(IpAddr::V4(address))
    }
}

/// A plain set of networks with a quick answer to "is this address in any of them?".
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Networks {
    listed: Vec<Network>,
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Whether any of the networks holds the canonical address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => within(&self.v4, address.to_bits()),
            IpAddr::V6(address) => within(&self.v6, address.to_bits()),
        }
    }

    /// Whether there is no network in it.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The networks as they were given.
    pub fn iter(&self) -> impl Iterator<Item = Network> + '_ {
        self.listed.iter().copied()
    }

    /// Whether all of IPv4 (or all of IPv6) is in it, by one network or by several together.
    pub fn covers_a_family(&self) -> bool {
        self.v4 == [(0, u32::MAX)] || self.v6 == [(0, u128::MAX)]
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let listed: Vec<Network> = networks.into_iter().collect();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in &listed {
            match network.0 {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self { listed, v4: merged(v4, |end| end.checked_add(1)), v6: merged(v6, |end| end.checked_add(1)) }
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.listed).finish()
    }
}

/// Sorts ranges and joins those that overlap or touch; nothing is widened.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some((_, last)) if next(*last).is_none_or(|next| start <= next) => *last = end.max(*last),
            _ => merged.push((start, end)),
        }
    }
    merged
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(start, _)| *start <= address);
    after.checked_sub(1).is_some_and(|at| address <= ranges[at].1)
}

/// The parts that the matcher compiles from.
pub(super) enum Parts {
    V4 { start: u32, prefix_len: u8 },
    V6 { start: u128, prefix_len: u8 },
}

impl Network {
    pub(super) fn parts(&self) -> Parts {
        match self.0 {
            IpNet::V4(net) => Parts::V4 { start: net.network().to_bits(), prefix_len: net.prefix_len() },
            IpNet::V6(net) => Parts::V6 { start: net.network().to_bits(), prefix_len: net.prefix_len() },
        }
    }

    pub(super) fn from_v4(start: u32, prefix_len: u8) -> Self {
        Self(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(start), prefix_len)))
    }

    pub(super) fn from_v6(start: u128, prefix_len: u8) -> Self {
        Self(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(start), prefix_len)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
