//! Every change of the directory, and every look at it that is not a request's.
//!
//! A change goes through one function, `commit`: rights, domain rules and guards are asked within one transaction; what it
//! changes is compiled before it is stored; and it is enforced here before it is answered. Never speaks HTTP or SQL.

mod access_lists;
mod activity;
mod actor;
mod api_keys;
mod apply;
mod audit;
mod bootstrap;
mod brought;
mod change;
mod commit;
mod credentials;
mod deeds;
mod draw;
mod events;
mod explain;
mod feeds;
mod guards;
mod import;
mod network_sets;
mod organizations;
mod passwords;
mod people;
mod projects;
mod receipts;
mod recent_use;
mod recovery;
mod refusals;
mod refused_calls;
mod rehearsal;
mod reporting;
mod revocations;
mod rights;
mod roles;
mod service_accounts;
mod sign_in;
mod signing;
mod single_sign_on;
mod succession;
mod switch;
mod throttle;
mod tokens;
mod usage;

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::config::settings::SingleSignOn;
use crate::directory::sqlite::{CompileFault, Reader, Rows, Store, StoreFault};
use crate::live::published::Published;
use crate::problem::{Code, Refusal};
use crate::telemetry::activity::Activity;
use crate::telemetry::refusals::Refusals;

pub use access_lists::{EntryEdit, Listed, ListedEntry, NewEntry};
pub use actor::{Actor, ActorKind};
pub use api_keys::{NewKey, NewSecret, ShownOnce};
pub use apply::{Application, Applied};
pub use audit::event_names;
pub use bootstrap::{Begun, Bootstrap, BootstrapFault, KEY_VARIABLE, ORGANIZATION_VARIABLE, OWNER_VARIABLE};
pub use commit::{Committed, SnapshotSeen};
pub use credentials::{Credential, KeyEdit};
pub use deeds::Deed;
pub use feeds::{DueFeed, FeedFailed, FeedFault, HeldCounts, NO_FILES, Settled, SourceEdit, Turns};
pub use guards::Guards;
pub use import::{Added, Count, Feed, Feeder, ImportFault, Imported, LARGEST_IMPORT, Turn, feed, import_into};
pub use network_sets::{NetworkSet, NetworkSetEdit, NewNetworkSet};
pub use organizations::{NewOrganization, OrganizationEdit};
pub use passwords::Password;
pub use people::{Invite, User};
pub use receipts::own_receipt_key;
pub use recovery::{ResetFault, reset_owner};
pub use rehearsal::{Fate, Foreseen, Group, Guarded};
pub use reporting::Reporting;
pub use revocations::EndedExchanges;
pub use rights::GrantedRole;
pub use service_accounts::{AccountEdit, NewAccount, NewClientSecret, ServiceAccount};
pub use sign_in::{NewSession, SESSION_PREFIX};
pub use signing::own_issuer;
pub use single_sign_on::{Leaving, RETURN_PATH, Returning};
pub use switch::Additions;
pub use tokens::{Client, Minted};
pub use usage::{UsageSeen, UsageSource};

/// How much of everything there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of one list, and networks of one set.
    pub entries_per_list: usize,
    /// API keys of one organization.
    pub api_keys_per_organization: u64,
    /// Service accounts of one organization.
    pub service_accounts_per_organization: u64,
    /// Network sets of one organization.
    pub network_sets_per_organization: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_per_list: 200,
            api_keys_per_organization: 500,
            service_accounts_per_organization: 200,
            network_sets_per_organization: 200,
        }
    }
}

/// What changes are held to, and made by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How much there may be.
    pub limits: Limits,
    /// The realm that HA1s are made for with each private key, where Digest is on.
    pub digest_realm: Option<String>,
    /// How often one client may ask for a token from one address, a minute.
    pub tokens_per_minute: u32,
    /// By whom people may be vouched for.
    pub single_sign_on: Option<SingleSignOn>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { limits: Limits::default(), digest_realm: None, tokens_per_minute: 10, single_sign_on: None }
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It may not be, or can't be as it was asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store did not take or give it.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// What the store would hold could not be enforced.
    #[error("the change can't be enforced; nothing was changed")]
    Compile(#[source] CompileFault),
    /// Whoever makes changes has ended.
    #[error("the program is stopping; nothing was changed")]
    Stopping,
    /// Another process takes the store over.
    #[error("another process takes over; nothing was changed")]
    Succeeded,
}

impl From<CompileFault> for Fault {
    fn from(fault: CompileFault) -> Self {
        match fault {
            CompileFault::Store(fault) => Self::Store(fault),
            fault => Self::Compile(fault),
        }
    }
}

impl Fault {
    /// What the caller is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Store(StoreFault::Taken(what)) => {
                Refusal::new(Code::AlreadyExists, format!("Something else has the same {what}; choose another."))
            }
            Self::Store(StoreFault::Unavailable(_)) => Refusal::new(
                Code::StoreUnavailable,
                "The store can't be reached or written at the moment; nothing was changed. Try again.",
            ),
            Self::Stopping => {
                Refusal::new(Code::StoreUnavailable, "The program is stopping; nothing was changed. Try again.")
            }
            Self::Succeeded => {
                Refusal::new(Code::StoreUnavailable, "Another process takes over; nothing was changed. Try again.")
            }
            Self::Store(_) | Self::Compile(_) => {
                Refusal::new(Code::InternalError, "The store failed; nothing was changed.")
            }
        }
    }
}

