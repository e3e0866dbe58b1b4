//! Writes down the steps of a judgement as they are made, in words for an operator.
//!
//! Never writes down a secret: of a credential it tells the carrier, never the content.

use serde::Serialize;

use crate::access::credential::{AccessListMode, Enforcement};
use crate::access::decision::{self, Proof, Step};
use crate::access::list::{Admitted, Nearest};
use crate::access::record::CredentialName;
use crate::access::route::{Access, RouteMatch};
use crate::clock::Timestamp;
use crate::gate::claim::Claim;
use crate::gate::forwarded::{Derived, Trust};
use crate::gate::trace::{DigestStep, Hop, Target, Trace};
use crate::net::peer::Peer;
use crate::problem::Code;

/// One step, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was looked at, in one word of the closed vocabulary.
    pub step: &'static str,
    /// What was found.
    pub found: String,
}

/// Takes the steps of one judgement.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub lines: Vec<Line>,
    /// Names of the organization's network sets, once it is known.
    sets: Vec<String>,
    /// The entry that came nearest, where none admitted the address.
    pub nearest: Option<String>,
    /// The client address was said, and not derived.
    pub address_is_given: bool,
    /// The credential that was looked at, whatever became of it.
    pub credential: Option<CredentialName>,
    /// Whether it was asked which credential the request presents.
    pub looked_up: bool,
    /// The request carries more than one credential.
    several: bool,
    /// Whether a claim was read.
    pub claimed: bool,
    /// The claim is one whose form is looked at with the proof.
    digest: bool,
}

impl Recording {
    pub(super) fn new(address_is_given: bool) -> Self {
        Self { address_is_given, ..Self::default() }
    }

    pub(super) fn note(&mut self, step: &'static str, found: impl Into<String>) {
        self.lines.push(Line { step, found: found.into() });
    }

    fn of_set(&self, set: Option<u32>) -> String {
        match set.and_then(|at| self.sets.get(at as usize)) {
            Some(name) => format!(" of network set `{name}`"),
            None => String::new(),
        }
    }
}

/// At most this much of what a client sent is repeated.
const SHOWN: usize = 80;

/// A client's own bytes, harmless on any terminal.
pub(super) fn shown(bytes: &[u8]) -> String {
    let (bytes, more) = if bytes.len() > SHOWN { (&bytes[..SHOWN], "…") } else { (bytes, "") };
    format!("`{}`{more}", bytes.escape_ascii())
}

impl decision::Trace for Recording {
    const RECORDS: bool = true;

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Found(credential, organization) => {
                self.credential = Some(CredentialName { kind: credential.kind(), id: credential.id() });
                self.sets = organization.sets().iter().map(|set| set.name.to_string()).collect();
                let state = match (credential.enabled(), credential.expires_at()) {
                    (false, _) => ", disabled".to_owned(),
                    (true, Timestamp::NEVER) => String::new(),
                    (true, at) => format!(", valid until {at}"),
                };
                let kind = credential.kind().as_str();
                self.note("credential", format!("{} ({kind}){state}", credential.id()));
                let mode = match organization.mode() {
                    AccessListMode::Off => "does not require access lists",
                    AccessListMode::Report => "reports credentials without an access list",
                    AccessListMode::Required => "requires access lists",
                };
                self.note("organization", format!("{} ({}) {mode}", organization.id(), organization.name()));
                if credential.enforcement() == Enforcement::Report {
                    self.note("enforcement", "the credential's list only reports");
                }
            }
            Step::Listed(Admitted { network, expires_at, set }) => {
                let until =
                    if expires_at == Timestamp::NEVER { String::new() } else { format!(", until {expires_at}") };
                let found = format!("entry {network}{} admits the address{until}", self.of_set(set));
                self.note("access list", found);
            }
            Step::NotListed(nearest) => {
                self.nearest = nearest.map(|Nearest { network, expired_at, set }| match expired_at {
                    Some(at) => format!("{network}{} covers the address but expired at {at}", self.of_set(set)),
                    None => format!("{network}{} comes nearest", self.of_set(set)),
                });
                let found = match &self.nearest {
                    Some(nearest) => format!("no entry admits the address; {nearest}"),
                    None => "no entry admits the address, and none is of its family".to_owned(),
                };
                self.note("access list", found);
            }
            Step::ListEmpty => self.note("access list", "empty"),
            Step::Reported(reason) => {
                self.note("report", format!("{} would refuse, but only reports", Code::from(reason).as_str()));
            }
        }
    }
}

