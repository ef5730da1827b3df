//! The sockets themselves, TCP and Unix alike: how they are bound, shared by the workers, emptied and put away.

use super::settings::{ListenAddress, UnixAddress};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_rustls::server::TlsStream;

const BACKLOG: i32 = 1024;

/// One bound address, before the workers have it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) address: ListenAddress,
    /// One for each worker.
    pub(crate) sockets: Vec<Raw>,
    pub(crate) file: Option<SocketFile>,
}

#[derive(Debug)]
pub(crate) enum Raw {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

pub(crate) fn bind(address: &ListenAddress, workers: usize) -> io::Result<Shared> {
    match address {
        ListenAddress::Tcp(address) => bind_tcp(*address, workers),
        ListenAddress::Unix(unix) => bind_unix(unix, workers),
    }
}

/// `workers` sockets on one address; the kernel spreads connections over them (SO_REUSEPORT).
fn bind_tcp(address: SocketAddr, workers: usize) -> io::Result<Shared> {
    // without the option first: two processes must not share a port because both asked to share it with themselves
    drop(open_tcp(address, false)?);
    let mut address = address;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket: std::net::TcpListener = open_tcp(address, true)?.into();
        // port 0 became a port; the others join it
        address = socket.local_addr()?;
        sockets.push(Raw::Tcp(socket));
    }
    Ok(Shared { address: address.into(), sockets, file: None })
}

fn open_tcp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// One queue, which all workers take from.
fn bind_unix(unix: &UnixAddress, workers: usize) -> io::Result<Shared> {
    let path = std::path::absolute(&unix.path)?;
    clear(&path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&path)?)?;
    let file = SocketFile::of(path)?;
    // before it listens nobody can connect, so there is no moment with more permissions than these
    fs::set_permissions(&file.path, fs::Permissions::from_mode(unix.mode))?;
    socket.listen(BACKLOG)?;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        sockets.push(Raw::Unix(socket.try_clone()?.into()));
    }
    Ok(Shared { address: ListenAddress::Unix(unix.clone()), sockets, file: Some(file) })
}

/// A socket that nobody listens on was left by a process that was killed. Anything else at the path stays.
fn clear(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    // not blocking: a listener whose queue is full must not hold us up, and it is there
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The file of a Unix socket; removed at the end if it is still the one that we made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    made: (u64, u64),
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let found = fs::symlink_metadata(&path)?;
        Ok(Self { made: (found.dev(), found.ino()), path })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.made) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A listener in its worker's runtime.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A caller on a Unix socket is on this machine.
const UNIX_PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Listener {
    pub(crate) fn new(raw: Raw) -> io::Result<Self> {
        Ok(match raw {
            Raw::Tcp(socket) => Listener::Tcp(TcpListener::from_std(socket)?),
            Raw::Unix(socket) => Listener::Unix(UnixListener::from_std(socket)?),
        })
    }

    /// A connection, and from where; mapped addresses unmapped.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, IpAddr)> {
        match self {
            Listener::Tcp(listener) => {
                listener.accept().await.map(|(s, from)| (Stream::Tcp(s), from.ip().to_canonical()))
            }
            Listener::Unix(listener) => listener.accept().await.map(|(s, _)| (Stream::Unix(s), UNIX_PEER)),
        }
    }

    /// What the kernel's queue still holds, asked of the kernel itself: the runtime's readiness may lag behind it.
    pub(crate) fn empty(self) -> io::Result<Vec<(Stream, IpAddr)>> {
        let mut queued = Vec::new();
        match self {
            Listener::Tcp(listener) => {
                let listener = listener.into_std()?;
                while let (Ok((stream, from)), true) = (listener.accept(), queued.len() < LAST_CALL) {
                    stream.set_nonblocking(true)?;
                    queued.push((Stream::Tcp(TcpStream::from_std(stream)?), from.ip().to_canonical()));
                }
            }
            Listener::Unix(listener) => {
                let listener = listener.into_std()?;
                while let (Ok((stream, _)), true) = (listener.accept(), queued.len() < LAST_CALL) {
                    stream.set_nonblocking(true)?;
                    queued.push((Stream::Unix(UnixStream::from_std(stream)?), UNIX_PEER));
                }
            }
        }
        Ok(queued)
    }
}

/// More than the queue holds; a bound all the same, because it may be filled while it is emptied.
const LAST_CALL: usize = 4096;

/// One connection's bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Answers are small and urgent; latency is what Nagle's algorithm costs.
    pub(crate) fn urgent(&self) {
        if let Stream::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
        }
    }
}

/// A connection that can end so that its peer takes it for no orderly end.
pub(crate) trait BreakOff {
    fn break_off(&self);
}

impl BreakOff for Stream {
    /// With a reset. A Unix socket has no such end.
    fn break_off(&self) {
        if let Stream::Tcp(stream) = self {
            let _ = stream.set_zero_linger();
        }
    }
}

impl<S> BreakOff for TlsStream<S> {
    /// RFC 8446 6.1: an end without `close_notify` is none.
    fn break_off(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
