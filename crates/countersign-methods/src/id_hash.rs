//! Maps by our own ids, asked on every request.

use countersign_core::word_hash::WordHasher;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

pub(crate) fn word_hash(id: &impl Hash) -> u64 {
    let mut hasher = WordHasher::default();
    id.hash(&mut hasher);
    hasher.finish()
}

const SHARDS: usize = 64;

/// Apart, so that two requests seldom wait for each other.
#[derive(Debug)]
pub(crate) struct Shards<T>([T; SHARDS]);

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T> Shards<T> {
    /// The one that this id belongs to.
    pub(crate) fn of(&self, id: &impl Hash) -> &T {
        self.by(word_hash(id))
    }

    /// The same, by the id's [`word_hash`].
    pub(crate) fn by(&self, hash: u64) -> &T {
        let [first, ..] = &self.0;
        // The map inside takes its own bits from both ends of the hash; these are from the middle.
        self.0.get((hash >> 32) as usize % SHARDS).unwrap_or(first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// How much of `capacity` is each one's.
    pub(crate) fn share(capacity: usize) -> usize {
        capacity.div_ceil(SHARDS).max(1)
    }
}
