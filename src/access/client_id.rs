//! What a service account is called: `pcl_sa_id_` and its id.

use std::fmt;
use std::str::FromStr;

use super::id::Id;

/// What a client id begins with.
const PREFIX: &str = "pcl_sa_id_";

/// The id of a service account, as its client presents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(pub Id);

/// A text that is no [`ClientId`]. Does not repeat it: somebody may have written a secret there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id is `{PREFIX}` and 24 hexadecimal characters")]
pub struct ClientIdFault;

impl FromStr for ClientId {
    type Err = ClientIdFault;

    fn from_str(text: &str) -> Result<Self, ClientIdFault> {
        let id = text.strip_prefix(PREFIX).and_then(|hex| hex.parse().ok());
        id.map(Self).ok_or(ClientIdFault)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_and_display_are_inverse_and_anything_else_is_refused() {
        let text = "pcl_sa_id_5f0000000000000000000032";
        assert_eq!(text.parse::<ClientId>().unwrap().to_string(), text);
        for text in ["5f0000000000000000000032", "pcl_sa_id_", "pcl_sa_id_5f", "PCL_SA_ID_5f0000000000000000000032"] {
            assert!(text.parse::<ClientId>().is_err(), "{text}");
        }
    }
}
