//! What an entry of an access list admits: one network, or everything that a named set of the organization holds.
//!
//! Its one spelling, such as `203.0.113.0/24` or `set:office`, is what stores, paths, events and people name an entry by:
//! no address begins with `set:`, so that neither can be taken for the other.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::network::{Network, NetworkFault};

/// What a reference to a set begins with.
const SET: &str = "set:";

/// What an entry admits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One network.
    Network(Network),
    /// Everything that a set of the organization holds.
    Set(Arc<str>),
}

impl Target {
    /// The network, where it is one.
    pub fn network(&self) -> Option<Network> {
        match self {
            Self::Network(network) => Some(*network),
            Self::Set(_) => None,
        }
    }

    /// The name of the set, where it is one.
    pub fn set(&self) -> Option<&Arc<str>> {
        match self {
            Self::Network(_) => None,
            Self::Set(name) => Some(name),
        }
    }
}

impl From<Network> for Target {
    fn from(network: Network) -> Self {
        Self::Network(network)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Set(name) => write!(f, "{SET}{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = NetworkFault;

    /// An address, a network, or `set:` and a name. Whether there is such a set is for others to say.
    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        match text.strip_prefix(SET) {
            Some(name) => Ok(Self::Set(name.into())),
            None => text.parse().map(Self::Network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_spelling_is_read_as_what_it_is() {
        for (text, expected) in [
            ("203.0.113.9", "203.0.113.9/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("set:office", "set:office"),
            ("set:10.0.0.0/8", "set:10.0.0.0/8"),
            ("set:set:a", "set:set:a"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), expected);
            assert_eq!(target.set().is_some(), text.starts_with("set:"));
            assert_eq!(target.network().is_none(), target.set().is_some());
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
        assert!("office".parse::<Target>().is_err() && "SET:office".parse::<Target>().is_err());
    }
}
