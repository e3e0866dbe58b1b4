//! Listening sockets of the data plane: one per worker and address, shared out by the kernel (`SO_REUSEPORT`), or those that
//! the process was given.
//!
//! Never reads from what it accepts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::inherited::Inherited;

/// Connections that wait in the kernel.
const BACKLOG: i32 = 4_096;

/// What the kernel takes beyond what the client has room for, of each connection. By itself it takes megabytes, so that a thousand
/// clients that ask for much and read nothing fill the memory of all connections (`net.ipv4.tcp_mem`) and hold up the others.
const UNSENT: u32 = 256 << 10;

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

/// Listens on these addresses, with a socket for each of `count` workers; where the process was given sockets on one, with
/// those.
///
/// The workers' sockets share their port, and the kernel would let those of a second gateway of the same user share it as
/// well: each would get half of the connections and nobody would be told. Asked for all addresses before the first is
/// bound, since `[::]:8080` may stand beside `0.0.0.0:8080`.
///
/// # Errors
/// [`BindFault`] for the first address that is taken or can't be had.
pub fn bind_all(
    addresses: impl IntoIterator<Item = SocketAddr>,
    count: usize,
    inherited: &mut Inherited,
) -> Result<Vec<Sockets>, BindFault> {
    let given: Vec<_> = addresses.into_iter().map(|address| (address, inherited.take(address))).collect();
    for (address, given) in &given {
        if given.is_empty() {
            unshared(*address).map_err(|source| BindFault { address: *address, source })?;
        }
    }
    let sockets =
        given.into_iter().map(|(address, given)| match given.first().map(std::net::TcpListener::local_addr) {
            None => Sockets::bind(address, count),
            Some(local) => {
                let fault = |source| BindFault { address, source };
                let local = local.map_err(fault)?;
                given.iter().try_for_each(|one| SockRef::from(one).set_tcp_notsent_lowat(UNSENT)).map_err(fault)?;
                Ok(Sockets { local, sockets: given })
            }
        });
    sockets.collect()
}

/// Listens on one address with one socket, or with the one that the process was given.
///
/// # Errors
/// It is taken or can't be had.
pub fn bind_one(address: SocketAddr, inherited: &mut Inherited) -> io::Result<std::net::TcpListener> {
    if let Some(given) = inherited.take(address).into_iter().next() {
        SockRef::from(&given).set_tcp_notsent_lowat(UNSENT)?;
        return Ok(given);
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections that a former gateway left in TIME_WAIT don't count.
    socket.set_reuse_address(true)?;
    // What is accepted has it from the socket that it is accepted on.
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Binds a socket that shares with nobody who listens, and lets go of it.
fn unshared(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections that a former gateway left in TIME_WAIT don't count.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Bound sockets of one listening address.
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

    /// What one of so many workers accepts on, its own descriptors. Every socket has a worker and every worker a socket,
    /// whatever their numbers: what waits in the queue of one that nobody accepts on would wait for ever.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn of_worker(&self, number: usize, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
        let mut own: Vec<_> = self.sockets.iter().skip(number).step_by(workers).collect();
        if own.is_empty() {
            own.extend(self.sockets.iter().cycle().nth(number));
        }
        own.into_iter().map(std::net::TcpListener::try_clone).collect()
    }

    /// All of them.
    pub fn all(&self) -> &[std::net::TcpListener] {
        &self.sockets
    }
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
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

/// What waits in the queue of a socket that is about to close; the connections stand already, and closing would reset them.
///
/// # Errors
/// The socket can't be asked.
pub fn take_waiting(listener: TcpListener) -> io::Result<Vec<(TcpStream, SocketAddr)>> {
    let listener = listener.into_std()?;
    let mut waiting = Vec::new();
    loop {
        match listener.accept() {
            Ok((stream, remote)) => {
                stream.set_nonblocking(true)?;
                // Fails only on a connection that has ended already, which its first read tells.
                let _ = stream.set_nodelay(true);
                waiting.push((TcpStream::from_std(stream)?, remote));
            }
            Err(fault) if is_of_one_connection(&fault) => {}
            // Nobody waits any more, or no descriptor is left for who does.
            Err(_) => return Ok(waiting),
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
        assert_eq!(sockets.all().len(), 3);
        assert!(sockets.all().iter().all(|socket| socket.local_addr().unwrap() == local));
    }

    /// threats.md F6: what clients ask for and do not read is not kept for them in the kernel.
    #[test]
    fn what_is_accepted_holds_little_that_is_unsent() {
        let sockets = Sockets::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let alone = bind_one("127.0.0.1:0".parse().unwrap(), &mut Inherited::default()).unwrap();
        for listener in [&sockets.all()[0], &alone] {
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let accepted = std::iter::repeat_with(|| listener.accept()).find_map(Result::ok).unwrap().0;
            assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), UNSENT);
        }
    }

    #[test]
    fn every_socket_has_a_worker_and_every_worker_a_socket() {
        use std::os::fd::{AsFd, AsRawFd};
        let sockets = Sockets::bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        // The inode tells sockets apart, whatever descriptor they have.
        let inode = |socket: &std::net::TcpListener| {
            std::fs::read_link(format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd())).unwrap()
        };
        for workers in 1..8 {
            let own: Vec<_> = (0..workers).map(|number| sockets.of_worker(number, workers).unwrap()).collect();
            assert!(own.iter().all(|own| !own.is_empty()), "{workers}");
            for socket in sockets.all() {
                assert!(own.iter().flatten().any(|own| inode(own) == inode(socket)), "{workers}");
            }
        }
        let shares: Vec<_> = (0..3).map(|number| sockets.of_worker(number, 3).unwrap().len()).collect();
        assert_eq!(shares, [1, 1, 1]);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_refused_also_where_it_could_be_shared() {
        let first = Sockets::bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let taken = first.local();
        assert!(Sockets::bind(taken, 1).is_ok(), "the kernel shares the port among the sockets of one user");
        let everywhere = SocketAddr::from(([0, 0, 0, 0], taken.port()));
        for address in [taken, everywhere] {
            let fault = bind_all([address], 1, &mut Inherited::default()).unwrap_err();
            assert!(fault.to_string().contains(&address.to_string()), "{fault}");
        }
        assert!(bind_all(["127.0.0.1:0".parse().unwrap()], 1, &mut Inherited::default()).is_ok());
    }

    #[test]
    fn a_foreign_address_is_refused_by_name() {
        let fault = Sockets::bind("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert!(fault.to_string().contains("192.0.2.1:0"), "{fault}");
    }
}
