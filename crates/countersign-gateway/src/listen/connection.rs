//! One open connection as the sweeper sees it: busy, idle, in the middle of a head, or stuck in a write.

use crate::{config::Timeouts, upstream::upgrade::Tunnel};
use http::StatusCode;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

#[derive(Debug)]
pub(crate) struct Connection {
    in_flight: Cell<u32>,
    /// When it last became idle, or when the head now arriving began.
    since: Cell<Instant>,
    in_head: Cell<bool>,
    has_read: Cell<bool>,
    /// HTTP/2 reads frames between requests, so bytes do not mean that a head began.
    multiplexed: bool,
    /// Since when the peer takes nothing of what we write.
    stuck: Cell<Option<Instant>>,
    /// What goes on where HTTP ended.
    tunnel: RefCell<Option<Tunnel>>,
    timeouts: Timeouts,
    born: Instant,
    old: Cell<bool>,
    aged: Notify,
}

impl Connection {
    pub(crate) fn new(multiplexed: bool, timeouts: Timeouts) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            in_flight: Cell::new(0),
            since: Cell::new(now),
            in_head: Cell::new(false),
            has_read: Cell::new(false),
            multiplexed,
            stuck: Cell::new(None),
            tunnel: RefCell::new(None),
            timeouts,
            born: now,
            old: Cell::new(false),
            aged: Notify::new(),
        })
    }

    /// From here until the guard is dropped a request is in flight.
    pub(crate) fn begin(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_head.set(false);
        InFlight(self.clone())
    }

    /// Bytes came in.
    pub(crate) fn read_some(&self) {
        self.has_read.set(true);
        if self.in_flight.get() == 0 && !self.multiplexed && !self.in_head.replace(true) {
            self.since.set(Instant::now());
        }
    }

    pub(crate) fn has_read(&self) -> bool {
        self.has_read.get()
    }

    /// After a 101.
    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.take()
    }

    /// The peer took what we wrote, or not.
    pub(crate) fn wrote(&self, pending: bool) {
        if !pending {
            self.stuck.set(None);
        } else if self.stuck.get().is_none() {
            self.stuck.set(Some(Instant::now()));
        }
    }

    /// Is this an HTTP/1.1 connection's last answer? After a 101 there is no HTTP to end.
    pub(crate) fn ends_with(&self, status: StatusCode) -> bool {
        self.old.get() && !self.multiplexed && status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// When an HTTP/2 connection is to say that it ends; one of HTTP/1.1 says so with an answer.
    pub(crate) async fn retires(&self) {
        while !self.multiplexed || !self.old.get() {
            self.aged.notified().await;
        }
    }

    /// It takes no new request from now on; what is in flight is finished.
    pub(crate) fn retire(&self) {
        self.old.set(true);
        self.aged.notify_waiters();
    }

    fn age(&self, now: Instant) {
        if !self.old.get() && now.duration_since(self.born) >= self.timeouts.connection_age {
            self.retire();
        }
    }

    /// Since when no request is in flight, where that is long enough to be no pause between two.
    fn is_idle_since(&self, now: Instant) -> Option<Instant> {
        let since = self.since.get();
        (self.in_flight.get() == 0 && now.duration_since(since) >= IDLE_ENOUGH).then_some(since)
    }

    fn is_over(&self, now: Instant) -> bool {
        let timeouts = &self.timeouts;
        if self.stuck.get().is_some_and(|since| now.duration_since(since) >= timeouts.body) {
            return true;
        }
        let patience = if self.in_head.get() { timeouts.head } else { timeouts.idle };
        self.in_flight.get() == 0 && now.duration_since(self.since.get()) >= patience
    }
}

#[derive(Debug)]
pub(crate) struct InFlight(Rc<Connection>);

impl InFlight {
    /// The same connection, held by one more.
    pub(crate) fn another(&self) -> InFlight {
        self.0.begin()
    }

    /// The answer is a 101: the connection belongs to the tunnel as soon as it is written.
    pub(crate) fn switch(&self, tunnel: Tunnel) {
        self.0.tunnel.replace(Some(tunnel));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let left = self.0.in_flight.get().saturating_sub(1);
        self.0.in_flight.set(left);
        if left == 0 {
            self.0.since.set(Instant::now());
        }
    }
}

#[derive(Debug)]
struct Open {
    connection: Rc<Connection>,
    task: AbortHandle,
    /// Its listener's number.
    door: u64,
}

/// A connection that carried nothing for so long may have to make room for another.
pub(crate) const IDLE_ENOUGH: Duration = Duration::from_secs(1);
/// So many at once, and at most one in [`ROOM_SHARE`]: looking for them costs more than ending them.
const ROOM: usize = 32;
const ROOM_SHARE: usize = 8;

/// All open connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    open: RefCell<HashMap<u64, Open>>,
    next: Cell<u64>,
    emptied: Notify,
}

impl Registry {
    pub(crate) fn number(&self) -> u64 {
        self.next.replace(self.next.get().wrapping_add(1))
    }

    pub(crate) fn enter(&self, number: u64, door: u64, connection: Rc<Connection>, task: AbortHandle) {
        self.open.borrow_mut().insert(number, Open { connection, task, door });
    }

    /// Once the protocol is known.
    pub(crate) fn refine(&self, number: u64, connection: Rc<Connection>) {
        if let Some(entry) = self.open.borrow_mut().get_mut(&number) {
            entry.connection = connection;
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

    /// Ends those of one listener, or of all, that are idle longest: whoever fills the limit with connections that do
    /// nothing keeps nobody out.
    pub(crate) fn make_room(&self, door: Option<u64>, now: Instant) {
        let open = self.open.borrow();
        let mut idle: Vec<(Instant, &AbortHandle)> = open
            .values()
            .filter(|open| door.is_none_or(|door| door == open.door))
            .filter_map(|open| Some((open.connection.is_idle_since(now)?, &open.task)))
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let most = (idle.len() / ROOM_SHARE).clamp(1, ROOM);
        for (_, task) in idle.into_iter().take(most) {
            task.abort();
        }
    }

    pub(crate) fn sweep(&self, now: Instant) {
        for Open { connection, task, .. } in self.open.borrow().values() {
            connection.age(now);
            if connection.is_over(now) {
                task.abort();
            }
        }
    }
}
