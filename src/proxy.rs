//! The data plane: accepts, judges, forwards. One worker a core, each on its own.
//!
//! Cannot see `directory` or `control`: no request ever waits for a disk or a database. An unchecked forward does not compile:
//! the one function that reaches an upstream takes a permit.

mod attempt;
mod body;
mod client_io;
mod connection;
mod context;
mod exchange;
mod forward;
mod headers;
mod ledger;
mod local;
mod rate;
mod reply;
mod request_id;
mod revoke;
mod scout;
mod shared;
mod stall;
mod tunnel;
mod upstream;
mod watch;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::Sender;
use tokio::sync::watch as signal;

use crate::clock::Clock;
use crate::config::settings::{ListenTls, Sockets};
use crate::gate::digest::Nonces;
use crate::gate::throttle::Throttle;
use crate::live::endpoints::Endpoints;
use crate::live::published::Published;
use crate::live::usage::Usage;
use crate::net::listener;
use crate::net::tls::files::TlsFiles;
use crate::net::tls::{TlsAcceptorSource, TlsFault};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;
use connection::Doorway;
pub use local::{LocalAnswer, LocalService};
pub use revoke::Revocation;
pub use scout::Scout;
use upstream::ClientTls;
use worker::Seed;

/// What the data plane is made from.
#[derive(Debug, Clone, Copy)]
pub struct ProxyParts<'a> {
    /// Addresses and number of workers.
    pub sockets: &'a Sockets,
    /// What is listened on, in the order of the addresses.
    pub listeners: &'a [listener::Sockets],
    /// What requests are judged and forwarded by.
    pub published: &'a Arc<Published>,
    /// The wall clock of decisions.
    pub clock: &'a Clock,
    /// Where each worker gets its stripe.
    pub metrics: &'a Metrics,
    /// Where each worker gets its recorder.
    pub access_log: &'a AccessLog,
    /// Where each worker gets its meter.
    pub usage: &'a Usage,
    /// The nonces of Digest, for all judges of the process.
    pub nonces: &'a Arc<Nonces>,
    /// Failed attempts, for all judges of the process.
    pub throttle: &'a Arc<Throttle>,
    /// What is known of the endpoints of upstreams.
    pub endpoints: &'a Arc<Endpoints>,
    /// Certificates and authorities to begin with.
    pub tls: &'a TlsFiles,
    /// Who hears of exchanges that were let through and had to end.
    pub revocations: Option<&'a Sender<Revocation>>,
    /// What is answered here and not by an upstream.
    pub local: Option<&'a Arc<dyn LocalService>>,
}

/// The data plane can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// A worker's own descriptor of a socket.
    #[error("a worker can't have a listening socket of its own; raise the limit of descriptors")]
    Descriptor(#[source] io::Error),
    /// A certificate.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// A thread or its runtime.
    #[error("a worker thread of the data plane can't be started; is the limit of threads or descriptors reached?")]
    Thread(#[source] io::Error),
}

/// What the data plane speaks TLS with, replaceable while connections are served.
#[derive(Debug, Clone, Default)]
pub struct TlsInUse {
    listeners: Vec<(ListenTls, Arc<TlsAcceptorSource>)>,
    upstreams: Arc<ClientTls>,
}

impl TlsInUse {
    /// New connections use these. Open ones of clients keep what they began with; kept ones to upstreams are let go of
    /// where an authority has changed. A listener whose files are not among these keeps its certificate.
    pub fn replace(&self, files: &TlsFiles) {
        for (paths, source) in &self.listeners {
            if let Some(config) = files.certificates.of(paths) {
                source.replace(config);
            }
        }
        self.upstreams.replace(files.authorities.clone());
    }
}

/// How a data plane ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// What open exchanges get.
    pub deadline: Duration,
    /// What kept connections get that nothing is asked on: a request that was on its way is answered, and told that the
    /// connection closes.
    pub idle: Duration,
    /// Somebody else accepts on the same sockets from here on: what waits in their queues is theirs.
    pub succeeded: bool,
}

impl Drain {
    /// What is idle closes at once, and what waits in the queues is taken.
    pub fn within(deadline: Duration) -> Self {
        Self { deadline, idle: Duration::ZERO, succeeded: false }
    }
}

/// What the workers are told.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// To accept nothing yet.
    Closed,
    /// To accept.
    Open,
    /// To end.
    Drain(Drain),
}

/// A data plane that serves.
#[derive(Debug)]
pub struct Running {
    local: Vec<SocketAddr>,
    tls: TlsInUse,
    phase: signal::Sender<Phase>,
    workers: Vec<JoinHandle<()>>,
}

