//! How the trail loses its oldest records and still holds. What was removed last is remembered with its hash, where the
//! chain begins from then on; and a record in the trail says the same, so that the mark alone shortens nothing.

use crate::chain::START;
use crate::sql::{
    Store,
    dialect::{Conn, Failed, sql},
    unit::Purpose,
};
use countersign_core::{
    StoreError, Timestamp,
    audit::{Actor, AuditEvent, AuditRecord},
};

/// In `meta`: `number hash`.
const MARK: &str = "audit_removed";
const ACTION: &str = "audit.remove";

/// The last record that was removed; number 0: none was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removed {
    pub(super) number: i64,
    pub(super) hash: [u8; 32],
}

impl Removed {
    fn parse(text: &str) -> Option<Self> {
        let (number, hex) = text.split_once(' ')?;
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let hash = (0..64).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
        Some(Self { number: number.parse().ok()?, hash: hash.try_into().ok()? })
    }

    fn hex(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn is_explained_by(&self, record: &AuditRecord) -> bool {
        if record.event.action != ACTION || record.event.subject != self.number.to_string() {
            return false;
        }
        let detail: serde_json::Value = serde_json::from_str(&record.event.detail).unwrap_or_default();
        detail.get("hash").and_then(serde_json::Value::as_str) == Some(&self.hex())
    }
}

pub(super) async fn removed(conn: &mut Conn<'_>) -> Result<Removed, Failed> {
    let mark: Option<(String,)> =
        sql("SELECT value FROM meta WHERE key = $1").bind(MARK).optional(conn).await?;
    match mark {
        None => Ok(Removed { number: 0, hash: START }),
        Some((text,)) => Removed::parse(&text).ok_or_else(|| Failed::Unreadable(format!("meta.{MARK}"))),
    }
}

impl Store {
    /// Removes the oldest records from before that time, at most so many, and never the last one. How many went; fewer
    /// than `most`: there are no more. Safe to do again, and by two at once.
    pub async fn remove_audit(
        &self,
        before: Timestamp,
        most: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let conn = &mut unit.conn;
                let from = removed(conn).await?;
                let oldest: Vec<(i64, Vec<u8>, i64)> = sql("SELECT number, hash, at FROM audit_event
                     WHERE number > $1 AND number < (SELECT number FROM audit_head WHERE id = 1)
                     ORDER BY number LIMIT $2")
                .bind(from.number)
                .bind(most)
                .all(conn)
                .await?;
                // in their order: what stands behind a younger one stays with it
                let go: Vec<_> =
                    oldest.into_iter().take_while(|(_, _, at)| *at < before.as_micros()).collect();
                let Some((number, hash, _)) = go.last() else { return Ok(0) };
                let hash = super::digest(hash)
                    .ok_or_else(|| Failed::Unreadable(format!("hash of audit record {number}")))?;
                let mark = Removed { number: *number, hash };
                let moved = sql("INSERT INTO meta (key, value) VALUES ($1, $2)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE meta.value = $3")
                .bind(MARK)
                .bind(format!("{number} {}", mark.hex()))
                .bind(format!("{} {}", from.number, from.hex()))
                .execute(conn)
                .await?;
                if moved != 1 {
                    // another process was first; it goes on
                    return Ok(0);
                }
                let gone = sql("DELETE FROM audit_event WHERE number > $1 AND number <= $2")
                    .bind(from.number)
                    .bind(*number)
                    .execute(conn)
                    .await?;
                unit.audit(AuditEvent {
                    at: now,
                    actor: Actor::System,
                    action: ACTION,
                    subject: number.to_string(),
                    source: None,
                    request: None,
                    detail: vec![("hash", mark.hex()), ("records", gone.to_string())],
                    once: None,
                });
                Ok(gone)
            })
        });
        write.await.map(|(gone, _)| gone)
    }
}
