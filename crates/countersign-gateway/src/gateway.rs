//! Start and stop: sockets are bound and upstreams read before any thread runs, so that what cannot work is said at
//! once.

use crate::{
    config::GatewayConfig,
    generation::Blueprint,
    listen::{
        settings::ListenAddress,
        socket::{self, Raw, SocketFile},
    },
    observe::{Observing, Outboxes, Reporter, parcels::Post},
    upstream::origin::OriginError,
    worker::{Order, Ports, Worker},
};
use countersign_core::check::{
    DecisionPoint,
    route::{RouteStore, RouteTable},
};
use countersign_crypto::Entropy;
use http::HeaderName;
use std::{fmt, io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot listen on `{address}`: {source}")]
    Listen { address: ListenAddress, source: io::Error },
    #[error("upstream `{name}`: {source}")]
    Upstream { name: Arc<str>, source: OriginError },
    #[error("upstream `{0}` is named twice")]
    DoubledUpstream(Arc<str>),
    #[error("`{0}` cannot carry a key: fields of that name are dropped from every request")]
    ReservedHeader(HeaderName),
    #[error("the listeners are not those that were opened at the start")]
    OtherListeners,
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
}

/// What the workers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Accept no more, finish what is in flight for at most this long.
    Draining(Duration),
}

/// One listener, as it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    pub address: ListenAddress,
    pub tls: bool,
}

/// A running data plane. Dropped without [`Gateway::stop`] it ends at once.
pub struct Gateway {
    listening: Vec<Listening>,
    files: Vec<SocketFile>,
    phase: watch::Sender<Phase>,
    /// Each worker holds the other end until its last connection is gone.
    gone: watch::Receiver<()>,
    threads: Vec<JoinHandle<()>>,
    serving: Arc<Blueprint>,
    reporter: Reporter,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("listening", &self.listening).finish_non_exhaustive()
    }
}

impl Gateway {
    pub fn start(
        config: GatewayConfig,
        point: Arc<DecisionPoint>,
        routes: Arc<dyn RouteStore>,
        entropy: Arc<dyn Entropy>,
        observing: Observing,
    ) -> Result<Self, StartError> {
        let workers = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let serving = Blueprint::new(config, routes.table(), None)?;
        let config = serving.config.clone();
        let (mut listening, mut files) = (Vec::new(), Vec::new());
        // one column per listener, one row per worker
        let mut sockets: Vec<Vec<Raw>> = (0..workers).map(|_| Vec::new()).collect();
        for listener in &config.listeners {
            let failed = |source| StartError::Listen { address: listener.listen.clone(), source };
            let shared = socket::bind(&listener.listen, workers).map_err(failed)?;
            for (row, socket) in sockets.iter_mut().zip(shared.sockets) {
                row.push(socket);
            }
            listening.push(Listening { address: shared.address, tls: listener.tls.is_some() });
            files.extend(shared.file);
        }

        let post = |what, sink: Option<_>| sink.map(|sink| Post::start(what, sink)).transpose();
        let records = post("decisions", observing.records).map_err(StartError::Worker)?;
        let spans = post("spans", observing.spans).map_err(StartError::Worker)?;
        let (phase, phases) = watch::channel(Phase::Serving);
        let (alive, gone) = watch::channel(());
        let alive = Arc::new(alive);
        let addresses: Arc<[ListenAddress]> =
            listening.iter().map(|listening: &Listening| listening.address.clone()).collect();
        let (mut threads, mut orders) = (Vec::new(), Vec::new());
        for (n, sockets) in sockets.into_iter().enumerate() {
            let ports = Ports {
                addresses: addresses.clone(),
                workers,
                point: point.clone(),
                entropy: entropy.clone(),
                probe: observing.probe.clone(),
            };
            let (serving, phases, alive) = (serving.clone(), phases.clone(), alive.clone());
            let outboxes = Outboxes {
                records: records.as_ref().map(Post::outbox),
                spans: spans.as_ref().map(Post::outbox),
            };
            let (order, ordered) = mpsc::unbounded_channel();
            orders.push(order);
            let thread = std::thread::Builder::new().name(format!("gateway-{n}"));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(StartError::Worker)?;
            let run = move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async move {
                    Worker::new(ports, &serving, outboxes).run(sockets, phases, ordered).await;
                });
                // connections that outlived the grace end with the set they run in
                drop(local);
                drop(alive);
            };
            threads.push(thread.spawn(run).map_err(StartError::Worker)?);
        }
        let mut delivered = |post: Option<Post>| {
            post.map(|post| {
                // last, because it ends when the workers have
                threads.push(post.thread);
                post.delivered
            })
        };
        let reporter = Reporter { orders, records: delivered(records), spans: delivered(spans) };
        Ok(Self { listening, files, phase, gone, threads, serving, reporter })
    }

    /// In the order of the configuration.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Asks the workers what they counted; also while the gateway stops.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Those of TCP listeners.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listening.iter().filter_map(|listening| listening.address.tcp()).collect()
    }

    /// Serves by another configuration and other routes from now on: checked whole before anything changes, and in use
    /// on every worker when this returns. What is in flight is finished by what it began with. Addresses, and how many
    /// connections and workers there are, stay as they were at the start.
    pub async fn reload(&mut self, config: GatewayConfig, table: Arc<RouteTable>) -> Result<(), StartError> {
        let listeners = |config: &GatewayConfig| -> Vec<ListenAddress> {
            config.listeners.iter().map(|listener| listener.listen.clone()).collect()
        };
        if listeners(&config) != listeners(&self.serving.config) {
            return Err(StartError::OtherListeners);
        }
        self.serving = Blueprint::new(config, table, Some(&self.serving))?;
        let mut taken = Vec::new();
        for order in &self.reporter.orders {
            let (done, was_taken) = oneshot::channel();
            // a worker that is gone serves nobody
            if order.send(Order::Serve(self.serving.clone(), done)).is_ok() {
                taken.push(was_taken);
            }
        }
        for taken in taken {
            let _ = taken.await;
        }
        Ok(())
    }

    /// Stops accepting, lets what is in flight finish for at most `grace`, then closes. May be awaited anywhere.
    pub async fn stop(mut self, grace: Duration) {
        // nobody new finds the way in, and then the queues are emptied
        self.files.clear();
        self.phase.send_replace(Phase::Draining(grace));
        // an error is what all are waiting for: the last worker dropped its end
        while self.gone.changed().await.is_ok() {}
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a gateway worker ended by a panic");
            }
        }
    }
}
