//! What a receipt holds, and its bytes: all receipts are of one length, whatever they tell.
//!
//! Codes, reasons and routes stand there as marks of their text, which gateways of different versions understand alike.

use std::net::{IpAddr, Ipv6Addr};

use super::reasons;
use crate::access::client_address::ClientAddress;
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::access::route::{Route, RouteMatch, RouteTable};
use crate::problem::Code;
use crate::telemetry::access_log::ClientSource;

/// Bytes of a record.
pub(super) const SIZE: usize = 6 + 6 + 1 + 16 + 16 + 12 + 12 + 3 * 4;

const PROXY_PROTOCOL: u8 = 1;
const HEADER: u8 = 2;
const SOURCE: u8 = 3;
const CLIENT: u8 = 1 << 2;
const CREDENTIAL: u8 = 1 << 3;
const ACCOUNT: u8 = 1 << 4;
const AMBIGUOUS: u8 = 1 << 5;
const MATCHED: u8 = 1 << 6;

/// What is known of a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it came, in milliseconds since 1970.
    pub at: u64,
    /// What it was decided on.
    pub revision: u64,
    /// Why it was refused.
    pub code: Code,
    /// What the operator is told besides.
    pub reason: Option<&'static str>,
    /// The client address, where it could be told.
    pub client: Option<ClientAddress>,
    /// How it was derived.
    pub source: ClientSource,
    /// Where the connection came from.
    pub peer: IpAddr,
    /// Whose it was, where that was proven, and the credential's organization.
    pub owner: Option<(CredentialName, Id)>,
    /// The route that it selected.
    pub route: RouteSeen,
}

/// The route that a request selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteSeen {
    /// None.
    NotFound,
    /// Not the same under every reading of its path.
    Ambiguous,
    /// The one with this mark.
    Matched(u32),
}

impl RouteSeen {
    /// What was found for a request.
    pub fn of(found: RouteMatch<'_>) -> Self {
        match found {
            RouteMatch::NotFound => Self::NotFound,
            RouteMatch::Ambiguous => Self::Ambiguous,
            RouteMatch::Matched(route) => Self::Matched(mark_of(route)),
        }
    }

    /// The same among the routes of now; `None` where it is there no more.
    pub fn among(self, routes: &RouteTable) -> Option<RouteMatch<'_>> {
        match self {
            Self::NotFound => Some(RouteMatch::NotFound),
            Self::Ambiguous => Some(RouteMatch::Ambiguous),
            Self::Matched(mark) => routes.iter().find(|route| mark_of(route) == mark).map(RouteMatch::Matched),
        }
    }
}

/// Host, path and methods, by which no two routes are the same.
fn mark_of(route: &Route) -> u32 {
    let host = route.host.as_ref().map(ToString::to_string).unwrap_or_default();
    let methods = route.methods.iter().flat_map(|method| [" ", method]);
    [&host, " ", &route.path].into_iter().chain(methods).fold(START, |mark, part| stir(mark, part.as_bytes()))
}

/// FNV-1a in 32 bits: a short name for one of a few dozen texts, and no secret.
pub(super) const fn mark(text: &str) -> u32 {
    stir(START, text.as_bytes())
}

const START: u32 = 0x811c_9dc5;

const fn stir(mut mark: u32, bytes: &[u8]) -> u32 {
    let mut at = 0;
    while at < bytes.len() {
        mark = (mark ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    mark
}

impl Record {
    /// The same as whoever may see no credential is told it: whether there is one can't be told from it.
    #[must_use]
    pub fn without_owner(self) -> Self {
        Self { owner: None, reason: None, ..self }
    }

    /// Whether the caller was told no more than that its credential is not good, so that nobody else may learn why.
    pub fn is_confidential(&self) -> bool {
        matches!(self.code, Code::InvalidCredentials | Code::RateLimited)
    }

    pub(super) fn to_bytes(&self) -> [u8; SIZE] {
        let Self { at, revision, code, reason, client, source, peer, owner, route } = self;
        let mut flags = match source {
            ClientSource::Peer => 0,
            ClientSource::ProxyProtocol => PROXY_PROTOCOL,
            ClientSource::Header => HEADER,
        };
        flags |= if client.is_some() { CLIENT } else { 0 };
        flags |= match owner {
            None => 0,
            Some((CredentialName { kind: CredentialKind::ApiKey, .. }, _)) => CREDENTIAL,
            Some((CredentialName { kind: CredentialKind::ServiceAccount, .. }, _)) => CREDENTIAL | ACCOUNT,
        };
        let (of_route, route) = match route {
            RouteSeen::NotFound => (0, 0),
            RouteSeen::Ambiguous => (AMBIGUOUS, 0),
            RouteSeen::Matched(mark) => (MATCHED, *mark),
        };
        flags |= of_route;
        let nobody = Id::from_bytes([0; 12]);
        let (credential, organization) = owner.map_or((nobody, nobody), |(name, of)| (name.id, of));
        let mut writer = Writer { bytes: [0; SIZE], at: 0 };
        writer.put(&at.to_be_bytes()[2..]);
        writer.put(&revision.to_be_bytes()[2..]);
        writer.put(&[flags]);
        writer.put(&octets(client.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), ClientAddress::ip)));
        writer.put(&octets(*peer));
        writer.put(credential.as_bytes());
        writer.put(organization.as_bytes());
        writer.put(&mark(code.as_str()).to_be_bytes());
        writer.put(&reason.map_or(0, mark).to_be_bytes());
        writer.put(&route.to_be_bytes());
        writer.bytes
    }

    /// `None` where it is none that this version can read.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [at, revision] = [reader.number::<6>()?, reader.number::<6>()?];
        let [flags] = reader.take::<1>()?;
        let [client, peer] = [reader.take::<16>()?, reader.take::<16>()?];
        let [credential, organization] = [reader.take::<12>()?, reader.take::<12>()?];
        let [code, reason, route] = [(); 3].map(|()| reader.take::<4>().map(u32::from_be_bytes));
        let kind = if flags & ACCOUNT == 0 { CredentialKind::ApiKey } else { CredentialKind::ServiceAccount };
        let name = CredentialName { kind, id: Id::from_bytes(credential) };
        let code = code?;
        Some(Self {
            at,
            revision,
            code: Code::ALL.iter().copied().find(|known| mark(known.as_str()) == code)?,
            reason: Some(reason?).filter(|mark| *mark != 0).map(reasons::find),
            client: (flags & CLIENT != 0).then(|| ClientAddress::new(Ipv6Addr::from(client).into())),
            source: match flags & SOURCE {
                0 => ClientSource::Peer,
                PROXY_PROTOCOL => ClientSource::ProxyProtocol,
                HEADER => ClientSource::Header,
                _ => return None,
            },
            peer: IpAddr::from(Ipv6Addr::from(peer)).to_canonical(),
            owner: (flags & CREDENTIAL != 0).then(|| (name, Id::from_bytes(organization))),
            route: match flags & (MATCHED | AMBIGUOUS) {
                0 => RouteSeen::NotFound,
                AMBIGUOUS => RouteSeen::Ambiguous,
                _ => RouteSeen::Matched(route?),
            },
        })
    }
}

/// An address as IPv6: what is mapped is IPv4 (decision.md §3.5), so that nothing is lost.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

struct Writer {
    bytes: [u8; SIZE],
    at: usize,
}

impl Writer {
    /// The parts together have the length of a record, which a test sees.
    fn put(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        Some(self.take::<N>()?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}
