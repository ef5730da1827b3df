//! Lineage against what has changed or been revoked, and: is the principal active?

use crate::{authentication::Node, clock::Timestamp};
use std::fmt;

/// A place in the feed of changes: numbered from a row locked in the writing transaction, so that positions become
/// visible in order (RULES 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub i64);

/// Port: the feed as this process knows it. Local memory, fed by the store.
pub trait RevocationFeed: fmt::Debug + Send + Sync {
    /// The last position applied here.
    fn position(&self) -> Position;
    /// Where this node last changed or was revoked; `None`: not within memory. Memory reaches back further than any
    /// cache entry lives; where it was lost it starts anew and [`RevocationFeed::floor`] rises.
    fn changed_at(&self, node: &Node) -> Option<Position>;
    /// Everything derived from this node is denied.
    fn is_revoked(&self, node: &Node) -> bool;
    /// Entries filled before this position cannot be judged any more and die.
    fn floor(&self) -> Position;
    /// The store has not been heard of for longer than the configuration bears (5 s): answer 503.
    fn is_blind(&self, now: Timestamp) -> bool;
}
