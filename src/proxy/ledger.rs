//! The one door that every request leaves by: one access-log line, one metric, the same outcome in both.
//!
//! A ledger is opened before the request is judged and closed when it is dropped, whatever happened in between: an answer
//! read to its end, a client that went away, a panic.

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use http::request::Parts;
use http::{HeaderValue, Method};

use super::body::Progress;
use super::context::{Context, Ending};
use super::request_id::RequestId;
use super::revoke::{Open, Owner};
use super::upstream::{Endpoint, Upstream};
use crate::access::client_address::ClientAddress;
use crate::access::credential::CredentialKind;
use crate::access::decision::{Denial, Grant, Permit, Reason};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::CredentialName;
use crate::config::settings::Gateway;
use crate::gate::again::{Ground, Standing};
use crate::gate::forwarded::{AddressSource, Derived};
use crate::gate::receipt::{self, Record, RouteSeen};
use crate::gate::{judge, sanity};
use crate::problem::Code;
use crate::telemetry::Outcome;
use crate::telemetry::access_log::{ClientSource, Line};

/// What one request adds up to.
#[derive(Debug)]
pub(super) struct Ledger {
    context: Rc<Context>,
    place: usize,
    started: Instant,
    time: SystemTime,
    id: RequestId,
    /// What a refused request is called in its place.
    receipt: Option<Box<str>>,
    /// Whether the answer has no body whatever it says of one.
    is_head: bool,
    status: u16,
    outcome: Outcome,
    reason: Option<&'static str>,
    stale: bool,
    retry_after: Option<u32>,
    client: Option<ClientAddress>,
    source: ClientSource,
    credential: Option<(CredentialKind, Id)>,
    organization: Option<Id>,
    entry: Option<Network>,
    revision: u64,
    upstream: Option<Rc<Upstream>>,
    /// The one tried last.
    endpoint: Option<Rc<Endpoint>>,
    attempts: u32,
    progress: Option<Rc<Progress>>,
    bytes_out: u64,
    /// What came through a tunnel.
    bytes_in: u64,
    /// How long it took until the protocol was switched: what a tunnel lasts is no measure of anybody's speed.
    switched_after: Option<Duration>,
}

impl Ledger {
    /// Lists the exchange with its worker and starts its clock.
    pub(super) fn open(context: &Rc<Context>, head: &Parts) -> Box<Self> {
        let worker = &context.worker;
        let started = Instant::now();
        worker.ticks.set(started);
        let id = worker.ids.next();
        context.begin(id);
        worker.stripe.exchange_opened();
        let place = worker.exchanges.borrow_mut().insert(Open::new(context, head));
        Box::new(Self {
            context: Rc::clone(context),
            place,
            started,
            time: stamp(),
            id,
            receipt: None,
            is_head: head.method == Method::HEAD,
            status: 0,
            outcome: Outcome::Error(Code::InternalError),
            reason: None,
            stale: false,
            retry_after: None,
            client: None,
            source: ClientSource::Peer,
            credential: None,
            organization: None,
            entry: None,
            revision: 0,
            upstream: None,
            endpoint: None,
            attempts: 0,
            progress: None,
            bytes_out: 0,
            bytes_in: 0,
            switched_after: None,
        })
    }

    pub(super) fn id(&self) -> RequestId {
        self.id
    }

    /// What the client is told that the request is called.
    pub(super) fn told_id(&self) -> &str {
        self.receipt.as_deref().unwrap_or_else(|| self.id.as_str())
    }

