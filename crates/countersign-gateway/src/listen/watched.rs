//! The stream below hyper's HTTP/2. It tells the [`Connection`] what happens on it, counts the frames, and lets a close
//! wait for what the peer is still sending.

use super::{
    connection::Connection,
    frames::{Flood, Frames},
    linger::Linger,
};
use crate::worker::Worker;
use std::{
    io,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

pub(crate) struct Watched<S> {
    stream: S,
    connection: Rc<Connection>,
    worker: Rc<Worker>,
    linger: Option<Linger>,
    frames: Frames,
    peer: IpAddr,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, peer: IpAddr, connection: Rc<Connection>, worker: Rc<Worker>) -> Self {
        Self { stream, connection, worker, linger: None, frames: Frames::new(Instant::now()), peer }
    }

    /// An error of the stream: hyper lets go of everything at once, and writes nothing more to who reads nothing.
    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Err(Flood) = self.frames.read(bytes, Instant::now) else { return Ok(()) };
        if let Some(left_out) = self.worker.refusals.take(Instant::now()) {
            tracing::warn!(peer = %self.peer, left_out, "closed: too many HTTP/2 frames that are neither request nor body");
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "flood"))
    }

    fn wrote(&mut self, outcome: &Poll<io::Result<usize>>) {
        self.connection.wrote(outcome.is_pending());
        if let Poll::Ready(Ok(written)) = outcome {
            self.frames.wrote(*written);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.connection.read_some();
            self.count(buf.filled().get(before..).unwrap_or_default())?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.connection.wrote(outcome.is_pending());
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
            this.connection.wrote(outcome.is_pending());
            ready!(outcome)?;
        }
        this.linger.get_or_insert_with(Linger::new).poll(&mut this.stream, cx).map(Ok)
    }
}
