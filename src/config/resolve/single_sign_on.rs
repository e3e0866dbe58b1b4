//! `admin.single_sign_on`: who vouches for people.
//! Never asks the provider anything, and never lets anybody in whom nobody named.

use super::{Resolve, step};
use crate::access::id::Id;
use crate::access::role::Role;
use crate::config::document::{Path, path};
use crate::config::raw;
use crate::config::settings::{JwtAlgorithm, Newcomers, SingleSignOn};

impl Resolve<'_> {
    /// The provider, where there is one.
    pub(super) fn single_sign_on(&mut self, raw: Option<&raw::SingleSignOn>) -> Option<Option<SingleSignOn>> {
        let Some(raw) = raw else { return Some(None) };
        let at = path!["admin", "single_sign_on"];
        let issuer = self.parsed(step(&at, "issuer"), issuer(&raw.issuer));
        if raw.client_id.trim().is_empty() {
            self.error(step(&at, "client_id"), "the client id is empty; write what the provider calls this console");
        }
        let secret_file = self.optional_file(step(&at, "client_secret_file"), raw.client_secret_file.as_deref());
        let ca = self.optional_file(step(&at, "ca"), raw.ca.as_deref());
        let algorithms = match raw.algorithms.as_deref() {
            None => vec![JwtAlgorithm::RS256, JwtAlgorithm::ES256],
            Some([]) => {
                self.error(
                    step(&at, "algorithms"),
                    "`algorithms` is empty, so that nobody could sign in; name one or take it out",
                );
                Vec::new()
            }
            Some(listed) => listed.to_vec(),
        };
        let console = match &raw.console {
            None => Some(None),
            Some(word) => self.parsed(step(&at, "console"), super::admin::issuer(&word.0)).map(Some),
        };
        let newcomers = match &raw.newcomers {
            None => Some(None),
            Some(newcomers) => self.newcomers(&step(&at, "newcomers"), newcomers).map(Some),
        };
        let (issuer, host) = issuer?;
        let called = raw.called.as_ref().map_or(host, |word| word.0.trim().to_owned());
        if called.is_empty() || called.chars().count() > 64 || called.chars().any(char::is_control) {
            self.error(step(&at, "called"), "a provider is called something of 1 to 64 characters");
        }
        Some(Some(SingleSignOn {
            issuer,
            client_id: raw.client_id.clone(),
            secret_file: secret_file?,
            ca: ca?,
            called,
            console: console?,
            algorithms,
            newcomers: newcomers?,
        }))
    }

    fn newcomers(&mut self, at: &Path, raw: &raw::Newcomers) -> Option<Newcomers> {
        let place = step(at, "domains");
        if raw.domains.is_empty() {
            self.error(
                place.clone(),
                "`domains` is empty; name those of the people who may come in, or take out `newcomers`",
            );
        }
        let mut domains = Vec::new();
        for (index, word) in raw.domains.iter().enumerate() {
            domains.extend(self.parsed(step(&place, index), domain(&word.0)));
        }
        let organization = self.parsed(step(at, "organization"), raw.organization.0.parse::<Id>());
        let place = step(at, "roles");
        if raw.roles.is_empty() {
            self.error(place.clone(), "`roles` is empty; a person has at least one role");
        }
        let mut roles = Vec::new();
        for (index, word) in raw.roles.iter().enumerate() {
            roles.extend(self.parsed(step(&place, index), role(&word.0)));
        }
        Some(Newcomers { domains, organization: organization?, roles })
    }
}

/// The name of a provider (OpenID Connect Discovery §3: https, neither query nor fragment) and its host.
fn issuer(text: &str) -> Result<(String, String), String> {
    let fault = || format!("`{text}` is not the address of a provider, such as https://login.example.com");
    let uri: http::Uri = text.parse().map_err(|_| fault())?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(fault)?.to_owned();
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if uri.query().is_some() || text.contains('#') || authority.contains('@') {
        return Err(fault());
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok((text.to_owned(), host)),
        Some("http") if loopback => Ok((text.to_owned(), host)),
        Some("http") => Err(format!("`{text}` is not https, so that anybody on the way could sign in; use https")),
        _ => Err(fault()),
    }
}

fn domain(text: &str) -> Result<String, String> {
    let letters = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match text.len() <= 253 && text.split('.').all(letters) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("`{text}` is no domain such as example.com; subdomains are named one by one")),
    }
}

fn role(name: &str) -> Result<String, String> {
    match Role::on_organization(name) {
        Some(Role::Organization("ORG_OWNER")) => {
            Err("whoever comes by themselves can't be an owner; invite owners, or name another role".into())
        }
        Some(Role::Organization(name)) => Ok(name.to_owned()),
        _ => Err(format!("`{name}` is no role of a person on an organization, such as ORG_MEMBER")),
    }
}
