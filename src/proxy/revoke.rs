//! Live revocation: every open exchange is judged again when what it was judged by changes or expires (threats.md L6).
//!
//! Each worker looks through its own list, a batch at a time; no request waits for it, and nothing global is touched. The
//! judgement is the decision's own (`gate::again`); here is only who is asked, when, and what becomes of the refused.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, Uri};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use super::context::{Context, Ending};
use super::ledger::explain;
use super::worker::Worker;
use crate::access::client_address::ClientAddress;
use crate::access::credential::CredentialKind;
use crate::access::decision::Reason;
use crate::access::id::Id;
use crate::clock::Timestamp;
use crate::gate::again::{Asked, Standing};
use crate::gate::judge::host;
use crate::live::published::Current;
use crate::problem::Code;

/// Exchanges that are judged before others have their turn: some tens of microseconds.
const BATCH: usize = 256;

/// What became of one credential's open exchange, for the record of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Whose it was.
    pub credential: (CredentialKind, Id),
    /// The organization that the credential belongs to.
    pub organization: Id,
    /// Where the client was.
    pub client: ClientAddress,
    /// Why it would be refused.
    pub code: Code,
}

/// One open exchange, from before it is judged until it has left through the door.
#[derive(Debug)]
pub(super) struct Open {
    context: Rc<Context>,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    standing: Option<Standing>,
    owner: Option<Owner>,
    /// The publication that it was last judged by.
    generation: u64,
    /// When something ends that it was let through by.
    until: Timestamp,
    revoked: Option<Revoked>,
}

/// Whose an exchange is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) credential: (CredentialKind, Id),
    pub(super) organization: Id,
    pub(super) client: ClientAddress,
}

/// Why it had to end, and by which revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revoked {
    pub(super) code: Code,
    /// What the operator is told besides.
    pub(super) reason: Option<&'static str>,
    pub(super) revision: u64,
}

/// What came of judging once more; a judge that panics has refused (threats.md L6): who can't be judged does not go on.
fn contained(judge: impl FnOnce() -> Result<Timestamp, Reason>) -> Result<Timestamp, (Code, Option<&'static str>)> {
    match catch_unwind(AssertUnwindSafe(judge)) {
        Ok(judged) => judged.map_err(|reason| (Code::from(reason), explain(reason))),
        // The hook has told the log where.
        Err(_panic) => Err((Code::InternalError, Some("judging it again failed by a fault of the gateway itself"))),
    }
}

impl Open {
    pub(super) fn new(context: &Rc<Context>, head: &Parts) -> Self {
        Self {
            context: Rc::clone(context),
            method: head.method.clone(),
            uri: head.uri.clone(),
            host: head.headers.get(HOST).cloned(),
            standing: None,
            owner: None,
            generation: 0,
            until: Timestamp::NEVER,
            revoked: None,
        }
    }

    /// It was let through.
    pub(super) fn stands(&mut self, standing: Standing, owner: Option<Owner>, generation: u64, until: Timestamp) {
        (self.standing, self.owner, self.generation, self.until) = (Some(standing), owner, generation, until);
    }

    /// What was asked for.
    pub(super) fn asked(&self) -> (&Method, &Uri, Option<&HeaderValue>) {
        (&self.method, &self.uri, self.host.as_ref())
    }

    pub(super) fn revoked(&self) -> Option<Revoked> {
        self.revoked
    }

    /// Judges it again where that is due. Returns until when it stands; `None` where it does not, from now on.
    fn judge(&mut self, current: &Current, now: Timestamp) -> Option<Timestamp> {
        let standing = self.standing.as_ref().filter(|_| self.revoked.is_none())?;
        if self.generation >= current.generation && now < self.until {
            return Some(self.until);
        }
        let host = host(&self.uri, self.host.as_ref());
        let asked = Asked { host, method: self.method.as_str(), path: self.uri.path() };
        match contained(|| standing.decide(current, asked, now)) {
            Ok(until) => {
                (self.generation, self.until) = (current.generation, until);
                Some(until)
            }
            Err((code, reason)) => {
                let revision = current.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision());
                self.revoked = Some(Revoked { code, reason, revision });
                None
            }
        }
    }
}

/// When a worker looks through its list.
#[derive(Debug)]
pub(super) struct Revoker {
    due: Notify,
    /// The publication that all exchanges have been judged by.
    judged: Cell<u64>,
    /// When the first of them has to be judged again, whatever is published.
    next: Cell<Timestamp>,
    told: Option<Sender<Revocation>>,
}

impl Revoker {
    pub(super) fn new(told: Option<Sender<Revocation>>) -> Self {
        Self { due: Notify::new(), judged: Cell::new(0), next: Cell::new(Timestamp::NEVER), told }
    }

    /// Something that an exchange was let through by ends then.
    pub(super) fn expires(&self, at: Timestamp) {
        if at < self.next.get() {
            self.next.set(at);
        }
    }

    /// Begins a look where one is due. Asked on every tick.
    pub(super) fn tick(&self, generation: u64, now: Timestamp) {
        if generation != self.judged.get() || now >= self.next.get() {
            self.due.notify_one();
        }
    }
}

/// Looks through the worker's exchanges whenever that is due.
pub(super) async fn run(worker: Rc<Worker>) {
    loop {
        worker.revoker.due.notified().await;
        look(&worker).await;
    }
}

async fn look(worker: &Worker) {
    let (current, now) = (worker.current(), worker.wall.now());
    // What is opened meanwhile is judged by this value or a later one, and tells its own end.
    worker.revoker.next.set(Timestamp::NEVER);
    let mut from = 0;
    while from < worker.exchanges.borrow().capacity() {
        for at in from..from + BATCH {
            let mut exchanges = worker.exchanges.borrow_mut();
            let Some(open) = exchanges.get_mut(at) else { continue };
            if let Some(until) = open.judge(&current, now) {
                worker.revoker.expires(until);
                continue;
            }
            let Some(revoked) = open.revoked.filter(|_| open.standing.take().is_some()) else { continue };
            let (context, owner) = (Rc::clone(&open.context), open.owner);
            // Ending it may take it off the list.
            drop(exchanges);
            end(worker, &context, owner, revoked);
        }
        from += BATCH;
        tokio::task::yield_now().await;
    }
    worker.revoker.judged.set(current.generation);
}

fn end(worker: &Worker, context: &Context, owner: Option<Owner>, revoked: Revoked) {
    let code = revoked.code;
    worker.stripe.revoked(code);
    if code == Code::InternalError {
        worker.stripe.panicked();
    }
    context.end_soon(Ending::Revoked(code));
    if let (Some(told), Some(Owner { credential, organization, client })) = (&worker.revoker.told, owner) {
        // Where nobody keeps up with the record, the log and the metric have it all the same.
        let _ = told.try_send(Revocation { credential, organization, client, code });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l6_a_judge_that_panics_has_refused_and_the_next_is_asked() {
        let stands = |until| contained(|| Ok(Timestamp::from_unix_seconds(until)));
        let refused = |why| contained(|| Err(Reason::InvalidCredentials(why)));
        let fault = contained(|| panic!("as a test wants it"));
        assert_eq!(fault.map_err(|(code, reason)| (code, reason.is_some())), Err((Code::InternalError, true)));
        assert_eq!(stands(7), Ok(Timestamp::from_unix_seconds(7)));
        assert_eq!(refused("it is gone"), Err((Code::InvalidCredentials, Some("it is gone"))));
    }
}
