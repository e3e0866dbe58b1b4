//! What a judgement tells about itself, step by step. The data path listens to none of it and pays for none of it.
//!
//! An explanation is made from these steps alone, so that it can't differ from what decides traffic.

use std::net::IpAddr;

use super::claim::Claim;
use super::forwarded::{Derived, Trust};
use crate::access::decision::{self, AddressFault, NoTrace, Proof};
use crate::access::route::RouteMatch;
use crate::clock::Timestamp;
use crate::net::peer::Peer;

/// What became of one element of the forwarding header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// A trusted proxy: the walk goes on to its left.
    Trusted(IpAddr),
    /// The client: the walk ends.
    Client(IpAddr),
    /// Not an address: the walk ends without one.
    Unreadable(AddressFault),
}

/// What was looked at of a Digest response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestStep {
    /// The nonce is of ours.
    Nonce {
        /// When it was made.
        issued: Timestamp,
    },
    /// The response was computed from an HA1, or from what stands in for one, and compared.
    Compared,
}

/// What a request asks for, as the route table is asked.
#[derive(Debug, Clone, Copy)]
pub struct Target<'h> {
    /// Host, perhaps with a port.
    pub host: &'h str,
    /// Method.
    pub method: &'h str,
    /// Raw path without the query.
    pub path: &'h str,
    /// Whether it is a CORS preflight.
    pub preflight: bool,
}

/// Receives the steps of a judgement, in order; the steps of the decision itself come through [`decision::Trace`].
pub trait Trace: decision::Trace {
    /// It was looked at whether the peer is a trusted proxy.
    fn peer(&mut self, _peer: &Peer, _trust: Trust<'_>) {}
    /// An element of the forwarding header was looked at. From right to left.
    fn hop(&mut self, _text: &[u8], _hop: Hop) {}
    /// The client address was derived.
    fn derived(&mut self, _peer: &Peer, _derived: &Derived) {}
    /// The route table was asked.
    fn route(&mut self, _target: Target<'_>, _found: RouteMatch<'_>) {}
    /// The route needs no credential, and none was read.
    fn unread(&mut self) {}
    /// The credential headers were read.
    fn claim(&mut self, _claim: &Claim<'_>) {}
    /// A Digest response was looked at.
    fn digest(&mut self, _step: DigestStep) {}
    /// The claim was proven, or not.
    fn proof(&mut self, _proof: &Proof<'_>) {}
}

impl Trace for NoTrace {}
