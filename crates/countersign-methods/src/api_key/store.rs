//! The port: one method, one transaction, with the audit event that explains it.

use super::record::{ApiKeyRecord, KeyId, RevocationReason};
use countersign_core::{
    BoxFuture, PrincipalId, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
};
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyQuery {
    pub owner: Option<PrincipalId>,
    /// Only keys that are neither revoked nor expired at this time.
    pub usable_at: Option<Timestamp>,
    pub page: PageRequest,
}

/// One rotation, guarded: it takes place only while the predecessor is `Active` and at `version`.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub predecessor: KeyId,
    pub version: i64,
    pub at: Timestamp,
    /// When the predecessor ends: the earlier of its own expiry and the end of the grace.
    pub predecessor_expires_at: Timestamp,
    pub successor: ApiKeyRecord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    Now,
    /// It already was; nothing was written.
    Already,
    /// It is at another version than the one asked for; nothing was written.
    Changed,
    Unknown,
}

pub trait ApiKeyStore: fmt::Debug + Send + Sync {
    fn find<'a>(&'a self, id: &'a KeyId) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>>;
    /// By id, ascending by (created_at, id).
    fn list<'a>(&'a self, query: ApiKeyQuery) -> BoxFuture<'a, Result<Page<ApiKeyRecord>, StoreError>>;
    /// `Conflict("key_exists")`, or `Conflict("owner_unknown")` where the owner is gone or disabled.
    fn create<'a>(&'a self, record: ApiKeyRecord, event: AuditEvent)
    -> BoxFuture<'a, Result<(), StoreError>>;
    /// Puts the predecessor's key node into the feed. `Conflict("key_changed")` where the guard did not hold.
    fn rotate<'a>(&'a self, rotation: Rotation, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Puts the key node into the feed as revoked. Guarded by `version` where one is given.
    fn revoke<'a>(
        &'a self,
        id: &'a KeyId,
        version: Option<i64>,
        at: Timestamp,
        reason: RevocationReason,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Revoked, StoreError>>;
    /// Last use, written in bulk and late; never moves backwards, explains nothing and so carries no event.
    fn used<'a>(&'a self, uses: Vec<(KeyId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// The pepper numbers that rows not yet revoked or expired at `now` name.
    fn peppers<'a>(&'a self, now: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>>;
}
