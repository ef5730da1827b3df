//! One upstream as one worker sees it: its addresses, and which of them gets the next request.
//!
//! The address with the fewest pending requests, among those that are well; when none is, the one that is due to be
//! tried first: an upstream is never refused unasked. A name stands for all its addresses and is asked for again and
//! again, so that what moves is followed without a restart.

use super::{
    config::{UpstreamConfig, is_upgrade},
    dial::{ConnectError, Dial},
    forward::Failure,
    gate::{Gate, Slot},
    health::Standing,
    origin::{Origin, OriginError},
    pool::{Chosen, Pool},
};
use crate::{config::Timeouts, observe::UpstreamReport};
use http::{HeaderValue, Uri};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{net::lookup_host, sync::Mutex, task::spawn_local, time::Instant};

/// The resolver does not tell how long an answer is good.
const RESOLVE_AGAIN: Duration = Duration::from_secs(10);
/// After a name that gave nothing: callers in between get that answer at once.
const RESOLVE_FAILED: Duration = Duration::from_secs(1);
/// Addresses kept of one name.
const MOST_ADDRESSES: usize = 64;

/// One URL, and how what it stands for is connected.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) origin: Origin,
    pub(crate) dial: Dial,
}

/// What the workers have in common of an upstream.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) config: UpstreamConfig,
    first: Place,
    others: Vec<Place>,
    gate: Option<Arc<Gate>>,
}

impl Destination {
    /// `before`: what had this name; where the limits stay, who is there already counts on.
    pub(crate) fn new(
        config: &UpstreamConfig,
        timeouts: &Timeouts,
        before: Option<&Self>,
    ) -> Result<Arc<Self>, OriginError> {
        let mut places: Vec<Place> = Vec::new();
        for url in &config.urls {
            let origin = Origin::parse(url)?;
            if places.iter().any(|place| place.origin == origin) {
                return Err(OriginError::Twice);
            }
            let dial = Dial::new(&origin, config, timeouts.connect)?;
            places.push(Place { origin, dial });
        }
        if let Some(check) = &config.health {
            let path: Option<Uri> = check.path.starts_with('/').then(|| check.path.parse().ok()).flatten();
            path.ok_or(OriginError::HealthPath)?;
            if check.every.is_zero() {
                return Err(OriginError::Zero);
            }
        }
        if !config.upgrades.iter().all(|name| is_upgrade(name)) {
            return Err(OriginError::Upgrade);
        }
        if config.limits.connections == Some(0) || config.stream_idle.is_zero() {
            return Err(OriginError::Zero);
        }
        let mut places = places.into_iter();
        Ok(Arc::new(Self {
            first: places.next().ok_or(OriginError::None)?,
            others: places.collect(),
            gate: match before.filter(|before| before.config.limits == config.limits) {
                Some(before) => before.gate.clone(),
                None => Gate::new(config.limits),
            },
            config: config.clone(),
        }))
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

pub(crate) struct Upstream {
    destination: Arc<Destination>,
    /// In the order of the URLs, each with its addresses.
    pools: RefCell<Vec<Vec<Rc<Pool>>>>,
    names: Option<Names>,
    turn: Cell<usize>,
    most_idle: usize,
    timeouts: Timeouts,
}

/// When names were asked for, where there are any.
#[derive(Default)]
struct Names {
    asked: Cell<Option<Instant>>,
    found: Cell<bool>,
    /// One asks, the others wait for what it hears.
    asking: Mutex<()>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("destination", &self.destination).finish_non_exhaustive()
    }
}

impl Upstream {
    pub(crate) fn new(destination: Arc<Destination>, most_idle: usize, timeouts: Timeouts) -> Rc<Self> {
        let named = destination.places().any(|place| place.origin.ip().is_none());
        let upstream = Self {
            pools: RefCell::new(destination.places().map(|_| Vec::new()).collect()),
            names: named.then(Names::default),
            turn: Cell::new(0),
            most_idle,
            timeouts,
            destination,
        };
        for (number, place) in upstream.destination.places().enumerate() {
            if let Some(ip) = place.origin.ip() {
                upstream.settle(number, place, &[SocketAddr::new(ip, place.origin.port())]);
            }
        }
        Rc::new(upstream)
    }

    pub(crate) fn config(&self) -> &UpstreamConfig {
        &self.destination.config
    }

    pub(crate) fn is_of(&self, destination: &Arc<Destination>) -> bool {
        Arc::ptr_eq(&self.destination, destination)
    }

    /// Of the first URL.
    pub(crate) fn authority(&self) -> &HeaderValue {
        self.destination.first.origin.authority()
    }

    pub(crate) fn pools(&self) -> Vec<Rc<Pool>> {
        self.pools.borrow().iter().flatten().cloned().collect()
    }

    pub(crate) async fn enter(&self) -> Result<Slot, Failure> {
        match &self.destination.gate {
            None => Ok(None),
            Some(gate) => gate.enter().await.map(Some).map_err(|_| Failure::Busy),
        }
    }

