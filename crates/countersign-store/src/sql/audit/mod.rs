//! The trail: chained when it is written, read in pages, verified from the first record to the last.

mod retention;

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
    unit::Purpose,
};
use crate::chain::{START, follows, link};
use countersign_core::{
    BoxFuture, StoreError, Timestamp,
    audit::{Actor, AuditEvent, AuditHead, AuditQuery, AuditRecord, AuditStore, ChainState, StoredEvent},
    page::PageRequest,
};
use retention::Removed;
use std::time::Duration;

/// Numbers and chains the events of one transaction. The head row stays locked until it ends, so that no two
/// transactions follow the same record.
pub(super) async fn append(conn: &mut Conn<'_>, events: Vec<AuditEvent>) -> Result<(), Failed> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(());
    }
    let (last, head): (i64, Vec<u8>) = sql("INSERT INTO audit_head (id, number, hash) VALUES (1, $1, $2)
         ON CONFLICT (id) DO UPDATE SET number = audit_head.number + $1 RETURNING number, hash")
    .bind(count)
    .bind(START.as_slice())
    .one(conn)
    .await?;
    let mut hash = digest(&head).ok_or_else(|| Failed::Unreadable("audit_head.hash".into()))?;
    for (number, event) in (last - count + 1..).zip(events) {
        let event = stored(event);
        hash = link(number, &hash, &event);
        insert(conn, AuditRecord { number, hash, event }).await?;
    }
    sql("UPDATE audit_head SET hash = $1 WHERE id = 1").bind(hash.as_slice()).execute(conn).await?;
    Ok(())
}

/// A record that is numbered and chained already.
pub(super) async fn insert(conn: &mut Conn<'_>, record: AuditRecord) -> sqlx::Result<u64> {
    let AuditRecord { number, hash, event } = record;
    sql("INSERT INTO audit_event (number, hash, at, actor, credential, action, subject, source, request, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
    .bind(number)
    .bind(hash.as_slice())
    .bind(event.at.as_micros())
    .bind(event.actor)
    .bind(event.credential)
    .bind(event.action)
    .bind(event.subject)
    .bind(event.source)
    .bind(event.request)
    .bind(event.detail)
    .execute(conn)
    .await
}

pub(super) fn digest(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

fn stored(event: AuditEvent) -> StoredEvent {
    let (actor, credential) = match event.actor {
        Actor::Principal { id, credential } => (id.to_string(), credential),
        Actor::Host => ("host".into(), String::new()),
        Actor::System => ("system".into(), String::new()),
        Actor::Holder => ("holder".into(), String::new()),
    };
    let detail: serde_json::Map<String, serde_json::Value> =
        event.detail.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    StoredEvent {
        at: event.at,
        actor,
        credential,
        action: event.action.to_owned(),
        subject: event.subject,
        source: event.source.map(|ip| ip.to_string()).unwrap_or_default(),
        request: event.request.map(|id| id.to_string()).unwrap_or_default(),
        detail: serde_json::Value::Object(detail).to_string(),
    }
}

row! { EventRow {
    number: i64, hash: Vec<u8>, at: i64, actor: String, credential: String, action: String, subject: String,
    source: String, request: String, detail: String,
} }

impl EventRow {
    fn into_record(self) -> Result<AuditRecord, Failed> {
        let Self { number, hash, at, actor, credential, action, subject, source, request, detail } = self;
        let hash =
            digest(&hash).ok_or_else(|| Failed::Unreadable(format!("hash of audit record {number}")))?;
        let at = Timestamp::from_micros(at);
        let event = StoredEvent { at, actor, credential, action, subject, source, request, detail };
        Ok(AuditRecord { number, hash, event })
    }
}

macro_rules! select { ($rest:literal) => {
    concat!(
        "SELECT number, hash, at, actor, credential, action, subject, source, request, detail FROM audit_event ",
        $rest
    )
} }

impl AuditStore for Store {
    fn note<'a>(&'a self, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                unit.audit(event);
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn page<'a>(&'a self, query: AuditQuery) -> BoxFuture<'a, Result<Vec<AuditRecord>, StoreError>> {
        const UP: &str = select!(
            "WHERE number > $1 AND number < $2 AND ($3 OR action = $4) AND ($5 OR subject = $6)
             AND ($7 OR actor = $8) ORDER BY number LIMIT $9"
        );
        const DOWN: &str = select!(
            "WHERE number > $1 AND number < $2 AND ($3 OR action = $4) AND ($5 OR subject = $6)
             AND ($7 OR actor = $8) ORDER BY number DESC LIMIT $9"
        );
        self.read(move |conn| {
            Box::pin(async move {
                let AuditQuery { action, subject, actor, after, before, newest_first, limit } = query;
                let rows: Vec<EventRow> = sql(if newest_first { DOWN } else { UP })
                    .bind(after.unwrap_or(0))
                    .bind(before.unwrap_or(i64::MAX))
                    .bind(action.is_none())
                    .bind(action)
                    .bind(subject.is_none())
                    .bind(subject)
                    .bind(actor.is_none())
                    .bind(actor)
                    .bind(limit.clamp(1, PageRequest::MAX_LIMIT))
                    .all(conn)
                    .await?;
                rows.into_iter().map(EventRow::into_record).collect()
            })
        })
    }

    fn verify<'a>(&'a self) -> BoxFuture<'a, Result<ChainState, StoreError>> {
        Box::pin(async move {
            let ((last, head), from) = self.ends().await?;
            let mut reached = Reached {
                number: from.number,
                hash: from.hash,
                records: 0,
                // a removal that no record explains was none of ours
                explained: from.number == 0,
            };
            while reached.number < last {
                match self.read(move |conn| Box::pin(verify_part(conn, reached, from, last))).await? {
                    Ok(further) => reached = further,
                    Err(broken) => return Ok(ChainState::BrokenAt { number: broken }),
                }
            }
            // the last link: what the head says, and nothing behind it
            if reached.hash != head {
                return Ok(ChainState::BrokenAt { number: last });
            }
            if !reached.explained {
                return Ok(ChainState::BrokenAt { number: from.number });
            }
            Ok(ChainState::Whole { records: reached.records, removed: from.number, head })
        })
    }

    fn chain_head<'a>(&'a self) -> BoxFuture<'a, Result<AuditHead, StoreError>> {
        self.read(|conn| {
            Box::pin(async move {
                let (number, hash) = head(conn).await?;
                let meta: Vec<(String, String)> =
                    sql("SELECT key, value FROM meta WHERE key = 'epoch' OR key = 'store_id'")
                        .all(conn)
                        .await?;
                let value = |key| meta.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
                Ok(AuditHead {
                    store: value("store_id").unwrap_or_default(),
                    epoch: value("epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(1),
                    number,
                    hash,
                })
            })
        })
    }

    fn first_since<'a>(&'a self, at: Timestamp) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        self.read(move |conn| Box::pin(first_since(conn, at)))
    }
}

