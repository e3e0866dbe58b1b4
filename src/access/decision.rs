//! The one decision: from a derived address, a selected route and a proof to a permit or a denial (decision.md §2).
//!
//! Only [`authorize`] makes a [`Permit`]; forwarding needs one. Explanations come from this very function, by its trace.
//!
//! A permit can't be made by hand:
//! ```compile_fail,E0451
//! use portcullis::access::decision::Permit;
//! fn forge<'s>(real: Permit<'s>) -> Permit<'s> {
//!     let Permit { grant, .. } = real;
//!     Permit { grant, ..real }
//! }
//! ```
//! nor copied:
//! ```compile_fail,E0599
//! use portcullis::access::decision::Permit;
//! fn twice<'s>(permit: Permit<'s>) -> (Permit<'s>, Permit<'s>) {
//!     (permit.clone(), permit)
//! }
//! ```
//! nor made from nothing:
//! ```compile_fail,E0277
//! use portcullis::access::decision::Permit;
//! fn nothing<'s>() -> Permit<'s> {
//!     Default::default()
//! }
//! ```
//! nor used twice:
//! ```compile_fail,E0382
//! use portcullis::access::decision::Permit;
//! fn consume(_: Permit<'_>) {}
//! fn twice(permit: Permit<'_>) {
//!     consume(permit);
//!     consume(permit);
//! }
//! ```

use std::sync::Arc;

use super::client_address::ClientAddress;
use super::credential::{AccessListMode, Credential, Enforcement, Fingerprint, Organization};
use super::id::Id;
use super::list::{Admitted, Nearest};
use super::route::{Access, Route, RouteMatch};
use super::snapshot::Snapshot;
use super::token_id::TokenId;
use crate::clock::Timestamp;

/// Everything that one decision depends on.
#[derive(Debug)]
pub struct Question<'s> {
    /// The one snapshot of this request.
    pub snapshot: &'s Snapshot,
    /// The derived client address, or why there is none.
    pub client: Result<ClientAddress, AddressFault>,
    /// What the route table says.
    pub route: RouteMatch<'s>,
    /// Whether the request is a CORS preflight.
    pub preflight: bool,
    /// What the request proves.
    pub proof: Proof<'s>,
    /// The data plane's present second.
    pub now: Timestamp,
}

/// Why no client address could be derived (decision.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressFault {
    /// A trusted proxy sent something that is no address.
    NotAnAddress,
    /// The header, or an element met on the walk, is empty.
    Empty,
    /// Nothing but trusted addresses, several of them, and no `hops`.
    AllTrusted,
    /// A single-valued header stands twice or holds a list.
    Repeated,
    /// A single-valued header is absent.
    Missing,
    /// More hops or bytes than are walked.
    TooLong,
}

impl AddressFault {
    /// Each of them.
    pub const ALL: [Self; 6] =
        [Self::NotAnAddress, Self::Empty, Self::AllTrusted, Self::Repeated, Self::Missing, Self::TooLong];

    /// For the operator: log and explanation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAnAddress => "a trusted proxy sent something that is not an address",
            Self::Empty => "the forwarding header, or an element of it, is empty",
            Self::AllTrusted => {
                "every address in the forwarding header is a trusted proxy; set `hops` to say how many there are"
            }
            Self::Repeated => "the single-valued client address header is repeated or holds a list",
            Self::Missing => "the trusted proxy did not send the single-valued client address header",
            Self::TooLong => "the forwarding header has more hops or bytes than are walked",
        }
    }
}

