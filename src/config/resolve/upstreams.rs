//! `gateway.upstreams`: named backends and their endpoints.
//! Never resolves a name and never connects; an endpoint that is down is no fault of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery};

use super::{Resolve, step};
use crate::config::document::{Finding, Path, path};
use crate::config::raw::{self, Choice};
use crate::config::settings::{Ejection, Endpoint, HealthCheck, Queue, Retries, Upstream, UpstreamFiles, UpstreamTls};
use crate::config::units;

/// Name and address of the built-in upstream.
const ECHO: (&str, &str) = ("echo", "echo:");

impl Resolve<'_> {
    /// The upstreams that are good, and the names of all, so that a route to a bad one is not a second fault.
    pub(super) fn upstreams(&mut self, raw: Option<&BTreeMap<String, raw::Upstream>>) -> (Vec<Upstream>, Vec<String>) {
        let built_in = BTreeMap::from([(
            ECHO.0.to_owned(),
            raw::Upstream { endpoints: vec![raw::Word(ECHO.1.to_owned())], ..raw::Upstream::default() },
        )]);
        let raw = raw.filter(|raw| !raw.is_empty()).unwrap_or(&built_in);
        let place = path!["gateway", "upstreams"];
        let made =
            raw.iter().filter_map(|(name, one)| self.upstream(&step(&place, name.as_str()), name, one)).collect();
        (made, raw.keys().cloned().collect())
    }

    fn upstream(&mut self, at: &Path, name: &str, raw: &raw::Upstream) -> Option<Upstream> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
            let message = "the name of an upstream is 1 to 64 letters, digits, `-`, `_` and `.`; choose another";
            self.findings.push(Finding::error(at.clone(), message).at_key());
        }
        let place = step(at, "endpoints");
        if raw.endpoints.is_empty() {
            self.error(
                place.clone(),
                format!("upstream `{name}` has no endpoints; name one such as http://127.0.0.1:3000"),
            );
        }
        let mut endpoints = Vec::new();
        for (index, word) in raw.endpoints.iter().enumerate() {
            let Some(made) = self.parsed(step(&place, index), endpoint(&word.0)) else {
                continue;
            };
            match endpoints.contains(&made) {
                true => self.error(step(&place, index), "this endpoint is listed twice; keep one"),
                false => endpoints.push(made),
            }
        }
        let echoes = endpoints.iter().filter(|one| **one == Endpoint::Echo).count();
        if echoes > 0 && endpoints.len() > echoes {
            self.error(place.clone(), format!("upstream `{name}` mixes `echo:` with real endpoints; keep one kind"));
        }
        let speaks_http2 = |one: &&Endpoint| matches!(one, Endpoint::Net { http2: true, .. });
        let of_http2 = endpoints.iter().filter(speaks_http2).count();
        if of_http2 > 0 && of_http2 < endpoints.len() && echoes == 0 {
            let message = format!(
                "upstream `{name}` mixes endpoints of HTTP/2 (`h2://`, `h2c://`) with others; make two upstreams of it"
            );
            self.error(place, message);
        }
        let tls_place = step(at, "tls");
        let ca = self.optional_file(step(&tls_place, "ca"), raw.tls.ca.as_deref());
        let certificate = match (raw.tls.certificate.as_deref(), raw.tls.private_key.as_deref()) {
            (None, None) => Some(None),
            (Some(certificate), Some(key)) => self.certificate(&tls_place, certificate, key).map(Some),
            (Some(_), None) => {
                self.missing(&tls_place, "`private_key` is missing; name the file of the certificate's key")
            }
            (None, Some(_)) => self.missing(&tls_place, "`certificate` is missing; name the file with the key's chain"),
        };
        let server_name = raw.tls.server_name.clone();
        if let Some(wanted) = &server_name
            && rustls_pki_types::ServerName::try_from(wanted.as_str()).is_err()
        {
            let message = format!("`{}` is neither a DNS name nor an IP address", shown(wanted));
            self.error(step(&tls_place, "server_name"), message);
        }
        let connect_timeout = self.duration(at, "connect_timeout", raw.connect_timeout.as_ref(), 5);
        let first_byte_timeout = self.duration(at, "first_byte_timeout", raw.first_byte_timeout.as_ref(), 60);
        let idle_timeout = self.duration(at, "idle_timeout", raw.idle_timeout.as_ref(), 60);
        let pool_idle_timeout = self.duration(at, "pool_idle_timeout", raw.pool_idle_timeout.as_ref(), 60);
        let total_timeout = self.total_timeout(at, raw.total_timeout.as_ref());
        let resolve_interval = self.duration(at, "resolve_interval", raw.resolve_interval.as_ref(), 10);
        let queue_timeout = self.duration(&step(at, "queue"), "timeout", raw.queue.timeout.as_ref(), 1);
        let ejection = self.ejection(&step(at, "ejection"), raw.ejection.as_ref());
        let health_check = self.health_check(&step(at, "health_check"), raw.health_check.as_ref());
        if echoes > 0 && matches!(raw.health_check, Some(Choice::On(_))) {
            self.error(step(at, "health_check"), "`echo:` is always well; take `health_check` out");
        }
        Some(Upstream {
            name: Arc::from(name),
            endpoints,
            tls: UpstreamTls { files: UpstreamFiles { ca: ca?, certificate: certificate? }, server_name },
            preserve_host: raw.preserve_host.unwrap_or(true),
            connect_timeout: connect_timeout?,
            first_byte_timeout: first_byte_timeout?,
            idle_timeout: idle_timeout?,
            pool_idle_timeout: pool_idle_timeout?,
            pool_max_idle: raw.pool_max_idle.unwrap_or(64) as usize,
            total_timeout: total_timeout?,
            max_connections: raw.max_connections.unwrap_or(1024) as usize,
            queue: Queue { length: raw.queue.length.unwrap_or(1024) as usize, timeout: queue_timeout? },
            retries: match &raw.retries {
                Some(Choice::Off) => None,
                Some(Choice::On(raw)) => Some(retries(raw)),
                None => Some(retries(&raw::Retries::default())),
            },
            ejection: ejection?,
            health_check: health_check?,
            resolve_interval: resolve_interval?,
        })
    }

    fn total_timeout(&mut self, at: &Path, word: Option<&raw::Word>) -> Option<Option<Duration>> {
        match word.map(|word| word.0.as_str()) {
            None | Some("unlimited") => Some(None),
            Some(text) => {
                let duration = units::duration(text).map_err(|fault| format!("{fault}, or unlimited"));
                self.parsed(step(at, "total_timeout"), duration).map(Some)
            }
        }
    }

    fn ejection(&mut self, at: &Path, raw: Option<&Choice<raw::Ejection>>) -> Option<Option<Ejection>> {
        let defaults = raw::Ejection::default();
        let raw = match raw {
            Some(Choice::Off) => return Some(None),
            Some(Choice::On(raw)) => raw,
            None => &defaults,
        };
        let first = self.duration(at, "first", raw.first.as_ref(), 1);
        // Where only the first is given, and is longer than usual, that is how long it takes.
        let usual = first.map_or(10, |first| first.as_secs().saturating_add(1).max(10));
        let longest = self.duration(at, "longest", raw.longest.as_ref(), usual);
        let (first, longest) = (first?, longest?);
        if longest < first {
            let message = "`longest` is shorter than `first`; write at least as long a duration";
            self.error(step(at, "longest"), message);
        }
        Some(Some(Ejection { failures: raw.failures.unwrap_or(5), first, longest }))
    }

    fn health_check(&mut self, at: &Path, raw: Option<&Choice<raw::HealthCheck>>) -> Option<Option<HealthCheck>> {
        let Some(Choice::On(raw)) = raw else { return Some(None) };
        let path = raw.path.0.parse::<PathAndQuery>().ok().filter(|path| path.path().starts_with('/'));
        if path.is_none() {
            let message = format!("`{}` is not a path; write it like /healthz", shown(&raw.path.0));
            self.error(step(at, "path"), message);
        }
        let host = match &raw.host {
            None => Some(None),
            Some(word) => {
                let made = word.0.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'));
                let made = made.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
                if made.is_none() {
                    let message = format!("`{}` is not a host; write it like api.example.com", shown(&word.0));
                    self.error(step(at, "host"), message);
                }
                made.map(Some)
            }
        };
        let interval = self.duration(at, "interval", raw.interval.as_ref(), 5);
        let timeout = self.duration(at, "timeout", raw.timeout.as_ref(), 2);
        Some(Some(HealthCheck {
            path: path?,
            host: host?,
            interval: interval?,
            timeout: timeout?,
            healthy_after: raw.healthy_after.unwrap_or(2),
            unhealthy_after: raw.unhealthy_after.unwrap_or(3),
        }))
    }
}