    /// Seals what is known of a request that is being refused: that is its id from here on. One that failed keeps the id that
    /// it has, and so does one that an upstream was told of.
    pub(super) fn seal(&mut self, settings: &Gateway) {
        let Outcome::Deny(code) = self.outcome else { return };
        let worker = &self.context.worker;
        let route = match worker.exchanges.borrow().get(self.place) {
            Some(open) => {
                let (method, uri, named) = open.asked();
                RouteSeen::of(settings.routes.find(judge::host(uri, named), method.as_str(), uri.path()))
            }
            None => RouteSeen::NotFound,
        };
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            at: u64::try_from(since.as_millis()).unwrap_or_default(),
            revision: self.revision,
            code,
            reason: self.reason,
            client: self.client,
            source: self.source,
            peer: self.context.peer().address,
            owner: self.credential.map(|(kind, id)| CredentialName { kind, id }).zip(self.organization),
            route,
        };
        let current = worker.current();
        self.receipt = receipt::seal(settings, current.receipt_key.as_deref(), &record).map(Box::from);
    }

    pub(super) fn context(&self) -> &Rc<Context> {
        &self.context
    }

    pub(super) fn client(&self) -> Option<ClientAddress> {
        self.client
    }

    pub(super) fn derived(&mut self, derived: &Derived, revision: u64) {
        self.client = derived.client.ok();
        self.source = match derived.source {
            AddressSource::Peer => ClientSource::Peer,
            AddressSource::ProxyProtocol => ClientSource::ProxyProtocol,
            AddressSource::Header => ClientSource::Header,
        };
        self.revision = revision;
    }

    /// It is let through, on this ground and by this value; it may be judged again by a later one.
    pub(super) fn permitted(&mut self, permit: &Permit<'_>, ground: Ground, generation: u64) {
        let standing = Standing::new(permit.client(), ground);
        let until = standing.until(permit.grant());
        let owner = match permit.grant() {
            Grant::Credential { credential, organization, .. } => Some(Owner {
                credential: (credential.kind(), credential.id()),
                organization: organization.id(),
                client: permit.client(),
            }),
            Grant::Public => None,
        };
        let worker = &self.context.worker;
        if let Some(open) = worker.exchanges.borrow_mut().get_mut(self.place) {
            open.stands(standing, owner, generation, until);
        }
        worker.revoker.expires(until);
        if let Grant::Credential { credential, organization, entry } = permit.grant() {
            self.credential = Some((credential.kind(), credential.id()));
            self.organization = Some(organization.id());
            self.entry = entry.map(|entry| entry.network);
        }
        self.outcome = match permit.would_deny() {
            Some(reason) => Outcome::WouldDeny(reason.into()),
            None => Outcome::Allow,
        };
    }

    pub(super) fn denied(&mut self, denial: &Denial<'_>) {
        if let Some((credential, organization)) = denial.credential {
            self.credential = Some((credential.kind(), credential.id()));
            self.organization = Some(organization.id());
        }
        self.reason = explain(denial.reason);
        self.stale = matches!(denial.reason, Reason::StaleNonce(_));
        self.outcome = Outcome::Deny(denial.reason.into());
    }

    /// There were too many before it: it is to come back after so many seconds.
    pub(super) fn limited(&mut self, seconds: u32, reason: Option<&'static str>) {
        self.outcome = Outcome::Deny(Code::RateLimited);
        self.reason = reason.or(self.reason);
        self.retry_after = Some(seconds);
    }

    /// Seconds after which to try again, where that is known.
    pub(super) fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// When the request came.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Something other than a rule ends the request.
    pub(super) fn failed(&mut self, code: Code, reason: Option<&'static str>) {
        self.outcome = Outcome::Error(code);
        self.reason = reason.or(self.reason);
    }

    /// It was refused by somebody else than the judge.
    pub(super) fn refused(&mut self, code: Code, reason: Option<&'static str>) {
        self.outcome = Outcome::Deny(code);
        self.reason = reason.or(self.reason);
    }

    /// It was answered without the judge.
    pub(super) fn passed(&mut self) {
        self.outcome = Outcome::Allow;
    }

    /// The answer is a switch of protocol.
    pub(super) fn switched(&mut self) {
        self.switched_after = Some(self.started.elapsed());
    }

    /// Why a tunnel ended, for the operator.
    pub(super) fn ended(&mut self, reason: &'static str) {
        self.reason = Some(reason);
    }

    /// Bytes came from the client through a tunnel.
    pub(super) fn received(&mut self, bytes: usize) {
        self.bytes_in += bytes as u64;
    }

    /// Whether the client is to try again with a fresh nonce.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(super) fn goes_to(&mut self, upstream: &Rc<Upstream>) {
        self.upstream = Some(Rc::clone(upstream));
    }

    /// The request is on its way to an endpoint, perhaps not for the first time.
    pub(super) fn tries(&mut self, endpoint: &Rc<Endpoint>) {
        self.endpoint = Some(Rc::clone(endpoint));
        self.attempts += 1;
    }

    pub(super) fn follows(&mut self, progress: Rc<Progress>) {
        self.progress = Some(progress);
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// Whether the answer has no body whatever it says of one (RFC 9110 §9.3.2).
    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }

    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }
}

/// What the operator is told and the client is not.
pub(super) fn explain(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::ClientAddressUnresolved(fault) => Some(fault.as_str()),
        Reason::MalformedCredentials(why)
        | Reason::AmbiguousCredentials(why)
        | Reason::InvalidCredentials(why)
        | Reason::StaleNonce(why) => Some(why),
        _ => None,
    }
}

/// A method as it is logged. What does not look like one may be anything, a key that slipped into the wrong place included
/// (threats.md H6).
fn shown(method: &Method) -> &str {
    let text = method.as_str();
    let is_usual = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if is_usual { text } else { "_OTHER" }
}

