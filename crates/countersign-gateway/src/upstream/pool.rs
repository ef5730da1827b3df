//! Connections to one address of an upstream, kept by one worker, and how that address has fared.
//!
//! A connection comes back only after its request went out whole and its answer was read to the end: bytes that are
//! still under way would be read as the next caller's answer. Everything else is closed.

use super::{
    balance::Place,
    body::Upload,
    config::Protocol,
    dial::{ConnectError, Dial, Link},
    gate::Slot,
    health::{Fault, Health, Standing},
    http1::Wire,
};
use crate::{
    config::Timeouts,
    observe::{UpstreamReport, add},
};
use http::{HeaderValue, uri::Scheme};
use hyper::client::conn::http2;
use std::{
    cell::{Cell, RefCell},
    fmt,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use tokio::{sync::Mutex, time::Instant};

pub(crate) struct Pool {
    address: SocketAddr,
    dial: Dial,
    /// For the Host field.
    authority: HeaderValue,
    scheme: Scheme,
    health: Health,
    connects: Cell<u64>,
    failed_connects: Cell<u64>,
    /// Requests that chose this address and are not over.
    pending: Cell<usize>,
    /// Newest last: the one used last is the one least likely to have gone stale.
    idle: RefCell<Vec<Idle>>,
    /// The one connection of HTTP/2, and when it was last asked for.
    shared: RefCell<Option<(http2::SendRequest<Upload>, Instant)>>,
    /// One opens it, the others wait for it.
    opening: Mutex<()>,
    most_idle: usize,
    timeouts: Timeouts,
}

struct Idle {
    wire: Box<Wire>,
    since: Instant,
}

/// How long a body is waited for that should not come. There are upstreams that answer HEAD as they answer GET, and what
/// is still under way when the next request goes out would be read as its answer.
const SETTLED: Duration = Duration::from_secs(1);

impl Idle {
    fn is_settled(&self, now: Instant) -> bool {
        !self.wire.is_doubtful() || now.duration_since(self.since) >= SETTLED
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new(address: SocketAddr, place: &Place, most_idle: usize, timeouts: Timeouts) -> Rc<Self> {
        Rc::new(Self {
            address,
            dial: place.dial.clone(),
            authority: place.origin.authority().clone(),
            health: Health::default(),
            connects: Cell::new(0),
            failed_connects: Cell::new(0),
            pending: Cell::new(0),
            idle: RefCell::default(),
            shared: RefCell::default(),
            opening: Mutex::default(),
            scheme: place.origin.scheme(),
            most_idle,
            timeouts,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.get()
    }

    pub(crate) fn report(&self, now: Instant, sum: &mut UpstreamReport) {
        let shared = usize::from(self.shared.borrow().is_some() && self.pending.get() == 0);
        sum.pending += self.pending.get() as u64;
        sum.idle += (self.idle.borrow().len() + shared) as u64;
        sum.connects += self.connects.get();
        sum.failed_connects += self.failed_connects.get();
        sum.known += 1;
        sum.well += u64::from(!matches!(self.health.standing(now), Standing::Out { .. }));
    }

    /// Counts as pending from here until the guard is dropped.
    pub(crate) fn choose(self: &Rc<Self>) -> Chosen {
        self.pending.set(self.pending.get().saturating_add(1));
        Chosen(self.clone())
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    fn reuse(&self) -> Option<Link> {
        let now = Instant::now();
        if let Some(sender) = self.shared(now) {
            return Some(Link::Http2(sender));
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(at) = idle.iter().rposition(|idle| idle.is_settled(now)) {
            let mut candidate = idle.remove(at);
            if !is_old(&candidate, now, self.timeouts.idle_upstream) && candidate.wire.is_fresh() {
                return Some(Link::Http1(candidate.wire));
            }
        }
        None
    }

    fn shared(&self, now: Instant) -> Option<http2::SendRequest<Upload>> {
        let mut shared = self.shared.borrow_mut();
        let (sender, asked) = shared.as_mut()?;
        if sender.is_closed() {
            *shared = None;
            return None;
        }
        *asked = now;
        Some(sender.clone())
    }

    async fn connect(&self) -> Result<Link, ConnectError> {
        if self.dial.protocol() == Protocol::Http1 {
            return self.dial.connect(self.address).await;
        }
        let opening = tokio::time::timeout(self.timeouts.connect, self.opening.lock());
        let _one = opening.await.map_err(|_| ConnectError::Timeout)?;
        if let Some(sender) = self.shared(Instant::now()) {
            return Ok(Link::Http2(sender));
        }
        let link = self.dial.connect(self.address).await?;
        if let Link::Http2(sender) = &link {
            self.shared.replace(Some((sender.clone(), Instant::now())));
        }
        Ok(link)
    }

    pub(crate) fn sweep(&self, now: Instant) {
        let unused = self.shared.borrow().as_ref().is_some_and(|(sender, asked)| {
            sender.is_closed()
                || self.pending.get() == 0 && now.duration_since(*asked) >= self.timeouts.idle_upstream
        });
        if unused {
            self.shared.take();
        }
        let patience = self.timeouts.idle_upstream;
        self.idle.borrow_mut().retain_mut(|i| !is_old(i, now, patience) && i.wire.is_fresh());
    }

    fn take_back(&self, wire: Box<Wire>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.most_idle {
            idle.push(Idle { wire, since: Instant::now() });
        }
    }
}

fn is_old(idle: &Idle, now: Instant, patience: Duration) -> bool {
    now.duration_since(idle.since) >= patience
}

/// One request's choice of an address.
#[derive(Debug)]
pub(crate) struct Chosen(Rc<Pool>);

impl Chosen {
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.0
    }

    /// On a connection that was used before and is ready now.
    pub(crate) fn reuse(self) -> Result<Lease, Chosen> {
        match self.0.reuse() {
            Some(link) => Ok(Lease::new(self, link)),
            None => Err(self),
        }
    }

    pub(crate) async fn connect(self) -> Result<Lease, ConnectError> {
        let pool = self.0.clone();
        let connected = self.connect_quietly().await;
        if connected.is_err() {
            pool.health.failed(Fault::Connect, Instant::now());
        }
        connected
    }

    /// Without a word about the health of the address.
    pub(crate) async fn connect_quietly(self) -> Result<Lease, ConnectError> {
        add(&self.0.connects, 1);
        let link = self.0.connect().await;
        if link.is_err() {
            add(&self.0.failed_connects, 1);
        }
        link.map(|link| Lease::new(self, link))
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.0.pending.set(self.0.pending.get().saturating_sub(1));
    }
}

/// A connection in use, or the place of one. What is not given back by [`Lease::give_back`] closes when it is dropped.
pub(crate) struct Lease {
    chosen: Chosen,
    link: Option<Link>,
    slot: Slot,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("pool", &self.chosen.0).finish_non_exhaustive()
    }
}

impl Lease {
    fn new(chosen: Chosen, link: Link) -> Self {
        Self { chosen, link: Some(link), slot: None }
    }

    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.chosen.0
    }

    /// The place that its request has at the upstream, given up when the lease ends.
    pub(crate) fn hold(&mut self, slot: Slot) {
        self.slot = slot;
    }

    /// To send a request on; once.
    pub(crate) fn link(&mut self) -> Option<Link> {
        self.link.take()
    }

    /// Only after the exchange was read and written to its end.
    pub(crate) fn give_back(self, wire: Box<Wire>) {
        self.chosen.0.take_back(wire);
    }
}