/// Why the store can't be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// Its content.
    #[error("the store holds what can't be enforced: {0}")]
    Compile(#[from] CompileFault),
    /// The bootstrap variables.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapFault),
    /// No thread for the writer.
    #[error("a thread can't be started; raise the limit of processes")]
    Thread(#[source] std::io::Error),
}

/// Why a store that was opened can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeFault {
    /// No thread for the writer.
    #[error("a thread can't be started; raise the limit of processes")]
    Thread(#[from] std::io::Error),
    /// No keys to sign tokens with.
    #[error("the keys that sign tokens can't be made or read")]
    Keys(#[from] Fault),
}

/// The control plane of one store.
#[derive(Debug)]
pub struct Control {
    desk: Sender<commit::Job>,
    readers: Mutex<Vec<Reader>>,
    path: std::path::PathBuf,
    clock: Clock,
    rules: Arc<Rules>,
    door: sign_in::Door,
    token_throttle: tokens::TokenThrottle,
    issuer: Arc<str>,
    published: Arc<Published>,
    refused: refused_calls::RefusedCalls,
    refusals: Arc<Refusals>,
    activity: Arc<Activity>,
    /// Whoever reads lists has something to do at once.
    feed_wish: tokio::sync::Notify,
    /// Held by the one import that is received or made.
    importing: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever has it foreseen what would come of a change.
    foreseeing: Arc<tokio::sync::Semaphore>,
    /// Hangs up when the store is closed.
    closed: Mutex<Receiver<()>>,
}

/// A store that was read and compiled, and that nobody serves yet.
#[derive(Debug)]
pub struct Opened {
    desk: commit::Desk,
    reader: Reader,
    rules: Rules,
    /// What an empty store was begun with.
    pub begun: Option<Begun>,
}

impl Opened {
    /// Opens the store, begins it where it is empty, and compiles it.
    ///
    /// # Errors
    /// An [`OpenFault`]. The store is as it was.
    pub fn new(path: &Path, rules: Rules, bootstrap: Bootstrap, clock: &Clock) -> Result<Self, OpenFault> {
        let store = Store::open(path, clock.now())?;
        let reader = store.reader()?;
        let mut desk = commit::Desk::new(store, clock.clone())?;
        let begun = match desk.is_empty()? {
            true => Some(bootstrap::begin(&mut desk, &rules, bootstrap)?),
            false => None,
        };
        Ok(Self { desk, reader, rules, begun })
    }

    /// What is enforced from the first request on.
    pub fn snapshot(&self) -> &Arc<crate::access::snapshot::Snapshot> {
        self.desk.snapshot()
    }

    /// Takes changes from now on and publishes them; `told` hears of every snapshot that was published. What is counted of
    /// uses is kept until somebody asks for it to be written. Tokens are made in the name of `issuer`.
    ///
    /// # Errors
    /// [`ServeFault`].
    pub fn serve(
        self,
        published: Arc<Published>,
        told: SnapshotSeen,
        usage: UsageSource,
        issuer: &str,
    ) -> Result<Arc<Control>, ServeFault> {
        let Self { mut desk, reader, rules, .. } = self;
        let key = desk.commit(Actor::system("start"), &rules, receipts::tend)?.value;
        published.publish_receipt_key(Arc::new(key));
        let (refusals, activity) = (Arc::clone(&usage.refusals), Arc::clone(&usage.activity));
        let (path, clock) = (desk.path().to_owned(), desk.clock().clone());
        let (desk, closed) = desk.serve(Arc::clone(&published), told, usage, (issuer, &rules))?;
        Ok(Arc::new(Control {
            desk,
            readers: Mutex::new(vec![reader]),
            path,
            clock,
            token_throttle: tokens::TokenThrottle::new(rules.tokens_per_minute),
            door: sign_in::Door::new(rules.single_sign_on.clone()),
            rules: Arc::new(rules),
            issuer: issuer.into(),
            published,
            refused: refused_calls::RefusedCalls::default(),
            refusals,
            activity,
            feed_wish: tokio::sync::Notify::new(),
            importing: Arc::default(),
            foreseeing: rehearsal::turns(),
            closed: Mutex::new(closed),
        }))
    }
}

impl Control {
    /// The present second.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads within one view of the store. Waits for no change and holds none up.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(Rows<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let own = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || own.read_now(read));
        reading.await.unwrap_or(Err(Fault::Stopping))
    }

    fn read_now<T>(&self, read: impl FnOnce(Rows<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.path)?,
        };
        let read = reader.view(read);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        read
    }

    /// Changes the directory; see `commit`. Once begun, a change goes through whether or not anybody waits for its answer.
    /// Where the actor only rehearses, nothing is changed.
    async fn change<T: Send + 'static>(
        &self,
        actor: &Actor,
        change: impl FnOnce(&mut change::Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Committed<T>, Fault> {
        if actor.rehearses {
            return self.rehearse(actor, change).await;
        }
        let (actor, rules) = (actor.clone(), Arc::clone(&self.rules));
        self.at_desk(move |desk| desk.commit(actor, &rules, change)).await
    }

    async fn at_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut commit::Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let job: commit::Job = Box::new(move |desk| {
            // Whoever asked may have gone; the change holds all the same.
            let _ = answer.send(work(desk));
        });
        self.desk.send(job).map_err(|_| Fault::Stopping)?;
        answered.await.unwrap_or(Err(Fault::Stopping))
    }
}

#[cfg(test)]
mod tests;
