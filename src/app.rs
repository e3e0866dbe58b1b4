//! Wiring and background jobs: the only room that sees everything.
//!
//! The data plane's workers run on threads and runtimes of their own; everything here (probes, reloading, key sets, signals)
//! runs on the admin runtime and touches requests only through what it publishes.

mod admin_listener;
mod feeds;
mod gateway_tokens;
pub mod key_refresh;
pub mod memory;
mod opened;
mod probes;
mod reload;
mod revocations;
mod store;
mod succession;
mod watch;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::config::diagnostic::Problems;
use crate::control::Control;
use crate::live::key_sets::RefreshWish;
use crate::live::published::Published;
use crate::net::inherited::InheritFault;
use crate::net::listener::BindFault;
use crate::net::server;
use crate::proxy;
use crate::telemetry::access_log::{AccessLog, AccessLogFault};
use crate::telemetry::metrics::{Metrics, MetricsFault};

use opened::bind;
pub use opened::{Opened, open, open_on, open_with};
pub use reload::{Outlined, Prepared, agree, outline, prepare};
pub use succession::succeed;
use succession::{Listening, Program, SuccessionFault};

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
    /// A socket of the gateway.
    #[error(transparent)]
    Bind(#[from] BindFault),
    /// Sockets that the process was given.
    #[error(transparent)]
    Inherited(#[from] InheritFault),
    /// How it was started.
    #[error("the program's own path can't be told")]
    Program(#[source] std::io::Error),
    /// The predecessor keeps the store.
    #[error("the process that is succeeded does not let go of the store")]
    Predecessor(#[source] std::io::Error),
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
    /// `true` from the moment that another process serves.
    succeeded: tokio::sync::watch::Sender<bool>,
    look_again: mpsc::Sender<reload::Look>,
    drain: proxy::Drain,
    program: Program,
    /// Copies of what everybody listens on, for a successor.
    listening: Listening,
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
        self.serves();
        let told = self.runtime.block_on(told_to_stop(&self));
        self.end(matches!(told, Ok(Told::Succeeded)));
        told.map(drop).map_err(StopFault::Signals)
    }

    /// Tells the service manager, where there is one, that requests are decided, and by which process.
    fn serves(&self) {
        let states = [NotifyState::Ready, NotifyState::MainPid(std::process::id())];
        if let Err(fault) = sd_notify::notify(&states) {
            tracing::warn!(error = %fault, "the service manager can't be told that the program serves");
        }
    }

    /// Stops: not ready first, then no new connections, then what is open gets until the drain deadline.
    pub fn stop(self) {
        self.end(false);
    }

    fn end(self, succeeded: bool) {
        let begin = Instant::now();
        self.stopping.send_replace(true);
        self.succeeded.send_replace(succeeded);
        tracing::info!(deadline_seconds = self.drain.deadline.as_secs(), succeeded, "draining");
        // The service manager hears of a successor from that itself.
        if !succeeded && let Err(fault) = sd_notify::notify(&[NotifyState::Stopping]) {
            tracing::warn!(error = %fault, "the service manager can't be told that the program stops");
        }
        // A queue that nobody accepts from would keep whoever waits in it.
        drop(self.listening);
        self.proxy.drain(proxy::Drain { succeeded, ..self.drain });
        self.proxy.join();
        if succeeded {
            let rest = server::FAREWELL.saturating_sub(begin.elapsed());
            self.runtime.block_on(async { tokio::time::sleep(rest).await });
        }
        self.access_log.close();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        // Nobody counts any more.
        if let Some(control) = self.control.into_inner() {
            control.close();
        }
        tracing::info!(seconds = begin.elapsed().as_secs_f64(), "stopped");
    }
}

/// Why a gateway ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It was told to.
    Stop,
    /// Another process serves in its place.
    Succeeded,
}

/// Waits for SIGTERM or SIGINT, or until a successor serves, which SIGUSR2 starts. SIGHUP has everything read again, and the
/// access log's file opened anew.
async fn told_to_stop(running: &Running) -> std::io::Result<Told> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut succeed = signal(SignalKind::user_defined2())?;
    let mut handing_over = None;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(Told::Stop),
            _ = interrupt.recv() => return Ok(Told::Stop),
            _ = succeed.recv() => match handing_over.is_none() {
                true => handing_over = Some(Box::pin(hand_over(running))),
                false => tracing::warn!("told to start a successor; one is starting already"),
            },
            handed_over = poll_fn(|cx| poll_some(&mut handing_over, cx)) => {
                handing_over = None;
                match handed_over {
                    Ok(()) => return Ok(Told::Succeeded),
                    Err(fault) => tracing::error!(error = %Chain(&fault), "there is no successor; this process goes on"),
                }
            }
            _ = hang_up.recv() => {
                tracing::info!("told to read configuration, directory and certificates again");
                running.access_log.reopen();
                // A full channel means that a look is due already.
                let _ = running.look_again.try_send(reload::Look::Thorough);
            }
        }
    }
}

/// Starts a successor, and follows what it changes once it serves.
async fn hand_over(running: &Running) -> Result<(), SuccessionFault> {
    let control = running.control.get();
    succession::hand_over(&running.program, &running.listening, control).await?;
    tracing::info!("the successor serves");
    if let Some(control) = control {
        running.runtime.spawn(Control::follow(Arc::downgrade(control)));
    }
    Ok(())
}

/// What comes of a future that may not be there; then nothing does.
fn poll_some<F: Future + Unpin>(some: &mut Option<F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    some.as_mut().map_or(Poll::Pending, |future| Pin::new(future).poll(cx))
}
