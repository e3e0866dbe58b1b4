//! Organizations, projects and keys in bulk: one transaction, one revision, all or nothing.
//!
//! An import adds, and never changes or removes what is there: what is there already and the same is passed over, what is there
//! and different is a conflict. First everything is compared with the store, so that all conflicts are told at once; then it is
//! written. Goes through `commit` like every change.

mod compared;
mod feed;
mod written;

use std::path::Path;
use std::sync::Arc;

use super::commit::Desk;
use super::rights::Rights;
use super::{Actor, Committed, Control, Fault, Limits, OpenFault, Rules};
use crate::access::id::Id;
use crate::clock::Clock;
use crate::config::diagnostic::{Problem, Problems, Severity};
use crate::directory::bulk::{Bulk, ReceiveFault, receive};
use crate::directory::sqlite::{self, Rows, Store};
use crate::problem::{Code, Refusal};

pub use feed::{Feed, Feeder, feed};

/// Most bytes of an import.
pub const LARGEST_IMPORT: u64 = 1 << 30;

/// Most faults of an import that are told one by one.
const MOST_TOLD: usize = 1_000;

/// How many of something come, and how many were there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Come with the import.
    pub added: u64,
    /// Are there, and the same.
    pub unchanged: u64,
}

impl Count {
    fn tell(&mut self, is_new: bool) {
        *(if is_new { &mut self.added } else { &mut self.unchanged }) += 1;
    }
}

/// What an import brought, or would bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Organizations.
    pub organizations: Count,
    /// Projects.
    pub projects: Count,
    /// Network sets.
    pub network_sets: Count,
    /// API keys.
    pub keys: Count,
    /// Service accounts.
    pub accounts: Count,
    /// Entries of the lists of those credentials.
    pub entries: Count,
    /// What comes, as far as anybody would read it.
    pub first: Vec<Added>,
}

/// Something that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// `organization`, `project`, `network_set`, `api_key` or `service_account`.
    pub kind: &'static str,
    /// Its id; of a network set that of its organization.
    pub id: Id,
    /// What people call it.
    pub name: String,
}

impl Imported {
    fn comes(&mut self, kind: &'static str, id: Id, name: &str) {
        if self.first.len() < MOST_TOLD {
            self.first.push(Added { kind, id, name: name.to_owned() });
        }
    }
}

/// Something that keeps an import from being made, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The organization or key.
    pub id: Id,
    /// The network set of that organization, where it is about one.
    pub network_set: Option<Arc<str>>,
    /// What is wrong.
    pub message: String,
}

impl Conflict {
    /// With the place in what came.
    fn problem(&self, bulk: &Bulk) -> Problem {
        match &self.network_set {
            None => bulk.problem(self.id, &self.message),
            Some(name) => bulk.problem_of_set(self.id, name, &self.message),
        }
    }
}

/// Hears how many keys were written.
pub type Progress<'p> = &'p mut dyn FnMut(u64);

impl Control {
    /// Refuses whoever owns no organization, before anything is received.
    ///
    /// # Errors
    /// `INSUFFICIENT_ROLE`.
    pub async fn may_import(self: &Arc<Self>, actor: &Actor) -> Result<(), Fault> {
        let actor = actor.clone();
        self.read(move |rows| Rights::of(rows, &actor)?.make_organizations()).await
    }

    /// Waits until no other import is received or made.
    pub async fn turn_to_import(&self) -> Turn {
        Turn { _held: Arc::clone(&self.importing).lock_owned().await }
    }

    /// Adds what is received, or only tells what it would be.
    ///
    /// # Errors
    /// `IMPORT_REFUSED` with every line that is at fault, or another [`Fault`].
    pub async fn import(
        self: &Arc<Self>,
        actor: &Actor,
        turn: Turn,
        input: Feed,
        is_rehearsal: bool,
    ) -> Result<Committed<Imported>, Fault> {
        // The turn goes along with the work, which goes on where whoever asked for it has gone.
        let receiving = tokio::task::spawn_blocking(move || {
            let received = receive(std::io::BufReader::with_capacity(1 << 16, input));
            (received, turn)
        });
        let (received, turn) = receiving.await.map_err(|_| Fault::Stopping)?;
        let bulk = received.map_err(refused)?;
        let (actor, rules) = (actor.clone(), Arc::clone(&self.rules));
        let settings = Arc::clone(&self.published.current().settings);
        if is_rehearsal {
            let now = self.clock.now();
            return self
                .read(move |rows| {
                    let _turn = turn;
                    let plan = compared::plan(rows, &actor, (&rules, Some(&settings.feeds)), &bulk, now)?;
                    let plan = plan.map_err(|conflicts| told(&bulk, &conflicts))?;
                    Ok(Committed { value: plan.imported, revision: rows.revision()?, foreseen: None })
                })
                .await;
        }
        self.at_desk(move |desk| {
            let _turn = turn;
            desk.bulk_commit(actor, &rules, |change| {
                let terms = (change.rules(), Some(&settings.feeds));
                let plan = compared::plan(change.rows(), change.actor(), terms, &bulk, change.now())?;
                let plan = plan.map_err(|conflicts| told(&bulk, &conflicts))?;
                written::write(change, &bulk, plan, &mut |_| {})
            })
        })
        .await
        .inspect(|_| self.wish_feeds())
    }
}

