//! The trail: chained when it is written, read in pages, verified from the first record to the last.

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
};
use countersign_core::{
    BoxFuture, StoreError, Timestamp,
    audit::{Actor, AuditEvent, AuditQuery, AuditRecord, AuditStore, ChainState, StoredEvent},
    page::PageRequest,
};
use countersign_crypto::hash::sha256;

/// Before the first record.
const START: [u8; 32] = [0; 32];

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
            .await?;
    }
    sql("UPDATE audit_head SET hash = $1 WHERE id = 1").bind(hash.as_slice()).execute(conn).await?;
    Ok(())
}

fn digest(bytes: &[u8]) -> Option<[u8; 32]> {
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

/// The hash of one record: over its number, the hash before it and each of its fields with its length, so that no
/// two different records have one text.
fn link(number: i64, previous: &[u8; 32], event: &StoredEvent) -> [u8; 32] {
    let StoredEvent { at, actor, credential, action, subject, source, request, detail } = event;
    let mut text = b"countersign audit 1".to_vec();
    text.extend_from_slice(&number.to_be_bytes());
    text.extend_from_slice(previous);
    text.extend_from_slice(&at.as_micros().to_be_bytes());
    for field in [actor, credential, action, subject, source, request, detail] {
        text.extend_from_slice(&(field.len() as u64).to_be_bytes());
        text.extend_from_slice(field.as_bytes());
    }
    sha256(&[&text])
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
    fn page<'a>(&'a self, query: AuditQuery) -> BoxFuture<'a, Result<Vec<AuditRecord>, StoreError>> {
        const UP: &str = select!(
            "WHERE number > $1 AND ($2 OR action = $3) AND ($4 OR subject = $5) ORDER BY number LIMIT $6"
        );
        const DOWN: &str = select!(
            "WHERE number > $1 AND ($2 OR action = $3) AND ($4 OR subject = $5) ORDER BY number DESC LIMIT $6"
        );
        self.read(move |conn| {
            Box::pin(async move {
                let AuditQuery { action, subject, after, newest_first, limit } = query;
                let rows: Vec<EventRow> = sql(if newest_first { DOWN } else { UP })
                    .bind(after.unwrap_or(0))
                    .bind(action.is_none())
                    .bind(action)
                    .bind(subject.is_none())
                    .bind(subject)
                    .bind(limit.clamp(1, PageRequest::MAX_LIMIT))
                    .all(conn)
                    .await?;
                rows.into_iter().map(EventRow::into_record).collect()
            })
        })
    }

    fn verify<'a>(&'a self) -> BoxFuture<'a, Result<ChainState, StoreError>> {
        Box::pin(async move {
            let (records, head) = self.audit_head().await?;
            let (mut number, mut hash) = (0, START);
            while number < records {
                let part = self.read(move |conn| Box::pin(verify_part(conn, number, hash, records))).await?;
                match part {
                    Ok(reached) => (number, hash) = reached,
                    Err(broken) => return Ok(ChainState::BrokenAt { number: broken }),
                }
            }
            // the last link: what the head says, and nothing behind it
            if hash != head {
                return Ok(ChainState::BrokenAt { number: records });
            }
            Ok(ChainState::Whole { records, head })
        })
    }
}

/// One part of the chain, from behind `number` with its hash: how far it holds, or the number where it breaks.
async fn verify_part(
    conn: &mut Conn<'_>,
    mut number: i64,
    mut hash: [u8; 32],
    end: i64,
) -> Result<Result<(i64, [u8; 32]), i64>, Failed> {
    const PART: i64 = 1000;
    let rows: Vec<EventRow> = sql(select!("WHERE number > $1 AND number <= $2 ORDER BY number"))
        .bind(number)
        .bind(end.min(number.saturating_add(PART)))
        .all(conn)
        .await?;
    if rows.is_empty() {
        return Ok(Err(number + 1));
    }
    for row in rows {
        let kept = row.hash.clone();
        // a record that is missing, or whose hash is no hash, breaks the chain like one that was changed
        if row.number != number + 1 || digest(&kept).is_none() {
            return Ok(Err(number + 1));
        }
        let record = row.into_record()?;
        hash = link(record.number, &hash, &record.event);
        if hash != record.hash {
            return Ok(Err(record.number));
        }
        number = record.number;
    }
    Ok(Ok((number, hash)))
}

impl Store {
    /// The number of the last record and its hash: what is exported, so that a chain cut short is noticed.
    pub async fn audit_head(&self) -> Result<(i64, [u8; 32]), StoreError> {
        self.read(|conn| {
            Box::pin(async move {
                let head: Option<(i64, Vec<u8>)> =
                    sql("SELECT number, hash FROM audit_head WHERE id = 1").optional(conn).await?;
                let Some((number, hash)) = head else { return Ok((0, START)) };
                let hash = digest(&hash).ok_or_else(|| Failed::Unreadable("audit_head.hash".into()))?;
                Ok((number, hash))
            })
        })
        .await
    }
}
