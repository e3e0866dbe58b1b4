//! The frozen, validated form of the configuration: no `Option` where a default exists.
//!
//! Made only by `config::resolve`; never read from a file directly and never changed after it was made.
//! A reload makes a new value and publishes it whole through `live::published`.

mod clients;
mod feeds;
mod receipts;
mod single_sign_on;
mod upstream;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;

use crate::access::digest_secret::Algorithm;
use crate::access::id::Id;
use crate::access::network::{Network, Networks};
use crate::access::route::RouteTable;
pub use clients::{ClientLimits, FailureBudget, Pace, RequestRate};
pub use feeds::{FeedAddress, FeedHost, Feeds};
pub use receipts::{ReceiptKey, ReceiptKeyFile};
pub use single_sign_on::{Newcomers, SingleSignOn};
pub use upstream::{Ejection, Endpoint, HealthCheck, Queue, Retries, Upstream, UpstreamFiles, UpstreamTls};

/// Everything that one `portcullis serve` needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the data plane listens on and how many workers it has. A change needs a restart.
    pub sockets: Sockets,
    /// What requests are judged and forwarded by. Reloads without a restart.
    pub gateway: Arc<Gateway>,
    /// Where the directory is read from. A change needs a restart.
    pub directory: DirectorySource,
    /// The admin API; `None` where the directory can't be changed by it. A change needs a restart.
    pub admin: Option<AdminSettings>,
    /// The telemetry listener. A change needs a restart.
    pub telemetry: TelemetrySettings,
    /// The access log. A change needs a restart.
    pub access_log: AccessLogSettings,
}

/// Sockets and threads of the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// Never empty.
    pub listen: Vec<Listen>,
    /// One thread, one current-thread runtime and one listening socket per address each.
    pub workers: NonZeroUsize,
    /// Time that open exchanges get to finish after SIGTERM.
    pub drain_timeout: Duration,
    /// How much of it kept connections get that nothing is asked on.
    pub drain_idle: Duration,
}

/// One listening address of the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS terminated here, where given.
    pub tls: Option<ListenTls>,
    /// Peers that must open each connection with a PROXY protocol header; `None` where it is off.
    pub proxy_protocol: Option<Networks>,
    /// HTTP/2 is spoken besides HTTP/1.1: by ALPN, or by prior knowledge where there is no TLS.
    pub http2: bool,
}

/// What a listener speaks TLS with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenTls {
    /// At least one; the first is for clients that ask for no name that any of them has.
    pub certificates: Vec<CertificateFiles>,
    /// CA certificates (PEM) of clients: who shows none of theirs is not let in.
    pub client_ca: Option<PathBuf>,
}

impl ListenTls {
    /// Paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.certificates.iter().flat_map(|files| [&files.certificate, &files.private_key]);
        pairs.chain(&self.client_ca)
    }
}

/// Certificate chain and key, PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// Chain, leaf first.
    pub certificate: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub private_key: PathBuf,
}

/// What the data plane judges and forwards by: one immutable value, swapped whole.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// How the client address is derived.
    pub client_address: ClientAddressRule,
    /// Which carriers of credentials are read.
    pub credentials: Credentials,
    /// Host and path rules. A route names its upstream by index into `upstreams`.
    pub routes: RouteTable,
    /// Backends, indexed by `access::route::Route::upstream`.
    pub upstreams: Vec<Upstream>,
    /// Sizes.
    pub limits: Limits,
    /// Deadlines of the client side.
    pub timeouts: Timeouts,
    /// What is told to the upstream.
    pub outbound: Outbound,
    /// What receipts are sealed with, the first, and opened with, all. Empty: a key of the store or of the process.
    pub receipt_keys: Vec<ReceiptKeyFile>,
    /// From where network sets may take their networks.
    pub feeds: Feeds,
}

/// decision.md §3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddressRule {
    /// Peers whose forwarding header is believed, and hops that are walked past.
    pub trusted_proxies: Networks,
    /// Peers whose forwarding header is believed for what their certificate says. No hop is walked past for these.
    pub certified_proxies: Vec<CertifiedProxy>,
    /// The one header that is read.
    pub header: AddressHeader,
    /// How many proxies stand in front, where that is known.
    pub hops: Option<NonZeroUsize>,
}

/// A proxy that has to show a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedProxy {
    /// Where it is.
    pub network: Network,
    /// What has to be among the subject alternative names of its certificate, byte for byte.
    pub san_uri: Box<str>,
}

/// The header that names the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`, walked right to left.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), walked right to left.
    Forwarded,
    /// One single-valued header such as `cf-connecting-ip`.
    Single(http::HeaderName),
}

/// Carriers of credentials and what becomes of them.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Names of header-key headers.
    pub headers: Vec<http::HeaderName>,
    /// `Authorization: Basic`.
    pub basic: bool,
    /// `Authorization: Digest`, where it is on.
    pub digest: Option<Digest>,
    /// `Authorization: Bearer`: on where there can be tokens, of an issuer or of a store, and `bearer` is not off.
    pub bearer: bool,
    /// Foreign JWT issuers. A position in this list is the issuer's number everywhere.
    pub issuers: Vec<Issuer>,
    /// Client certificates are credentials of the service accounts that they name.
    pub client_certificates: bool,
    /// Keep the credential for the upstream.
    pub forward: bool,
    /// Realm of the 401 challenges.
    pub realm: String,
}

