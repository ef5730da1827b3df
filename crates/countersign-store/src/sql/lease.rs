//! Jobs that one of several processes does: whoever holds the job's row. It spares work and is no lock: a job must be
//! safe to do twice (RULES 4.6).

use super::{Store, dialect::sql, unit::Purpose};
use countersign_core::{StoreError, Timestamp};

impl Store {
    /// Is the job `holder`'s until then? It is, where nobody holds it, its time is over, or it was the holder's already.
    pub async fn take_lease(
        &self,
        job: &'static str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let holder = holder.to_owned();
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let taken = sql("INSERT INTO lease (job, holder, until_at) VALUES ($1, $2, $3)
                     ON CONFLICT (job) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at
                     WHERE lease.until_at <= $4 OR lease.holder = excluded.holder")
                .bind(job)
                .bind(holder)
                .bind(until.as_micros())
                .bind(now.as_micros())
                .execute(&mut unit.conn)
                .await?;
                Ok(taken == 1)
            })
        });
        write.await.map(|(taken, _)| taken)
    }
}
