//! Judges calls of the control plane: the very decision that traffic meets, with the listener's own rule for addresses.
//!
//! Never knows what a caller may do; that is the control plane's to say. Not for the way of a request through the gateway.

use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;

use super::digest::Nonces;
use super::forwarded::derive;
use super::judge::{Judge, Outcome};
use super::throttle::Throttle;
use crate::access::client_address::ClientAddress;
use crate::access::credential::CredentialKind;
use crate::access::decision::{Grant, NoTrace, Reason};
use crate::access::id::Id;
use crate::access::route::{Access, Preflight, Route, RouteTable};
use crate::clock::Clock;
use crate::config::settings::{ClientAddressRule, Gateway};
use crate::live::published::{Current, Published};
use crate::live::usage::Meter;
use crate::net::peer::Peer;
use crate::problem::Code;

/// A credential that was proven and admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Its id.
    pub credential: Id,
    /// API key or service account.
    pub kind: CredentialKind,
    /// Where it calls from.
    pub address: ClientAddress,
}

/// A call that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub code: Code,
    /// Where it came from, where that could be told.
    pub address: Option<ClientAddress>,
    /// Whose call it was, where that was proven.
    pub credential: Option<(CredentialKind, Id)>,
    /// For the operator: what the caller is not told.
    pub reason: String,
    /// What a 401 asks for: one value of `WWW-Authenticate` each.
    pub challenges: Vec<String>,
    /// Seconds after which to try again, where that is known.
    pub retry_after: Option<u32>,
}

/// Judges calls; shared by all connections of the listener.
pub struct CallerJudge {
    published: Arc<Published>,
    rule: ClientAddressRule,
    clock: Clock,
    meter: Meter,
    held: Mutex<Held>,
}

/// What calls are judged on: the published value, with the listener's own settings in place of the gateway's.
struct Held {
    judge: Judge,
    current: Arc<Current>,
    /// The generation of the published value that it was made from.
    generation: u64,
}

impl std::fmt::Debug for CallerJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallerJudge").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl CallerJudge {
    /// Judges by what is published, and by this rule for addresses.
    pub fn new(
        published: Arc<Published>,
        rule: ClientAddressRule,
        clock: Clock,
        nonces: Arc<Nonces>,
        throttle: Arc<Throttle>,
        meter: Meter,
    ) -> Self {
        let current = published.current();
        let held = Held {
            judge: Judge::sharing(nonces).counting(throttle),
            generation: current.generation,
            current: of_listener(&current, &rule),
        };
        Self { published, rule, clock, meter, held: Mutex::new(held) }
    }

    /// Where a call comes from, whatever it presents.
    ///
    /// # Errors
    /// [`Refused`] with `CLIENT_ADDRESS_UNRESOLVED`.
    pub fn address(&self, peer: &Peer, head: &Parts) -> Result<ClientAddress, Refused> {
        let derived = derive(peer, &self.rule, &head.headers, &mut NoTrace);
        derived.client.map_err(|fault| Refused {
            code: Code::ClientAddressUnresolved,
            address: None,
            credential: None,
            reason: fault.as_str().to_owned(),
            challenges: Vec::new(),
            retry_after: None,
        })
    }

    /// Judges a call, which is a use of the credential that makes it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn judge(&self, peer: &Peer, head: &Parts) -> Result<Caller, Refused> {
        self.judged(peer, head, Some(&self.meter))
    }

    /// Judges what a call would be with nothing else in it. Nobody is let in by that, and nothing is counted.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn suppose(&self, peer: &Peer, head: &Parts) -> Result<Caller, Refused> {
        self.judged(peer, head, None)
    }

    fn judged(&self, peer: &Peer, head: &Parts, meter: Option<&Meter>) -> Result<Caller, Refused> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.published.current();
        if published.generation != held.generation {
            (held.generation, held.current) = (published.generation, of_listener(&published, &self.rule));
        }
        let current = Arc::clone(&held.current);
        let now = self.clock.now();
        let verdict = held.judge.judge(&current, peer, head, now, &mut NoTrace);
        let address = verdict.derived.client.ok();
        let stale = matches!(&verdict.outcome, Outcome::Deny(denial) if matches!(denial.reason, Reason::StaleNonce(_)));
        let credential = match &verdict.outcome {
            Outcome::Deny(denial) => denial.credential.map(|(credential, _)| (credential.kind(), credential.id())),
            Outcome::Allow(_) | Outcome::NotReady => None,
        };
        let refuse = |code: Code, reason: String, retry_after: Option<u32>| {
            let challenges = match code.status() {
                401 => held.judge.challenges(&current.settings, now, stale),
                _ => Vec::new(),
            };
            Err(Refused { code, address, credential, reason, challenges, retry_after })
        };
        match verdict.outcome {
            Outcome::Allow(permit) => match permit.grant() {
                Grant::Credential { credential, .. } => {
                    if let Some(meter) = meter {
                        meter.permitted(&permit, now);
                    }
                    Ok(Caller { credential: credential.id(), kind: credential.kind(), address: permit.client() })
                }
                // The one route there is needs a credential.
                Grant::Public => refuse(Code::CredentialsRequired, "no credential was needed".into(), None),
            },
            Outcome::Deny(denial) => {
                let seconds = meter.and_then(|meter| {
                    meter.denied(&denial, now);
                    held.judge.count(&denial, &verdict.derived, &current, now)
                });
                let code = if seconds.is_some() { Code::RateLimited } else { denial.reason.into() };
                refuse(code, format!("{:?}", denial.reason), seconds)
            }
            Outcome::NotReady => refuse(Code::NotReady, "there is no snapshot yet".into(), None),
        }
    }
}

/// The one route of the control plane's listeners: everything needs a credential.
pub fn everything() -> Route {
    Route {
        host: None,
        path: "/".into(),
        methods: Box::default(),
        access: Access::Required,
        require_access_list: false,
        organizations: None,
        preflight: Preflight::Require,
        upgrades: Box::default(),
        upstream: 0,
    }
}

/// Everything needs a credential, whatever the gateway's routes say.
fn of_listener(published: &Current, rule: &ClientAddressRule) -> Arc<Current> {
    let gateway = &published.settings;
    let settings = Gateway {
        client_address: rule.clone(),
        credentials: gateway.credentials.clone(),
        routes: RouteTable::new(vec![everything()]),
        upstreams: Vec::new(),
        limits: gateway.limits,
        timeouts: gateway.timeouts,
        outbound: gateway.outbound,
        receipt_keys: Vec::new(),
        feeds: Default::default(),
    };
    Arc::new(Current { settings: Arc::new(settings), ..published.clone() })
}

#[cfg(test)]
mod tests;
