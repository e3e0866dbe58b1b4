//! A provider of OpenID Connect as it tells of itself, and what is asked of it: keys, a code's tokens, an email address.
//!
//! What it told is kept for an hour, and for a day at most where it is out of reach since. Never follows what another issuer
//! says of it, and never decides who somebody is.

use std::sync::Arc;

use http::{Method, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::config::settings::SingleSignOn;
use crate::live::key_sets::{KeySet, KeySetFault};
use crate::net::fetch::{Answered, Call, FetchFault, Fetcher, Proof, is_this_machine};

/// Seconds that what a provider told is good for.
pub(super) const USUAL_AGE: i64 = 3600;

/// Seconds after which keys are asked for again where a token names one that nobody knows.
pub(super) const HASTY_AGE: i64 = 30;

/// Seconds after an attempt that failed until there is another one.
const PAUSE: i64 = 5;

/// Why a provider can't be asked, or does not say what it has to. For the operator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub(super) enum ProviderFault {
    #[error("the provider is out of reach")]
    Fetch(#[from] FetchFault),
    #[error("`{0}` answered {1}")]
    Status(Uri, u16),
    #[error("what `{uri}` answered is not what it should be: {why}")]
    Answer { uri: Uri, why: String },
    #[error("the provider calls itself `{0}`; write that as `issuer`, where it is meant")]
    OtherIssuer(String),
    #[error("the provider's `{0}` is no https address")]
    Endpoint(&'static str),
    #[error("the provider takes no PKCE with S256")]
    NoChallenge,
    #[error("the provider takes clients by neither client_secret_basic nor client_secret_post")]
    NoMethod,
    #[error("the provider's keys are refused")]
    Keys(#[from] KeySetFault),
    #[error("`client_secret_file` can't be read")]
    Secret(#[source] std::io::Error),
    #[error("the provider did not answer just now, and is asked again in {PAUSE} s")]
    Pausing,
    #[error("the provider gives no tokens for the code: `{0}`")]
    Refused(String),
}

/// What a provider tells of itself (OpenID Connect Discovery §3).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// How a client proves itself where tokens are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proving {
    Basic,
    Post,
    Public,
}

/// What is known of a provider.
#[derive(Debug)]
pub(super) struct Known {
    /// Where people are sent.
    pub(super) authorization: Uri,
    /// Whether it always says who it is when it sends them back (RFC 9207).
    pub(super) names_itself: bool,
    /// Its keys.
    pub(super) keys: KeySet,
    token: Uri,
    user_info: Option<Uri>,
    proving: Proving,
    at: Timestamp,
}

/// What a code is exchanged for. Has no `Debug`.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    access_token: Option<String>,
}

/// What the provider says of somebody besides (OpenID Connect Core §5.3).
#[derive(Deserialize)]
pub(super) struct UserInfo {
    pub(super) sub: String,
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) email_verified: bool,
}

#[derive(Debug, Default)]
struct Memory {
    known: Option<Arc<Known>>,
    failed: Option<Timestamp>,
}

/// The provider.
#[derive(Debug)]
pub(in crate::control) struct Provider {
    pub(super) settings: SingleSignOn,
    memory: Mutex<Memory>,
}

impl Provider {
    pub(in crate::control) fn new(settings: SingleSignOn) -> Self {
        Self { settings, memory: Mutex::default() }
    }

    /// What is known of it, not older than so many seconds where it can be reached.
    pub(super) async fn known(&self, now: Timestamp, age: i64) -> Result<Arc<Known>, ProviderFault> {
        // Whoever comes meanwhile waits for the one answer.
        let mut memory = self.memory.lock().await;
        let since = |at: Timestamp| now.unix_seconds().saturating_sub(at.unix_seconds());
        if let Some(known) = memory.known.as_ref().filter(|known| (0..age).contains(&since(known.at))) {
            return Ok(Arc::clone(known));
        }
        let fresh = match memory.failed.is_some_and(|at| (0..PAUSE).contains(&since(at))) {
            true => Err(ProviderFault::Pausing),
            false => self.discover(now).await,
        };
        match fresh {
            Ok(known) => {
                let known = Arc::new(known);
                *memory = Memory { known: Some(Arc::clone(&known)), failed: None };
                Ok(known)
            }
            Err(fault) => {
                if !matches!(fault, ProviderFault::Pausing) {
                    memory.failed = Some(now);
                }
                let known = memory.known.as_ref().filter(|known| !known.keys.is_stale(now));
                known.map(Arc::clone).ok_or(fault)
            }
        }
    }

    fn fetcher(&self) -> Result<Fetcher, FetchFault> {
        Fetcher::new(self.settings.ca.as_deref())
    }

    async fn discover(&self, now: Timestamp) -> Result<Known, ProviderFault> {
        let issuer = &self.settings.issuer;
        let fetcher = self.fetcher()?;
        let at = endpoint("issuer", &format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
        let about: Metadata = read(&at, &fetcher.get(&at, None).await?)?;
        if about.issuer != *issuer {
            return Err(ProviderFault::OtherIssuer(about.issuer));
        }
        // Who says nothing of it may take it all the same; who says what it takes takes nothing else.
        let challenges = about.code_challenge_methods_supported;
        if challenges.is_some_and(|listed| !listed.iter().any(|method| method == "S256")) {
            return Err(ProviderFault::NoChallenge);
        }
        let methods = about.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.as_ref().map(|listed| listed.iter().any(|one| one == method));
        let proving = match self.settings.secret_file {
            None => Proving::Public,
            Some(_) if takes("client_secret_basic").unwrap_or(true) => Proving::Basic,
            Some(_) if takes("client_secret_post").unwrap_or(false) => Proving::Post,
            Some(_) => return Err(ProviderFault::NoMethod),
        };
        let keys_at = endpoint("jwks_uri", &about.jwks_uri)?;
        Ok(Known {
            authorization: endpoint("authorization_endpoint", &about.authorization_endpoint)?,
            names_itself: about.authorization_response_iss_parameter_supported,
            keys: KeySet::parse(&fetcher.get(&keys_at, None).await?, now)?,
            token: endpoint("token_endpoint", &about.token_endpoint)?,
            user_info: about.userinfo_endpoint.map(|at| endpoint("userinfo_endpoint", &at)).transpose()?,
            proving,
            at: now,
        })
    }

    /// What the provider gives for a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub(super) async fn redeem(
        &self,
        known: &Known,
        code: &str,
        verifier: &str,
        back: &str,
    ) -> Result<Tokens, ProviderFault> {
        let client = self.settings.client_id.as_str();
        let secret = match &self.settings.secret_file {
            None => String::new(),
            Some(file) => std::fs::read_to_string(file).map_err(ProviderFault::Secret)?.trim().to_owned(),
        };
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier),
        ];
        // RFC 6749 §2.3.1: both are encoded before they are joined.
        let pair = format!("{}:{}", encoded(client), encoded(&secret));
        match known.proving {
            Proving::Basic => {}
            Proving::Post => fields.extend([("client_id", client), ("client_secret", secret.as_str())]),
            Proving::Public => fields.push(("client_id", client)),
        }
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let call = Call {
            method: Method::POST,
            uri: known.token.clone(),
            proof: (known.proving == Proving::Basic).then_some(Proof::Basic(&pair)),
            content: Some(("application/x-www-form-urlencoded", form.into())),
            if_match: None,
        };
        let Answered { status, body, .. } = self.fetcher()?.call(call).await?;
        match status {
            200 => read(&known.token, &body),
            400 | 401 => {
                #[derive(Deserialize)]
                struct Refusal {
                    error: String,
                }
                let refusal: Refusal = read(&known.token, &body)?;
                Err(ProviderFault::Refused(refusal.error.chars().take(64).collect()))
            }
            status => Err(ProviderFault::Status(known.token.clone(), status)),
        }
    }

    /// What else the provider says of somebody; `None` where it can't be asked.
    pub(super) async fn user_info(&self, known: &Known, tokens: &Tokens) -> Result<Option<UserInfo>, ProviderFault> {
        let (Some(at), Some(token)) = (&known.user_info, &tokens.access_token) else { return Ok(None) };
        read(at, &self.fetcher()?.get(at, Some(token)).await?).map(Some)
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn endpoint(name: &'static str, text: &str) -> Result<Uri, ProviderFault> {
    let fault = || ProviderFault::Endpoint(name);
    let uri: Uri = text.parse().map_err(|_| fault())?;
    let host = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    match (uri.scheme_str(), host) {
        (Some("https"), Some(_)) => Ok(uri),
        (Some("http"), Some(host)) if is_this_machine(host) => Ok(uri),
        _ => Err(fault()),
    }
}

fn read<T: DeserializeOwned>(uri: &Uri, body: &[u8]) -> Result<T, ProviderFault> {
    serde_json::from_slice(body).map_err(|fault| ProviderFault::Answer { uri: uri.clone(), why: fault.to_string() })
}
