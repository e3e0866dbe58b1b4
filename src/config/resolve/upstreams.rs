//! `gateway.upstreams`: named backends and their endpoints.
//! Never resolves a name and never connects; an endpoint that is down is no fault of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Resolve, step};
use crate::config::document::{Finding, Path, path};
use crate::config::raw;
use crate::config::settings::{Endpoint, Upstream, UpstreamTls};

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
            self.error(place, format!("upstream `{name}` mixes `echo:` with real endpoints; keep one kind"));
        }
        let tls_place = step(at, "tls");
        let ca = self.optional_file(step(&tls_place, "ca"), raw.tls.ca.as_deref());
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
        Some(Upstream {
            name: Arc::from(name),
            endpoints,
            tls: UpstreamTls { ca: ca?, server_name },
            preserve_host: raw.preserve_host.unwrap_or(true),
            connect_timeout: connect_timeout?,
            first_byte_timeout: first_byte_timeout?,
            idle_timeout: idle_timeout?,
            pool_idle_timeout: pool_idle_timeout?,
            pool_max_idle: raw.pool_max_idle.unwrap_or(64) as usize,
        })
    }
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
        format!("`{}` is not an endpoint; write it like http://127.0.0.1:3000 or https://api.example.com", shown(text))
    };
    let (https, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        _ => return Err(fault()),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(format!("endpoint `{}` has a path, which requests bring themselves; leave it out", shown(text)));
    }
    let parsed: http::uri::Authority = authority.parse().map_err(|_| fault())?;
    let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
    let named = authority.strip_prefix(parsed.host()).unwrap_or_default();
    let port = match named.strip_prefix(':') {
        None if named.is_empty() => Some(if https { 443 } else { 80 }),
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
        None => None,
    };
    let legal = rustls_pki_types::ServerName::try_from(host).is_ok();
    let sent = http::HeaderValue::from_str(authority);
    match (port, sent, legal) {
        (Some(port), Ok(sent), true) => Ok(Endpoint::Net { https, host: host.into(), port, authority: sent }),
        _ => Err(fault()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}
