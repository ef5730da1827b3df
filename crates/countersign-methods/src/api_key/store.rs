//! The port: one method, one transaction, with the audit event that explains it.

use super::record::{ApiKeyRecord, Environment, KeyDigest, KeyId, KeyStanding, Lookup, RevocationReason};
use countersign_core::{
    BoxFuture, PrincipalId, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
};
use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiKeyQuery {
    pub owner: Option<PrincipalId>,
    /// Only keys that are neither revoked nor expired at this time.
    pub usable_at: Option<Timestamp>,
    /// Only keys that are this at that time.
    pub standing: Option<(KeyStanding, Timestamp)>,
    pub environment: Option<Environment>,
    /// Only keys that end, and end before this time.
    pub expires_before: Option<Timestamp>,
    /// What their label begins with.
    pub label: Option<String>,
    pub sort: KeySort,
    pub descending: bool,
    pub page: PageRequest,
}

/// By what keys are listed; those of one value by their id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeySort {
    #[default]
    CreatedAt,
    /// One that never ends comes behind all that do.
    ExpiresAt,
    /// One that was never used comes before all that were.
    LastUsedAt,
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

/// An imported key under a better digest; guarded by the one that it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    pub id: KeyId,
    pub was: KeyDigest,
    pub digest: KeyDigest,
    pub lookup: Lookup,
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
    /// Whichever of them there are.
    fn find_imported<'a>(
        &'a self,
        lookups: Vec<Lookup>,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>>;
    /// In the order of the query. Its cursor is good for that order only.
    fn list<'a>(&'a self, query: ApiKeyQuery) -> BoxFuture<'a, Result<Page<ApiKeyRecord>, StoreError>>;
    /// `Conflict("key_exists")`, or `Conflict("owner_unknown")` where the owner is gone or disabled.
    fn create<'a>(&'a self, record: ApiKeyRecord, event: AuditEvent)
    -> BoxFuture<'a, Result<(), StoreError>>;
    /// All or none, each with its event. `Conflict("key_exists")` where one of the ids or lookups is there already.
    fn import<'a>(&'a self, keys: Vec<(ApiKeyRecord, AuditEvent)>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// The digest covers the whole key from here on. Nothing, where another process was first.
    fn upgrade<'a>(&'a self, upgrade: Upgrade, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>>;
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
