//! Watches the folders of configuration and directory and has them looked at again when something changes there.
//!
//! Folders and not files, because Kubernetes swaps a `..data` link and editors rename. Where watching fails, a look every
//! half minute is left; it is made in any case, and costs nothing while nothing has changed.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::reload::{Interest, Look, Looked, Reloader};

/// A file that is still being written changes again within this time.
const SETTLED: Duration = Duration::from_millis(100);
/// However busy the folder is, a look is not put off for longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The look that needs no event.
const FALLBACK: Duration = Duration::from_secs(30);

/// Runs until the channel is closed.
pub(super) async fn run(reloader: Reloader, tell: mpsc::Sender<Look>, mut looks: mpsc::Receiver<Look>) {
    let mut watched = Watched::new(tell.clone());
    // What changed between the first reading and the first watching shows by a look.
    let mut news = watched.set(reloader.interest());
    // Behind a lock and not handed to and fro, so that a look that fails does not take the reloader with it.
    let reloader = Arc::new(Mutex::new(reloader));
    loop {
        let look = match news {
            true => Look::IfTouched,
            false => match tokio::time::timeout(FALLBACK, looks.recv()).await {
                Ok(None) => return,
                Ok(Some(look)) => settle(look, &mut looks).await,
                Err(_) => Look::IfTouched,
            },
        };
        // Reading and compiling take as long as the directory is large: not on the runtime's thread.
        let handed = Arc::clone(&reloader);
        let looked = tokio::task::spawn_blocking(move || {
            let mut reloader = handed.lock().unwrap_or_else(PoisonError::into_inner);
            let looked = reloader.look(look);
            (looked, reloader.interest())
        });
        news = match looked.await {
            Ok((looked, interest)) => {
                if looked == Looked::Unsettled {
                    // A full channel means that a look is due already.
                    let _ = tell.try_send(look);
                }
                watched.set(interest)
            }
            // The program stops.
            Err(fault) if fault.is_cancelled() => return,
            Err(fault) => {
                tracing::error!(error = %fault, "looking at configuration and directory failed; the last good state stays");
                false
            }
        };
    }
}

/// Waits until nothing has changed for a moment.
async fn settle(first: Look, looks: &mut mpsc::Receiver<Look>) -> Look {
    let patience = Instant::now() + PATIENCE;
    let mut look = first;
    while let Ok(Some(more)) = timeout_at(patience.min(Instant::now() + SETTLED), looks.recv()).await {
        if more == Look::Thorough {
            look = more;
        }
        if Instant::now() >= patience {
            break;
        }
    }
    look
}

/// The folders that are watched now.
struct Watched {
    watcher: Option<RecommendedWatcher>,
    interest: Arc<Mutex<Interest>>,
    /// Each under one of its names: the system has one watch for a folder, and to let go of it by one name would end it for
    /// the others.
    folders: HashMap<Identity, PathBuf>,
    /// What was removed or renamed since the last look. The watch of a folder ends by that, also where the folder comes back.
    gone: Arc<Mutex<HashSet<PathBuf>>>,
}

/// A folder, whatever it is called. One that was removed and made again is another one; it may get the number of the former.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(folder: &Path) -> Option<Identity> {
    let about = std::fs::metadata(folder).ok()?;
    Some((about.dev(), about.ino(), about.created().ok()))
}

impl Watched {
    fn new(tell: mpsc::Sender<Look>) -> Self {
        let interest = Arc::new(Mutex::new(Interest::default()));
        let gone = Arc::new(Mutex::new(HashSet::new()));
        let (known, ended) = (Arc::clone(&interest), Arc::clone(&gone));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = match &event {
                Ok(event) if event.kind.is_access() => false,
                Ok(event) if event.paths.is_empty() => true,
                Ok(event) => {
                    if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
                        ended.lock().unwrap_or_else(PoisonError::into_inner).extend(event.paths.iter().cloned());
                    }
                    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    event.paths.iter().any(|path| known.concerns(path))
                }
                // Events were lost.
                Err(_) => true,
            };
            if matters {
                // A full channel means that a look is due already.
                let _ = tell.try_send(Look::IfTouched);
            }
        });
        let watcher = watcher.map_err(|fault| {
            tracing::warn!(error = %fault, seconds = FALLBACK.as_secs(), "files can't be watched; they are looked at every so often");
        });
        Self { watcher: watcher.ok(), interest, gone, folders: HashMap::new() }
    }

    /// Watches these; whether there is one that was not watched before.
    fn set(&mut self, interest: Interest) -> bool {
        let mut wanted: HashMap<Identity, PathBuf> = HashMap::new();
        // Those that are watched first, so that they keep the name by which they are.
        let watched = self.folders.values().filter(|folder| interest.folders.contains(*folder));
        for folder in watched.chain(&interest.folders) {
            if let Some(identity) = identity(folder) {
                wanted.entry(identity).or_insert_with(|| folder.clone());
            }
        }
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
        let gone = std::mem::take(&mut *self.gone.lock().unwrap_or_else(PoisonError::into_inner));
        self.folders.retain(|_, folder| !gone.contains(folder));
        let Some(watcher) = &mut self.watcher else { return false };
        for (identity, folder) in &self.folders {
            if wanted.get(identity) != Some(folder) {
                // The folder may be gone itself, and its watch with it.
                let _ = watcher.unwatch(folder);
            }
        }
        let mut news = false;
        for (identity, folder) in &wanted {
            if self.folders.get(identity) == Some(folder) {
                continue;
            }
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => news = true,
                Err(fault) => tracing::warn!(folder = %folder.display(), error = %fault, "the folder can't be watched"),
            }
        }
        self.folders = wanted;
        news
    }
}
