//! The port of the feed: reading what changed. Writing happens inside the writes that change something.

use countersign_core::{
    BoxFuture, Node, StoreError, Timestamp, audit::AuditEvent, check::revocation::Position,
};
use std::fmt;

/// Revocations read at a time: a million of them are never in memory as changes.
const PAGE: u32 = 10_000;

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
    /// A page of the revocations that still count at `now`, oldest first: those after `position` and not after `head`, at
    /// most `limit`. [`each_revoked`] turns the pages.
    fn revoked<'a>(
        &'a self,
        now: Timestamp,
        position: Position,
        head: Position,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Change>, StoreError>>;
    /// Revoke a node by itself (a principal's generation, a certificate); rooms that keep a record revoke there.
    fn revoke<'a>(
        &'a self,
        node: Node,
        at: Timestamp,
        until: Option<Timestamp>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Position, StoreError>>;
}

/// Every revocation that still counts at `now`, page by page, and the head that they are true of, all together: what is
/// not after the head is visible once the head is (RULES 2.5), and stays as it is for as long as it counts.
pub async fn each_revoked(
    store: &dyn FeedStore,
    now: Timestamp,
    mut take: impl FnMut(&[Change]),
) -> Result<Position, StoreError> {
    let head = store.head().await?;
    let mut at = Position::default();
    while at < head {
        let page = store.revoked(now, at, head, PAGE).await?;
        let Some(last) = page.last() else { break };
        at = last.position;
        take(&page);
    }
    Ok(head)
}
