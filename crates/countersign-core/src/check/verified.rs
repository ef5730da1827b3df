//! The verified-credential cache, in front of every method (RULES 1.1, 1.2).
//!
//! It keeps what credential and record establish, under a keyed hash of the credential, for a short while; never a
//! refusal. An entry knows the feed position from before its record was read, and dies when anything it descends from
//! changed later. Nothing here waits but [`VerifiedCache::lead`], for a request that is looking the same thing up.

use super::revocation::{Descent, Position, RevocationFeed, descent};
use crate::{NodeKind, authentication::Authentication, authenticator::CacheKey, clock::Timestamp};
use futures_util::lock::{Mutex as AsyncMutex, OwnedMutexGuard};
use std::{
    collections::{HashMap, hash_map},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) authentication: Arc<Authentication>,
    /// The feed position before the record was read.
    read_at: Position,
    /// The revision of the feed at which the lineage was last found whole. Not its position, which stands still when
    /// a change comes late, behind one that this process made.
    whole_at: AtomicI64,
}

impl Entry {
    pub(super) fn new(authentication: Authentication, read_at: Position) -> Self {
        // no revision is lower: never found whole yet
        let whole_at = AtomicI64::new(i64::MIN);
        Self { authentication: Arc::new(authentication), read_at, whole_at }
    }

    /// While the feed stands still this is one comparison.
    pub(super) fn descent(&self, feed: &dyn RevocationFeed) -> Descent {
        // read before the walk: what comes during it is looked at next time
        let revision = feed.revision();
        if self.whole_at.load(Ordering::Acquire) == revision && self.read_at >= feed.floor() {
            return Descent::Holds;
        }
        let descent = descent(&self.authentication.lineage, self.read_at, feed);
        if descent == Descent::Holds {
            self.whole_at.store(revision, Ordering::Release);
        }
        descent
    }
}

#[derive(Debug)]
pub(super) enum Cached {
    Hit(Arc<Authentication>),
    /// It was good, and something that it descends from was revoked: denied without asking any store.
    Revoked(NodeKind),
    Miss,
}

/// The key is a hash already.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

type Map<V> = HashMap<CacheKey, V, BuildHasherDefault<Taken>>;

#[derive(Debug)]
struct Held {
    entry: Entry,
    until: Timestamp,
}

/// Two generations: when the young one is full it becomes the old one and the old one is dropped; what is used in the
/// old one moves up. Bounded, and what is used stays, without a list to keep in order.
#[derive(Debug, Default)]
struct Shard {
    young: Map<Held>,
    old: Map<Held>,
}

/// How the cache does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheFigures {
    pub entries: usize,
    pub capacity: usize,
    /// Credentials that a method had to verify.
    pub misses: u64,
}

const SHARDS: usize = 64;

pub(super) struct VerifiedCache {
    shards: Vec<RwLock<Shard>>,
    /// Of one generation of one shard.
    capacity: usize,
    lifetime: Duration,
    /// Only what has to be looked up is counted, which costs far more than a count.
    misses: AtomicU64,
    /// Held by the request that is looking a credential up.
    flights: Mutex<Map<Arc<AsyncMutex<()>>>>,
}

impl fmt::Debug for VerifiedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCache").finish_non_exhaustive()
    }
}

impl VerifiedCache {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        let shards = SHARDS.min(capacity.div_ceil(2)).max(1);
        Self {
            shards: (0..shards).map(|_| RwLock::default()).collect(),
            capacity: capacity / (2 * shards),
            lifetime,
            misses: AtomicU64::new(0),
            flights: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &CacheKey, now: Timestamp, feed: &dyn RevocationFeed) -> Cached {
        let Some(shard) = self.shard(key) else { return Cached::Miss };
        let (known, descent, aged) = {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let (held, aged) = match shard.young.get(key) {
                Some(held) => (Some(held), false),
                None => (shard.old.get(key), true),
            };
            let Some(held) = held.filter(|held| now < held.until) else { return Cached::Miss };
            // the feed answers from memory, and asks nothing of this cache
            (held.entry.authentication.clone(), held.entry.descent(feed), aged)
        };
        match descent {
            Descent::Holds => {
                if aged {
                    let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                    if let Some(held) = shard.old.remove(key) {
                        self.put(&mut shard, *key, held);
                    }
                }
                Cached::Hit(known)
            }
            Descent::Revoked(kind) if kind != NodeKind::Password => Cached::Revoked(kind),
            // the end of a password is not that of its text: whoever set it anew set another version
            Descent::Stale | Descent::Revoked(_) => {
                let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                let Shard { young, old } = &mut *shard;
                for map in [young, old] {
                    // another request may have put a newer one there
                    if map.get(key).is_some_and(|held| Arc::ptr_eq(&held.entry.authentication, &known)) {
                        map.remove(key);
                    }
                }
                Cached::Miss
            }
        }
    }

    pub(super) fn insert(&self, key: CacheKey, entry: Entry, now: Timestamp) {
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.old.remove(&key);
        self.put(&mut shard, key, Held { entry, until: now + self.lifetime });
    }

    fn put(&self, shard: &mut Shard, key: CacheKey, held: Held) {
        if self.capacity == 0 {
            return;
        }
        if shard.young.len() >= self.capacity && !shard.young.contains_key(&key) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, held);
    }

    pub(super) fn figures(&self) -> CacheFigures {
        let entries = |shard: &RwLock<Shard>| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        CacheFigures {
            entries: self.shards.iter().map(entries).sum(),
            capacity: self.capacity * 2 * self.shards.len(),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    fn shard(&self, key: &CacheKey) -> Option<&RwLock<Shard>> {
        // not the bytes that the map inside goes by
        let CacheKey([.., byte]) = key;
        self.shards.get(usize::from(*byte) % self.shards.len())
    }

    /// The first to ask leads; the others wait until it is done or gone, and get `None`. They inherit nothing from it.
    pub(super) async fn lead(&self, key: &CacheKey) -> Option<Lead<'_>> {
        let flight = {
            let mut flights = self.flights();
            match flights.entry(*key) {
                hash_map::Entry::Occupied(flight) => flight.get().clone(),
                hash_map::Entry::Vacant(vacant) => {
                    let flight = Arc::new(AsyncMutex::new(()));
                    // nobody else has seen it yet
                    let guard = flight.try_lock_owned()?;
                    vacant.insert(flight);
                    self.misses.fetch_add(1, Ordering::Relaxed);
                    return Some(Lead { cache: self, key: *key, _guard: guard });
                }
            }
        };
        drop(flight.lock().await);
        None
    }

    fn flights(&self) -> MutexGuard<'_, Map<Arc<AsyncMutex<()>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While this lives, others wait; it ends with the request that holds it, however that ends.
pub(super) struct Lead<'c> {
    cache: &'c VerifiedCache,
    key: CacheKey,
    _guard: OwnedMutexGuard<()>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.cache.flights().remove(&self.key);
    }
}
