//! Rate limits: GCRA, one pure function, counted wherever the [`Counter`] keeps it.

use crate::clock::Timestamp;
use std::{fmt, sync::Arc, time::Duration};

/// `quota` requests per `window`, all of which may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    pub quota: u32,
    pub window: Duration,
}

/// The name of a plan in the configuration: 1 to 64 of `a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PlanName(Arc<str>);

impl PlanName {
    pub fn parse(text: &str) -> Option<Self> {
        let word = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        ((1..=64).contains(&text.len()) && text.bytes().all(word)).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is counted: the route limit of a route, a plan's of a principal, a credential's own, a network's failures.
/// Two 64-bit hashes of what it names, so that a counter keeps no names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitKey(pub u64, pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    Within { remaining: u32, reset_after: Duration },
    Over { retry_after: Duration },
}

/// Port: where the counts are kept. Synchronous, over local memory.
pub trait Counter: fmt::Debug + Send + Sync {
    /// Count one.
    fn charge(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge;
    /// What [`Counter::charge`] would say, without counting.
    fn peek(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge;
}
