//! The time between listening and having a directory: probes are answered, requests are refused as not ready, and a large
//! directory may take its time.
//!
//! Never allows a request: the published value has no snapshot until the whole directory has been judged.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::gateway_tokens::{Asked, GatewayTokens};
use super::probes::Probes;
use super::reload::{FirstDirectory, Look, Outlined};
use super::succession::{Listening, Program};
use super::{
    Running, StartFault, StopFault, Told, admin_listener, feeds, probes, refresh_keys, revocations, store,
    told_to_stop, watch,
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
use crate::net::inherited::Inherited;
use crate::net::listener;
use crate::proxy;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;

/// A gateway that listens, is alive and not ready.
pub struct Opened {
    running: Running,
    waiting: Waiting,
    /// The probes, as long as nothing is accepted.
    closed: Option<(TcpListener, Probes)>,
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
    open_on(outlined, clock, &mut Inherited::default())
}

/// The same, on the sockets that the process was given where it was given any.
///
/// # Errors
/// A listener, thread or file that could not be had.
pub fn open_on(outlined: Outlined, clock: Clock, inherited: &mut Inherited) -> Result<Opened, StartFault> {
    let mut opened = bind(outlined, clock, inherited)?;
    admit(&opened.running, opened.closed.take());
    Ok(opened)
}

/// Has every socket and thread, and accepts nothing yet.
pub(super) fn bind(outlined: Outlined, clock: Clock, inherited: &mut Inherited) -> Result<Opened, StartFault> {
    let settings = outlined.settings();
    let program = Program::own().map_err(StartFault::Program)?;
    let addresses = settings.sockets.listen.iter().map(|listen| listen.address);
    let listeners = listener::bind_all(addresses, settings.sockets.workers.get(), inherited)?;
    let metrics = Arc::new(Metrics::new(clock.clone())?);
    let access_log = AccessLog::open(&settings.access_log, Arc::clone(&metrics))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("admin")
        .enable_all()
        .build()
        .map_err(StartFault::Thread)?;
    // Asked for within the runtime that watches the sockets.
    let within = runtime.enter();
    let in_telemetry = |source| StartFault::Telemetry { address: settings.telemetry.listen, source };
    let listener = listener::bind_one(settings.telemetry.listen, inherited).map_err(in_telemetry)?;
    let telemetry = listener.local_addr().map_err(in_telemetry)?;
    let telemetry_socket = listener.try_clone().map_err(in_telemetry)?;
    let listener = TcpListener::from_std(listener).map_err(in_telemetry)?;

    let mut admin_socket = None;
    let admin = match &settings.admin {
        Some(admin) => {
            let in_admin = |source| StartFault::Admin { address: admin.listen, source };
            let bound = listener::bind_one(admin.listen, inherited).map_err(in_admin)?;
            admin_socket = Some(bound.try_clone().map_err(in_admin)?);
            Some(TcpListener::from_std(bound).map_err(in_admin)?)
        }
        None => None,
    };
    drop(within);
    let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
    inherited.are_used_up()?;

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
        listeners: &listeners,
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
    let probes = Probes { metrics: Arc::clone(&metrics), published: Arc::clone(&published), stopping: stop_seen };
    let (succeeded, _) = tokio::sync::watch::channel(false);
    let wish = outlined.wish().clone();
    runtime.spawn(refresh_keys(Arc::clone(&published), clock.clone(), wish, Arc::clone(&metrics)));
    for address in proxy.local_addresses() {
        tracing::info!(%address, "the gateway listens");
    }
    tracing::info!(address = %telemetry, "probes and metrics are served");
    // One place is enough: whoever finds it taken knows that a look is due already.
    let (look_again, looks) = mpsc::channel(1);
    let tls = proxy.tls();
    let drain =
        proxy::Drain { idle: settings.sockets.drain_idle, ..proxy::Drain::within(settings.sockets.drain_timeout) };
    let running = Running {
        proxy,
        program,
        listening: Listening { gateway: listeners, telemetry: telemetry_socket, admin: admin_socket },
        telemetry,
        admin: admin_address,
        runtime,
        access_log,
        stopping,
        succeeded,
        look_again,
        drain,
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
        closed: Some((listener, probes)),
    })
}

/// Accepts connections and answers probes, unless that is done already.
fn admit(running: &Running, closed: Option<(TcpListener, Probes)>) {
    if let Some((listener, probes)) = closed {
        running.runtime.spawn(probes::serve(listener, probes, running.succeeded.subscribe()));
        running.proxy.open();
    }
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
                        (self.usage.clone(), &running.access_log),
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
                let feeds = feeds::Refresh::new(control, &self.published, &self.metrics);
                running.runtime.spawn(feeds.run());
                running.runtime.spawn(revocations::record(Arc::clone(control), self.revocations));
            }
            let rule = settings.client_address.clone();
            let meter = self.usage.meter().of_admin_api();
            let callers = CallerJudge::new(self.published, rule, self.clock, self.nonces, self.throttle, meter);
            let succeeded = running.succeeded.subscribe();
            let secure = settings.behind_tls;
            admin_listener::spawn(&running.runtime, listener, control, origin, callers, secure, succeeded)?;
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

    /// Decides requests by this directory; whatever was not accepted before is accepted from then on.
    pub(super) fn complete(mut self, directory: FirstDirectory) -> Result<Running, Problems> {
        let closed = self.closed.take();
        match self.waiting.complete(directory, &self.running) {
            Ok(()) => {
                admit(&self.running, closed);
                Ok(self.running)
            }
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
        let Self { running, waiting, .. } = self;
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
                    running.serves();
                }
            }
            told.await.map_err(StopFault::Signals)
        });
        let succeeded = ended.as_ref().is_ok_and(|told| *told == Told::Succeeded);
        running.end(succeeded);
        ended.map(drop)
    }
}
