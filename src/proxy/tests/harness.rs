//! A data plane with one worker, one credential and a clock that stands still.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::*;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement, Grants};
use crate::access::route::{Access, Preflight, Route, RouteTable};
use crate::access::snapshot::{CredentialSpec, Draft, EntrySpec, OrganizationSpec, Target};
use crate::clock::Timestamp;
use crate::config::settings::{self, AccessLogSettings, AccessLogSink, Endpoint, Gateway, Listen};
use crate::live::fingerprint;
use crate::net::listener;
use crate::net::tls::files::{Authorities, Certificates};

pub(super) const KEY: &str = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1";

pub(in crate::proxy) fn gateway(endpoints: Vec<Endpoint>, change: impl FnOnce(&mut Gateway)) -> Gateway {
    let route = |path: &str, access| Route {
        host: None,
        path: path.into(),
        methods: Box::default(),
        access,
        require_access_list: false,
        organizations: None,
        preflight: Preflight::Pass,
        upgrades: ["websocket".into()].into(),
        upstream: 0,
    };
    let second = Duration::from_secs(1);
    let mut settings = Gateway {
        client_address: settings::ClientAddressRule {
            trusted_proxies: std::iter::once("127.0.0.0/8".parse().unwrap()).collect(),
            certified_proxies: Vec::new(),
            header: settings::AddressHeader::XForwardedFor,
            hops: None,
        },
        credentials: settings::Credentials {
            headers: vec![http::HeaderName::from_static("x-api-key")],
            basic: true,
            bearer: false,
            digest: None,
            issuers: Vec::new(),
            client_certificates: false,
            forward: false,
            realm: "Portcullis".into(),
        },
        routes: RouteTable::new(vec![route("/", Access::Required), route("/open", Access::Public)]),
        upstreams: vec![settings::Upstream {
            name: "api".into(),
            endpoints,
            tls: settings::UpstreamTls::default(),
            preserve_host: true,
            connect_timeout: second,
            first_byte_timeout: second,
            idle_timeout: second,
            pool_idle_timeout: 30 * second,
            pool_max_idle: 8,
            total_timeout: None,
            max_connections: 64,
            queue: settings::Queue { length: 8, timeout: second },
            retries: Some(settings::Retries { percent: 20, reserve: 10 }),
            ejection: Some(settings::Ejection { failures: 5, first: second, longest: second }),
            health_check: None,
            resolve_interval: second,
        }],
        limits: settings::Limits {
            max_header_bytes: 16_384,
            max_headers: 64,
            max_body_bytes: Some(1_000_000),
            max_connections: 100,
            max_streams: 100,
            clients: settings::ClientLimits::default(),
        },
        timeouts: settings::Timeouts {
            header: second,
            body_idle: second,
            keep_alive: second,
            tunnel_idle: second,
            pace: None,
        },
        outbound: settings::Outbound { forwarded: false, identity_headers: true, overrides: false },
        receipt_keys: Vec::new(),
        feeds: Default::default(),
    };
    change(&mut settings);
    settings
}

pub(super) fn to(address: SocketAddr) -> Endpoint {
    Endpoint::Net {
        https: false,
        http2: false,
        host: address.ip().to_string().into(),
        port: address.port(),
        authority: address.to_string().parse().unwrap(),
    }
}

pub(super) struct Harness {
    pub(super) running: Option<Running>,
    metrics: Arc<Metrics>,
    pub(super) published: Arc<Published>,
    pub(super) endpoints: Arc<Endpoints>,
}

impl Harness {
    pub(super) fn new(settings: Gateway) -> Self {
        Self::listening(settings, |_| {})
    }

    pub(super) fn listening(settings: Gateway, change: impl FnOnce(&mut Listen)) -> Self {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
        let metrics = Arc::new(Metrics::new(clock.clone()).unwrap());
        let log = AccessLogSettings { sink: AccessLogSink::Off, query: false };
        let access_log = AccessLog::open(&log, Arc::clone(&metrics)).unwrap();
        let published = Published::new(Arc::new(settings), Arc::default()).unwrap();
        let mut draft = Draft::new();
        let organization = "5f0000000000000000000001".parse().unwrap();
        draft
            .organization(OrganizationSpec {
                id: organization,
                name: "acme".into(),
                mode: AccessListMode::Required,
                network_sets: Vec::new(),
            })
            .unwrap();
        draft
            .credential(CredentialSpec {
                id: "5f0000000000000000000021".parse().unwrap(),
                kind: CredentialKind::ApiKey,
                organization,
                fingerprints: vec![fingerprint::of_key(KEY.as_bytes())],
                enabled: true,
                expires_at: Timestamp::NEVER,
                enforcement: Enforcement::Enforce,
                grants: Grants { roles: "ORG_MEMBER".into(), projects: "".into(), gateway: false },
                access_list: vec![EntrySpec {
                    target: Target::Network("203.0.113.0/24".parse().unwrap()),
                    expires_at: Timestamp::NEVER,
                }],
                digest: None,
            })
            .unwrap();
        published.publish_snapshot(Arc::new(draft.finish(7))).unwrap();
        let mut listen =
            Listen { address: "127.0.0.1:0".parse().unwrap(), tls: None, proxy_protocol: None, http2: false };
        change(&mut listen);
        let sockets = Sockets {
            listen: vec![listen],
            workers: NonZeroUsize::new(1).unwrap(),
            drain_timeout: Duration::from_secs(1),
            drain_idle: Duration::from_millis(10),
        };
        let listeners = vec![listener::Sockets::bind(sockets.listen[0].address, 1).unwrap()];
        let endpoints = Arc::new(Endpoints::default());
        let parts = ProxyParts {
            sockets: &sockets,
            listeners: &listeners,
            published: &published,
            clock: &clock,
            metrics: &metrics,
            access_log: &access_log,
            usage: &crate::live::usage::Usage::ignored(),
            tls: &TlsFiles {
                certificates: Certificates::read(&sockets, &Certificates::default()).unwrap(),
                authorities: Authorities::default(),
            },
            endpoints: &endpoints,
            nonces: &Arc::new(crate::gate::digest::Nonces::new(clock.now())),
            throttle: &Arc::default(),
            revocations: None,
            local: None,
        };
        let running = start(parts).unwrap();
        running.open();
        Self { running: Some(running), metrics, published, endpoints }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running.as_ref().unwrap().local_addresses()[0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    /// Sends bytes and reads until the gateway closes.
    pub(super) fn ask(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is a close too.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A connection's end is seen by its client before it is counted: waits for the count.
    #[track_caller]
    pub(super) fn counts(&self, expected: u64) {
        let began = Instant::now();
        while self.metric("portcullis_requests_total") != expected && began.elapsed() < Duration::from_secs(3) {
            std::thread::yield_now();
        }
        assert_eq!(self.metric("portcullis_requests_total"), expected);
    }

    pub(super) fn metric(&self, start: &str) -> u64 {
        let (text, _) = self.metrics.encode().unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines()
            .filter(|line| line.starts_with(start))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.drain(Drain::within(Duration::from_millis(200)));
            running.join();
        }
    }
}

pub(super) fn get(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nX-API-Key: {KEY}\r\nX-Forwarded-For: 203.0.113.9\r\n{lines}\r\n"
    )
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: up\r\n\r\nhello";

#[track_caller]
pub(super) fn starts(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "expected {status}, got: {answer}");
}
