//! What is watched of this process: everything that counts, asked together. [`metrics`] says how it is called,
//! [`sinks`] where records of decisions and spans go.

mod metrics;
mod sinks;

pub(super) use sinks::{Sinks, sinks, way_out};

use super::{ConfigurationState, Rooms, rooms::PasswordWatch};
use countersign_core::{
    BoxFuture, Clock, Timestamp,
    check::{DecisionPoint, revocation::RevocationFeed},
};
use countersign_gateway::{Probe, Reporter};
use countersign_methods::{revocation::memory::ChangeMemory, signing::keys::SigningKeys};
use countersign_server::{
    Sessions,
    egress::jwks::IssuerKeys,
    observe::{Probing, Watched},
};
use countersign_store::{KeyCounts, Store};
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Keys are counted by reading all of them: not for every scrape.
const COUNT_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) store: Arc<Store>,
    pub(super) memory: Arc<ChangeMemory>,
    pub(super) point: Arc<DecisionPoint>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) passwords: PasswordWatch,
    pub(super) configuration: Arc<ConfigurationState>,
    pub(super) started: Timestamp,
    pub(super) signing: Arc<SigningKeys>,
    /// `None`: nobody signs in here.
    pub(super) sessions: Option<Arc<Sessions>>,
    /// Whose tokens are trusted.
    pub(super) issuers: Arc<[Arc<IssuerKeys>]>,
    pub(super) probe: Arc<Probe>,
    /// Once it listens.
    gateway: OnceLock<Gateway>,
    stopping: AtomicBool,
    keys: Mutex<Option<(Timestamp, KeyCounts)>>,
}

#[derive(Debug)]
struct Gateway {
    reporter: Reporter,
    /// Its listeners, as metrics name them.
    listeners: Vec<String>,
}

impl Watch {
    pub(super) fn new(
        rooms: &Rooms,
        memory: Arc<ChangeMemory>,
        point: Arc<DecisionPoint>,
        (sessions, issuers): (Option<Arc<Sessions>>, Arc<[Arc<IssuerKeys>]>),
        configuration: Arc<ConfigurationState>,
    ) -> Arc<Self> {
        let (store, clock) = (rooms.store.clone(), rooms.world.clock.clone());
        Arc::new(Self {
            passwords: rooms.watched_passwords.clone(),
            started: clock.now(),
            signing: rooms.signing.keys().clone(),
            sessions,
            issuers,
            probe: Arc::default(),
            store,
            memory,
            point,
            clock,
            configuration,
            gateway: OnceLock::new(),
            stopping: AtomicBool::new(false),
            keys: Mutex::default(),
        })
    }

    pub(super) fn serves(&self, gateway: &countersign_gateway::Gateway) {
        let listeners = gateway.listening().iter().map(|listening| listening.address.to_string()).collect();
        // a process has one
        let _ = self.gateway.set(Gateway { reporter: gateway.reporter(), listeners });
    }

    /// Whoever sends requests here should send them elsewhere.
    pub(super) fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    async fn keys(&self) -> Option<KeyCounts> {
        let now = self.clock.now();
        let known = *self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, counts)) = known
            && now.since(at) < COUNT_AGAIN
            && at <= now
        {
            return Some(counts);
        }
        let counts = self.store.key_counts(now).await.ok()?;
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, counts));
        Some(counts)
    }

    /// As far as that can be told without asking anybody.
    fn could_serve(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && !self.memory.is_blind(self.clock.now())
    }
}

impl Probing for Watch {
    fn arm(&self, token: &str, until: Timestamp) {
        self.probe.arm(token, until);
    }
}

impl Watched for Watch {
    fn is_ready(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let Some(gateway) = self.gateway.get() else { return false };
            self.could_serve() && gateway.reporter.report().await.silent == 0
        })
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        Box::pin(metrics::write(self))
    }
}
