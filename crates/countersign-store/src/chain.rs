//! How the records of the trail hang together (RULES 3.9), for the store and for whoever verifies an export without one.

use countersign_core::audit::{AuditRecord, StoredEvent};
use countersign_crypto::hash::sha256;

/// Before the first record.
pub const START: [u8; 32] = [0; 32];
/// The action of the record with which an epoch begins, after a restore: its number lies far above the one before it,
/// which it names (RULES 4.6).
pub const RESTORED: &str = "store.restore";
/// Of its detail: the number of the record before it.
pub const AFTER: &str = "after";

/// The hash of one record: over its number, the hash before it and each of its fields with its length, so that no
/// two different records have one text.
pub fn link(number: i64, previous: &[u8; 32], event: &StoredEvent) -> [u8; 32] {
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

/// Does this record stand right behind the one of that number and hash?
pub fn follows(number: i64, hash: &[u8; 32], record: &AuditRecord) -> bool {
    let next = number.checked_add(1) == Some(record.number)
        || (record.number > number && record.event.action == RESTORED && named_after(record) == Some(number));
    next && link(record.number, hash, &record.event) == record.hash
}

fn named_after(record: &AuditRecord) -> Option<i64> {
    let detail: serde_json::Value = serde_json::from_str(&record.event.detail).ok()?;
    detail.get(AFTER)?.as_str()?.parse().ok()
}
