//! The port of the feed: reading what changed. Writing happens inside the writes that change something.

use countersign_core::{
    BoxFuture, Node, StoreError, Timestamp, audit::AuditEvent, check::revocation::Position,
};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The record behind the node changed: what was read before counts no more.
    Changed,
    /// Everything derived from the node is denied, for as long as anything derived could live.
    Revoked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub position: Position,
    pub kind: ChangeKind,
    pub node: Node,
    pub at: Timestamp,
    /// When the last descendant (and the leeway) is over; `None`: keep for ever.
    pub until: Option<Timestamp>,
}

pub trait FeedStore: fmt::Debug + Send + Sync {
    /// The newest position.
    fn head<'a>(&'a self) -> BoxFuture<'a, Result<Position, StoreError>>;
    /// Changes after `position`, oldest first, at most `limit`.
    fn since<'a>(&'a self, position: Position, limit: u32) -> BoxFuture<'a, Result<Vec<Change>, StoreError>>;
    /// Every revocation that still counts at `now`, for a start or after a lost connection, with the head that it is
    /// true of.
    fn revoked<'a>(&'a self, now: Timestamp) -> BoxFuture<'a, Result<(Position, Vec<Change>), StoreError>>;
    /// Revoke a node by itself (a principal's generation, a certificate); rooms that keep a record revoke there.
    fn revoke<'a>(
        &'a self,
        node: Node,
        at: Timestamp,
        until: Option<Timestamp>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Position, StoreError>>;
}
