//! The endpoints of OAuth 2.0: client credentials (RFC 6749 §4.4), revocation (RFC 7009), keys (RFC 7517) and metadata
//! (RFC 8414). Their form is that of those documents, and not the rest of the API's.
//!
//! Speaks plain HTTP types, so that the gateway's own listener can serve the same. Never tells what is wrong with a client.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::access::client_address::ClientAddress;
use crate::control::{Client, Control, Fault};
use crate::problem::Code;

/// Most bytes of a body: a token and a client, and some room.
pub const LARGEST_BODY: usize = 32 * 1024;

/// Seconds for which others may keep the keys. A key is published longer than that before it signs.
const KEYS_FRESH: &str = "public, max-age=300";

/// One endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Exchanges the secret of a service account for a token.
    Token,
    /// Revokes a token.
    Revoke,
    /// The keys that verify tokens.
    Keys,
    /// What there is, for clients that look.
    Metadata,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Token, Self::Revoke, Self::Keys, Self::Metadata];

    /// Its exact path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Token => "/api/oauth/token",
            Self::Revoke => "/api/oauth/revoke",
            Self::Keys => "/.well-known/jwks.json",
            Self::Metadata => "/.well-known/oauth-authorization-server",
        }
    }

    /// The one at this very path.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.path() == path)
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Token | Self::Revoke => "POST",
            Self::Keys | Self::Metadata => "GET, HEAD",
        }
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Token | Self::Revoke => *method == Method::POST,
            Self::Keys | Self::Metadata => *method == Method::GET || *method == Method::HEAD,
        }
    }
}

/// Why there is no token.
struct Refused {
    status: u16,
    /// As the document has it.
    error: &'static str,
    description: String,
    /// As everywhere else.
    code: Code,
    retry_after: Option<u32>,
}

/// A request that is not as it should be.
fn invalid(error: &'static str, description: impl Into<String>) -> Refused {
    Refused { status: 400, error, description: description.into(), code: Code::InvalidAttribute, retry_after: None }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let refusal = super::call::logged(&fault);
        let (status, error) = match refusal.code {
            Code::InvalidCredentials => (401, "invalid_client"),
            Code::RateLimited => (429, "temporarily_unavailable"),
            code if code.status() == 503 => (503, "temporarily_unavailable"),
            _ => (500, "server_error"),
        };
        Self { status, error, description: refusal.detail, code: refusal.code, retry_after: refusal.retry_after }
    }
}

/// Answers a request of an endpoint. The body is whole, and at most [`LARGEST_BODY`] long.
pub async fn answer(
    control: &Arc<Control>,
    endpoint: Endpoint,
    address: ClientAddress,
    head: &Parts,
    body: &[u8],
) -> Response<Bytes> {
    if !endpoint.takes(&head.method) {
        let detail = format!("This path knows {}.", endpoint.methods());
        let refused = Refused { status: 405, code: Code::MethodNotAllowed, ..invalid("invalid_request", detail) };
        let mut answer = told(refused);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(endpoint.methods()));
        return answer;
    }
    let done = match endpoint {
        Endpoint::Keys => return written(200, &control.signing_keys(), KEYS_FRESH),
        Endpoint::Metadata => return written(200, &metadata(&control.issuer()).to_string(), KEYS_FRESH),
        Endpoint::Token => token(control, address, head, body).await,
        Endpoint::Revoke => revoke(control, address, head, body).await,
    };
    match done {
        Ok(Some(value)) => written(200, &value.to_string(), "no-store"),
        Ok(None) => written(200, "", "no-store"),
        Err(refused) => told(refused),
    }
}

/// RFC 6749 §4.4.2.
async fn token(
    control: &Arc<Control>,
    address: ClientAddress,
    head: &Parts,
    body: &[u8],
) -> Result<Option<Value>, Refused> {
    let form = Form::read(head, body)?;
    let grant = form.get("grant_type").ok_or_else(|| invalid("invalid_request", "`grant_type` is missing"))?;
    if grant != "client_credentials" {
        return Err(invalid("unsupported_grant_type", "`grant_type` has to be `client_credentials`"));
    }
    if form.get("scope").is_some_and(|scope| !scope.is_empty()) {
        return Err(invalid("invalid_scope", "there are no scopes: a token may do what its service account may"));
    }
    let (id, secret) = form.client(head)?;
    let minted = control.mint_token(Client { id: &id, secret: &secret, address }).await?;
    Ok(Some(json!({"access_token": minted.token, "token_type": "Bearer", "expires_in": minted.expires_in})))
}

/// RFC 7009 §2.1.
async fn revoke(
    control: &Arc<Control>,
    address: ClientAddress,
    head: &Parts,
    body: &[u8],
) -> Result<Option<Value>, Refused> {
    let form = Form::read(head, body)?;
    let token = form.get("token").ok_or_else(|| invalid("invalid_request", "`token` is missing"))?;
    let (id, secret) = form.client(head)?;
    control.revoke_token(Client { id: &id, secret: &secret, address }, token).await?;
    Ok(None)
}

