//! A clock that stands still until it is moved.

use countersign_core::{Clock, Timestamp};
use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
    reads: AtomicU64,
}

impl ManualClock {
    pub fn new(at: Timestamp) -> Self {
        Self { micros: AtomicI64::new(at.as_micros()), reads: AtomicU64::new(0) }
    }

    pub fn advance(&self, by: Duration) {
        self.micros.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub fn set(&self, at: Timestamp) {
        self.micros.store(at.as_micros(), Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Default for ManualClock {
    /// 2027-01-15T08:00:00Z
    fn default() -> Self {
        Self::new(Timestamp::from_seconds(1_800_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}
