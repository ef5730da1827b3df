//! The ports of core over plain memory.

use countersign_core::{
    BoxFuture, Node, PrincipalId, StoreError, Timestamp,
    check::{
        limit::{Arrival, Charge, Counter, LimitKey, RateLimit, gcra},
        revocation::{Position, RevocationFeed},
        route::{RouteStore, RouteTable},
    },
    directory::{Directory, Standing},
    principal::Principal,
};
use event_listener::Event;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

/// A feed that is told what changed.
#[derive(Debug, Default)]
pub struct MemoryFeed {
    changed: RwLock<HashMap<Node, Position>>,
    revoked: RwLock<HashSet<Node>>,
    position: AtomicI64,
    revision: AtomicI64,
    floor: AtomicI64,
    blind: AtomicBool,
    silent: AtomicBool,
    words: Event,
}

impl MemoryFeed {
    /// The record behind the node changed.
    pub fn change(&self, node: Node) -> Position {
        let at = Position(self.position.load(Ordering::SeqCst) + 1);
        self.changed.write().unwrap().insert(node, at);
        self.position.store(at.0, Ordering::SeqCst);
        // published last
        self.revision.fetch_add(1, Ordering::SeqCst);
        at
    }

    /// Two changes were made and the second was learned first; this is the first, coming late: the position stands.
    pub fn change_late(&self, node: Node) {
        let before = Position(self.position.load(Ordering::SeqCst) - 1);
        self.changed.write().unwrap().insert(node, before);
        self.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// The same of a revocation.
    pub fn revoke_late(&self, node: Node) {
        self.revoked.write().unwrap().insert(node.clone());
        self.change_late(node);
    }

    /// Everything below the node is denied from now on.
    pub fn revoke(&self, node: Node) -> Position {
        self.revoked.write().unwrap().insert(node.clone());
        self.change(node)
    }

    /// Until [`MemoryFeed::speak`].
    pub fn keep_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    pub fn speak(&self) {
        self.silent.store(false, Ordering::SeqCst);
        self.words.notify(usize::MAX);
    }

    pub fn was_asked_in_vain(&self) {
        self.words.notify(usize::MAX);
    }

    pub fn set_blind(&self, blind: bool) {
        self.blind.store(blind, Ordering::SeqCst);
    }

    /// Memory was lost: everything filled until now must be verified anew.
    pub fn lose_memory(&self) {
        let at = self.position.load(Ordering::SeqCst) + 1;
        self.changed.write().unwrap().clear();
        self.floor.store(at, Ordering::SeqCst);
        self.position.store(at, Ordering::SeqCst);
        self.revision.fetch_add(1, Ordering::SeqCst);
    }
}

impl RevocationFeed for MemoryFeed {
    fn position(&self) -> Position {
        Position(self.position.load(Ordering::SeqCst))
    }

    fn revision(&self) -> i64 {
        self.revision.load(Ordering::SeqCst)
    }

    fn changed_at(&self, node: &Node) -> Option<Position> {
        self.changed.read().unwrap().get(node).copied()
    }

    fn is_revoked(&self, node: &Node) -> bool {
        self.revoked.read().unwrap().contains(node)
    }

    fn floor(&self) -> Position {
        Position(self.floor.load(Ordering::SeqCst))
    }

    fn is_blind(&self, _now: Timestamp) -> bool {
        self.blind.load(Ordering::SeqCst)
    }

    fn is_fresh(&self, _now: Timestamp) -> bool {
        !self.silent.load(Ordering::SeqCst)
    }

    fn next_word(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.words.listen())
    }
}

/// Principals, some of them only behind [`Directory::load`].
#[derive(Debug, Default)]
pub struct MemoryDirectory {
    near: RwLock<HashMap<PrincipalId, Arc<Standing>>>,
    far: RwLock<HashMap<PrincipalId, Arc<Standing>>>,
    down: AtomicBool,
    loads: AtomicU64,
}

impl MemoryDirectory {
    /// As of now, in local memory.
    pub fn set(&self, principal: &Principal) {
        self.near.write().unwrap().insert(principal.id.clone(), Arc::new(principal.into()));
    }

    /// As of now, in the store only.
    pub fn set_far(&self, principal: &Principal) {
        self.near.write().unwrap().remove(&principal.id);
        self.far.write().unwrap().insert(principal.id.clone(), Arc::new(principal.into()));
    }

    pub fn remove(&self, id: &PrincipalId) {
        self.near.write().unwrap().remove(id);
        self.far.write().unwrap().remove(id);
    }

    /// Does the store behind it answer?
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }
}

impl Directory for MemoryDirectory {
    fn standing(&self, principal: &PrincipalId) -> Option<Arc<Standing>> {
        self.near.read().unwrap().get(principal).cloned()
    }

    fn load<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<Arc<Standing>>, StoreError>> {
        Box::pin(async move {
            self.loads.fetch_add(1, Ordering::SeqCst);
            if self.down.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("scripted".into()));
            }
            let found = self.far.read().unwrap().get(principal).cloned();
            if let Some(standing) = &found {
                self.near.write().unwrap().insert(principal.clone(), standing.clone());
            }
            Ok(found)
        })
    }
}

/// Counts without bounds.
#[derive(Debug, Default)]
pub struct MemoryCounter {
    arrivals: Mutex<HashMap<LimitKey, Arrival>>,
    charges: AtomicU64,
}

impl MemoryCounter {
    /// How often anything was charged.
    pub fn charges(&self) -> u64 {
        self.charges.load(Ordering::SeqCst)
    }
}

impl Counter for MemoryCounter {
    fn charge(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge {
        self.charges.fetch_add(1, Ordering::SeqCst);
        let mut arrivals = self.arrivals.lock().unwrap();
        let arrival = arrivals.entry(key).or_default();
        let (next, charge) = gcra(*arrival, limit, now);
        *arrival = next;
        charge
    }

    fn peek(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge {
        let arrival = self.arrivals.lock().unwrap().get(&key).copied().unwrap_or_default();
        gcra(arrival, limit, now).1
    }
}

/// A table that can be swapped by hand.
#[derive(Debug)]
pub struct StaticRoutes(RwLock<Arc<RouteTable>>);

impl StaticRoutes {
    pub fn new(table: RouteTable) -> Self {
        Self(RwLock::new(Arc::new(table)))
    }

    pub fn swap(&self, table: RouteTable) {
        *self.0.write().unwrap() = Arc::new(table);
    }
}

impl RouteStore for StaticRoutes {
    fn table(&self) -> Arc<RouteTable> {
        self.0.read().unwrap().clone()
    }
}
