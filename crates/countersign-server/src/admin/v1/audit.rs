//! `/admin/v1/audit`: the trail, and whether its chain holds.

use crate::{
    call::{Answer, Call, Listed, ok},
    input::{Wrong, json::Json},
    problem::quoted,
    words::{read, time},
};
use countersign_core::audit::{AuditQuery, AuditRecord, ChainState};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Shown {
    number: i64,
    hash: String,
    at: String,
    actor: String,
    credential: String,
    action: String,
    subject: String,
    source: String,
    request: String,
    detail: serde_json::Value,
}

#[derive(Debug, Serialize)]
struct Chain {
    whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<i64>,
}

impl From<AuditRecord> for Shown {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord { number, hash, event } = record;
        // what was tampered with must still be seen: `verify` says so, this shows it
        let detail = serde_json::from_str(&event.detail)
            .unwrap_or_else(|_| serde_json::Value::String(event.detail.clone()));
        Self {
            number,
            hash: hex(&hash),
            at: time::format(event.at),
            actor: event.actor,
            credential: event.credential,
            action: event.action,
            subject: event.subject,
            source: event.source,
            request: event.request,
            detail,
        }
    }
}

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query()?;
    let action = query.optional("action", word);
    let subject = query.optional("subject", word);
    let after = query.optional("after", |v| read::number(v, 0, i64::MAX));
    let newest_first = query.optional("order", order).unwrap_or(false);
    let limit = read::page_limit(&mut query);
    query.finish(Some(()))?;

    let asked = AuditQuery { action, subject, after, newest_first, limit };
    let records = call.services.audit.page(asked).await?;
    // `after` goes upwards, so only an ascending list goes on
    let full = !newest_first && records.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = records.last().filter(|_| full).map(|r| r.number);
    ok(&Listed { items: records.into_iter().map(Shown::from).collect(), next })
}

pub(crate) async fn verify(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    ok(&match call.services.audit.verify().await? {
        ChainState::Whole { records, head } => {
            Chain { whole: true, records: Some(records), head: Some(hex(&head)), broken_at: None }
        }
        ChainState::BrokenAt { number } => {
            tracing::error!(number, "the audit chain is broken");
            Chain { whole: false, records: None, head: None, broken_at: Some(number) }
        }
    })
}

/// An action or a subject: what a record could hold.
fn word(value: Json) -> Result<String, Wrong> {
    let text = read::text(value)?;
    if !(1..=128).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("must be 1 to 128 printable ASCII characters without space".into());
    }
    Ok(text)
}

fn order(value: Json) -> Result<bool, Wrong> {
    match read::text(value)?.as_str() {
        "asc" => Ok(false),
        "desc" => Ok(true),
        other => Err(format!("must be `asc` or `desc`, not {}", quoted(other)).into()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
