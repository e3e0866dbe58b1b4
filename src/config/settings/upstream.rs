//! Backends, their endpoints, and how much each is given to do.
//!
//! Frozen like the rest of the settings; what happens by them is in `proxy::upstream`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::CertificateFiles;

/// A named backend.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Name in the configuration, log and metric.
    pub name: Arc<str>,
    /// Never empty.
    pub endpoints: Vec<Endpoint>,
    /// TLS settings for `https` endpoints.
    pub tls: UpstreamTls,
    /// Keep the request's `Host`; otherwise the endpoint's authority is sent.
    pub preserve_host: bool,
    /// TCP (and TLS) connect deadline.
    pub connect_timeout: Duration,
    /// From the request being sent to the response head.
    pub first_byte_timeout: Duration,
    /// Longest silence within a body, either way.
    pub idle_timeout: Duration,
    /// From the permit to the end of the answer; `None` is unlimited.
    pub total_timeout: Option<Duration>,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// Unused connections kept per endpoint and worker.
    pub pool_max_idle: usize,
    /// Connections in use per address of an endpoint and worker.
    pub max_connections: usize,
    /// Who waits where all of them are in use.
    pub queue: Queue,
    /// Requests that are sent a second time; `None`: none are.
    pub retries: Option<Retries>,
    /// Endpoints that fail are left alone for a while; `None`: they are not.
    pub ejection: Option<Ejection>,
    /// Endpoints are asked whether they are well; `None`: they are not.
    pub health_check: Option<HealthCheck>,
    /// How long an answer of the resolver is believed.
    pub resolve_interval: Duration,
}

/// The line before an upstream whose connections are all in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Requests in it, per worker; 0 refuses at once.
    pub length: usize,
    /// Longest wait in it.
    pub timeout: Duration,
}

/// How many requests may be sent twice, so that an upstream in trouble is not given twice the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Of a hundred requests.
    pub percent: u32,
    /// Saved up at most, and what a worker begins with.
    pub reserve: u32,
}

/// When an endpoint is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row.
    pub failures: u32,
    /// The first time; each further one in a row is twice as long.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

/// How endpoints are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Asked for with `GET`; an answer below 400 is a good one.
    pub path: http::uri::PathAndQuery,
    /// `Host` of the question; `None`: the endpoint's own.
    pub host: Option<http::HeaderValue>,
    /// Between two questions.
    pub interval: Duration,
    /// Connecting, TLS and the head of the answer together.
    pub timeout: Duration,
    /// Good answers in a row that make an endpoint well again.
    pub healthy_after: u32,
    /// Bad ones in a row that make it unwell.
    pub unhealthy_after: u32,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `http://host:port` or `https://host:port`; `h2c://` and `h2://` are the same with HTTP/2.
    Net {
        /// Whether TLS is spoken.
        https: bool,
        /// Whether HTTP/2 is spoken, and nothing else.
        http2: bool,
        /// Host name or address literal without brackets.
        host: Arc<str>,
        /// Port.
        port: u16,
        /// `host[:port]` as it is sent in `Host` when the request's own is not kept.
        authority: http::HeaderValue,
    },
    /// The built-in echo upstream (`echo:`), which answers with the request as it saw it.
    Echo,
}

/// How `https` endpoints are verified, and what we show them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The files of it.
    pub files: UpstreamFiles,
    /// Name to verify and to send as SNI in place of the endpoint's host.
    pub server_name: Option<String>,
}

impl Upstream {
    /// Whether HTTP/2 is spoken with its endpoints: with all of them or with none.
    pub fn speaks_http2(&self) -> bool {
        matches!(self.endpoints.first(), Some(Endpoint::Net { http2: true, .. }))
    }
}

/// Files that TLS is spoken with to an upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UpstreamFiles {
    /// CA certificates (PEM) in place of the system's.
    pub ca: Option<PathBuf>,
    /// What we show to an upstream that asks who we are.
    pub certificate: Option<CertificateFiles>,
}

impl UpstreamFiles {
    /// Whether there are none: the system's authorities, and nothing to show.
    pub fn is_empty(&self) -> bool {
        self.ca.is_none() && self.certificate.is_none()
    }

    /// Their paths.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let pair = self.certificate.iter().flat_map(|files| [&files.certificate, &files.private_key]);
        self.ca.iter().chain(pair)
    }
}

impl fmt::Display for Endpoint {
    /// As metrics and log name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net { https, http2, authority, .. } => {
                let scheme = match (https, http2) {
                    (false, false) => "http",
                    (true, false) => "https",
                    (false, true) => "h2c",
                    (true, true) => "h2",
                };
                write!(f, "{scheme}://{}", authority.to_str().unwrap_or_default())
            }
            Self::Echo => f.write_str("echo:"),
        }
    }
}
