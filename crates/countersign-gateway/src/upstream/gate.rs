//! How many requests may be at an upstream at once, all workers together. Who does not fit waits, in order of
//! arrival; who waits too long, or finds too many waiting, is told to come back.

use super::config::UpstreamLimits;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    limits: UpstreamLimits,
}

/// A place at the upstream, taken until it is dropped; `None` where places are not counted.
pub(crate) type Slot = Option<OwnedSemaphorePermit>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

struct Waiting<'g>(&'g AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// `None`: no limit, and nothing that the workers would share.
    pub(crate) fn new(limits: UpstreamLimits) -> Option<Arc<Self>> {
        let places = Arc::new(Semaphore::new(limits.connections?.min(Semaphore::MAX_PERMITS)));
        Some(Arc::new(Self { places, waiting: AtomicUsize::new(0), limits }))
    }

    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Busy> {
        if let Ok(slot) = self.places.clone().try_acquire_owned() {
            return Ok(slot);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.limits.queue {
            return Err(Busy);
        }
        let place = self.places.clone().acquire_owned();
        match tokio::time::timeout(self.limits.queue_time, place).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(Busy),
        }
    }
}
