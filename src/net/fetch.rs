//! The one HTTP client: fetches a small document within a deadline, for jobs such as the refresh of key sets, and carries the
//! calls of the command line.
//!
//! Never follows a redirect, never sends anything in clear except to this machine, and never keeps a connection. Not for the
//! way of a request: the proxy has its own connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_MATCH, USER_AGENT};
use http::{Method, Request, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::public_address::is_public;
use super::tls::{self, TlsFault};
use crate::config::settings::{UpstreamFiles, UpstreamTls};

/// From the look-up of the name to the last byte, where nothing else is said.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Most bytes of a document, where nothing else is said.
pub const MOST_BYTES: usize = 1024 * 1024;

/// Why a document could not be fetched, or a call not be made. Never holds what proved the caller.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum FetchFault {
    #[error("`{0}` is no address of a document; write it like https://host/path")]
    Address(Uri),
    #[error("`{0}` would be fetched in clear from another machine; use https")]
    InClear(Uri),
    #[error("no connection to `{authority}`")]
    Connect { authority: String, source: io::Error },
    #[error("`{0}` is at an address that is not on the internet, and is not connected to")]
    Internal(String),
    #[error("TLS with `{authority}` failed")]
    Handshake { authority: String, source: io::Error },
    #[error("the fetch can't use TLS as configured")]
    Tls(#[from] TlsFault),
    #[error("the bearer token is no header value; its file has to hold the token alone")]
    Bearer,
    #[error("`{uri}` answered {status}; only 200 is taken, and redirects are not followed")]
    Status { uri: Uri, status: u16 },
    #[error("the answer of `{uri}` is larger than {} MiB", most >> 20)]
    TooLarge { uri: Uri, most: usize },
    #[error("the exchange with `{uri}` broke")]
    Exchange { uri: Uri, source: hyper::Error },
    #[error("`{uri}` took longer than {} ms", deadline.as_millis())]
    Deadline { uri: Uri, deadline: Duration },
}

/// By what a caller is proven. Has no `Debug`.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A bearer token (RFC 6750).
    Bearer(&'a str),
    /// `user:password` (RFC 7617).
    Basic(&'a str),
}

/// A call of an API. Has no `Debug`, because of its proof.
#[derive(Clone)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Where to.
    pub uri: Uri,
    /// Whoever calls.
    pub proof: Option<Proof<'a>>,
    /// What is sent, with its media type.
    pub content: Option<(&'static str, Bytes)>,
    /// The `ETag` that what is changed has to have still.
    pub if_match: Option<HeaderValue>,
}

/// A body that is made while it is sent, piece by piece, with its media type.
pub struct Upload<I> {
    /// The media type.
    pub media_type: &'static str,
    /// The pieces. What fails breaks the exchange: whoever receives it must not take it for whole.
    pub pieces: I,
}

/// What a call was answered, whatever its status is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// At most [`MOST_BYTES`], or what was said.
    pub body: Bytes,
    /// The `ETag`, where there is one.
    pub version: Option<HeaderValue>,
}

/// Fetches documents with one set of trusted certificates.
#[derive(Debug, Clone)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
    deadline: Duration,
    most: usize,
    public_only: bool,
}

impl Fetcher {
    /// Trusts the certificates in `ca` alone, or the system's where none is given.
    ///
    /// # Errors
    /// [`FetchFault::Tls`] naming the file.
    pub fn new(ca: Option<&Path>) -> Result<Self, FetchFault> {
        let files = UpstreamFiles { ca: ca.map(Path::to_owned), certificate: None };
        Ok(Self { tls: tls::client_side(&files)?.1, deadline: DEADLINE, most: MOST_BYTES, public_only: false })
    }

