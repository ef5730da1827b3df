//! How the descriptors of this process are shared out. Without shares whoever opens idle connections takes them all:
//! then no upstream can be reached, the store opens no file, and no operator gets in to revoke anything.

use rustix::process::{Resource, getrlimit};

/// The most connections of each kind of listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Callers of the gateway, all its listeners together; as many again stay for their upstreams.
    pub gateway: usize,
    /// Callers of one listener of the control plane, of which there are at most two.
    pub control: usize,
}

/// The store, logs, listeners, runtimes.
const OWN: u64 = 64;

impl Shares {
    /// By the limit that holds now.
    pub fn of_process() -> Self {
        Self::of(getrlimit(Resource::Nofile).current)
    }

    /// `None`: no limit. Of what is not our own, three eighths to callers of the gateway, as much to upstreams, an eighth
    /// to each listener of the control plane.
    pub fn of(limit: Option<u64>) -> Self {
        let eighth = limit.map_or(u64::MAX, |limit| limit.saturating_sub(OWN)) / 8;
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).max(1);
        Self { gateway: count(eighth.saturating_mul(3)), control: count(eighth) }
    }
}

#[cfg(test)]
mod tests;
