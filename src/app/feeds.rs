//! The job that reads the lists of network sets that have a source: on the admin runtime, in the gateway that holds the store.
//!
//! Never writes anything by itself: what it has read goes to `control`, which takes it, holds it or keeps what there was. Asks
//! only hosts and reads only files that the configuration allows at that moment, and connects to no address of somebody's own
//! network unless the configuration says so of the host (threats.md S1 to S3).

mod file;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};

use super::Chain;
use crate::access::feed::{Origin, Source};
use crate::access::network::Network;
use crate::config::settings::{FeedAddress, Feeds};
use crate::control::{Control, DueFeed, Fault, FeedFault, NO_FILES, Settled, Turns};
use crate::directory::provider_list;
use crate::live::published::Published;
use crate::net::fetch::Fetcher;
use crate::telemetry::metrics::Metrics;

/// How often it is looked whether a source is due, where nobody says that one is.
const TICK: Duration = Duration::from_secs(5);
/// Files that are read at a time. One that can't be read to its end, since it lies on what does not answer, keeps its place.
const FILES_AT_ONCE: usize = 4;
/// Lists that are taken apart at a time: each may take many times its length in memory.
const JUDGED_AT_ONCE: usize = 2;
/// Most bytes of a list: those of Azure have some four million.
const LARGEST: usize = 8 << 20;

type List = Result<Vec<Network>, FeedFault>;

/// The job.
pub(super) struct Refresh {
    control: Arc<Control>,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    turns: Turns,
    reading: JoinSet<List>,
    /// What each of them is.
    under_way: HashMap<Id, DueFeed>,
    room: Room,
    /// The store could not be asked the last time, and that was told.
    is_told: bool,
}

/// What is not done for all lists at a time.
#[derive(Clone)]
struct Room {
    files: Arc<Semaphore>,
    judging: Arc<Semaphore>,
}

impl Refresh {
    pub(super) fn new(control: &Arc<Control>, published: &Arc<Published>, metrics: &Arc<Metrics>) -> Self {
        let (control, published, metrics) = (Arc::clone(control), Arc::clone(published), Arc::clone(metrics));
        let (turns, reading, under_way) = (Turns::default(), JoinSet::new(), HashMap::new());
        let semaphore = |count| Arc::new(Semaphore::new(count));
        let room = Room { files: semaphore(FILES_AT_ONCE), judging: semaphore(JUDGED_AT_ONCE) };
        Self { control, published, metrics, turns, reading, under_way, room, is_told: false }
    }

    /// Runs until it is dropped, or the store is closed.
    pub(super) async fn run(mut self) {
        loop {
            match self.round().await {
                Ok(()) => self.is_told = false,
                Err(Fault::Stopping) => return,
                // Another process has the store, and reads the lists.
                Err(Fault::Succeeded) => tokio::time::sleep(TICK).await,
                Err(fault) => {
                    if !std::mem::replace(&mut self.is_told, true) {
                        tracing::warn!(error = %Chain(&fault), "lists of network sets are not read while the store can't be used");
                    }
                    tokio::time::sleep(TICK).await;
                }
            }
        }
    }

    /// Begins what is due and has room, and waits until something has come of one, or more may be due.
    async fn round(&mut self) -> Result<(), Fault> {
        for due in self.control.begin_feeds(&mut self.turns).await? {
            let (feeds, source) = (self.published.current().settings.feeds.clone(), due.source.clone());
            let room = self.room.clone();
            let task = self.reading.spawn(async move { read(&feeds, &source, &room).await });
            self.under_way.insert(task.id(), due);
        }
        let sums = self.control.feed_sums().await?;
        self.metrics.feeds_seen((sums.count, sums.held, sums.overdue), sums.oldest);
        tokio::select! {
            Some(ended) = self.reading.join_next_with_id() => match ended {
                Ok((task, list)) => self.settle(task, list).await,
                Err(panicked) => self.settle(panicked.id(), Err(fault("list", "the list can't be read"))).await,
            },
            () = tokio::time::sleep(TICK) => Ok(()),
            () = self.control.feeds_wished() => Ok(()),
        }
    }

