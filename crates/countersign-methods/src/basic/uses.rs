//! Who uses Basic, on which route, and how often; and when each app password was last used. Noted on the request path, so it
//! only remembers until somebody writes it down; losing what was not yet written costs a count, never a decision.

use crate::id_hash::{IdMap, Shards};
use countersign_core::{Authentication, CredentialId, NodeKind, PrincipalId, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

pub const DEFAULT_CAPACITY: usize = 100_000;

/// Of one principal on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicUse {
    pub principal: PrincipalId,
    /// The route's name in the configuration.
    pub route: Arc<str>,
    pub uses: u64,
    pub last_used_at: Timestamp,
}

#[derive(Debug, Default)]
struct Shard {
    routes: IdMap<(PrincipalId, Arc<str>), (u64, Timestamp)>,
    app_passwords: IdMap<CredentialId, Timestamp>,
}

#[derive(Debug)]
pub struct Uses {
    shards: Shards<Mutex<Shard>>,
    /// Per shard, of each kind.
    capacity: usize,
}

impl Uses {
    /// Remembers about `capacity` of each kind between two takes; further ones are not noted.
    pub fn new(capacity: usize) -> Self {
        Self { shards: Shards::default(), capacity: Shards::<()>::share(capacity) }
    }

    pub(super) fn note(&self, known: &Authentication, route: &Arc<str>, now: Timestamp) {
        let shard = self.shards.of(&known.principal);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (known.principal.clone(), route.clone());
        if let Some((uses, last)) = shard.routes.get_mut(&place) {
            *uses += 1;
            *last = now.max(*last);
        } else if shard.routes.len() < self.capacity {
            shard.routes.insert(place, (1, now));
        }
        if !known.lineage.iter().any(|node| node.kind == NodeKind::AppPassword) {
            return;
        }
        if let Some(last) = shard.app_passwords.get_mut(&known.credential) {
            *last = now.max(*last);
        } else if shard.app_passwords.len() < self.capacity {
            shard.app_passwords.insert(known.credential.clone(), now);
        }
    }

    /// Everything noted since the last time, for `BasicStore::used` and `BasicStore::app_passwords_used`.
    pub fn take(&self) -> (Vec<BasicUse>, Vec<(CredentialId, Timestamp)>) {
        let (mut uses, mut app_passwords) = (Vec::new(), Vec::new());
        for shard in self.shards.iter() {
            // out of the lock before it is copied: a request may be waiting to note something
            let noted = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            uses.extend(noted.routes.into_iter().map(|((principal, route), (uses, last_used_at))| {
                BasicUse { principal, route, uses, last_used_at }
            }));
            app_passwords.extend(noted.app_passwords);
        }
        (uses, app_passwords)
    }
}

impl Default for Uses {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}
