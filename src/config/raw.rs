//! The configuration as the file writes it: one struct a mapping, every scalar still the text that was written.
//!
//! Never judges a value; `config::resolve` does, so that all faults come at once and each with its place.
//! The doc comments are the descriptions of `portcullis schema config`.

mod feeds;
mod scalar;
mod single_sign_on;
mod upstream;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::JwtAlgorithm;
pub use feeds::{FeedHost, Feeds};
pub use scalar::{Choice, Toggle, Word, WordOr};
pub use single_sign_on::{Newcomers, SingleSignOn};
pub use upstream::{Ejection, HealthCheck, Queue, Retries, Upstream, UpstreamTls};

/// The configuration of `portcullis serve`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Portcullis configuration")]
pub struct Configuration {
    /// What listens, how a request is judged, and where it goes.
    pub gateway: Gateway,
    /// Where organizations, credentials and access lists are kept. Default: `sqlite: portcullis.db`.
    pub directory: Option<Directory>,
    /// The listener for probes and metrics, and the access log.
    pub telemetry: Telemetry,
    /// The listener of the admin API, where the directory can be changed by it (`sqlite`).
    pub admin: Option<Admin>,
    /// From where network sets of the store may take their networks by themselves.
    pub feeds: Feeds,
}

/// What listens, how a request is judged, and where it goes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Addresses to listen on. Default: `127.0.0.1:8080` without TLS. A change needs a restart.
    pub listen: Option<Vec<Listen>>,
    /// Worker threads: `auto` (one per core) or a number. Default: `auto`. A change needs a restart.
    pub workers: Option<Word>,
    /// How long open requests may go on after SIGTERM. Default: `30s`. A change needs a restart.
    pub drain_timeout: Option<Word>,
    /// How much of it kept connections get that nothing is asked on. Default: `1s`. A change needs a restart.
    pub drain_idle: Option<Word>,
    /// How the client address is derived.
    pub client_address: ClientAddress,
    /// Where credentials are looked for in a request.
    pub credentials: Credentials,
    /// Rules that send a request to an upstream. Default: everything to the only upstream.
    pub routes: Option<Vec<Route>>,
    /// Backends by name. Default: `echo`, which answers with the request as an upstream sees it.
    pub upstreams: Option<BTreeMap<String, Upstream>>,
    /// Sizes.
    pub limits: Limits,
    /// Deadlines on the client's side.
    pub timeouts: Timeouts,
    /// What upstreams are told.
    pub outbound: Outbound,
    /// What the ids of refused requests are sealed with.
    pub receipts: Receipts,
}

/// An address to listen on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// IP address and port, such as `127.0.0.1:8080` or `[::]:8080`. Port 0 takes a free one.
    pub address: String,
    /// Terminates TLS 1.2 and 1.3 here. Default: plain HTTP.
    pub tls: Option<ListenTls>,
    /// Every connection begins with a PROXY protocol header (v1 or v2). Default: off.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// HTTP/2 besides HTTP/1.1: with TLS by ALPN, without it for clients that begin with it (prior knowledge). Default: `on`
    /// with TLS, `off` without.
    pub http2: Option<Toggle>,
}

/// Certificates and keys of a listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// PEM file with the chain, leaf first. Relative to this file.
    pub certificate: Option<String>,
    /// PEM file with the private key. Relative to this file.
    pub private_key: Option<String>,
    /// Several in place of one: clients are shown the one that has the name they ask for, or the first. Default: one.
    pub certificates: Option<Vec<CertificateFiles>>,
    /// PEM file with the CA certificates of clients: who shows no certificate of theirs is not let in. Default: nobody is asked.
    pub client_ca: Option<String>,
}

/// Certificate and key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// PEM file with the chain, leaf first. Relative to this file.
    pub certificate: String,
    /// PEM file with the private key. Relative to this file.
    pub private_key: String,
}

/// Who may, and must, send a PROXY protocol header.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Networks of the load balancers. Connections from anywhere else are closed.
    pub trusted: Vec<Word>,
}

