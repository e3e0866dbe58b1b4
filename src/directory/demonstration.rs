//! The built-in directory of `portcullis demo`, and of `portcullis serve` without a directory.
//!
//! Its keys are in the source and known to everybody; it is never a default where a directory is named.

use std::sync::Arc;

use super::model::{Admits, Credential, Directory, Entry, Organization};
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::clock::Timestamp;
use crate::live::fingerprint;

/// The whole keys, and what each shows.
pub const DEMONSTRATION_KEYS: [(&str, &str); 4] = [
    ("demokeya.11111111-1111-4111-8111-111111111111", "allowed: its list has this machine's own addresses"),
    ("demokeyb.22222222-2222-4222-8222-222222222222", "refused: its list has 203.0.113.0/24 only"),
    ("demokeyc.33333333-3333-4333-8333-333333333333", "allowed: no list, and its organization requires none"),
    ("demokeyd.44444444-4444-4444-8444-444444444444", "refused: no list, and its organization requires one"),
];

/// Two organizations and the four keys.
pub fn demonstration() -> Directory {
    let local =
        [Network::truncated([127, 0, 0, 0].into(), 8), Some(Network::host(std::net::Ipv6Addr::LOCALHOST.into()))];
    let elsewhere = [Network::truncated([203, 0, 113, 0].into(), 24)];
    let acme = vec![key(0, 0x21, &local), key(1, 0x22, &elsewhere), key(3, 0x24, &[])];
    Directory {
        organizations: vec![
            organization(0x01, "acme", AccessListMode::Required, acme),
            organization(0x02, "open", AccessListMode::Off, vec![key(2, 0x23, &[])]),
        ],
        entries_per_list: super::resolve::ENTRIES_PER_LIST,
    }
}

fn organization(id: u8, name: &str, mode: AccessListMode, credentials: Vec<Credential>) -> Organization {
    Organization {
        id: id_of(id),
        name: Arc::from(name),
        mode,
        secret_hours: None,
        projects: Vec::new(),
        network_sets: Vec::new(),
        credentials,
    }
}

fn key(at: usize, id: u8, networks: &[Option<Network>]) -> Credential {
    let (key, shows) = DEMONSTRATION_KEYS[at];
    let entry =
        |network: &Network| Entry { target: Admits::Network(*network), expires_at: Timestamp::NEVER, comment: None };
    Credential {
        id: id_of(id),
        kind: CredentialKind::ApiKey,
        name: shows.into(),
        public_key: key.split('.').next().map(Into::into),
        fingerprints: vec![fingerprint::of_key(key.as_bytes())],
        digest: Vec::new(),
        account: None,
        digest_of: Vec::new(),
        enabled: true,
        expires_at: Timestamp::NEVER,
        enforcement: Enforcement::Enforce,
        roles: Vec::new(),
        access_list: networks.iter().flatten().map(entry).collect(),
    }
}

/// `5f00000000000000000000xx`.
fn id_of(last: u8) -> Id {
    let mut bytes = [0; 12];
    (bytes[0], bytes[11]) = (0x5f, last);
    Id::from_bytes(bytes)
}
