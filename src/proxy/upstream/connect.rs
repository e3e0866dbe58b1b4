//! A fresh connection: name, address, TCP, TLS. Off the hot path.
//!
//! Names are looked up again after a while, every address is tried, and address literals are never looked up.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::net::tls::{self, ClientSide, ClientStream, TlsFault, VerifiedName};
use crate::proxy::watch::Ticks;

/// How long an answer of the resolver is believed.
const BELIEVED: Duration = Duration::from_secs(10);

/// Addresses of a name.
#[derive(Debug)]
pub(super) struct Resolved {
    addresses: Vec<SocketAddr>,
    until: u64,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum ConnectFault {
    /// The name has no address.
    #[error("the name of the endpoint can't be resolved")]
    Name(#[source] io::Error),
    /// No address took a connection.
    #[error("no address of the endpoint takes a connection")]
    Tcp(#[source] io::Error),
    /// No TLS.
    #[error("the endpoint's TLS handshake failed")]
    Tls(#[source] io::Error),
    /// TLS is not set up as configured.
    #[error(transparent)]
    Setup(#[from] TlsFault),
    /// hyper refused the connection.
    #[error("the connection can't be used for HTTP")]
    Handshake(#[source] hyper::Error),
    /// The built-in endpoint has no address.
    #[error("the endpoint is not on the network")]
    NotNet,
}

/// A connection to an endpoint.
#[derive(Debug)]
pub(in crate::proxy) enum Stream {
    Plain(TcpStream),
    Tls(Box<ClientStream<TcpStream>>),
}

pub(super) async fn open(
    host: &str,
    port: u16,
    tls: Option<(ClientSide, VerifiedName)>,
    resolved: &RefCell<Option<Resolved>>,
    ticks: &Ticks,
) -> Result<Stream, ConnectFault> {
    let stream = match host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect((address, port)).await.map_err(ConnectFault::Tcp)?,
        Err(_) => {
            let addresses = resolve(host, port, resolved, ticks).await?;
            match TcpStream::connect(&addresses[..]).await {
                Ok(stream) => stream,
                Err(fault) => {
                    *resolved.borrow_mut() = None;
                    return Err(ConnectFault::Tcp(fault));
                }
            }
        }
    };
    stream.set_nodelay(true).map_err(ConnectFault::Tcp)?;
    match tls {
        None => Ok(Stream::Plain(stream)),
        Some((config, name)) => {
            let stream = tls::connect(config, name, stream).await.map_err(ConnectFault::Tls)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}

async fn resolve(
    host: &str,
    port: u16,
    resolved: &RefCell<Option<Resolved>>,
    ticks: &Ticks,
) -> Result<Vec<SocketAddr>, ConnectFault> {
    if let Some(known) = resolved.borrow().as_ref().filter(|known| known.until > ticks.now()) {
        return Ok(known.addresses.clone());
    }
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(ConnectFault::Name)?.collect();
    *resolved.borrow_mut() = Some(Resolved { addresses: addresses.clone(), until: ticks.after(BELIEVED) });
    Ok(addresses)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
