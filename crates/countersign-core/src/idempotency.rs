//! What a caller may say twice and have done once: the `Idempotency-Key` of a request that makes something.

use crate::{BoxFuture, StoreError};
use std::time::Duration;

/// A repeat is known for so long.
pub const REMEMBERED: Duration = Duration::from_secs(86_400);

/// One request that made something. Kept in the transaction that made it, so that there is never one without the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    pub mark: Mark,
    /// The id of what was made.
    pub made: String,
}

/// By what a request is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose key it is: two callers may choose the same.
    pub caller: String,
    pub key: String,
    /// Of everything that was asked, so that another request under the same key is told apart.
    pub fingerprint: [u8; 32],
}

/// Answered by a write whose mark is there already.
pub const REPEATED: &str = "idempotency_key_repeated";

/// Port: was this asked before? Writing has no port of its own: a mark stands in the event of the write.
pub trait IdempotencyStore: std::fmt::Debug + Send + Sync {
    fn made<'a>(&'a self, caller: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Once>, StoreError>>;
}
