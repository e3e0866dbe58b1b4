//! A fresh connection: address, TCP, TLS. Off the hot path.
//!
//! A name is looked up here only until the job that looks names up has told its addresses.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::net::tls::{self, ClientSide, ClientStream, TlsFault, VerifiedName};

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
    /// It ended before the endpoint had said a word of HTTP/2.
    #[error("the endpoint closed the connection before it spoke HTTP/2")]
    Silent,
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

/// Where to connect.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) enum Target<'a> {
    /// An address.
    Address(SocketAddr),
    /// A name that has to be looked up first, and a port.
    Name(&'a str, u16),
}

pub(in crate::proxy) async fn open(
    target: Target<'_>,
    tls: Option<(ClientSide, VerifiedName)>,
    http2: bool,
) -> Result<Stream, ConnectFault> {
    let stream = match target {
        Target::Address(address) => TcpStream::connect(address).await.map_err(ConnectFault::Tcp)?,
        Target::Name(host, port) => {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((host, port)).await.map_err(ConnectFault::Name)?.collect();
            TcpStream::connect(&addresses[..]).await.map_err(ConnectFault::Tcp)?
        }
    };
    stream.set_nodelay(true).map_err(ConnectFault::Tcp)?;
    match tls {
        None => Ok(Stream::Plain(stream)),
        Some((config, name)) => {
            let stream = tls::connect(config, name, http2, stream).await.map_err(ConnectFault::Tls)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
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