/// Records are numbered when they are written and timed a little before, so that times follow the numbers but for
/// moments: halved down to an hour before, then looked for one by one.
async fn first_since(conn: &mut Conn<'_>, at: Timestamp) -> Result<Option<i64>, Failed> {
    const APART: Duration = Duration::from_secs(3600);
    let (last, _) = head(conn).await?;
    let surely_before = at.saturating_sub(APART).as_micros();
    let (mut low, mut high) = (0_i64, last);
    while low < high {
        let middle = low + (high - low) / 2;
        let next: Option<(i64, i64)> =
            sql("SELECT number, at FROM audit_event WHERE number > $1 ORDER BY number LIMIT 1")
                .bind(middle)
                .optional(conn)
                .await?;
        match next {
            Some((number, time)) if time < surely_before => low = number,
            _ => high = middle,
        }
    }
    let first: Option<(i64,)> =
        sql("SELECT number FROM audit_event WHERE number > $1 AND at >= $2 ORDER BY number LIMIT 1")
            .bind(low)
            .bind(at.as_micros())
            .optional(conn)
            .await?;
    Ok(first.map(|(number,)| number))
}

/// How far the chain was found to hold.
#[derive(Debug, Clone, Copy)]
struct Reached {
    number: i64,
    hash: [u8; 32],
    records: i64,
    /// Was the record found that says what was removed before?
    explained: bool,
}

/// One part of the chain, from behind there: how far it holds, or the number where it breaks.
async fn verify_part(
    conn: &mut Conn<'_>,
    mut reached: Reached,
    from: Removed,
    end: i64,
) -> Result<Result<Reached, i64>, Failed> {
    const PART: i64 = 1000;
    let rows: Vec<EventRow> = sql(select!("WHERE number > $1 AND number <= $2 ORDER BY number LIMIT $3"))
        .bind(reached.number)
        .bind(end)
        .bind(PART)
        .all(conn)
        .await?;
    if rows.is_empty() {
        return Ok(Err(reached.number + 1));
    }
    for row in rows {
        // a record that is missing, or whose hash is no hash, breaks the chain like one that was changed
        if digest(&row.hash).is_none() {
            return Ok(Err(reached.number + 1));
        }
        let record = row.into_record()?;
        if !follows(reached.number, &reached.hash, &record) {
            return Ok(Err(reached.number + 1));
        }
        reached = Reached {
            number: record.number,
            hash: record.hash,
            records: reached.records + 1,
            explained: reached.explained || from.is_explained_by(&record),
        };
    }
    Ok(Ok(reached))
}

impl Store {
    /// The number of the last record and its hash: what is exported, so that a chain cut short is noticed.
    pub async fn audit_head(&self) -> Result<(i64, [u8; 32]), StoreError> {
        self.read(|conn| Box::pin(head(conn))).await
    }

    /// As one read: the head, and up to where records were removed.
    async fn ends(&self) -> Result<((i64, [u8; 32]), Removed), StoreError> {
        self.read(|conn| Box::pin(async move { Ok((head(conn).await?, retention::removed(conn).await?)) }))
            .await
    }
}

pub(super) async fn head(conn: &mut Conn<'_>) -> Result<(i64, [u8; 32]), Failed> {
    let head: Option<(i64, Vec<u8>)> =
        sql("SELECT number, hash FROM audit_head WHERE id = 1").optional(conn).await?;
    let Some((number, hash)) = head else { return Ok((0, START)) };
    let hash = digest(&hash).ok_or_else(|| Failed::Unreadable("audit_head.hash".into()))?;
    Ok((number, hash))
}
