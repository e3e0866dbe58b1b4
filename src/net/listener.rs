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
#[error("gateway.listen: cannot listen on {address}; {}", way_out(source.kind()))]
pub struct BindFault {
    address: SocketAddr,
    source: io::Error,
}

fn way_out(fault: io::ErrorKind) -> &'static str {
    match fault {
        io::ErrorKind::AddrInUse => "end what listens there, or take another port",
        io::ErrorKind::AddrNotAvailable => "take an address of this machine",
        io::ErrorKind::PermissionDenied => "take a port from 1024 on, or give the program CAP_NET_BIND_SERVICE",
        _ => "take another address or port",
    }
}

/// Makes sure that nobody listens on any of these addresses yet.
///
/// The workers' sockets share their port, and the kernel would let those of a second gateway of the same user share it as
/// well: each would get half of the connections and nobody would be told. Asked for all addresses before the first is
/// bound, since `[::]:8080` may stand beside `0.0.0.0:8080`.
///
/// # Errors
/// [`BindFault`] for the first address that is taken or can't be had.
pub fn nobody_listens_on(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<(), BindFault> {
    for address in addresses {
        unshared(address).map_err(|source| BindFault { address, source })?;
    }
    Ok(())
}

/// Binds a socket that shares with nobody who listens, and lets go of it.
fn unshared(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections that a former gateway left in TIME_WAIT don't count.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
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
    fn a_port_that_somebody_listens_on_is_refused_also_where_it_could_be_shared() {
        let first = Sockets::bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let taken = first.local();
        assert!(Sockets::bind(taken, 1).is_ok(), "the kernel shares the port among the sockets of one user");
        let everywhere = SocketAddr::from(([0, 0, 0, 0], taken.port()));
        for address in [taken, everywhere] {
            let fault = nobody_listens_on([address]).unwrap_err();
            assert!(fault.to_string().contains(&address.to_string()), "{fault}");
        }
        assert!(nobody_listens_on(["127.0.0.1:0".parse().unwrap()]).is_ok());
    }

    #[test]
    fn a_foreign_address_is_refused_by_name() {
        let fault = Sockets::bind("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert!(fault.to_string().contains("192.0.2.1:0"), "{fault}");
    }
}