fn retries(raw: &raw::Retries) -> Retries {
    Retries { percent: raw.percent.unwrap_or(20), reserve: raw.reserve.unwrap_or(100) }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    if text == ECHO.1 {
        return Ok(Endpoint::Echo);
    }
    if text.contains('@') {
        // Not repeated: it may hold a password.
        return Err("the endpoint has a user name or password in it; leave them out".into());
    }
    let fault = || {
        format!(
            "`{}` is not an endpoint; write it like http://127.0.0.1:3000, https://api.example.com or, of HTTP/2, h2c://127.0.0.1:50051",
            shown(text)
        )
    };
    let (https, http2, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, false, rest),
        Some(("https", rest)) => (true, false, rest),
        Some(("h2c", rest)) => (false, true, rest),
        Some(("h2", rest)) => (true, true, rest),
        _ => return Err(fault()),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(format!("endpoint `{}` has a path, which requests bring themselves; leave it out", shown(text)));
    }
    let parsed: Authority = authority.parse().map_err(|_| fault())?;
    let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
    let named = authority.strip_prefix(parsed.host()).unwrap_or_default();
    let port = match named.strip_prefix(':') {
        None if named.is_empty() => Some(if https { 443 } else { 80 }),
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
        None => None,
    };
    let legal = rustls_pki_types::ServerName::try_from(host).is_ok();
    let sent = HeaderValue::from_str(authority);
    match (port, sent, legal) {
        (Some(port), Ok(sent), true) => Ok(Endpoint::Net { https, http2, host: host.into(), port, authority: sent }),
        _ => Err(fault()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}
