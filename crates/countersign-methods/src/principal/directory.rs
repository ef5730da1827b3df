//! What this process remembers of principals: asked on every request, so it answers from memory and never waits. The
//! feed makes it forget ([`crate::revocation::memory`]).

use super::store::PrincipalStore;
use crate::id_hash::{IdMap, Shards};
use countersign_core::{
    BoxFuture, PrincipalId, StoreError,
    directory::{Directory, Standing},
};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[derive(Debug)]
pub struct LocalDirectory {
    store: Arc<dyn PrincipalStore>,
    shards: Shards<RwLock<Shard>>,
    /// Per shard.
    capacity: usize,
}

#[derive(Debug, Default)]
struct Shard {
    known: IdMap<PrincipalId, Arc<Standing>>,
    /// Raised whenever something here was forgotten: what was read from the store before that may be older than the
    /// change, and is not kept.
    generation: u64,
}

impl LocalDirectory {
    /// Remembers at most about `capacity` principals; beyond that any one makes room.
    pub fn new(store: Arc<dyn PrincipalStore>, capacity: usize) -> Self {
        Self { store, shards: Shards::default(), capacity: Shards::<RwLock<Shard>>::share(capacity) }
    }

    pub fn forget(&self, principal: &PrincipalId) {
        let mut shard = write(self.shard(principal));
        shard.generation += 1;
        shard.known.remove(principal);
    }

    pub fn forget_all(&self) {
        for shard in self.shards.iter() {
            let mut shard = write(shard);
            shard.generation += 1;
            shard.known.clear();
        }
    }

    fn shard(&self, principal: &PrincipalId) -> &RwLock<Shard> {
        self.shards.of(principal)
    }

    fn remember(&self, principal: &PrincipalId, generation: u64, standing: &Arc<Standing>) {
        let mut shard = write(self.shard(principal));
        if shard.generation != generation {
            return;
        }
        if shard.known.len() >= self.capacity && !shard.known.contains_key(principal) {
            let victim = shard.known.keys().next().cloned();
            victim.and_then(|v| shard.known.remove(&v));
        }
        shard.known.insert(principal.clone(), standing.clone());
    }
}

impl Directory for LocalDirectory {
    fn standing(&self, principal: &PrincipalId) -> Option<Arc<Standing>> {
        read(self.shard(principal)).known.get(principal).cloned()
    }

    fn load<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<Arc<Standing>>, StoreError>> {
        Box::pin(async move {
            // Before the store is asked, as with the position of a cache entry (RULES 1.2).
            let generation = read(self.shard(principal)).generation;
            let Some(found) = self.store.find(principal).await? else {
                return Ok(None);
            };
            let standing = Arc::new(Standing::from(&found));
            self.remember(principal, generation, &standing);
            Ok(Some(standing))
        })
    }
}

// No code that can panic runs under these locks; a poisoned one would hold whole data all the same.
fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
