//! `[audit] keep`: the job that removes the oldest records of the trail. One process does it at a time; where two did, it
//! would be the same (RULES 4.6).

use super::Rooms;
use countersign_core::{StoreError, Timestamp};
use countersign_crypto::random_id;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(600);
/// Longer than a turn takes, and not so long that nobody does it when whoever held it is gone.
const LEASE: Duration = Duration::from_secs(1800);
/// Records in one transaction; a write of somebody else waits no longer than these take.
const PART: u32 = 500;
const JOB: &str = "audit_retention";

pub(super) async fn keep(rooms: Rooms, keep: Option<Duration>, stopping: CancellationToken) {
    let Some(keep) = keep else { return };
    let holder = random_id(&*rooms.world.entropy, 16);
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            turn = turn(&rooms, keep, &holder) => match turn {
                Ok(0) => {}
                Ok(records) => tracing::info!(records, "records of the audit trail were kept long enough and removed"),
                Err(error) => tracing::warn!(%error, "old records of the audit trail were not removed"),
            }
        }
    }
}

/// One turn: how many records went.
pub(super) async fn turn(rooms: &Rooms, keep: Duration, holder: &str) -> Result<u64, StoreError> {
    let now = rooms.now();
    let before: Timestamp = now.saturating_sub(keep);
    let mut gone = 0;
    loop {
        let now = rooms.now();
        if !rooms.store.take_lease(JOB, holder, now, now + LEASE).await? {
            return Ok(gone);
        }
        let part = rooms.store.remove_audit(before, PART, now).await?;
        gone += part;
        if part < u64::from(PART) {
            return Ok(gone);
        }
    }
}

#[cfg(test)]
mod tests;
