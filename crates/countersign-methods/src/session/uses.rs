//! When each session was last used, until somebody writes it down. Noted on the request path, so it only remembers; losing what
//! was not yet written costs a minute or two of a session's rest.

use crate::id_hash::{IdMap, Shards};
use countersign_core::{CredentialId, Timestamp};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

const CAPACITY: usize = 200_000;
/// A session rests for hours: it is not written down more often.
const EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Noted {
    at: Timestamp,
    written: bool,
}

#[derive(Debug, Default)]
pub struct Uses(Shards<Mutex<IdMap<CredentialId, Noted>>>);

impl Uses {
    /// So long a use may be noted here and written nowhere.
    pub const UNWRITTEN: Duration = Duration::from_secs(2 * EVERY.as_secs());

    pub fn note(&self, session: &CredentialId, now: Timestamp) {
        let mut shard = self.0.of(session).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(noted) = shard.get_mut(session) {
            if now.since(noted.at) >= EVERY {
                *noted = Noted { at: now, written: false };
            }
        } else if shard.len() < Shards::<()>::share(CAPACITY) {
            shard.insert(session.clone(), Noted { at: now, written: false });
        }
    }

    /// Everything noted since the last time, for `SessionStore::used`; what is older than `EVERY` is forgotten.
    pub fn take(&self, now: Timestamp) -> Vec<(CredentialId, Timestamp)> {
        let mut taken = Vec::new();
        for shard in self.0.iter() {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|id, noted| {
                if !std::mem::replace(&mut noted.written, true) {
                    taken.push((id.clone(), noted.at));
                }
                now.since(noted.at) < EVERY
            });
        }
        taken
    }
}
