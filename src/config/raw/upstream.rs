//! `gateway.upstreams` as the file writes it.
//! The doc comments are the descriptions of `portcullis schema config`; never judges a value.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Choice, Word};

/// A backend.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `http://host:port`, `https://host:port`, or `echo:` for the built-in one.
    pub endpoints: Vec<Word>,
    /// How `https` endpoints are verified.
    #[serde(default)]
    pub tls: UpstreamTls,
    /// Keeps the request's `Host`. Default: `true`.
    pub preserve_host: Option<bool>,
    /// Deadline of connecting, TLS included. Default: `5s`.
    pub connect_timeout: Option<Word>,
    /// From the request being sent to the head of the answer. Default: `60s`.
    pub first_byte_timeout: Option<Word>,
    /// Longest silence within a body. Default: `60s`.
    pub idle_timeout: Option<Word>,
    /// For the whole of it, up to the end of the answer: a duration or `unlimited`. Default: `unlimited`.
    pub total_timeout: Option<Word>,
    /// How long an unused connection is kept. Default: `60s`.
    pub pool_idle_timeout: Option<Word>,
    /// Unused connections kept, per endpoint and worker. Default: `64`.
    #[schemars(range(min = 0, max = 65535))]
    pub pool_max_idle: Option<u32>,
    /// Connections in use, per address of an endpoint and worker. Default: `1024`.
    #[schemars(range(min = 1, max = 65535))]
    pub max_connections: Option<u32>,
    /// Requests that wait where all connections are in use.
    #[serde(default)]
    pub queue: Queue,
    /// Requests that are sent a second time, where that is safe: `off`, or a mapping. Default: a mapping of defaults.
    pub retries: Option<Choice<Retries>>,
    /// Endpoints that fail are left alone for a while: `off`, or a mapping. Default: a mapping of defaults.
    pub ejection: Option<Choice<Ejection>>,
    /// Endpoints are asked whether they are well: `off`, or a mapping. Default: `off`.
    pub health_check: Option<Choice<HealthCheck>>,
    /// How often the name of an endpoint is looked up. Default: `10s`.
    pub resolve_interval: Option<Word>,
}

/// Requests that wait where all connections are in use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// How many, per worker; with 0 nobody waits. Default: `1024`.
    #[schemars(range(min = 0, max = 65535))]
    pub length: Option<u32>,
    /// How long. Default: `1s`.
    pub timeout: Option<Word>,
}

/// Requests that are sent a second time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// Of a hundred requests. Default: `20`.
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<u32>,
    /// Saved up at most, per worker, and there at the beginning. Default: `100`.
    #[schemars(range(min = 1, max = 65535))]
    pub reserve: Option<u32>,
}

/// Endpoints that fail are left alone for a while.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ejection {
    /// Failures in a row, per worker. Default: `5`.
    #[schemars(range(min = 1, max = 65535))]
    pub failures: Option<u32>,
    /// How long at first; twice as long each further time in a row. Default: `1s`.
    pub first: Option<Word>,
    /// How long at most. Default: `10s`.
    pub longest: Option<Word>,
}

/// Endpoints are asked whether they are well.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Path to ask for with `GET`; an answer below 400 is a good one.
    pub path: Word,
    /// `Host` of the question. Default: the endpoint's own.
    pub host: Option<Word>,
    /// Between two questions. Default: `5s`.
    pub interval: Option<Word>,
    /// For the head of the answer, connecting included. Default: `2s`.
    pub timeout: Option<Word>,
    /// Good answers in a row that make an endpoint well again. Default: `2`.
    #[schemars(range(min = 1, max = 1000))]
    pub healthy_after: Option<u32>,
    /// Bad answers in a row that make it unwell. Default: `3`.
    #[schemars(range(min = 1, max = 1000))]
    pub unhealthy_after: Option<u32>,
}

/// How `https` endpoints are verified, and what they are shown.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// PEM file with CA certificates. Default: the system's.
    pub ca: Option<String>,
    /// PEM file with a certificate and its chain, leaf first, for upstreams that ask who we are. Default: none is shown.
    pub certificate: Option<String>,
    /// PEM file with its private key. Default: none.
    pub private_key: Option<String>,
    /// Name to ask for and to verify. Default: the endpoint's host.
    pub server_name: Option<String>,
}
