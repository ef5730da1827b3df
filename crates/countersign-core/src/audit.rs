//! What happened, for those who must be able to prove it. Every write to a store takes the event that explains it
//! and commits both in one transaction; the store numbers and chains the events.

use crate::{clock::Timestamp, idempotency::Once, identifiers::PrincipalId};

/// On whose word something was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A principal with the credential that it showed (`api_key:<id>`).
    Principal { id: PrincipalId, credential: String },
    /// Whoever sits at the machine: bootstrap, `admin recover`, `dev`.
    Host,
    /// Countersign itself.
    System,
    /// Somebody who proved to hold the credential that the event is about (`POST /revoke`).
    Holder,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub actor: Actor,
    /// `noun.verb`: `api_key.create`, `principal.disable`.
    pub action: &'static str,
    /// What it was done to: the noun's id.
    pub subject: String,
    /// Where the call came from, if from a network.
    pub source: Option<std::net::IpAddr>,
    pub request: Option<crate::RequestId>,
    /// More, as short pairs; never a secret.
    pub detail: Vec<(&'static str, String)>,
    /// The request must be done once: the write leaves this behind, or is refused because it is there.
    pub once: Option<Once>,
}

/// An event as the store keeps it: numbered, and chained to the one before by a hash over it and everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub number: i64,
    pub hash: [u8; 32],
    pub event: StoredEvent,
}

/// The event as it was kept: words, no types that a later release might no longer know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub at: Timestamp,
    /// `host`, `system`, `holder` or the principal's id.
    pub actor: String,
    /// `api_key:<id>`; empty where no credential acted.
    pub credential: String,
    pub action: String,
    pub subject: String,
    pub source: String,
    pub request: String,
    /// A JSON object of strings.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    pub action: Option<String>,
    pub subject: Option<String>,
    /// Only records numbered higher.
    pub after: Option<i64>,
    /// Newest first; otherwise oldest first.
    pub newest_first: bool,
    pub limit: u32,
}

/// Whether the chain holds from the first record to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainState {
    Whole { records: i64, head: [u8; 32] },
    BrokenAt { number: i64 },
}

/// Port: reading the trail. Writing has no port of its own: every write carries its event.
pub trait AuditStore: std::fmt::Debug + Send + Sync {
    fn page<'a>(
        &'a self,
        query: AuditQuery,
    ) -> crate::BoxFuture<'a, Result<Vec<AuditRecord>, crate::StoreError>>;
    fn verify<'a>(&'a self) -> crate::BoxFuture<'a, Result<ChainState, crate::StoreError>>;
}
