//! Maps by our own ids, asked on every request.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

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
        let mut hasher = IdHasher::default();
        id.hash(&mut hasher);
        let [first, ..] = &self.0;
        // The map inside takes its own bits from both ends of the hash; these are from the middle.
        self.0.get((hasher.finish() >> 32) as usize % SHARDS).unwrap_or(first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// How much of `capacity` is each one's.
    pub(crate) fn share(capacity: usize) -> usize {
        capacity.div_ceil(SHARDS).max(1)
    }
}

/// Multiply and fold, eight bytes at a time: a fifth of the time of the standard hash. Good enough because ids
/// are random and ours, and only what authenticated is looked up; nobody outside can choose colliding ones.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl IdHasher {
    fn fold(&mut self, word: u64) {
        let mixed = u128::from(self.0 ^ word ^ 0x2545_f491_4f6c_dd1d) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = (mixed as u64) ^ ((mixed >> 64) as u64);
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0u8; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.fold(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.fold(byte.into());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
