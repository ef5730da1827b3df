//! Credentials that somebody sent over plain HTTP (RULES 1.7). The request is refused before anything is looked up; whose they
//! were is found out later, off its path, and only where the secret is right: a public id with rubbish behind it flags nobody.

use countersign_core::{MethodName, Place, Presented, Timestamp, authenticator::CacheKey};
use countersign_crypto::SecretBytes;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Between two takes; more are not looked at. Whoever floods learns nothing by it.
const MOST: usize = 64;
/// RULES 3.9: the same one is not looked at again for so long.
const SILENCE: Duration = Duration::from_secs(3600);
const REMEMBERED: usize = 4096;

/// One of them. Debug shows no secret.
#[derive(Debug)]
pub struct Exposed {
    pub method: MethodName,
    pub place: Place,
    pub credential: SecretBytes,
    pub from: IpAddr,
}

#[derive(Debug, Default)]
pub struct Exposures(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    waiting: Vec<Exposed>,
    before: HashMap<CacheKey, Timestamp>,
}

impl Exposures {
    pub(crate) fn note(&self, method: MethodName, presented: &Presented<'_>, now: Timestamp) {
        let Some(key) = presented.cache_key else { return };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.waiting.len() >= MOST || seen.before.get(&key).is_some_and(|at| now < *at + SILENCE) {
            return;
        }
        if seen.before.len() >= REMEMBERED {
            seen.before.retain(|_, at| now < *at + SILENCE);
            if seen.before.len() >= REMEMBERED {
                seen.before.clear();
            }
        }
        seen.before.insert(key, now);
        seen.waiting.push(Exposed {
            method,
            place: presented.place,
            credential: SecretBytes::new(presented.credential.to_vec()),
            from: presented.from,
        });
    }

    /// Everything seen since the last time.
    pub fn take(&self) -> Vec<Exposed> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }
}
