//! Wiring and background jobs: the only room that sees everything.
//!
//! The data plane's workers run on threads and runtimes of their own; everything here (probes, reloading, key sets, signals)
//! runs on the admin runtime and touches requests only through what it publishes.

mod admin_listener;
mod gateway_tokens;
pub mod key_refresh;
mod opened;
mod probes;
mod reload;
mod revocations;
mod store;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::config::diagnostic::Problems;
use crate::control::Control;
use crate::live::key_sets::RefreshWish;
use crate::live::published::Published;
use crate::proxy;
use crate::telemetry::access_log::{AccessLog, AccessLogFault};
use crate::telemetry::metrics::{Metrics, MetricsFault};

pub use opened::{Opened, open, open_with};
pub use reload::{Outlined, Prepared, agree, outline, prepare};

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file, watched.
    File(PathBuf),
    /// The defaults: the demonstration directory and the echo upstream on the usual ports.
    Defaults,
    /// A configuration of the program's own, such as the demo's.
    Text(&'static str),
}

/// Why the program can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// No metrics.
    #[error("the metrics can't be set up")]
    Metrics(#[from] MetricsFault),
    /// No access log.
    #[error(transparent)]
    AccessLog(#[from] AccessLogFault),
    /// A thread or runtime could not be had.
    #[error("a thread can't be started; raise the limit of processes")]
    Thread(#[source] std::io::Error),
    /// The telemetry listener.
    #[error("telemetry can't listen on {address}; free the port or set `telemetry.listen`")]
    Telemetry {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// The admin listener.
    #[error("the admin API can't listen on {address}; free the port or set `admin.listen`")]
    Admin {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// The directory can't be served after all.
    #[error("the directory can't be served\n{}", .0.render(false))]
    Directory(Problems),
    /// The data plane.
    #[error(transparent)]
    Proxy(#[from] proxy::StartFault),
}

/// Why the program did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum StopFault {
    /// Signals can't be waited for.
    #[error("signals can't be waited for")]
    Signals(#[source] std::io::Error),
    /// There is no directory to serve by.
    #[error("the directory is refused")]
    Refused(Problems),
    /// A fault of the program itself.
    #[error("reading the directory ended by a panic; report it with the log")]
    Reading(#[source] tokio::task::JoinError),
}

/// A running gateway.
pub struct Running {
    proxy: proxy::Running,
    telemetry: SocketAddr,
    admin: Option<SocketAddr>,
    runtime: Runtime,
    access_log: AccessLog,
    stopping: tokio::sync::watch::Sender<bool>,
    look_again: mpsc::Sender<reload::Look>,
    drain_timeout: Duration,
    /// The store, where one is served.
    control: OnceLock<Arc<Control>>,
}

/// Starts the gateway on the system's clock.
///
/// # Errors
/// A listener, thread or file that could not be had.
pub fn start(prepared: Prepared) -> Result<Running, StartFault> {
    start_with(prepared, Clock::system())
}

/// Starts the gateway on this clock. Requests are answered when it returns.
///
/// # Errors
/// A listener, thread or file that could not be had.
pub fn start_with(prepared: Prepared, clock: Clock) -> Result<Running, StartFault> {
    let (outlined, directory) = prepared.into_parts();
    open_with(outlined, clock)?.complete(directory).map_err(StartFault::Directory)
}

async fn refresh_keys(published: Arc<Published>, clock: Clock, wish: RefreshWish, metrics: Arc<Metrics>) {
    let tell = move |issuer: &str, outcome: Result<usize, &key_refresh::KeyFault>| match outcome {
        Ok(keys) => tracing::debug!(issuer, keys, "key set read"),
        Err(fault) => {
            metrics.key_refresh_failed();
            let fault: &dyn std::error::Error = fault;
            tracing::warn!(issuer, error = %Chain(fault), "no fresh key set; the last one serves until it is 24 hours old");
        }
    };
    key_refresh::KeyRefresh::new(published, clock, wish, tell).run().await;
}

/// An error and its sources on one line.
struct Chain<'e>(&'e dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(fault) = source {
            write!(f, ": {fault}")?;
            source = fault.source();
        }
        Ok(())
    }
}

impl Running {
    /// Where the gateway listens, in the order of the configuration.
    pub fn gateway_addresses(&self) -> &[SocketAddr] {
        self.proxy.local_addresses()
    }

    /// Where probes and metrics are.
    pub fn telemetry_address(&self) -> SocketAddr {
        self.telemetry
    }

    /// Where the admin API is, where there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Serves until SIGTERM or SIGINT, then drains. SIGHUP reads configuration, directory and certificates again.
    ///
    /// # Errors
    /// Signals can't be waited for; the gateway is stopped all the same.
    pub fn until_told_to_stop(self) -> Result<(), StopFault> {
        let told = self.runtime.block_on(told_to_stop(&self));
        self.stop();
        told.map_err(StopFault::Signals)
    }

    /// Stops: not ready first, then no new connections, then what is open gets until the drain deadline.
    pub fn stop(self) {
        let begin = Instant::now();
        // Nobody may be looking at the probes.
        let _ = self.stopping.send(true);
        tracing::info!(deadline_seconds = self.drain_timeout.as_secs(), "draining");
        self.proxy.drain(self.drain_timeout);
        self.proxy.join();
        self.access_log.close();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        // Nobody counts any more.
        if let Some(control) = self.control.into_inner() {
            control.close();
        }
        tracing::info!(seconds = begin.elapsed().as_secs_f64(), "stopped");
    }
}

/// Waits for SIGTERM or SIGINT. SIGHUP has everything read again, and the access log's file opened anew.
async fn told_to_stop(running: &Running) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => {
                tracing::info!("told to read configuration, directory and certificates again");
                running.access_log.reopen();
                // A full channel means that a look is due already.
                let _ = running.look_again.try_send(reload::Look::Thorough);
            }
        }
    }
}
