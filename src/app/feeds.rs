//! The job that reads the lists of network sets that have a source: on the admin runtime, in the gateway that holds the store.
//!
//! Never writes anything by itself: what it has read goes to `control`, which takes it, holds it or keeps what there was. Asks
//! only hosts and reads only files that the configuration allows at that moment, and connects to no address of somebody's own
//! network unless the configuration says so of the host (threats.md S1 to S3).

mod file;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Chain;
use crate::access::feed::{Origin, Source};
use crate::access::network::Network;
use crate::config::settings::{FeedAddress, Feeds};
use crate::control::{Control, DueFeed, Fault, FeedFault, NO_FILES, Settled};
use crate::directory::provider_list;
use crate::live::published::Published;
use crate::net::fetch::Fetcher;
use crate::telemetry::metrics::Metrics;

/// How often it is looked whether a source is due, where nobody says that one is.
const TICK: Duration = Duration::from_secs(5);
/// Lists that are read at a time.
const AT_ONCE: usize = 2;
/// Most bytes of a list: those of Azure have some four million.
const LARGEST: usize = 8 << 20;

/// The job.
pub(super) struct Refresh {
    control: Arc<Control>,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    /// The store could not be asked the last time, and that was told.
    is_told: bool,
}

impl Refresh {
    pub(super) fn new(control: &Arc<Control>, published: &Arc<Published>, metrics: &Arc<Metrics>) -> Self {
        let (control, published, metrics) = (Arc::clone(control), Arc::clone(published), Arc::clone(metrics));
        Self { control, published, metrics, is_told: false }
    }

    /// Runs until it is dropped, or the store is closed.
    pub(super) async fn run(mut self) {
        loop {
            match self.round().await {
                // There may be more.
                Ok(true) => self.is_told = false,
                Ok(false) => {
                    self.is_told = false;
                    self.pause().await;
                }
                Err(Fault::Stopping) => return,
                // Another process has the store, and reads the lists.
                Err(Fault::Succeeded) => self.pause().await,
                Err(fault) => {
                    if !std::mem::replace(&mut self.is_told, true) {
                        tracing::warn!(error = %Chain(&fault), "lists of network sets are not read while the store can't be used");
                    }
                    tokio::time::sleep(TICK).await;
                }
            }
        }
    }

    async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = self.control.feeds_wished() => {}
        }
    }

    /// Reads what is due; tells whether anything was.
    async fn round(&self) -> Result<bool, Fault> {
        let due = self.control.begin_feeds(AT_ONCE).await?;
        let is_any = !due.is_empty();
        let feeds = &self.published.current().settings.feeds;
        let mut reading = JoinSet::new();
        for one in due {
            let feeds = feeds.clone();
            reading.spawn(async move {
                let list = read(&feeds, &one.source).await;
                (one, list)
            });
        }
        while let Some(read) = reading.join_next().await {
            // One that panicked is due again later.
            let Ok((due, list)) = read else { continue };
            let settled = self.control.settle_feed(due.clone(), list).await?;
            self.tell(&due, &settled);
        }
        let sums = self.control.feed_sums().await?;
        self.metrics.feeds_seen((sums.count, sums.held, sums.overdue), sums.oldest);
        Ok(is_any)
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
async fn read(feeds: &Feeds, source: &Source) -> Result<Vec<Network>, FeedFault> {
    let bytes = match &source.origin {
        Origin::Url(url) => fetched(feeds, url).await?,
        Origin::File(name) => {
            let folder = feeds.files.clone().ok_or_else(|| fault("allowed", NO_FILES))?;
            let name = name.clone();
            let reading = tokio::task::spawn_blocking(move || file::read(&folder, &name, LARGEST));
            let read = tokio::time::timeout(feeds.timeout, reading).await;
            match read.map_err(|_| fault("fetch", "reading the file takes too long"))? {
                Ok(read) => read.map_err(|why| fault("fetch", why.to_string()))?,
                Err(_) => return Err(fault("fetch", "reading the file failed")),
            }
        }
    };
    let (form, wanted) = (source.form, source.wanted.clone());
    // Large ones take a while, and requests of the admin API do not wait for them.
    let judging = tokio::task::spawn_blocking(move || {
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