    /// `None`: every address is among those tried.
    pub(crate) fn choose(&self, tried: &[SocketAddr]) -> Option<Chosen> {
        let pools = self.pools.borrow();
        if let ([only], []) = (pools.as_slice(), tried)
            && let [only] = only.as_slice()
        {
            return Some(only.choose());
        }
        let now = Instant::now();
        let count: usize = pools.iter().map(Vec::len).sum();
        let turn = self.turn.replace(self.turn.get().wrapping_add(1)).checked_rem(count).unwrap_or(0);
        let in_turn = || pools.iter().flatten().cycle().skip(turn).take(count);
        let open = || in_turn().filter(|pool| !tried.contains(&pool.address()));
        let slow_start = self.config().slow_start;
        let well = open().filter(|pool| match pool.health().standing(now) {
            Standing::In => true,
            Standing::OnTrial => pool.pending() == 0,
            Standing::Out { .. } => false,
        });
        let load = |pool: &&Rc<Pool>| (pool.pending() as u128 + 1) * pool.health().weight(now, slow_start);
        let due = |pool: &&Rc<Pool>| match pool.health().standing(now) {
            Standing::Out { until } => until,
            Standing::In | Standing::OnTrial => now,
        };
        well.min_by_key(load).or_else(|| open().min_by_key(due)).map(Pool::choose)
    }

    /// Knows addresses when it returns, or says why not. What is known is used while it is asked for again.
    pub(crate) async fn resolve(self: &Rc<Self>) -> Result<(), ConnectError> {
        let Some(names) = &self.names else { return Ok(()) };
        let now = Instant::now();
        if !names.is_due(now) {
            return if names.found.get() { Ok(()) } else { Err(ConnectError::NoAddress) };
        }
        if names.found.get() {
            // asked from now on, so that only one asks
            names.asked.set(Some(now));
            let upstream = self.clone();
            spawn_local(async move {
                if let Err(error) = upstream.ask().await {
                    let name = &upstream.config().name;
                    tracing::warn!(upstream = %name, %error, "keeping the addresses known so far");
                }
            });
            return Ok(());
        }
        let _one = names.asking.lock().await;
        if !names.is_due(Instant::now()) {
            return if names.found.get() { Ok(()) } else { Err(ConnectError::NoAddress) };
        }
        self.ask().await
    }

    /// All names. An error only when no address at all is known afterwards, or nothing was heard.
    async fn ask(&self) -> Result<(), ConnectError> {
        let Some(names) = &self.names else { return Ok(()) };
        let mut failed = None;
        for (number, place) in self.destination.places().enumerate() {
            let origin = &place.origin;
            if origin.ip().is_some() {
                continue;
            }
            let asking = lookup_host((origin.host(), origin.port()));
            match tokio::time::timeout(self.timeouts.connect, asking).await {
                Ok(Ok(found)) => {
                    let found: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
                    // an answer without an address is no reason to forget those that work
                    if !found.is_empty() {
                        self.settle(number, place, &found);
                    }
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => failed = Some(io::ErrorKind::TimedOut.into()),
            }
        }
        names.asked.set(Some(Instant::now()));
        names.found.set(self.pools.borrow().iter().any(|pools| !pools.is_empty()));
        match failed {
            Some(error) => Err(ConnectError::Name(error)).or_else(|e| self.is_known().then_some(()).ok_or(e)),
            None if names.found.get() => Ok(()),
            None => Err(ConnectError::NoAddress),
        }
    }

    fn is_known(&self) -> bool {
        self.names.as_ref().is_none_or(|names| names.found.get())
    }

    /// The addresses of one origin from now on. Those that stay keep their connections and how they fared.
    fn settle(&self, number: usize, place: &Place, found: &[SocketAddr]) {
        let mut pools = self.pools.borrow_mut();
        let Some(known) = pools.get_mut(number) else { return };
        let mut next: Vec<Rc<Pool>> = Vec::new();
        for address in found {
            if next.iter().any(|pool| pool.address() == *address) {
                continue;
            }
            let kept = known.iter().find(|pool| pool.address() == *address).cloned();
            next.push(kept.unwrap_or_else(|| Pool::new(*address, place, self.most_idle, self.timeouts)));
        }
        *known = next;
    }

    /// Added to what other workers say of the same addresses.
    pub(crate) fn report(&self, all: &mut BTreeMap<(Arc<str>, SocketAddr), UpstreamReport>) {
        let now = Instant::now();
        for pool in self.pools.borrow().iter().flatten() {
            pool.report(now, all.entry((self.config().name.clone(), pool.address())).or_default());
        }
    }

    pub(crate) fn sweep(&self, now: Instant) {
        for pool in self.pools.borrow().iter().flatten() {
            pool.sweep(now);
        }
    }
}

impl Names {
    fn is_due(&self, now: Instant) -> bool {
        let patience = if self.found.get() { RESOLVE_AGAIN } else { RESOLVE_FAILED };
        self.asked.get().is_none_or(|asked| now.duration_since(asked) >= patience)
    }
}

#[cfg(test)]
mod tests;
