//! Where bytes come in: sockets, TLS, HTTP framing, and the limits that hold before a request is one.
//!
//! Owns the listener sockets and the open connections of a worker. Does not look into a request; that is
//! [`crate::enforce`], which every request goes to next.

pub(crate) mod accept;
pub(crate) mod connection;
pub(crate) mod multiplexed;
pub(crate) mod tls;
pub(crate) mod watched;

use socket2::{Domain, Protocol, Socket, Type};
use std::{io, net::SocketAddr};
use tokio_rustls::TlsAcceptor;

/// One worker's listener.
pub(crate) struct Bound {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsAcceptor>,
}

const BACKLOG: i32 = 1024;

/// `workers` sockets on one address; the kernel spreads connections over them (SO_REUSEPORT).
pub(crate) fn bind(
    address: SocketAddr,
    workers: usize,
) -> io::Result<Vec<(std::net::TcpListener, SocketAddr)>> {
    // without the option first: two processes must not share a port because both asked to share it with themselves
    drop(open(address, false)?);
    let mut address = address;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket: std::net::TcpListener = open(address, true)?.into();
        // port 0 became a port; the others join it
        address = socket.local_addr()?;
        sockets.push((socket, address));
    }
    Ok(sockets)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
