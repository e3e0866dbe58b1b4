//! `gateway.credentials`: carriers of credentials and foreign issuers.
//! Never fetches keys, and never repeats an address that may hold a password.

use super::{Resolve, names, step};
use crate::access::id::Id;
use crate::config::document::{Finding, Path, path};
use crate::config::raw;
use crate::config::settings::{Credentials, Issuer, JwksSource, JwtAlgorithm};

impl Resolve<'_> {
    /// `no_certificate` says why no peer can have shown a certificate, where that is so.
    pub(super) fn credentials(
        &mut self,
        raw: &raw::Credentials,
        makes_tokens: bool,
        no_certificate: Option<&str>,
    ) -> Option<Credentials> {
        let at = path!["gateway", "credentials"];
        let place = step(&at, "headers");
        let mut headers: Vec<http::HeaderName> = Vec::new();
        let default = [raw::Word("x-api-key".to_owned())];
        for (index, word) in raw.headers.as_deref().unwrap_or(&default).iter().enumerate() {
            let Some(name) = self.parsed(step(&place, index), names::credential_header(&word.0)) else {
                continue;
            };
            match headers.contains(&name) {
                true => self.error(step(&place, index), format!("header `{name}` is listed twice; keep one")),
                false => headers.push(name),
            }
        }
        let digest = self.digest(&step(&at, "digest"), raw.digest.as_ref());
        let asked = raw.bearer.is_none_or(|toggle| toggle.0);
        let place = step(&at, "issuers");
        let issuers: Vec<Issuer> =
            raw.issuers.iter().enumerate().filter_map(|(index, one)| self.issuer(&step(&place, index), one)).collect();
        for (index, one) in raw.issuers.iter().enumerate() {
            let first = raw.issuers[..index].iter().position(|other| other.issuer == one.issuer);
            if let Some(first) = first {
                let finding = Finding::error(
                    step(&step(&place, index), "issuer"),
                    format!("issuer `{}` is there twice; keep one", one.issuer),
                );
                self.findings.push(finding.with_related(step(&step(&place, first), "issuer"), "the first is here"));
            }
        }
        if !asked && !raw.issuers.is_empty() {
            let message = "`bearer: off` leaves the issuers without effect; take one of both out";
            self.error(step(&at, "bearer"), message);
        }
        if raw.bearer.is_some_and(|toggle| toggle.0)
            && raw.issuers.is_empty()
            && !makes_tokens
            && !self.lost(&place)
            && raw.headers.as_ref().is_some_and(Vec::is_empty)
        {
            let message = "`bearer: on` takes effect with the first issuer, and there is none";
            self.findings.push(Finding::warning(step(&at, "bearer"), message));
        }
        let basic = raw.basic.is_none_or(|toggle| toggle.0);
        let client_certificates = raw.client_certificates.is_some_and(|toggle| toggle.0);
        if let (true, Some(why)) = (client_certificates, no_certificate) {
            let finding = Finding::error(
                step(&at, "client_certificates"),
                format!("no client can show a certificate, since {why}"),
            );
            self.findings.push(finding.at_key());
        }
        let bearer = asked && (makes_tokens || !raw.issuers.is_empty());
        if headers.is_empty()
            && !basic
            && !bearer
            && !client_certificates
            && matches!(raw.digest, None | Some(raw::Choice::Off))
            && !self.lost(&step(&at, "digest"))
            && raw.headers.as_ref().is_some_and(Vec::is_empty)
            && !self.lost(&place)
        {
            self.error(
                step(&at, "headers"),
                "no credential could ever be read; name a header, or set `basic`, `digest`, `client_certificates` or an issuer",
            );
        }
        let realm = raw.realm.as_ref().map_or("Portcullis", |word| word.0.as_str());
        let legal =
            !realm.is_empty() && realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
        if !legal || realm.len() > 128 {
            self.error(
                step(&at, "realm"),
                "a realm is 1 to 128 visible ASCII characters without quotes and backslashes",
            );
        }
        let realm = realm.to_owned();
        Some(Credentials {
            headers,
            basic,
            digest: digest?,
            bearer,
            issuers,
            client_certificates,
            forward: raw.forward,
            realm,
        })
    }

    fn issuer(&mut self, at: &Path, raw: &raw::Issuer) -> Option<Issuer> {
        if raw.issuer.trim().is_empty() {
            self.error(step(at, "issuer"), "the issuer is empty; write the exact `iss` of its tokens");
        }
        if raw.audience.trim().is_empty() {
            self.error(step(at, "audience"), "the audience is empty; write the exact `aud` of tokens for this gateway");
        } else if raw.audience == raw.issuer {
            let message = "the audience is the issuer's own name, which every token of it may carry; use one for this gateway alone";
            self.error(step(at, "audience"), message);
        }
        let algorithms = match raw.algorithms.as_deref() {
            None => vec![JwtAlgorithm::RS256, JwtAlgorithm::ES256],
            Some([]) => {
                self.error(
                    step(at, "algorithms"),
                    "`algorithms` is empty, so that no token could be good; name one or take it out",
                );
                Vec::new()
            }
            Some(listed) => listed.to_vec(),
        };
        let place = step(at, "organizations");
        if raw.organizations.is_empty() {
            self.error(place.clone(), "`organizations` is empty; name the organizations that may use this issuer");
        }
        let organizations = self.ids(&place, &raw.organizations);
        let jwks = self.jwks(at, raw)?;
        Some(Issuer { issuer: raw.issuer.clone(), audience: raw.audience.clone(), jwks, algorithms, organizations })
    }

    pub(super) fn ids(&mut self, place: &Path, words: &[raw::Word]) -> Vec<Id> {
        let mut ids: Vec<Id> = Vec::new();
        for (index, word) in words.iter().enumerate() {
            match self.parsed(step(place, index), word.0.parse::<Id>()) {
                Some(id) if ids.contains(&id) => {
                    self.error(step(place, index), format!("`{id}` is listed twice; keep one"))
                }
                Some(id) => {
                    self.organizations.push((step(place, index), id));
                    ids.push(id);
                }
                None => {}
            }
        }
        ids
    }

    fn jwks(&mut self, at: &Path, raw: &raw::Issuer) -> Option<JwksSource> {
        for (key, given) in [("jwks_ca", &raw.jwks_ca), ("jwks_token_file", &raw.jwks_token_file)] {
            if given.is_some() && raw.jwks_url.is_none() && !self.lost(&step(at, "jwks_url")) {
                self.findings.push(Finding::error(step(at, key), format!("`{key}` needs `jwks_url`")).at_key());
            }
        }
        match (&raw.jwks_file, &raw.jwks_url) {
            (Some(file), None) => self.readable_file(step(at, "jwks_file"), file).map(JwksSource::File),
            (None, Some(url)) => {
                let url = self.parsed(step(at, "jwks_url"), jwks_url(url));
                let ca = self.optional_file(step(at, "jwks_ca"), raw.jwks_ca.as_deref());
                let token_file = self.optional_file(step(at, "jwks_token_file"), raw.jwks_token_file.as_deref());
                Some(JwksSource::Url { url: url?, ca: ca?, token_file: token_file? })
            }
            (Some(_), Some(_)) => {
                let finding =
                    Finding::error(step(at, "jwks_url"), "`jwks_file` and `jwks_url` exclude each other; keep one");
                self.findings.push(finding.at_key().with_related(step(at, "jwks_file"), "the file is named here"));
                None
            }
            (None, None) if ["jwks_file", "jwks_url"].iter().any(|key| self.lost(&step(at, *key))) => None,
            (None, None) => {
                self.error(at.clone(), format!("issuer `{}` has no keys; name `jwks_file` or `jwks_url`", raw.issuer));
                None
            }
        }
    }

    pub(super) fn optional_file(&mut self, at: Path, text: Option<&str>) -> Option<Option<std::path::PathBuf>> {
        match text {
            None => Some(None),
            Some(text) => self.readable_file(at, text).map(Some),
        }
    }
}

fn jwks_url(text: &str) -> Result<http::Uri, String> {
    // The address is not repeated: it may hold a password.
    let fault = "`jwks_url` is not an address such as https://issuer.example.com/keys";
    let url: http::Uri = text.parse().map_err(|_| fault.to_owned())?;
    let host = url.host().filter(|host| !host.is_empty()).ok_or(fault)?;
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("`jwks_url` has a user name or password in it; leave them out".into());
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if loopback => Ok(url),
        Some("http") => {
            Err("`jwks_url` is not https, so that anybody on the way could give their own keys; use https".into())
        }
        _ => Err(fault.into()),
    }
}
