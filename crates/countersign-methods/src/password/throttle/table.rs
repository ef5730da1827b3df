//! A map of bounded memory whose own users cannot wipe it cheaply.
//!
//! Each key belongs to one bucket of sixteen. A full bucket gives up what weighs least: the count with the fewest
//! failures, and of those the oldest. Keys are keyed hashes, so nobody can aim at a bucket. To have a count of eight
//! forgotten, sixteen others in its bucket must reach eight; not knowing which those are, a guesser has to let that
//! many fail in every bucket: the capacity times eight hashes, under delays of their own.

use countersign_core::Timestamp;
use std::time::Duration;

/// A keyed hash of what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64, pub(super) u64);

/// What a bucket holds at most.
const WAYS: usize = 16;

/// What a table keeps of a key.
pub(super) trait Entry {
    fn new(now: Timestamp) -> Self;
    /// What weighs least makes room first; of the same weight, what was used earlier. A weight decays, or the counts of
    /// an attack that is over would push out those of the next.
    fn weight(&self, decay: Duration, now: Timestamp) -> (u32, Timestamp);
    /// Says nothing that a new one would not say.
    fn is_empty(&self) -> bool;
}

#[derive(Debug)]
pub(super) struct Table<V> {
    /// A power of two of them. Empty ones take no memory of their own. A default has none, and keeps nothing.
    buckets: Box<[Vec<(Key, V)>]>,
    decay: Duration,
    evicted: u64,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { buckets: Box::default(), decay: Duration::ZERO, evicted: 0 }
    }
}

impl<V: Entry> Table<V> {
    /// Keeps `capacity` entries, rounded up to a power of two of buckets.
    pub(super) fn new(capacity: usize, decay: Duration) -> Self {
        let buckets = capacity.div_ceil(WAYS).next_power_of_two();
        Self { buckets: (0..buckets).map(|_| Vec::new()).collect(), decay, evicted: 0 }
    }

    pub(super) fn get(&self, key: Key) -> Option<&V> {
        self.buckets.get(self.place(key))?.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Changes what is there, or a new one; what is empty afterwards is forgotten.
    pub(super) fn with<R>(&mut self, key: Key, now: Timestamp, f: impl FnOnce(&mut V) -> R) -> Option<R> {
        let (place, decay) = (self.place(key), self.decay);
        let bucket = self.buckets.get_mut(place)?;
        if !bucket.iter().any(|(k, _)| *k == key) {
            let fresh = (key, V::new(now));
            if bucket.len() < WAYS {
                bucket.push(fresh);
            } else if let Some(lightest) = bucket.iter_mut().min_by_key(|(_, v)| v.weight(decay, now)) {
                self.evicted += u64::from(lightest.1.weight(decay, now).0 > 0);
                *lightest = fresh;
            }
        }
        self.change(key, f)
    }

    /// Changes what is there; what is empty afterwards is forgotten.
    pub(super) fn change<R>(&mut self, key: Key, f: impl FnOnce(&mut V) -> R) -> Option<R> {
        let place = self.place(key);
        let bucket = self.buckets.get_mut(place)?;
        let at = bucket.iter().position(|(k, _)| *k == key)?;
        let (_, entry) = bucket.get_mut(at)?;
        let result = f(entry);
        if entry.is_empty() {
            bucket.swap_remove(at);
        }
        Some(result)
    }

    pub(super) fn remove(&mut self, key: Key) {
        let place = self.place(key);
        if let Some(bucket) = self.buckets.get_mut(place) {
            bucket.retain(|(k, _)| *k != key);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Key, V)> {
        self.buckets.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    /// How many made room that still weighed something.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// By the half that differs between places of one account.
    fn place(&self, key: Key) -> usize {
        key.0 as usize & self.buckets.len().wrapping_sub(1)
    }
}