impl Trace for Recording {
    fn peer(&mut self, peer: &Peer, trust: Trust<'_>) {
        if self.address_is_given {
            return;
        }
        let Peer { address, .. } = peer;
        let found = match trust {
            Trust::Listed => format!("{address} is a trusted proxy"),
            Trust::Certified(uri) => format!("{address} is a trusted proxy by its certificate, which names {uri}"),
            Trust::Uncertified(uri) if peer.certificate.san_uris.is_empty() => {
                format!("{address} is not a trusted proxy: no certificate of it names {uri}")
            }
            Trust::Uncertified(uri) => format!("{address} is not a trusted proxy: its certificate does not name {uri}"),
            Trust::Unlisted => format!("{address} is not a trusted proxy"),
        };
        self.note("peer", found);
    }

    fn hop(&mut self, text: &[u8], hop: Hop) {
        let found = match hop {
            Hop::Trusted(address) => format!("{} is trusted proxy {address}; look further left", shown(text)),
            Hop::Client(address) => format!("{} is the client, {address}", shown(text)),
            Hop::Unreadable(fault) => format!("{}: {}", shown(text), fault.as_str()),
        };
        self.note("hop", found);
    }

    fn derived(&mut self, peer: &Peer, derived: &Derived) {
        if self.address_is_given {
            return self.note("client address", format!("{}, as it was given", peer.address));
        }
        match derived.client {
            Ok(client) => self.note("client address", format!("{client}, from {}", derived.source.as_str())),
            Err(fault) => self.note("client address", format!("none: {}", fault.as_str())),
        }
    }

    fn route(&mut self, target: Target<'_>, found: RouteMatch<'_>) {
        let host = if target.host.is_empty() { "any host" } else { target.host };
        let asked = format!("{} {} on {}", target.method, shown(target.path.as_bytes()), shown(host.as_bytes()));
        let found = match found {
            RouteMatch::Matched(route) => {
                let access = match route.access {
                    Access::Public => "is public",
                    Access::Required => "needs a credential",
                };
                let preflight = if target.preflight { ", a CORS preflight" } else { "" };
                format!("{asked} matches route `{}`, which {access}{preflight}", route.path)
            }
            RouteMatch::NotFound => format!("{asked} matches none, which is told only to proven callers"),
            RouteMatch::Ambiguous => format!("{asked} can be read in ways that select different routes"),
        };
        self.note("route", found);
    }

    fn unread(&mut self) {
        self.note("claim", "not read: the route lets this request pass without");
    }

    fn claim(&mut self, claim: &Claim<'_>) {
        self.claimed = true;
        self.several = matches!(claim, Claim::Ambiguous(_));
        self.digest = matches!(claim, Claim::Digest(_));
        let found = match claim {
            Claim::Absent => "no configured header and no enabled scheme carries a credential".to_owned(),
            Claim::Malformed(why) | Claim::Ambiguous(why) => format!("{}: {why}", claim.as_str()),
            _ => claim.as_str().to_owned(),
        };
        self.note("claim", found);
    }

    fn digest(&mut self, step: DigestStep) {
        match step {
            DigestStep::Nonce { issued } => self.note("nonce", format!("of this gateway's key, made at {issued}")),
            DigestStep::Compared => self.looked_up = true,
        }
    }

    fn proof(&mut self, proof: &Proof<'_>) {
        let looks_up = !matches!(
            proof,
            Proof::Absent | Proof::Malformed(_) | Proof::Ambiguous(_) | Proof::Refused(_) | Proof::Stale(_)
        );
        self.looked_up |= looks_up;
        match proof {
            Proof::Key(_) => self.note("proof", "the key's SHA-256 is looked up"),
            Proof::Token { .. } => self.note("proof", "the token is our own; its account and secret are looked up"),
            Proof::Subject { .. } => self.note("proof", "the token is its issuer's; its subject is looked up"),
            Proof::Certificate(_) => {
                self.note("proof", "the peer's certificate names a service account, which is looked up");
            }
            Proof::Response(_) => self.note("proof", "the Digest response is that of the key's HA1"),
            Proof::Refused(why) | Proof::Stale(why) => self.note("proof", *why),
            Proof::Malformed(why) if self.digest => self.note("proof", *why),
            // One of the two is the certificate.
            Proof::Ambiguous(why) if !self.several => self.note("proof", *why),
            Proof::Absent | Proof::Malformed(_) | Proof::Ambiguous(_) => {}
        }
    }
}
