//! One thread's share of the data plane: its listeners, its connections, its pools, its buffer of random bytes.
//! Nothing here is shared with another thread but what is read-only, swapped whole or sharded.

use crate::{
    config::GatewayConfig,
    gateway::Phase,
    listen::{
        Bound,
        accept::{self, Slots},
        connection::Registry,
    },
    sample::Sampler,
    upstream::{
        balance::{Destination, Upstream},
        check,
        headers::Stripping,
        streams::Streams,
    },
};
use countersign_core::{
    RequestId,
    check::{DecisionPoint, route::RouteStore},
};
use countersign_crypto::Entropy;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

/// What a worker is given.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    pub(crate) config: Arc<GatewayConfig>,
    /// How many share the limits that are per process.
    pub(crate) workers: usize,
    pub(crate) point: Arc<DecisionPoint>,
    pub(crate) routes: Arc<dyn RouteStore>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

pub(crate) struct Worker {
    pub(crate) ports: Ports,
    pub(crate) stripping: Stripping,
    pub(crate) connections: Registry,
    pub(crate) streams: Rc<Streams>,
    pub(crate) refusals: Sampler,
    upstreams: HashMap<Arc<str>, Rc<Upstream>>,
    ids: Ids,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new(ports: Ports, destinations: &HashMap<Arc<str>, Arc<Destination>>) -> Rc<Self> {
        let limits = ports.config.limits;
        let timeouts = ports.config.timeouts;
        let upstreams = destinations
            .iter()
            .map(|(name, to)| (name.clone(), Upstream::new(to.clone(), limits.idle_upstream, timeouts)))
            .collect();
        Rc::new(Self {
            stripping: Stripping::new(&ports.config),
            connections: Registry::default(),
            streams: Rc::default(),
            refusals: Sampler::default(),
            upstreams,
            ids: Ids::default(),
            ports,
        })
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<&Rc<Upstream>> {
        self.upstreams.get(name)
    }

    /// 128 bits of ours (RULES 3.8).
    pub(crate) fn request_id(&self) -> RequestId {
        self.ids.next(&*self.ports.entropy)
    }

    pub(crate) async fn run(self: Rc<Self>, sockets: Vec<Bound>, mut phases: watch::Receiver<Phase>) {
        let share = self.ports.config.limits.connections.div_ceil(self.ports.workers);
        let slots = Slots::new(share.max(1));
        let mut accepting = Vec::new();
        for bound in sockets {
            let (worker, slots, phases) = (self.clone(), slots.clone(), phases.clone());
            accepting.push(tokio::task::spawn_local(accept::run(worker, bound, slots, phases)));
        }
        let sweeper = tokio::task::spawn_local(self.clone().sweep());
        let checks: Vec<_> =
            self.upstreams.values().map(|u| tokio::task::spawn_local(check::run(u.clone()))).collect();
        let reviewer = tokio::task::spawn_local(self.clone().review());
        // the other end gone means the gateway was dropped: end at once
        let grace = match phases.wait_for(|p| *p != Phase::Serving).await.as_deref() {
            Ok(Phase::Draining(grace)) => *grace,
            _ => Duration::ZERO,
        };
        for task in accepting {
            let _ = task.await;
        }
        if tokio::time::timeout(grace, self.connections.drained()).await.is_err() {
            tracing::info!(open = self.connections.len(), "grace is over, closing connections");
        }
        sweeper.abort();
        reviewer.abort();
        for check in checks {
            check.abort();
        }
    }

    /// Ends streams whose permission was revoked. Apart from the sweeper, because it may wait for the store.
    async fn review(self: Rc<Self>) {
        let mut tick = tokio::time::interval(REVIEW);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.streams.review(&self.ports.point).await;
        }
    }

    /// Ends what made no progress for too long. One timer for all connections instead of several for each.
    async fn sweep(self: Rc<Self>) {
        let config = &self.ports.config;
        let shortest = config
            .listeners
            .iter()
            .map(|listener| listener.timeouts.over(config.timeouts))
            .map(|t| t.head.min(t.idle).min(t.body).min(t.connection_age))
            .fold(config.timeouts.idle_upstream, Duration::min);
        let mut tick = tokio::time::interval((shortest / 4).clamp(SWEEP_MIN, SWEEP_MAX));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now: Instant = tick.tick().await;
            self.connections.sweep(now);
            for upstream in self.upstreams.values() {
                upstream.sweep(now);
            }
        }
    }
}

/// Beside the 250 ms of the feed this keeps a revocation well below a second (RULES 2.5).
const REVIEW: Duration = Duration::from_millis(250);
const SWEEP_MIN: Duration = Duration::from_millis(10);
const SWEEP_MAX: Duration = Duration::from_secs(1);

/// Random bytes fetched 64 ids at a time.
struct Ids {
    bytes: RefCell<[u8; 1024]>,
    used: Cell<usize>,
}

impl Default for Ids {
    fn default() -> Self {
        Self { bytes: RefCell::new([0; 1024]), used: Cell::new(1024) }
    }
}

impl Ids {
    fn next(&self, entropy: &dyn Entropy) -> RequestId {
        let mut bytes = self.bytes.borrow_mut();
        if self.used.get() >= bytes.len() {
            entropy.fill(&mut *bytes);
            self.used.set(0);
        }
        let at = self.used.get();
        self.used.set(at + 16);
        let mut id = [0; 16];
        if let Some(fresh) = bytes.get(at..at + 16) {
            id.copy_from_slice(fresh);
        }
        RequestId(id)
    }
}
