//! The time between listening and having a directory: probes are answered, requests are refused as not ready, and a large
//! directory may take its time.
//!
//! Never allows a request: the published value has no snapshot until the whole directory has been judged.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::gateway_tokens::{Asked, GatewayTokens};
use super::reload::{FirstDirectory, Look, Outlined};
use super::{
    Running, StartFault, StopFault, admin_listener, probes, refresh_keys, revocations, store, told_to_stop, watch,
};
use crate::clock::Clock;
use crate::config::diagnostic::Problems;
use crate::config::settings::DirectorySource;
use crate::gate::caller::CallerJudge;
use crate::gate::digest::Nonces;
use crate::gate::throttle::Throttle;
use crate::live::endpoints::Endpoints;
use crate::live::published::Published;
use crate::live::usage::Usage;
use crate::proxy;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;

/// A gateway that listens, is alive and not ready.
pub struct Opened {
    running: Running,
    waiting: Waiting,
}

/// What becomes of the configuration when the directory is there.
struct Waiting {
    outlined: Outlined,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    clock: Clock,
    tls: proxy::TlsInUse,
    looks: mpsc::Receiver<Look>,
    /// Bound with the others, so that a port that is taken ends the start and not the service.
    admin: Option<TcpListener>,
    nonces: Arc<Nonces>,
    throttle: Arc<Throttle>,
    usage: Usage,
    revocations: mpsc::Receiver<proxy::Revocation>,
    /// What asks the store on the gateway's listener.
    asked: Asked,
}

/// Listens, on the system's clock.
///
/// # Errors
/// A listener, thread or file that could not be had.
pub fn open(outlined: Outlined) -> Result<Opened, StartFault> {
    open_with(outlined, Clock::system())
}

/// Listens, on this clock. Connections are accepted and probes answered when it returns; every request gets `NOT_READY`.
///
/// # Errors
/// A listener, thread or file that could not be had.
pub fn open_with(outlined: Outlined, clock: Clock) -> Result<Opened, StartFault> {
    let settings = outlined.settings();
    let metrics = Arc::new(Metrics::new(clock.clone())?);
    let access_log = AccessLog::open(&settings.access_log, Arc::clone(&metrics))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("admin")
        .enable_all()
        .build()
        .map_err(StartFault::Thread)?;
    let bound = runtime.block_on(probes::bind(settings.telemetry.listen));
    let in_telemetry = |source| StartFault::Telemetry { address: settings.telemetry.listen, source };
    let listener = bound.map_err(in_telemetry)?;
    let telemetry = listener.local_addr().map_err(in_telemetry)?;

    let admin = match &settings.admin {
        Some(admin) => {
            let bound = runtime.block_on(TcpListener::bind(admin.listen));
            Some(bound.map_err(|source| StartFault::Admin { address: admin.listen, source })?)
        }
        None => None,
    };
    let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());

    let usage = store::usage(settings);
    let nonces = Arc::new(Nonces::new(clock.now()));
    let throttle = Arc::new(Throttle::default());
    let endpoints = Arc::new(Endpoints::default());
    let published = outlined.publish(&metrics).map_err(StartFault::Thread)?;
    let (tell, revocations) = mpsc::channel(revocations::QUEUED);
    let is_store = matches!(settings.directory, DirectorySource::Sqlite(_));
    let asked = Asked::default();
    let tokens = settings.admin.as_ref().is_some_and(|admin| admin.tokens.on_gateway);
    let tokens: Option<Arc<dyn proxy::LocalService>> =
        tokens.then(|| Arc::new(GatewayTokens::new(Arc::clone(&asked), runtime.handle().clone())) as _);
    let parts = proxy::ProxyParts {
        sockets: &settings.sockets,
        published: &published,
        clock: &clock,
        metrics: &metrics,
        access_log: &access_log,
        endpoints: &endpoints,
        usage: &usage,
        tls: outlined.tls(),
        nonces: &nonces,
        throttle: &throttle,
        revocations: is_store.then_some(&tell),
        local: tokens.as_ref(),
    };
    let proxy = proxy::start(parts)?;
    runtime.spawn(proxy.scout(parts, Arc::clone(&metrics)).run());

    let (stopping, stop_seen) = tokio::sync::watch::channel(false);
    let probes =
        probes::Probes { metrics: Arc::clone(&metrics), published: Arc::clone(&published), stopping: stop_seen };
    runtime.spawn(probes::serve(listener, probes));
    let wish = outlined.wish().clone();
    runtime.spawn(refresh_keys(Arc::clone(&published), clock.clone(), wish, Arc::clone(&metrics)));
    for address in proxy.local_addresses() {
        tracing::info!(%address, "the gateway listens");
    }
    tracing::info!(address = %telemetry, "probes and metrics are served");
    // One place is enough: whoever finds it taken knows that a look is due already.
    let (look_again, looks) = mpsc::channel(1);
    let tls = proxy.tls();
    let drain_timeout = settings.sockets.drain_timeout;
    let running = Running {
        proxy,
        telemetry,
        admin: admin_address,
        runtime,
        access_log,
        stopping,
        look_again,
        drain_timeout,
        control: OnceLock::new(),
    };
    Ok(Opened {
        running,
        waiting: Waiting {
            outlined,
            published,
            metrics,
            clock,
            tls,
            looks,
            admin,
            nonces,
            throttle,
            usage,
            revocations,
            asked,
        },
    })
}

