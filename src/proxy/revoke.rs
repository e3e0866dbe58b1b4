//! Live revocation: every open exchange is judged again when what it was judged by changes or expires (threats.md L6).
//!
//! Each worker looks through its own list, a batch at a time; no request waits for it, and nothing global is touched. The
//! judgement is the decision's own (`gate::again`); here is only who is asked, when, and what becomes of the refused.

use std::cell::Cell;
use std::rc::Rc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, Uri};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use super::context::{Context, Ending};
use super::worker::Worker;
use crate::access::client_address::ClientAddress;
use crate::access::credential::CredentialKind;
use crate::access::decision::Reason;
use crate::access::id::Id;
use crate::clock::Timestamp;
use crate::gate::again::{Asked, Standing};
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
#[derive(Debug, Clone, Copy)]
pub(super) struct Revoked {
    pub(super) reason: Reason,
    pub(super) revision: u64,
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
        let named = self.host.as_ref().and_then(|host| host.to_str().ok());
        let asked = Asked {
            host: self.uri.host().or(named).unwrap_or_default(),
            method: self.method.as_str(),
            path: self.uri.path(),
        };
        match standing.decide(current, asked, now) {
            Ok(until) => {
                (self.generation, self.until) = (current.generation, until);
                Some(until)
            }
            Err(reason) => {
                let revision = current.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision());
                self.revoked = Some(Revoked { reason, revision });
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
    let code = Code::from(revoked.reason);
    worker.stripe.revoked(code);
    context.end_soon(Ending::Revoked(code));
    if let (Some(told), Some(Owner { credential, organization, client })) = (&worker.revoker.told, owner) {
        // Where nobody keeps up with the record, the log and the metric have it all the same.
        let _ = told.try_send(Revocation { credential, organization, client, code });
    }
}
