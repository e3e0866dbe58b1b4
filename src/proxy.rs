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
use crate::net::listener::{self, BindFault};
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
    /// A socket.
    #[error(transparent)]
    Bind(#[from] BindFault),
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

/// A data plane that serves.
#[derive(Debug)]
pub struct Running {
    local: Vec<SocketAddr>,
    tls: TlsInUse,
    drain: signal::Sender<Option<Duration>>,
    workers: Vec<JoinHandle<()>>,
}

/// Binds all sockets, then starts all workers: either everything serves or nothing does.
///
/// # Errors
/// [`StartFault`] naming the address or file.
pub fn start(parts: ProxyParts<'_>) -> Result<Running, StartFault> {
    listener::nobody_listens_on(parts.sockets.listen.iter().map(|listen| listen.address))?;
    let count = parts.sockets.workers.get();
    let shared = Arc::new(shared::Shared::new(Arc::clone(parts.throttle)));
    let (drain, asked) = signal::channel(None);
    let mut running = Running { local: Vec::new(), tls: TlsInUse::default(), drain, workers: Vec::new() };
    running.tls.upstreams.replace(parts.tls.authorities.clone());
    let mut listeners: Vec<Vec<(std::net::TcpListener, Doorway)>> = (0..count).map(|_| Vec::new()).collect();
    for listen in &parts.sockets.listen {
        let source = match &listen.tls {
            Some(files) => {
                let config = parts.tls.certificates.of(files);
                let config = config.ok_or_else(|| TlsFault::Unread { address: listen.address })?;
                Some(Arc::new(TlsAcceptorSource::new(config, listen.http2)))
            }
            None => None,
        };
        let bound = listener::Sockets::bind(listen.address, count)?;
        let local = bound.local();
        running.local.push(local);
        if let (Some(files), Some(source)) = (&listen.tls, &source) {
            running.tls.listeners.push((files.clone(), Arc::clone(source)));
        }
        for (of_worker, socket) in listeners.iter_mut().zip(bound.into_sockets()) {
            let doorway = Doorway {
                local,
                tls: source.clone(),
                proxy_protocol: listen.proxy_protocol.clone(),
                http2: listen.http2,
            };
            of_worker.push((socket, doorway));
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
            drain: asked.clone(),
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

    /// Stops accepting, tells kept connections to close, and lets open exchanges finish until the deadline. Returns at once.
    pub fn drain(&self, deadline: Duration) {
        self.drain.send_replace(Some(deadline));
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