/// Digest authentication (RFC 7616).
#[derive(Debug, Clone)]
pub struct Digest {
    /// What HA1s are made for: visible ASCII without quotes, backslashes and colons.
    pub realm: String,
    /// What is offered, in this order; never empty.
    pub algorithms: Vec<Algorithm>,
    /// What nonces are signed with; `None`: a key of the process.
    pub nonce_key: Option<NonceKey>,
}

/// The key that all gateways of a fleet sign nonces with.
#[derive(Clone)]
pub struct NonceKey {
    /// Where it was read.
    pub file: PathBuf,
    /// Ready to sign with.
    pub key: hmac::Key,
    /// Of the file's bytes, so that a reload notices another key.
    pub sha256: [u8; 32],
}

impl fmt::Debug for NonceKey {
    /// Tells where it is and nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceKey({})", self.file.display())
    }
}

/// A foreign issuer of JWTs (Kubernetes, OIDC workload identity).
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Exact `iss`.
    pub issuer: String,
    /// Exact `aud`, mandatory.
    pub audience: String,
    /// Where its keys come from.
    pub jwks: JwksSource,
    /// Pinned signature algorithms; never empty; never `none` or HMAC.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Organizations that may use it; never empty.
    pub organizations: Vec<Id>,
}

/// Where an issuer's key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// A local file, watched.
    File(PathBuf),
    /// `https://…` (or `http://` on loopback), refreshed every few minutes, served stale for at most 24 h.
    Url {
        /// The address.
        url: http::Uri,
        /// CA certificates (PEM) in place of the system's, such as the Kubernetes cluster's.
        ca: Option<PathBuf>,
        /// A file with a bearer token to send (the Kubernetes API server wants one).
        token_file: Option<PathBuf>,
    },
}

/// Signature algorithms of foreign JWTs (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[allow(missing_docs, reason = "the names are the registry's")]
pub enum JwtAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Sizes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request head, bytes (request line and all fields).
    pub max_header_bytes: usize,
    /// Number of header fields.
    pub max_headers: usize,
    /// Request body, bytes; `None` is unlimited.
    pub max_body_bytes: Option<u64>,
    /// Open connections per worker.
    pub max_connections: usize,
    /// Streams open at a time on one connection of HTTP/2.
    pub max_streams: u32,
    /// What one client or credential may take.
    pub clients: ClientLimits,
}

/// Deadlines on the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept (or the first byte of a request) to the end of its head; also the TLS handshake and the PROXY header.
    pub header: Duration,
    /// Longest silence of a client that sends a body or reads an answer.
    pub body_idle: Duration,
    /// How long a kept connection may wait for its next request.
    pub keep_alive: Duration,
    /// Longest silence of both sides on a connection that has switched protocols.
    pub tunnel_idle: Duration,
    /// Slower clients are left; `None`: only silent ones are.
    pub pace: Option<Pace>,
}

/// What the upstream is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound {
    /// Send RFC 7239 `Forwarded` besides `X-Forwarded-*`.
    pub forwarded: bool,
    /// Send the `X-Portcullis-*` identity headers.
    pub identity_headers: bool,
    /// Let headers pass that name another target, host or method than the request.
    pub overrides: bool,
}

/// Where the directory is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectorySource {
    /// A YAML file, a `.gz` of it, or a folder of them.
    File(PathBuf),
    /// An SQLite file, made where there is none.
    Sqlite(PathBuf),
    /// The built-in demonstration directory, in memory.
    Demonstration,
}

/// The admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it is served.
    pub listen: SocketAddr,
    /// Whether something in front terminates TLS.
    pub behind_tls: bool,
    /// How the address of a caller is derived.
    pub client_address: ClientAddressRule,
    /// Most entries of one access list.
    pub entries_per_list: usize,
    /// Most API keys of one organization.
    pub api_keys_per_organization: u64,
    /// Most service accounts of one organization.
    pub service_accounts_per_organization: u64,
    /// How often the use of credentials and entries is written.
    pub usage_interval: Duration,
    /// Whether it is remembered from where credentials were used, and what became of it.
    pub record_traffic: bool,
    /// How tokens of service accounts are made.
    pub tokens: TokenSettings,
    /// By whom people may be vouched for.
    pub single_sign_on: Option<SingleSignOn>,
}

/// How tokens of service accounts are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// In whose name; `None`: the address that the admin API is served on.
    pub issuer: Option<String>,
    /// How often one client may ask for one from one address.
    pub per_minute: u32,
    /// Whether the endpoints are on the gateway's listener too.
    pub on_gateway: bool,
}

/// Where the endpoints of tokens are.
pub const TOKEN_PATHS: [&str; 4] =
    ["/api/oauth/token", "/api/oauth/revoke", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server"];

impl AdminSettings {
    /// The issuer of tokens, where the API is served on this address.
    pub fn issuer(&self, served: SocketAddr) -> String {
        let scheme = if self.behind_tls { "https" } else { "http" };
        self.tokens.issuer.clone().unwrap_or_else(|| format!("{scheme}://{served}"))
    }
}

/// The telemetry listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// `/metrics`, `/livez`, `/readyz`.
    pub listen: SocketAddr,
}

/// Where access-log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// The sink.
    pub sink: AccessLogSink,
    /// Log the query string too (off: it may hold secrets).
    pub query: bool,
}

/// The sink of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogSink {
    /// No access log.
    Off,
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}
