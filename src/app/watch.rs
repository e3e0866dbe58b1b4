//! Watches the folders of configuration and directory and has them looked at again when something changes there.
//!
//! Folders and not files, because Kubernetes swaps a `..data` link and editors rename. Where watching fails, a look every
//! half minute is left; it is made in any case.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::reload::Reloader;

/// A file that is still being written changes again within this time.
const SETTLED: Duration = Duration::from_millis(100);
/// However busy the folder is, a look is not put off for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The look that needs no event.
const FALLBACK: Duration = Duration::from_secs(30);

/// Runs until the channel is closed.
pub(super) async fn run(mut reloader: Reloader, tell: mpsc::Sender<()>, mut looks: mpsc::Receiver<()>) {
    let mut watched = Watched::new(tell.clone());
    watched.set(reloader.folders());
    // What has changed since it was read, and before it was watched, nobody will tell.
    let _ = tell.try_send(());
    loop {
        match tokio::time::timeout(FALLBACK, looks.recv()).await {
            Ok(None) => return,
            Ok(Some(())) => settle(&mut looks).await,
            Err(_) => {}
        }
        // Reading and compiling take as long as the directory is large: not on the runtime's thread.
        let looked = tokio::task::spawn_blocking(move || {
            reloader.look();
            reloader
        });
        reloader = match looked.await {
            Ok(reloader) => reloader,
            Err(fault) => {
                tracing::error!(error = %fault, "looking at configuration and directory failed; changes need a restart now");
                return;
            }
        };
        if watched.set(reloader.folders()) {
            let _ = tell.try_send(());
        }
    }
}

/// Waits until nothing has changed for a moment.
async fn settle(looks: &mut mpsc::Receiver<()>) {
    let patience = Instant::now() + PATIENCE;
    while let Ok(Some(())) = timeout_at(patience.min(Instant::now() + SETTLED), looks.recv()).await {
        if Instant::now() >= patience {
            return;
        }
    }
}

/// The folders that are watched now.
struct Watched {
    watcher: Option<RecommendedWatcher>,
    folders: HashSet<PathBuf>,
}

impl Watched {
    fn new(tell: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let only_read = matches!(&event, Ok(event) if event.kind.is_access());
            if !only_read {
                // A full channel means that a look is due already.
                let _ = tell.try_send(());
            }
        });
        let watcher = watcher.map_err(|fault| {
            tracing::warn!(error = %fault, seconds = FALLBACK.as_secs(), "files can't be watched; they are read again every so often");
        });
        Self { watcher: watcher.ok(), folders: HashSet::new() }
    }

    /// Watches these folders and no others; tells whether there is a new one among them.
    fn set(&mut self, folders: Vec<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let wanted: HashSet<PathBuf> = folders.into_iter().collect();
        for gone in self.folders.difference(&wanted) {
            // The folder may be gone itself, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        let mut kept: HashSet<PathBuf> = self.folders.intersection(&wanted).cloned().collect();
        let before = kept.len();
        for new in wanted.difference(&self.folders) {
            match watcher.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    kept.insert(new.clone());
                }
                Err(fault) => tracing::warn!(folder = %new.display(), error = %fault, "the folder can't be watched"),
            }
        }
        let has_new = kept.len() > before;
        self.folders = kept;
        has_new
    }
}