/// What a request proves about its sender.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'s> {
    /// No credential was presented.
    Absent,
    /// A carrier that does not parse; the text is for the operator.
    Malformed(&'static str),
    /// More than one credential; the text is for the operator.
    Ambiguous(&'static str),
    /// The SHA-256 of a whole key: whoever can present it holds the key.
    Key(Fingerprint),
    /// A Digest response that has been verified for the credential with this fingerprint: whoever can compute one holds the
    /// key or its HA1.
    Response(Fingerprint),
    /// A token of our own that has been verified; whether it was revoked, the snapshot says.
    Token {
        /// Of the account and the secret that it was made from.
        fingerprint: Fingerprint,
        /// What it is revoked by.
        id: TokenId,
    },
    /// The subject of a foreign token that has been verified.
    Subject {
        /// Of issuer and subject.
        fingerprint: Fingerprint,
        /// The organizations that may use this issuer.
        organizations: &'s [Id],
    },
    /// A client certificate, verified by the handshake, that names the service account with this fingerprint.
    Certificate(Fingerprint),
    /// A token or signature that did not verify; the text is for the operator.
    Refused(&'static str),
    /// A Digest nonce of ours that is too old, or a count that was used before; the text is for the operator.
    Stale(&'static str),
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No client address.
    ClientAddressUnresolved(AddressFault),
    /// A credential is needed and none was presented.
    CredentialsRequired,
    /// A credential header that does not parse.
    MalformedCredentials(&'static str),
    /// More than one credential.
    AmbiguousCredentials(&'static str),
    /// Unknown, wrong, disabled, expired or revoked; the text is for the operator alone.
    InvalidCredentials(&'static str),
    /// As [`Self::InvalidCredentials`], and the client is told to try again with a fresh nonce.
    StaleNonce(&'static str),
    /// The address is on none of the list's unexpired entries.
    IpAddressNotOnAccessList,
    /// The organization requires lists and the credential's is empty.
    OrgRequiresAccessList,
    /// The route requires lists and the credential's is empty.
    ResourceRequiresAccessList,
    /// The route is not for this organization.
    OrgNotAllowedOnRoute,
    /// The credential holds the role `GATEWAY`, which never passes to an upstream.
    InsufficientRole,
    /// Two readings of the path select different routes.
    AmbiguousPath,
    /// No route.
    RouteNotFound,
}

/// The proof that a request may be forwarded. Made by [`authorize`] alone, consumed by forwarding.
#[must_use = "a permit that is not forwarded is a request that got no answer"]
#[derive(Debug)]
pub struct Permit<'s> {
    grant: Grant<'s>,
    route: &'s Route,
    client: ClientAddress,
    would_deny: Option<Reason>,
}

/// The answer to a hypothetical request of a credential whose secret was not presented: it shows what a permit would, and
/// can't be forwarded.
#[derive(Debug)]
pub struct Supposed<'s>(Permit<'s>);

impl<'s> Supposed<'s> {
    /// On what ground the request would pass.
    pub fn grant(&self) -> &Grant<'s> {
        &self.0.grant
    }

    /// The route that it would take.
    pub fn route(&self) -> &'s Route {
        self.0.route
    }

    /// What would have refused it, had that not been set to report.
    pub fn would_deny(&self) -> Option<Reason> {
        self.0.would_deny
    }
}

/// On what ground a request passes.
#[derive(Debug, Clone, Copy)]
pub enum Grant<'s> {
    /// The route is public, or the request is a preflight that the route lets pass.
    Public,
    /// A proven credential.
    Credential {
        /// Who calls.
        credential: &'s Arc<Credential>,
        /// Its organization.
        organization: &'s Arc<Organization>,
        /// The entry that admits the address; `None` where the list is empty or only reports.
        entry: Option<Admitted>,
    },
}

/// A refusal, with all that log and answer need.
#[derive(Debug, Clone, Copy)]
pub struct Denial<'s> {
    /// Why.
    pub reason: Reason,
    /// The address, where one could be derived.
    pub client: Option<ClientAddress>,
    /// Who called, where that was proven; known to be disabled or expired credentials included.
    pub credential: Option<(&'s Arc<Credential>, &'s Arc<Organization>)>,
    /// What the route table said; for the operator alone.
    pub route: RouteMatch<'s>,
}

impl<'s> Permit<'s> {
    /// On what ground it was given.
    pub fn grant(&self) -> &Grant<'s> {
        &self.grant
    }

    /// The route, which names the upstream.
    pub fn route(&self) -> &'s Route {
        self.route
    }

    /// The address that it was given for.
    pub fn client(&self) -> ClientAddress {
        self.client
    }

    /// What would have refused it, had that not been set to report.
    pub fn would_deny(&self) -> Option<Reason> {
        self.would_deny
    }
}

/// One step of a decision, in order.
#[derive(Debug, Clone, Copy)]
pub enum Step<'s> {
    /// A credential was found for the proof.
    Found(&'s Arc<Credential>, &'s Arc<Organization>),
    /// The list admits the address by this entry.
    Listed(Admitted),
    /// The list does not admit the address; the nearest entry, where there is one of its family.
    NotListed(Option<Nearest>),
    /// The list is empty.
    ListEmpty,
    /// A refusal that is only reported.
    Reported(Reason),
}

/// Receives the steps of a decision. The data path's does nothing and costs nothing.
pub trait Trace {
    /// Whether steps that cost something need be made at all.
    const RECORDS: bool;
    /// Takes one step.
    fn step(&mut self, step: Step<'_>);
}

/// The data path's trace.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    const RECORDS: bool = false;
    fn step(&mut self, _: Step<'_>) {}
}

/// Decides one request, in the order of decision.md §2.
///
/// # Errors
/// The [`Denial`], whose reason maps one to one to an error code.
#[inline]
pub fn authorize<'s, T: Trace>(question: &Question<'s>, trace: &mut T) -> Result<Permit<'s>, Denial<'s>> {
    decide(question, || prove(question.snapshot, question.proof), trace)
}

/// Decides a hypothetical request of the credential with this id as if its secret had been presented; the question's proof
/// is not looked at. All else is [`authorize`]'s own code.
///
/// # Errors
/// The [`Denial`] that such a request would get.
pub fn suppose<'s, T: Trace>(question: &Question<'s>, id: Id, trace: &mut T) -> Result<Supposed<'s>, Denial<'s>> {
    let unknown = Reason::InvalidCredentials("no credential has this id");
    let find = || question.snapshot.find_by_id(id).map(|credential| (credential, None)).ok_or(unknown);
    decide(question, find, trace).map(Supposed)
}

