//! One call for the whole of decision.md §2: client address → route matched → claim → proven → decided.
//!
//! Never waits, never logs, and keeps nothing of a request but the hash of a token that it verified. The proxy and every
//! explanation call the same function; they differ only in who listens to the trace.

use std::sync::Arc;

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Uri};

use super::again::{Carrier, Ground, Proven};
use super::certificate;
use super::claim::{self, Claim};
use super::digest::Nonces;
use super::forwarded::{Derived, derive};
use super::throttle::Throttle;
use super::token::{Origin, TokenFault, Tokens};
use super::trace::{Target, Trace};
use crate::access::client_address::ClientAddress;
use crate::access::decision::{Denial, Permit, Proof, Question, Reason, Supposed, authorize, passes_unproven, suppose};
use crate::access::id::Id;
use crate::access::route::RouteMatch;
use crate::clock::Timestamp;
use crate::config::settings::Gateway;
use crate::live::fingerprint;
use crate::live::published::Current;
use crate::net::peer::Peer;

const ACCESS_CONTROL_REQUEST_METHOD: HeaderName = HeaderName::from_static("access-control-request-method");

/// What was judged of one request. Borrows the published value and nothing of the request.
#[must_use = "a request that was judged is forwarded or refused"]
#[derive(Debug)]
pub struct Verdict<'s, P = Permit<'s>> {
    /// How the client address was derived; its chain is what the upstream is told.
    pub derived: Derived,
    /// What follows.
    pub outcome: Outcome<'s, P>,
    /// What it takes to decide the same once more.
    pub ground: Ground,
}

/// What follows from a judgement.
#[derive(Debug)]
pub enum Outcome<'s, P = Permit<'s>> {
    /// Forward.
    Allow(P),
    /// Refuse.
    Deny(Denial<'s>),
    /// There is no snapshot to decide on yet: 503, never a pass.
    NotReady,
}

/// One worker's judge. It remembers verified tokens and is not shared between threads; the counts of Digest's nonces are.
pub struct Judge {
    tokens: Tokens,
    nonces: Arc<Nonces>,
    /// Who failed how often; `None` where nobody counts.
    throttle: Option<Arc<Throttle>>,
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

impl Judge {
    /// A judge by itself that remembers nothing yet and takes nonces of any age.
    pub fn new() -> Self {
        Self::sharing(Arc::new(Nonces::new(Timestamp::from_unix_seconds(i64::MIN))))
    }

    /// A judge that remembers nothing yet, beside others that a nonce may be used with too.
    pub fn sharing(nonces: Arc<Nonces>) -> Self {
        Self { tokens: Tokens::default(), nonces, throttle: None }
    }

    /// The same, counting failed attempts beside others.
    pub fn counting(self, throttle: Arc<Throttle>) -> Self {
        Self { throttle: Some(throttle), ..self }
    }

    /// One challenge for each scheme that is on (RFC 9110 §11.6.1), each for a header of its own; where only header keys are
    /// on, a challenge that names the header, since every 401 must carry one.
    pub fn challenges(&self, settings: &Gateway, now: Timestamp, stale: bool) -> Vec<String> {
        let credentials = &settings.credentials;
        let legal = |at: &char| !matches!(at, '"' | '\\') && !at.is_control();
        let realm: String = credentials.realm.chars().filter(legal).collect();
        let mut challenges = Vec::new();
        if let Some(digest) = &credentials.digest {
            // First, and each alone in its line: some clients read one line only, or take all lines for one challenge.
            challenges.extend(self.nonces.challenges(digest, now, stale));
        }
        if credentials.basic {
            challenges.push(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
        }
        if credentials.bearer {
            challenges.push(format!("Bearer realm=\"{realm}\""));
        }
        if challenges.is_empty() {
            let header = credentials.headers.first().map_or("authorization", |name| name.as_str());
            challenges.push(format!("ApiKey realm=\"{realm}\", header=\"{header}\""));
        }
        challenges
    }

    /// Judges a request.
    pub fn judge<'s, T: Trace>(
        &self,
        current: &'s Current,
        peer: &Peer,
        head: &Parts,
        now: Timestamp,
        trace: &mut T,
    ) -> Verdict<'s> {
        let prove = |client: ClientAddress, trace: &mut T| {
            let claim = claim::read(&head.headers, &current.settings.credentials);
            trace.claim(&claim);
            let carried = self.prove(claim, client, current, head, now, trace);
            let (proof, proven) = certificate::joined(peer, current, carried);
            trace.proof(&proof);
            (proof, proven)
        };
        judge(current, peer, head, now, trace, prove, authorize)
    }

    /// Counts a denial where it is a failed attempt to prove a credential. Where there were too many before it from the same
    /// address (threats.md L8), the seconds after which another one is within the budget: it is answered as too many.
    ///
    /// One that was not verified is answered so and not counted: nobody knows whether it would have failed, and who goes on
    /// asking would never be let in again.
    pub fn count(&self, denial: &Denial<'_>, derived: &Derived, current: &Current, now: Timestamp) -> Option<u32> {
        let Reason::InvalidCredentials(why) = denial.reason else { return None };
        let budget = current.settings.limits.clients.failed_attempts?;
        let (throttle, client) = (self.throttle.as_ref()?, derived.client.ok()?);
        if why == TokenFault::Throttled.as_str() {
            // A second that has begun meanwhile may have worked the debt off.
            return Some(throttle.over(client, budget, now).unwrap_or(1));
        }
        throttle.failed(client, budget, now)
    }

