//! API keys and service accounts of a directory.
//! Never repeats a hash, a public key that is none, or anything else that may be a secret in the wrong place.

use super::{At, Gathered, Resolve, Spot, raw};
use crate::access::certificate_name::CertificateName;
use crate::access::client_id::ClientId;
use crate::access::credential::{CredentialKind, Enforcement, Fingerprint};
use crate::access::digest_secret::MOST_SECRETS;
use crate::access::id::Id;
use crate::access::record::{AccountRecord, TokenSubject};
use crate::access::role::{ORGANIZATION_ROLES, PROJECT_ROLES, Role};
use crate::clock::Timestamp;
use crate::config::document::Step;
use crate::directory::model::{Account, ClientSecret, Credential};
use crate::live::fingerprint;

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 250;

/// What API keys and service accounts have in common.
struct Shared {
    enabled: Option<bool>,
    expires_at: Option<String>,
    enforcement: Option<raw::Enforcement>,
    roles: Vec<String>,
    access_list: Vec<raw::Entry>,
}

impl Resolve<'_> {
    pub(super) fn api_key(&mut self, of: &Gathered, at: At, raw: raw::ApiKey) -> Option<Credential> {
        let id = self.unique_id(at, "id", &raw.id);
        let public_key = raw.public_key.map(String::into_boxed_str);
        if let Some(text) = &public_key {
            self.public_key(at, text);
        }
        let fingerprints = self.secrets(at, &raw.secret_sha256);
        let secrets = fingerprints.len();
        let digests = raw.digest.as_ref().map_or_else(Vec::new, |digests| self.digests(at, digests, secrets));
        let (digest, digest_of) = digests.into_iter().unzip();
        if raw.digest.is_some() && public_key.is_none() && !self.lost_at(&at.key("public_key")) {
            self.fault(
                at.key("digest"),
                "`digest` needs `public_key`, which is the user name; add it, or take `digest` out",
            );
        }
        let name = self.description(at, raw.description.as_deref());
        let shared = Shared {
            enabled: raw.enabled,
            expires_at: raw.expires_at,
            enforcement: raw.enforcement,
            roles: raw.roles,
            access_list: raw.access_list,
        };
        self.credential(of, at, (id, CredentialKind::ApiKey), (name, public_key, fingerprints), shared)
            .map(|credential| Credential { digest, digest_of, ..credential })
    }

    pub(super) fn service_account(&mut self, of: &Gathered, at: At, raw: raw::ServiceAccount) -> Option<Credential> {
        let id = match raw.client_id.parse::<ClientId>() {
            Ok(ClientId(id)) => {
                self.claim_id(at, "client_id", id);
                Some(id)
            }
            Err(fault) => {
                self.fault(at.key("client_id"), fault.to_string());
                None
            }
        };
        self.name(at.key("name"), &raw.name);
        let description = self.description(at, raw.description.as_deref());
        if raw.token.is_none()
            && raw.certificate.is_none()
            && raw.secrets.is_empty()
            && !self.lost_at(&at.key("token"))
            && !self.lost_at(&at.key("certificate"))
            && !self.lost_at(&at.key("secrets"))
        {
            let message = "the service account has neither `token`, `certificate` nor `secrets`, so that nobody could use it; name one";
            self.fault(at.spot([]), message);
        }
        let mut fingerprints: Vec<Fingerprint> = id.map(fingerprint::of_client).into_iter().collect();
        if let Some(token) = &raw.token {
            fingerprints.extend(self.subject(at, token));
        }
        let certificate = raw.certificate.as_ref().and_then(|certificate| self.certificate(at, certificate));
        fingerprints.extend(certificate.as_ref().map(fingerprint::of_certificate_name));
        let secrets = self.client_secrets(at, &raw.secrets);
        let of_secret = |one: &ClientSecret| Some(fingerprint::of_client_secret(id?, one.id?));
        fingerprints.extend(secrets.iter().filter_map(of_secret));
        let subject = raw.token.map(|token| TokenSubject { issuer: token.issuer, subject: token.subject });
        let about = AccountRecord { description: description.into(), subject, certificate };
        let account = Some(Account { about, secrets });
        let shared = Shared {
            enabled: raw.enabled,
            expires_at: raw.expires_at,
            enforcement: raw.enforcement,
            roles: raw.roles,
            access_list: raw.access_list,
        };
        self.credential(of, at, (id, CredentialKind::ServiceAccount), (raw.name.into(), None, fingerprints), shared)
            .map(|credential| Credential { account, ..credential })
    }

    fn client_secrets(&mut self, at: At, secrets: &[raw::ClientSecret]) -> Vec<ClientSecret> {
        if secrets.len() > MOST_SECRETS {
            self.fault(at.key("secrets"), "a service account has one secret, or two while one is being replaced");
        }
        let mut resolved: Vec<ClientSecret> = Vec::with_capacity(secrets.len());
        for (index, one) in secrets.iter().enumerate() {
            let spot = |key: &'static str| at.spot([Step::from("secrets"), Step::from(index), Step::from(key)]);
            let id = match one.id.as_deref().map(str::parse::<Id>) {
                Some(Err(fault)) => {
                    self.fault(spot("id"), fault.to_string());
                    None
                }
                Some(Ok(id)) if resolved.iter().any(|other| other.id == Some(id)) => {
                    self.fault(spot("id"), format!("secret `{id}` is there twice; give each its own id"));
                    None
                }
                Some(Ok(id)) => Some(id),
                None => None,
            };
            let mut bytes = [0; 32];
            if !unhex(&one.sha256, &mut bytes) {
                self.fault(
                    spot("sha256"),
                    "this is not 64 hexadecimal characters, in quotes where it reads as a number",
                );
                continue;
            }
            let sha256 = Fingerprint(bytes);
            self.claim(at, "secrets", sha256, "this secret is there twice; make a new one");
            let expires_at = self.expiry(|| spot("expires_at"), Some(&one.expires_at));
            resolved.push(ClientSecret { id, sha256, expires_at });
        }
        resolved
    }

    fn credential(
        &mut self,
        of: &Gathered,
        at: At,
        (id, kind): (Option<Id>, CredentialKind),
        (name, public_key, fingerprints): (Box<str>, Option<Box<str>>, Vec<Fingerprint>),
        shared: Shared,
    ) -> Option<Credential> {
        let expires_at = self.expiry(|| at.key("expires_at"), shared.expires_at.as_deref());
        let roles = self.roles(of, at, &shared.roles);
        let access_list = self.access_list(of, at, shared.access_list);
        let enforcement = match shared.enforcement {
            Some(raw::Enforcement::Report) => Enforcement::Report,
            Some(raw::Enforcement::Enforce) | None => Enforcement::Enforce,
        };
        Some(Credential {
            id: id?,
            kind,
            name,
            public_key,
            fingerprints,
            digest: Vec::new(),
            account: None,
            digest_of: Vec::new(),
            enabled: shared.enabled.unwrap_or(true),
            expires_at,
            enforcement,
            roles,
            access_list,
        })
    }

    fn public_key(&mut self, at: At, text: &str) {
        if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_lowercase()) {
            // Somebody may have put the private part here.
            self.fault(at.key("public_key"), "a public key is 8 lowercase letters; leave it out for an imported key");
            return;
        }
        match self.public_keys.get(text).copied() {
            Some(first) => {
                let message = format!("public key `{text}` is there twice; give each key its own");
                self.clash(at.key("public_key"), message, first.key("public_key"), "the first is here");
            }
            None => {
                self.public_keys.insert(text.into(), at);
            }
        }
    }

    fn secrets(&mut self, at: At, hashes: &raw::Hashes) -> Vec<Fingerprint> {
        if !(1..=2).contains(&hashes.0.len()) {
            self.fault(at.key("secret_sha256"), "an API key has one secret, or two while one is being replaced");
        }
        let mut fingerprints = Vec::with_capacity(hashes.0.len());
        for text in &hashes.0 {
            let mut bytes = [0; 32];
            if !unhex(text, &mut bytes) {
                let message = "this is not 64 hexadecimal characters, in quotes where it reads as a number; `portcullis hash` makes it";
                self.fault(at.key("secret_sha256"), message);
                continue;
            }
            let fingerprint = Fingerprint(bytes);
            self.claim(at, "secret_sha256", fingerprint, "this secret is there twice; make a new one");
            fingerprints.push(fingerprint);
        }
        fingerprints
    }

    fn subject(&mut self, at: At, token: &raw::Token) -> Vec<Fingerprint> {
        let mut good = true;
        for (key, text) in [("issuer", &token.issuer), ("subject", &token.subject)] {
            if text.is_empty() || text.chars().any(char::is_control) {
                good = false;
                let message =
                    format!("`{key}` is empty or has control characters; write it exactly as tokens carry it");
                self.fault(at.spot([Step::from("token"), Step::from(key)]), message);
            }
        }
        if !good {
            return Vec::new();
        }
        let fingerprint = fingerprint::of_subject(&token.issuer, &token.subject);
        self.claim(
            at,
            "token",
            fingerprint,
            "this issuer and subject are there twice; a token speaks for one service account",
        );
        vec![fingerprint]
    }

    fn certificate(&mut self, at: At, raw: &raw::Certificate) -> Option<CertificateName> {
        let (key, name) = match (&raw.san_uri, &raw.sha256) {
            (Some(uri), None) => ("san_uri", CertificateName::san_uri(uri)),
            (None, Some(hash)) => ("sha256", CertificateName::sha256(hash)),
            _ => {
                self.fault(
                    at.key("certificate"),
                    "a certificate is named by `san_uri` or by `sha256`; write one of them",
                );
                return None;
            }
        };
        match name {
            Ok(name) => {
                let message = "this certificate is there twice; it speaks for one service account";
                self.claim(at, "certificate", fingerprint::of_certificate_name(&name), message);
                Some(name)
            }
            Err(fault) => {
                let quotes = if key == "sha256" { "; in quotes where it reads as a number" } else { "" };
                self.fault(at.spot([Step::from("certificate"), Step::from(key)]), format!("{fault}{quotes}"));
                None
            }
        }
    }

    fn claim(&mut self, at: At, key: &str, fingerprint: Fingerprint, message: &str) {
        match self.fingerprints.get(&fingerprint).copied() {
            Some(first) => self.clash(at.key(key), message, first.key(key), "the first is here"),
            None => {
                self.fingerprints.insert(fingerprint, at);
            }
        }
    }

    fn description(&mut self, at: At, text: Option<&str>) -> Box<str> {
        let text = text.unwrap_or_default();
        if text.chars().count() > LONGEST_DESCRIPTION || text.chars().any(char::is_control) {
            self.fault(
                at.key("description"),
                format!("a description has up to {LONGEST_DESCRIPTION} characters and no control characters"),
            );
        }
        text.into()
    }

    fn roles(&mut self, of: &Gathered, at: At, texts: &[String]) -> Vec<Role> {
        let mut roles = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let spot = at.spot([Step::from("roles"), Step::from(index)]);
            match role(of, text) {
                Ok(role) if roles.contains(&role) => {
                    self.fault(spot, format!("role `{text}` is there twice; keep one"))
                }
                Ok(role) => roles.push(role),
                // The project may be one that could not be read.
                Err(_) if is_on_a_project(text) && self.lost(&of.parts, "projects") => {}
                Err(fault) => self.fault(spot, fault),
            }
        }
        roles
    }

    pub(super) fn expiry(&mut self, spot: impl FnOnce() -> Spot, text: Option<&str>) -> Timestamp {
        let Some(text) = text else {
            return Timestamp::NEVER;
        };
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => Timestamp::from_unix_seconds(at.as_second()),
            Err(_) => {
                let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
                self.fault(spot(), format!("`{shown}` is not a time; write it like 2027-06-01T00:00:00Z"));
                Timestamp::NEVER
            }
        }
    }
}