/// A host as it is logged: nothing where it is none, for it may hold a user's password.
fn host(value: &HeaderValue) -> &str {
    value.to_str().ok().filter(|text| sanity::is_host(text.as_bytes())).unwrap_or_default()
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let worker = &self.context.worker;
        if std::thread::panicking() {
            self.outcome = Outcome::Error(Code::InternalError);
            self.status = Code::InternalError.status();
            worker.stripe.panicked();
        }
        let listed = worker.exchanges.borrow_mut().try_remove(self.place);
        let revoked = listed.as_ref().and_then(Open::revoked);
        if let Some(revoked) = revoked {
            // Whatever else became of it, this is why.
            self.outcome = match revoked.code {
                Code::InternalError => Outcome::Error(revoked.code),
                code => Outcome::Deny(code),
            };
            self.reason = revoked.reason.or(Some(Ending::Revoked(revoked.code).reason()));
            self.revision = revoked.revision;
        } else if self.context.ending() == Some(Ending::Idle) && self.is_clients() {
            self.outcome = Outcome::Error(Code::RequestTimeout);
            self.reason = Some("the client neither took its answer nor sent its body in time");
        }
        worker.stripe.exchange_closed();
        self.context.end();
        if let Some(progress) = &self.progress {
            progress.answer_ended();
            self.context.watch.wake_body();
        }
        let duration = self.started.elapsed();
        worker.stripe.request(self.outcome, self.switched_after.unwrap_or(duration));
        let Some(listed) = listed else { return };
        self.record(&listed, duration, revoked.is_some());
        // A body that goes on after its answer may be revoked as before.
        if let Some(progress) = self.progress.as_ref().filter(|progress| !progress.is_gone()) {
            progress.stays(worker.exchanges.borrow_mut().insert(listed));
        }
    }
}

impl Ledger {
    /// Whether nobody has said yet how it ended, so that it is the client's affair.
    fn is_clients(&self) -> bool {
        matches!(self.outcome, Outcome::Allow | Outcome::WouldDeny(_)) && self.switched_after.is_none()
    }

    /// Writes the line.
    fn record(&self, listed: &Open, duration: Duration, revoked: bool) {
        // A panic while a line was being written leaves the recorder borrowed; the line is lost, the worker is not.
        let Ok(mut recorder) = self.context.worker.recorder.try_borrow_mut() else { return };
        if let Some(organization) = self.organization {
            recorder.count(organization, self.outcome, self.time + duration, self.switched_after.unwrap_or(duration));
        }
        if !recorder.wants(self.outcome) {
            return;
        }
        let (method, uri, named) = listed.asked();
        recorder.record(&Line {
            time: self.time,
            request_id: self.told_id(),
            method: shown(method),
            host: named.map_or("", host),
            path: uri.path(),
            query: uri.query(),
            status: self.status,
            outcome: self.outcome,
            reason: self.reason,
            duration,
            peer: self.context.peer().address,
            client: self.client.map(ClientAddress::ip),
            source: self.source,
            credential: self.credential,
            organization: self.organization,
            entry: self.entry,
            revision: self.revision,
            upstream: self.upstream.as_ref().map(|upstream| upstream.name()),
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.shown()),
            attempts: self.attempts,
            bytes_in: self.progress.as_ref().map_or(self.bytes_in, |progress| progress.bytes()),
            bytes_out: self.bytes_out,
            revoked,
        });
    }
}

/// When a line was begun. The log is read beside the logs of other machines, whatever clock decisions are made by.
#[expect(clippy::disallowed_methods, reason = "a log line bears the machine's time, in milliseconds")]
fn stamp() -> SystemTime {
    SystemTime::now()
}

/// Records what never became a request: hyper refused it while parsing, or its head came too slowly.
pub(super) fn record_unborn(context: &Context, code: Code, reason: &'static str) {
    let worker = &context.worker;
    worker.stripe.request(Outcome::Error(code), Duration::ZERO);
    let Ok(mut recorder) = worker.recorder.try_borrow_mut() else { return };
    recorder.record(&Line {
        time: stamp(),
        request_id: worker.ids.next().as_str(),
        method: "",
        host: "",
        path: "",
        query: None,
        status: code.status(),
        outcome: Outcome::Error(code),
        reason: Some(reason),
        duration: Duration::ZERO,
        peer: context.peer().address,
        client: None,
        source: ClientSource::Peer,
        credential: None,
        organization: None,
        entry: None,
        revision: 0,
        upstream: None,
        endpoint: None,
        attempts: 0,
        bytes_in: 0,
        bytes_out: 0,
        revoked: false,
    });
}
