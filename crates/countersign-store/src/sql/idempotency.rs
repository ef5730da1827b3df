//! Requests that made something, and are known again for a day.

use super::{
    Store,
    dialect::{Failed, row, sql},
    unit::{Purpose, Unit},
};
use countersign_core::{
    BoxFuture, StoreError, Timestamp,
    audit::AuditEvent,
    idempotency::{IdempotencyStore, Mark, Once, REMEMBERED, REPEATED},
};

row! { OnceRow { fingerprint: Vec<u8>, made: String } }

impl Unit<'_> {
    /// The first statement of a write that makes something: of two at once the second waits here for the first, and is
    /// refused when that one is there.
    pub(crate) async fn claim(&mut self, event: &AuditEvent) -> Result<(), Failed> {
        let Some(Once { mark, made }) = &event.once else { return Ok(()) };
        // one that is over makes room for the same key again
        sql("DELETE FROM idempotency WHERE caller = $1 AND key = $2 AND at <= $3")
            .bind(mark.caller.as_str())
            .bind(mark.key.as_str())
            .bind(event.at.saturating_sub(REMEMBERED).as_micros())
            .execute(&mut self.conn)
            .await?;
        let kept =
            sql("INSERT INTO idempotency (caller, key, fingerprint, made, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING")
            .bind(mark.caller.as_str())
            .bind(mark.key.as_str())
            .bind(mark.fingerprint.as_slice())
            .bind(made.as_str())
            .bind(event.at.as_micros())
            .execute(&mut self.conn)
            .await?;
        if kept == 1 { Ok(()) } else { Err(Failed::Conflict(REPEATED)) }
    }
}

impl Store {
    /// Those that are over. Explains nothing and so carries no event.
    pub async fn prune_idempotency(&self, now: Timestamp) -> Result<u64, StoreError> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                sql("DELETE FROM idempotency WHERE at <= $1")
                    .bind(now.saturating_sub(REMEMBERED).as_micros())
                    .execute(&mut unit.conn)
                    .await
                    .map_err(Into::into)
            })
        });
        write.await.map(|(removed, _)| removed)
    }
}

impl IdempotencyStore for Store {
    fn made<'a>(&'a self, caller: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Once>, StoreError>> {
        let (caller, key) = (caller.to_owned(), key.to_owned());
        self.read(move |conn| {
            Box::pin(async move {
                let row: Option<OnceRow> =
                    sql("SELECT fingerprint, made FROM idempotency WHERE caller = $1 AND key = $2")
                        .bind(caller.as_str())
                        .bind(key.as_str())
                        .optional(conn)
                        .await?;
                let Some(OnceRow { fingerprint, made }) = row else { return Ok(None) };
                let fingerprint = fingerprint
                    .as_slice()
                    .try_into()
                    .map_err(|_| Failed::Unreadable(format!("fingerprint of request `{key}`")))?;
                Ok(Some(Once { mark: Mark { caller, key, fingerprint }, made }))
            })
        })
    }
}
