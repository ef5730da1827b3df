//! The keys of an issuer as far as they are known here, and when they are fetched again. Nothing here fetches: that is the
//! adapter's, which asks [`Freshness`] when, and puts what came where [`KeySource::keys`] finds it.
//!
//! ```text
//! fetched ──15 min, or as long as the answer says──> due ──> fetched
//!    └─a token names a key that is not there─────────> due (never within 30 s of the last attempt)
//! due ──it failed──> due again after 30 s, 1, 2, 4, 8, 12 min and a bit; what is known goes on for 24 h
//! ```

use countersign_core::Timestamp;
use countersign_crypto::jose::JwkSet;
use std::{fmt, sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
/// Where the answer does not say how long it may be kept.
const USUAL: Duration = Duration::from_secs(15 * 60);
const SHORTEST: Duration = Duration::from_secs(5 * 60);
/// So that there is time to try again before what is known is too old.
const LONGEST: Duration = Duration::from_secs(20 * 3600);
/// Between two attempts, whoever asks.
const APART: Duration = Duration::from_secs(30);
/// RULES 5.3.
const STALE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub struct KnownKeys {
    pub set: Arc<JwkSet>,
    /// When they were last known to be what their issuer says. None: they are, as long as they stand on this machine.
    pub fetched_at: Option<Timestamp>,
}

impl KnownKeys {
    /// RULES 5.3: whoever has not been heard of for a day may have taken a key back.
    pub fn are_usable(&self, now: Timestamp) -> bool {
        self.fetched_at.is_none_or(|at| now.since(at) < STALE)
    }
}

/// Port: what is known of one issuer's keys. From memory, without waiting.
pub trait KeySource: fmt::Debug + Send + Sync {
    fn keys(&self) -> Option<Arc<KnownKeys>>;
    /// A token named a key that is not among them. Must only remember it.
    fn wanted(&self);
}

/// Keys that stay as they are.
#[derive(Debug)]
pub struct FixedKeys(Arc<KnownKeys>);

impl FixedKeys {
    pub fn new(set: JwkSet) -> Self {
        Self(Arc::new(KnownKeys { set: Arc::new(set), fetched_at: None }))
    }
}

impl KeySource for FixedKeys {
    fn keys(&self) -> Option<Arc<KnownKeys>> {
        Some(self.0.clone())
    }

    fn wanted(&self) {}
}

/// When the next attempt is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    due: Timestamp,
    attempted_at: Option<Timestamp>,
    fetched_at: Option<Timestamp>,
    /// Since the last that went well.
    failures: u32,
}

impl Freshness {
    /// Nothing is known yet: at once.
    pub fn new(now: Timestamp) -> Self {
        Self { due: now, attempted_at: None, fetched_at: None, failures: 0 }
    }

    pub fn due(&self) -> Timestamp {
        self.due
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        // a clock that was set back does not put it off for longer than it ever is
        now >= self.due || self.due.since(now) > LONGEST
    }

    pub fn fetched_at(&self) -> Option<Timestamp> {
        self.fetched_at
    }

    /// Since the last that went well.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A key is missing. Whoever sends tokens with names that do not exist makes us ask twice a minute at most, and of an
    /// issuer that does not answer no sooner than it would be asked anyway.
    pub fn wanted(&mut self, now: Timestamp) {
        if self.failures > 0 {
            return;
        }
        let soonest = self.attempted_at.map_or(now, |at| now.max(at + APART));
        self.due = self.due.min(soonest);
    }

    /// `max_age`: how long the answer may be kept, by its own word (RFC 9111 5.2.2.1).
    pub fn succeeded(&mut self, now: Timestamp, max_age: Option<Duration>) {
        let kept = max_age.map_or(USUAL, |age| age.clamp(SHORTEST, LONGEST));
        *self = Self { due: now + kept, attempted_at: Some(now), fetched_at: Some(now), failures: 0 };
    }

    /// `chance`: any number, so that many gateways do not ask at the same moment.
    pub fn failed(&mut self, now: Timestamp, chance: u8) {
        self.failures = self.failures.saturating_add(1);
        let doubled = APART.saturating_mul(1 << (self.failures - 1).min(10));
        let pause = doubled.min(MINUTE * 12);
        self.due = now + pause + pause * u32::from(chance) / 1024;
        self.attempted_at = Some(now);
    }
}
