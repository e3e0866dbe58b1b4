//! Listening sockets that the process was given: by a service manager (`sd_listen_fds(3)`), or by the process that it
//! succeeds, which stands at the other end of one more socket.
//!
//! What waits in the queue of such a socket is never lost: it stays open in whoever gave it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;

use listenfd::ListenFd;
use socket2::{Domain, Type};

/// What the process was given and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    listeners: Vec<(SocketAddr, TcpListener)>,
    predecessor: Option<UnixStream>,
    /// They come from a predecessor, which may have listened elsewhere too.
    succeeds: bool,
}

/// What the process was given can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritFault {
    /// Something else than a listening socket of TCP.
    #[error(
        "descriptor {number} that the service manager passed is no TCP socket; name TCP sockets alone (`ListenStream=`)"
    )]
    Foreign {
        /// The descriptor.
        number: usize,
        /// The system's word.
        source: io::Error,
    },
    /// Nothing in the configuration listens there.
    #[error(
        "the service manager passed a socket on {0}, and the configuration listens nowhere on it; whoever connects there \
         would wait for ever: name the address in `gateway.listen`, `admin.listen` or `telemetry.listen`, or take it out \
         of the socket unit"
    )]
    Unclaimed(SocketAddr),
}

impl Inherited {
    /// Takes what the environment names, and the names out of it. To be called before any thread is started.
    ///
    /// # Errors
    /// [`InheritFault::Foreign`].
    pub fn from_environment() -> Result<Self, InheritFault> {
        let mut given = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..given.len() {
            // As `sd_listen_fds(3)` counts.
            let foreign = |source| InheritFault::Foreign { number: index + 3, source };
            let listener = match given.take_tcp_listener(index) {
                Ok(listener) => listener,
                Err(fault) => {
                    let stream = given.take_custom(index, Domain::UNIX.into(), Type::STREAM.into(), "predecessor");
                    // Nobody else passes one: a service manager passes what is listened on.
                    inherited.predecessor = Some(stream.ok().flatten().ok_or(fault).map_err(foreign)?);
                    continue;
                }
            };
            if let Some(listener) = listener {
                listener.set_nonblocking(true).map_err(foreign)?;
                inherited.listeners.push((listener.local_addr().map_err(foreign)?, listener));
            }
        }
        Ok(inherited)
    }

    /// The process that is succeeded, where there is one. What it listened on and this process does not is let go of.
    pub fn predecessor(&mut self) -> Option<UnixStream> {
        let predecessor = self.predecessor.take();
        self.succeeds |= predecessor.is_some();
        predecessor
    }

    /// The sockets on an address. Port 0 takes those of one port, whichever it is.
    pub fn take(&mut self, address: SocketAddr) -> Vec<TcpListener> {
        let is_it =
            |own: &SocketAddr| own.ip() == address.ip() && (address.port() == 0 || own.port() == address.port());
        let Some((found, _)) = self.listeners.iter().find(|(own, _)| is_it(own)) else { return Vec::new() };
        let found = *found;
        self.listeners.extract_if(.., |(own, _)| *own == found).map(|(_, listener)| listener).collect()
    }

    /// Makes sure that all that a service manager passed were taken.
    ///
    /// # Errors
    /// [`InheritFault::Unclaimed`] for the first that was not.
    pub fn are_used_up(&mut self) -> Result<(), InheritFault> {
        match self.listeners.first() {
            Some((address, _)) if !self.succeeds => Err(InheritFault::Unclaimed(*address)),
            _ => {
                for (address, _) in self.listeners.drain(..) {
                    tracing::warn!(%address, "not listened on any more");
                }
                Ok(())
            }
        }
    }
}
