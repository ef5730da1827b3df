//! `/admin/v1/audit`: the trail, and whether its chain holds.

use crate::{
    call::{Answer, Call, Listed, ok},
    input::{Wrong, json::Json},
    openapi::{
        Described, page_of,
        shape::{array, boolean, defined, integer, nullable, object, pattern, string, time as instant},
    },
    problem::quoted,
    words::{read, time},
};
use countersign_core::audit::{AuditHead, AuditQuery, AuditRecord, ChainState};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

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
    detail: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Head {
    store: String,
    epoch: i64,
    number: i64,
    hash: String,
    at: String,
    /// `null`: the keyring has no key for it.
    signature: Option<Signature>,
    keys: Vec<PublicKey>,
}

#[derive(Debug, Serialize)]
struct Signature {
    /// The number of the key.
    key: u32,
    value: String,
}

#[derive(Debug, Serialize)]
struct PublicKey {
    number: u32,
    ed25519: String,
}

#[derive(Debug, Serialize)]
struct Chain {
    whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<i64>,
}

impl From<AuditRecord> for Shown {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord { number, hash, event } = record;
        // to the letter, because the hash covers it; and what was tampered with must still be seen: `verify` says so, this
        // shows it as text
        let kept = Some(event.detail.clone()).filter(|text| text.starts_with('{'));
        let kept = kept.and_then(|text| RawValue::from_string(text).ok());
        let detail = kept.unwrap_or_else(|| {
            let text = serde_json::Value::String(event.detail.clone()).to_string();
            RawValue::from_string(text).unwrap_or_default()
        });
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
    let actor = query.optional("actor", word);
    let after = query.optional("after", |v| read::number(v, 0, i64::MAX));
    let below = query.optional("before", |v| read::number(v, 0, i64::MAX));
    let since = query.optional("since", read::point);
    let until = query.optional("until", read::point);
    let newest_first = query.optional("order", order).unwrap_or(false);
    let limit = read::page_limit(&mut query);
    query.finish(Some(()))?;

    // times become numbers, so that what lies between is whole, and one part begins where another ended
    let audit = &call.services.audit;
    let first = match since {
        Some(since) => Some(audit.first_since(since).await?.unwrap_or(i64::MAX)),
        None => None,
    };
    let before = match until {
        Some(until) => audit.first_since(until).await?,
        None => None,
    };
    let before = before.into_iter().chain(below).min();
    let after = after.max(first.map(|first| first.saturating_sub(1)));
    let asked = AuditQuery { action, subject, actor, after, before, newest_first, limit };
    let records = call.services.audit.page(asked).await?;
    let full = records.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = records.last().filter(|_| full).map(|r| r.number);
    ok(&Listed { items: records.into_iter().map(Shown::from).collect(), next })
}

pub(crate) async fn verify(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    ok(&match call.services.audit.verify().await? {
        ChainState::Whole { records, removed, head } => Chain {
            whole: true,
            records: Some(records),
            removed: Some(removed).filter(|removed| *removed > 0),
            head: Some(hex(&head)),
            broken_at: None,
        },
        ChainState::BrokenAt { number } => {
            tracing::error!(number, "the audit chain is broken");
            Chain { whole: false, records: None, removed: None, head: None, broken_at: Some(number) }
        }
    })
}

/// What is kept elsewhere, so that a trail which was cut short, or written anew, is noticed.
pub(crate) async fn head(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    let head = call.services.audit.chain_head().await?;
    let keys = call.services.attest.as_deref();
    let signature = keys.map(|keys| Signature {
        key: keys.current(),
        value: hex(&keys.sign(head.statement(call.now).as_bytes())),
    });
    let keys = keys.map(|keys| keys.public()).unwrap_or_default();
    let keys = keys.iter().map(|(number, key)| PublicKey { number: *number, ed25519: hex(&key.0) }).collect();
    let AuditHead { store, epoch, number, hash } = head;
    ok(&Head { store, epoch, number, hash: hex(&hash), at: time::format(call.now), signature, keys })
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

const TAG: &str = "audit";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let record = object(
        "Who did what to whom.",
        &[
            ("number", integer(1)),
            ("hash", hash()),
            ("at", instant()),
            ("actor", string()),
            ("credential", string()),
            ("action", string()),
            ("subject", string()),
            ("source", string()),
            ("request", string()),
            // a text where the record was tampered with
            ("detail", json!({"type": ["object", "string"]})),
        ],
        &[],
    );
    let chain = object(
        "Does the chain of hashes hold? Then `records` and `head`, otherwise `broken_at`.",
        &[("whole", boolean())],
        &[("records", integer(0)), ("removed", integer(1)), ("head", hash()), ("broken_at", integer(1))],
    );
    let signature = object(
        "Ed25519 over the head, under the key of this number.",
        &[("key", integer(0)), ("value", pattern("^[0-9a-f]{128}$"))],
        &[],
    );
    let key = object(
        "A public key that signatures are verified with.",
        &[("number", integer(0)), ("ed25519", hash())],
        &[],
    );
    let head = object(
        "The end of the chain, to be kept elsewhere. `signature` is `null` where the keyring has no key for it.",
        &[
            ("store", string()),
            ("epoch", integer(1)),
            ("number", integer(0)),
            ("hash", hash()),
            ("at", instant()),
            ("signature", nullable(signature)),
            ("keys", array(key)),
        ],
        &[],
    );
    vec![("AuditRecord", record), ("AuditChain", chain), ("AuditHead", head)]
}

fn hash() -> Value {
    pattern("^[0-9a-f]{64}$")
}

fn word_asked() -> Value {
    pattern("^[!-~]{1,128}$")
}

pub(crate) fn describe_list() -> Described {
    Described::new(TAG, "List the trail")
        .query("action", "only this action, such as `api_key.create`", word_asked())
        .query("subject", "only what was done to this id", word_asked())
        .query(
            "actor",
            "only what this one did: a principal's id, `host`, `holder` or `system`",
            word_asked(),
        )
        .query(
            "before",
            "only below this number: the `next` of the page before, where the newest come first",
            integer(0),
        )
        .query("after", "only beyond this number: the `next` of the page before", integer(0))
        .query("since", "only what happened at this time or later", instant())
        .query("until", "only what happened before this time", instant())
        .query("order", "by number", json!({"type": "string", "enum": ["asc", "desc"], "default": "asc"}))
        .limit()
        .answer(200, "a page of records", page_of("AuditRecord", integer(1)))
}

pub(crate) fn describe_head() -> Described {
    Described::new(TAG, "Where the chain ends, signed").answer(200, "the head", defined("AuditHead"))
}

pub(crate) fn describe_verify() -> Described {
    Described::new(TAG, "Does the chain of the trail hold?").answer(
        200,
        "what was found",
        defined("AuditChain"),
    )
}