fn is_on_a_project(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, role)| PROJECT_ROLES.contains(&role)) && !text.starts_with("app:")
}

fn role(of: &Gathered, text: &str) -> Result<Role, String> {
    let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
    if let Some(role) = Role::on_organization(text) {
        return Ok(role);
    }
    if text.starts_with("app:") {
        return Err(format!("role `{shown}` is not `app:` and 1 to 64 letters, digits, `_`, `.` and `-`"));
    }
    if let Some((project, role)) = text.rsplit_once(':') {
        let known = PROJECT_ROLES.iter().find(|known| **known == role);
        let known = known
            .ok_or_else(|| format!("role `{shown}` is none of a project; known are {}", PROJECT_ROLES.join(", ")))?;
        let id = of.projects.get(project);
        return match id {
            Some(id) => Ok(Role::Project(*id, known)),
            None => Err(format!("role `{shown}` names a project that the organization does not have; add the project")),
        };
    }
    Err(match PROJECT_ROLES.contains(&text) {
        true => format!("role `{shown}` is one of a project; write `PROJECT:{shown}`"),
        false => format!(
            "role `{shown}` is unknown; known are {}, GATEWAY, app:NAME and PROJECT:ROLE",
            ORGANIZATION_ROLES.join(", ")
        ),
    })
}

pub(super) fn unhex(text: &str, to: &mut [u8]) -> bool {
    let text = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.len() == 2 * to.len()
        && to.iter_mut().zip(text.chunks_exact(2)).all(|(byte, pair)| match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
}
