//! The job that keeps the key sets of foreign issuers current: files are read again, URLs are fetched again.
//!
//! Runs on the admin runtime. Never takes a set away because its origin is out of reach: it serves until it is 24 hours old,
//! which the verifier itself checks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::settings::{Gateway, Issuer, JwksSource};
use crate::live::key_sets::{KeySet, KeySetFault, KeySets, RefreshWish};
use crate::live::published::Published;
use crate::net::fetch::{FetchFault, Fetcher};

/// How often a URL is fetched.
pub const URL_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// How often a file is read.
pub const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// The first wait after a failed fetch; each further one waits twice as long, up to [`URL_INTERVAL`].
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// Tokens that name unknown keys make a URL be fetched at most this often.
pub const HASTE: Duration = Duration::from_secs(30);

/// How often the settings are looked at for new issuers.
const TICK: Duration = Duration::from_secs(1);

/// Why an issuer has no fresh keys.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum KeyFault {
    #[error("key set `{}` of issuer `{issuer}` can't be read", path.display())]
    Unreadable { issuer: String, path: PathBuf, source: std::io::Error },
    #[error("token file `{}` of issuer `{issuer}` can't be read", path.display())]
    Token { issuer: String, path: PathBuf, source: std::io::Error },
    #[error("the key set of issuer `{issuer}` can't be fetched")]
    Fetch { issuer: String, source: Box<FetchFault> },
    #[error("the key set of issuer `{issuer}` is refused")]
    Refused { issuer: String, source: KeySetFault },
}

/// The key sets that go with new settings: files are read now, and sets of URLs are kept from before. An issuer whose URL
/// has not answered yet has no keys, and its tokens are refused.
///
/// # Errors
/// Every file that is missing or no usable key set.
pub fn load(settings: &Gateway, before: &KeySets, clock: &Clock) -> Result<KeySets, Vec<KeyFault>> {
    let issuers = &settings.credentials.issuers;
    let mut sets = before.clone();
    sets.retain(|name| issuers.iter().any(|issuer| issuer.issuer == name));
    let mut faults = Vec::new();
    for issuer in issuers {
        if let JwksSource::File(path) = &issuer.jwks {
            match read(&issuer.issuer, path, clock) {
                Ok(set) => sets.insert(&issuer.issuer, set),
                Err(fault) => faults.push(fault),
            }
        }
    }
    if faults.is_empty() { Ok(sets) } else { Err(faults) }
}

fn read(issuer: &str, path: &Path, clock: &Clock) -> Result<KeySet, KeyFault> {
    let issuer = || issuer.to_owned();
    let document = std::fs::read(path).map_err(|source| KeyFault::Unreadable {
        issuer: issuer(),
        path: path.to_owned(),
        source,
    })?;
    KeySet::parse(&document, clock.now()).map_err(|source| KeyFault::Refused { issuer: issuer(), source })
}

async fn fetch(issuer: &Issuer, clock: &Clock) -> Result<KeySet, KeyFault> {
    let name = || issuer.issuer.clone();
    let (url, ca, token_file) = match &issuer.jwks {
        JwksSource::File(path) => return read(&issuer.issuer, path, clock),
        JwksSource::Url { url, ca, token_file } => (url, ca, token_file),
    };
    // Kubernetes renews the token in place, so that it is read each time.
    let token = match token_file {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|source| KeyFault::Token {
            issuer: name(),
            path: path.clone(),
            source,
        })?),
    };
    let fetched = async {
        let fetcher = Fetcher::new(ca.as_deref())?;
        fetcher.get(url, token.as_deref().map(str::trim)).await
    };
    let document = fetched.await.map_err(|source| KeyFault::Fetch { issuer: name(), source: Box::new(source) })?;
    KeySet::parse(&document, clock.now()).map_err(|source| KeyFault::Refused { issuer: name(), source })
}

/// What is known about one issuer's origin.
struct Origin {
    source: JwksSource,
    due: Instant,
    tried: Option<Instant>,
    failures: u32,
}

/// Is told of an attempt: the issuer, and the number of its usable keys or why there are no fresh ones.
type Outcome = dyn FnMut(&str, Result<usize, &KeyFault>) + Send;

