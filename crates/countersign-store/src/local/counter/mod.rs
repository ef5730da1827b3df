//! Counts inside one process: one number per bucket, in shards that are each bounded.

use countersign_core::{
    Timestamp,
    check::limit::{Arrival, Charge, Counter, LimitKey, RateLimit, gcra},
};
use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

const SHARDS: usize = 64;

type Shard = HashMap<LimitKey, Arrival>;

pub struct LocalCounter {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// Buckets per shard.
    capacity: usize,
}

impl fmt::Debug for LocalCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCounter").field("capacity", &(self.capacity * SHARDS)).finish_non_exhaustive()
    }
}

impl LocalCounter {
    /// Keeps about `capacity` buckets.
    pub fn new(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            // eight, so that making room always leaves some
            capacity: capacity.div_ceil(SHARDS).max(8),
        }
    }

    fn shard(&self, key: &LimitKey) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let shard = self.shards.get(self.hasher.hash_one(key) as usize % SHARDS).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter for LocalCounter {
    fn charge(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge {
        let mut shard = self.shard(&key);
        if let Some(arrival) = shard.get_mut(&key) {
            let (next, charge) = gcra(*arrival, limit, now);
            *arrival = next;
            return charge;
        }
        let (next, charge) = gcra(0, limit, now);
        if shard.len() >= self.capacity {
            make_room(&mut shard, now);
        }
        shard.insert(key, next);
        charge
    }

    fn peek(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge {
        let arrival = self.shard(&key).get(&key).copied().unwrap_or(0);
        gcra(arrival, limit, now).1
    }
}

/// Empty buckets go; where there are none, the eighth that is nearest to empty. What is forgotten is the least of
/// what is known, and a flood of new keys does not free one who is over the limit. Costs one pass, then not again for
/// an eighth of the shard.
fn make_room(shard: &mut Shard, now: Timestamp) {
    let now = now.as_micros().saturating_mul(1000);
    let before = shard.len();
    shard.retain(|_, arrival| *arrival > now);
    if shard.len() < before {
        return;
    }
    let mut arrivals: Vec<Arrival> = shard.values().copied().collect();
    let eighth = (before / 8).min(before.saturating_sub(1));
    let (_, last, _) = arrivals.select_nth_unstable(eighth);
    let last = *last;
    // strictly below and then as many equals as it takes: all may be equal
    let mut surplus = eighth.max(1);
    shard.retain(|_, arrival| {
        let goes = surplus > 0 && *arrival <= last;
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests;
