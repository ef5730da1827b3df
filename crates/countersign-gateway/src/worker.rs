//! One thread's share of the data plane: its listeners, its connections, its pools, its buffer of random bytes.
//! Nothing here is shared with another thread but what is read-only, swapped whole or sharded.

use crate::{
    gateway::Phase,
    generation::{Blueprint, Generation},
    listen::{
        accept::{self, Slots},
        connection::Registry,
        settings::ListenAddress,
        socket::Raw,
    },
    observe::{Observed, Outboxes, Probe, parcels, report::WorkerReport},
    sample::Sampler,
    upstream::{balance::Upstream, check, streams::Streams},
};
use countersign_core::{RequestId, check::DecisionPoint};
use countersign_crypto::Entropy;
use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::{Instant, MissedTickBehavior},
};

/// What a worker is given.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// Of the listeners, as they came to be.
    pub(crate) addresses: Arc<[ListenAddress]>,
    /// How many share the limits that are per process.
    pub(crate) workers: usize,
    pub(crate) point: Arc<DecisionPoint>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) probe: Arc<Probe>,
}

/// What a worker is told, or asked.
pub(crate) enum Order {
    /// Serve by this from now on; said once it is so.
    Serve(Arc<Blueprint>, oneshot::Sender<()>),
    Report(oneshot::Sender<WorkerReport>),
}

pub(crate) struct Worker {
    pub(crate) ports: Ports,
    generation: RefCell<Rc<Generation>>,
    pub(crate) connections: Registry,
    pub(crate) streams: Rc<Streams>,
    pub(crate) refusals: Sampler,
    pub(crate) observed: Observed,
    ids: Ids,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new(ports: Ports, serving: &Blueprint, outboxes: Outboxes) -> Rc<Self> {
        Rc::new(Self {
            generation: RefCell::new(Generation::new(serving, &ports.addresses, None)),
            connections: Registry::default(),
            streams: Rc::default(),
            refusals: Sampler::default(),
            observed: Observed::new(ports.addresses.len(), outboxes),
            ids: Ids::default(),
            ports,
        })
    }

    /// What a request that begins now is judged and forwarded by.
    pub(crate) fn generation(&self) -> Rc<Generation> {
        self.generation.borrow().clone()
    }

    /// 128 bits of ours (RULES 3.8).
    pub(crate) fn request_id(&self) -> RequestId {
        self.ids.next(&*self.ports.entropy)
    }

    pub(crate) async fn run(
        self: Rc<Self>,
        sockets: Vec<Raw>,
        mut phases: watch::Receiver<Phase>,
        orders: mpsc::UnboundedReceiver<Order>,
    ) {
        let share = self.generation().config.limits.connections.div_ceil(self.ports.workers);
        let slots = Slots::new(share.max(1));
        let mut accepting = Vec::new();
        for (listener, socket) in sockets.into_iter().enumerate() {
            let (worker, slots, phases) = (self.clone(), slots.clone(), phases.clone());
            accepting.push(tokio::task::spawn_local(accept::run(worker, listener, socket, slots, phases)));
        }
        let sweeper = tokio::task::spawn_local(self.clone().sweep());
        let follower = tokio::task::spawn_local(self.clone().follow(orders));
        let poster = tokio::task::spawn_local(self.clone().post());
        let reviewer = tokio::task::spawn_local(self.clone().review());
        let asker = tokio::task::spawn_local(self.clone().ask());
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
        asker.abort();
        poster.abort();
        follower.abort();
    }

    /// One generation after the other, and what is asked meanwhile. Nothing is awaited between taking one and having it
    /// in use.
    async fn follow(self: Rc<Self>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut checks: Vec<Check> = self.generation().upstreams().map(Check::begin).collect();
        while let Some(order) = orders.recv().await {
            let (blueprint, done) = match order {
                Order::Serve(blueprint, done) => (blueprint, done),
                Order::Report(answer) => {
                    // whoever asked may be gone
                    let _ = answer.send(self.report());
                    continue;
                }
            };
            let next = Generation::new(&blueprint, &self.ports.addresses, Some(&self.generation()));
            let (stay, over): (Vec<Check>, Vec<Check>) = checks
                .into_iter()
                .partition(|check| next.upstreams().any(|upstream| Rc::ptr_eq(upstream, &check.of)));
            drop(over);
            checks = stay;
            for upstream in next.upstreams() {
                if !checks.iter().any(|check| Rc::ptr_eq(upstream, &check.of)) {
                    checks.push(Check::begin(upstream));
                }
            }
            self.observed.keep(&next.table);
            self.generation.replace(next);
            // whoever waited for it may be gone
            let _ = done.send(());
        }
    }

    fn report(&self) -> WorkerReport {
        let mut report = self.observed.report();
        for upstream in self.generation().upstreams() {
            upstream.report(&mut report.upstreams);
        }
        report
    }

    /// What was gathered leaves in time, also where little comes.
    async fn post(self: Rc<Self>) {
        if self.observed.outboxes.each().next().is_none() {
            return;
        }
        let mut tick = tokio::time::interval(parcels::EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.observed.outboxes.each().for_each(parcels::Outbox::send);
        }
    }

    /// Ends streams whose permission was revoked.
    async fn review(self: Rc<Self>) {
        let mut tick = tokio::time::interval(REVIEW);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.streams.review(&self.ports.point);
        }
    }

    /// Apart from the review, because it waits for the store.
    async fn ask(self: Rc<Self>) {
        let mut tick = tokio::time::interval(REVIEW);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.streams.ask(&self.ports.point).await;
        }
    }

    /// Ends what made no progress for too long. One timer for all connections instead of several for each.
    async fn sweep(self: Rc<Self>) {
        loop {
            let generation = self.generation();
            let now = Instant::now();
            self.connections.sweep(now);
            for upstream in generation.upstreams() {
                upstream.sweep(now);
            }
            let config = &generation.config;
            let shortest = config
                .listeners
                .iter()
                .map(|listener| listener.timeouts.over(config.timeouts))
                .map(|t| t.head.min(t.idle).min(t.body).min(t.connection_age))
                .fold(config.timeouts.idle_upstream, Duration::min);
            drop(generation);
            tokio::time::sleep((shortest / 4).clamp(SWEEP_MIN, SWEEP_MAX)).await;
        }
    }
}

/// Asks an upstream how it is, until it is dropped.
struct Check {
    of: Rc<Upstream>,
    task: AbortHandle,
}

impl Check {
    fn begin(of: &Rc<Upstream>) -> Self {
        let task = tokio::task::spawn_local(check::run(of.clone())).abort_handle();
        Self { of: of.clone(), task }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets every task that is ready go first. Asked before a write: what a worker has to write goes out together, and whoever
/// reads it on this machine is woken once for many messages instead of once for each.
pub(crate) async fn after_the_others() {
    let mut went = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut went, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