/// RFC 8414 §2.
fn metadata(issuer: &str) -> Value {
    let at = |endpoint: Endpoint| format!("{issuer}{}", endpoint.path());
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    json!({
        "issuer": issuer,
        "token_endpoint": at(Endpoint::Token),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint": at(Endpoint::Revoke),
        "revocation_endpoint_auth_methods_supported": methods,
        "jwks_uri": at(Endpoint::Keys),
        "grant_types_supported": ["client_credentials"],
        // None: there is no authorization endpoint.
        "response_types_supported": [],
    })
}

/// The parameters of a request, each there once. Has no `Debug`.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(head: &Parts, body: &[u8]) -> Result<Self, Refused> {
        if head.uri.query().is_some() {
            // RFC 6749 §2.3.1: what stands in an address stands in logs.
            return Err(invalid("invalid_request", "parameters belong into the body, and none into the address"));
        }
        let media_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(invalid("invalid_request", "the body has to be `application/x-www-form-urlencoded`"));
        }
        let pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let repeated = |at: usize| pairs[..at].iter().any(|(name, _)| *name == pairs[at].0);
        match (0..pairs.len()).any(repeated) {
            true => Err(invalid("invalid_request", "a parameter is there twice")),
            false => Ok(Self(pairs)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Id and secret of the client, by Basic or by the form, and not by both (RFC 6749 §2.3).
    fn client(&self, head: &Parts) -> Result<(String, String), Refused> {
        let named = self.get("client_id");
        match (basic(head)?, named, self.get("client_secret")) {
            (Some(_), _, Some(_)) => Err(invalid("invalid_request", "the client is proven twice; use one way")),
            (Some((id, _)), Some(named), None) if id != named => {
                Err(invalid("invalid_request", "`client_id` is another than that of `Authorization`"))
            }
            (Some(client), _, None) => Ok(client),
            (None, Some(id), Some(secret)) => Ok((id.to_owned(), secret.to_owned())),
            (None, _, _) => Err(Refused {
                status: 401,
                code: Code::CredentialsRequired,
                ..invalid(
                    "invalid_client",
                    "send the client's id and secret by Basic, or as `client_id` and `client_secret`",
                )
            }),
        }
    }
}

/// What `Authorization: Basic` holds; both parts are form-encoded within it (RFC 6749 §2.3.1).
fn basic(head: &Parts) -> Result<Option<(String, String)>, Refused> {
    let mut lines = head.headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let malformed = || Refused {
        status: 401,
        code: Code::MalformedCredentials,
        ..invalid("invalid_client", "`Authorization` has to be one line of Basic, with the client's id and secret")
    };
    if lines.next().is_some() {
        return Err(malformed());
    }
    let (scheme, rest) = line.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.filter(|_| scheme.eq_ignore_ascii_case("basic")).ok_or_else(malformed)?;
    let (id, secret) = decoded.split_once(':').ok_or_else(malformed)?;
    // A part with a `=` or `&` in it would be read as more than one.
    let plain = |part: &str| -> Option<String> {
        let mut parsed = form_urlencoded::parse(part.as_bytes());
        match (parsed.next(), parsed.next(), part.contains('=')) {
            (Some((text, _)), None, false) => Some(text.into_owned()),
            _ => None,
        }
    };
    match (plain(id), plain(secret)) {
        (Some(id), Some(secret)) => Ok(Some((id, secret))),
        _ => Err(malformed()),
    }
}

/// RFC 6749 §5.2, with the code of ours.
fn told(refused: Refused) -> Response<Bytes> {
    let Refused { status, error, description, code, retry_after } = refused;
    let body = json!({"error": error, "error_description": description, "errorCode": code.as_str()});
    let mut answer = written(status, &body.to_string(), "no-store");
    // For whoever keeps a log of it.
    answer.extensions_mut().insert(code);
    let headers = answer.headers_mut();
    if status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Portcullis\", charset=\"UTF-8\""));
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

fn written(status: u16, body: &str, caching: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut set = |name: HeaderName, value: &'static str| {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    set(CACHE_CONTROL, caching);
    if caching == "no-store" {
        // RFC 6749 §5.1 asks for both.
        set(PRAGMA, "no-cache");
    }
    if !body.is_empty() {
        set(CONTENT_TYPE, "application/json");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(authorization: &[&str]) -> Parts {
        let mut request = axum::http::Request::new(());
        for line in authorization {
            request.headers_mut().append(AUTHORIZATION, HeaderValue::try_from(*line).unwrap());
        }
        request.into_parts().0
    }

    #[test]
    fn basic_is_read_as_oauth_writes_it() {
        let of = |pair: &str| basic(&head(&[&format!("Basic {}", STANDARD.encode(pair))]));
        let both = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(basic(&head(&[])).ok().unwrap(), None);
        assert_eq!(of("id:secret").ok().unwrap(), both("id", "secret"));
        assert_eq!(of("i%5Fd:se%2Dc_ret").ok().unwrap(), both("i_d", "se-c_ret"));
        for wrong in ["id", "id:a=b", "a&b:c", ":", "id:"] {
            assert_eq!(of(wrong).err().map(|refused| refused.status), Some(401), "{wrong}");
        }
        for lines in [&["Basic !"][..], &["Bearer x"], &["Basic"], &["Basic aTpz", "Basic aTpz"]] {
            assert!(basic(&head(lines)).is_err(), "{lines:?}");
        }
    }
}