/// The job.
pub struct KeyRefresh {
    published: Arc<Published>,
    clock: Clock,
    wish: RefreshWish,
    origins: HashMap<String, Origin>,
    outcome: Box<Outcome>,
}

impl KeyRefresh {
    /// A job that publishes to `published` and tells `outcome` of every attempt: the issuer, and the number of its usable
    /// keys or why there are no fresh ones. `wish` is the one that the published key sets were made with.
    pub fn new(
        published: Arc<Published>,
        clock: Clock,
        wish: RefreshWish,
        outcome: impl FnMut(&str, Result<usize, &KeyFault>) + Send + 'static,
    ) -> Self {
        Self { published, clock, wish, origins: HashMap::new(), outcome: Box::new(outcome) }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        loop {
            self.round(Instant::now()).await;
            let wish = self.wish.clone();
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = wish.made() => {
                    self.hurry(Instant::now());
                    // A flood of tokens with unknown keys must not keep this loop busy.
                    tokio::time::sleep(TICK / 10).await;
                }
            }
        }
    }

    /// Refreshes what is due.
    async fn round(&mut self, now: Instant) {
        let current = self.published.current();
        let issuers = &current.settings.credentials.issuers;
        self.origins
            .retain(|name, origin| issuers.iter().any(|known| known.issuer == *name && known.jwks == origin.source));
        let mut attempts = JoinSet::new();
        for issuer in issuers {
            let origin = self.origins.entry(issuer.issuer.clone()).or_insert_with(|| Origin {
                source: issuer.jwks.clone(),
                due: now,
                tried: None,
                failures: 0,
            });
            if origin.due <= now {
                origin.tried = Some(now);
                let (issuer, clock) = (issuer.clone(), self.clock.clone());
                attempts.spawn(async move {
                    let fetched = fetch(&issuer, &clock).await;
                    (issuer, fetched)
                });
            }
        }
        while let Some(attempt) = attempts.join_next().await {
            // An attempt that panicked is tried again when it is due, which is now.
            let Ok((issuer, fetched)) = attempt else { continue };
            self.settle(&issuer, fetched, now);
        }
    }

    fn settle(&mut self, issuer: &Issuer, fetched: Result<KeySet, KeyFault>, now: Instant) {
        let Some(origin) = self.origins.get_mut(&issuer.issuer) else { return };
        origin.failures = if fetched.is_ok() { 0 } else { origin.failures.saturating_add(1) };
        origin.due = now + pause(&origin.source, origin.failures, jitter());
        (self.outcome)(&issuer.issuer, fetched.as_ref().map(KeySet::len));
        let Ok(set) = fetched else { return };
        self.published.publish_keys(|current| {
            // Other settings may have come meanwhile.
            let mut issuers = current.settings.credentials.issuers.iter();
            issuers.find(|known| known.issuer == issuer.issuer && known.jwks == issuer.jwks)?;
            let fresh = current.keys.of(&issuer.issuer).is_some_and(|known| {
                let age = set.fetched_at().unix_seconds() - known.fetched_at().unix_seconds();
                // A file is read often; that it has not changed is news only now and then.
                known.generation() == set.generation() && (0..60).contains(&age)
            });
            (!fresh).then(|| {
                let mut sets = KeySets::clone(&current.keys);
                sets.insert(&issuer.issuer, set);
                sets
            })
        });
    }

    /// Makes everything due that was not tried just now.
    fn hurry(&mut self, now: Instant) {
        for origin in self.origins.values_mut() {
            if origin.tried.is_none_or(|tried| now.duration_since(tried) >= HASTE) {
                origin.due = now;
            }
        }
    }
}

/// The wait until the next attempt. `jitter` is anything from 0 to 255.
fn pause(source: &JwksSource, failures: u32, jitter: u8) -> Duration {
    let usual = match source {
        JwksSource::File(_) => return FILE_INTERVAL,
        JwksSource::Url { .. } if failures == 0 => URL_INTERVAL,
        JwksSource::Url { .. } => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(16)).min(URL_INTERVAL),
    };
    // A tenth more or less, so that a fleet does not ask all at once.
    usual.mul_f64(0.9 + 0.2 * f64::from(jitter) / 255.0)
}

fn jitter() -> u8 {
    let mut byte = [128];
    // Without randomness all gateways wait the same time, which is no harm.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests;