/// Starts all workers on what is listened on: either everything stands or nothing does. Nothing is accepted before
/// [`Running::open`].
///
/// # Errors
/// [`StartFault`] naming the file.
pub fn start(parts: ProxyParts<'_>) -> Result<Running, StartFault> {
    let count = parts.sockets.workers.get();
    let shared = Arc::new(shared::Shared::new(Arc::clone(parts.throttle)));
    let (phase, asked) = signal::channel(Phase::Closed);
    let mut running = Running { local: Vec::new(), tls: TlsInUse::default(), phase, workers: Vec::new() };
    running.tls.upstreams.replace(parts.tls.authorities.clone());
    let mut listeners: Vec<Vec<(std::net::TcpListener, Doorway)>> = (0..count).map(|_| Vec::new()).collect();
    for (listen, bound) in parts.sockets.listen.iter().zip(parts.listeners) {
        let source = match &listen.tls {
            Some(files) => {
                let config = parts.tls.certificates.of(files);
                let config = config.ok_or_else(|| TlsFault::Unread { address: listen.address })?;
                Some(Arc::new(TlsAcceptorSource::new(config, listen.http2)))
            }
            None => None,
        };
        let local = bound.local();
        running.local.push(local);
        if let (Some(files), Some(source)) = (&listen.tls, &source) {
            running.tls.listeners.push((files.clone(), Arc::clone(source)));
        }
        for (number, of_worker) in listeners.iter_mut().enumerate() {
            for socket in bound.of_worker(number, count).map_err(StartFault::Descriptor)? {
                let doorway = Doorway {
                    local,
                    tls: source.clone(),
                    proxy_protocol: listen.proxy_protocol.clone(),
                    http2: listen.http2,
                };
                of_worker.push((socket, doorway));
            }
        }
    }
    for (number, listeners) in listeners.into_iter().enumerate() {
        let seed = Seed {
            listeners,
            published: Arc::clone(parts.published),
            clock: parts.clock.clone(),
            stripe: parts.metrics.stripe(),
            recorder: parts.access_log.recorder(),
            meter: parts.usage.meter(),
            client_tls: Arc::clone(&running.tls.upstreams),
            endpoints: Arc::clone(parts.endpoints),
            shared: Arc::clone(&shared),
            nonces: Arc::clone(parts.nonces),
            revocations: parts.revocations.cloned(),
            local: parts.local.map(Arc::clone),
            phase: asked.clone(),
        };
        // Where a later one fails, the earlier ones see the sender go and end.
        running.workers.push(launch(number, seed)?);
    }
    Ok(running)
}

/// Starts a worker's thread and waits until its runtime stands.
fn launch(number: usize, seed: Seed) -> Result<JoinHandle<()>, StartFault> {
    let (ready, begun) = std::sync::mpsc::sync_channel(1);
    let body = move || {
        let built = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        match built {
            Ok(runtime) => {
                let _ = ready.send(Ok(()));
                runtime.block_on(worker::run(seed));
                // Resolver calls that hang must not hold up the end.
                runtime.shutdown_background();
            }
            // Nobody but the starter waits for it, and it is told.
            Err(fault) => drop(ready.send(Err(fault))),
        }
    };
    let thread =
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(body).map_err(StartFault::Thread)?;
    match begun.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(fault)) => Err(StartFault::Thread(fault)),
        Err(_ended) => Err(StartFault::Thread(io::ErrorKind::BrokenPipe.into())),
    }
}

impl Running {
    /// What is listened on, in the order of the configuration, with resolved ports.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.local
    }

    /// What TLS is spoken with, for whoever reads its files again.
    pub fn tls(&self) -> TlsInUse {
        self.tls.clone()
    }

    /// The job that looks names of endpoints up and asks endpoints whether they are well, to be run where nothing of a request
    /// is; `parts` are those that the data plane was started with.
    pub fn scout(&self, parts: ProxyParts<'_>, metrics: Arc<Metrics>) -> Scout {
        Scout::new(Arc::clone(parts.published), Arc::clone(parts.endpoints), Arc::clone(&self.tls.upstreams), metrics)
    }

    /// Accepts connections from now on.
    pub fn open(&self) {
        self.phase.send_replace(Phase::Open);
    }

    /// Takes what waits to be accepted and accepts no more, tells kept connections to close, and lets open exchanges finish
    /// until the deadline. Returns at once.
    pub fn drain(&self, drain: Drain) {
        self.phase.send_replace(Phase::Drain(drain));
    }

    /// Waits until every worker has ended; they end by a drain alone.
    pub fn join(self) {
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker of the data plane ended by a panic");
            }
        }
    }
}

#[cfg(test)]
mod tests;
