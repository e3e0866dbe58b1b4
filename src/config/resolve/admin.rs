//! `admin`: the listener of the admin API.
//! Never lets private keys pass in clear over a network by default.

use super::{Resolve, listeners, step};
use crate::config::document::path;
use crate::config::raw;
use crate::config::settings::{AdminSettings, DirectorySource, Sockets, TOKEN_PATHS, TokenSettings};

/// Bounds of the limits that may be set.
const MOST_ENTRIES: u32 = 100_000;
const MOST_KEYS: u32 = 10_000_000;
const MOST_A_MINUTE: u32 = 1_000_000;

impl Resolve<'_> {
    /// The listener where there is to be one: with a directory that the API can change, or where it was asked for.
    pub(super) fn admin(
        &mut self,
        raw: Option<&raw::Admin>,
        directory: Option<&DirectorySource>,
        sockets: Option<&Sockets>,
    ) -> Option<Option<AdminSettings>> {
        if raw.is_none() && !matches!(directory, Some(DirectorySource::Sqlite(_))) {
            return Some(None);
        }
        let default = raw::Admin::default();
        let raw = raw.unwrap_or(&default);
        let at = path!["admin"];
        let text = raw.listen.as_ref().map_or("127.0.0.1:8081", |word| word.0.as_str());
        let listen = self.socket_address(step(&at, "listen"), text);
        let taken = |sockets: &Sockets| {
            sockets.listen.iter().any(|one| listen.is_some_and(|listen| listeners::collide(one.address, listen)))
        };
        if sockets.is_some_and(taken) {
            self.error(
                step(&at, "listen"),
                format!("`{text}` is an address of the gateway already; choose another port"),
            );
        }
        if listen.is_some_and(|listen| !listen.ip().is_loopback()) && !raw.behind_tls {
            let message = format!(
                "private keys would pass in clear over the network to `{text}`; listen on 127.0.0.1, or say `behind_tls: true` \
                 where something in front terminates TLS"
            );
            self.error(step(&at, "listen"), message);
        }
        let no_certificate = "the admin listener asks for none; name the proxy by its network alone";
        let client_address =
            self.client_address(step(&at, "client_address"), &raw.client_address, Some(no_certificate));
        let entries_per_list = self.limit("entries_per_list", raw.entries_per_list, 200, MOST_ENTRIES);
        let keys = self.limit("api_keys_per_organization", raw.api_keys_per_organization, 500, MOST_KEYS);
        let accounts =
            self.limit("service_accounts_per_organization", raw.service_accounts_per_organization, 200, MOST_KEYS);
        let usage_interval = self.duration(&at, "usage_interval", raw.usage_interval.as_ref(), 5);
        let tokens = self.tokens(&raw.tokens);
        let single_sign_on = self.single_sign_on(raw.single_sign_on.as_ref());
        Some(Some(AdminSettings {
            listen: listen?,
            behind_tls: raw.behind_tls,
            client_address: client_address?,
            entries_per_list: entries_per_list? as usize,
            api_keys_per_organization: keys?.into(),
            service_accounts_per_organization: accounts?.into(),
            usage_interval: usage_interval?,
            record_traffic: raw.record_traffic.unwrap_or(true),
            tokens: tokens?,
            single_sign_on: single_sign_on?,
        }))
    }

    fn tokens(&mut self, raw: &raw::Tokens) -> Option<TokenSettings> {
        let at = path!["admin", "tokens"];
        let per_minute = raw.per_minute.unwrap_or(10);
        if !(1..=MOST_A_MINUTE).contains(&per_minute) {
            self.error(step(&at, "per_minute"), format!("`{per_minute}` is not between 1 and {MOST_A_MINUTE}"));
        }
        let issuer = match &raw.issuer {
            None => None,
            Some(word) => Some(self.parsed(step(&at, "issuer"), issuer(&word.0))?),
        };
        Some(TokenSettings { issuer, per_minute, on_gateway: raw.on_gateway })
    }

    /// The endpoints of tokens on the gateway's listener: there has to be something that makes tokens, and no route that
    /// somebody meant for the same paths.
    pub(super) fn tokens_on_gateway(&mut self, routes: Option<&[raw::Route]>, makes_tokens: bool) {
        if !makes_tokens {
            let message = "tokens are made from a store; set `directory: { sqlite: … }`, or take `on_gateway` out";
            self.error(path!["admin", "tokens", "on_gateway"], message);
        }
        for (index, route) in routes.unwrap_or_default().iter().enumerate() {
            let Some(prefix) = route.path.as_deref().filter(|prefix| *prefix != "/") else { continue };
            let prefix = prefix.trim_end_matches('/');
            let covers =
                |path: &&&str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(taken) = TOKEN_PATHS.iter().find(covers) {
                let message = format!(
                    "`{taken}` is answered by the gateway itself, since `admin.tokens.on_gateway` is on; move the route, or \
                     take that out"
                );
                self.error(path!["gateway", "routes", index, "path"], message);
            }
        }
    }

    fn limit(&mut self, key: &str, given: Option<u32>, default: u32, most: u32) -> Option<u32> {
        let number = given.unwrap_or(default);
        if !(1..=most).contains(&number) {
            self.error(step(&path!["admin"], key), format!("`{number}` is not between 1 and {most}"));
            return None;
        }
        Some(number)
    }
}

/// RFC 8414 §2: https, and neither query nor fragment; here without a path either, since the endpoints have paths of their own.
pub(super) fn issuer(text: &str) -> Result<String, String> {
    let fault = || format!("`{text}` is not an address such as https://admin.example.com, without a path");
    let uri: http::Uri = text.parse().map_err(|_| fault())?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(fault)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    match uri.scheme_str() {
        // Clients compare it letter by letter: there is one way to write it.
        Some(scheme) if text != format!("{scheme}://{authority}") || authority.contains('@') => Err(fault()),
        Some("https") => Ok(text.to_owned()),
        Some("http") if loopback => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is not https, so that secrets would pass in clear; use https")),
    }
}
