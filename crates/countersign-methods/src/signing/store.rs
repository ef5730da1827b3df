//! The port of the signing keys: one method, one transaction, with the audit events that explain it.

use super::record::SigningKeyRecord;
use countersign_core::{BoxFuture, Node, StoreError, Timestamp, audit::AuditEvent};
use std::fmt;

/// What one step changes, all or none.
#[derive(Debug, Default)]
pub struct SigningKeyChange {
    /// In this order. Each names the version it makes: the one before must stand.
    pub updates: Vec<SigningKeyRecord>,
    /// After them.
    pub inserts: Vec<SigningKeyRecord>,
    /// Nodes that go into the feed as revoked, and until when that counts.
    pub revoked: Vec<(Node, Timestamp)>,
    pub events: Vec<AuditEvent>,
}

pub trait SigningKeyStore: fmt::Debug + Send + Sync {
    /// All there are, also removed ones, the oldest first.
    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<SigningKeyRecord>, StoreError>>;
    /// `Conflict("signing_key_changed")`: another version stands, there is one of that `kid`, or there is an active one of
    /// that purpose and algorithm.
    fn change<'a>(&'a self, change: SigningKeyChange, at: Timestamp)
    -> BoxFuture<'a, Result<(), StoreError>>;
}