/// What the ids of refused requests are sealed with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Receipts {
    /// Files of 32 random bytes or more, the same for all gateways of a fleet: the first seals, all open. Relative to this
    /// file. Default: a key that the store keeps, or, without a store, a random one of the process.
    pub key_files: Option<Vec<String>>,
}

/// How the client address is derived.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientAddress {
    /// Networks of the proxies in front whose header is believed, plainly or with what the proxy's certificate has to say.
    /// Default: none, the peer is the client.
    pub trusted_proxies: Vec<WordOr<CertifiedProxy>>,
    /// The one header that is read: `x-forwarded-for`, `forwarded` (RFC 7239) or a single-valued one such as
    /// `cf-connecting-ip`. Default: `x-forwarded-for`.
    pub header: Option<Word>,
    /// How many proxies stand in front, where clients may be inside the trusted networks themselves. Default: unknown.
    #[schemars(range(min = 1))]
    pub hops: Option<u32>,
    /// Allows `trusted_proxies` that cover all of IPv4 or IPv6: then anybody chooses their own address. Default: `false`.
    pub allow_any_proxy: bool,
}

/// A proxy that is believed only where its certificate says who it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedProxy {
    /// The network that it connects from.
    pub cidr: Word,
    /// The URI that its certificate has among its subject alternative names, byte for byte, such as
    /// `spiffe://mesh/ns/edge/sa/proxy`. Needs a listener with `tls.client_ca`.
    pub san_uri: String,
}

/// Where credentials are looked for in a request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Credentials {
    /// Headers that carry a whole key. Default: `[x-api-key]`.
    pub headers: Option<Vec<Word>>,
    /// `Authorization: Basic` with public key and private key. Default: `on`.
    pub basic: Option<Toggle>,
    /// `Authorization: Digest` (RFC 7616): `off`, or a mapping. Default: `off`.
    pub digest: Option<Choice<Digest>>,
    /// `Authorization: Bearer` with tokens of the store, where the directory is one, and of the issuers. Default: `on`.
    pub bearer: Option<Toggle>,
    /// Foreign issuers of tokens. Default: none.
    pub issuers: Vec<Issuer>,
    /// A client certificate that a service account has as its `certificate` is its credential; needs `tls.client_ca` of a
    /// listener. Default: `off`.
    pub client_certificates: Option<Toggle>,
    /// Leaves the credential in the request that the upstream gets. Default: `false`.
    pub forward: bool,
    /// Realm of the `WWW-Authenticate` header. Default: `Portcullis`.
    pub realm: Option<Word>,
}

/// Digest authentication.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// What the HA1s of the directory were made for.
    pub realm: Word,
    /// Hashes that are offered; `MD5` only for clients that know no other. Default: `[SHA-256]`.
    pub algorithms: Option<Vec<DigestAlgorithm>>,
    /// File of 32 random bytes or more that nonces are signed with, the same for all gateways behind one load balancer.
    /// Relative to this file. Default: a random key of the process.
    pub nonce_key_file: Option<String>,
}

/// A hash of RFC 7616.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum DigestAlgorithm {
    /// SHA-256.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// MD5.
    #[serde(rename = "MD5")]
    Md5,
}

/// A foreign issuer of tokens: a Kubernetes cluster, an OpenID Connect provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Exact `iss` of its tokens.
    pub issuer: String,
    /// Exact `aud` that a token for this gateway has; never the issuer's own name.
    pub audience: String,
    /// Its keys as a local file. This or `jwks_url`.
    pub jwks_file: Option<String>,
    /// Its keys at an `https` address. This or `jwks_file`.
    pub jwks_url: Option<String>,
    /// PEM file with the CA of `jwks_url`. Default: the system's.
    pub jwks_ca: Option<String>,
    /// File with a bearer token to send to `jwks_url`; a Kubernetes API server wants one. Default: none.
    pub jwks_token_file: Option<String>,
    /// Signature algorithms. Default: `[RS256, ES256]`.
    pub algorithms: Option<Vec<JwtAlgorithm>>,
    /// Ids of the organizations whose service accounts it may speak for.
    pub organizations: Vec<Word>,
}

