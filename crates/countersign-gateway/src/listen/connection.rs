//! One open connection as the sweeper sees it: busy, idle, in the middle of a head, or stuck in a write.

use crate::config::Timeouts;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    task::AbortHandle,
    time::Instant,
};

#[derive(Debug)]
pub(crate) struct Connection {
    in_flight: Cell<u32>,
    /// When it last became idle, or when the head now arriving began.
    since: Cell<Instant>,
    in_head: Cell<bool>,
    /// HTTP/2 reads frames between requests, so bytes do not mean that a head began.
    multiplexed: bool,
    /// Since when the peer takes nothing of what we write.
    stuck: Cell<Option<Instant>>,
}

impl Connection {
    pub(crate) fn new(multiplexed: bool) -> Rc<Self> {
        Rc::new(Self {
            in_flight: Cell::new(0),
            since: Cell::new(Instant::now()),
            in_head: Cell::new(false),
            multiplexed,
            stuck: Cell::new(None),
        })
    }

    /// From here until the guard is dropped a request is in flight.
    pub(crate) fn begin(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_head.set(false);
        InFlight(self.clone())
    }

    fn read_some(&self) {
        if self.in_flight.get() == 0 && !self.multiplexed && !self.in_head.replace(true) {
            self.since.set(Instant::now());
        }
    }

    fn is_over(&self, now: Instant, timeouts: &Timeouts) -> bool {
        if self.stuck.get().is_some_and(|since| now.duration_since(since) >= timeouts.body) {
            return true;
        }
        let patience = if self.in_head.get() { timeouts.head } else { timeouts.idle };
        self.in_flight.get() == 0 && now.duration_since(self.since.get()) >= patience
    }
}

#[derive(Debug)]
pub(crate) struct InFlight(Rc<Connection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let left = self.0.in_flight.get().saturating_sub(1);
        self.0.in_flight.set(left);
        if left == 0 {
            self.0.since.set(Instant::now());
        }
    }
}

/// All open connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    open: RefCell<HashMap<u64, (Rc<Connection>, AbortHandle)>>,
    next: Cell<u64>,
    emptied: Notify,
}

impl Registry {
    pub(crate) fn number(&self) -> u64 {
        self.next.replace(self.next.get().wrapping_add(1))
    }

    pub(crate) fn enter(&self, number: u64, connection: Rc<Connection>, task: AbortHandle) {
        self.open.borrow_mut().insert(number, (connection, task));
    }

    /// Once the protocol is known.
    pub(crate) fn refine(&self, number: u64, connection: Rc<Connection>) {
        if let Some(entry) = self.open.borrow_mut().get_mut(&number) {
            entry.0 = connection;
        }
    }

    pub(crate) fn leave(&self, number: u64) {
        let mut open = self.open.borrow_mut();
        open.remove(&number);
        if open.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    pub(crate) async fn drained(&self) {
        while self.len() > 0 {
            self.emptied.notified().await;
        }
    }

    pub(crate) fn sweep(&self, now: Instant, timeouts: &Timeouts) {
        for (connection, task) in self.open.borrow().values() {
            if connection.is_over(now, timeouts) {
                task.abort();
            }
        }
    }
}

/// A stream that tells its [`Connection`] what happens on it.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    connection: Rc<Connection>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, connection: Rc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn wrote<T>(&self, outcome: Poll<T>) -> Poll<T> {
        match &outcome {
            Poll::Pending if self.connection.stuck.get().is_none() => {
                self.connection.stuck.set(Some(Instant::now()));
            }
            Poll::Pending => {}
            Poll::Ready(_) => self.connection.stuck.set(None),
        }
        outcome
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
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wrote(outcome)
    }
}
