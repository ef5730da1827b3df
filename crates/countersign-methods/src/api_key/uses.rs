//! When each key was last used, until somebody writes it down. Noted on the request path, so it only remembers; losing
//! what was not yet written costs a date, never a decision.

use super::record::KeyId;
use crate::id_hash::{IdMap, Shards};
use countersign_core::Timestamp;
use std::sync::{Mutex, PoisonError};

pub const DEFAULT_CAPACITY: usize = 100_000;

#[derive(Debug)]
pub struct Uses {
    shards: Shards<Mutex<IdMap<KeyId, Timestamp>>>,
    /// Per shard.
    capacity: usize,
}

impl Uses {
    /// Remembers about `capacity` keys between two [`Uses::take`]; further ones are not noted.
    pub fn new(capacity: usize) -> Self {
        Self { shards: Shards::default(), capacity: Shards::<()>::share(capacity) }
    }

    /// Never moves a key's date backwards.
    pub fn note(&self, key: KeyId, now: Timestamp) {
        let shard = self.shards.of(&key);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = shard.get_mut(&key) {
            *last = now.max(*last);
        } else if shard.len() < self.capacity {
            shard.insert(key, now);
        }
    }

    /// Everything noted since the last time, for `ApiKeyStore::used`.
    pub fn take(&self) -> Vec<(KeyId, Timestamp)> {
        let mut taken = Vec::new();
        for shard in self.shards.iter() {
            // Out of the lock before it is copied: a request may be waiting to note something.
            let noted = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            taken.extend(noted);
        }
        taken
    }
}

impl Default for Uses {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}