/// A rule that sends a request to an upstream. The most specific one wins: host, then path, then methods.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Host name, or `*.example.com` for everything below it. Default: any host.
    pub host: Option<String>,
    /// Path prefix of whole segments. Default: `/`.
    pub path: Option<String>,
    /// Methods, in capitals. Default: all.
    pub methods: Option<Vec<Word>>,
    /// Whether a credential is needed. Default: `required`.
    pub access: Option<Access>,
    /// Refuses credentials whose access list is empty. Default: `false`.
    #[serde(default)]
    pub require_access_list: bool,
    /// Ids of the organizations whose credentials may pass. Default: all.
    pub organizations: Option<Vec<Word>>,
    /// Whether a CORS preflight passes without a credential. Default: `require`.
    pub preflight: Option<Preflight>,
    /// Protocols that a request may switch to (`Upgrade`); `[]` for none. Default: `[websocket]`.
    pub upgrades: Option<Vec<Word>>,
    /// Name of the upstream. Default: the only one.
    pub upstream: Option<Word>,
}

/// Whether a credential is needed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// A proven credential from an allowed address.
    Required,
    /// No credential is read.
    Public,
}

/// What becomes of a CORS preflight.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preflight {
    /// It passes without a credential.
    Pass,
    /// It is a request like any other.
    Require,
}

/// Sizes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Request line and header fields together. Default: `64KiB`.
    pub max_header_bytes: Option<Word>,
    /// Header fields. Default: `100`.
    #[schemars(range(min = 1, max = 1024))]
    pub max_headers: Option<u32>,
    /// Request body: a size or `unlimited`. Default: `unlimited`.
    pub max_body_bytes: Option<Word>,
    /// Open connections per worker. Default: `16384`.
    #[schemars(range(min = 1))]
    pub max_connections: Option<u32>,
    /// Requests at a time on one connection of HTTP/2. Default: `100`.
    #[schemars(range(min = 1, max = 65536))]
    pub max_streams: Option<u32>,
    /// Open connections of one client address (IPv6: one /64), those of trusted proxies excepted: a number or `unlimited`.
    /// Default: `unlimited`.
    pub connections_per_address: Option<Word>,
    /// Requests under way, per worker: a number or `unlimited`. Default: `unlimited`.
    pub max_requests: Option<Word>,
    /// Attempts of one client address (IPv6: one /64) that prove no credential: `off`, or a mapping. Default: a mapping of
    /// defaults.
    pub failed_attempts: Option<Choice<FailedAttempts>>,
    /// Requests of one credential: `off`, or a mapping. Default: `off`.
    pub request_rate: Option<Choice<RequestRate>>,
}

/// Attempts of one client address that prove no credential.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailedAttempts {
    /// At once. Default: `60`.
    #[schemars(range(min = 1, max = 1000000))]
    pub burst: Option<u32>,
    /// Earned back. Default: `60`.
    #[schemars(range(min = 1, max = 60000))]
    pub per_minute: Option<u32>,
}

/// Requests of one credential.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestRate {
    /// How many.
    #[schemars(range(min = 1, max = 1000000))]
    pub requests: u32,
    /// In which time. Default: `1s`.
    pub per: Option<Word>,
    /// How many at once. Default: as many as `requests`.
    #[schemars(range(min = 1, max = 1000000))]
    pub burst: Option<u32>,
}

/// Deadlines on the client's side.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To the end of a request's head; also of the TLS handshake and the PROXY protocol header. Default: `10s`.
    pub header: Option<Word>,
    /// Longest silence of a client that sends a body or reads an answer. Default: `60s`.
    pub body_idle: Option<Word>,
    /// How long a connection may wait for its next request. Default: `75s`.
    pub keep_alive: Option<Word>,
    /// Longest silence, of both sides together, on a connection that has switched to WebSocket or another protocol.
    /// Default: `1h`.
    pub tunnel_idle: Option<Word>,
    /// What a client has to send of its body, or to take of its answer, in each second that it is waited for: a size or
    /// `off`. Default: `240B`.
    pub min_rate: Option<Word>,
    /// How long a client is waited for besides. Default: `30s`.
    pub min_rate_grace: Option<Word>,
}