#[inline]
fn decide<'s, T: Trace>(
    question: &Question<'s>,
    prove: impl FnOnce() -> Result<Proven<'s>, Reason>,
    trace: &mut T,
) -> Result<Permit<'s>, Denial<'s>> {
    let Question { snapshot, now, .. } = *question;
    let deny = |reason| Denial { reason, client: question.client.ok(), credential: None, route: question.route };

    let client = question.client.map_err(|fault| deny(Reason::ClientAddressUnresolved(fault)))?;
    if let RouteMatch::Matched(route) = question.route
        && passes_unproven(route, question.preflight)
    {
        return Ok(Permit { grant: Grant::Public, route, client, would_deny: None });
    }

    let (credential, issued_for) = prove().map_err(deny)?;
    let organization = snapshot.organization_of(credential);
    let deny = |reason| Denial { credential: Some((credential, organization)), ..deny(reason) };
    trace.step(Step::Found(credential, organization));
    if issued_for.is_some_and(|listed| !listed.contains(&organization.id)) {
        return Err(deny(Reason::InvalidCredentials("the token's issuer is not for the credential's organization")));
    }
    if !credential.enabled {
        return Err(deny(Reason::InvalidCredentials("the credential is disabled")));
    }
    if credential.expires_at <= now {
        return Err(deny(Reason::InvalidCredentials("the credential has expired")));
    }

    let mut would_deny = None;
    let mut entry = None;
    let list = &credential.list;
    if list.is_empty() {
        trace.step(Step::ListEmpty);
        match organization.mode {
            AccessListMode::Required => return Err(deny(Reason::OrgRequiresAccessList)),
            AccessListMode::Report => would_deny = Some(Reason::OrgRequiresAccessList),
            AccessListMode::Off => {}
        }
        if let RouteMatch::Matched(Route { require_access_list: true, .. }) = question.route {
            return Err(deny(Reason::ResourceRequiresAccessList));
        }
    } else {
        entry = list.admits(client, now, &organization.sets);
        match entry {
            Some(admitted) => trace.step(Step::Listed(admitted)),
            None => {
                if T::RECORDS {
                    trace.step(Step::NotListed(list.nearest(client, now, &organization.sets)));
                }
                match credential.enforcement {
                    Enforcement::Enforce => return Err(deny(Reason::IpAddressNotOnAccessList)),
                    Enforcement::Report => would_deny = Some(Reason::IpAddressNotOnAccessList),
                }
            }
        }
    }

    if credential.gateway {
        return Err(deny(Reason::InsufficientRole));
    }
    if let RouteMatch::Matched(route) = question.route
        && !route.admits_organization(organization.id)
    {
        return Err(deny(Reason::OrgNotAllowedOnRoute));
    }
    let route = match question.route {
        RouteMatch::Matched(route) => route,
        RouteMatch::Ambiguous => return Err(deny(Reason::AmbiguousPath)),
        RouteMatch::NotFound => return Err(deny(Reason::RouteNotFound)),
    };
    if let Some(reason) = would_deny {
        trace.step(Step::Reported(reason));
    }
    Ok(Permit { grant: Grant::Credential { credential, organization, entry }, route, client, would_deny })
}

/// Whether nothing is read from the request and nothing proven.
pub fn passes_unproven(route: &Route, preflight: bool) -> bool {
    route.access == Access::Public || preflight && route.preflight == super::route::Preflight::Pass
}

/// A credential, and the organizations that may use such a proof where not all may.
type Proven<'s> = (&'s Arc<Credential>, Option<&'s [Id]>);

/// The credential that the proof stands for.
#[inline]
fn prove<'s>(snapshot: &'s Snapshot, proof: Proof<'s>) -> Result<Proven<'s>, Reason> {
    let (fingerprint, issued_for) = match proof {
        Proof::Absent => return Err(Reason::CredentialsRequired),
        Proof::Malformed(why) => return Err(Reason::MalformedCredentials(why)),
        Proof::Ambiguous(why) => return Err(Reason::AmbiguousCredentials(why)),
        Proof::Refused(why) => return Err(Reason::InvalidCredentials(why)),
        Proof::Stale(why) => return Err(Reason::StaleNonce(why)),
        Proof::Key(fingerprint) | Proof::Response(fingerprint) | Proof::Certificate(fingerprint) => (fingerprint, None),
        Proof::Token { id, .. } if snapshot.is_revoked(&id) => {
            return Err(Reason::InvalidCredentials("the token was revoked"));
        }
        Proof::Token { fingerprint, .. } => (fingerprint, None),
        Proof::Subject { fingerprint, organizations } => (fingerprint, Some(organizations)),
    };
    let unknown = Reason::InvalidCredentials("no credential has this secret, token subject or certificate");
    snapshot.find(&fingerprint).map(|credential| (credential, issued_for)).ok_or(unknown)
}

#[cfg(test)]
mod tests;
