//! The port: one method, one transaction, with the audit event that explains it. Sessions, keys and the feed have ports of their
//! own in their halls.

use countersign_core::{BoxFuture, StoreError, Timestamp, audit::AuditEvent};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRevoked {
    Now,
    /// It already was, for as long; nothing was written.
    Already,
}

pub trait JwtStore: fmt::Debug + Send + Sync {
    /// Puts the token's node into the feed as revoked until then.
    fn revoke_token<'a>(
        &'a self,
        id: &'a str,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<TokenRevoked, StoreError>>;
}