/// The turn of one import. Each holds all that it received in memory: there is one at a time, and the next one begins where
/// this is let go.
#[derive(Debug)]
pub struct Turn {
    _held: tokio::sync::OwnedMutexGuard<()>,
}

/// Why nothing was imported into a store that nobody serves.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// It can't be opened, or somebody serves it.
    #[error(transparent)]
    Open(#[from] OpenFault),
    /// The store does not take it.
    #[error(transparent)]
    Failed(#[from] Fault),
    /// It does not go together with what is there.
    #[error("{0}")]
    Refused(Problems),
}

/// Adds to a store that nobody serves, making it where there is none, or only tells what would be added. The limits of the
/// configuration are not asked, nor what its sets may be fed from: who may write the file may do more than that, and no list is
/// read but from where the configuration of whoever serves the store allows.
///
/// # Errors
/// An [`ImportFault`]; then the store is as it was.
pub fn import_into(
    path: &Path,
    bulk: &Bulk,
    is_rehearsal: bool,
    clock: &Clock,
    progress: Progress<'_>,
) -> Result<Committed<Imported>, ImportFault> {
    let limits = Limits {
        entries_per_list: usize::MAX,
        api_keys_per_organization: u64::MAX,
        service_accounts_per_organization: u64::MAX,
        network_sets_per_organization: u64::MAX,
    };
    let rules = Rules { limits, ..Rules::default() };
    let actor = Actor::system("import");
    let refused = |conflicts: Vec<Conflict>| {
        let problems = conflicts.iter().map(|one| one.problem(bulk));
        ImportFault::Refused(problems.collect::<Problems>().sorted())
    };
    let look = |rows: Rows<'_>| -> Result<_, Fault> {
        Ok((compared::plan(rows, &actor, (&rules, None), bulk, clock.now())?, rows.revision()?))
    };
    let is_there = path.exists();
    // Neither a look nor what is refused makes a file.
    if is_rehearsal || !is_there {
        let (plan, revision) = match is_there {
            true => sqlite::read(path, look)?.ok_or(Fault::Stopping)?,
            false => sqlite::read_blank(clock.now(), look)?,
        };
        let imported = plan.map_err(refused)?.imported;
        if is_rehearsal {
            return Ok(Committed { value: imported, revision, foreseen: None });
        }
    }
    let store = Store::open(path, clock.now()).map_err(OpenFault::from)?;
    let mut desk = Desk::new(store, clock.clone())?;
    // Nobody else writes: this process holds the store's lock.
    let plan = compared::plan(desk.rows(), &actor, (&rules, None), bulk, clock.now())?.map_err(refused)?;
    Ok(desk.bulk_commit(actor.clone(), &rules, |change| written::write(change, bulk, plan, progress))?)
}

fn refused(fault: ReceiveFault) -> Fault {
    match fault {
        ReceiveFault::Broken(fault) => match fault.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>()) {
            Some(refusal) => refusal.clone().into(),
            None => Refusal::new(Code::InvalidJson, "The import ended early; nothing was imported.").into(),
        },
        ReceiveFault::Faulty { problems, more } => {
            let errors = problems.iter().filter(|one| one.severity == Severity::Error);
            faults_in_lines(errors.map(|one| (one.place.line, None, one.message.clone())).collect(), more).into()
        }
    }
}

fn told(bulk: &Bulk, conflicts: &[Conflict]) -> Fault {
    let lines = conflicts.iter().map(|one| {
        let line = bulk.problem(one.id, "").place.line;
        (line, one.network_set.clone(), one.message.clone())
    });
    faults_in_lines(lines.collect(), 0).into()
}

/// Something that is wrong with a line, or with one of the network sets of the organization in it.
type LineFault = (usize, Option<Arc<str>>, String);

/// Each line that is at fault, as far as an answer holds them; `more` of them nobody kept. How many they are is the parameter.
fn faults_in_lines(mut faults: Vec<LineFault>, more: usize) -> Refusal {
    faults.sort();
    faults.dedup();
    let lines = |faults: &[LineFault]| faults.chunk_by(|one, other| one.0 == other.0).count();
    let count = lines(&faults) + more;
    let is_cut = more > 0 || faults.len() > MOST_TOLD;
    faults.truncate(MOST_TOLD);
    let detail = match (count, is_cut) {
        (1, _) => "One line of the import is at fault; nothing was imported.".to_owned(),
        (count, true) => {
            let named = lines(&faults);
            format!(
                "{count} lines of the import are at fault, of which the first {named} are named; nothing was imported."
            )
        }
        (count, false) => format!("{count} lines of the import are at fault; nothing was imported."),
    };
    let place = |line, set: Option<Arc<str>>| match set {
        None => format!("line {line}"),
        Some(name) => format!("line {line} network_sets[{name}]"),
    };
    let fields = faults.into_iter().map(|(line, set, message)| (place(line, set), message));
    Refusal { fields: fields.collect(), ..Refusal::new(Code::ImportRefused, detail).with(count) }
}

#[cfg(test)]
mod tests;