    async fn settle(&mut self, task: Id, list: List) -> Result<(), Fault> {
        let Some(due) = self.under_way.remove(&task) else { return Ok(()) };
        // Whatever becomes of it, others have its place; where it can't be written, it is due again later.
        self.turns.end(&due);
        let settled = self.control.settle_feed(due.clone(), list).await?;
        self.tell(&due, &settled);
        Ok(())
    }

    fn tell(&self, due: &DueFeed, settled: &Settled) {
        let (organization, set, source) = (due.organization, &*due.name, &due.source);
        match settled {
            Settled::Same | Settled::Gone => tracing::debug!(%organization, set, "nothing new for a network set"),
            Settled::Changed(revision) => {
                tracing::info!(%organization, set, %source, revision, "a network set is what its source says");
            }
            Settled::Held { why, is_new: true } => {
                tracing::warn!(%organization, set, %source, why, "a list is held until somebody confirms it; the network set stays what it was");
            }
            Settled::Held { is_new: false, .. } => tracing::debug!(%organization, set, "a list is held still"),
            Settled::Failed(failed) => {
                self.metrics.feed_failed(failed.reason);
                let (fault, failures) = (&failed.told, failed.failures);
                tracing::warn!(%organization, set, %source, fault, failures, "no fresh list; the network set stays what it was");
            }
        }
    }
}

fn fault(reason: &'static str, told: impl Into<String>) -> FeedFault {
    FeedFault { reason, told: told.into() }
}

/// The networks of a list.
async fn read(feeds: &Feeds, source: &Source, room: &Room) -> List {
    let bytes = match &source.origin {
        Origin::Url(url) => fetched(feeds, url).await?,
        Origin::File(name) => {
            let folder = feeds.files.clone().ok_or_else(|| fault("allowed", NO_FILES))?;
            let (name, files) = (name.clone(), Arc::clone(&room.files));
            let reading = async move {
                // Kept by the thread that reads, however long that takes: it can't be ended.
                let place = files.acquire_owned().await.ok();
                let read = tokio::task::spawn_blocking(move || {
                    let _place = place;
                    file::read(&folder, &name, LARGEST)
                });
                read.await
            };
            let read = tokio::time::timeout(feeds.timeout, reading).await;
            match read.map_err(|_| fault("fetch", "reading the file takes too long"))? {
                Ok(read) => read.map_err(|why| fault("fetch", why.to_string()))?,
                Err(_) => return Err(fault("fetch", "reading the file failed")),
            }
        }
    };
    let (form, wanted) = (source.form, source.wanted.clone());
    // Nobody closes it.
    let place = Arc::clone(&room.judging).acquire_owned().await.ok();
    // Large ones take a while, and requests of the admin API do not wait for them.
    let judging = tokio::task::spawn_blocking(move || {
        let _place = place;
        let text = String::from_utf8(bytes).map_err(|_| fault("list", "the list is no text"))?;
        provider_list::read(&text, form, &wanted).map_err(|why| fault("list", why.without_content()))
    });
    judging.await.unwrap_or_else(|_| Err(fault("list", "the list can't be read")))
}

async fn fetched(feeds: &Feeds, url: &str) -> Result<Vec<u8>, FeedFault> {
    let address = FeedAddress::parse(url).map_err(|why| fault("allowed", why))?;
    let host = feeds.host_of(&address).map_err(|why| fault("allowed", why))?;
    let failed = |why: crate::net::fetch::FetchFault| {
        // Names and addresses within the operator's network are nothing to owners of organizations.
        tracing::debug!(url, error = %Chain(&why), "a list was not fetched");
        fault("fetch", why.to_string())
    };
    let fetcher = Fetcher::new(None).map_err(failed)?.within(feeds.timeout).up_to(LARGEST);
    let fetcher = if host.internal { fetcher } else { fetcher.of_the_internet() };
    Ok(fetcher.get(&address.uri, None).await.map_err(failed)?.to_vec())
}
