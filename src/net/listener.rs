//! Listening sockets of the data plane: one per worker and address, shared out by the kernel (`SO_REUSEPORT`).
//!
//! Never reads from what it accepts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that wait in the kernel.
const BACKLOG: i32 = 4_096;

/// How long accepting rests after an error such as a full descriptor table, which ends no sooner by asking again.
const REST: Duration = Duration::from_millis(50);

/// The address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("gateway.listen: cannot listen on {address}; is the port taken, or the address not of this machine?")]
pub struct BindFault {
    address: SocketAddr,
    source: io::Error,
}

/// Bound sockets of one listening address, one per worker.
#[derive(Debug)]
pub struct Sockets {
    local: SocketAddr,
    sockets: Vec<std::net::TcpListener>,
}

impl Sockets {
    /// Binds `count` sockets. Port 0 is resolved by the first of them and shared by the others.
    ///
    /// # Errors
    /// [`BindFault`] where the kernel refuses.
    pub fn bind(address: SocketAddr, count: usize) -> Result<Self, BindFault> {
        let fault = |source| BindFault { address, source };
        let first = open(address).map_err(fault)?;
        let local = first.local_addr().map_err(fault)?;
        let mut sockets = vec![first];
        for _ in 1..count {
            sockets.push(open(local).map_err(fault)?);
        }
        Ok(Self { local, sockets })
    }

    /// The address with its resolved port.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The sockets, one for each worker.
    pub fn into_sockets(self) -> Vec<std::net::TcpListener> {
        self.sockets
    }
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts the next connection. Errors of a single connection are passed over; errors of the process (no descriptors, no
/// memory) rest a moment, so that a full table does not spin a core.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                // Fails only on a connection that has ended already, which its first read tells.
                let _ = stream.set_nodelay(true);
                return (stream, remote);
            }
            Err(fault) if is_of_one_connection(&fault) => {}
            Err(fault) => {
                tracing::warn!(error = %fault, "cannot accept connections; trying again shortly");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn is_of_one_connection(fault: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_is_resolved_once_and_shared() {
        let sockets = Sockets::bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let local = sockets.local();
        assert_ne!(local.port(), 0);
        let all = sockets.into_sockets();
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|socket| socket.local_addr().unwrap() == local));
    }

    #[test]
    fn a_foreign_address_is_refused_by_name() {
        let fault = Sockets::bind("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert!(fault.to_string().contains("192.0.2.1:0"), "{fault}");
    }
}