impl Waiting {
    /// Publishes the first directory; from here on requests are decided and files are watched.
    fn complete(self, directory: FirstDirectory, running: &Running) -> Result<(), Problems> {
        let (compiled, warnings, store) = directory.into_parts();
        let admin_settings = self.outlined.settings().admin.clone();
        let origin = store::described(&self.outlined.settings().directory);
        let mut reloader =
            self.outlined.complete(compiled, &warnings, &self.published, Arc::clone(&self.metrics), self.clock.clone());
        if let Some((listener, settings)) = self.admin.zip(admin_settings) {
            let control = match store {
                Some(store) => {
                    let served = listener.local_addr().unwrap_or(settings.listen);
                    Some(store::serve(
                        store,
                        &self.published,
                        &self.metrics,
                        self.usage.clone(),
                        &settings.issuer(served),
                    )?)
                }
                None => None,
            };
            if let Some(control) = &control {
                // A directory is completed once.
                let _ = running.control.set(Arc::clone(control));
                let _ = self.asked.set(Arc::downgrade(control));
                let keeping = Arc::clone(control).keep_usage(self.usage.clone(), settings.usage_interval);
                running.runtime.spawn(keeping);
                running.runtime.spawn(revocations::record(Arc::clone(control), self.revocations));
            }
            let rule = settings.client_address.clone();
            let callers =
                CallerJudge::new(self.published, rule, self.clock, self.nonces, self.throttle, self.usage.meter());
            admin_listener::spawn(&running.runtime, listener, control, origin, callers, settings.behind_tls)?;
        }
        reloader.hand_tls_to(self.tls);
        running.runtime.spawn(watch::run(reloader, running.look_again.clone(), self.looks));
        Ok(())
    }
}

impl Opened {
    /// Where the gateway listens, in the order of the configuration.
    pub fn gateway_addresses(&self) -> &[SocketAddr] {
        self.running.gateway_addresses()
    }

    /// Where probes and metrics are.
    pub fn telemetry_address(&self) -> SocketAddr {
        self.running.telemetry_address()
    }

    /// Where the admin API is, where there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.running.admin_address()
    }

    /// Reads the directory. Requests are decided when it returns.
    ///
    /// # Errors
    /// Every problem of the directory; then the gateway is stopped.
    pub fn load(self) -> Result<Running, Problems> {
        match self.waiting.outlined.read_directory(&self.waiting.clock) {
            Ok(directory) => self.complete(directory),
            Err(problems) => {
                self.running.stop();
                Err(problems)
            }
        }
    }

    pub(super) fn complete(self, directory: FirstDirectory) -> Result<Running, Problems> {
        match self.waiting.complete(directory, &self.running) {
            Ok(()) => Ok(self.running),
            Err(problems) => {
                self.running.stop();
                Err(problems)
            }
        }
    }

    /// Reads the directory and serves until SIGTERM or SIGINT, which count from the beginning, then drains. SIGHUP reads
    /// configuration and directory again.
    ///
    /// # Errors
    /// A directory that is refused, or signals that can't be waited for; the gateway is stopped all the same.
    pub fn until_told_to_stop(self) -> Result<(), StopFault> {
        let Self { running, waiting } = self;
        let ended = running.runtime.block_on(async {
            let told = told_to_stop(&running);
            tokio::pin!(told);
            // Not on the runtime's threads, which answer the probes.
            let reading =
                tokio::task::spawn_blocking(move || (waiting.outlined.read_directory(&waiting.clock), waiting));
            tokio::select! {
                told = &mut told => return told.map_err(StopFault::Signals),
                read = reading => {
                    let (directory, waiting) = read.map_err(StopFault::Reading)?;
                    waiting.complete(directory.map_err(StopFault::Refused)?, &running).map_err(StopFault::Refused)?;
                }
            }
            told.await.map_err(StopFault::Signals)
        });
        running.stop();
        ended
    }
}
