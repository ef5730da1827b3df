//! When each key was last used, and which imported one can be kept better from now on, until somebody writes it down. Noted
//! on the request path, so it only remembers; losing what was not yet written costs a date, never a decision.

use super::{record::KeyId, store::Upgrade};
use crate::id_hash::{IdMap, Shards};
use countersign_core::Timestamp;
use std::sync::{Mutex, PoisonError};

pub const DEFAULT_CAPACITY: usize = 100_000;
/// An upgrade that finds no room comes with the next use that asks the store.
const MAX_UPGRADES: usize = 1_000;

#[derive(Debug)]
pub struct Uses {
    shards: Shards<Mutex<IdMap<KeyId, Timestamp>>>,
    /// Per shard.
    capacity: usize,
    upgrades: Mutex<Vec<Upgrade>>,
}

impl Uses {
    /// Remembers about `capacity` keys between two [`Uses::take`]; further ones are not noted.
    pub fn new(capacity: usize) -> Self {
        Self {
            shards: Shards::default(),
            capacity: Shards::<()>::share(capacity),
            upgrades: Mutex::default(),
        }
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

    pub(super) fn upgrade(&self, upgrade: Upgrade) {
        let mut upgrades = self.upgrades.lock().unwrap_or_else(PoisonError::into_inner);
        if upgrades.len() < MAX_UPGRADES && !upgrades.iter().any(|known| known.id == upgrade.id) {
            upgrades.push(upgrade);
        }
    }

    /// Everything noted since the last time, for `ApiKeyStore::upgrade`.
    pub fn take_upgrades(&self) -> Vec<Upgrade> {
        std::mem::take(&mut *self.upgrades.lock().unwrap_or_else(PoisonError::into_inner))
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
