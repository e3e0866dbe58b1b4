//! The one HTTP client: fetches a small document within a deadline, for jobs such as the refresh of key sets.
//!
//! Never follows a redirect, never sends anything in clear except to this machine, and never keeps a connection. Not for the
//! way of a request: the proxy has its own connections.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::{self, TlsFault};
use crate::config::settings::UpstreamTls;

/// From the look-up of the name to the last byte, where nothing else is said.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Most bytes of a document.
pub const MOST_BYTES: usize = 1024 * 1024;

/// Why a document could not be fetched. Never holds the bearer token.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum FetchFault {
    #[error("`{0}` is no address of a document; write it like https://host/path")]
    Address(Uri),
    #[error("`{0}` would be fetched in clear from another machine; use https")]
    InClear(Uri),
    #[error("no connection to `{authority}`")]
    Connect { authority: String, source: io::Error },
    #[error("TLS with `{authority}` failed")]
    Handshake { authority: String, source: io::Error },
    #[error("the fetch can't use TLS as configured")]
    Tls(#[from] TlsFault),
    #[error("the bearer token is no header value; its file has to hold the token alone")]
    Bearer,
    #[error("`{uri}` answered {status}; only 200 is taken, and redirects are not followed")]
    Status { uri: Uri, status: u16 },
    #[error("`{0}` is larger than 1 MiB")]
    TooLarge(Uri),
    #[error("the exchange with `{uri}` broke")]
    Exchange { uri: Uri, source: hyper::Error },
    #[error("`{uri}` took longer than {} ms", deadline.as_millis())]
    Deadline { uri: Uri, deadline: Duration },
}

/// Fetches documents with one set of trusted certificates.
#[derive(Debug, Clone)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
    deadline: Duration,
}

impl Fetcher {
    /// Trusts the certificates in `ca` alone, or the system's where none is given.
    ///
    /// # Errors
    /// [`FetchFault::Tls`] naming the file.
    pub fn new(ca: Option<&Path>) -> Result<Self, FetchFault> {
        let settings = UpstreamTls { ca: ca.map(Path::to_owned), server_name: None };
        Ok(Self { tls: tls::client_config(&settings)?, deadline: DEADLINE })
    }

    /// The same with another deadline.
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Fetches one document with `GET`.
    ///
    /// # Errors
    /// [`FetchFault`].
    pub async fn get(&self, uri: &Uri, bearer: Option<&str>) -> Result<Bytes, FetchFault> {
        let fetch = self.exchange(uri, bearer);
        let late = |_| FetchFault::Deadline { uri: uri.clone(), deadline: self.deadline };
        tokio::time::timeout(self.deadline, fetch).await.map_err(late)?
    }

    async fn exchange(&self, uri: &Uri, bearer: Option<&str>) -> Result<Bytes, FetchFault> {
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return Err(FetchFault::Address(uri.clone()));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_this_machine(host) => false,
            Some("http") => return Err(FetchFault::InClear(uri.clone())),
            _ => return Err(FetchFault::Address(uri.clone())),
        };
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let request = request(uri, bearer)?;

        let named = || authority.as_str().to_owned();
        let connected = TcpStream::connect((host, port)).await;
        let stream = connected.map_err(|source| FetchFault::Connect { authority: named(), source })?;
        if !https {
            return send(stream, request, uri).await;
        }
        let name = tls::server_name(&UpstreamTls::default(), host)?;
        let shaken = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        let stream = shaken.map_err(|source| FetchFault::Handshake { authority: named(), source })?;
        send(stream, request, uri).await
    }
}

fn request(uri: &Uri, bearer: Option<&str>) -> Result<Request<Empty<Bytes>>, FetchFault> {
    let address = || FetchFault::Address(uri.clone());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let mut request = Request::get(target)
        .header(HOST, host.ok_or_else(address)?)
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .body(Empty::new())
        .map_err(|_| address())?;
    if let Some(bearer) = bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|_| FetchFault::Bearer)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

async fn send<S>(stream: S, request: Request<Empty<Bytes>>, uri: &Uri) -> Result<Bytes, FetchFault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |source| FetchFault::Exchange { uri: uri.clone(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchFault::Status { uri: uri.clone(), status });
        }
        match Limited::new(response.into_body(), MOST_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(fault) if fault.is::<LengthLimitError>() => Err(FetchFault::TooLarge(uri.clone())),
            // `Limited` has no faults but its own and those of hyper's body.
            Err(fault) => Err(match fault.downcast::<hyper::Error>() {
                Ok(source) => broken(*source),
                Err(_) => FetchFault::TooLarge(uri.clone()),
            }),
        }
    };
    // The connection ends with the answer: whichever comes first, nothing is left behind.
    tokio::pin!(connection);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended.map_err(broken)?;
            answer.await
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