/// What upstreams are told.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// Sends RFC 7239 `Forwarded` besides `X-Forwarded-*`. Default: `false`.
    pub forwarded: bool,
    /// Sends the `X-Portcullis-*` identity headers. Default: `true`.
    pub identity_headers: Option<bool>,
    /// Lets headers pass by which upstreams take another target, host or method than the request has (`X-Original-URL`,
    /// `X-HTTP-Method-Override` and the like): routes then don't say what is done behind them. Default: `false`.
    pub overrides: bool,
}

/// Where organizations, credentials and access lists are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Directory {
    /// A YAML file, a `.gz` of it, or a folder of them. Relative to this file.
    pub file: Option<String>,
    /// The built-in demonstration directory; its keys are public knowledge. Default: `false` where `file` is given.
    pub demonstration: Option<bool>,
    /// An embedded database, made on first start and changed by the admin API. Relative to this file.
    /// Default where `directory` is left out: `portcullis.db`.
    pub sqlite: Option<String>,
    /// A PostgreSQL database. Not in this version: refused.
    pub postgres: Option<serde_json::Value>,
    /// Another Portcullis. Not in this version: refused.
    pub follow: Option<serde_json::Value>,
}

/// The listener of the admin API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// IP address and port. Default: `127.0.0.1:8081`. A change needs a restart.
    pub listen: Option<Word>,
    /// Something in front of it terminates TLS, so that it may listen on other than loopback. Default: `false`.
    pub behind_tls: bool,
    /// How the address of a caller is derived; by default without trusted proxies. A change needs a restart.
    pub client_address: ClientAddress,
    /// Most entries of one access list, up to 100000. Default: 200. A change needs a restart.
    pub entries_per_list: Option<u32>,
    /// Most API keys of one organization. Default: 500. A change needs a restart.
    pub api_keys_per_organization: Option<u32>,
    /// Most service accounts of one organization. Default: 200. A change needs a restart.
    pub service_accounts_per_organization: Option<u32>,
    /// How often the use of credentials and entries is written to the store; a crash loses what is newer. Default: `5s`. A
    /// change needs a restart.
    pub usage_interval: Option<Word>,
    /// Remembers for 30 days from where each credential was used, what became of it and on which route. Default: `true`. A
    /// change needs a restart.
    pub record_traffic: Option<bool>,
    /// How tokens of service accounts are made.
    pub tokens: Tokens,
    /// A provider of OpenID Connect by which people sign in to the console. Default: none. A change needs a restart.
    pub single_sign_on: Option<SingleSignOn>,
}

/// How tokens of service accounts are made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// In whose name: the address by which clients know the admin API, such as `https://admin.example.com`. Default: the
    /// address that it is served on. A change needs a restart, and ends the tokens that there are.
    pub issuer: Option<Word>,
    /// How often one client may ask for a token from one address. Default: 10. A change needs a restart.
    pub per_minute: Option<u32>,
    /// Serves the endpoints of tokens on the gateway's listener too, at the same paths. Default: `false`. A change needs a
    /// restart.
    pub on_gateway: bool,
}

/// The listener for probes and metrics, and the access log.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Address of `/metrics`, `/livez` and `/readyz`. Default: `127.0.0.1:8082`. A change needs a restart.
    pub listen: Option<Word>,
    /// One JSON line a request.
    pub access_log: AccessLog,
}

/// One JSON line a request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// Where it goes. Default: `stdout`. A change needs a restart.
    pub to: Option<Sink>,
    /// The file, where `to` is `file`. Relative to this file.
    pub file: Option<String>,
    /// Logs query strings too, which may hold secrets. Default: `false`.
    pub query: bool,
}

/// Where the access log goes.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sink {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// To the end of a file.
    File,
}
