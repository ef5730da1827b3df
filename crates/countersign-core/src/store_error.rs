//! What a store may answer besides its answer. Whose fault it is decides the status: none of these is the caller's
//! credential's fault, so none of them ever reads as 401.

/// Every port of every store answers with this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or cannot say whether it kept the write: locked, full, corrupt, gone, queue full.
    /// The text is for the operator's log.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The write lost against what is already there (a name that exists, a state that moved on).
    #[error("conflict: {0}")]
    Conflict(&'static str),
}