    /// Whether what is expensive to verify is not verified for this address. Asked only for such claims.
    fn is_throttled(&self, client: ClientAddress, current: &Current, now: Timestamp) -> bool {
        let budget = current.settings.limits.clients.failed_attempts;
        let over = |(throttle, budget): (&Arc<Throttle>, _)| throttle.over(client, budget, now);
        self.throttle.as_ref().zip(budget).and_then(over).is_some()
    }

    /// Judges a request as if it had proven the credential with this id. No header is read for it, and what may come of it
    /// can't be forwarded.
    pub fn suppose<'s, T: Trace>(
        &self,
        current: &'s Current,
        peer: &Peer,
        head: &Parts,
        credential: Id,
        now: Timestamp,
        trace: &mut T,
    ) -> Verdict<'s, Supposed<'s>> {
        let decide = |question: &Question<'s>, trace: &mut T| suppose(question, credential, trace);
        judge(current, peer, head, now, trace, |_, _| (Proof::Absent, Proven::Nothing), decide)
    }

    fn prove<'s, T: Trace>(
        &self,
        claim: Claim<'_>,
        client: ClientAddress,
        current: &'s Current,
        head: &Parts,
        now: Timestamp,
        trace: &mut T,
    ) -> (Proof<'s>, Proven) {
        let by_key = |fingerprint, carrier| (Proof::Key(fingerprint), Proven::Key(fingerprint, carrier));
        let proof = match claim {
            Claim::Absent => Proof::Absent,
            Claim::Malformed(why) => Proof::Malformed(why),
            Claim::Ambiguous(why) => Proof::Ambiguous(why),
            Claim::HeaderKey(key) => return by_key(fingerprint::of_key(key), Carrier::Header),
            Claim::Basic(fingerprint) => return by_key(fingerprint, Carrier::Basic),
            Claim::Bearer(token) => {
                let issuers = (&*current.keys, current.own.as_deref());
                let may = || !self.is_throttled(client, current, now);
                match self.tokens.verify(token, &current.settings, issuers, now, may) {
                    Ok(subject) => {
                        let fingerprint = subject.fingerprint;
                        let proof = match subject.origin {
                            Origin::Own(id) => Proof::Token { fingerprint, id },
                            Origin::Foreign(at) => Proof::Subject {
                                fingerprint,
                                organizations: &current.settings.credentials.issuers[at].organizations,
                            },
                        };
                        return (proof, Proven::Token(subject));
                    }
                    Err(fault) => Proof::Refused(fault.as_str()),
                }
            }
            Claim::Digest(_) if self.is_throttled(client, current, now) => {
                Proof::Refused(TokenFault::Throttled.as_str())
            }
            Claim::Digest(parameters) => match (&current.settings.credentials.digest, &current.snapshot) {
                (Some(settings), Some(snapshot)) => self.nonces.prove(parameters, settings, snapshot, head, now, trace),
                // No such claim is read where it is off, and nothing is proven without a snapshot.
                _ => Proof::Refused("Digest is not on"),
            },
        };
        match proof {
            Proof::Response(fingerprint) => (proof, Proven::Response(fingerprint)),
            _ => (proof, Proven::Nothing),
        }
    }
}

fn judge<'s, T: Trace, P>(
    current: &'s Current,
    peer: &Peer,
    head: &Parts,
    now: Timestamp,
    trace: &mut T,
    prove: impl FnOnce(ClientAddress, &mut T) -> (Proof<'s>, Proven),
    decide: impl FnOnce(&Question<'s>, &mut T) -> Result<P, Denial<'s>>,
) -> Verdict<'s, P> {
    let settings = &current.settings;
    let derived = derive(peer, &settings.client_address, &head.headers, trace);
    trace.derived(peer, &derived);

    let target = target(head);
    let route = settings.routes.find(target.host, target.method, target.path);
    trace.route(target, route);

    let Some(snapshot) = &current.snapshot else {
        let ground = Ground { preflight: target.preflight, proven: Proven::Nothing };
        return Verdict { derived, outcome: Outcome::NotReady, ground };
    };
    let nothing = (Proof::Absent, Proven::Nothing);
    let (proof, proven) = match (route, derived.client) {
        // The decision refuses before it looks at the proof: no secret need be read for it.
        (_, Err(_)) => nothing,
        (RouteMatch::Matched(route), _) if passes_unproven(route, target.preflight) => {
            trace.unread();
            nothing
        }
        (_, Ok(client)) => prove(client, trace),
    };
    let question = Question { snapshot, client: derived.client, route, preflight: target.preflight, proof, now };
    let outcome = match decide(&question, trace) {
        Ok(permit) => Outcome::Allow(permit),
        Err(denial) => Outcome::Deny(denial),
    };
    Verdict { derived, outcome, ground: Ground { preflight: target.preflight, proven } }
}

/// The host that a request names, by its target and its `Host`; empty where it names none.
///
/// The host of an absolute-form target outranks the header (RFC 9112 §3.2.2); whether the two agree, and that there is one
/// header only, is checked where the connection is served.
pub fn host<'h>(target: &'h Uri, named: Option<&'h HeaderValue>) -> &'h str {
    let named = || named.and_then(|host| host.to_str().ok());
    target.host().or_else(named).unwrap_or_default()
}

/// What a request asks for, as the route table is asked.
pub fn target(head: &Parts) -> Target<'_> {
    Target {
        host: host(&head.uri, head.headers.get(HOST)),
        method: head.method.as_str(),
        path: head.uri.path(),
        preflight: head.method == Method::OPTIONS
            && head.headers.contains_key(ORIGIN)
            && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD),
    }
}

#[cfg(test)]
pub(crate) mod tests;