    /// The same with another deadline.
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The same for answers of so many bytes.
    pub fn up_to(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The same for documents of the internet alone: a name that stands for any other address is not connected to.
    pub fn of_the_internet(self) -> Self {
        Self { public_only: true, ..self }
    }

    /// Fetches one document with `GET`.
    ///
    /// # Errors
    /// [`FetchFault`]; [`FetchFault::Status`] where the status is not 200.
    pub async fn get(&self, uri: &Uri, bearer: Option<&str>) -> Result<Bytes, FetchFault> {
        let call = Call {
            method: Method::GET,
            uri: uri.clone(),
            proof: bearer.map(Proof::Bearer),
            content: None,
            if_match: None,
        };
        match self.call(call).await? {
            Answered { status: 200, body, .. } => Ok(body),
            Answered { status, .. } => Err(FetchFault::Status { uri: uri.clone(), status }),
        }
    }

    /// Makes one call and reads what is answered, refusals too.
    ///
    /// # Errors
    /// [`FetchFault`], never for a status.
    pub async fn call(&self, call: Call<'_>) -> Result<Answered, FetchFault> {
        let (media_type, content) = call.content.clone().unzip();
        self.within_deadline(&call, media_type, Full::new(content.unwrap_or_default())).await
    }

    /// Makes one call with a body that is sent as it is made, and reads what is answered.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn upload<I>(&self, call: Call<'_>, upload: Upload<I>) -> Result<Answered, FetchFault>
    where
        I: Iterator<Item = io::Result<Bytes>> + Unpin + 'static,
    {
        self.within_deadline(&call, Some(upload.media_type), Pieces(upload.pieces)).await
    }

    async fn within_deadline<B>(
        &self,
        call: &Call<'_>,
        media_type: Option<&'static str>,
        body: B,
    ) -> Result<Answered, FetchFault>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    {
        let uri = &call.uri;
        let exchange = tokio::time::timeout(self.deadline, async {
            let request = request(call, media_type, body)?;
            send(self.connect(uri).await?, request, (uri, self.most)).await
        });
        exchange.await.unwrap_or(Err(FetchFault::Deadline { uri: uri.clone(), deadline: self.deadline }))
    }

    /// A connection for whoever writes bytes as they are: to examine a server, not to ask it something.
    ///
    /// # Errors
    /// [`FetchFault`]; in clear to this machine alone.
    pub async fn open(&self, uri: &Uri) -> Result<Box<dyn Duplex>, FetchFault> {
        let opened = tokio::time::timeout(self.deadline, self.connect(uri)).await;
        opened.unwrap_or(Err(FetchFault::Deadline { uri: uri.clone(), deadline: self.deadline }))
    }

    async fn connect(&self, uri: &Uri) -> Result<Box<dyn Duplex>, FetchFault> {
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

        let named = || authority.as_str().to_owned();
        let not_there = |source| FetchFault::Connect { authority: named(), source };
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(not_there)?.collect();
        if self.public_only && !found.iter().all(|address| is_public(address.ip())) {
            return Err(FetchFault::Internal(named()));
        }
        // To what was looked at: asked again, the name could stand for something else.
        let stream = TcpStream::connect(&*found).await.map_err(not_there)?;
        if !https {
            return Ok(Box::new(stream));
        }
        let name = tls::server_name(&UpstreamTls::default(), host)?;
        let shaken = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        Ok(Box::new(shaken.map_err(|source| FetchFault::Handshake { authority: named(), source })?))
    }
}

/// A connection, with TLS or without.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

fn request<B>(call: &Call<'_>, media_type: Option<&'static str>, body: B) -> Result<Request<B>, FetchFault> {
    let uri = &call.uri;
    let address = || FetchFault::Address(uri.clone());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(target)
        .header(HOST, host.ok_or_else(address)?)
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/jwk-set+json, application/json, */*;q=0.5")
        .body(body)
        .map_err(|_| address())?;
    if let Some(media_type) = media_type {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if let Some(version) = &call.if_match {
        request.headers_mut().insert(IF_MATCH, version.clone());
    }
    let authorization = call.proof.map(|proof| match proof {
        Proof::Bearer(token) => format!("Bearer {token}"),
        // What base64 writes always is a header value.
        Proof::Basic(pair) => format!("Basic {}", STANDARD.encode(pair)),
    });
    if let Some(text) = authorization {
        let mut value = HeaderValue::try_from(text).map_err(|_| FetchFault::Bearer)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// A body from an iterator. It has no length: it ends with its last piece.
struct Pieces<I>(I);

impl<I: Iterator<Item = io::Result<Bytes>> + Unpin> Body for Pieces<I> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(self.0.next().map(|piece| piece.map(Frame::data)))
    }
}

/// A connection whose other side may answer and close before it has read all that is sent: why it did stands in the answer,
/// and not in the fault of writing on. What is written then waits; reading goes on, and its end is the connection's.
struct Answering<S> {
    stream: S,
    /// Nobody reads any more what is written.
    is_deaf: bool,
}

impl<S> Answering<S> {
    fn unless_deaf<T>(&mut self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match done {
            Poll::Ready(Err(_)) => {
                self.is_deaf = true;
                Poll::Pending
            }
            done => done,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Answering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Pending;
        }
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_deaf(done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf {
            return Poll::Pending;
        }
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.unless_deaf(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn send<S, B>(stream: S, request: Request<B>, (uri, most): (&Uri, usize)) -> Result<Answered, FetchFault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let broken = |source| FetchFault::Exchange { uri: uri.clone(), source };
    let stream = TokioIo::new(Answering { stream, is_deaf: false });
    let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let version = response.headers().get(ETAG).cloned();
        match Limited::new(response.into_body(), most).collect().await {
            Ok(body) => Ok(Answered { status, body: body.to_bytes(), version }),
            Err(fault) if fault.is::<LengthLimitError>() => Err(FetchFault::TooLarge { uri: uri.clone(), most }),
            // `Limited` has no faults but its own and those of hyper's body.
            Err(fault) => Err(match fault.downcast::<hyper::Error>() {
                Ok(source) => broken(*source),
                Err(_) => FetchFault::TooLarge { uri: uri.clone(), most },
            }),
        }
    };
    // The connection ends with the answer: whichever comes first, nothing is left behind.
    tokio::pin!(connection);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // What was answered before it broke counts.
        ended = &mut connection => match (answer.await, ended) {
            (Err(FetchFault::Exchange { .. }), Err(source)) => Err(broken(source)),
            (answer, _) => answer,
        },
    }
}

/// Whether a host is the loopback.
pub fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
